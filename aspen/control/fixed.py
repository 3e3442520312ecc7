"""The budget in integers, as it is held on a board: the arithmetic of ``PREFIX_budget.c``, to the bit."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import ceil, exp, floor, log2
from typing import Any

from aspen._base.checks import as_integer, as_quantity, shown
from aspen._base.closed import Closed
from aspen.calibration.table import FRONT, CalibrationTable
from aspen.control.budget import HELD_BACK, MOST_CAUGHT_UP, MOST_REPAID, Budget
from aspen.control.ledger import HOUR
from aspen.control.spending import LARGEST_LOG, SUDDEN, Decision, Spent
from aspen.control.states import State, check_keys, count, truth
from aspen.dial.path import AnyDial, KnobPath
from aspen.dial.profile import DialProfile
from aspen.errors import InputError

ONE = 2**16
"""Of a logarithm to the base 2, and of shares: 16 bits after the point."""
LOG2_E = log2(exp(1))
ROOTS = tuple(round(2 ** (31 + 2.0**-i)) for i in range(1, 17))
"""2**(1/2), 2**(1/4), ... times 2**31."""
MOST_SPENT = 2**32 - 1
_MOST_HOURLY = 2**36
_FINE = 16
"""Times the finest unit that there can be is the usual one."""
_LEAST_EARNED, _MOST_EARNED = 64, 2**31
_SPARE = 0.995
"""Part of what an hour may take that is earned in it, beside what rounding hours to parts takes."""
SETTINGS = 2**16
UNIT_SCALE = 4096
"""Setting of a threshold scale that leaves thresholds as trained."""


def log2_fixed(value: int) -> int:
    """Logarithm to the base 2 of an integer from 1 to 2**32 - 1, in units of 1/65536, rounded down."""
    whole = value.bit_length() - 1
    mantissa, result = value << (31 - whole), whole
    for _ in range(16):
        mantissa = mantissa * mantissa >> 31
        result = result << 1 | mantissa >> 32
        mantissa >>= mantissa >> 32
    return result


def exp2_fixed(value: int) -> int:
    """2 to the power of ``value`` / 65536, rounded to the nearest integer, from 1 to 2**32 - 1."""
    if value <= 0:
        return 1
    if value >= 32 * ONE:
        return MOST_SPENT
    result, shift = 2**31, 31 - (value >> 16)
    for place, root in enumerate(ROOTS):
        if value >> (15 - place) & 1:
            result = result * root >> 31
    return (result + (1 << shift >> 1)) >> shift


@dataclass(frozen=True)
class BudgetNumbers:
    """What :class:`FixedBudget` counts with. Energies are in its unit, logarithms and shares in 1/65536.

    Args:
        unit: joules.
        earned: in a window.
        hourly: that an hour may take.
        capacity: that can be kept.
        start: at the start.
        worst_step: of a time step at most.
        held_back: of what is kept, for what is to come.
        repaid, caught_up: by which a window aims lower, or higher.
        patience: 1 over the windows in which a deviation is corrected.
        parts: of an hour, in which spending is remembered, but for the part that is going on.
        windows: of a part.
        places: where the points of the table are: settings of the dial, or logarithms of those of the threshold scale.
        costs: logarithms of their energies; they rise.
        slopes, ways: of the cost over the place between two points, and of the place over the cost.
        rising: whether the places rise with the costs.
        low, high: places between which the knob stays.
        first: where it begins.
        most: that the place may move in a window.
        agility: share of a difference that is believed.
        sudden: 1 over the difference that is believed outright.
        largest: logarithm by which windows may differ from the table.
        scale: whether places are logarithms.
    """

    unit: float
    earned: int
    hourly: int
    capacity: int
    start: int
    worst_step: int
    held_back: int
    repaid: int
    caught_up: int
    patience: int
    parts: int
    windows: int
    places: tuple[int, ...]
    costs: tuple[int, ...]
    slopes: tuple[int, ...]
    ways: tuple[int, ...]
    rising: bool
    low: int
    high: int
    first: int
    most: int
    agility: int
    sudden: int
    largest: int
    scale: bool


class FixedBudget(Closed):
    """:class:`Budget` in integers: a controller that a board can run too, with the same decisions to the bit.

    Energy is counted in whole units, such as what a cycle costs. Each update is one window. The knob stands at the
    settings that the program in C has. A little less is earned than in :class:`Budget`, as an hour is remembered in
    fewer parts: of what it may take about 2 % are left with 120 parts, 1 % with 360.

    >>> from aspen import CalibrationTable
    >>> from aspen.calibration.points import OperatingPoint
    >>> rows = (2.0, 0.94, 50, 400), (1.0, 0.95, 90, 900)  # knob, accuracy, hidden spikes, nJ: as a sweep measures them
    >>> points = tuple(OperatingPoint(k, a, a - 0.02, a + 0.02, n, 2e3, 500, nj, 8e5, 900) for k, a, n, nj in rows)
    >>> table = CalibrationTable("loihi1", "scale", 25, 1e-5, "digits validation", 1, points)
    >>> budget = FixedBudget(Budget(table, watts=60e-6, window_seconds=0.01, worst_step=1e-8), unit=1e-11)
    >>> ran = 0
    >>> for _ in range(1000):  # windows that cost 120,000 units at any knob: twice what is earned in one
    ...     run = budget.decision.run
    ...     ran += run
    ...     budget.book(120_000 if run else 0, run)
    >>> round(ran / 1000, 1)  # the others were skipped
    0.5

    Args:
        budget: what is to be held, before its first window.
        unit: joules in which energy is counted; default: some 2**32 of them are an hour's budget.
        profile: the learned dial, where the table is of its knobs; where it is of a front, what
            :meth:`CalibrationTable.along <aspen.CalibrationTable.along>` gives.
        parts: of an hour in which spending is remembered, at most: 4 bytes of RAM each.

    Raises:
        InputError: the unit is too coarse or too fine for the budget, or the table is of another dial.
    """

    def __init__(
        self, budget: Budget, unit: float | None = None, profile: AnyDial | None = None, parts: int = 120
    ) -> None:
        if not isinstance(budget, Budget):
            raise InputError(f"budget: found {shown(budget)}, allowed is a Budget; make one of the table first")
        self.window_seconds, self.is_front = budget.window_seconds, budget.steering.table.is_front
        self.numbers = _numbers(budget, unit, profile, as_integer("parts", parts, 1, 3600))
        self._ends = (0.0, 0.0) if profile is None else (profile.low, profile.high)
        numbers = self.numbers
        self.balance, self.place, self.log_factor = numbers.start, numbers.first, 0
        self._bins = [0] * (numbers.parts + 1)
        self._now = self._windows = self._past = 0
        self._run = True
        self._aim()

    @property
    def setting(self) -> int:
        """Of the knob in C."""
        return min(exp2_fixed(self.place), SETTINGS - 1) if self.numbers.scale else self.place

    @property
    def knob(self) -> float:
        """What the setting stands for."""
        low, high = self._ends
        return self.setting / UNIT_SCALE if self.numbers.scale else low + (high - low) * self.setting / (SETTINGS - 1)

    @property
    def units_left(self) -> int:
        """Units that may be spent at once."""
        return min(self.balance, self.numbers.hourly - self._past - self._bins[self._now])

    @property
    def left(self) -> float:
        """Joules that may be spent at once."""
        return self.units_left * self.numbers.unit

    @property
    def decision(self) -> Decision:
        """For the next window."""
        return Decision(
            self.knob, self._run, (max(self.units_left, 0) + 0.5) * self.numbers.unit
        )  # beside float's noise

    def covers(self, spent: int) -> bool:
        """Whether a window that has spent so many units may take another step."""
        return spent + self.numbers.worst_step <= self.units_left

    def update(self, spent: Spent) -> Decision:
        """Take account of a window, its energy rounded to whole units, and decide on the next.

        Raises:
            InputError: the window took another time than it was said to; nothing was booked.
        """
        if abs(spent.seconds - self.window_seconds) > 1e-9 * self.window_seconds:
            raise InputError(
                f"seconds: found {spent.seconds:g}, allowed is {self.window_seconds:g}, as each window takes the same; "
                f"use Budget for others"
            )
        self.book(min(round(spent.dynamic / self.numbers.unit), MOST_SPENT), spent.ran)
        return self.decision

    def book(self, units: int, ran: bool) -> None:
        """Take account of a window in units, and decide on the next."""
        numbers = self.numbers
        self.balance = min(self.balance + numbers.earned - units, numbers.capacity)
        self._bins[self._now] = min(self._bins[self._now] + units, MOST_SPENT)
        self._windows += 1
        if self._windows == numbers.windows:
            self._next_part()
        if ran:
            self._observe(units)
        self._aim()

    def _next_part(self) -> None:
        self._windows = 0
        self._past += self._bins[self._now]
        self._now = 0 if self._now == self.numbers.parts else self._now + 1
        self._past -= self._bins[self._now]
        self._bins[self._now] = 0

    def _cost(self) -> int:
        """Logarithm of what the table says that a window costs here."""
        numbers = self.numbers
        for k, slope in enumerate(numbers.slopes):
            beyond = self.place - numbers.places[k + 1]
            if beyond <= 0 if numbers.rising else beyond >= 0:
                return numbers.costs[k] + (slope * (self.place - numbers.places[k]) >> 16)
        return numbers.costs[-1]

    def _place_for(self, cost: int) -> int:
        """Where the table says that a window costs so much."""
        numbers = self.numbers
        if cost <= numbers.costs[0]:
            return numbers.places[0]
        for k, way in enumerate(numbers.ways):
            if cost <= numbers.costs[k + 1]:
                return numbers.places[k] + (way * (cost - numbers.costs[k]) >> 16)
        return numbers.places[-1]

    def _observe(self, units: int) -> None:
        numbers = self.numbers
        ratio = log2_fixed(max(units, 1)) - self._cost()
        off = min(max(ratio, -numbers.largest), numbers.largest) - self.log_factor
        share = min(max(numbers.agility, abs(off) * numbers.sudden >> 16), ONE)
        self.log_factor += off * share >> 16

    def _aim(self) -> None:
        numbers = self.numbers
        over = (self.balance - numbers.held_back) * numbers.patience >> 16
        wanted = numbers.earned + min(max(over, -numbers.repaid), numbers.caught_up)
        place = self._place_for(log2_fixed(wanted) - self.log_factor)
        place = min(max(place, self.place - numbers.most), self.place + numbers.most)
        self.place = min(max(place, numbers.low), numbers.high)
        expected = min(exp2_fixed(self._cost() + self.log_factor), numbers.held_back - numbers.worst_step)
        self._run = self.units_left >= numbers.worst_step + expected

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes."""
        return {
            "balance": self.balance, "bins": list(self._bins), "now": self._now, "windows": self._windows,
            "place": self.place, "log_factor": self.log_factor, "run": self._run,
        }  # fmt: skip

    def load_state_dict(self, state: State) -> None:
        """Go on exactly there; see :class:`Controller`."""
        numbers = self.numbers
        check_keys(state, "balance", "bins", "now", "windows", "place", "log_factor", "run")
        bins = state["bins"]
        if not isinstance(bins, list) or len(bins) != numbers.parts + 1:
            raise InputError(f"state: found bins of another budget, allowed are {numbers.parts + 1}; use its own state")
        spent = [count({"bins": each}, "bins", 0, MOST_SPENT) for each in bins]
        balance, now = count(state, "balance", -(2**62), numbers.capacity), count(state, "now", 0, numbers.parts)
        windows, run = count(state, "windows", 0, numbers.windows - 1), truth(state, "run")
        place = count(state, "place", numbers.low, numbers.high)
        self.log_factor = count(state, "log_factor", -numbers.largest, numbers.largest)
        self.balance, self._bins, self._now, self._windows, self.place = balance, spent, now, windows, place
        self._past, self._run = sum(spent) - spent[now], run


def _numbers(budget: Budget, unit: float | None, profile: AnyDial | None, parts: int) -> BudgetNumbers:
    ledger, steering = budget.ledger, budget.steering
    unit = _usual(budget) if unit is None else as_quantity("unit", unit, 0, above=True)
    _check_dial(steering.table, profile)
    an_hour = HOUR / budget.window_seconds
    windows = max(ceil(an_hour / parts), 1)
    parts = max(ceil(an_hour / windows), 1)
    hourly, capacity = floor(ledger.hourly / unit), floor(ledger.capacity / unit)
    earned = floor(hourly * _SPARE / ((parts + 1) * windows))
    if not _LEAST_EARNED <= earned <= _MOST_EARNED or hourly > _MOST_HOURLY:
        a_window = ledger.hourly / ((parts + 1) * windows)
        least, most = max(ledger.hourly / _MOST_HOURLY, a_window / _MOST_EARNED), a_window / _LEAST_EARNED / 2
        raise InputError(
            f"unit: found {unit:g} J, allowed is {least:.3g} to {most:.3g} J for this budget, which is counted in "
            f"whole units; choose one between"
        )
    places, costs = _curve(steering.table, unit, profile)
    knobs = steering.low, steering.high, float(steering.table.best.knob)
    low, high, first = (_place(steering.table, knob, profile) for knob in knobs)
    held_back = floor(HELD_BACK * capacity)
    worst = ceil(budget.worst_step / unit - 1e-6)
    pairs = list(zip(pairwise(places), pairwise(costs), strict=True))
    return BudgetNumbers(
        unit=unit, earned=earned, hourly=hourly, capacity=capacity, start=floor(ledger.balance / unit),
        worst_step=worst, held_back=held_back, repaid=floor(MOST_REPAID * earned),
        caught_up=floor(MOST_CAUGHT_UP * earned), patience=round(ONE / budget.patience), parts=parts, windows=windows,
        places=places, costs=costs, slopes=tuple(round((d - c) * ONE / (q - p)) for (p, q), (c, d) in pairs),
        ways=tuple(round((q - p) * ONE / (d - c)) for (p, q), (c, d) in pairs),
        rising=places[-1] > places[0], low=low, high=high, first=first,
        most=max(round((high - low) * steering.max_change), 1), agility=round(steering.agility * ONE),
        sudden=round(ONE / (SUDDEN * LOG2_E)), largest=round(LARGEST_LOG * LOG2_E * ONE),
        scale=steering.table.dial == "scale",
    )  # fmt: skip


def _usual(budget: Budget) -> float:
    """A unit of which an hour's budget has some 2**32; a finer one where windows would have fewer than 2**13."""
    ledger, table = budget.ledger, budget.steering.table
    finest = max(ledger.hourly / _MOST_HOURLY, ledger.watts * budget.window_seconds / _MOST_EARNED) * 1.1
    return float(f"{max(finest, min(finest * _FINE, table.dynamic_nj(table.cheapest.knob) * 1e-9 / 2**13)):.2e}")


def _check_dial(table: CalibrationTable, profile: AnyDial | None) -> None:
    kind = {"profile": DialProfile, FRONT: KnobPath}.get(table.dial, type(None))
    if isinstance(profile, kind):
        return
    wanted = {DialProfile: "with its DialProfile", KnobPath: "with its path, see along()"}.get(
        kind, "without a profile"
    )
    raise InputError(f"profile: found {shown(profile)} beside a table of the dial {table.dial!r}, allowed is {wanted}")


def _place(table: CalibrationTable, knob: float, profile: AnyDial | None) -> int:
    """The setting of a knob; its logarithm where it is a scale."""
    if profile is None:
        return round(log2(min(max(knob * UNIT_SCALE, 1.0), SETTINGS - 1.0)) * ONE)
    setting = (knob - profile.low) / (profile.high - profile.low) * (SETTINGS - 1)
    return min(max(round(setting), 0), SETTINGS - 1)


def _curve(table: CalibrationTable, unit: float, profile: AnyDial | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Places and costs of the table's points, cheapest first; points that integers cannot tell apart are left out."""
    places, costs = list[int](), list[int]()
    for point in table.points:
        place = _place(table, point.knob, profile)
        cost = round(log2(max(table.dynamic_nj(point.knob) * 1e-9 / unit, 1.0)) * ONE)
        if not costs or (cost > costs[-1] and place != places[-1]):
            places.append(place)
            costs.append(cost)
    return tuple(places), tuple(costs)
