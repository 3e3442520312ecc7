"""The threshold knob on whole models: which layers it turns, no trace, copies, gradients, refusals."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
from typing import Any

import numpy as np
import pytest
import snntorch as snn
import torch
from torch import Tensor, nn

from aspen.errors import InputError, ModelError
from aspen.thresholds.knob import get_threshold_scale, set_threshold_scale
from tests.aspen.thresholds.knob_models import BATCH, RESETS, STEPS, N, as_hidden, run


class Net(nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(N, 6), snn.Leaky(beta=0.9, **options)
        self.block = nn.Sequential(nn.Linear(6, 5), snn.Leaky(beta=0.9, init_hidden=True, **options))
        self.fc3, self.lif3 = nn.Linear(5, 2), snn.Leaky(beta=0.9, **options)

        for layer in (self.fc1, self.block[0], self.fc3):
            layer.weight.data.abs_()  # so that spikes reach the output

    def forward(self, xs: Tensor) -> Tensor:
        mem1, mem3, out = self.lif1.reset_mem(), self.lif3.reset_mem(), []
        self.block[1].reset_mem()
        for x in xs:
            spikes, mem1 = self.lif1(self.fc1(x), mem1)
            spikes, mem3 = self.lif3(self.fc3(self.block(spikes)), mem3)
            out.append(spikes)
        return torch.stack(out)


@pytest.fixture
def inputs() -> Tensor:
    torch.manual_seed(3)
    return torch.rand(STEPS, BATCH, N) * 4


def test_a_float_turns_hidden_layers_and_a_mapping_those_it_names():
    net = Net()
    assert get_threshold_scale(net) == {"lif1": 1.0, "block.1": 1.0, "lif3": 1.0}
    set_threshold_scale(net, 2)
    set_threshold_scale(net, {"block.1": 0.5, "lif3": 3.0})
    assert get_threshold_scale(net) == {"lif1": 2.0, "block.1": 0.5, "lif3": 3.0}
    assert get_threshold_scale(net.block) == {"1": 0.5}
    set_threshold_scale(net, np.float32(1.5))
    assert get_threshold_scale(net) == {"lif1": 1.5, "block.1": 1.5, "lif3": 3.0}


@pytest.mark.parametrize("training", [True, False])
def test_the_knob_works_in_training_and_evaluation(inputs, training):
    net = Net().train(training)
    plain = copy.deepcopy(net)
    set_threshold_scale(net, {"lif1": 0.5, "block.1": 0.6, "lif3": 0.7})
    for neuron, factor in ((plain.lif1, 0.5), (plain.block[1], 0.6), (plain.lif3, 0.7)):
        neuron.threshold.mul_(factor)
    assert torch.equal(net(inputs), plain(inputs))
    assert net(inputs).sum() > 0


def test_no_trace_before_during_or_after(inputs):
    net, plain = Net(), Net()
    net(inputs)
    keys = [set(vars(module)) for module in net.modules()]
    saved, parameters = net.state_dict(), list(net.parameters())
    set_threshold_scale(net, 2.0)
    net(inputs)
    assert float(net.lif1.threshold) == 1.0
    assert list(net.state_dict()) == list(saved)
    assert all(one is two for one, two in zip(net.parameters(), parameters, strict=True))
    plain.load_state_dict(net.state_dict())
    net.load_state_dict(plain.state_dict())
    set_threshold_scale(net, 1.0)
    net(inputs)
    assert [set(vars(module)) for module in net.modules()] == keys
    set_threshold_scale(net, {"lif1": 2.0, "lif3": 2.0})
    set_threshold_scale(net, {"lif1": 1.0, "lif3": 1.0})
    assert [set(vars(module)) for module in net.modules()] == keys
    assert torch.equal(net(inputs), plain(inputs))


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_inside_a_step_leaves_no_shadow(inputs, error):
    net, failing = Net(), [True]

    def surrogate(shift: Tensor) -> Tensor:
        if failing:
            raise error("stop")
        return (shift > 0).float()

    net.lif1.spike_grad = surrogate
    set_threshold_scale(net, 2.0)
    for _ in range(2):
        with pytest.raises(error, match="stop"):
            net(inputs)
        assert not {"threshold", "fire", "fire_inhibition"} & set(vars(net.lif1))
    failing.clear()
    assert net(inputs).shape == (STEPS, BATCH, 2)


def copies_of(net: nn.Module) -> dict[str, nn.Module]:
    buffer = io.BytesIO()
    torch.save(net, buffer)
    buffer.seek(0)
    saved = torch.load(buffer, weights_only=False)
    return {"deepcopy": copy.deepcopy(net), "pickle": pickle.loads(pickle.dumps(net)), "torch.save": saved}


@pytest.mark.parametrize("way", ["deepcopy", "pickle", "torch.save"])
@torch.no_grad()  # snnTorch's membranes are buffers, and torch does not copy tensors with a history
def test_copies_carry_a_knob_of_their_own(inputs, way):
    net = Net(surrogate_disable=True)  # snnTorch's default surrogate is a closure, which does not pickle
    set_threshold_scale(net, 0.5)
    expected = net(inputs)
    twin = copies_of(net)[way]
    assert get_threshold_scale(twin) == get_threshold_scale(net)
    assert torch.equal(twin(inputs), expected)
    set_threshold_scale(twin, 4.0)
    assert get_threshold_scale(net)["lif1"] == 0.5
    assert torch.equal(net(inputs), expected)
    assert not torch.equal(twin(inputs), expected)
    assert twin.lif1.state_function.__self__ is twin.lif1
    set_threshold_scale(twin, 1.0)
    twin(inputs)
    assert "forward" not in vars(twin.lif1)
    assert "forward" in vars(net.lif1)


def test_learned_thresholds_get_their_gradient_through_the_scale(inputs):
    net = Net(learn_threshold=True)
    plain = copy.deepcopy(net)
    set_threshold_scale(net, {"lif1": 0.5, "lif3": 0.5})
    with torch.no_grad():
        plain.lif1.threshold.mul_(0.5)
        plain.lif3.threshold.mul_(0.5)
    for _ in range(2):  # a second backward must not meet a freed graph
        for model in (net, plain):
            model.zero_grad()
            model(inputs).sum().backward()
    assert float(plain.lif1.threshold.grad) != 0
    torch.testing.assert_close(net.lif1.threshold.grad, 0.5 * plain.lif1.threshold.grad)
    torch.testing.assert_close(net.fc1.weight.grad, plain.fc1.weight.grad)


def test_gradients_through_a_change_between_steps(inputs):
    net = Net(learn_threshold=True)
    neuron = net.lif1
    run(neuron, inputs, lambda t: set_threshold_scale(net, [1.0, 0.5, 2.0][t % 3]))[-1][1].sum().backward()
    first = neuron.threshold.grad.clone()
    run(neuron, inputs, lambda t: set_threshold_scale(net, [1.0, 0.5, 2.0][t % 3]))[-1][1].sum().backward()
    assert float(first) != 0
    torch.testing.assert_close(neuron.threshold.grad, 2 * first)


@pytest.mark.parametrize("reset", RESETS)
def test_precision_is_that_of_the_plain_neuron(reset):
    neuron, plain = (snn.Leaky(beta=0.9, reset_mechanism=reset) for _ in range(2))
    set_threshold_scale(as_hidden(neuron), 2.0)
    x = torch.ones(2, N, dtype=torch.bfloat16)
    assert [out.dtype for out in neuron(x)] == [out.dtype for out in plain(x)]


def test_a_forward_replaced_by_somebody_else_survives(inputs):
    net = Net()
    theirs = net.lif1.forward = lambda x, mem: snn.Leaky.forward(net.lif1, x + 1, mem)
    set_threshold_scale(net, 2.0)
    assert net.lif1(inputs[0], net.lif1.reset_mem())[1].min() >= 1
    set_threshold_scale(net, {"lif1": 3.0})
    assert list(inspect.signature(net.lif1.forward).parameters) == ["x", "mem"]
    guard, outer = net.lif1.forward, lambda x, mem: guard(x, mem)
    net.lif1.forward = outer
    guard.turn(1.0)
    for x in inputs[:3]:
        net.lif1(x, net.lif1.reset_mem())
    assert net.lif1.forward is outer
    net.lif1.forward = theirs
    assert get_threshold_scale(net)["lif1"] == 1.0


def test_a_fire_replaced_by_somebody_else_survives():
    neuron, calls = snn.Leaky(beta=0.9), []
    model = as_hidden(neuron)
    theirs = neuron.fire = lambda mem: calls.append(1) or snn.Leaky.fire(neuron, mem)
    run(neuron, torch.ones(4, 1, N), lambda t: set_threshold_scale(model, 1.0 + t))
    assert len(calls) == 4
    assert neuron.fire is theirs


class Inlined(snn.Leaky):
    """Spikes without calling ``fire``."""

    def forward(self, x: Tensor) -> Tensor:
        self.reset = self.mem_reset(self.mem) if self.mem.shape == x.shape else torch.zeros_like(x)
        self.mem = (self.mem if self.mem.shape == x.shape else 0) * self.beta + x - self.reset * self.threshold
        return self.spike_grad(self.mem - self.threshold)


def test_a_neuron_that_fires_in_its_own_way_is_refused_only_when_the_threshold_changes():
    neuron = Inlined(beta=0.9)
    model = as_hidden(neuron)
    set_threshold_scale(model, 2.0)
    assert neuron(torch.full((1, N), 1.5)).sum() == 0
    set_threshold_scale(model, 1.2)
    with pytest.raises(ModelError, match=r"lif: Inlined\.forward spiked without calling fire"):
        neuron(torch.zeros(1, N))
    assert "threshold" not in vars(neuron)


@pytest.mark.parametrize("bad", [0, -1.0, float("nan"), float("inf"), "2", True, None, [1.0, 2.0]])
def test_bad_factors_are_refused_and_change_nothing(bad):
    net = Net()
    with pytest.raises(InputError, match=r"threshold_scale of .*: found .*allowed"):
        set_threshold_scale(net, bad)
    with pytest.raises(InputError, match="threshold_scale of lif1"):
        set_threshold_scale(net, {"lif3": 2.0, "lif1": bad})
    assert set(get_threshold_scale(net).values()) == {1.0}


def test_unknown_names_are_answered_with_the_known_ones():
    for name in ("lif9", "fc1", 3):
        with pytest.raises(InputError, match=r"found .*allowed: the spiking layers lif1, block\.1, lif3"):
            set_threshold_scale(Net(), {name: 2.0})


def test_models_that_cannot_be_dialled():
    with pytest.raises(InputError, match=r"found int, allowed: torch\.nn\.Module"):
        get_threshold_scale(3)
    with pytest.raises(ModelError, match="no spiking layer"):
        set_threshold_scale(nn.Linear(2, 2), 2.0)
    with pytest.raises(ModelError, match=r"only spiking layer.*pass layers='all', or \{'1': scale\}"):
        set_threshold_scale(nn.Sequential(nn.Linear(2, 2), snn.Leaky(beta=0.9)), 2.0)
    with pytest.raises(ModelError, match="lif: found a threshold of -1, allowed: above 0"):
        set_threshold_scale(as_hidden(snn.Leaky(beta=0.9, threshold=-1.0)), 2.0)
    parametrized = as_hidden(snn.Leaky(beta=0.9, learn_threshold=True))
    nn.utils.parametrize.register_parametrization(parametrized["lif"], "threshold", nn.Softplus())
    with pytest.raises(ModelError, match=r"lif: .* threshold as an attribute of the class"):
        set_threshold_scale(parametrized, 2.0)


def test_neurons_that_do_not_step_are_named():
    from snntorch._neurons.leakykernel import LeakyKernel

    whole_sequence = [
        snn.LinearLeaky(beta=0.9, in_features=2, out_features=2),
        snn.AssociativeLeaky(2, 2, 2, 4),
        LeakyKernel(2, 2),
    ]
    for neuron in whole_sequence:
        with pytest.raises(ModelError, match=f"lif: {type(neuron).__name__} computes all time steps at once"):
            get_threshold_scale(as_hidden(neuron))


def test_which_layers_are_hidden():
    def leaky() -> nn.Module:
        return snn.Leaky(beta=0.9)

    def hidden(model: nn.Module) -> list[str]:
        set_threshold_scale(model, 2.0)
        return [name for name, scale in get_threshold_scale(model).items() if scale != 1]

    assert hidden(nn.Sequential(nn.Linear(2, 2), leaky(), nn.Linear(2, 2), leaky())) == ["1"]
    assert hidden(nn.Sequential(nn.Linear(2, 2), leaky(), nn.Linear(2, 2), leaky(), nn.Dropout())) == ["1"]
    assert hidden(nn.Sequential(nn.Linear(2, 2), leaky(), nn.Linear(2, 2))) == ["1"]
    recurrent_output = snn.RLeaky(beta=0.9, linear_features=2)  # its recurrent weights are no read-out
    assert hidden(nn.Sequential(nn.Linear(2, 2), leaky(), nn.Linear(2, 2), recurrent_output)) == ["1"]


def test_a_module_registered_twice():
    net = Net()
    net.everything = nn.ModuleList([net.fc1, net.lif1, *net.block, net.fc3, net.lif3])
    set_threshold_scale(net, {"everything.1": 2.0})
    assert get_threshold_scale(net) == {"lif1": 2.0, "block.1": 1.0, "lif3": 1.0}
    set_threshold_scale(net, 3.0)
    assert get_threshold_scale(net) == {"lif1": 3.0, "block.1": 3.0, "lif3": 1.0}
    neuron = snn.Leaky(beta=0.9)
    both = nn.Sequential(nn.Linear(2, 2), neuron, nn.Linear(2, 2), neuron)
    with pytest.raises(ModelError, match="cannot tell the output layer"):
        set_threshold_scale(both, 2.0)
    set_threshold_scale(both, {"1": 2.0})
    assert get_threshold_scale(both) == {"1": 2.0}


def test_functional_call_sees_the_knob(inputs):
    net = Net()
    set_threshold_scale(net, 0.5)
    with torch.no_grad():
        assert torch.equal(torch.func.functional_call(net, dict(net.named_parameters()), (inputs,)), net(inputs))
