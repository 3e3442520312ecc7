"""Choosing from a calibration table: the best that a demand allows, or a refusal whose offer then holds."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aspen.calibration.choosing import BatteryLife, Chooser
from aspen.calibration.early import EarlyStop
from aspen.calibration.statistics import stretched, wilson
from aspen.calibration.storage import CalibrationTable, EarlyPoint
from aspen.control.spending import ended_early
from aspen.errors import InputError
from aspen.units import parse_energy
from tests.aspen.calibration.test_calibration_table import made, point

STATIC = 50.0


def with_early() -> CalibrationTable:
    """The table of three points, each at half the steps and energies with an early end."""
    stop = EarlyStop(0.5, 0.1, (0.5, 1.5, 3.0), (0.1, 0.2, 0.3), "spikes", 20, 0.005)
    table = made()
    points = tuple(
        EarlyPoint(replace(p, dynamic_nj=(p.dynamic_nj or 0) / 2, static_nj=STATIC / 2), 10.0) for p in table.points
    )
    return replace(table, early=stop, early_points=points)


@pytest.mark.parametrize(
    ("nanojoules", "dynamic", "early", "knob"),
    [(60, False, False, 3.0), (100, False, False, 1.5), (1e6, False, False, 0.5), (10, True, False, 3.0),
     (159, True, False, 1.5), (160, True, False, 0.5), (45, False, True, 1.5), (105, False, True, 0.5)],
)  # fmt: skip
def test_the_most_accurate_within_an_energy(nanojoules: float, dynamic: bool, early: bool, knob: float) -> None:
    choice = Chooser(with_early(), early=early, dynamic=dynamic).within_energy(1e-9 * nanojoules)
    assert choice.point.knob == knob
    spent = choice.dynamic_nj if dynamic else choice.total_nj
    assert spent is not None
    assert spent <= nanojoules
    assert choice.steps == (10.0 if early else 20)


@pytest.mark.parametrize("joules", [float("nan"), float("inf"), 0.0, -1.0, None])
def test_an_energy_is_a_number(joules: Any) -> None:
    with pytest.raises(InputError, match=r"max-energy: found .*, allowed is a number above 0"):
        Chooser(made()).within_energy(joules)


@example(asked=1.0, shift=0.0, static=1000.0, dynamic=False, early=False)  # 1.01 uJ is not 1e-9 * 1010
@given(st.floats(1e-3, 59.99), st.floats(0.0, 1.0), st.floats(0.1, 1e3), st.booleans(), st.booleans())
def test_what_a_refusal_offers_is_there(asked: float, shift: float, static: float, dynamic: bool, early: bool) -> None:
    points = [replace(p, dynamic_nj=(p.dynamic_nj or 0) * (1 + shift), static_nj=static) for p in made().points]
    table = replace(with_early(), points=tuple(points))
    chooser = Chooser(table, dynamic=dynamic, early=early)
    try:
        chooser.within_energy(1e-9 * asked)
    except InputError as error:
        offer = re.search(r"possible is ([\d.e+-]+ \w+)", str(error))
        assert offer is not None
        least = parse_energy(offer[1])
        assert chooser.within_energy(least).point.knob == 3.0
        with pytest.raises(InputError):
            chooser.within_energy(0.998 * least)


def test_a_refusal_says_what_the_cheapest_takes() -> None:
    with pytest.raises(InputError, match=r"10 nJ dynamic and 50 nJ static, 60\.0% correct, at knob 3\); static alone"):
        Chooser(made()).within_energy(1e-8)
    with pytest.raises(InputError, match=r"10 nJ dynamic, 60\.0% correct, at knob 3\); allow as much"):
        Chooser(made(), dynamic=True).within_energy(1e-9)


def test_the_cheapest_that_is_accurate_enough() -> None:
    chooser = Chooser(made())
    assert chooser.with_accuracy(0.8).point.knob == 1.5
    assert chooser.with_accuracy(0.801).point.knob == 0.5
    assert chooser.with_accuracy(0.8, sure=True).point.knob == 0.5
    with pytest.raises(InputError, match=r"found 0\.95, possible is up to 0\.9 as measured, at knob 0\.5"):
        chooser.with_accuracy(0.95)
    with pytest.raises(InputError, match=r"found 0\.9, possible is up to 0\.8\d+ surely") as caught:
        chooser.with_accuracy(0.9, sure=True)
    offer = re.search(r"up to ([\d.]+)", str(caught.value))
    assert offer is not None
    assert chooser.with_accuracy(float(offer[1]), sure=True).point.knob == 0.5
    for wrong in (0.0, -1.0, 1.01, 95.0):
        with pytest.raises(InputError, match="min-accuracy: found"):
            chooser.with_accuracy(wrong)


def test_the_interval_allows_for_all_settings() -> None:
    points = []
    for each in made().points:
        low, high = wilson(each.accuracy * 70, 70)  # of 200 samples that count as 70
        points.append(replace(each, accuracy_low=low, accuracy_high=high))
    table = made(points=tuple(points))
    choices = [Chooser(table, settings=k).with_accuracy(0.8) for k in (1, 3, 20)]
    assert (choices[0].low, choices[0].high) == pytest.approx(wilson(56, 70))
    assert (choices[1].low, choices[1].high) == pytest.approx(wilson(56, 70, 1 - 0.05 / 3))
    assert choices[2].low < choices[1].low < 0.8 < choices[1].high < choices[2].high


def ending_early(*figures: tuple[float, float, float]) -> CalibrationTable:
    """The table of three points with early ends of these accuracies, dynamic and static energies."""
    table = with_early()
    points = [
        EarlyPoint(replace(early.point, accuracy=accuracy, accuracy_low=0.0, accuracy_high=1.0, dynamic_nj=dynamic,
                           static_nj=static), early.steps)
        for early, (accuracy, dynamic, static) in zip(table.early_points, figures, strict=True)
    ]  # fmt: skip
    return replace(table, early_points=tuple(points))


def test_of_equally_accurate_points_the_cheaper_is_taken() -> None:
    """Ended early, a costlier setting need not be more accurate."""
    for figures, knob in (
        (((0.8, 10.0, 20.0), (0.8, 5.0, 20.0), (0.8, 8.0, 20.0)), 1.5),
        (((0.8, 5.0, 20.0), (0.8, 8.0, 20.0), (0.8, 10.0, 20.0)), 3.0),
        (((0.8, 10.0, 20.0), (0.8, 8.0, 20.0), (0.8, 5.0, 20.0)), 0.5),
        (((0.8, 10.0, 10.0), (0.8, 5.0, 20.0), (0.7, 1.0, 1.0)), 3.0),
    ):
        chooser = Chooser(ending_early(*figures), early=True)
        assert chooser.within_energy(1e-6).point.knob == knob
        assert chooser.with_accuracy(0.8).point.knob == knob
        assert chooser.on_battery(BatteryLife(1e6, 1.0, 1.0)).point.knob == knob


def test_static_energy_does_not_decide_where_only_dynamic_is_asked_for() -> None:
    table = ending_early((0.8, 10.0, 90.0), (0.8, 20.0, 10.0), (0.7, 30.0, 10.0))
    assert Chooser(table, early=True, dynamic=True).with_accuracy(0.8).point.knob == 3.0
    assert Chooser(table, early=True).with_accuracy(0.8).point.knob == 1.5


def test_without_energies_spikes_decide() -> None:
    spiking = [replace(point(knob, None, 0.1 + knob / 10, None), hidden_spikes=100 * knob) for knob in (1.0, 2.0, 3.0)]
    ended = [EarlyPoint(replace(each, hidden_spikes=400 - each.hidden_spikes), 10.0) for each in spiking]
    table = made(chip=None, points=tuple(spiking), early=with_early().early, early_points=tuple(ended))
    assert Chooser(table).with_accuracy(0.25).point.knob == 2.0
    assert Chooser(table, early=True).with_accuracy(0.25).point.knob == 3.0


def test_a_battery_carries_static_power_all_the_time_unless_gated() -> None:
    # 50 nJ in 20 steps of 1 ms: 2.5 uW of static power, all the time
    chooser = Chooser(made())
    always = chooser.on_battery(BatteryLife(joules=3600 * 2.6e-6, seconds=3600, rate=1.0))
    assert always.static_nj == pytest.approx(2500)
    assert always.point.knob == 1.5  # 2.5 uW + 40 nW; 160 nW more would be too much
    assert always.lasts == pytest.approx(3600 * 2.6e-6 / 2.54e-6)
    gated = chooser.on_battery(BatteryLife(3600 * 2.6e-6, 3600, 1.0, gated=True))
    assert (gated.static_nj, gated.point.knob) == (pytest.approx(50), 0.5)
    early = Chooser(with_early(), early=True).on_battery(BatteryLife(3600 * 2.6e-6, 3600, 1.0))
    assert early.static_nj == pytest.approx(2500)  # the chip stays on
    dynamic = Chooser(made(), dynamic=True).on_battery(BatteryLife(3600 * 41e-9, 3600, 1.0))
    assert dynamic.point.knob == 1.5
    assert dynamic.lasts is not None


def test_a_battery_that_is_too_small_hears_what_would_do() -> None:
    chooser = Chooser(made())
    with pytest.raises(InputError, match=r"found 1 mJ for 1 h .*2\.51 uW, 2\.5 uW of it static; .*--gated") as caught:
        chooser.on_battery(BatteryLife(1e-3, 3600, 1.0))
    offers = re.search(r"possible are ([\d.]+) h, or this time with ([\d.]+ mJ)", str(caught.value))
    assert offers is not None
    assert chooser.on_battery(BatteryLife(1e-3, 3600 * float(offers[1]), 1.0)).point.knob == 3.0
    assert chooser.on_battery(BatteryLife(parse_energy(offers[2]), 3600, 1.0)).point.knob == 3.0
    with pytest.raises(InputError, match=r"found 51 inferences per second, possible are 50, as one takes 20 ms"):
        chooser.on_battery(BatteryLife(1e6, 1.0, 51.0))
    chooser.on_battery(BatteryLife(1e6, 1.0, 50.0))
    for wrong in (BatteryLife(0, 1, 1), BatteryLife(1, -1, 1), BatteryLife(1, 1, float("inf"))):
        with pytest.raises(InputError, match=r"battery .*allowed is more than 0"):
            chooser.on_battery(wrong)


@pytest.mark.parametrize(("dynamic", "static"), [(None, None), (None, 50.0), (10.0, None)])
def test_unknown_energies_are_named(dynamic: float | None, static: float | None) -> None:
    table = made(chip="other", points=(point(1.0, dynamic, 0.8, static),))
    with pytest.raises(InputError, match=r"found no (published figures|static energy)"):
        Chooser(table).within_energy(1.0)
    with pytest.raises(InputError, match=r"found no (published figures|static energy)"):
        Chooser(table).on_battery(BatteryLife(1, 1, 1))
    assert Chooser(table).with_accuracy(0.5).dynamic_nj == dynamic
    if dynamic is not None:
        assert Chooser(table, dynamic=True).within_energy(1.0).static_nj is None


def test_without_an_early_stop_there_is_none() -> None:
    changed: dict[str, Any] = {"early": True}
    with pytest.raises(InputError, match="found no early stop in the table"):
        Chooser(made(), **changed)


def test_a_table_that_ends_early_keeps_what_is_worth_its_cost_with_the_knob_going_one_way() -> None:
    table = with_early()
    ended = ended_early(table)
    assert ended.points == tuple(early.point for early in table.early_points)
    assert (ended.early, ended.early_points) == (None, ())
    costs = ((5.0, 0.6), (80.0, 0.9), (20.0, 0.8))  # of the knobs 3, 1.5 and 0.5: the dearest lies between the others
    moved = tuple(
        replace(early, point=replace(early.point, dynamic_nj=nj, accuracy=right, accuracy_low=0.0, accuracy_high=1.0))
        for early, (nj, right) in zip(table.early_points, costs, strict=True)
    )
    assert [p.knob for p in ended_early(replace(table, early_points=moved)).points] == [3.0, 0.5]
    with pytest.raises(InputError, match="found no early stop"):
        ended_early(made())


def test_an_interval_ends_where_rates_do() -> None:
    """Also where rounding would carry it a little beyond."""
    for samples in range(1, 100):
        assert wilson(0, samples)[0] == 0 < wilson(0, samples)[1] < 1
        assert wilson(samples, samples)[1] == 1 > wilson(samples, samples)[0] > 0


@given(st.integers(0, 300), st.integers(1, 300), st.floats(0.5, 0.9999))
def test_an_interval_is_stretched_as_the_samples_would_have_it(right: int, more: int, sure: float) -> None:
    low, high = wilson(right, right + more - 1 or 1)
    rate = right / (right + more - 1 or 1)
    one = replace(point(1.0, 5.0, 0.5), accuracy=rate, accuracy_low=low, accuracy_high=high)
    assert stretched(one, sure) == pytest.approx(wilson(right, right + more - 1 or 1, sure), abs=1e-6)
