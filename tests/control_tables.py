"""Small calibration tables, and a plant that stands for a network, for the tests of the controllers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from aspen.calibration.storage import CalibrationTable, OperatingPoint
from aspen.control import Controller, Spent

WINDOW = 2.56
"""Seconds."""


def point(knob: float, dynamic_nj: float, accuracy: float) -> OperatingPoint:
    return OperatingPoint(
        knob, accuracy, accuracy - 0.02, accuracy + 0.02, dynamic_nj / 10, 100.0, 60.0, dynamic_nj, 1000.0, 500
    )


def made_table(dial: str = "profile", **changes: Any) -> CalibrationTable:
    """Dynamic energy from 1000 down to 300 nJ over the knob."""
    knobs = (1.0, 0.5, 0.0) if dial == "profile" else (4.0, 2.0, 1.0)
    points = tuple(map(point, knobs, (300.0, 600.0, 1000.0), (0.80, 0.86, 0.90)))
    values = {
        "chip": "loihi1", "dial": dial, "steps": 16, "step_time": 1e-3, "data": "a validation", "seeds": 1,
        "points": points,
    }  # fmt: skip
    return CalibrationTable(**{**values, **changes})


@dataclass
class Plant:
    """Windows that cost what a table says, times an activity, with noise, and never more than a limit allows.

    Args:
        table: what windows cost at activity 1.
        static_watts: static power.
        noise: standard deviation of the logarithm of each window's cost.
        seed: of the noise.
    """

    table: CalibrationTable
    static_watts: float = 0.0
    noise: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)

    def window(self, controller: Controller, activity: float) -> Spent:
        """Run a window as the controller wants it, and tell it."""
        decision, factor = controller.decision, activity * float(np.exp(self.noise * self._rng.standard_normal()))
        joules = self.table.dynamic_nj(decision.knob) * 1e-9 * factor if decision.run else 0.0
        if decision.limit is not None:
            joules = min(joules, decision.limit)
        spent = Spent(WINDOW, joules, self.static_watts * WINDOW, decision.run)
        controller.update(spent)
        return spent
