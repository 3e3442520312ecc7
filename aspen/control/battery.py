"""A battery that must last until a deadline."""

from __future__ import annotations

from typing import Any

from aspen._base.checks import as_quantity
from aspen._base.closed import Closed
from aspen.calibration.table import CalibrationTable
from aspen.control.spending import Decision, Spent, Steering, check_table
from aspen.control.states import State, check_keys, number, part, truth
from aspen.errors import InputError
from aspen.units import format_duration, format_energy, format_power


class Battery(Closed):
    """Spends a battery evenly until a deadline, and never more than leaves enough for static power until then.

    After each window the power that may be spent is what is left over the time that is left; less static power, that
    is what the next window aims at.

    >>> from aspen import CalibrationTable
    >>> from aspen.calibration.points import OperatingPoint
    >>> from aspen.control import Spent
    >>> rows = (2.0, 0.94, 50, 400), (1.0, 0.95, 90, 900)  # knob, accuracy, hidden spikes, nJ: as a sweep measures them
    >>> points = tuple(OperatingPoint(k, a, a - 0.02, a + 0.02, n, 2e3, 500, nj, 8e5, 900) for k, a, n, nj in rows)
    >>> table = CalibrationTable("loihi1", "scale", 25, 1e-5, "digits validation", 1, points)
    >>> battery = Battery(table, joules=0.06, seconds=1000.0, window_seconds=0.01, worst_step=1e-8)
    >>> for _ in range(400):  # windows that cost what the table says
    ...     dynamic = table.dynamic_nj(battery.decision.knob) * 1e-9
    ...     decision = battery.update(Spent(seconds=0.01, dynamic=dynamic, static=0.0))
    >>> round(decision.knob, 1), round(table.knob_for(600.0), 1)  # 600 nJ a window
    (1.4, 1.4)

    Args:
        table: with energies.
        joules: charge of the battery; what the network may take of it.
        seconds: time until the deadline.
        window_seconds: time from window to window.
        worst_step: joules that one time step of the network can cost at most, without the static part.
        static_watts: power that is spent whatever happens.
        sparsest: as for :class:`Budget`.
        agility, max_change: see :class:`Steering`.

    Attributes:
        charge: joules left.
        time: seconds left.

    Raises:
        InputError: static power alone empties the battery before the deadline, or a setting is no number or out of
            range.
    """

    def __init__(
        self,
        table: CalibrationTable,
        joules: float,
        seconds: float,
        window_seconds: float,
        worst_step: float,
        *,
        static_watts: float = 0.0,
        sparsest: float | None = None,
        agility: float = 0.3,
        max_change: float = 0.3,
    ) -> None:
        check_table(table)
        self.capacity, self.seconds = (
            as_quantity("joules", joules, 0, above=True),
            as_quantity("seconds", seconds, 0, above=True),
        )
        self.window_seconds = as_quantity("window_seconds", window_seconds, 0, above=True)
        self.worst_step, self.static_watts = (
            as_quantity("worst_step", worst_step, 0),
            as_quantity("static_watts", static_watts, 0),
        )
        _check_deadline(table, self.capacity, self.seconds, self.window_seconds, self.static_watts)
        self.charge, self.time = self.capacity, self.seconds
        self._even = self.free / self.seconds  # watts beside the static power, spent evenly
        self.steering = Steering(table, sparsest, agility, max_change)
        self._run = True
        self._aim()

    @property
    def decision(self) -> Decision:
        """For the next window."""
        return Decision(self.steering.knob, self._run, max(self.free, 0.0))

    @property
    def left(self) -> float:
        """Joules in the battery."""
        return self.charge

    @property
    def state_of_charge(self) -> float:
        """What is left of the battery, 0 to 1."""
        return max(self.charge, 0.0) / self.capacity

    @property
    def free(self) -> float:
        """Joules that static power will not need until the deadline."""
        return self.charge - self.static_watts * max(self.time, 0.0)

    def update(self, spent: Spent) -> Decision:
        """Take account of a window, and decide on the next."""
        self.charge -= spent.dynamic + spent.static
        self.time -= spent.seconds
        if spent.ran:
            self.steering.observe(self.steering.knob, spent.dynamic)
        self._aim()
        return self.decision

    def _aim(self) -> None:
        windows = max(self.time / self.window_seconds, 1.0)
        self.steering.steer(self.free / windows)
        behind = self._even * (max(self.time, 0.0) - ROOM * self.window_seconds)
        self._run = self.free >= max(self.worst_step, behind)

    def state_dict(self) -> dict[str, Any]:
        """Charge, time and steering."""
        return {"charge": self.charge, "time": self.time, "run": self._run, "steering": self.steering.state_dict()}

    def load_state_dict(self, state: State) -> None:
        """Go on exactly there; see :class:`Controller`."""
        check_keys(state, "charge", "time", "run", "steering")
        charge, time = number(state, "charge", high=self.capacity), number(state, "time", high=self.seconds)
        run = truth(state, "run")
        self.steering.load_state_dict(part(state, "steering"))
        self.charge, self.time, self._run = charge, time, run


ROOM = 8
"""Windows' worth of energy by which spending may be ahead of an even one before windows are skipped."""


def _check_deadline(
    table: CalibrationTable, joules: float, seconds: float, window_seconds: float, static_watts: float
) -> None:
    if joules > static_watts * seconds:
        return
    cheapest = static_watts + table.dynamic_nj(table.cheapest.knob) * 1e-9 / window_seconds
    raise InputError(
        f"battery: found {format_energy(joules)} to last {format_duration(seconds)}, allowed is more than the static "
        f"power of {format_power(static_watts)} takes; possible are {format_duration(joules / static_watts)} with the "
        f"network idle, {format_duration(joules / cheapest)} with its dial at the sparsest, or a battery of "
        f"{format_energy(cheapest * seconds)}"
    )
