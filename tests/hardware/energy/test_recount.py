"""What is counted and what it costs, against a recount that shares no code with what it checks (``recount.py``,
``recount_energy.py``).

Networks of every kind of connection, a batch of two, in floating point and as a chip's integers, from the reference
and the fast engine, on cores so small that populations are spread over many of them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import pytest

from aspen.network.network import Conv, Dense, Lif, Network, Population, Sparse
from aspen.network.record import Record
from aspen_emulator import run
from aspen_hardware import chip, compile, energy_model, place
from aspen_hardware.chips.description import Chip
from aspen_hardware.placing.placement import Placement
from tests.hardware.energy.recount import (
    Array,
    Cores,
    Counts,
    Traffic,
    compartments,
    core_contents,
    simulate,
    synapses_of,
    traffic,
)
from tests.hardware.energy.recount_energy import Event, bounds, dynamic_energy, static_energy

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

STEPS, BATCH = 7, 2


@dataclass(frozen=True)
class Case:
    """A network in floating point, the chip whose integers it becomes (if any), and how few neurons its cores hold."""

    network: Network
    target: str | None = "loihi1"
    neurons_per_core: int = 2
    density: float = 0.25


def weights(seed: int, *shape: int) -> Array:
    """Multiples of 1/16, so that sums are exact in any order; one in five is zero."""
    rng = np.random.default_rng(seed)
    return np.round(rng.normal(0.25, 0.5, shape) * 16) / 16 * (rng.random(shape) < 0.8)


def lif(**options: Any) -> Lif:
    return Lif(**{"threshold": 1.0, "beta": 0.75, **options})


def dense() -> Network:
    """Two layers; biases of neurons and of connections, thresholds of each neuron."""
    thresholds = np.random.default_rng(0).permutation(np.arange(8, 48)) / 16
    hidden = lif(threshold=thresholds, bias=np.where(np.arange(40) % 5, 0, 1 / 16))
    populations = (Population("input", (12,)), Population("hidden", (40,), hidden), Population("output", (5,), lif()))
    first = Dense("input", "hidden", weights(1, 40, 12))
    return Network(populations, (first, Dense("hidden", "output", weights(2, 5, 40), np.arange(5) / 16)))


def convolution() -> Network:
    """A convolution with padding and stride, average pooling, and a dense layer."""
    first = Conv("input", "maps", weights(3, 3, 2, 3, 3), (2, 6, 5), stride=(2, 1), padding=(1, 2))
    pool = Conv("maps", "pooled", np.full((3, 1, 2, 2), 0.25), first.output_shape, stride=(2, 2), groups=3)
    size = int(np.prod(pool.output_shape))
    populations = (
        Population("input", (2, 6, 5)),
        Population("maps", first.output_shape, lif(threshold=0.75)),
        Population("pooled", pool.output_shape, lif(threshold=0.25)),
        Population("output", (4,), lif()),
    )
    return Network(populations, (first, pool, Dense("pooled", "output", weights(4, 4, size))))


def recurrent() -> Network:
    """A layer that drives itself, and an output that drives it back."""
    populations = (Population("input", (9,)), Population("hidden", (14,), lif()), Population("output", (4,), lif()))
    connections = (
        Dense("input", "hidden", weights(5, 14, 9)),
        Dense("hidden", "hidden", weights(6, 14, 14) / 2, delay=1),
        Dense("output", "hidden", weights(7, 14, 4), delay=2),
        Dense("hidden", "output", weights(8, 4, 14)),
    )
    return Network(populations, connections)


def delays() -> Network:
    """Synapses that wait, one of them longer than the run; currents that decay."""
    populations = (
        Population("input", (8,)),
        Population("hidden", (10,), lif(alpha=0.5)),
        Population("output", (6,), lif()),
    )
    connections = (
        Dense("input", "hidden", weights(9, 10, 8), delay=2),
        Dense("hidden", "output", weights(10, 6, 10), delay=3),
        Sparse.from_matrix("input", "output", weights(11, 6, 8), delay=STEPS + 2),
    )
    return Network(populations, connections)


def skip() -> Network:
    """The input drives both layers; synapses listed one by one."""
    populations = (Population("input", (10,)), Population("hidden", (12,), lif()), Population("output", (5,), lif()))
    connections = (
        Sparse.from_matrix("input", "hidden", weights(12, 12, 10)),
        Dense("hidden", "output", weights(13, 5, 12)),
        Dense("input", "output", weights(14, 5, 10), delay=1),
    )
    return Network(populations, connections)


def analog() -> Network:
    """Values that the first layer weighs, some of them zero and some below."""
    populations = (
        Population("input", (6,), current=True),
        Population("hidden", (9,), lif()),
        Population("output", (4,), lif()),
    )
    network = Network(
        populations, (Dense("input", "hidden", weights(15, 9, 6)), Dense("hidden", "output", weights(16, 4, 9)))
    )
    return network.with_input_peak(2.0, 8)


def direct() -> Network:
    """A current into neurons, which feed others and each other."""
    first = lif(threshold=0.5, bias=-1 / 16)
    populations = (Population("input", (5,), first, current=True), Population("output", (4,), lif()))
    connections = (
        Dense("input", "output", weights(17, 4, 5)),
        Dense("input", "input", weights(18, 5, 5) / 4, delay=1),
    )
    return Network(populations, connections)


def by_synapse() -> Network:
    """Neurons that a synapse onto themselves resets, with and without a current that decays, and a recurrent layer."""
    reset = {"reset": "subtract-synapse", "threshold": 0.5}
    populations = (
        Population("input", (9,)),
        Population("hidden", (10,), lif(**reset)),
        Population("slow", (6,), lif(alpha=0.5, **reset)),
        Population("output", (4,), lif(**reset)),
    )
    connections = (
        Dense("input", "hidden", weights(19, 10, 9)),
        Dense("hidden", "hidden", weights(20, 10, 10) / 4, delay=1),
        Dense("hidden", "slow", weights(21, 6, 10) / 2),
        Dense("slow", "output", weights(22, 4, 6) / 2),
    )
    return Network(populations, connections)


CASES = {
    "dense": Case(dense(), neurons_per_core=1),
    "convolution": Case(convolution(), neurons_per_core=1, density=0.4),
    "recurrent": Case(recurrent()),
    "delays": Case(delays(), density=0.4),
    "skip": Case(skip()),
    "analog": Case(analog(), target="loihi2"),
    "by synapse": Case(by_synapse(), neurons_per_core=3, density=0.15),
    "direct": Case(direct(), target=None, neurons_per_core=1, density=0.6),
}
ARITHMETIC = ("floats", "integers")
EVERY = [(name, a) for name, case in CASES.items() for a in ARITHMETIC if a == "floats" or case.target]


@cache
def network_of(name: str, arithmetic: str) -> Network:
    case = CASES[name]
    return case.network if arithmetic == "floats" else compile(case.network, str(case.target)).network


@cache
def given(name: str) -> Array:
    case, rng = CASES[name], np.random.default_rng(7)
    shape = (STEPS, BATCH, *case.network.input.shape)
    there = rng.random(shape) < case.density
    return np.round(rng.normal(0, 1, shape) * 16) / 16 * there if case.network.input.current else there.astype(np.uint8)


def as_given(name: str, arithmetic: str) -> Array:
    """Integers take values as the integers that a graded input makes of them."""
    network, values = network_of(name, arithmetic), given(name)
    if network.is_integer and network.input.graded is not None:
        scale = (2 ** (network.input.graded.bits - 1) - 1) / network.input.graded.peak
        values = np.clip(np.rint(values * scale), -127, 127).astype(int)
    return values


@cache
def recounted(name: str, arithmetic: str) -> Counts:
    return simulate(network_of(name, arithmetic), as_given(name, arithmetic))


@cache
def recorded(name: str, arithmetic: str, engine: str) -> Record:
    return run(network_of(name, arithmetic), given(name), engine=engine, record="membranes")


def small(chip: Chip, neurons_per_core: int) -> Chip:
    """The chip with cores that hold fewer neurons."""
    key = "limits.neurons_per_core"
    figure = replace(chip.figures[key], value=neurons_per_core, low=neurons_per_core, high=neurons_per_core)
    return replace(chip, figures={**chip.figures, key: figure})


@cache
def placed(name: str, arithmetic: str) -> tuple[Chip, Placement]:
    target = small(chip("loihi1"), CASES[name].neurons_per_core)
    return target, place(network_of(name, arithmetic), target)


def cores_of(placement: Placement) -> Cores:
    return [
        [(part.population, number) for part in core.slices for number in placement.members(part).tolist()]
        for core in placement.cores
    ]


@cache
def routed(name: str, arithmetic: str) -> Traffic:
    _, placement = placed(name, arithmetic)
    return traffic(network_of(name, arithmetic), recounted(name, arithmetic).rasters, cores_of(placement))


def placed_populations(network: Network) -> list[Population]:
    return [population for population in network.populations if population.neuron is not None]


def same(found: Mapping[str, Array], wanted: Mapping[str, Array]) -> None:
    """Everything that is found is what is wanted, and what is not in it is zero."""
    for name, counts in wanted.items():
        np.testing.assert_array_equal(found.get(name, 0), counts, err_msg=name)


@pytest.mark.parametrize("engine", ["reference", "fast"])
@pytest.mark.parametrize(("name", "arithmetic"), EVERY)
def test_a_record_says_what_happened(name: str, arithmetic: str, engine: str) -> None:
    record, counts = recorded(name, arithmetic, engine), recounted(name, arithmetic)
    rasters = {key: raster.reshape(STEPS, BATCH, -1) for key, raster in record.rasters.items()}
    same(rasters, counts.rasters)
    same({key: values.reshape(STEPS, BATCH, -1) for key, values in record.membranes.items()}, counts.membranes)
    same(record.spikes, counts.spikes)
    same(record.synaptic_operations, counts.operations)
    same(record.multiply_accumulates, counts.multiplications)
    same(record.active_updates, counts.active)
    same(record.awake_updates, counts.awake)
    assert all(counts.spikes[name].sum() > 0 for name in record.network.order)
    assert any(0 < counts.active[name].sum() < record.updates(name) for name in record.network.order)
    assert any(counts.active[name].sum() < counts.awake[name].sum() for name in record.network.order)


@pytest.mark.parametrize(("name", "arithmetic"), EVERY)
def test_a_core_holds_what_it_says(name: str, arithmetic: str) -> None:
    _, placement = placed(name, arithmetic)
    network = network_of(name, arithmetic)
    cores = cores_of(placement)
    everyone = [
        (population.name, number) for population in placed_populations(network) for number in range(population.size)
    ]
    assert sorted(neuron for members in cores for neuron in members) == sorted(everyone)
    for core, wanted in zip(placement.cores, core_contents(network, cores), strict=True):
        assert {key: getattr(core, key) for key in wanted} == wanted
        assert core.memory_bits == wanted["synapses"] * 8
        assert wanted["compartments"] <= CASES[name].neurons_per_core


@pytest.mark.parametrize("engine", ["reference", "fast"])
@pytest.mark.parametrize(("name", "arithmetic"), EVERY)
def test_a_report_counts_every_event(name: str, arithmetic: str, engine: str) -> None:
    report = energy_model(recorded(name, arithmetic, engine), *placed(name, arithmetic))
    network, counts, ways = network_of(name, arithmetic), recounted(name, arithmetic), routed(name, arithmetic)
    wanted = {(key, "synaptic_operation"): int(n.sum()) for key, n in counts.operations.items()}
    wanted |= {(key, "multiply_accumulate"): int(n.sum()) for key, n in counts.multiplications.items()}
    for population in placed_populations(network):
        key, each = population.name, compartments(population)
        active = int(counts.active[key].sum())
        wanted[key, "neuron_update_active"] = each * active
        wanted[key, "neuron_update_inactive"] = each * (population.size * STEPS * BATCH - active)
        wanted[key, "spike"] = int(counts.spikes[key].sum())
    for event, found in (
        ("spike_packet", ways.packets),
        ("hop_east_west", ways.east_west),
        ("hop_north_south", ways.north_south),
    ):
        wanted |= {(key, event): number for key, number in found.items()}
    found = {(entry.where, entry.event): entry.count for entry in report.entries if entry.count}
    assert report.synapses == sum(len(synapses_of(connection)) for connection in network.connections)
    assert found == {key: count for key, count in wanted.items() if count}


def test_the_cases_are_not_trivial() -> None:
    """Rows and columns of tiles are crossed, cores sorted by threshold, and a neuron reaches several cores."""
    ways = [routed(name, "floats") for name in CASES]
    assert sum(sum(way.east_west.values()) for way in ways) > 1000
    assert sum(sum(way.north_south.values()) for way in ways) > 100
    assert placed("dense", "integers")[1].cores_used > 32
    assert all(way.packets["input"] > 0 for way in ways)


# ---------------------------------------------------------------- energy


def events_of(name: str, arithmetic: str, on_loihi: bool) -> list[Event]:
    """All that costs energy, from the recount; Loihi has a mesh, and neurons of several compartments."""
    network, counts, ways = network_of(name, arithmetic), recounted(name, arithmetic), routed(name, arithmetic)
    events = []
    for connection in network.connections:
        for kind, numbers in (
            ("synaptic_operation", counts.operations),
            ("multiply_accumulate", counts.multiplications),
        ):
            events.append(Event(kind, int(numbers[connection.name].sum()), connection=connection.kind))
    for population in placed_populations(network):
        key, updates = population.name, population.size * STEPS * BATCH
        each = compartments(population) if on_loihi else 1
        updates, active, awake = (each * int(n) for n in (updates, counts.active[key].sum(), counts.awake[key].sum()))
        events.append(Event("neuron_update_active", active, awake))
        events.append(Event("neuron_update_inactive", updates - active, updates - awake))
        events.append(Event("spike", int(counts.spikes[key].sum())))
    events.append(Event("spike_packet", sum(ways.packets.values())))
    if on_loihi:
        events.append(Event("hop_east_west", sum(ways.east_west.values())))
        events.append(Event("hop_north_south", sum(ways.north_south.values())))
    return events


def table_of(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files("aspen_hardware").joinpath("chips", f"{name}.toml").read_text("utf-8"))


@pytest.mark.parametrize("time", ["measured", "step"])
@pytest.mark.parametrize(("name", "arithmetic"), EVERY)
def test_joules_on_loihi(name: str, arithmetic: str, time: str) -> None:
    """Dynamic energy scenario by scenario, static energy of the whole chip, and their sum."""
    target, placement = placed(name, arithmetic)
    report = energy_model(recorded(name, arithmetic, "fast"), target, placement, time=time)
    table = table_of("loihi1")
    assert len(table["scenarios"]) == 2
    dynamic = dynamic_energy(table, events_of(name, arithmetic, on_loihi=True))
    step = bounds(table["measured_step" if time == "measured" else "step_time"])
    static = static_energy(table, tuple(one * STEPS * BATCH for one in step), placement.cores_used)
    assert static is not None
    assert picojoules(report.dynamic) == pytest.approx([one / 1e-12 for one in dynamic])
    assert picojoules(report.static) == pytest.approx([one / 1e-12 for one in static])
    assert picojoules(report.total) == pytest.approx([(a + b) / 1e-12 for a, b in zip(dynamic, static, strict=True)])


@pytest.mark.parametrize("target", ["generic-45nm", "truenorth", "spinnaker2"])
@pytest.mark.parametrize(("name", "arithmetic"), EVERY)
def test_joules_elsewhere(name: str, arithmetic: str, target: str) -> None:
    """On as few cores as they take there."""
    network, record = network_of(name, arithmetic), recorded(name, arithmetic, "reference")
    cores = cores_of(place(network, chip(target)))
    events = [event for event in events_of(name, arithmetic, on_loihi=False) if event.kind != "spike_packet"]
    events.append(
        Event("spike_packet", sum(traffic(network, recounted(name, arithmetic).rasters, cores).packets.values()))
    )
    report = energy_model(record, chip(target))
    assert report.cores_used == len(cores)
    wanted = [one / 1e-12 for one in dynamic_energy(table_of(target), events)]
    assert picojoules(report.dynamic) == pytest.approx(wanted)


def picojoules(energy: Any) -> list[float]:
    return [bound / 1e-12 for bound in (energy.low, energy.typical, energy.high)]
