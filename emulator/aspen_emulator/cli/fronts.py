"""What ``aspen calibrate`` says of a front: the knob along it, and what each lever is worth."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from aspen._base.tables import Table, Tabled
from aspen.calibration.front import NEAR, Tried, lever_table, levers_of
from aspen.calibration.table import CalibrationTable
from aspen_emulator.measuring.bench import Bench


@dataclass(frozen=True)
class Found:
    """A front, and what it was found from.

    Args:
        front: the table of its knob.
        tried: all settings that were measured.
        untouched: where the dial's knob stands when nobody turns it.
        dynamic: whether it is the front of dynamic energy.
    """

    front: CalibrationTable
    tried: Tried
    untouched: float
    dynamic: bool

    @property
    def energy(self) -> str:
        """What the front is of, in words."""
        if not self.front.has_energy:
            return "hidden spikes"
        total = not self.dynamic and self.front.best.total_nj is not None
        return "total energy" if total else "dynamic energy"

    def parts(self) -> list[str | Table | Tabled]:
        """What is said of it, from top to bottom."""
        levers = levers_of(self.tried, self.untouched, self.dynamic)
        many = len(self.tried.points)
        chosen = f"chosen from {many} settings on these samples, so a little less of it is to be expected elsewhere"
        return [
            self.front,
            f"the front of accuracy against {self.energy}; {chosen}",
            "",
            f"each lever within {100 * NEAR:g} points of the best accuracy, {self.energy}:",
            lever_table(self.tried, levers),
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, the most accurate point first."""
        front, levers = self.front, levers_of(self.tried, self.untouched, self.dynamic)
        rows = [
            {
                **asdict(point),
                "place": front.places[k],
                "every": front.every[k] if front.every else 1,
                "doubt": 0.0 if front.early is None else front.early.level(point.knob),
                "steps": front.early_points[k].steps if front.early_points else front.whole_steps[k],
            }
            for k, point in enumerate(front.points)
        ]
        told = [{**asdict(lever), "range": lever.range} for lever in levers]
        return {"front": rows[::-1], "of": self.energy, "settings_tried": len(self.tried.points), "levers": told}


def untouched(bench: Bench) -> float:
    """Where the knob stands when nobody turns it."""
    return 1.0 if bench.profile is None else bench.profile.low
