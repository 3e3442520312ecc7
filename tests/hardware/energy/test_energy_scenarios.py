"""What is no figure looks like none, and no sum is a mixture of scenarios: energies, times and static energy."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aspen.errors import ChipError, InputError
from aspen.network.record import Record
from aspen_emulator.engines.replay import record_from_rasters
from aspen_emulator.streaming.meter import Meter
from aspen_hardware.chips.description import Chip, chip
from aspen_hardware.chips.ranges import ByScenario, Range
from aspen_hardware.energy.costs import WORDS, energy_of_counts, work_seconds
from aspen_hardware.energy.model import energy_model
from aspen_hardware.energy.report import EnergyReport
from aspen_hardware.placing.placement import place
from tests.hardware.energy.test_energy import LOIHI1, PJ, bounds, powered, rasters, record, tiny

ODIN = chip("odin")
BOUNDS = ("low", "typical", "high")


def silent() -> Record:
    return record_from_rasters(tiny(), {name: np.zeros_like(each) for name, each in rasters().items()}, "by hand")


def row(report: EnergyReport, name: str) -> list[str]:
    """The cells of one line of a report: typical, low, high, count."""
    line = next(line for line in str(report).splitlines() if line.startswith(f"  {name} "))
    return line.removeprefix(f"  {name} ").replace(" pJ", "pJ").split()


# ---------------------------------------------------------------- what has no figure is a word


def test_synaptic_operations_of_a_crossbar_are_elsewhere_and_not_free() -> None:
    report = energy_model(record(), ODIN, step_time=1e-3)
    assert row(report, "input->hidden: synaptic operations") == ["elsewhere", "7"]
    free = [line for line in str(report).splitlines() if " 0 pJ " in line]
    assert [line.split(": ")[1].split("  ")[0] for line in free] == [
        "operations of the crossbar, for leaks"
    ]  # at least
    entry = report.entries[0]
    assert (entry.event, entry.joules, entry.elsewhere, entry.unpriced) == (
        "synaptic_operation",
        None,
        ("frenkel2019",),
        (),
    )
    told = "elsewhere: 10 synaptic operations: in the operations of the crossbar, which does them all, used or not"
    assert told in str(report).splitlines()


@pytest.mark.parametrize("name", ["odin", "truenorth", "loihi1"])
def test_nothing_is_unknown_whose_energy_is_in_another_line(name: str) -> None:
    report = energy_model(record(), chip(name), step_time=1e-3)
    assert report.missing == ()
    counted = [line for line in str(report).splitlines() if line.startswith("  ")]
    assert not any("unknown" in line.split() for line in counted)
    assert len(report.elsewhere) == len(set(report.elsewhere)) > 0
    assert "without what has no figure" not in str(report)
    assert json.loads(json.dumps(report.to_dict()))["elsewhere"] == list(report.elsewhere)


def test_firing_is_in_the_active_update_of_one_scenario_and_apart_in_the_other() -> None:
    report = energy_model(record(), LOIHI1)
    assert row(report, "hidden: spikes fired") == ["elsewhere", "elsewhere", "208pJ", "3"]
    told = "elsewhere: 4 spikes fired in davies2018: in the active update, beside which no energy of firing is listed"
    assert told in str(report).splitlines()
    assert row(energy_model(record(), LOIHI1.only("sanafe")), "hidden: spikes fired") == ["208pJ"] * 3 + ["3"]


def without(scenario: str, event: str) -> Chip:
    key = f"scenarios.{scenario}.energies.{event}"
    return replace(LOIHI1, figures={k: figure for k, figure in LOIHI1.figures.items() if k != key})


@pytest.mark.parametrize(
    ("scenario", "cells"), [("sanafe", ["10.2pJ", "unknown"]), ("davies2018", ["unknown", "unknown"])]
)
def test_a_sum_that_lacks_a_figure_of_one_scenario_says_so(scenario: str, cells: list[str]) -> None:
    report = energy_model(replace(record(), rasters={}), without(scenario, "spike_packet"))
    assert report.missing == (f"6 spike packets in {scenario}: the chip's file has no figure for it",)
    assert " per inference, without what has no figure; " in str(report).splitlines()[0]
    packets = row(report, "input: spike packets")
    assert packets[1] == "unknown"
    assert (packets[0] == "unknown") == (cells[0] == "unknown")


# ---------------------------------------------------------------- no mixture


def test_no_time_of_one_scenario_is_paid_with_the_energy_of_another() -> None:
    """Without a spike sanafe's updates are cheaper, and slower: neither end of the sum has the best of both."""
    run = silent()
    times = work_seconds(run, LOIHI1, place(tiny(), LOIHI1))
    report = energy_model(run, LOIHI1, time="work")
    assert times is not None
    assert report.dynamic is not None
    assert report.static is not None
    assert times.of["davies2018"].typical < times.of["sanafe"].typical
    assert report.dynamic.of["davies2018"].typical > report.dynamic.of["sanafe"].typical
    whole = {n: 29.5e-3 * times.of[n].low + each.low for n, each in report.dynamic.of.items()}
    assert report.total is not None
    assert report.total.low == pytest.approx(min(whole.values()), rel=1e-12)
    assert report.total.low > report.static.low + report.dynamic.low
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["static"] == {bound: getattr(report.static, bound) for bound in BOUNDS}
    assert plain["seconds"]["typical"] == times.typical


def test_a_gated_chip_is_on_for_as_long_as_each_scenario_says() -> None:
    gated = powered("gated", chip=1.0, off=0.25)
    times = work_seconds(silent(), gated, place(tiny(), gated))
    report = energy_model(silent(), gated, step_time=2.0)
    assert times is not None
    assert isinstance(report.static, ByScenario)
    for name, busy in times.of.items():
        assert report.static.of[name].typical == pytest.approx(busy.typical + 0.25 * (4.0 - busy.typical))


def test_a_gated_chip_with_clock_cycles_is_on_for_as_long_as_these_take() -> None:
    run, xylo = record(), chip("xylo")
    off = replace(xylo.power["chip"], value=0.0, low=0.0, high=0.0)
    gated = replace(xylo, figures={**xylo.figures, "power.off": off}, powered={**xylo.powered, "rule": "gated"})
    busy = energy_model(run, xylo, time="work").seconds
    found = energy_model(run, gated, step_time=1.0).static
    assert busy is not None
    assert found is not None
    power = gated.power["chip"].si.typical + gated.power["io"].si.typical
    assert found.typical == pytest.approx(power * busy.typical)


def test_a_stream_on_a_gated_chip_is_refused_as_its_power_depends_on_what_it_does() -> None:
    with pytest.raises(
        InputError, match="loihi1: found a gated chip, allowed for a stream is one that is powered as a"
    ):
        Meter.of(tiny(), powered("gated", chip=1.0, off=0.25), window=2)
    assert Meter.of(tiny(), powered("core", core=0.5, off=0.125), window=2).static_watts == 2 * 0.5 + 2 * 0.125


# ---------------------------------------------------------------- sums

quantities = st.floats(0, 1e18, allow_subnormal=False)
ranges = st.tuples(quantities, quantities, quantities).map(lambda values: Range(*sorted(values)))


@st.composite
def by_scenario(draw: st.DrawFn) -> ByScenario:
    return ByScenario({name: draw(ranges) for name in ("a", "b", "c")}, draw(st.sampled_from("abc")))


@settings(max_examples=50)
@given(by_scenario(), ranges, quantities)
def test_sums_keep_their_order_and_their_parts_whichever_scenario_is_usual(
    one: ByScenario, other: Range, factor: float
) -> None:
    for found in (one, one + other, one.times(factor), one.times(other), one + ByScenario(one.of, one.usual)):
        assert found.low <= found.typical <= found.high
    total = one + other
    for name in one.of:
        assert bounds(total.of[name]) == tuple(getattr(one.of[name], b) + getattr(other, b) for b in BOUNDS)


counts = st.dictionaries(st.sampled_from(list(WORDS)), st.integers(0, 10**17))


@settings(max_examples=50)
@given(counts, counts, st.sampled_from(["loihi1", "truenorth", "odin", "generic-45nm"]), st.booleans())
def test_more_events_never_cost_less(first: dict[str, int], more: dict[str, int], name: str, reverse: bool) -> None:
    target = chip(name)
    if reverse:  # the last scenario is the usual one
        target = replace(target, usual=list(target.scenarios)[-1])
    first = {kind: first[kind] for kind in WORDS if kind in first}  # sums of floats depend on their order
    both = {kind: first.get(kind, 0) + more.get(kind, 0) for kind in WORDS if kind in first or kind in more}
    one, two = (energy_of_counts(each, target, Range(1.0, 2.0, 3.0)) for each in (first, both))
    for part in ("dynamic", "static", "total"):
        few, many = getattr(one, part), getattr(two, part)
        assert many is None or many.low <= many.typical <= many.high
        assert few is None or all(getattr(few, bound) <= getattr(many, bound) for bound in BOUNDS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seconds": -1.0}, "seconds: found -1"),
        ({"seconds": float("nan")}, "seconds: found nan"),
        ({"seconds": Range(-1.0, 0.0, 1.0)}, "seconds: found -1"),
        ({"cores": -1}, "cores: found -1"),
        ({"chips": 0}, "chips: found 0"),
        ({"chips": 1.5}, r"chips: found 1\.5"),
    ],
)
def test_what_is_no_time_and_no_number_of_cores_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        energy_of_counts({"spike": 1}, LOIHI1, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [float("inf"), float("nan"), "3"])
def test_a_count_is_a_finite_number(count: object) -> None:
    with pytest.raises(InputError, match="counts: spike: found"):
        energy_of_counts({"spike": count}, LOIHI1)  # type: ignore[dict-item]


def test_huge_figures_of_a_crossbar_do_not_wrap_around() -> None:
    huge = replace(ODIN.section("crossbar")["operations_per_spike"], value=1e18)
    keys = ("crossbar.operations_per_spike", "crossbar.cycles_per_operation")
    target = replace(ODIN, figures={**ODIN.figures, **dict.fromkeys(keys, huge)})
    report = energy_model(record(), target, time="work")
    assert report.seconds is not None
    assert report.seconds.typical > 6e36 / 75e6
    assert report.dynamic is not None
    assert report.dynamic.typical > 6e18 * 8 * PJ


@pytest.mark.parametrize("part", ["spikes", "active_updates", "awake_updates", "synaptic_operations"])
@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (lambda counts: -1 - counts, "-"),
        (lambda counts: np.full_like(counts, 2**62), str(2**62)),
        (lambda counts: np.full(counts.shape, np.nan), "nan"),
        (lambda counts: counts[:0], "none"),
        (lambda counts: np.vstack([counts] * 3), "int64, 6 in 2 steps of 1 samples"),
    ],
    ids=["negative", "huge", "nan", "empty", "too many"],
)
def test_counts_that_a_network_cannot_have_are_refused(part: str, spoil: Any, found: str) -> None:
    right = record()
    counts = dict(getattr(right, part))
    name = next(iter(counts))
    with pytest.raises(
        InputError, match=rf"record: found {part} of {name}: .*{found}.*, allowed are integers from 0 to"
    ):
        energy_model(replace(right, **{part: {**counts, name: spoil(counts[name])}}), LOIHI1)
    with pytest.raises(InputError, match=rf"record: found {part} of .*, allowed are those of {name}, "):
        energy_model(replace(right, **{part: {key: each for key, each in counts.items() if key != name}}), LOIHI1)


def test_times_and_chips_of_other_types_are_refused() -> None:
    for value in ("1ms", True, [1.0]):
        with pytest.raises(InputError, match=r"step_time: found .*, allowed are finite seconds above 0"):
            energy_model(record(), LOIHI1, step_time=value)  # type: ignore[arg-type]
        with pytest.raises(InputError, match=r"clock of odin: found .*, allowed is a finite number of MHz above 0"):
            energy_model(record(), ODIN, step_time=1e-3, clock=value)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"chip: found 'loihi1', allowed is a Chip; read one: aspen_hardware\.chip"):
        energy_model(record(), "loihi1")  # type: ignore[arg-type]


def test_the_first_line_says_on_how_many_chips() -> None:
    assert ", 2 cores in use; " in str(energy_model(record(), LOIHI1)).splitlines()[0]
    one_core = replace(
        LOIHI1, figures={**LOIHI1.figures, "limits.cores": replace(LOIHI1.figures["limits.cores"], value=1)}
    )
    report = energy_model(record(), one_core)
    assert ", 2 cores of 2 chips in use; " in str(report).splitlines()[0]
    assert report.static is not None
    assert report.static.typical == pytest.approx(2 * 96.3e-3 * 2 * 337e-6)


def test_a_picture_has_room_for_what_is_unknown() -> None:
    panel = energy_model(record(), chip("spinnaker2")).plot().axes[0]
    assert panel.get_xlim() == (-0.5, 2.5)
    assert panel.get_title() == "What a battery sees, steps of unknown length"
    assert [text.get_text() for text in panel.texts][:2] == ["unknown", "unknown"]


def test_one_scenario_alone_keeps_what_is_its_own() -> None:
    alone = LOIHI1.only("sanafe")
    assert alone.contained == {}
    assert set(LOIHI1.only("davies2018").contained) == {"scenarios.davies2018.spike"}
    with pytest.raises(ChipError, match="scenario of loihi1: found 'san'"):
        LOIHI1.only("san")
