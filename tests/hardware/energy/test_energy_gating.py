"""What is off costs what the chip says: nothing, where it gates neurons or their core; else what it costs otherwise."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from aspen.network.network import Dense, Lif, Network, Population
from aspen.network.off import Off
from aspen.network.record import Record, rows_by_off
from aspen_emulator import run
from aspen_emulator.streaming import Events, Meter
from aspen_hardware import Chip, chip, energy_model, place
from aspen_hardware.energy.gating import cores_on
from aspen_hardware.energy.prices import prices
from aspen_hardware.energy.program import cycles_of
from tests.hardware.energy.test_prices import NETWORKS, PRICED, SAMPLES, STEPS, total
from tests.networks import random_spikes

LOIHI1 = chip("loihi1")
ON, OFF = 5, 7
"""Neurons of two hidden populations, of which the second is switched off."""


def gating(target: Chip, unit: str) -> Chip:
    """The chip, with cores of one population each where it is loihi1."""
    one = replace(LOIHI1.figures["limits.neurons_per_core"], value=1, low=1, high=1)
    figures = {**target.figures, **({"limits.populations_per_core": one} if target.name == "loihi1" else {})}
    return replace(target, figures=figures, gating={"unit": unit, "source": "as it may be", "trust": "D"})


def weights(seed: int, *shape: int) -> np.ndarray:
    return np.round(np.random.default_rng(seed).normal(0.3, 0.5, shape) * 16) / 16


@cache
def network(whole: bool) -> Network:
    """Two populations side by side; not ``whole``: without the second."""
    lif = Lif(threshold=1.0, beta=0.5)
    populations = [Population("input", (6,)), Population("on", (ON,), lif)]
    populations += [Population("off", (OFF,), lif)] if whole else []
    populations.append(Population("output", (3,), lif))
    connections = [Dense("input", "on", weights(1, ON, 6)), Dense("on", "output", weights(2, 3, ON))]
    if whole:
        connections += [Dense("input", "off", weights(3, OFF, 6)), Dense("off", "output", weights(4, 3, OFF))]
        connections.append(Dense("on", "off", weights(5, OFF, ON)))
    return Network(tuple(populations), tuple(connections))


def recorded(out: np.ndarray | None, whole: bool = True, sample: slice = slice(None)) -> Record:
    """A run in which the second population is off where ``out`` (steps or 1, batch or 1, n) says."""
    spikes = random_spikes(5, 9, 4, 6, 0.6)[:, sample]
    scale = {} if out is None else {"off": np.where(out, np.inf, 1.0)}
    return run(network(whole), spikes, scale, record="spikes")


def dynamic(record: Record, target: Chip, time: float = 1e-3) -> float:
    found = energy_model(record, target, step_time=time).dynamic
    assert found is not None
    return found.typical


ALL = np.ones((1, 1, OFF), bool)


@pytest.mark.parametrize("target", PRICED, ids=lambda target: f"{target.name}, {target.usual}")
def test_where_nothing_is_gated_it_costs_what_it_costs_otherwise(target: Chip) -> None:
    record = recorded(ALL)
    if target.gates == "none":
        assert record.off.synaptic_operations
        assert dynamic(record, target) == dynamic(replace(record, off=Off()), target)
    else:
        assert dynamic(record, target) < dynamic(replace(record, off=Off()), target)


@pytest.mark.parametrize("shared", [False, True])
def test_a_core_that_is_off_is_as_if_not_there(shared: bool) -> None:
    """No operations, no updates, no packets and hops to it; also where it is off in some samples only."""
    target = gating(LOIHI1, "core")
    if shared:  # its neurons fill two cores
        figure = replace(LOIHI1.figures["limits.neurons_per_core"], value=5, low=5, high=5)
        target = replace(target, figures={**target.figures, "limits.neurons_per_core": figure})
    without = recorded(None, whole=False)
    assert dynamic(recorded(ALL), target) == pytest.approx(dynamic(without, target), rel=1e-12)
    half = np.broadcast_to((np.arange(4) < 2)[None, :, None], (1, 4, OFF))
    wanted = dynamic(recorded(None, whole=False, sample=slice(0, 2)), target)
    wanted += dynamic(recorded(None, sample=slice(2, 4)), target)
    assert dynamic(recorded(half), target) == pytest.approx(wanted, rel=1e-12)


def test_a_core_of_which_one_neuron_is_on_costs_what_it_costs_otherwise() -> None:
    record = recorded(np.arange(OFF)[None, None] > 0)
    target = gating(LOIHI1, "core")
    own = energy_model(record, target, step_time=1e-3)
    assert own.dynamic == energy_model(replace(record, off=Off()), target, step_time=1e-3).dynamic
    assert own.assumed[0].startswith("6 of 15 neurons off on average: a core whose neurons are all off is off")


def test_neurons_that_are_gated_save_all_but_their_packets() -> None:
    record, target = recorded(ALL), gating(LOIHI1, "neuron")
    report, without = (energy_model(each, target, step_time=1e-3) for each in (record, recorded(None, whole=False)))
    for event in ("synaptic_operation", "neuron_update_active", "neuron_update_inactive", "spike"):
        assert report.count(event) == without.count(event) > 0
    assert report.count("spike_packet") > without.count("spike_packet")
    by_work = [energy_model(each, target, time="work").seconds for each in (record, replace(record, off=Off()))]
    assert by_work[0].typical < by_work[1].typical  # type: ignore[union-attr]


def test_a_chip_powered_by_core_draws_what_cores_draw_that_are_off() -> None:
    power = {"core": replace(LOIHI1.figures["power.chip"], value=4.0, low=4.0, high=4.0)}
    power["off"] = replace(power["core"], value=1.0, low=1.0, high=1.0)
    apart = gating(LOIHI1, "core")
    figures = {key: each for key, each in apart.figures.items() if not key.startswith("power.")}
    target = replace(
        apart,
        powered={**LOIHI1.powered, "rule": "core"},
        figures={**figures, **{f"power.{key}": figure for key, figure in power.items()}},
    )
    record = recorded(np.broadcast_to((np.arange(9) < 3)[:, None, None], (9, 1, OFF)))
    placement = place(record.network, target)
    assert (placement.cores_used, cores_on(record, target, placement)) == (3, pytest.approx(3 - 1 / 3))
    static = energy_model(record, target, placement, step_time=1.0).static
    on = cores_on(record, target, placement)
    assert static is not None
    assert static.typical == pytest.approx(36 * 1e-3 * (4 * on + (128 - on)))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("target", [LOIHI1.only("sanafe"), gating(LOIHI1, "neuron"), chip("cortex-m4")],
                         ids=lambda target: f"{target.name}, {target.gates}")  # fmt: skip
def test_a_meter_and_prices_say_what_the_energy_model_says(name: str, target: Chip) -> None:
    net, rng = NETWORKS[name], np.random.default_rng(6)
    sizes = {each: net[each].size for each in net.order if net[each].is_dialled}
    out = {each: rng.random((STEPS, SAMPLES, n)) < 0.5 for each, n in sizes.items()}
    spikes = random_spikes(8, STEPS, SAMPLES, net.input.size, 0.7).reshape(STEPS, SAMPLES, *net.input.shape)
    record = run(net, spikes, {each: np.where(mask, np.inf, 1.0) for each, mask in out.items()})
    placement = place(net, target)
    model = energy_model(record, target, placement, step_time=1e-3).dynamic
    assert model is not None
    found = prices(net, target, placement)
    off = record.off
    saved = (
        (found.off_neuron, off.neurons), (found.off_active, off.active_updates),
        (found.off_awake, off.awake_updates),
        (found.off_operation, {**off.synaptic_operations, **off.multiply_accumulates}),
    )  # fmt: skip
    less = sum(each[key] * int(counts.sum()) for each, all_ in saved for key, counts in all_.items())
    rows = {c.name: rows_by_off(record, c) for c in net.summed if c.name in Events.none(net).off_rows}
    less += sum(float(each @ rows[key]) for key, each in found.off_row.items() if key in rows)
    assert (less > 0) == (target.gates == "neuron")
    assert total(found, record) - less == pytest.approx(model.typical, rel=1e-9)
    events = Events.none(net)
    events.steps = STEPS * SAMPLES
    for mine, theirs in (("spikes", record.spikes), ("active", record.active_updates), ("awake", record.awake_updates),
                         ("operations", {**record.synaptic_operations, **record.multiply_accumulates}),
                         ("off", off.neurons), ("off_active", off.active_updates), ("off_awake", off.awake_updates),
                         ("off_operations", {**off.synaptic_operations, **off.multiply_accumulates})):  # fmt: skip
        getattr(events, mine).update({key: int(counts.sum()) for key, counts in theirs.items()})
    events.off_rows.update({key: counts.tolist() for key, counts in rows.items()})
    meter = Meter.of(net, target, STEPS, 1e-3, placement)
    assert meter.joules(events) == pytest.approx(model.typical, rel=1e-9)
    again = meter.report(events).dynamic
    assert again is not None
    assert again.typical == pytest.approx(model.typical, rel=1e-9)


@pytest.mark.parametrize("width", [4, 16, 26, 64])
def test_a_row_that_ends_before_targets_that_are_off_saves_the_blocks_that_it_does_not_reach(width: int) -> None:
    """By the sources that spike, though others reach more: as a network with the blocks alone that are reached."""
    weight = np.round(np.random.default_rng(3).normal(0, 0.5, (64, 32)) * 16) / 16
    weight[1:, 16:] = 0  # they reach one neuron
    populations = Population("input", (32,)), Population("hidden", (64,), Lif(threshold=1.0, beta=0.5))
    network = Network(populations, (Dense("input", "hidden", weight),))
    spikes = np.broadcast_to(np.arange(32) >= 16, (5, 2, 32))
    record = run(network, spikes, {"hidden": np.where(np.arange(64) >= width, np.inf, 1.0)[None, None]})
    each = cycles_of(network, chip("cortex-m4"))
    blocks = -(-width // 16)
    saved = sum(each.rows_saved(record).values())
    assert saved == pytest.approx(int(record.spikes["input"].sum()) * each.rows["input->hidden"] * (4 - blocks) / 4)
    report = energy_model(record, chip("cortex-m4"), step_time=1e-3)
    assert all(entry.joules is None or entry.joules.typical >= 0 for entry in report.entries)


def test_a_microcontroller_takes_about_what_a_narrower_network_takes() -> None:
    """Three quarters of two layers off: within a sixth of a network that never had them."""
    rng = np.random.default_rng(2)
    lif = Lif(threshold=1.0, beta=0.5)

    def chain(width: int) -> Network:
        sizes = (168, width, width, 6)
        full = [np.round(np.random.default_rng(i).normal(0.05, 0.3, (128, 168)) * 16) / 16 for i in range(3)]
        populations = (Population("input", (168,)), *(Population(f"l{i}", (n,), lif) for i, n in enumerate(sizes[1:])))
        ends = ("input", "l0", "l1", "l2")
        links = (Dense(a, b, w[:m, :n]) for a, b, w, n, m in zip(ends, ends[1:], full, sizes, sizes[1:], strict=False))
        return Network(populations, tuple(links))

    spikes = (rng.random((8, 4, 168)) < 0.15).astype(np.uint8)
    out = np.where(np.arange(128) >= 32, np.inf, 1.0)[None, None]
    nested, narrow = run(chain(128), spikes, {"l0": out, "l1": out}), run(chain(32), spikes)
    assert nested.spikes["l1"].sum() == narrow.spikes["l1"].sum() > 0
    found, wanted = (cycles_of(each.network, chip("cortex-m4")).of(each) for each in (nested, narrow))
    assert found == pytest.approx(wanted, rel=0.17)
    assert cycles_of(nested.network, chip("cortex-m4")).of(replace(nested, off=Off())) > 1.8 * wanted
