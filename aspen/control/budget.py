"""Holding an energy budget: a ledger that is never overdrawn, and a dial that uses what it allows."""

from __future__ import annotations

from copy import copy
from typing import Any

from aspen._base.checks import as_flag, as_quantity
from aspen._base.closed import Closed
from aspen.calibration.table import CalibrationTable
from aspen.control.ledger import HOUR, Ledger
from aspen.control.spending import Decision, Spent, Steering, check_table
from aspen.control.states import State, check_keys, part, truth
from aspen.errors import InputError
from aspen.units import format_energy, format_power

PACE = 0.992
"""Part of the budget that is earned: the rest is for an hour being remembered in parts."""
HELD_BACK = 0.4
"""Part of what the ledger can keep that is kept for what is to come."""

MOST_REPAID, MOST_CAUGHT_UP = 0.5, 0.15
"""Part of what is earned in a window by which it aims lower where the ledger is low, higher where it is high."""


class Budget(Closed):
    """Holds a mean power, and no more than an hour's worth of it in any hour.

    A window's energy is dated at its start, also where windows take different times: an hour takes what the windows
    that began in it cost. By the clock, a window that reaches into an hour can bring at most its own energy more.

    Each window aims at what is earned in a window, corrected by a part of how far the ledger is from what it holds
    back: this is integral feedback, and as the ledger keeps no more than its capacity it does not wind up. The table
    says where the knob must be for that (see :class:`Steering`). A window is run only where the ledger covers what it
    is expected to cost; otherwise it is skipped, and the last answer stands. A window that costs more than the ledger
    covers is stopped in time. So the budget is held whatever the input, also where even the sparsest setting costs
    more.

    >>> from aspen import CalibrationTable
    >>> from aspen.calibration.points import OperatingPoint
    >>> from aspen.control import Spent
    >>> rows = (2.0, 0.94, 50, 400), (1.0, 0.95, 90, 900)  # knob, accuracy, hidden spikes, nJ: as a sweep measures them
    >>> points = tuple(OperatingPoint(k, a, a - 0.02, a + 0.02, n, 2e3, 500, nj, 8e5, 900) for k, a, n, nj in rows)
    >>> table = CalibrationTable("loihi1", "scale", 25, 1e-5, "digits validation", 1, points)
    >>> budget = Budget(table, watts=60e-6, window_seconds=0.01, worst_step=1e-8)
    >>> ran = 0
    >>> for _ in range(1000):  # windows that cost 1200 nJ at any knob: twice what is earned in one
    ...     run = budget.decision.run
    ...     ran += run
    ...     decision = budget.update(Spent(seconds=0.01, dynamic=1.2e-6 if run else 0.0, static=0.0, ran=run))
    >>> round(ran / 1000, 1)  # the others were skipped
    0.5

    Args:
        table: with energies.
        watts: the budget: dynamic and static, or with ``static_watts=0`` and ``count_static=False`` dynamic alone.
        window_seconds: time from window to window.
        worst_step: joules that one time step of the network can cost at most, without the static part.
        static_watts: power that is spent whatever happens.
        count_static: whether the static energy of a window is paid from the budget.
        sparsest: knob at which saving by the dial ends, and windows are skipped instead; default: of the cheapest
            point of the table that is at most 2 points less accurate than its best.
        keep: what the ledger can keep, as a part of an hour's budget (without its static part).
        patience: windows over which a deviation is corrected.
        agility, max_change: see :class:`Steering`.

    Raises:
        InputError: the budget is below the static power, an hour of it covers only few windows, or a setting is no
            number or out of range.
    """

    def __init__(
        self,
        table: CalibrationTable,
        watts: float,
        window_seconds: float,
        worst_step: float,
        *,
        static_watts: float = 0.0,
        count_static: bool = True,
        sparsest: float | None = None,
        keep: float = 0.025,
        patience: float = 25.0,
        agility: float = 0.3,
        max_change: float = 0.3,
    ) -> None:
        check_table(table)
        watts, static_watts = as_quantity("watts", watts, 0, above=True), as_quantity("static_watts", static_watts, 0)
        self.window_seconds = as_quantity("window_seconds", window_seconds, 0, above=True)
        self.worst_step, self.patience = as_quantity("worst_step", worst_step, 0), as_quantity("patience", patience, 1)
        self.count_static, keep = as_flag("count_static", count_static), as_quantity("keep", keep, 0, 0.5, above=True)
        self._static = static_watts if self.count_static else 0.0
        free = check_power(table, watts, self._static, self.window_seconds)
        self.ledger = _filled(table, free, keep, self.worst_step)
        self.steering = Steering(table, sparsest, agility, max_change)
        self._run = True
        self._aim()

    @property
    def decision(self) -> Decision:
        """For the next window."""
        return Decision(self.steering.knob, self._run, max(self.ledger.left, 0.0))

    @property
    def left(self) -> float:
        """Joules that may be spent at once."""
        return self.ledger.left

    def update(self, spent: Spent) -> Decision:
        """Take account of a window, and decide on the next."""
        unforeseen = spent.static - self._static * spent.seconds if self.count_static else 0.0
        self.ledger.book(spent.seconds, spent.dynamic + unforeseen)
        if spent.ran:
            self.steering.observe(self.steering.knob, spent.dynamic)
        self._aim()
        return self.decision

    def _aim(self) -> None:
        ledger, steering = self.ledger, self.steering
        earned = ledger.watts * self.window_seconds
        over = (ledger.balance - HELD_BACK * ledger.capacity) / self.patience
        steering.steer(earned + min(max(over, -MOST_REPAID * earned), MOST_CAUGHT_UP * earned))
        expected = min(steering.expected(steering.knob), HELD_BACK * ledger.capacity - self.worst_step)
        self._run = ledger.left >= self.worst_step + expected

    def state_dict(self) -> dict[str, Any]:
        """Ledger and steering."""
        return {"ledger": self.ledger.state_dict(), "run": self._run, "steering": self.steering.state_dict()}

    def load_state_dict(self, state: State) -> None:
        """Go on exactly there; see :class:`Controller`."""
        check_keys(state, "ledger", "run", "steering")
        run, ledger = truth(state, "run"), copy(self.ledger)
        ledger.load_state_dict(part(state, "ledger"))
        self.steering.load_state_dict(part(state, "steering"))  # the last that can be refused
        self.ledger, self._run = ledger, run


def _filled(table: CalibrationTable, watts: float, keep: float, worst_step: float) -> Ledger:
    """The ledger of a budget; at the start it covers one window at the costliest point.

    Raises:
        InputError: it can keep too little for a window.
    """
    hourly = watts * HOUR
    least = worst_step + costliest(table)
    if least > HELD_BACK * keep * hourly:
        raise InputError(
            f"budget: found {format_energy(hourly)} an hour for all but static power, allowed is "
            f"{format_energy(least / (HELD_BACK * keep))} and more, as a window costs "
            f"{format_energy(least - worst_step)} and a time step up to {format_energy(worst_step)}; raise the budget"
        )
    return Ledger(PACE * watts, hourly, keep * hourly, least)


def costliest(table: CalibrationTable) -> float:
    """Joules of a window at the costliest point of the table, which the ledger holds at the start."""
    return table.dynamic_nj(table.best.knob) * 1e-9


def check_power(table: CalibrationTable, watts: float, static_watts: float, window_seconds: float) -> float:
    """What a budget leaves for all but static power, in watts.

    Raises:
        InputError: nothing is left; the message says what would be possible.
    """
    if watts > static_watts:
        return watts - static_watts
    cheapest = table.cheapest.dynamic_nj
    least = static_watts + (0.0 if cheapest is None else cheapest * 1e-9 / window_seconds)
    raise InputError(
        f"budget: found {format_power(watts)}, allowed is more than the static power of {format_power(static_watts)} "
        f"({format_energy(static_watts * HOUR)} an hour, {format_energy(static_watts * window_seconds)} a window); "
        f"without skipping windows it takes {format_energy((least - static_watts) * window_seconds)} a window more; "
        f"for dynamic energy alone: dynamic=True in stream, --dynamic in aspen stream, count_static=False here"
    )
