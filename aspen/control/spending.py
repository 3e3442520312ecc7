"""What a controller is told after each window, what it decides, and what all controllers share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import exp, isfinite, log
from typing import Any, Protocol, TypeAlias

from aspen.calibration_table import CalibrationTable
from aspen.errors import InputError
from aspen.operating_points import OperatingPoint, cost_of, pareto_front

State: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Spent:
    """A window that is over.

    Args:
        seconds: how long it took, whether or not the network ran.
        dynamic, static: energy in joules.
        ran: whether the network ran; otherwise the window was skipped.
        margin: how clear the answer was, 0 to 1; None where there is none.
    """

    seconds: float
    dynamic: float
    static: float
    ran: bool = True
    margin: float | None = None

    def __post_init__(self) -> None:
        for name in ("seconds", "dynamic", "static"):
            value = getattr(self, name)
            if not (value >= 0 and isfinite(value)):
                raise InputError(f"{name}: found {value}, allowed is a finite number from 0")


@dataclass(frozen=True)
class Decision:
    """What the next window is run with.

    Args:
        knob: a factor on the thresholds, or the knob of a learned dial.
        run: whether the network is run at all; False: the window is skipped and the last answer stands.
        limit: joules that the window may take, without its static part: the network is stopped before a step that
            might exceed it. None: no limit.
    """

    knob: float
    run: bool = True
    limit: float | None = None


class Controller(Protocol):
    """Turns the knob from window to window. Deterministic; each step takes the same time and memory."""

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
        """Everything that changes, as plain values."""
        ...

    def load_state_dict(self, state: State) -> None:
        """Go on exactly where :meth:`state_dict` was taken."""
        ...


class Steering:
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
    """

    def __init__(
        self, table: CalibrationTable, sparsest: float | None = None, agility: float = 0.3, max_change: float = 0.3
    ) -> None:
        sparsest = sparsest_worth_running(table) if sparsest is None else sparsest
        if not (0 < agility <= 1 and 0 < max_change <= 1):
            raise InputError(
                f"agility, max_change: found {agility} and {max_change}, allowed is more than 0 and at most 1"
            )
        if not table.low <= sparsest <= table.high:
            raise InputError(
                f"sparsest: found {sparsest}, allowed is {table.low:g} to {table.high:g}, the range of the table"
            )
        table.dynamic_nj(sparsest)  # says clearly where there are no energies
        self.table, self.sparsest, self.agility = table, sparsest, agility
        self._log = table.dial == "scale"
        ends = (self._place(table.best.threshold_scale), self._place(sparsest))
        self._low, self._high = min(ends), max(ends)
        self._most = max_change * (self._high - self._low)
        self.knob = table.best.threshold_scale
        self.log_factor = 0.0

    @property
    def factor(self) -> float:
        """What windows cost at present, in units of what the table says."""
        return exp(self.log_factor)

    def expected(self, knob: float) -> float:
        """Joules that the next window will cost at ``knob``."""
        return self.table.dynamic_nj(knob) * 1e-9 * self.factor

    def observe(self, knob: float, joules: float) -> None:
        """Learn from a window that ran at ``knob``."""
        ratio = log(max(joules * 1e9, _LEAST_NJ) / self.table.dynamic_nj(knob))
        ratio = min(max(ratio, -_LARGEST_LOG), _LARGEST_LOG)
        off = ratio - self.log_factor
        self.log_factor += min(max(self.agility, abs(off) / _SUDDEN), 1.0) * off

    def steer(self, joules: float) -> float:
        """Move the knob towards where a window costs ``joules``; returns it."""
        wanted = self.table.knob_for(max(joules, 0.0) * 1e9 / self.factor) if joules > 0 else self.sparsest
        place, now = self._place(wanted), self._place(self.knob)
        place = min(max(place, now - self._most), now + self._most)
        place = min(max(place, self._low), self._high)
        self.knob = exp(place) if self._log else place
        return self.knob

    def _place(self, knob: float) -> float:
        return log(knob) if self._log else knob

    def state_dict(self) -> dict[str, Any]:
        """The knob, and what was learned."""
        return {"knob": self.knob, "log_factor": self.log_factor}

    def load_state_dict(self, state: State) -> None:
        """Go on exactly there."""
        self.knob, self.log_factor = number(state, "knob"), number(state, "log_factor")


_LEAST_NJ = 1e-6
_SUDDEN = 1.5
"""Logarithm of a factor by which a window may be off before it is believed outright: what moves so far has changed."""
_LARGEST_LOG = 4.0
"""A window is not taken to cost more than e^4 times, or less than e^-4 of, what the table says: a limit on windup."""


def ended_early(table: CalibrationTable) -> CalibrationTable:
    """The table of the same network with its inferences ended early, for controllers: the points worth having.

    Raises:
        InputError: ending early was not calibrated.
    """
    if table.early is None:
        raise InputError(f"table {table.key}: found no early stop, allowed is one with; calibrate with an early stop")
    kept: list[OperatingPoint] = []
    for point in pareto_front([early.point for early in table.early_points], cost_of):
        knobs = [*(each.threshold_scale for each in kept), point.threshold_scale]
        if len(kept) < 2 or (knobs[1] < knobs[0]) == (knobs[-1] < knobs[-2]):
            kept.append(point)
    return replace(table, points=tuple(kept), chosen=None, early=None, early_points=())


def sparsest_worth_running(table: CalibrationTable, give: float = 0.02) -> float:
    """The knob of the cheapest point that is at most ``give`` less accurate than the best."""
    for point in table.points:
        if point.accuracy >= table.best.accuracy - give:
            return point.threshold_scale
    return table.best.threshold_scale


def number(state: State, name: str) -> float:
    """A finite number of a saved state.

    Raises:
        InputError: it is missing, or no such number.
    """
    value = state.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
        raise InputError(f"state: found {name}={value!r}, allowed is a finite number; use what state_dict() gave")
    return float(value)


def flag(state: State, name: str) -> bool:
    """A truth value of a saved state.

    Raises:
        InputError: it is missing, or none.
    """
    value = state.get(name)
    if not isinstance(value, bool):
        raise InputError(f"state: found {name}={value!r}, allowed is true or false; use what state_dict() gave")
    return value


def part(state: State, name: str) -> State:
    """A part of a saved state.

    Raises:
        InputError: it is missing.
    """
    value = state.get(name)
    if not isinstance(value, Mapping):
        raise InputError(f"state: found {name}={value!r}, allowed is a mapping; use what state_dict() gave")
    return value
