"""Export: neurons whose state begins anew at each step, and maxima over the currents of these."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import snntorch
import torch
from snntorch import utils
from torch import Tensor, nn
from torch.nn import functional

import aspen
from aspen.errors import ExportWarning, ModelError
from aspen.exporting import export
from aspen.models.copying import known_to_snntorch
from aspen.network.network import Network, load_network
from aspen_emulator import profile, run
from aspen_emulator.measuring.parity import parity
from aspen_hardware import compile
from tests.spiking_models import settle, spikes, step


class Anew(nn.Module):
    """A convolution, perhaps a maximum over its currents, neurons, and one dense layer of neurons; one step."""

    def __init__(self, make: Any, pool: Any = None, n: int = 32) -> None:
        super().__init__()
        self.conv, self.lif1, self.fc, self.lif2 = nn.Conv2d(1, 2, 3), make(), nn.Linear(n, 3), make()
        self.pool = pool or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        made = self.lif1(self.pool(self.conv(x)), *_zeros(self.lif1))[0]
        return self.lif2(self.fc(made.flatten(1)), *_zeros(self.lif2))[0]  # type: ignore[no-any-return]


def _zeros(lif: Any) -> tuple[Tensor, ...]:
    states = lif.reset_mem()
    return states if isinstance(states, tuple) else (states,)


class Reset(Anew):
    """The same, its neurons reset by hand."""

    def forward(self, x: Tensor) -> Tensor:
        utils.reset(self)
        return self.lif2(self.fc(self.lif1(self.pool(self.conv(x))).flatten(1)))  # type: ignore[no-any-return]


def strong(model: nn.Module) -> nn.Module:
    """Settled, and with weights that let every layer spike on a current of one step."""
    settle(model)
    for layer in model.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            layer.weight.data += 0.25
    return model


def exported(model: nn.Module, sample: Tensor) -> Network:
    """The network, with the model's spikes in every population, also where the knob is turned."""
    with pytest.warns(ExportWarning, match=r"lif1, lif2: their state begins anew at each step.*keep the state between"):
        network = export(model, sample)
    given = sample.numpy().astype(np.uint8)
    for scale in (1.0, 0.5, 2.0):
        aspen.set_threshold_scale(model, {"lif1": scale, "lif2": scale})
        turned = run(network, given, dict.fromkeys(_turned(network), scale), record="spikes").rasters
        with torch.no_grad(), known_to_snntorch(model):  # other tests' DeltaLeaky make utils.reset fail
            wanted = torch.stack([model(frame) for frame in sample])
        np.testing.assert_array_equal(turned["lif2"].reshape(wanted.shape), wanted.numpy())
    aspen.set_threshold_scale(model, {"lif1": 1.0, "lif2": 1.0})
    assert all(d.different == 0 and d.spikes_before for d in parity(model, network, None, given).differences)
    return network


def _turned(network: Network) -> list[str]:
    return [name for name in network.order if not network[name].gate]


MAKES = {
    "Leaky": lambda: snntorch.Leaky(0.9, spike_grad=step),
    "guarded": lambda: snntorch.Leaky(0.9, spike_grad=step, reset_delay=False),
    "Synaptic": lambda: snntorch.Synaptic(0.8, 0.9, spike_grad=step),
    "Lapicque": lambda: snntorch.Lapicque(spike_grad=step, beta=0.5),
}
SAMPLE = spikes(1, 6, 6, density=0.4)


@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)
def test_neurons_that_begin_anew_have_no_memory_and_it_is_said(make: Any, tmp_path: Path) -> None:
    exported(strong(Anew(make)), SAMPLE).save(tmp_path / "a.aspen")
    network = load_network(tmp_path / "a.aspen")
    assert "lif1, lif2: their state begins anew at each step, so they have no memory: exported as such" in str(network)
    assert not network["lif1"].neuron.beta.any()  # type: ignore[union-attr]
    assert compile(network, "loihi1").network.order == network.order


def test_neurons_that_are_reset_by_hand_at_each_step_have_no_memory_either() -> None:
    hidden: Any = {"init_hidden": True}
    exported(strong(Reset(lambda: snntorch.Leaky(0.9, spike_grad=step, **hidden))), SAMPLE)


POOLS = {
    "layer": (nn.MaxPool2d(2), 8),
    "over the border": (nn.MaxPool2d(3, ceil_mode=True), 8),
    "padded": (nn.MaxPool2d(3, 2, padding=1), 8),
}


@pytest.mark.parametrize(("pool", "n"), POOLS.values(), ids=POOLS)
def test_a_maximum_over_the_currents_of_such_neurons_is_a_gate(pool: nn.Module, n: int) -> None:
    network = exported(strong(Anew(lambda: snntorch.Leaky(0.9, spike_grad=step), pool, n)), SAMPLE)
    assert [(p.name, p.gate) for p in network.populations][1:3] == [("lif1.each", False), ("lif1", True)]
    assert [c.kind for c in network.connections] == ["conv", "sparse", "dense"]
    assert compile(network, "loihi1").network["lif1"].gate


class Flat(nn.Module):
    """A maximum of one dimension over dense currents, by a function."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1, self.fc2, self.lif2 = (
            nn.Linear(6, 8),
            snntorch.Leaky(0.9, spike_grad=step),
            nn.Linear(4, 3),
            snntorch.Leaky(0.9, spike_grad=step),
        )

    def forward(self, x: Tensor) -> Tensor:
        made, _ = self.lif1(functional.max_pool1d(self.fc1(x), 2), self.lif1.reset_mem())
        return self.lif2(self.fc2(made), self.lif2.reset_mem())[0]  # type: ignore[no-any-return]


def test_a_maximum_by_a_function_is_one_too() -> None:
    exported(strong(Flat()), spikes(6))


def test_a_maximum_over_currents_in_front_of_neurons_with_memory_is_refused() -> None:
    class Keeps(Reset):
        def forward(self, x: Tensor) -> Tensor:
            return self.lif2(self.fc(self.lif1(self.pool(self.conv(x))).flatten(1)))  # type: ignore[no-any-return]

    with pytest.raises(ModelError, match="pool behind the neurons"):
        export(
            strong(Keeps(lambda: snntorch.Leaky(0.9, spike_grad=step, init_hidden=True), nn.MaxPool2d(2), 8)), SAMPLE
        )


def test_one_maximum_over_neurons_of_several_thresholds_is_refused() -> None:
    model = Anew(lambda: snntorch.Leaky(0.9, spike_grad=step), nn.MaxPool2d(2), 8)
    model.lif1 = snntorch.Leaky(0.9, spike_grad=step, threshold=torch.tensor([1.0, 2.0]).reshape(2, 1, 1))
    with pytest.raises(ModelError, match="lif1: found thresholds of its own"):
        export(strong(model), SAMPLE)


def test_a_state_that_begins_anew_at_some_steps_alone_is_refused() -> None:
    class Now(Reset):
        steps = 0

        def forward(self, x: Tensor) -> Tensor:
            self.steps += 1
            if self.steps % 3 == 0:
                utils.reset(self)
            return self.lif2(self.fc(self.lif1(self.conv(x)).flatten(1)))  # type: ignore[no-any-return]

    with pytest.raises(ModelError, match="'mem' changed between two steps"):
        export(strong(Now(lambda: snntorch.Leaky(0.9, spike_grad=step, init_hidden=True))), SAMPLE)


def test_a_profile_turns_the_neurons_in_front_of_a_maximum() -> None:
    model = strong(Anew(lambda: snntorch.Leaky(0.9, spike_grad=step), nn.MaxPool2d(2), 8))
    aspen.set_threshold_scale(model, {"lif1": 0.5})
    report = profile(model, SAMPLE, exported=True)
    assert report.notes[0].startswith("lif1, lif2: their state begins anew at each step")
    with pytest.warns(ExportWarning):
        trained = run(export(model, SAMPLE), SAMPLE.numpy().astype(np.uint8)).spikes
    made = {layer.name: layer.spikes for layer in report.counts.neurons}
    assert made["lif1.each"] > trained["lif1.each"].sum()
    assert report.exact
