"""What a stream is to hold, as people write it, and the controller that holds it."""

from __future__ import annotations

from dataclasses import dataclass

from aspen._base.checks import as_flag, as_quantity
from aspen.calibration.table import CalibrationTable
from aspen.control import AccuracyFloor, Battery, Budget, Controller, Manual
from aspen.errors import InputError
from aspen.units import parse_battery, parse_rate
from aspen_emulator.streaming.meter import Meter

GOALS = ("budget", "battery", "confidence", "knob")


@dataclass(frozen=True)
class Goal:
    """What is to be held; one of :data:`GOALS` is given.

    Args:
        budget: energy that may be spent, such as ``2uJ/window`` or ``10mJ/h``.
        battery: charge that must last for ``hours``, such as ``100mAh@3.7V`` or ``5kJ``.
        hours: with ``battery``.
        confidence: mean confidence of the answers, 0 to 1, held as sparsely as possible.
        knob: where it is left.
        dynamic: whether ``budget`` is for dynamic energy alone; otherwise static energy is paid from it too.

    Raises:
        InputError: none is given, or more than one, or something beside it that would do nothing.
    """

    budget: str | None = None
    battery: str | None = None
    hours: float | None = None
    confidence: float | None = None
    knob: float | None = None
    dynamic: bool = False

    def __post_init__(self) -> None:
        given = [name for name in GOALS if getattr(self, name) is not None]
        if len(given) != 1:
            raise InputError(
                f'goal: found {" and ".join(given) or "none"}, allowed is one of budget="2uJ/window", '
                f'battery="100mAh@3.7V" with hours, confidence=0.85 and knob=0.5'
            )
        if (self.battery is None) != (self.hours is None):
            raise InputError("battery: found it or hours alone, allowed are both; say how long it must last")
        if as_flag("dynamic", self.dynamic) and self.budget is None:
            raise InputError(f"dynamic: found True beside {given[0]}, allowed is with a budget; leave it out")

    def controller(self, table: CalibrationTable, meter: Meter) -> Controller:
        """What holds the goal."""
        if self.knob is not None:
            return Manual(self.knob)
        if self.confidence is not None:
            return AccuracyFloor(table, self.confidence)
        seconds, static = meter.window_seconds, meter.static_watts
        if self.battery is not None:
            lasting = as_quantity("hours", self.hours, 0, above=True) * 3600
            return Battery(table, parse_battery(self.battery), lasting, seconds, meter.worst_step, static_watts=static)
        return self.held(table, meter)

    def held(self, table: CalibrationTable, meter: Meter) -> Budget:
        """The controller of a budget."""
        return Budget(
            table, self.watts(meter), meter.window_seconds, meter.worst_step, static_watts=meter.static_watts,
            count_static=not self.dynamic,
        )  # fmt: skip

    def watts(self, meter: Meter) -> float:
        """The mean power that is allowed; 0 where none is set."""
        return 0.0 if self.budget is None else parse_rate(self.budget).watts(meter.window_seconds)

    def dynamic_per_window(self, meter: Meter) -> float | None:
        """Joules that a budget leaves for each window beside static power."""
        if self.budget is None:
            return None
        return (self.watts(meter) - (0.0 if self.dynamic else meter.static_watts)) * meter.window_seconds
