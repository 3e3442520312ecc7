"""Neurons that a synapse onto themselves resets: what the chip's compartments do, on every engine, whatever turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import snntorch
import torch
from torch import Tensor, nn

from aspen.control import Manual
from aspen.dial.profile import DialProfile
from aspen.errors import InputError, NetworkError
from aspen.exporting import export
from aspen.network.files import load_network, save_network
from aspen.network.network import Dense, FixedLif, Lif, Network, Population, Sparse
from aspen.network.neurons import synapse_parts
from aspen.network.record import Record
from aspen.network.reset import ResetSynapse
from aspen_emulator import run, session
from aspen_emulator.engines.inputs import thresholds_for
from aspen_emulator.engines.lava.shim import lava_available
from aspen_emulator.streaming import Meter, Stream
from aspen_hardware import chip, compile, energy_model
from tests.emulator.engines.test_fast import assert_same
from tests.hardware.energy.recount import Array, of_eight_bits

STEPS, BATCH = 16, 3
LOIHI1 = chip("loihi1")


class Steps(nn.Module):
    """A layer, neurons with snnTorch's default reset, and a read-out layer of such neurons."""

    def __init__(self, shape: tuple[int, ...], first: nn.Module, hidden: nn.Module, size: int) -> None:
        super().__init__()
        self.shape, self.first, self.hidden = shape, first, hidden
        self.second, self.output = nn.Linear(size, 4), snntorch.Leaky(beta=0.8)

    def forward(self, x: Tensor) -> Tensor:
        recurrent = isinstance(self.hidden, snntorch.RLeaky)
        state = self.hidden.reset_mem() if recurrent else (self.hidden.reset_mem(),)
        out, outputs = self.output.reset_mem(), []
        for step in x:
            spikes, *state = self.hidden(self.first(step), *state)
            state = [spikes, state[-1]] if recurrent else state
            fired, out = self.output(self.second(spikes.flatten(1)), out)
            outputs.append(fired)
        return torch.stack(outputs)


@cache
def exported(name: str) -> tuple[Network, Array]:
    """A model of each form as a network, and spikes for it; exporting has compared the two."""
    torch.manual_seed(1)
    shape, first, hidden, size = {
        "dense": ((12,), nn.Linear(12, 10), snntorch.Leaky(beta=0.9), 10),
        "conv": ((1, 5, 5), nn.Conv2d(1, 2, 3), snntorch.Leaky(beta=0.7, threshold=0.6), 18),
        "recurrent": ((12,), nn.Linear(12, 9), snntorch.RLeaky(beta=0.8, linear_features=9), 9),
    }[name]
    model = Steps(shape, first, hidden, size)
    with torch.no_grad():
        for layer in (model.first, model.second):
            layer.weight.mul_(4).add_(0.1)
    spikes = (torch.rand(STEPS, BATCH, *shape) < 0.4).float()
    return export(model, spikes), spikes.numpy().astype(np.uint8)


def with_reset(network: Network, reset: str) -> Network:
    populations = tuple(
        p if p.neuron is None else replace(p, neuron=replace(p.neuron, reset=reset)) for p in network.populations
    )
    return replace(network, populations=populations)


def as_plain_synapses(network: Network) -> Network:
    """No reset, and a recurrent connection of each population with minus its thresholds, as anybody could write it."""
    connections = list(network.summed)
    for population in network.populations:
        neuron = population.neuron
        if neuron is None:
            continue
        weight, exponent = -np.broadcast_to(neuron.threshold, population.shape).reshape(-1), 0
        if isinstance(neuron, FixedLif):
            magnitudes, exponents = synapse_parts(-weight)
            (exponent,) = set(exponents.tolist())
            weight = -magnitudes
        n, own = population.size, [c for c in connections if c.source == c.target == population.name]
        for loop in own:
            connections[connections.index(loop)] = replace(loop, weight=loop.weight + np.diag(weight))
        if not own:
            places = np.arange(n)
            connections.append(
                Sparse(population.name, population.name, weight, places, places, (n, n), None, 1, exponent)
            )
    return replace(with_reset(network, "none"), connections=tuple(connections))


def same_spikes(one: Record, other: Record) -> bool:
    return all(np.array_equal(one.rasters[name], other.rasters[name]) for name in one.network.order)


@pytest.mark.parametrize("name", ["dense", "conv", "recurrent"])
def test_in_floating_point_spikes_are_those_of_the_default_reset(name: str) -> None:
    network, spikes = exported(name)
    wanted = run(network, spikes, record="spikes")
    assert all(network[each].neuron.reset == "subtract-delayed" for each in network.order)  # type: ignore[union-attr]
    assert all(0.05 < wanted.rasters[each].mean() < 0.9 for each in network.order)
    assert same_spikes(wanted, run(with_reset(network, "subtract-synapse"), spikes, record="spikes"))
    assert same_spikes(wanted, run(as_plain_synapses(network), spikes, record="spikes", engine="reference"))


@pytest.mark.parametrize("name", ["dense", "conv"])
def test_integers_do_what_a_plain_recurrent_synapse_does(name: str) -> None:
    """By the part of the engines that knows of no resets."""
    network, spikes = exported(name)
    deployed = compile(network, LOIHI1).network
    found, plain = (run(each, spikes, record="spikes") for each in (deployed, as_plain_synapses(deployed)))
    assert same_spikes(found, plain)
    for each in network.order:
        operations = plain.synaptic_operations[f"{each}->{each}"]
        assert operations.any()
        np.testing.assert_array_equal(found.synaptic_operations[f"{each}->{each} (reset)"], operations)
        np.testing.assert_array_equal(found.active_updates[each], plain.active_updates[each])


def profile_of(network: Network) -> DialProfile:
    rng = np.random.default_rng(0)
    slopes = {name: rng.uniform(0.2, 1, network[name].shape) for name in network.hidden}
    return DialProfile(slopes, {}, -1.0, 1.0)


TURNED: dict[str, Callable[[Network], object]] = {
    "steps": lambda network: np.linspace(0.4, 2.5, STEPS),
    "samples": lambda network: np.broadcast_to([0.4, 1.0, 2.0], (STEPS, BATCH)),
    "profile": lambda network: profile_of(network).scale(0.6),
}


@pytest.mark.parametrize("turned", TURNED)
@pytest.mark.parametrize("name", ["dense", "conv", "recurrent"])
def test_engines_agree_whatever_turns_the_thresholds(name: str, turned: str) -> None:
    network, spikes = exported(name)
    deployed = compile(network, LOIHI1, max_threshold_scale=4, profile=profile_of(network))
    scale = TURNED[turned](network)
    found = run(deployed, spikes, scale, record="membranes")
    assert_same(found, run(deployed, spikes, scale, record="membranes", engine="reference"))
    assert not same_spikes(found, run(deployed, spikes, record="spikes"))


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_a_session_that_is_turned_subtracts_what_the_spike_was_fired_under(engine: str) -> None:
    network, spikes = exported("dense")
    deployed = compile(network, LOIHI1)
    scales = np.where(np.arange(STEPS) < STEPS // 2, 0.5, 2.0)
    wanted = run(deployed, spikes[:, :1], scales, record="spikes", engine="reference").output
    with session(deployed, engine=engine) as live:
        for step, scale, expected in zip(spikes[:, :1], scales, wanted, strict=True):
            live.threshold_scale = scale
            np.testing.assert_array_equal(live.step(step), expected)


@pytest.mark.lava
@pytest.mark.timeout(120)
@pytest.mark.skipif(not lava_available(), reason="lava-nc is not installed")
def test_on_lava_its_own_synapses_give_the_same_spikes() -> None:
    """Lava's process for synapses brings minus the threshold a step after the spike; and the knob turns."""
    network, spikes = exported("conv")
    deployed, few = compile(network, LOIHI1), spikes[:, :2]
    wanted = run(deployed, few, record="spikes", engine="reference")
    assert same_spikes(wanted, run(as_plain_synapses(deployed.network), few, record="spikes", engine="lava"))
    scales = np.repeat([0.5, 2.5], STEPS // 2)
    assert_same(run(deployed, few, scales, record="spikes", engine="lava"), run(deployed, few, scales, record="spikes"))


# ---------------------------------------------------------------- what the chip's compartments do


def decayed(value: int, keep: int) -> int:
    return (1 if value > 0 else -1) * (abs(value) * keep // 4096)


def one_neuron(seed: int, reset: str, current_decay: int) -> tuple[FixedLif, Network, Array]:
    rng = np.random.default_rng(seed)
    neuron = FixedLif(int(rng.integers(500, 1500)), int(rng.integers(0, 800)), current_decay, 3, 2, reset)
    populations = (Population("input", (6,)), Population("out", (1,), neuron))
    network = Network(populations, (Dense("input", "out", rng.integers(10, 90, (1, 6)), exponent=2),))
    return neuron, network, (rng.random((80, 1, 6)) < 0.4).astype(np.uint8)


@pytest.mark.parametrize("current_decay", [4095, 1500])
@pytest.mark.parametrize("seed", range(4))
def test_three_compartments_do_it_exactly(seed: int, current_decay: int) -> None:
    """One keeps the current and passes it on within the step, one integrates, one fires; the spike returns to the
    second, whose own current is forgotten at once. Where all currents are, the first does nothing."""
    neuron, network, spikes = one_neuron(seed, "subtract-synapse", current_decay)
    threshold, weight = int(neuron.threshold), network.connections[0].weight[0]
    returns, first, second, fired = 0, 0, 0, []
    for step in spikes[:, 0]:
        first = decayed(first, 4095 - current_decay) + ((int(weight @ step) << 2) << 6)
        second = decayed(second, 4096 - int(neuron.voltage_decay)) + (returns << 6) + first + (3 << 2)
        fired.append(second > threshold << 6)
        returns = -of_eight_bits(threshold) if fired[-1] else 0
    assert 5 < sum(fired) < 79
    assert run(network, spikes, engine="reference").output.ravel().tolist() == fired


@pytest.mark.parametrize("current_decay", [4095, 1500])
@pytest.mark.parametrize("seed", range(4))
def test_a_refractory_delay_of_two_steps_is_the_delayed_reset_to_zero(seed: int, current_decay: int) -> None:
    """As nengo-loihi describes the chip: after a spike the membrane is zero, and is set to zero again after it has
    integrated while the delay lasts, the step of the spike counted; the current goes on."""
    neuron, network, spikes = one_neuron(seed, "zero-delayed", current_decay)
    threshold, weight = int(neuron.threshold), network.connections[0].weight[0]
    current, membrane, waits, fired = 0, 0, 0, []
    for step in spikes[:, 0]:
        current = decayed(current, 4095 - current_decay) + ((int(weight @ step) << 2) << 6)
        membrane = decayed(membrane, 4096 - int(neuron.voltage_decay)) + current + (3 << 2)
        membrane = 0 if waits else membrane
        fired.append(membrane > threshold << 6)
        waits = max((2 if fired[-1] else waits) - 1, 0)
        membrane = 0 if fired[-1] else membrane
    assert 5 < sum(fired) < 79
    assert run(network, spikes, engine="reference").output.ravel().tolist() == fired


# ---------------------------------------------------------------- numbers


def test_a_weight_says_every_threshold_in_8_bits_and_an_exponent() -> None:
    mantissas = np.arange(1, FixedLif.MAX_SYNAPSE_THRESHOLD + 1)
    magnitudes, exponents = synapse_parts(mantissas)
    assert (magnitudes.min(), magnitudes.max()) == (1, 255)
    assert (exponents.min(), exponents.max()) == (0, 7)
    amounts = magnitudes << exponents
    np.testing.assert_array_equal(amounts, [of_eight_bits(m) for m in mantissas.tolist()])
    assert np.abs(amounts / mantissas - 1).max() < 1 / 256
    with pytest.raises(NetworkError, match=r"threshold mantissa: found 32704, allowed is 1 to 32703"):
        FixedLif(FixedLif.MAX_SYNAPSE_THRESHOLD + 1, 0, reset="subtract-synapse")


def test_a_threshold_that_no_synapse_can_subtract_is_refused() -> None:
    network, _ = exported("dense")
    deployed = compile(network, LOIHI1, max_threshold_scale=2.0)
    largest = deployed.rounding["hidden"].largest_scale
    thresholds_for(deployed.network, {"hidden": largest}, 1, 1)
    with pytest.raises(InputError, match=r"hidden: found .* 8-bit synapses that subtract thresholds allow about"):
        thresholds_for(deployed.network, {"hidden": 1.01 * largest}, 1, 1)


def test_a_network_holds_one_synapse_for_each_neuron_and_so_does_its_file(tmp_path: Path) -> None:
    neuron = Lif([0.5, 1.0, 1.5], 0.9, reset="subtract-synapse")
    populations = (Population("input", (2,)), Population("out", (3,), neuron))
    network = Network(populations, (Dense("input", "out", np.ones((3, 2))), Dense("out", "out", np.eye(3), delay=1)))
    save_network(network, tmp_path / "n.aspen")
    for each in (network, replace(network), load_network(tmp_path / "n.aspen")):
        synapses = each.connections[-1]
        assert isinstance(synapses, ResetSynapse)
        assert [c.name for c in each.connections] == ["input->out", "out->out", "out->out (reset)"]
        assert synapses.synapses().toarray().tolist() == np.diag([-0.5, -1.0, -1.5]).tolist()
        assert each.n_synapses == 6 + 3 + 3
    assert with_reset(network, "none").n_synapses == 6 + 3
    with pytest.raises(NetworkError, match=r"out->out \(reset\): found bias None, delay 2 and exponent 0, allowed is"):
        replace(network.connections[-1], delay=2)  # type: ignore[type-var]


def test_a_stream_is_priced_with_all_compartments() -> None:
    network, spikes = exported("recurrent")
    deployed, target = compile(network, LOIHI1), LOIHI1.only("davies2018")
    record = run(deployed, spikes)
    with Stream(deployed, Meter.of(deployed, target, STEPS), Manual(1.0)) as stream:
        list(stream.run(spikes.swapaxes(0, 1)))
    wanted = energy_model(record, target).dynamic
    assert wanted is not None
    assert stream.dynamic == pytest.approx(wanted.typical, rel=1e-9)
