"""A crossbar works through a whole row for every spike: ODIN's counts, energy, time and rows, as added up by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aspen._base.arrays import Array
from aspen.errors import ChipError, InputError
from aspen.network.network import Dense, FixedLif, Lif, Network, Population
from aspen_emulator import run
from aspen_emulator.engines.replay import record_from_rasters
from aspen_emulator.streaming.counting import Events
from aspen_emulator.streaming.meter import Meter
from aspen_hardware.chips.description import chip
from aspen_hardware.energy.costs import work_seconds
from aspen_hardware.energy.crossbar import Crossbar
from aspen_hardware.energy.model import energy_model
from aspen_hardware.energy.report import EnergyReport
from aspen_hardware.placing.placement import place
from aspen_hardware.placing.rules import check
from tests.hardware.chips.small_chip import SMALL, small
from tests.hardware.energy.test_energy import rasters, record, tiny
from tests.hardware.placing.test_placement import floats
from tests.hardware.placing.test_placement_shared import networks

ODIN = chip("odin")
PJ = 8.43e-12


def counts(report: EnergyReport, *events: str) -> dict[str, int]:
    return {entry.where: entry.count for entry in report.entries if entry.event in events}


@pytest.mark.parametrize("keep", [True, False])
def test_a_small_network_by_hand(keep: bool) -> None:
    """Spikes: 3 of the inputs, 3 of the hidden neurons, 1 of the output; 2 steps. Their fan-outs add up to 7 and 3."""
    report = energy_model(record(keep=keep), ODIN, step_time=1e-3)
    assert counts(report, "synaptic_operation") == {"input->hidden": 7, "hidden->output": 3}
    # the output's spike comes back too: in the closed loop all of them do
    assert counts(report, "crossbar_operation") == {"input": 3 * 256, "hidden": 3 * 256, "output": 256}
    assert counts(report, "leak_operation") == {"network": 2 * 256}
    assert report.dynamic is not None
    assert report.dynamic.typical == report.dynamic.high == pytest.approx((7 * 256 + 2 * 256) * PJ)
    assert report.dynamic.low == pytest.approx(7 * 256 * PJ)
    assert report.input_energy is not None
    assert report.input_energy.typical == pytest.approx(3 * 256 * PJ)
    assert report.static is not None
    assert report.static.typical == pytest.approx(2e-3 * (27.3 + 1.78 * 75) * 1e-6)
    assert report.operations_per_synapse == pytest.approx(10 / 8)  # of the network, not of the crossbar
    shown = str(report)
    assert "1,792" not in shown  # a row for each population
    for row in ("hidden: operations of the crossbar, for spikes", "input->hidden: synaptic operations"):
        assert row in shown
    assert "each spike makes the crossbar do 256 operations, whatever its fan-out" in shown


def test_time_is_that_of_all_events_one_after_the_other() -> None:
    """Events of 512 cycles: 2 + 2 and a leak in the first step, 1 + 1 + 1 and a leak in the second."""
    seconds = 512 * (5 + 4) / 75e6
    report = energy_model(record(), ODIN, time="work")
    assert report.seconds is not None
    assert report.seconds.typical == report.seconds.high == pytest.approx(seconds)
    assert not any("longer than" in line for line in report.not_covered)
    assert "a step takes as long as its work" in report.assumed
    slow = energy_model(record(), ODIN, time="work", clock=7.5)
    assert slow.seconds is not None
    assert slow.seconds.typical == pytest.approx(10 * seconds)
    assert slow.static is not None
    assert slow.static.typical == pytest.approx(10 * seconds * (27.3 + 1.78 * 7.5) * 1e-6)


LATE = [
    (512 * 5 / 75e6, ""),
    (512 * 4.5 / 75e6, "1 of 2 steps last longer than 30.7 us"),
    (1e-6, "2 of 2 steps last l"),
]


def test_a_gated_crossbar_pays_while_it_works_at_its_clock() -> None:
    off = replace(ODIN.power["chip"], value=1.0, low=1.0, high=1.0)
    gated = replace(ODIN, powered={**ODIN.powered, "rule": "gated"}, figures={**ODIN.figures, "power.off": off})
    report = energy_model(record(), gated, step_time=1e-3, clock=30.0)
    busy = 512 * 9 / 30e6
    assert report.static is not None
    assert report.static.typical == pytest.approx(busy * (27.3 + 1.78 * 30) * 1e-6 + (2e-3 - busy) * 1e-6)


@pytest.mark.parametrize(("step_time", "message"), LATE)
def test_steps_that_are_too_short_for_their_events_are_named(step_time: float, message: str) -> None:
    first = energy_model(record(), ODIN, step_time=step_time).not_covered[0]
    assert ("their events take up to 34.1 us at 75 MHz; give a longer step time or a faster clock" in first) == bool(
        message
    )
    assert first.startswith(message)


def test_steps_that_were_counted_together_are_judged_by_their_mean() -> None:
    none = {"hidden": 0, "output": 0}
    events = Events(10, {"input": 20, **none}, none, none, {"input->hidden": 0, "hidden->output": 0})
    enough = 512 * (2 + 1) / 75e6  # 2 spikes and a leak a step
    for step_time, late in ((enough * 1.001, False), (enough * 0.999, True)):
        report = energy_model(events.record(tiny()), ODIN, step_time=step_time)
        assert any("longer than" in line for line in report.not_covered) == late
        assert counts(report, "leak_operation") == {"network": 10 * 256}
    with_time = energy_model(events.record(tiny()), ODIN, time="work").seconds
    assert with_time is not None
    assert with_time.typical == pytest.approx(10 * enough)


def one_layer(neuron: Lif | FixedLif, weight: Array) -> Network:
    populations = (Population("input", (2,)), Population("output", (2,), neuron))
    return Network(populations, (Dense("input", "output", weight),))


def test_spikes_come_back_only_where_a_neuron_drives_its_own_core() -> None:
    spikes = {"input": np.array([[[1, 1]], [[0, 1]]], np.uint8), "output": np.ones((2, 1, 2), np.uint8)}
    network = one_layer(Lif(1.0, 0.9), np.ones((2, 2)))
    open_loop = energy_model(record_from_rasters(network, spikes, "by hand", "spikes"), ODIN, step_time=1.0)
    assert counts(open_loop, "crossbar_operation") == {"input": 3 * 256, "output": 0}
    back = Dense("output", "output", np.array([[0.0, 1.0], [0.0, 0.0]]), delay=1)
    closed = replace(network, connections=(*network.connections, back))
    report = energy_model(record_from_rasters(closed, spikes, "by hand", "spikes"), ODIN, step_time=1.0)
    assert counts(report, "crossbar_operation") == {"input": 3 * 256, "output": 4 * 256}
    assert (place(network, ODIN).cores[0].input_axons, place(closed, ODIN).cores[0].input_axons) == (2, 4)


def test_inputs_without_weights_are_not_sent_to_the_core() -> None:
    network = one_layer(Lif(1.0, 0.9), np.array([[1.0, 0.0], [1.0, 0.0]]))
    spikes = np.array([[[1, 1]], [[0, 1]]], np.uint8)
    kept = energy_model(run(network, spikes, record="spikes"), ODIN, step_time=1.0)
    assert counts(kept, "crossbar_operation")["input"] == 256
    unknown = energy_model(run(network, spikes), ODIN, step_time=1.0)
    assert counts(unknown, "crossbar_operation")["input"] == 3 * 256
    assert any("which neurons of input spiked was not recorded" in line for line in unknown.not_covered)


NEURONS = [
    (Lif(1.0, 1.0), np.ones((2, 2)), 0),
    (Lif(1.0, np.array([1.0, 0.5])), np.ones((2, 2)), 256),
    (FixedLif(100, 0), np.full((2, 2), 2), 0),
    (FixedLif(100, 1), np.full((2, 2), 2), 256),
]


@pytest.mark.parametrize(("neuron", "weight", "operations"), NEURONS)
def test_leaks_cost_where_any_neuron_leaks(neuron: Lif | FixedLif, weight: Array, operations: int) -> None:
    report = energy_model(run(one_layer(neuron, weight), np.zeros((3, 2, 2), np.uint8)), ODIN, step_time=1.0)
    assert counts(report, "leak_operation") == {"network": 3 * 2 * operations}
    assert report.dynamic is not None
    assert report.dynamic.typical == pytest.approx(6 * operations * PJ)
    assert report.dynamic.low == 0


def test_a_network_that_fits_takes_one_core_and_its_rows() -> None:
    placement = place(floats([64, 100, 10]), ODIN)
    (core,) = placement.cores
    assert (core.neurons, core.input_axons) == (110, 64 + 110)
    assert not [found for found in check(floats([64, 100, 10]), ODIN) if found.level == "error"]


def test_a_network_with_too_many_sources_is_refused_and_priced_on_more_chips() -> None:
    """150 inputs, 100 hidden neurons and 6 outputs would take all rows of the first chip; 4 outputs were left. On two
    chips no neuron drives one of its own."""
    network = floats([150, 100, 10])
    placement = place(network, ODIN)
    assert [[(part.population, part.stop) for part in core.slices] for core in placement.cores] == [
        [("hidden1", 100)], [("output", 10)]
    ]  # fmt: skip
    assert [core.input_axons for core in placement.cores] == [150, 100]
    found = next(finding for finding in check(network, ODIN) if finding.level == "error")
    assert found.message == (
        "output: found 2 cores needed, odin has 1: one neuron more on the last one, and it needs 257 input axons, "
        "odin allows 256 per core; use smaller populations"
    )
    spikes = {name: np.zeros((1, 1, n), np.uint8) for name, n in (("input", 150), ("hidden1", 100), ("output", 10))}
    spikes["input"][0, 0, :3], spikes["hidden1"][0, 0, :2], spikes["output"][0, 0, [0, 9]] = 1, 1, 1
    report = energy_model(record_from_rasters(network, spikes, "by hand", "spikes"), ODIN, step_time=1e-3)
    assert counts(report, "crossbar_operation") == {"input": 3 * 256, "hidden1": 2 * 256, "output": 0}
    assert counts(report, "leak_operation") == {"network": 2 * 256}
    assert report.static is not None
    assert report.static.typical == pytest.approx(2 * 1e-3 * (27.3 + 1.78 * 75) * 1e-6)
    assert any(line.startswith("the network needs 2 chips") for line in report.assumed)
    busiest = 512 * (3 + 1) / 75e6
    seconds = work_seconds(record_from_rasters(network, spikes, "by hand", "spikes"), ODIN, placement)
    assert seconds is not None
    assert seconds.typical == pytest.approx(busiest)


def test_other_chips_have_no_crossbar() -> None:
    assert Crossbar.of(chip("loihi1")) is None
    assert Crossbar.of(ODIN) == Crossbar(256, 256, 2)
    report = energy_model(record(), chip("loihi1"))
    assert report.count("crossbar_operation") == report.count("leak_operation") == 0
    assert "crossbar" not in str(report)


def test_without_a_clock_work_has_no_time() -> None:
    unclocked = replace(
        ODIN, figures={k: f for k, f in ODIN.figures.items() if k not in ("clock", "power.per_megahertz")}
    )
    with pytest.raises(InputError, match="found 'work' on odin, whose file has no times of operations"):
        energy_model(record(), unclocked, time="work")


def test_a_smaller_crossbar_costs_less() -> None:
    """Every figure of the file counts."""
    values = {"operations_per_spike": 16, "operations_per_step": 8, "cycles_per_operation": 3}
    changed = {f"crossbar.{key}": replace(ODIN.section("crossbar")[key], value=value) for key, value in values.items()}
    small = replace(ODIN, figures={**ODIN.figures, **changed})
    report = energy_model(record_from_rasters(tiny(), rasters(), "by hand", "spikes"), small, time="work")
    assert report.count("crossbar_operation") == 7 * 16
    assert report.count("leak_operation") == 2 * 8
    assert report.seconds is not None
    assert report.seconds.typical == pytest.approx(3 * (7 * 16 + 2 * 8) / 75e6)


CROSSBAR = """
[crossbar.operations_per_spike]
value = 16
unit = "operations"
source = "doe"
trust = "P"
[crossbar.operations_per_step]
value = 8
unit = "operations"
source = "doe"
trust = "P"
[crossbar.cycles_per_operation]
value = 3
unit = "cycles"
source = "doe"
trust = "P"
"""
BROKEN = [
    ("[crossbar.operations_per_step]", "[crossbar.operations]", r"crossbar\.operations: found an unknown key"),
    (CROSSBAR[CROSSBAR.index("[crossbar.cy") :], "", r"crossbar\.cycles_per_operation: found nothing"),
    ("value = 16", "value = 16.5", r"crossbar\.operations_per_spike\.value: found 16\.5, allowed is a whole number"),
    (
        'unit = "cycles"',
        'unit = "operations"',
        r"crossbar\.cycles_per_operation\.unit: found 'operations', allowed is cyc",
    ),
]


def test_a_chip_file_may_have_a_crossbar(tmp_path: Path) -> None:
    path = small(tmp_path)
    path.write_text(SMALL + CROSSBAR)
    assert Crossbar.of(chip(path)) == Crossbar(16, 8, 3)


@pytest.mark.parametrize(("old", "new", "message"), BROKEN)
def test_a_mistake_in_a_crossbar_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = small(tmp_path)
    path.write_text(SMALL + CROSSBAR.replace(old, new))
    with pytest.raises(ChipError, match=message):
        chip(path)


def test_a_stream_is_metered_as_the_report_counts_it() -> None:
    meter = Meter.of(tiny(), ODIN, window=2, step_time=1e-3)
    updates, operations = {"hidden": 5, "output": 2}, {"input->hidden": 7, "hidden->output": 3}
    events = Events(2, {"input": 3, "hidden": 3, "output": 1}, updates, updates, operations)
    report = meter.report(events)
    assert report.dynamic is not None
    assert meter.joules(events) == pytest.approx(report.dynamic.typical) == pytest.approx(9 * 256 * PJ)


@settings(max_examples=40, deadline=None)
@given(network=networks(), seed=st.integers(0, 99))
def test_operations_rows_and_cycles_of_random_networks_by_plain_loops(network: Network, seed: int) -> None:
    """Cores of few neurons, so that spikes reach several, and come back to some only."""
    few = replace(ODIN.figures["limits.neurons_per_core"], value=9)
    target = replace(ODIN, figures={**ODIN.figures, "limits.neurons_per_core": few})
    placement, rng = place(network, target), np.random.default_rng(seed)
    spikes = {p.name: (rng.random((2, 3, p.size)) < 0.4).astype(np.uint8) for p in network.populations}
    operations, cycles = dict.fromkeys(network.names, 0), np.zeros((2, 3), np.int64)
    for core in placement.cores:
        held = {(part.population, int(i)) for part in core.slices for i in placement.members(part)}
        rows = {
            (c.source, int(i))
            for c in network.connections
            for j in range(network[c.target].size)
            if (c.target, j) in held
            for i in np.flatnonzero(c.weight[j])
        }
        rows |= held if rows & held else set()
        assert core.input_axons == len(rows)
        events = sum((spikes[name][:, :, i].astype(np.int64) for name, i in rows), np.zeros((2, 3), np.int64))
        cycles = np.maximum(cycles, 512 * (events + 1))
        for name, i in rows:
            operations[name] += 256 * int(spikes[name][:, :, i].sum())
    found = record_from_rasters(network, spikes, "by hand", "spikes")
    crossbar = Crossbar(256, 256, 2)
    counted = {(where, event): count for where, event, count in crossbar.operations(found, placement)}
    assert counted.pop(("network", "leak_operation")) == 256 * 6 * placement.cores_used
    assert counted == {(name, "crossbar_operation"): count for name, count in operations.items()}
    np.testing.assert_array_equal(crossbar.cycles(found, placement), cycles)
