"""Threshold perturbation: nothing but the thresholds of a pass ever changes, and what is refused."""

from __future__ import annotations

import copy
import io
import math
import pickle

import pytest
import snntorch as snn
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from aspen.errors import InputError, ModelError
from aspen.thresholds.knob import get_threshold_scale, set_threshold_scale
from aspen.thresholds.perturbation import get_perturbation, perturb_thresholds
from tests.aspen.thresholds.perturbed_models import BATCH, STEPS, Net, Step, random_inputs


@pytest.fixture
def inputs() -> Tensor:
    return random_inputs()


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
        ({"distribution": "cauchy"}, "distribution: found 'cauchy', allowed are log-uniform, uniform"),
        ({"distribution": None}, "distribution: found None"),
        ({"mode": "subtractive"}, "mode: found 'subtractive', allowed are multiplicative, additive"),
        ({"mode": "additive"}, "'log-uniform' gives factors, found mode='additive'.*use 'gaussian' or 'uniform'"),
        ({"distribution": "log-normal", "sigma": 1, "mode": "additive"}, "'log-normal' gives factors"),
        ({"low": 0.0}, "low: found 0, allowed: above 0"),
        ({"distribution": "uniform", "low": -1, "high": 1}, "low: found -1.*use mode='additive'"),
        ({"low": 3.0}, "low: found 3, above high=2"),
        ({"high": math.inf}, "high: found inf, allowed is a finite number"),
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
        ({"layers": []}, r"layers: found \(\)"),
        ({"layers": ["lif1", "lif7"]}, r"found 'lif7', allowed: the spiking layers lif1, block\.1, lif3"),
        ({"layers": [["lif1"]]}, r"found \['lif1'\]"),
        ({"seed": 1.5}, "seed: found 1.5"),
        ({"seed": -1}, "seed: found -1"),
        ({"seed": True}, "seed: found True"),
        pytest.param({"seed": 1, "generator": torch.Generator()}, "seed: found 1 beside a generator", id="both"),
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
        with pytest.raises(ModelError, match=f"{name}.*: found a perturbation or dial attached already.*remove"):
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
