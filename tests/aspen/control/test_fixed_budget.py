"""The budget in integers: it decides as the one in floating point does, and never spends more than an hour may take."""

from __future__ import annotations

import json
from dataclasses import replace
from math import log2

import numpy as np
import pytest

from aspen.control import Budget, Decision, FixedBudget, Spent
from aspen.control.fixed import MOST_SPENT, ONE, exp2_fixed, log2_fixed
from aspen.dial import DialProfile
from aspen.errors import InputError
from tests.control_tables import WINDOW, Plant, made_table

UNIT = 1e-11
PROFILE = DialProfile({"hidden": 0.7})
HOUR = round(3600 / WINDOW)


def both(
    watts: float = 0.25e-6, dial: str = "profile", unit: float = UNIT, parts: int = 120
) -> tuple[Budget, FixedBudget]:
    """A budget twice, of tables that cost 1000 to 300 nJ a window."""
    sparsest = 1.0 if dial == "profile" else 4.0
    one, other = (Budget(made_table(dial), watts, WINDOW, worst_step=20e-9, sparsest=sparsest) for _ in range(2))
    return one, FixedBudget(other, unit, PROFILE if dial == "profile" else None, parts)


def test_logarithms_and_powers_are_those_of_floats() -> None:
    rng = np.random.default_rng(0)
    for value in [1, 2, 3, 4096, 65535, MOST_SPENT, *rng.integers(1, 2**32, 200).tolist()]:
        assert 0 <= log2(value) * ONE - log2_fixed(value) < 1.001
        assert exp2_fixed(log2_fixed(value)) == pytest.approx(value, rel=2e-5, abs=0.5)
    assert [exp2_fixed(k * ONE) for k in (-40, 0, 1, 31, 32, 99)] == [1, 1, 2, 2**31, MOST_SPENT, MOST_SPENT]
    assert [log2_fixed(2**k) for k in range(32)] == [k * ONE for k in range(32)]


@pytest.mark.parametrize("dial", ["profile", "scale"])
def test_it_decides_as_the_budget_in_floating_point(dial: str) -> None:
    """At the same earnings, window by window; activity from a third to three times what the table says."""
    one, fixed = both(dial=dial, parts=360)
    one.ledger.watts = fixed.numbers.earned * UNIT / WINDOW
    rng, knobs, ran = np.random.default_rng(1), [], []
    for window in range(2000):
        activity = np.exp(np.sin(window / 300) * 1.1 + 0.2 * rng.standard_normal())
        knobs.append((one.decision.knob, fixed.decision.knob))
        ran.append((one.decision.run, fixed.decision.run))
        joules = round(one.steering.table.dynamic_nj(fixed.decision.knob) * 1e-9 * activity / UNIT) * UNIT
        for each in (one, fixed):
            each.update(Spent(WINDOW, joules if each.decision.run else 0.0, 0.0, each.decision.run))
    place = np.log if dial == "scale" else np.asarray
    places = place(np.array(knobs))
    assert np.abs(places[:, 0] - places[:, 1]).max() < 0.02
    assert np.mean([a == b for a, b in ran]) > 0.9
    assert np.mean([a for a, _ in ran]) == pytest.approx(np.mean([b for _, b in ran]), abs=0.01)
    assert np.ptp(places[:, 1]) > 0.9


def test_the_account_is_exact() -> None:
    """Every unit that was earned and spent is in the balance, or was above what can be kept."""
    _, fixed = both()
    rng, numbers = np.random.default_rng(2), fixed.numbers
    balance = numbers.start
    assert fixed.balance == balance
    for _ in range(500):
        units = int(rng.integers(0, 60000))
        balance = min(balance + numbers.earned - units, numbers.capacity)
        fixed.book(units, True)
        assert fixed.balance == balance


@pytest.mark.parametrize(("activity", "parts"), [(0.2, 120), (1.0, 120), (4.0, 10), (4.0, 3600), (30.0, 120)])
def test_no_hour_takes_more_than_its_budget(activity: float, parts: int) -> None:
    _, fixed = both(parts=parts)
    plant, costs = Plant(made_table(), noise=0.5), []
    for window in range(3 * HOUR):
        quiet = 1500 < window < 2500  # to be spent in a burst, if that were allowed
        costs.append(plant.window(fixed, 0.01 if quiet else activity).dynamic)
    total = np.concatenate([[0.0], np.cumsum(costs)])
    worst = (total[HOUR:] - total[:-HOUR]).max()
    assert worst <= 0.25e-6 * 3600 * (1 + 1e-9)
    if activity >= 1.0:
        assert worst > 0.9 * 0.25e-6 * 3600 * (0.9 if parts == 10 else 1.0)  # and what it may is used


def test_windows_are_skipped_where_even_the_sparsest_costs_too_much() -> None:
    _, fixed = both(watts=0.06e-6)
    plant = Plant(made_table(), noise=0.0)
    ran = [plant.window(fixed, 1.0).ran for _ in range(2 * HOUR)]
    assert 0.3 < np.mean(ran[HOUR:]) < 0.6  # it earns 0.15 uJ a window, and one costs 0.3
    assert fixed.knob == 1.0


def test_a_step_is_covered_up_to_what_is_left() -> None:
    _, fixed = both()
    left, worst = fixed.units_left, fixed.numbers.worst_step
    assert (fixed.covers(left - worst), fixed.covers(left - worst + 1)) == (True, False)
    limit = fixed.decision.limit
    assert limit is not None
    assert left * UNIT < limit < (left + 1) * UNIT


def test_a_state_goes_on_exactly_there() -> None:
    _, fixed = both()
    _, other = both()
    plant = Plant(made_table())
    for _ in range(300):
        plant.window(fixed, 1.5)
    other.load_state_dict(json.loads(json.dumps(fixed.state_dict())))
    ahead, behind = Plant(made_table(), seed=5), Plant(made_table(), seed=5)
    for _ in range(300):
        assert ahead.window(fixed, 1.5) == behind.window(other, 1.5)
    assert other.state_dict() == fixed.state_dict()


@pytest.mark.parametrize(
    ("key", "value"), [("place", -1), ("bins", [0]), ("now", 500), ("windows", 99), ("run", 1.5), ("balance", 2**60)]
)
def test_a_damaged_state_is_refused_and_changes_nothing(key: str, value: object) -> None:
    _, fixed = both()
    before = fixed.state_dict()
    with pytest.raises(InputError, match="state: found"):
        fixed.load_state_dict({**before, key: value})
    assert fixed.state_dict() == before


def test_the_knob_is_one_that_the_board_has() -> None:
    one, fixed = both(dial="scale")
    assert fixed.knob == pytest.approx(one.decision.knob, abs=1 / 4096)
    Plant(made_table("scale")).window(fixed, 3.0)
    assert fixed.knob == fixed.setting / 4096 > 1.0
    _, dialled = both()
    Plant(made_table()).window(dialled, 3.0)
    assert dialled.knob == dialled.setting / 65535 > 0.0


def test_a_table_of_one_point_has_no_place_to_go() -> None:
    table = made_table()
    one = Budget(replace(table, points=table.points[-1:]), 0.5e-6, WINDOW, worst_step=20e-9)
    fixed = FixedBudget(one, UNIT, PROFILE)
    Plant(table).window(fixed, 1.0)
    assert fixed.decision == Decision(0.0, True, fixed.decision.limit)


@pytest.mark.parametrize(("watts", "seconds"), [(0.25e-6, WINDOW), (30e-6, 0.02), (0.03e-6, 100.0), (2e-3, WINDOW)])
def test_the_usual_unit_is_fine_enough_and_not_too_fine(watts: float, seconds: float) -> None:
    fixed = FixedBudget(Budget(made_table("scale"), watts, seconds, worst_step=1e-9))
    assert 2**20 < fixed.numbers.hourly < 2**36
    assert 1000e-9 / fixed.numbers.unit > 2**12  # a window


def test_what_does_not_fit_is_refused() -> None:
    one, _ = both()
    with pytest.raises(InputError, match="profile: found None beside a table of the dial 'profile'"):
        FixedBudget(one, UNIT)
    with pytest.raises(InputError, match="allowed is without a profile"):
        FixedBudget(both(dial="scale")[0], UNIT, PROFILE)
    for unit in (1e-8, 1e-15):
        with pytest.raises(InputError, match=r"unit: found .*allowed is 1.31e-14 to "):
            FixedBudget(one, unit, PROFILE)
    with pytest.raises(InputError, match="budget: found 3, allowed is a Budget"):
        FixedBudget(3, UNIT)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"seconds: found 1, allowed is 2.56"):
        both()[1].update(Spent(1.0, 0.0, 0.0))
