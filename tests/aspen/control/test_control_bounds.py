"""Where the settings of controllers end: what lies on a bound is taken or refused as documented."""

from __future__ import annotations

from collections.abc import Callable
from math import log

import pytest

from aspen.control import AccuracyFloor, Battery, Budget, Decision, Manual, Rate, Spent
from aspen.control.spending import Steering, sparsest_worth_running
from aspen.errors import InputError
from tests.aspen.control.controllers import STEP
from tests.control_tables import WINDOW, made_table, point

TABLE = made_table()
LITTLE = 1e-12
BUDGET = {"watts": 500e-9 / WINDOW, "window_seconds": WINDOW, "worst_step": STEP}
BATTERY = {"joules": 1.0, "seconds": 3600.0, "window_seconds": WINDOW, "worst_step": STEP}

Make = Callable[..., object]
MAKERS: dict[str, Make] = {
    "budget": lambda **given: Budget(TABLE, **{**BUDGET, **given}),
    "battery": lambda **given: Battery(TABLE, **{**BATTERY, **given}),
    "steering": lambda **given: Steering(TABLE, **given),
    "floor": lambda **given: AccuracyFloor(TABLE, **{"level": 0.5, **given}),
    "manual": lambda **given: Manual(**{"knob": 0.5, **given}),
    "spent": lambda **given: Spent(**{"seconds": 1.0, "dynamic": 0.0, "static": 0.0, **given}),
    "decision": lambda **given: Decision(**{"knob": 0.5, **given}),
    "rate": lambda budget: Rate(budget, "h"),
    "sparsest": lambda **given: sparsest_worth_running(TABLE, **given),
}
TAKEN = [
    *(("budget", name, value) for name, value in (
        ("static_watts", 0.0), ("worst_step", 0.0), ("patience", 1.0), ("keep", 0.5), ("agility", 1.0),
        ("max_change", 1.0), ("sparsest", TABLE.low), ("sparsest", TABLE.high),
    )),
    *(("battery", name, 0.0) for name in ("static_watts", "worst_step")),
    *(("steering", name, 1.0) for name in ("agility", "max_change")),
    ("floor", "level", 0.0), ("floor", "level", 1.0), ("manual", "duty", 1.0),
    *(("spent", name, 0.0) for name in ("seconds", "dynamic", "static", "margin")), ("spent", "margin", 1.0),
    ("decision", "limit", 0.0), ("decision", "knob", -1.0), ("sparsest", "give", 0.0), ("sparsest", "give", 1.0),
]  # fmt: skip
REFUSED = [
    *(("budget", name, 0.0) for name in ("watts", "window_seconds", "keep", "agility", "max_change")),
    *(("budget", name, -LITTLE) for name in ("static_watts", "worst_step")),
    *(("budget", name, 1.0 + 1e-9) for name in ("agility", "max_change")),
    ("budget", "patience", 1.0 - 1e-9), ("budget", "keep", 0.5 + 1e-9),
    ("budget", "sparsest", TABLE.low - 1e-9), ("budget", "sparsest", TABLE.high + 1e-9),
    *(("battery", name, 0.0) for name in ("joules", "seconds", "window_seconds")),
    *(("battery", name, -LITTLE) for name in ("static_watts", "worst_step")),
    *(("steering", name, value) for name in ("agility", "max_change") for value in (0.0, 1.0 + 1e-9)),
    ("floor", "level", -LITTLE), ("floor", "level", 1.0 + 1e-9), ("floor", "gain", 0.0),
    ("manual", "duty", 0.0), ("manual", "duty", 1.0 + 1e-9), ("rate", "budget", 0.0),
    *(("spent", name, -LITTLE) for name in ("seconds", "dynamic", "static", "margin")), ("spent", "margin", 1.0 + 1e-9),
    ("decision", "limit", -LITTLE), ("sparsest", "give", -LITTLE), ("sparsest", "give", 1.0 + 1e-9),
]  # fmt: skip


@pytest.mark.parametrize(("name", "setting", "value"), TAKEN)
def test_a_value_on_its_bound_is_taken(name: str, setting: str, value: float) -> None:
    MAKERS[name](**{setting: value})


@pytest.mark.parametrize(("name", "setting", "value"), REFUSED)
def test_a_value_beyond_its_bound_is_refused(name: str, setting: str, value: float) -> None:
    with pytest.raises(InputError, match=f"{setting}.*: found"):
        MAKERS[name](**{setting: value})


@pytest.mark.parametrize("nj", [400.0, 800.0])
def test_a_full_ledger_is_spent_at_most_15_percent_faster_than_it_is_earned(nj: float) -> None:
    budget = Budget(TABLE, nj * 1e-9 / WINDOW, WINDOW, STEP, sparsest=1.0, patience=1.0, max_change=1.0)
    for _ in range(3000):
        budget.update(Spent(WINDOW, 0.0, 0.0, ran=False))
    assert budget.ledger.balance == budget.ledger.capacity
    aimed = TABLE.dynamic_nj(budget.steering.knob) * 1e-9
    assert aimed == pytest.approx(1.15 * budget.ledger.watts * WINDOW)
    budget.ledger.balance = -budget.ledger.capacity
    budget.update(Spent(0.0, 0.0, 0.0, ran=False))
    assert TABLE.dynamic_nj(budget.steering.knob) * 1e-9 == pytest.approx(max(0.5 * aimed / 1.15, 300e-9))


@pytest.mark.parametrize(("part", "run"), [(0.4 - 1e-6, False), (0.4 + 1e-6, True)])
def test_however_dear_windows_are_one_is_run_with_two_fifths_of_the_ledger(part: float, run: bool) -> None:
    """It is stopped where that is spent; were more asked for, nothing would ever be run again."""
    budget = Budget(TABLE, 400e-9 / WINDOW, WINDOW, STEP, sparsest=1.0)
    for _ in range(50):
        budget.steering.observe(budget.steering.knob, 1.0)
    budget.ledger.balance = part * budget.ledger.capacity
    assert budget.steering.expected(1.0) > budget.ledger.capacity
    assert budget.update(Spent(0.0, 0.0, 0.0, ran=False)).run == run


@pytest.mark.parametrize(("dial", "width"), [("profile", 3.5), ("scale", log(8.0))])
def test_the_largest_change_is_a_part_of_the_range_wherever_it_begins(dial: str, width: float) -> None:
    points = (point(4.0, 300.0, 0.80), point(2.0, 600.0, 0.86), point(0.5, 1000.0, 0.90))
    steering = Steering(made_table(dial, points=points), 4.0, max_change=0.25)
    knob = steering.steer(0.0)
    assert (log(knob / 0.5) if dial == "scale" else knob - 0.5) == pytest.approx(width / 4)


@pytest.mark.parametrize(("give", "knob"), [(0.0, 0.0), (0.039, 0.0), (0.041, 0.5), (0.09, 0.5), (0.11, 1.0)])
def test_the_sparsest_worth_running_gives_away_as_much_as_it_may(give: float, knob: float) -> None:
    assert sparsest_worth_running(TABLE, give) == knob


@pytest.mark.parametrize(("windows", "run"), [(7.9, True), (8.1, False)])
def test_a_battery_skips_windows_once_it_is_eight_windows_energy_ahead(windows: float, run: bool) -> None:
    """Of one joule for 100 windows each gets 10 mJ; the first takes what so many more would have got."""
    battery = Battery(TABLE, 1.0, 100 * WINDOW, WINDOW, STEP)
    assert battery.update(Spent(WINDOW, 0.01 * (1 + windows), 0.0)).run is run


@pytest.mark.parametrize(("watts", "static"), [(1e-3, 1e-3), (1e-3, 2e-3)])
def test_a_budget_must_be_more_than_static_power(watts: float, static: float) -> None:
    with pytest.raises(InputError, match=r"allowed is more than the static power of .*dynamic=True in stream"):
        Budget(TABLE, watts, WINDOW, STEP, static_watts=static)
