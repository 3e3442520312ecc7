"""Export: every form in which snnTorch models are written arrives spike for spike, in all populations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import snntorch
import torch
from torch import Tensor, nn
from torch.nn import functional

from aspen.exporting import export
from aspen.network.network import Conv, Dense, Sparse
from tests.spiking_models import BATCH, STEPS, compare, dyadic, leaky, record_model, same_spikes, settle, spikes, step


class Static(nn.Module):
    """snnTorch's tutorial 5: one image, the same at every step."""

    def __init__(self, steps: int = STEPS) -> None:
        super().__init__()
        self.steps = steps
        self.fc1, self.lif1 = nn.Linear(6, 5), leaky()
        self.fc2, self.lif2 = nn.Linear(5, 3), leaky()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spk2_rec, mem2_rec = [], []
        for _ in range(self.steps):
            spk1, mem1 = self.lif1(self.fc1(x), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spk2_rec.append(spk2)
            mem2_rec.append(mem2)
        return torch.stack(spk2_rec, dim=0), torch.stack(mem2_rec, dim=0)


def test_tutorial_5_repeats_one_image_as_a_direct_current() -> None:
    sample = dyadic(np.random.default_rng(1), STEPS, BATCH, 6).abs()
    network = same_spikes(settle(Static()), sample, static=True)
    assert network.input.current
    assert not same_spikes(settle(Static()), spikes(6), static=True).input.current


class Csnn(nn.Module):
    """snnTorch's tutorial 6, with average for max pooling, called functionally."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.lif1 = nn.Conv2d(1, 3, 3), leaky()
        self.conv2, self.lif2 = nn.Conv2d(3, 4, 2, padding=1, bias=False), leaky()
        self.fc1, self.lif3 = nn.Linear(16, 4), leaky()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mem1, mem2, mem3 = self.lif1.reset_mem(), self.lif2.reset_mem(), self.lif3.reset_mem()
        spk_rec, mem_rec = [], []
        for image in x:
            spk1, mem1 = self.lif1(functional.avg_pool2d(self.conv1(image), 2), mem1)
            spk2, mem2 = self.lif2(self.conv2(spk1), mem2)
            flat = functional.dropout(functional.avg_pool2d(spk2, 2), 0.5, self.training).view(image.size(0), -1)
            spk3, mem3 = self.lif3(self.fc1(flat), mem3)
            spk_rec.append(spk3)
            mem_rec.append(mem3)
        return torch.stack(spk_rec), torch.stack(mem_rec)


def test_tutorial_6_convolutions_and_pools() -> None:
    network = same_spikes(settle(Csnn()), spikes(1, 10, 10))
    kinds = {connection.name: type(connection) for connection in network.connections}
    assert kinds == {"input->lif1": Sparse, "lif1->lif2": Conv, "lif2->lif3": Dense}
    assert network["lif2"].shape == (4, 5, 5)


@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_tutorial_6_and_7_a_sequential_with_hidden_states() -> None:
    model = nn.Sequential(
        nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.BatchNorm2d(3), leaky(init_hidden=True),
        nn.AvgPool2d(2), nn.Conv2d(3, 3, 2, padding="same"), leaky(init_hidden=True), nn.Dropout(0.5),
        nn.Flatten(), nn.Linear(12, 8), nn.BatchNorm1d(8), leaky(init_hidden=True),
        nn.Linear(8, 3), leaky(init_hidden=True, output=True),
    )  # fmt: skip
    network = same_spikes(settle(model), spikes(2, 8, 8), stepwise=True)
    assert network.names == ["input", "layer2", "layer5", "layer10", "layer12"]
    assert isinstance(network.connections[0], Conv)


class Explicit(nn.Module):
    """snnTorch's documentation: one step, the states taken and returned."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(6, 5), leaky()
        self.fc2, self.lif2 = nn.Linear(5, 3), snntorch.Synaptic(alpha=0.5, beta=0.75, spike_grad=step)

    def forward(self, x: Tensor, mem1: Tensor, syn2: Tensor, mem2: Tensor) -> tuple[Tensor, ...]:
        spk1, mem1 = self.lif1(self.fc1(x), mem1)
        spk2, syn2, mem2 = self.lif2(self.fc2(spk1), syn2, mem2)
        return spk2, mem1, syn2, mem2


def test_one_step_with_its_states_taken_and_returned() -> None:
    model, sample = settle(Explicit()), spikes(6)
    network = export(model, sample)

    def threaded() -> None:
        states = [torch.zeros(0)] * 3
        for values in sample:
            _, *states = model(values, *states)

    compare(network, record_model(model, threaded), sample)


class Recurrent(nn.Module):
    """snnTorch's documentation of ``RLeaky`` and ``RSynaptic``: all to all, and one to one."""

    def __init__(self, synaptic: bool) -> None:
        super().__init__()
        self.synaptic = synaptic
        kind, decays = (snntorch.RSynaptic, (0.5, 0.75)) if synaptic else (snntorch.RLeaky, (0.75,))
        one_to_one = {"all_to_all": False, "V": torch.tensor([0.5, -0.25, 1.0]).double()}
        self.fc1, self.lif1 = nn.Linear(6, 5), kind(*decays, linear_features=5, spike_grad=step)
        self.fc2, self.lif2 = nn.Linear(5, 3), kind(*decays, **one_to_one, spike_grad=step, reset_mechanism="zero")

    def forward(self, x: Tensor) -> Tensor:
        state1, state2 = self.lif1.reset_mem(), self.lif2.reset_mem()
        record = []
        for values in x:
            state1 = self.lif1(self.fc1(values), *state1)
            state2 = self.lif2(self.fc2(state1[0]), *state2)
            record.append(state2[0])
        return torch.stack(record)


@pytest.mark.parametrize("synaptic", [False, True])
def test_recurrent_neurons(synaptic: bool) -> None:
    network = same_spikes(settle(Recurrent(synaptic)), spikes(6))
    loops = {c.name: c for c in network.connections if c.source == c.target}
    assert isinstance(loops["lif1->lif1"], Dense)
    assert isinstance(loops["lif2->lif2"], Sparse)
    assert loops["lif1->lif1"].delay == 1
    assert network["lif2"].neuron.reset == "zero-delayed"


def test_recurrent_convolution() -> None:
    lif = snntorch.RLeaky(0.5, conv2d_channels=2, kernel_size=3, init_hidden=True, spike_grad=step)
    network = same_spikes(settle(nn.Sequential(nn.Conv2d(1, 2, 3), lif)), spikes(1, 6, 6), stepwise=True)
    assert [type(c) for c in network.connections] == [Conv, Conv]


class Block(nn.Module):
    def __init__(self, n_in: int, n_out: int, **options: Any) -> None:
        super().__init__()
        self.linear, self.norm, self.lif = nn.Linear(n_in, n_out), nn.BatchNorm1d(n_out), leaky(**options)

    def forward(self, x: Tensor) -> Tensor:
        return self.lif(self.norm(self.linear(x)))  # type: ignore[no-any-return]


def test_nested_modules() -> None:
    inner = nn.Sequential(Block(6, 5, init_hidden=True), nn.Sequential(Block(5, 4, init_hidden=True)))
    model = nn.Sequential(inner, Block(4, 3, init_hidden=True))
    network = same_spikes(settle(model), spikes(6), stepwise=True)
    assert network.names == ["input", "layer0.0.lif", "layer0.1.0.lif", "layer1.lif"]


class Wired(nn.Module):
    """Two hidden layers and an output that is wired by ``join(self, x, s1, s2, past)``."""

    def __init__(self, join: Callable[..., Tensor], n: int = 5) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(6, 5), leaky()
        self.fc2, self.lif2 = nn.Linear(5, 5), leaky(reset_mechanism="zero")
        self.fc3, self.fc4, self.lif3 = nn.Linear(n, 3), nn.Linear(5, 3), leaky()
        self.join = join

    def forward(self, x: Tensor) -> Tensor:
        mem1, mem2, mem3 = self.lif1.reset_mem(), self.lif2.reset_mem(), self.lif3.reset_mem()
        past, record = torch.zeros(x.shape[1], 3, dtype=x.dtype), []
        for t in range(x.shape[0]):
            s1, mem1 = self.lif1(self.fc1(x[t]), mem1)
            s2, mem2 = self.lif2(self.fc2(s1), mem2)
            past, mem3 = self.lif3(self.join(self, x[t], s1, s2, past), mem3)
            record.append(past)
        return torch.stack(record)


def add_in_place(m: Any, x: Tensor, s1: Tensor, s2: Tensor, past: Tensor) -> Tensor:
    current = m.fc3(s1)
    current += m.fc4(s2)
    current.add_(m.fc4(s1))
    return current  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("join", "n", "delays"),
    [
        (lambda m, x, s1, s2, past: m.fc3(s1) + m.fc4(s2), 5, {"lif1": 0, "lif2": 0}),
        (lambda m, x, s1, s2, past: torch.add(m.fc3(s1), m.fc4(s2)), 5, {"lif1": 0, "lif2": 0}),
        (add_in_place, 5, {"lif1": 0, "lif2": 0}),
        (lambda m, x, s1, s2, past: m.fc3(s1 + s2) + m.fc4(s1), 5, {"lif1": 0, "lif2": 0}),
        (lambda m, x, s1, s2, past: m.fc3(torch.cat([s1, s2], dim=1)), 10, {"lif1": 0, "lif2": 0}),
        (lambda m, x, s1, s2, past: m.fc3(torch.cat((s2, x, past), -1)), 14, {"lif2": 0, "input": 0, "lif3": 1}),
        (lambda m, x, s1, s2, past: m.fc4(s2) + m.fc3(past), 3, {"lif2": 0, "lif3": 1}),
        (lambda m, x, s1, s2, past: m.fc4(s2) - 0.5 * past + 0.25, 5, {"lif2": 0, "lif3": 1}),
        (lambda m, x, s1, s2, past: m.fc3(s2[:, 1:4]) + m.fc4(s2).mul(0.5), 3, {"lif2": 0}),
        (lambda m, x, s1, s2, past: functional.linear(s2, m.fc3.weight, m.fc3.bias), 5, {"lif2": 0}),
    ],
)
def test_skips_and_feedback(join: Any, n: int, delays: dict[str, int]) -> None:
    network = same_spikes(settle(Wired(join, n)), spikes(6))
    assert {c.source: c.delay for c in network.incoming("lif3")} == delays
    assert network.output == "lif3"


def test_a_residual_of_convolutions_adds_spikes() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.lif1 = nn.Conv2d(2, 3, 3, padding=1), leaky()
            self.conv2, self.norm, self.lif2 = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), leaky()
            self.fc, self.lif3 = nn.Linear(75, 3), leaky()

        def forward(self, x: Tensor) -> list[Tensor]:
            record = []
            for image in x.unbind(0):
                s1, _ = self.lif1(self.conv1(image))
                s2, _ = self.lif2(self.norm(self.conv2(s1)))
                record.append(self.lif3(self.fc((s2 + s1).flatten(1)))[0])
            return record

    network = same_spikes(settle(Residual()), spikes(2, 5, 5))
    weights = [c.weight for c in network.incoming("lif3")]
    assert len(weights) == 2
    np.testing.assert_array_equal(weights[0], weights[1])


def test_layer_after_layer_over_time() -> None:
    class LayerWise(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.lif1, self.fc2, self.lif2 = nn.Linear(6, 5), leaky(), nn.Linear(5, 3), leaky()

        def forward(self, x: Tensor) -> Tensor:
            hidden = [self.lif1(self.fc1(values))[0] for values in x]
            return torch.stack([self.lif2(self.fc2(values))[0] for values in hidden])

    same_spikes(settle(LayerWise()), spikes(6))


def test_a_normed_weight_is_exported_as_it_acts() -> None:
    model = settle(nn.Sequential(nn.Linear(6, 5), leaky(init_hidden=True)))
    nn.utils.parametrizations.weight_norm(model[0])
    network = same_spikes(model, spikes(6), stepwise=True)
    np.testing.assert_allclose(network.connections[0].weight, model[0].weight.detach().numpy(), rtol=1e-15)


def test_a_hook_on_a_layer_counts() -> None:
    model = nn.Sequential(nn.Linear(6, 5), leaky(init_hidden=True))
    model[0].register_forward_hook(lambda module, inputs, output: 2 * output)
    network = same_spikes(settle(model), spikes(6), stepwise=True)
    np.testing.assert_array_equal(network.connections[0].weight, 2 * model[0].weight.detach().numpy())


def test_graded_spikes_go_into_the_outgoing_weights() -> None:
    factor = torch.tensor([0.5, 2.0, -1.0, 0.25, 1.0]).double()
    for graded in (2.0, factor):
        for delay in (True, False):
            lif = leaky(init_hidden=True, graded_spikes_factor=graded, reset_delay=delay)
            model = nn.Sequential(nn.Linear(6, 5), lif, nn.Linear(5, 3), leaky(init_hidden=True))
            network = same_spikes(settle(model), spikes(6), stepwise=True)
            expected = model[2].weight.detach() * graded
            np.testing.assert_array_equal(network.connections[1].weight, expected.numpy())


def test_analog_input_is_a_direct_current() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 5), leaky(init_hidden=True))
    sample = dyadic(np.random.default_rng(2), STEPS, BATCH, 2, 3)
    network = same_spikes(settle(model), sample, stepwise=True)
    assert network.input.current


def test_one_dimensional_convolutions_pads_and_unflatten() -> None:
    model = nn.Sequential(
        nn.Unflatten(1, (2, 8)), nn.ConstantPad1d((2, 1), 0.0), nn.Conv1d(2, 4, 3, dilation=2, groups=2),
        leaky(init_hidden=True, threshold=torch.tensor([[0.5], [1.0], [0.75], [1.5]]).double()),
        nn.ZeroPad1d(1), nn.AvgPool1d(2), nn.BatchNorm1d(4), nn.Conv1d(4, 2, 3, padding=1), leaky(init_hidden=True),
    )  # fmt: skip
    network = same_spikes(settle(model), spikes(16), stepwise=True)
    assert network["layer3"].neuron.threshold.shape == (4, 7)


def test_pictures_of_a_batch_normed_convolution_arrive_exactly() -> None:
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), leaky(init_hidden=True)).eval()
    model[1].running_mean.uniform_(-1, 1)
    model[1].running_var.uniform_(0.5, 2)
    connection = export(model, spikes(2, 5, 5).float()).connections[0]
    values = spikes(2, 5, 5)[0]
    twin = nn.Sequential(model[0], model[1]).double()
    found = connection.drive(values.reshape(BATCH, -1).numpy()) + connection.bias_currents()
    with torch.no_grad():
        np.testing.assert_allclose(found, twin(values).reshape(BATCH, -1).numpy(), rtol=1e-13, atol=1e-14)
