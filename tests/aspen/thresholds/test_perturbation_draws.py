"""Threshold perturbation: what is drawn, who shares a draw, and when it is drawn."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import snntorch as snn
import torch
from torch import Tensor, nn

from aspen.errors import ModelError
from aspen.thresholds.distributions import MIN_FACTOR, make_distribution
from aspen.thresholds.knob import get_threshold_scale, set_threshold_scale
from aspen.thresholds.perturbation import Perturbation, get_perturbation, perturb_thresholds
from tests.aspen.thresholds.perturbed_models import BATCH, STEPS, Net, Step, random_inputs


@pytest.fixture
def inputs() -> Tensor:
    return random_inputs()


def draws_of(handle: Perturbation) -> dict[str, Tensor]:
    return {name: draw.clone() for name, draw in handle.factors.items()}


# --- what is drawn -----------------------------------------------------------------------------------------------


def test_log_uniform_draws():
    draws = make_distribution().sample((20000,), torch.Generator().manual_seed(0)).double()
    assert 0.5 <= draws.min() < 0.501
    assert 1.99 < draws.max() <= 2.0
    halves = torch.histc(draws.log2(), 8, -1, 1) / len(draws)
    assert (halves - 1 / 8).abs().max() < 0.01


@pytest.mark.parametrize(("low", "high", "mode"), [(0.5, 1.5, "multiplicative"), (-0.4, 0.2, "additive")])
def test_uniform_draws(low, high, mode):
    draws = make_distribution("uniform", low=low, high=high, mode=mode).sample((20000,)).double()
    assert low <= draws.min() < low + 0.01
    assert high - 0.01 < draws.max() <= high
    assert draws.mean().item() == pytest.approx((low + high) / 2, abs=0.01)
    assert draws.std().item() == pytest.approx((high - low) / math.sqrt(12), rel=0.03)


def test_gaussian_and_log_normal_draws():
    def sample(name: str, sigma: float, mode: str = "multiplicative") -> Tensor:
        law = make_distribution(name, sigma=sigma, mode=mode)
        return law.sample((20000,), torch.Generator().manual_seed(1)).double()

    factor, offset, log = sample("gaussian", 0.2), sample("gaussian", 0.2, "additive"), sample("log-normal", 0.3).log()
    for values, mean, sigma in ((factor, 1, 0.2), (offset, 0, 0.2), (log, 0, 0.3)):
        assert values.mean().item() == pytest.approx(mean, abs=0.01)
        assert values.std().item() == pytest.approx(sigma, rel=0.03)
        assert ((values - mean).abs() < sigma).double().mean().item() == pytest.approx(0.683, abs=0.015)
    assert sample("gaussian", 3.0).min().item() == pytest.approx(MIN_FACTOR)
    assert sample("log-normal", 1e6).isfinite().all()
    assert sample("log-normal", 1e6).min() > 0
    assert sample("log-normal", 0.0).eq(1).all()


# --- who shares a draw -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("per", "shape1", "shape2"),
    [
        ("batch", (1, 1, 1), (1, 1)),
        ("sample", (BATCH, 1, 1), (BATCH, 1)),
        ("layer", (1, 1, 1), (1, 1)),
        ("neuron", (1, 2, 3), (1, 6)),
        (("sample", "layer"), (BATCH, 1, 1), (BATCH, 1)),
        (["sample", "neuron"], (BATCH, 2, 3), (BATCH, 6)),
        (("batch", "neuron"), (1, 2, 3), (1, 6)),
    ],
)
def test_factors_are_independent_along_the_axes_asked_for(inputs, per, shape1, shape2):
    net = Net()
    handle = perturb_thresholds(net, per=per, seed=3)
    assert dict(handle.factors) == {}
    net(inputs)
    factors = draws_of(handle)
    assert {name: tuple(factor.shape) for name, factor in factors.items()} == {"lif1": shape1, "block.1": shape2}
    one, two = (factor.flatten() for factor in factors.values())
    assert len(set(one.tolist())) == one.numel()
    assert torch.equal(one, two) == (per in ("batch", "sample"))
    net(inputs)
    assert not set(one.tolist()) & set(handle.factors["lif1"].flatten().tolist())


def test_every_step_of_a_pass_sees_one_factor_and_each_sample_its_own(inputs):
    torch.manual_seed(0)
    net = Net()
    plain = copy.deepcopy(net)
    with perturb_thresholds(net, seed=1) as handle:
        spikes = net(inputs)
    assert spikes.sum() > 0
    for sample, factor in enumerate(handle.factors["lif1"].flatten()):
        twin = copy.deepcopy(plain)
        for neuron in (twin.lif1, twin.block[1]):
            neuron.threshold.mul_(factor)
        assert torch.equal(twin(inputs)[:, sample], spikes[:, sample])


NEURONS = [
    (kind, options | ({"reset_delay": False} if immediate else {}))
    for kind, options in (
        ("Leaky", {"beta": 0.8}),
        ("Synaptic", {"alpha": 0.7, "beta": 0.8}),
        ("RLeaky", {"beta": 0.8, "all_to_all": False, "V": 0.3}),
        ("RSynaptic", {"alpha": 0.7, "beta": 0.8, "all_to_all": False, "V": 0.3}),
        ("Lapicque", {"beta": 0.8}),
        ("Alpha", {"alpha": 0.9, "beta": 0.8}),
    )
    for immediate in ((False, True) if kind in ("Leaky", "Synaptic", "RLeaky") else (False,))
]


@pytest.mark.parametrize("threshold", [0.7, [0.5, 0.7, 0.9]], ids=["scalar", "per neuron"])
@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
@pytest.mark.parametrize(("kind", "options"), NEURONS, ids=str)
@pytest.mark.parametrize("mode", ["multiplicative", "additive"])
def test_spikes_are_those_of_plain_neurons_with_moved_thresholds(kind, options, reset, threshold, mode):
    torch.manual_seed(2)
    xs = torch.randn(10, BATCH, 3) + 0.5
    make = {"init_hidden": True, "reset_mechanism": reset, "threshold": torch.tensor(threshold)} | options
    neuron, plain = (getattr(snn, kind)(**copy.deepcopy(make)) for _ in range(2))
    model = nn.Sequential(neuron, nn.Linear(3, 1))
    handle = perturb_thresholds(model, "uniform", low=0.1, high=2.0, mode=mode, per=("sample", "neuron"), seed=0)
    set_threshold_scale(model, 1.3)
    with handle.sequence():
        spikes = torch.stack([neuron(x) for x in xs])
    draws = handle.factors["0"]
    assert draws.shape == (BATCH, 3)
    assert spikes.sum() > 0
    # a plain neuron with one threshold for each sample and neuron: unstacked so that no broadcasting of ours is used
    for sample in range(BATCH):
        base = torch.tensor(threshold)
        plain.threshold = (base * draws[sample] if mode == "multiplicative" else base + draws[sample]) * 1.3
        plain.reset_mem()
        assert torch.equal(torch.stack([plain(x[sample : sample + 1])[0] for x in xs]), spikes[:, sample])


def test_lstm_neurons_draw_in_the_shape_of_their_state():
    model = nn.ModuleDict({"dense": snn.SLSTM(3, 4), "image": snn.SConv2dLSTM(1, 2, 3), "out": nn.Linear(4, 1)})
    with perturb_thresholds(model, per=("sample", "neuron")) as handle, handle.sequence():
        model["dense"](torch.rand(BATCH, 3))
        model["image"](torch.rand(BATCH, 1, 4, 5))
    assert handle.factors["dense"].shape == (BATCH, 4)
    assert handle.factors["image"].shape == (BATCH, 2, 4, 5)
    pooled = nn.Sequential(snn.SConv2dLSTM(1, 2, 3, max_pool=2), nn.Linear(4, 1))
    with pytest.raises(ModelError, match="0: SConv2dLSTM with pooling"):
        perturb_thresholds(pooled, per="neuron")
    with perturb_thresholds(pooled) as handle, handle.sequence():
        assert pooled[0](torch.rand(BATCH, 1, 4, 4))[0].shape == (BATCH, 2, 2, 2)


def test_additive_noise_leaves_a_share_of_the_threshold():
    model = nn.Sequential(snn.Leaky(beta=0.9, threshold=2.0, init_hidden=True), nn.Linear(1, 1))
    perturb_thresholds(model, "uniform", low=-9.0, high=-8.0, mode="additive")
    below, above = torch.full((1, 1), 0.099), torch.full((1, 1), 0.101)
    with get_perturbation(model).sequence():
        assert model[0](below).item() == 0
        model[0].reset_mem()
        assert model[0](above).item() == 1


def test_layers_by_choice(inputs):
    for layers, names in (("hidden", ("lif1", "block.1")), ("all", ("lif1", "block.1", "lif3")), (["lif3"], ("lif3",))):
        net = Net()
        with perturb_thresholds(net, layers=layers) as handle:
            net(inputs)
            assert handle.layers == names
            assert set(handle.factors) == set(names)


# --- when it is drawn --------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_factors(inputs):
    def factors(**source: Any) -> list[dict[str, Tensor]]:
        net, found = Net(), []
        with perturb_thresholds(net, per=("sample", "neuron"), **source) as handle:
            for _ in range(2):
                net(inputs)
                found.append(draws_of(handle))
        return found

    torch.manual_seed(9)
    unseeded = factors()
    torch.manual_seed(9)
    again = factors()
    by_seed, by_generator = factors(seed=4), factors(generator=torch.Generator().manual_seed(4))
    torch.testing.assert_close(again, unseeded, rtol=0, atol=0)
    torch.testing.assert_close(by_generator, by_seed, rtol=0, atol=0)
    assert not torch.equal(factors(seed=5)[0]["lif1"], by_seed[0]["lif1"])
    before = torch.get_rng_state()
    with perturb_thresholds(net := Net(), seed=0):
        before = torch.get_rng_state()
        net(inputs)
    assert torch.equal(torch.get_rng_state(), before)


def test_double_models_get_the_factors_of_float_ones(inputs):
    single, double = Step(), Step().double()
    with perturb_thresholds(single, seed=0) as one, perturb_thresholds(double, seed=0) as two:
        single(inputs[0, ..., :1])
        double(inputs[0, ..., :1].double())
        assert two.factors["lif1"].dtype == torch.float64
        assert torch.equal(one.factors["lif1"].double(), two.factors["lif1"])


def test_evaluation_is_plain(inputs):
    net = Net()
    plain = copy.deepcopy(net)
    handle = perturb_thresholds(net, layers="all")
    net.eval()
    assert torch.equal(net(inputs), plain(inputs))
    assert dict(handle.factors) == {}
    net.lif1.train()
    net(inputs)
    assert set(handle.factors) == {"lif1"}


def test_sequence_and_redraw_for_loops_outside_the_model():
    model, x, seen = Step(), torch.ones(BATCH, 1), []
    handle = perturb_thresholds(model, layers="all")
    model(x)
    seen.append(handle.factors["lif1"])
    model(x)
    seen.append(handle.factors["lif1"])
    with handle.sequence(), handle.sequence():
        model(x)
        seen.append(handle.factors["lif1"])
        model(x)
        assert handle.factors["lif1"] is seen[-1]
        assert torch.equal(handle.factors["lif2"], seen[-1])
        handle.redraw()
        model(x)
        seen.append(handle.factors["lif1"])
    model(x)
    seen.append(handle.factors["lif1"])
    handle.redraw()
    assert len({tuple(factor.flatten().tolist()) for factor in seen}) == 5


def test_a_model_that_calls_itself_for_each_step_draws_once():
    class Recursive(Step):
        def forward(self, x: Tensor) -> Any:
            return [self(step) for step in x] if x.ndim == 3 else super().forward(x)

    model = Recursive()
    handle = perturb_thresholds(model, "uniform", low=0.1, high=3.0, layers="all", seed=0)
    spikes = torch.stack([torch.cat(step, 1) for step in model(torch.full((STEPS, 8, 1), 0.4))])
    expected = numpy_lif(np.full((STEPS, 8), 0.4), np.tile(handle.factors["lif1"].numpy().T, (STEPS, 1)), "subtract")
    np.testing.assert_array_equal(spikes[:, :, 0].numpy(), expected)


def numpy_lif(xs: np.ndarray, thresholds: np.ndarray, reset: str) -> np.ndarray:
    """Leaky of beta 0.9 with a threshold for each step and sample, reset in the next step; both (time, batch)."""
    v, fired, last, out = np.zeros_like(xs[0], np.float32), 0, 0, []
    for x, theta in zip(xs.astype(np.float32), thresholds.astype(np.float32), strict=True):
        v = np.float32(0.9) * v * (1 - fired) + x if reset == "zero" else np.float32(0.9) * v + x - fired * last
        fired, last = (v > theta).astype(np.float32), theta
        out.append(fired)
    return np.stack(out)


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_resets_belong_to_the_spikes_when_draws_and_knob_change_on_the_way(reset):
    steps, batch = 60, 8
    model = Step(reset_mechanism=reset)
    xs = np.random.default_rng(0).uniform(0, 2, (steps, batch)).astype(np.float32)
    handle = perturb_thresholds(model, "uniform", low=0.25, high=4.0, layers="all", seed=2)
    thresholds, spikes = [], []
    with torch.no_grad(), handle.sequence():
        for t, x in enumerate(torch.from_numpy(xs)):
            if t % 3 == 0:
                handle.redraw()
            set_threshold_scale(model, {"lif1": (0.5, 1.0, 1.0, 2.0)[t % 4]})
            model.train(t % 7 < 5)  # steps in evaluation see the thresholds as they are
            spikes.append(model(x[:, None])[0][:, 0])
            factor = handle.factors["lif1"][:, 0] if model.training else torch.ones(batch)
            thresholds.append((factor * get_threshold_scale(model)["lif1"]).numpy())
    expected = numpy_lif(xs, np.stack(thresholds), reset)
    assert 0.2 < expected.mean() < 0.8
    np.testing.assert_array_equal(torch.stack(spikes).numpy(), expected)
