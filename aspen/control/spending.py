"""What a controller is told after each window, what it decides, and what all controllers share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp, log
from typing import Any, Protocol

from aspen._base.checks import as_flag, as_quantity, shown
from aspen._base.closed import Closed
from aspen.calibration.points import OperatingPoint, cost_of, pareto_front
from aspen.calibration.table import CalibrationTable
from aspen.control.states import State, check_keys, number
from aspen.errors import InputError


@dataclass(frozen=True)
class Spent:
    """A window that is over. Numbers of any type, NumPy's too, become Python's.

    >>> Spent(seconds=0.01, dynamic=9e-7, static=8e-4, margin=0.4).ran
    True

    Args:
        seconds: how long it took, whether or not the network ran.
        dynamic, static: energy in joules.
        ran: whether the network ran; otherwise the window was skipped.
        margin: how clear the answer was, 0 to 1; None where there is none, as where scores were no finite numbers.

    Raises:
        InputError: a value is no number, such as NaN, or out of range: no controller ever hears of it.
    """

    seconds: float
    dynamic: float
    static: float
    ran: bool = True
    margin: float | None = None

    def __post_init__(self) -> None:
        for name in ("seconds", "dynamic", "static"):
            object.__setattr__(self, name, as_quantity(name, getattr(self, name), 0.0))
        object.__setattr__(self, "ran", as_flag("ran", self.ran))
        if self.margin is not None:
            object.__setattr__(self, "margin", as_quantity("margin", self.margin, 0.0, 1.0))


@dataclass(frozen=True)
class Decision:
    """What the next window is run with. Numbers of any type, NumPy's too, become Python's.

    >>> Decision(knob=1.5, limit=2e-6).run
    True

    Args:
        knob: a factor on the thresholds, or the knob of a learned dial.
        run: whether the network is run at all; False: the window is skipped and the last answer stands.
        limit: joules that the window may take, without its static part: the network is stopped before a step that
            might exceed it. None: no limit.

    Raises:
        InputError: a value is no number, such as NaN, or out of range.
    """

    knob: float
    run: bool = True
    limit: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "knob", as_quantity("knob", self.knob))
        object.__setattr__(self, "run", as_flag("run", self.run))
        if self.limit is not None:
            object.__setattr__(self, "limit", as_quantity("limit", self.limit, 0.0))


class Controller(Protocol):
    """Turns the knob from window to window. Deterministic; each step takes the same time and memory.

    Any class with these members is one. A subclass of one of ours that keeps more puts it into the state beside the
    rest, and takes it out again before it hands the rest on: keys that a class does not know are refused.

    >>> from aspen.control import Manual
    >>> controller: Controller = Manual(1.5)
    >>> controller.update(Spent(seconds=0.01, dynamic=9e-7, static=8e-4)).knob
    1.5
    """

    @property
    def decision(self) -> Decision:
        """For the next window."""
        ...

    @property
    def left(self) -> float | None:
        """Joules that may be spent on top of what is earned by then; None where there is no budget."""
        ...

    def update(self, spent: Spent) -> Decision:
        """Take account of a window, and decide on the next."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes, as plain values: what JSON can hold."""
        ...

    def load_state_dict(self, state: State) -> None:
        """Go on exactly where :meth:`state_dict` was taken.

        Raises:
            InputError: it is damaged, or of another kind; then nothing has changed.
        """
        ...


class Steering(Closed):
    """From a wanted energy to a knob: feed-forward by the calibration table, corrected by what windows really cost.

    What windows cost at a knob is taken as the table's energy times a factor. Its logarithm follows the windows with a
    share ``agility`` of the difference in each, and with more of it where it is large. The knob moves at most
    ``max_change`` of its range from window to window, and stays between that of the table's most accurate point and
    ``sparsest``.

    Args:
        table: with energies.
        sparsest: the knob beyond which there is no saving; one of the range of the table. Default:
            :func:`sparsest_worth_running`.
        agility: 0 to 1.
        max_change: share of the range, above 0.

    Attributes:
        knob: where it stands.
        low, high: between which it stays.

    Raises:
        InputError: a setting is no number or out of range, or the table has no energies.
    """

    def __init__(
        self, table: CalibrationTable, sparsest: float | None = None, agility: float = 0.3, max_change: float = 0.3
    ) -> None:
        check_table(table)
        self.agility, most = (
            as_quantity("agility", agility, 0, 1, above=True),
            as_quantity("max_change", max_change, 0, 1, above=True),
        )
        wanted = sparsest_worth_running(table) if sparsest is None else sparsest
        self.sparsest = as_quantity("sparsest, within the table", wanted, table.low, table.high)
        table.dynamic_nj(self.sparsest)  # says clearly where there are no energies
        self.table = table
        self._log = table.dial == "scale"
        self.knob = float(table.best.knob)
        self.low, self.high = sorted((self.knob, self.sparsest))
        self.max_change = most
        self.log_factor = 0.0

    @property
    def factor(self) -> float:
        """What windows cost at present, in units of what the table says."""
        return exp(self.log_factor)

    def expected(self, knob: float) -> float:
        """Joules that the next window will cost at ``knob``."""
        return self.table.dynamic_nj(knob) * 1e-9 * self.factor

    def observe(self, knob: float, joules: float) -> None:
        """Learn from a window that ran at ``knob``.

        Raises:
            InputError: the energy is no number or below 0; nothing was learned from it.
        """
        ratio = log(max(as_quantity("joules", joules, 0.0) * 1e9, _LEAST_NJ) / self.table.dynamic_nj(knob))
        ratio = min(max(ratio, -LARGEST_LOG), LARGEST_LOG)
        off = ratio - self.log_factor
        self.log_factor += min(max(self.agility, abs(off) / SUDDEN), 1.0) * off

    def steer(self, joules: float) -> float:
        """Move the knob towards where a window costs ``joules``; returns it."""
        wanted = self.table.knob_for(joules * 1e9 / self.factor) if joules > 0 else self.sparsest
        place, now = self._place(wanted), self._place(self.knob)
        most = self.max_change * (self._place(self.high) - self._place(self.low))
        place = min(max(place, now - most), now + most)
        self.knob = min(max(exp(place) if self._log else place, self.low), self.high)
        return self.knob

    def _place(self, knob: float) -> float:
        return log(knob) if self._log else knob

    def state_dict(self) -> dict[str, Any]:
        """The knob, and what was learned."""
        return {"knob": self.knob, "log_factor": self.log_factor}

    def load_state_dict(self, state: State) -> None:
        """Go on exactly there; see :class:`Controller`."""
        check_keys(state, "knob", "log_factor")
        knob = number(state, "knob", self.low, self.high)
        self.knob, self.log_factor = knob, number(state, "log_factor", -LARGEST_LOG, LARGEST_LOG)


_LEAST_NJ = 1e-6
SUDDEN = 1.5
"""Logarithm of a factor by which a window may be off before it is believed outright: what moves so far has changed."""
LARGEST_LOG = 4.0
"""A window is not taken to cost more than e^4 times, or less than e^-4 of, what the table says: a limit on windup."""


def check_table(table: CalibrationTable) -> None:
    """Raise unless ``table`` is one.

    Raises:
        InputError: it is something else.
    """
    if not isinstance(table, CalibrationTable):
        raise InputError(
            f"table: found {shown(table)}, allowed is a CalibrationTable; see aspen.calibration.storage.load_table"
        )


def ended_early(table: CalibrationTable) -> CalibrationTable:
    """The table of the same network with its inferences ended early, for controllers: the points worth having.

    >>> from aspen.calibration.early import EarlyStop
    >>> from aspen.calibration.points import EarlyPoint
    >>> rows = (2.0, 0.94, 50, 400), (1.0, 0.95, 90, 900)  # knob, accuracy, hidden spikes, nJ: as a sweep measures them
    >>> points = tuple(OperatingPoint(k, a, a - 0.02, a + 0.02, n, 2e3, 500, nj, 8e5, 900) for k, a, n, nj in rows)
    >>> stop = EarlyStop(1.0, 0.0, (1.0, 2.0), (0.1, 0.1), "spikes", 25, 0.005)
    >>> early = tuple(EarlyPoint(replace(p, dynamic_nj=p.dynamic_nj / 2), steps=12.0) for p in points)
    >>> table = CalibrationTable("loihi1", "scale", 25, 1e-5, "digits", 1, points, early=stop, early_points=early)
    >>> ended_early(table).best.dynamic_nj, table.best.dynamic_nj
    (450.0, 900.0)

    Args:
        table: with an early stop, and the points measured with it.

    Raises:
        InputError: ending early was not calibrated.
    """
    if table.early is None:
        raise InputError(f"table {table.key}: found no early stop, allowed is one with; calibrate with an early stop")
    if table.is_front:
        return table  # its points are
    kept: list[OperatingPoint] = []
    for point in pareto_front([early.point for early in table.early_points], cost_of):
        knobs = [*(each.knob for each in kept), point.knob]
        if len(kept) < 2 or (knobs[1] < knobs[0]) == (knobs[-1] < knobs[-2]):
            kept.append(point)
    return replace(table, points=tuple(kept), chosen=None, early=None, early_points=())


def sparsest_worth_running(table: CalibrationTable, give: float = 0.02) -> float:
    """The knob of the cheapest point that is at most ``give`` less accurate than the best; of a front its cheap end,
    which was set when it was calibrated.

    >>> rows = (2.0, 0.94, 50, 400), (1.0, 0.95, 90, 900)  # knob, accuracy, hidden spikes, nJ: as a sweep measures them
    >>> points = tuple(OperatingPoint(k, a, a - 0.02, a + 0.02, n, 2e3, 500, nj, 8e5, 900) for k, a, n, nj in rows)
    >>> table = CalibrationTable("loihi1", "scale", 25, 1e-5, "digits validation", 1, points)
    >>> sparsest_worth_running(table), sparsest_worth_running(table, give=0.005)
    (2.0, 1.0)

    Args:
        table: the operating points.
        give: fraction of accuracy that may be lost, 0 to 1.
    """
    as_quantity("give", give, 0.0, 1.0)
    if table.is_front:
        return table.cheapest.knob
    for point in table.points:
        if point.accuracy >= table.best.accuracy - give:
            return point.knob
    return table.best.knob
