"""What is unusual about a window: input that costs more than any that the network was calibrated on should."""

from __future__ import annotations

from aspen.calibration.table import CalibrationTable
from aspen_emulator.streaming.counting import Events
from aspen_emulator.streaming.meter import Meter

INPUT, HIDDEN, LASTING = 3.0, 3.0, 1.75
"""Times the mean of the calibration data beyond which a window's operations are reported: those of the input, those
behind it, which the network decides, and those behind it in a running mean."""
SHARE = 0.1
"""Of a window in the running mean."""


class Watch:
    """Compares windows with the calibration table.

    Args:
        table: what windows cost on the calibration data.
        meter: of the same network.

    Attributes:
        mean: running mean of operations behind the input, in units of what is usual.
    """

    def __init__(self, table: CalibrationTable, meter: Meter) -> None:
        self._network, self._steps = meter.network, meter.window
        best, steps = table.best, [float(steps) for steps in table.whole_steps]
        if table.is_front and table.early_points:
            steps = [early.steps for early in table.early_points]  # in which its points' operations were counted
        self._input = INPUT * (best.synaptic_operations - best.hidden_synaptic_operations) / steps[-1]
        each = zip(table.points, steps, strict=True)
        self._points = sorted((point.knob, point.hidden_synaptic_operations / taken) for point, taken in each)
        self.mean = 1.0

    def __call__(self, knob: float, events: Events) -> str:
        """What is unusual, or nothing."""
        given = events.input_operations(self._network)
        behind = sum(events.operations.values()) - given
        steps = max(events.steps, self._steps // 2)  # the first steps of a window may be denser than the others
        found = []
        if given > self._input * steps:
            found.append("input denser than calibrated")
        usual = self._usual(knob) * steps
        self.mean += SHARE * (min(behind / usual, HIDDEN) - self.mean) if usual > 0 else 0.0
        if behind > HIDDEN * usual:
            found.append("more activity than calibrated")
        elif self.mean > LASTING:
            found.append("more activity than calibrated for a while")
        return " and ".join(found)

    def _usual(self, knob: float) -> float:
        """Of the costlier of the two points that the knob lies between."""
        below = [usual for setting, usual in self._points if setting <= knob]
        above = [usual for setting, usual in self._points if setting >= knob]
        return max(*below[-1:], *above[:1], 0.0)
