"""Budgets and batteries are held, whatever happens; controllers can be stopped and resumed anywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aspen.control import (
    AccuracyFloor,
    Battery,
    Budget,
    Decision,
    Ledger,
    Manual,
    Spent,
    margin_for,
    margins,
)
from aspen.control.spending import Steering
from aspen.errors import InputError
from tests.aspen.control.controllers import STEP
from tests.control_tables import WINDOW, Plant, made_table

HOUR = 3600.0


def activities(windows: int, seed: int = 0) -> list[float]:
    """As people move: the same for some windows, then another."""
    rng = np.random.default_rng(seed)
    return np.repeat(rng.choice([0.6, 1.0, 1.5], windows // 20 + 1), 20)[:windows].tolist()


def budget(nj: float, dial: str = "profile", **options: Any) -> Budget:
    return Budget(made_table(dial), nj * 1e-9 / WINDOW, WINDOW, STEP, **options)


def worst_hour(costs: list[float]) -> float:
    """The most that any hour took, wherever it begins."""
    total = np.concatenate([[0.0], np.cumsum(costs)])
    windows = int(HOUR / WINDOW)
    return float((total[windows:] - total[:-windows]).max()) if len(total) > windows else float(total[-1])


@pytest.mark.parametrize("dial", ["profile", "scale"])
@pytest.mark.parametrize("nj", [770.0, 500.0, 333.0, 200.0])
def test_a_budget_is_held_within_3_percent(nj: float, dial: str) -> None:
    controller, plant = budget(nj, dial), Plant(made_table(dial))
    costs = [plant.window(controller, activity).dynamic for activity in activities(4000)]
    assert sum(costs) == pytest.approx(nj * 1e-9 * len(costs), rel=0.03)
    assert worst_hour(costs) <= nj * 1e-9 * HOUR / WINDOW


def test_static_power_is_in_the_budget() -> None:
    static = 1e-6
    table = made_table()
    controller = Budget(table, static + 500e-9 / WINDOW, WINDOW, STEP, static_watts=static)
    plant = Plant(table, static)
    spent = [plant.window(controller, activity) for activity in activities(3000)]
    total = sum(each.dynamic + each.static for each in spent)
    assert total == pytest.approx((static * WINDOW + 500e-9) * len(spent), rel=0.005)
    assert total <= (static * WINDOW + 500e-9) * (len(spent) + 10)


def test_static_power_that_was_not_foreseen_is_paid_from_the_rest() -> None:
    table, static = made_table(), 0.1e-6
    controller = Budget(table, static + 600e-9 / WINDOW, WINDOW, STEP, static_watts=static)
    plant = Plant(table, static + 100e-9 / WINDOW)
    spent = [plant.window(controller, 1.0).dynamic for _ in range(3000)]
    assert np.mean(spent[500:]) == pytest.approx(500e-9, rel=0.02)


@pytest.mark.parametrize("jump", [5.0, 0.2])
def test_a_sudden_change_of_activity_settles_within_10_windows(jump: float) -> None:
    table = made_table(points=tuple(wide_points()))
    controller = Budget(table, 1000e-9 / WINDOW, WINDOW, STEP, sparsest=1.0)
    plant = Plant(table, noise=0.0)
    for _ in range(2000):
        plant.window(controller, 1.0)
    costs = [plant.window(controller, jump).dynamic for _ in range(1500)]
    assert np.abs(np.array(costs[10:]) / 1000e-9 - 1).max() <= 0.25
    assert worst_hour(costs) <= 1000e-9 * HOUR / WINDOW


def wide_points() -> list[Any]:
    from tests.control_tables import point

    return [point(1.0, 100.0, 0.80), point(0.5, 1000.0, 0.805), point(0.0, 10000.0, 0.84)]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0.01, 40.0), min_size=1, max_size=6), st.integers(0, 5), st.floats(150.0, 900.0))
def test_no_input_breaches_the_hourly_budget(levels: list[float], seed: int, nj: float) -> None:
    controller, plant = budget(nj), Plant(made_table(), noise=0.5, seed=seed)
    costs = [plant.window(controller, level).dynamic for level in np.repeat(levels, 400)]
    assert worst_hour(costs) <= nj * 1e-9 * HOUR / WINDOW * (1 + 1e-12)
    assert controller.left >= -1e-18


@pytest.mark.parametrize("activity", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("static", [0.0, 2e-6])
def test_a_battery_lasts_to_its_deadline_and_no_longer(activity: float, static: float) -> None:
    windows = 3000
    seconds = windows * WINDOW
    capacity = 250e-9 * windows + static * seconds
    plant = Plant(made_table(), static)
    controller = Battery(made_table(), capacity, seconds, WINDOW, STEP, static_watts=static)
    for count in range(windows):
        plant.window(controller, activity if count < windows / 2 else 1.0)
        assert controller.charge >= -1e-9 * capacity
    assert controller.state_of_charge <= 0.01
    assert controller.free <= 0.01 * 250e-9 * windows


def test_a_battery_with_energy_to_spare_runs_at_the_most_accurate_point() -> None:
    controller = Battery(made_table(), 1.0, 100 * WINDOW, WINDOW, STEP)
    assert controller.decision == Decision(0.0, True, 1.0)


def test_the_ledger_keeps_no_more_than_its_capacity_and_knows_the_last_hour() -> None:
    ledger = Ledger(1.0, 3600.0, 10.0, 5.0)
    ledger.book(100.0, 2.0)
    assert (ledger.balance, ledger.last_hour, ledger.left) == (10.0, 2.0, 10.0)
    ledger.book(HOUR - 100.0, 0.0)
    assert ledger.last_hour == 2.0
    ledger.book(HOUR / 180, 0.0)
    assert ledger.last_hour == 0.0
    ledger.book(10 * HOUR, 7.0)
    assert ledger.last_hour == 0.0


def test_a_ledger_that_is_loaded_counts_the_present_part_of_the_hour_once() -> None:
    ledger, again = Ledger(1.0, 10.0, 10.0, 10.0), Ledger(1.0, 10.0, 10.0, 0.0)
    for joules in (1.0, 2.0, 4.0):
        ledger.book(6.0, joules)  # the third is in the second part of 10 s
    again.load_state_dict(ledger.state_dict())
    assert again.last_hour == ledger.last_hour == 7.0
    assert again.left == ledger.left == 3.0


def test_state_is_plain_and_of_constant_size() -> None:
    import json

    controller, plant = budget(400.0), Plant(made_table())
    sizes = []
    for count in range(3000):
        plant.window(controller, 1.0)
        if count % 500 == 0:
            state = controller.state_dict()
            assert json.loads(json.dumps(state)) == state
            sizes.append(len(state["ledger"]["bins"]))
    assert set(sizes) == {361}


def test_the_duty_is_spread_evenly() -> None:
    controller = Manual(1.0, duty=0.4)
    runs = []
    for _ in range(100):
        runs.append(controller.decision.run)
        controller.update(Spent(1.0, 0.0, 0.0, runs[-1]))
    assert sum(runs) == 40
    assert max(np.diff(np.flatnonzero(runs))) <= 3


def test_the_floor_finds_the_sparsest_setting_that_keeps_the_margin() -> None:
    table = made_table()
    controller = AccuracyFloor(table, level=0.5, gain=0.1)
    for _ in range(300):
        knob = controller.decision.knob
        controller.update(Spent(WINDOW, 1e-9, 0.0, True, 0.9 - 0.8 * knob))
    assert controller.decision.knob == pytest.approx(0.5, abs=0.01)
    for _ in range(300):
        controller.update(Spent(WINDOW, 1e-9, 0.0, True, 0.1))
    assert controller.decision.knob == 0.0
    controller.update(Spent(WINDOW, 1e-9, 0.0, True, 0.6))
    assert controller.place == pytest.approx(0.01)  # no windup
    controller.update(Spent(WINDOW, 0.0, 0.0, False, 0.9))
    controller.update(Spent(WINDOW, 1e-9, 0.0, True, None))
    assert controller.place == pytest.approx(0.01)  # windows that were skipped, or have no margin, move nothing
    scaled = AccuracyFloor(made_table("scale"), 0.5)
    scaled.place = 0.5
    assert scaled.decision.knob == pytest.approx(2.0)


def test_margins_and_the_level_for_an_accuracy() -> None:
    scores = np.array([[4, 1, 0], [2, 2, 0], [0, 0, 0], [-1, -3, -9]])
    np.testing.assert_allclose(margins(scores), [0.6, 0.0, 0.0, 0.5])
    points = [(0.9, 0.6), (0.8, 0.4), (0.85, 0.35)]
    assert margin_for(0.8, points) == pytest.approx(0.4)
    assert margin_for(0.85, points) == pytest.approx(0.4)
    assert margin_for(0.875, points) == pytest.approx(0.5)
    with pytest.raises(InputError, match=r"found 95\.0%, allowed is at most 90\.0%"):
        margin_for(0.95, points)
    with pytest.raises(InputError, match="points: found none"):
        margin_for(0.5, [])
    for outputs, scores in (("1", np.ones((3, 1))), ("no", np.array(1.0))):
        with pytest.raises(InputError, match=f"found {outputs} outputs"):
            margins(scores)
    for scores in (np.array([1.0, np.nan]), np.array([np.inf, 0.0]), np.array(["a", "b"])):
        with pytest.raises(InputError, match=r"scores: found .* values, NaN or infinity, allowed are finite numbers"):
            margins(scores)
    for accuracy in (float("nan"), -0.1, 1.1):
        with pytest.raises(InputError, match=r"accuracy: found .*, allowed is a number from 0 to 1"):
            margin_for(accuracy, points)
    with pytest.raises(InputError, match="points: found none or some that are not from 0 to 1"):
        margin_for(0.5, [(0.5, float("nan"))])


def test_impossible_demands_are_refused_with_what_is_possible() -> None:
    table = made_table()
    with pytest.raises(InputError) as caught:
        Budget(table, 0.9e-3, WINDOW, STEP, static_watts=1e-3)
    assert "found 900 uW, allowed is more than the static power of 1 mW (3.6 J an hour, 2.56 mJ a window)" in str(
        caught.value
    )
    assert "without skipping windows it takes 300 nJ a window more" in str(caught.value)
    with pytest.raises(InputError, match="an hour for all but static power, allowed is 150 uJ and more"):
        budget(10.0)
    with pytest.raises(InputError) as caught:
        Battery(table, 10.0, 24 * HOUR, WINDOW, STEP, static_watts=1e-3)
    assert "found 10 J to last 24 h" in str(caught.value)
    assert "possible are 2.78 h with the network idle" in str(caught.value)
    assert "a battery of 86.4 J" in str(caught.value)
    bare = made_table(chip=None, points=tuple(p.__class__(**{**vars(p), "dynamic_nj": None, "static_nj": None})
                                              for p in table.points))  # fmt: skip
    with pytest.raises(InputError, match="found no dynamic energy"):
        Budget(bare, 1e-3, WINDOW, STEP)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Manual(0.5, duty=0.0),
        lambda: Manual(float("nan")),
        lambda: AccuracyFloor(made_table(), 1.5),
        lambda: budget(500.0, keep=0.9),
        lambda: budget(500.0, patience=0.5),
        lambda: budget(500.0, sparsest=1.5),
        lambda: budget(500.0, agility=0.0),
        lambda: Battery(made_table(), 1.0, 0.0, WINDOW, STEP),
        lambda: Spent(-1.0, 0.0, 0.0),
    ],
)
def test_settings_out_of_range_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(InputError, match="allowed"):
        make()


def test_the_knob_moves_at_most_so_far_and_stays_in_range() -> None:
    steering = Steering(made_table(), 1.0, max_change=0.1)
    knobs = [steering.knob, *(steering.steer(0.0) for _ in range(20))]
    assert np.diff(knobs[:11]) == pytest.approx(np.full(10, 0.1))
    assert knobs[10:] == pytest.approx([1.0] * 11)
    back = [steering.steer(1.0) for _ in range(20)]
    assert back[0] == pytest.approx(0.9)
    assert back[-1] == 0.0
    for _ in range(50):
        steering.observe(0.0, 0.0)
    assert steering.factor == pytest.approx(np.exp(-4.0), rel=1e-3)


def test_the_knob_of_a_scale_moves_at_most_so_far_in_its_logarithm() -> None:
    steering = Steering(made_table("scale"), 4.0, max_change=0.25)
    assert [steering.steer(0.0) for _ in range(5)] == pytest.approx([2**0.5, 2.0, 2**1.5, 4.0, 4.0])
    assert steering.knob <= 4.0
    assert [steering.steer(1.0) for _ in range(5)] == pytest.approx([2**1.5, 2.0, 2**0.5, 1.0, 1.0])


@pytest.mark.parametrize(
    ("off", "believed"),
    [(0.15, 0.3), (0.45, 0.3), (0.75, 0.5), (1.2, 0.8), (1.5, 1.0), (3.0, 1.0), (-0.3, 0.3), (-0.9, 0.6), (-2.5, 1.0)],
)
def test_a_window_far_off_is_believed_at_once(off: float, believed: float) -> None:
    steering = Steering(made_table(), agility=0.3)
    steering.observe(0.5, 600e-9 * float(np.exp(off)))
    assert steering.log_factor == pytest.approx(believed * off)
    assert steering.expected(0.5) == pytest.approx(600e-9 * np.exp(believed * off))
