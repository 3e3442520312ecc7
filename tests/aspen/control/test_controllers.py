"""What holds of every controller: states, copies, bad input, numbers of any type and size, sequences of windows."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aspen.control import Battery, Budget, Controller, Decision, Ledger, Spent
from aspen.errors import InputError
from tests.aspen.control.controllers import MAKERS, OURS, STEP, settings_of
from tests.control_tables import made_table

HOUR = 3600.0
NUMBERS: dict[str, Callable[[float], Any]] = {
    "float32": np.float32, "float64": np.float64, "fraction": Fraction, "longdouble": np.longdouble,
}  # fmt: skip
NO_NUMBER = [float("nan"), float("inf"), -float("inf"), -1e30, 10**400, "1", None, True, [1.0], np.array([1.0, 2.0])]
every_controller = pytest.mark.parametrize("name", sorted(MAKERS))


def windows(count: int, seed: int = 0, number: Callable[[float], Any] = float) -> list[Spent]:
    """Some were skipped, some without a margin, none like another."""
    rng = np.random.default_rng(seed)
    return [
        Spent(
            number(rng.uniform(0.5, 5.0)),
            number(ran * rng.uniform(100e-9, 900e-9)),
            number(1e-9),
            np.bool_(ran),  # type: ignore[arg-type]
            number(rng.random()) if ran and rng.random() < 0.8 else None,
        )
        for ran in (rng.random(count) < 0.9).tolist()
    ]


def after(controller: Controller, count: int, seed: int = 0) -> Controller:
    for window in windows(count, seed):
        controller.update(window)
    return controller


def leaves(state: Mapping[str, Any], path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the values of a state are; of a list its first and last."""
    for key, value in state.items():
        yield (*path, key)
        if isinstance(value, Mapping):
            yield from leaves(value, (*path, key))
        elif isinstance(value, list):
            yield from ((*path, key, place) for place in (0, len(value) - 1))


def damaged(state: Mapping[str, Any], path: tuple[Any, ...], value: object) -> dict[str, Any]:
    found = copy.deepcopy(dict(state))
    inner: Any = found
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return found


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(sorted(MAKERS)), st.integers(0, 60), st.integers(0, 3))
def test_stopped_and_resumed_anywhere_is_as_uninterrupted(name: str, stop: int, seed: int) -> None:
    whole, first, second = (MAKERS[name]() for _ in range(3))
    given = windows(80, seed)
    wanted = [whole.update(window) for window in given]
    found = [first.update(window) for window in given[:stop]]
    second.load_state_dict(json.loads(json.dumps(first.state_dict(), allow_nan=False)))
    assert second.decision == first.decision
    assert second.left == first.left
    found += [second.update(window) for window in given[stop:]]
    assert found == wanted
    assert second.state_dict() == whole.state_dict()


@every_controller
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))])
def test_copies_go_on_alike_and_apart(name: str, duplicate: Callable[[Controller], Controller]) -> None:
    controller = after(MAKERS[name](), 20)
    before = controller.state_dict()
    other = duplicate(controller)
    assert other.state_dict() == before
    moved = after(other, 30, seed=1).state_dict()
    assert controller.state_dict() == before
    assert after(controller, 30, seed=1).state_dict() == moved


@every_controller
def test_a_state_is_a_value_of_its_own(name: str) -> None:
    controller = after(MAKERS[name](), 20)
    state = controller.state_dict()
    kept = copy.deepcopy(state)
    other = MAKERS[name]()
    other.load_state_dict(state)
    after(controller, 20)
    after(other, 20)
    assert state == kept


@every_controller
@pytest.mark.parametrize("kind", sorted(NUMBERS))
def test_numbers_of_any_type_leave_a_plain_state(name: str, kind: str) -> None:
    controller = MAKERS[name](NUMBERS[kind])
    for window in windows(30, number=NUMBERS[kind]):
        controller.update(window)
        decision = controller.decision
        assert {type(decision.knob), type(decision.run)} <= {float, bool}
    state = controller.state_dict()
    assert json.loads(json.dumps(state, allow_nan=False)) == state
    again = MAKERS[name](NUMBERS[kind])
    again.load_state_dict(state)
    assert again.state_dict() == state


@pytest.mark.parametrize(("name", "setting"), list(settings_of(OURS)))
def test_settings_that_are_no_numbers_or_out_of_range_are_refused(name: str, setting: str) -> None:
    for value in NO_NUMBER:
        if value is None and setting == "sparsest":
            continue  # its default
        with pytest.raises(InputError, match=rf"{setting}.*: found .*, allowed is a number"):
            OURS[name](**{setting: value})


@pytest.mark.parametrize("name", [name for name, maker in OURS.items() if maker.table])
def test_a_table_is_one(name: str) -> None:
    with pytest.raises(InputError, match=r"table: found 'net\.aspen', allowed is a CalibrationTable"):
        OURS[name](table="net.aspen")


@pytest.mark.parametrize("name", sorted(OURS))
def test_a_refused_state_leaves_nothing_behind(name: str) -> None:
    controller, state = after(OURS[name](), 20), after(OURS[name](), 50, seed=1).state_dict()
    before = (copy.deepcopy(controller.state_dict()), controller.decision, controller.left)
    assert state != before[0]
    for path in leaves(state):
        truth = path[-1] == "run"
        for value in ("x", None, {}, 10**400, float("nan"), float("inf"), -1e301, [True], *([0, 1.0] if truth else [])):
            with pytest.raises(InputError, match="state: found"):
                controller.load_state_dict(damaged(state, path, value))
            assert (controller.state_dict(), controller.decision, controller.left) == before, path
    controller.load_state_dict(state)
    assert controller.state_dict() == state


@pytest.mark.parametrize("name", sorted(OURS))
def test_missing_and_unknown_keys_are_refused(name: str) -> None:
    controller, state = OURS[name](), after(OURS[name](), 20).state_dict()
    before = controller.state_dict()
    for key in state:
        with pytest.raises(InputError, match=rf"state: found no {key}, allowed are .*; use what state_dict\(\) gave"):
            controller.load_state_dict({k: v for k, v in state.items() if k != key})
    with pytest.raises(InputError, match="state: found also more, allowed are"):
        controller.load_state_dict({**state, "more": 1})
    for no_state in (None, [], "state", 3):
        with pytest.raises(InputError, match=r"state: found .*, allowed is a mapping"):
            controller.load_state_dict(no_state)  # type: ignore[arg-type]
    assert controller.state_dict() == before


@pytest.mark.parametrize(
    ("name", "path", "value", "allowed"),
    [
        ("manual", ("count",), -1, "a whole number from 0"),
        ("manual", ("count",), 2.5, "a whole number from 0"),
        ("manual", ("count",), True, "a whole number from 0"),
        ("floor", ("place",), 1.01, "a number from 0 to 1"),
        ("floor", ("place",), -0.01, "a number from 0 to 1"),
        ("budget", ("steering", "knob"), 0.76, "a number from 0 to 0.75"),
        ("budget", ("steering", "knob"), -0.01, "a number from 0 to 0.75"),
        ("budget of a scale", ("steering", "knob"), 0.99, "a number from 1 to 3"),
        ("budget", ("steering", "log_factor"), 4.1, "a number from -4 to 4"),
        ("budget", ("ledger", "now"), 361, "a whole number from 0 to 360"),
        ("budget", ("ledger", "now"), False, "a whole number from 0 to 360"),
        ("budget", ("ledger", "time"), 10.1, "a number from 0 to 10"),
        ("budget", ("ledger", "bins"), [0.0] * 360, "one of 361 parts of an hour"),
        ("battery", ("charge",), 201e-6, "a number from -1e+300 to 0.0002"),
        ("battery", ("time",), 1280.1, "a number from -1e+300 to 1280"),
    ],
)
def test_values_of_a_state_out_of_range_are_refused(name: str, path: tuple[str, ...], value: Any, allowed: str) -> None:
    controller = OURS[name]()
    with pytest.raises(InputError) as caught:
        controller.load_state_dict(damaged(controller.state_dict(), path, value))
    assert f"allowed is {allowed}" in str(caught.value)


@pytest.mark.parametrize("setting", ["seconds", "dynamic", "static", "margin"])
def test_windows_that_are_no_numbers_are_refused(setting: str) -> None:
    usual = {"seconds": 1.0, "dynamic": 1e-9, "static": 0.0, "margin": 0.5}
    for value in NO_NUMBER:
        if value is None and setting == "margin":
            continue  # there is none
        with pytest.raises(InputError, match=f"{setting}: found .*, allowed is a number"):
            Spent(**{**usual, setting: value})
    with pytest.raises(InputError, match="ran: found 1, allowed is true or false"):
        Spent(1.0, 0.0, 0.0, 1)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"margin: found 1\.5, allowed is a number from 0 to 1"):
        Spent(1.0, 0.0, 0.0, True, 1.5)


def test_decisions_that_are_no_numbers_are_refused() -> None:
    for value in NO_NUMBER:
        with pytest.raises(InputError, match=r"knob: found .*, allowed is a number"):
            Decision(value)
        if value is not None:  # no limit
            with pytest.raises(InputError, match=r"limit: found .*, allowed is a number"):
                Decision(0.5, True, value)
    with pytest.raises(InputError, match="run: found 'yes', allowed is true or false"):
        Decision(0.5, "yes")  # type: ignore[arg-type]


@pytest.mark.parametrize("setting", range(4))
def test_a_ledger_takes_numbers_only(setting: int) -> None:
    for value in NO_NUMBER:
        with pytest.raises(InputError, match=r"found .*, allowed is a number"):
            Ledger(*(value if place == setting else 1.0 for place in range(4)))
    ledger = Ledger(1.0, 10.0, 5.0, 2.0)
    before = ledger.state_dict()
    for entry in ((float("nan"), 1.0), (-1.0, 1.0), (1.0, float("nan")), (1.0, float("inf"))):
        with pytest.raises(InputError, match="allowed is a number"):
            ledger.book(*entry)
    assert ledger.state_dict() == before


@every_controller
def test_the_largest_numbers_leave_a_finite_state(name: str) -> None:
    controller = MAKERS[name]()
    for seconds, joules in ((1e18, 0.0), (0.0, 1e18), (1e18, 1e18), (5e-324, 5e-324), (0.0, 0.0)) * 50:
        decision = controller.update(Spent(seconds, joules, joules, True, 1.0))
        assert np.isfinite(decision.knob)
        assert decision.limit is None or decision.limit >= 0
    state = json.loads(json.dumps(controller.state_dict(), allow_nan=False))
    MAKERS[name]().load_state_dict(state)


dyadic = st.integers(0, 2**20).map(lambda n: n * 2.0**-40)
"""Joules up to a microjoule, which add up without rounding."""
lengths = st.integers(0, 2**14).map(lambda n: n / 16)
"""Seconds up to 17 minutes, likewise."""


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(OURS)), st.lists(st.tuples(lengths, dyadic, dyadic, st.booleans(), st.none()
       | st.floats(0, 1)), max_size=60))  # fmt: skip
def test_the_knob_stays_in_range_and_the_account_adds_up(name: str, sequence: list[Any]) -> None:
    controller = OURS[name]()
    table = made_table(OURS[name].dial)
    first = controller.charge if isinstance(controller, Battery) else 0.0
    for seconds, dynamic, static, ran, margin in sequence:
        before = controller.state_dict()
        decision = controller.update(Spent(seconds, dynamic, static, ran, margin))
        assert table.low <= decision.knob <= table.high
        assert decision == controller.decision
        if name.startswith("floor") and (not ran or margin is None):
            assert controller.state_dict() == before
    if isinstance(controller, Battery):
        spent = sum(dynamic + static for _, dynamic, static, _, _ in sequence)
        assert controller.charge == pytest.approx(first - spent, rel=1e-12)
        assert controller.time == 500 * 2.56 - sum(seconds for seconds, *_ in sequence)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(lengths, dyadic), max_size=80))
def test_a_ledger_remembers_the_last_hour_to_the_joule(entries: list[tuple[float, float]]) -> None:
    ledger, now, booked = Ledger(0.0, 1.0, 0.5, 0.25), 0.0, []
    for seconds, joules in entries:
        booked.append((now, joules))
        ledger.book(seconds, joules)
        now += seconds
        again = Ledger(0.0, 1.0, 0.5, 0.0)
        again.load_state_dict(ledger.state_dict())
        part = now // 10
        wanted = sum(joules for start, joules in booked if start // 10 >= part - 360)
        assert again.last_hour == ledger.last_hour == wanted
        assert again.left == ledger.left
    assert ledger.balance == 0.25 - sum(joules for _, joules in entries)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.0, 2000.0), st.floats(0.0, 60.0)), min_size=1, max_size=40),
    st.floats(250.0, 900.0),
    st.sampled_from([0.0, 3e-8]),
)
def test_no_hour_takes_more_than_the_budget_however_long_the_windows_are(
    sequence: list[tuple[float, float]], nj: float, static: float
) -> None:
    """An hour takes what the windows that began in it cost: energy is dated at a window's start."""
    table, watts = made_table(), nj * 1e-9 / 2.56 + static
    controller = Budget(table, watts, 2.56, STEP, static_watts=static)
    starts, costs, now = [], [], 0.0
    for seconds, activity in sequence * 6:
        decision = controller.decision
        assert decision.limit is not None
        wanted = 500 * activity * table.dynamic_nj(decision.knob) * 1e-9
        dynamic = min(wanted, decision.limit) if decision.run else 0.0
        starts.append(now)
        costs.append(dynamic)
        controller.update(Spent(seconds, dynamic, static * seconds, decision.run))
        now += seconds
    for last, end in enumerate(starts):
        hour = sum(
            cost for start, cost in zip(starts[: last + 1], costs[: last + 1], strict=True) if end - start <= HOUR
        )
        assert hour <= (watts - static) * HOUR * (1 + 1e-12)
