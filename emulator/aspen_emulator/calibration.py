"""Calibration: which operating points are worth keeping, and which one to take."""

from __future__ import annotations

from collections.abc import Sequence

from aspen_emulator.sweeps import OperatingPoint


def pareto_front(points: Sequence[OperatingPoint]) -> list[OperatingPoint]:
    """The points that no cheaper point matches in accuracy, cheapest (fewest hidden spikes) first.

    On the data they were measured on, accuracy rises from point to point.
    """
    front: list[OperatingPoint] = []
    for point in sorted(points, key=lambda point: (point.hidden_spikes, -point.accuracy)):
        if not front or point.accuracy > front[-1].accuracy:
            front.append(point)
    return front
