"""Threshold perturbation: what is drawn, who shares it, and that nothing but the thresholds of a pass ever changes."""

from __future__ import annotations

import copy
import io
import math
import pickle
from typing import Any

import numpy as np
import pytest
import snntorch as snn
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from aspen.distributions import MIN_FACTOR, make_distribution
from aspen.errors import InputError, ModelError
from aspen.perturbation import Perturbation, get_perturbation, perturb_thresholds
from aspen.thresholds import get_threshold_scale, set_threshold_scale

STEPS, BATCH = 7, 5


class Net(nn.Module):
    """Two hidden layers, (2, 3) and (6,), and a spiking output; the loop over time inside."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.conv, self.lif1 = nn.Conv1d(1, 2, 3), snn.Leaky(beta=0.9, **options)
        self.block = nn.Sequential(nn.Linear(6, 6), snn.Synaptic(alpha=0.5, beta=0.9, init_hidden=True, **options))
        self.out, self.lif3 = nn.Linear(6, 2), snn.Leaky(beta=0.9, **options)
        self.seen: list[Tensor] = []
        for layer in (self.conv, self.block[0], self.out):
            layer.weight.data.abs_()  # so that spikes reach the output

    def forward(self, xs: Tensor) -> Tensor:
        mem1, mem3, out = self.lif1.reset_mem(), self.lif3.reset_mem(), []
        self.block[1].reset_mem()
        for x in xs:
            spikes, mem1 = self.lif1(self.conv(x), mem1)
            spikes, mem3 = self.lif3(self.out(self.block(spikes.flatten(1))), mem3)
            out.append(spikes)
        return torch.stack(out)


class Step(nn.Module):
    """One time step of two layers that feed the same current to neurons of beta 0.9; the loop outside."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.lif1 = snn.Leaky(beta=0.9, init_hidden=True, **options)
        self.lif2 = snn.Leaky(beta=0.9, init_hidden=True, **options)
        self.out = nn.Linear(1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.lif1(x), self.lif2(x)


@pytest.fixture
def inputs() -> Tensor:
    torch.manual_seed(5)
    return torch.rand(STEPS, BATCH, 1, 5) * 3


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


# --- what stays as it was ----------------------------------------------------------------------------------------


def test_state_and_checkpoints_stay_those_of_a_plain_model(inputs):
    net, plain = Net(learn_threshold=True), Net(learn_threshold=True)
    names, parameters = list(plain.state_dict()), list(net.parameters())
    handle = perturb_thresholds(net)
    inside: list[list[str]] = []
    net.lif1.register_forward_hook(lambda *_: inside.append(list(net.state_dict())))
    net(inputs)
    assert [list(net.state_dict()), *inside] == [names] * (STEPS + 1)
    assert all(one is two for one, two in zip(net.parameters(), parameters, strict=True))
    plain.load_state_dict(net.state_dict())
    net.load_state_dict(plain.state_dict())
    assert torch.equal(net.eval()(inputs), plain(inputs))
    handle.remove()
    assert list(net.state_dict()) == names


@pytest.mark.parametrize("scaled", ["never", "before", "after", "while removed"])
def test_removal_leaves_no_trace(inputs, scaled):
    net = Net()
    net(inputs)
    spaces = [set(vars(module)) for module in net.modules()]
    if scaled == "before":
        set_threshold_scale(net, 2.0)
    with perturb_thresholds(net) as handle:
        if scaled in ("after", "while removed"):
            set_threshold_scale(net, 2.0)
        net(inputs)
        if scaled in ("before", "after"):
            set_threshold_scale(net, 1.0)
        assert "threshold" not in vars(net.lif1)
        assert get_perturbation(net) is handle
    handle.remove()
    if scaled == "while removed":
        assert get_threshold_scale(net) == {"lif1": 2.0, "block.1": 2.0, "lif3": 1.0}
        set_threshold_scale(net, 1.0)
        net(inputs)
    assert [set(vars(module)) for module in net.modules()] == spaces
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
    assert get_perturbation(net) is None
    assert "removed" in repr(handle)
    perturb_thresholds(net).remove()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_inside_a_pass_leaves_no_shadow_and_no_old_draw(inputs, error):
    net = Net()
    handle = perturb_thresholds(net)
    net.lif1.spike_grad, atan = lambda shift: (_ for _ in ()).throw(error("stop")), net.lif1.spike_grad
    with pytest.raises(error, match="stop"):
        net(inputs)
    assert not {"threshold", "fire", "fire_inhibition"} & set(vars(net.lif1))
    first, net.lif1.spike_grad = handle.factors["lif1"], atan
    net(inputs[:, :2])
    assert handle.factors["lif1"].shape[0] == 2 != first.shape[0]


def test_learned_thresholds_get_their_gradients(inputs):
    torch.manual_seed(0)
    net = Net(learn_threshold=True)
    plain = copy.deepcopy(net)
    handle = perturb_thresholds(net, "uniform", low=0.7, high=0.7, layers="all")
    for neuron in (plain.lif1, plain.block[1], plain.lif3):
        neuron.threshold.data.mul_(0.7)
    for _ in range(2):  # two backward passes must not meet a freed graph
        net.zero_grad()
        net(inputs).sum().backward()
    plain(inputs).sum().backward()
    factor = handle.factors["lif1"].flatten()[0]
    for name, parameter in plain.named_parameters():
        expected = parameter.grad * (factor if "threshold" in name else 1)
        torch.testing.assert_close(net.get_parameter(name).grad, expected)
    assert plain.lif1.threshold.grad.abs() > 0


def test_stepwise_training_survives_backward_between_sequences():
    model = Step(learn_threshold=True)
    handle = perturb_thresholds(model, layers="all")
    for _ in range(3):
        with handle.sequence():
            for neuron in (model.lif1, model.lif2):
                neuron.mem = neuron.mem.detach()
            sum(sum(model(torch.rand(BATCH, 1))).sum() for _ in range(STEPS)).backward()
    assert model.lif1.threshold.grad.isfinite()


def test_activation_checkpointing_works_inside_a_sequence():
    model, x = nn.Sequential(snn.Leaky(beta=0.9), nn.Linear(1, 1)), torch.rand(BATCH, 1, requires_grad=True)
    handle = perturb_thresholds(model, seed=0)
    with handle.sequence():
        spikes, _ = checkpoint(model[0], x, torch.zeros(BATCH, 1), use_reentrant=False)
        spikes.sum().backward()
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize("way", ["deepcopy", "pickle", "torch.save"])
@torch.no_grad()
def test_copies_are_perturbed_independently(inputs, way):
    net = Net(surrogate_disable=True)
    handle = perturb_thresholds(net, per=("sample", "layer"), seed=0)
    set_threshold_scale(net, 0.8)
    net(inputs)
    if way == "torch.save":
        torch.save(net, buffer := io.BytesIO())
        buffer.seek(0)
        twin = torch.load(buffer, weights_only=False)
    else:
        twin = copy.deepcopy(net) if way == "deepcopy" else pickle.loads(pickle.dumps(net))
    other = get_perturbation(twin)
    assert other is not handle
    assert torch.equal(twin(inputs), net(inputs))  # the copy's generator goes on where the original's stood
    assert torch.equal(other.factors["lif1"], handle.factors["lif1"])
    other.remove()
    set_threshold_scale(twin, 1.0)
    twin(inputs)
    assert "forward" not in vars(twin.lif1) | vars(twin)
    last = handle.factors["lif1"]
    net(inputs)
    assert not torch.equal(handle.factors["lif1"], last)
    assert get_threshold_scale(net)["lif1"] == 0.8


def test_a_copy_made_inside_a_sequence_is_not_in_one(inputs):
    net = Net()
    with perturb_thresholds(net).sequence():
        twin = copy.deepcopy(net)
    twin(inputs)
    first = get_perturbation(twin).factors["lif1"]
    twin(inputs)
    assert not torch.equal(get_perturbation(twin).factors["lif1"], first)


def test_a_module_of_two_layers_shares_its_factors():
    shared = snn.Leaky(beta=0.9)
    model = nn.ModuleDict({"lif": shared, "out": nn.Linear(1, 1)})
    with perturb_thresholds(model) as handle, handle.sequence():
        shared(torch.rand(BATCH, 2, 3), torch.zeros(BATCH, 2, 3))
        first = handle.factors["lif"]
        shared(torch.rand(BATCH, 4), torch.zeros(BATCH, 4))
        assert torch.equal(handle.factors["lif"].flatten(), first.flatten())
    with perturb_thresholds(model, per="neuron") as handle, handle.sequence():
        shared(torch.rand(BATCH, 3), torch.zeros(BATCH, 3))
        with pytest.raises(ModelError, match=r"lif: found neurons of shape \(4,\) after \(3,\) in one pass"):
            shared(torch.rand(BATCH, 4), torch.zeros(BATCH, 4))


def test_a_single_neuron_model():
    neuron = snn.Leaky(beta=0.9, init_hidden=True)
    with perturb_thresholds(neuron, layers="all") as handle:
        set_threshold_scale(neuron, {"": 2.0})
        neuron(torch.rand(BATCH, 1))
        assert handle.factors[""].shape == (BATCH, 1)
        neuron(torch.rand(()))
        assert handle.factors[""].shape == ()
    set_threshold_scale(neuron, {"": 1.0})
    for _ in range(2):
        neuron(torch.rand(()))
    assert "forward" not in vars(neuron)


def test_repr_says_what_is_attached():
    with perturb_thresholds(Net(), per=("neuron", "sample")) as handle:
        text = (
            "Perturbation(log-uniform(low=0.5, high=2), multiplicative, per sample+neuron, layers=['lif1', 'block.1'])"
        )
        assert repr(handle) == text


# --- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"distribution": "cauchy"}, "distribution: found 'cauchy', allowed: 'log-uniform'"),
        ({"distribution": None}, "distribution: found None"),
        ({"mode": "subtractive"}, "mode: found 'subtractive', allowed: 'multiplicative', 'additive'"),
        ({"mode": "additive"}, "'log-uniform' gives factors, found mode='additive'.*use 'gaussian' or 'uniform'"),
        ({"distribution": "log-normal", "sigma": 1, "mode": "additive"}, "'log-normal' gives factors"),
        ({"low": 0.0}, "low: found 0, allowed: above 0"),
        ({"distribution": "uniform", "low": -1, "high": 1}, "low: found -1.*use mode='additive'"),
        ({"low": 3.0}, "low: found 3, above high=2"),
        ({"high": math.inf}, "high: found inf, allowed: a finite number"),
        ({"low": math.nan}, "low: found nan"),
        ({"low": "1"}, "low: found '1'"),
        ({"low": True}, "low: found True"),
        ({"distribution": "uniform", "low": 1}, "high: missing for distribution 'uniform'"),
        ({"distribution": "gaussian"}, "sigma: missing"),
        ({"distribution": "gaussian", "sigma": -0.1}, "sigma: found -0.1, allowed: 0 or more"),
        ({"distribution": "gaussian", "sigma": 0.1, "low": 1.0}, "low: found 1.0, but .*'gaussian' takes only sigma"),
        ({"sigma": 0.1}, "sigma: found 0.1, but .* takes only low, high"),
        ({"per": "time"}, "per: found 'time', allowed: 'batch', 'sample', 'layer', 'neuron'"),
        ({"per": ()}, r"per: found \(\)"),
        ({"per": ("sample", 3)}, "per: found"),
        ({"per": None}, "per: found None"),
        ({"layers": "lif1"}, r"layers: found 'lif1', allowed: 'hidden', 'all'.*lif1, block\.1, lif3"),
        ({"layers": []}, r"layers: found \[\]"),
        ({"layers": ["lif1", "lif7"]}, r"found 'lif7', allowed: the spiking layers lif1, block\.1, lif3"),
        ({"layers": [["lif1"]]}, r"found \['lif1'\]"),
        ({"seed": 1.5}, "seed: found 1.5"),
        ({"seed": -1}, "seed: found -1"),
        ({"seed": True}, "seed: found True"),
        ({"seed": 1, "generator": torch.Generator()}, "seed: found 1 beside a generator"),
        ({"generator": 1}, "generator: found int"),
    ],
    ids=str,
)
def test_bad_settings_are_refused_and_attach_nothing(options, message):
    net = Net()
    with pytest.raises(InputError, match=message):
        perturb_thresholds(net, **options)
    assert "forward" not in vars(net) | vars(net.lif1)


def test_attaching_twice_is_refused_wherever():
    net = Net()
    outer = nn.ModuleDict({"net": net, "out": nn.Linear(2, 2)})
    handle = perturb_thresholds(net)
    for model, name in ((net, "lif1"), (net.block, "1"), (outer, r"net\.lif1"), (net.lif3, "itself")):
        with pytest.raises(ModelError, match=f"{name}.*: found a perturbation attached already.*remove"):
            perturb_thresholds(model, layers="all")
    handle.remove()
    perturb_thresholds(outer).remove()


def test_models_that_cannot_be_perturbed():
    with pytest.raises(InputError, match="model: found str"):
        perturb_thresholds("net")
    with pytest.raises(ModelError, match="Linear: found no spiking layer"):
        perturb_thresholds(nn.Linear(1, 1))
    with pytest.raises(ModelError, match=r"1: found the output as the only spiking layer.*layers='all'"):
        perturb_thresholds(nn.Sequential(nn.Linear(1, 1), snn.Leaky(beta=0.9)))
    with pytest.raises(ModelError, match="0: found a threshold of 0, allowed: above 0"):
        perturb_thresholds(nn.Sequential(snn.Leaky(beta=0.9, threshold=0.0), nn.Linear(1, 1)))
    with pytest.raises(ModelError, match=r"found nn\.DataParallel"):
        perturb_thresholds(nn.DataParallel(Net()))


def test_a_batch_that_changes_within_a_pass_is_refused():
    model = Step()
    handle = perturb_thresholds(model, layers="all")
    with handle.sequence():
        model(torch.rand(BATCH, 1))
        with pytest.raises(ModelError, match="lif1: found a batch of 2, but this pass began with 5"):
            model(torch.rand(2, 1))
        handle.redraw()
        model(torch.rand(2, 1))
    handle.remove()
    with perturb_thresholds(model, layers="all", per="neuron") as handle, handle.sequence():
        model(torch.rand(BATCH, 1))
        model(torch.rand(2, 1))


def test_a_training_step_outside_a_pass_is_refused():
    model = Step()
    perturb_thresholds(model, layers="all")
    for _ in range(2):
        with pytest.raises(ModelError, match=r"lif1: found a training step outside a forward pass.*handle\.sequence"):
            model.lif1(torch.rand(BATCH, 1))
        model(torch.rand(BATCH, 1))
    model.eval()
    assert model.lif1(torch.full((BATCH, 1), 1.5)).sum() == BATCH
