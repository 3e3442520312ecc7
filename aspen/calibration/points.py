"""Operating points of the dial, and which of them are worth keeping."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from aspen._base.arrays import Array
from aspen._base.checks import as_integer, as_number, shown
from aspen.errors import InputError

BELIEVED = 1.645
"""Standard errors of a gain in accuracy that :func:`thin` asks for: 95 % sure, one-sided."""


@dataclass(frozen=True)
class OperatingPoint:
    """One knob, measured. Energies are None where the chip has no published figures, or there is no chip.

    >>> point = OperatingPoint(
    ...     knob=1.0, accuracy=0.95, accuracy_low=0.93, accuracy_high=0.96, hidden_spikes=90, synaptic_operations=2000,
    ...     hidden_synaptic_operations=500, dynamic_nj=900, static_nj=8e5, samples=900,
    ... )
    >>> point.total_nj
    800900.0

    Args:
        knob: where it stood: a threshold scale, or the knob of a learned dial.
        accuracy: fraction of samples classified correctly.
        accuracy_low, accuracy_high: Wilson's 95 % interval of the accuracy; where it is known who the samples are
            from, of that on subjects that were not seen.
        hidden_spikes: spikes of hidden populations per inference.
        synaptic_operations: synaptic operations of all connections per inference.
        hidden_synaptic_operations: those without the first layer's, which the input alone decides.
        dynamic_nj: dynamic energy per inference, nJ.
        static_nj: static energy per inference, nJ.
        samples: number of samples measured.
        unanswered: fraction of samples without an answer (:func:`aspen.network.readout.answers`); they are not correct.
    """

    knob: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    hidden_spikes: float
    synaptic_operations: float
    hidden_synaptic_operations: float
    dynamic_nj: float | None
    static_nj: float | None
    samples: int
    unanswered: float = 0.0

    @property
    def total_nj(self) -> float | None:
        """Dynamic and static energy per inference, nJ; None unless both are known."""
        return None if self.dynamic_nj is None or self.static_nj is None else self.dynamic_nj + self.static_nj

    def __post_init__(self) -> None:
        for each in fields(self):
            value, optional = getattr(self, each.name), each.name in ("dynamic_nj", "static_nj")
            if not (optional and value is None):
                check = as_integer if each.name == "samples" else as_number
                object.__setattr__(self, each.name, check(each.name, value, remedy="measure again"))


def point_of(stored: Mapping[str, Any]) -> OperatingPoint:
    """The operating point that was stored as plain values; its knob was called ``threshold_scale`` at first."""
    values = dict(stored)
    if "knob" not in values and "threshold_scale" in values:
        values["knob"] = values.pop("threshold_scale")
    return OperatingPoint(**values)


@dataclass(frozen=True)
class EarlyPoint:
    """An operating point where inferences end early: its spikes and energies are those of the steps taken.

    Args:
        point: what was measured.
        steps: time steps taken per inference.
    """

    point: OperatingPoint
    steps: float

    def __post_init__(self) -> None:
        if not isinstance(self.point, OperatingPoint):
            raise InputError(f"point: found {shown(self.point)}, allowed is an OperatingPoint; measure again")
        object.__setattr__(self, "steps", as_number("steps", self.steps, remedy="measure again"))


def cost_of(point: OperatingPoint) -> float:
    """What a point costs: its dynamic energy in nJ, or its hidden spikes where no energy is known."""
    return point.hidden_spikes if point.dynamic_nj is None else point.dynamic_nj


def spikes_of(point: OperatingPoint) -> float:
    """Hidden spikes per inference."""
    return point.hidden_spikes


def pareto_front(
    points: Sequence[OperatingPoint], cost: Callable[[OperatingPoint], float] = spikes_of
) -> list[OperatingPoint]:
    """The points that no cheaper point matches in accuracy, cheapest (by ``cost``) first.

    On the data they were measured on, accuracy rises from point to point.
    """
    front: list[OperatingPoint] = []
    for point in sorted(points, key=lambda point: (cost(point), -point.accuracy)):
        if not front or point.accuracy > front[-1].accuracy:
            front.append(point)
    return front


def thin(points: Sequence[OperatingPoint], correct: Array, believed: float = BELIEVED) -> list[OperatingPoint]:
    """The points of the Pareto front that are worth their cost beyond doubt, cheapest first.

    From the cheapest on, a point is kept if it is more accurate than the last one kept by more than ``believed``
    standard errors of that difference. All points were measured on the same samples, so the difference is taken sample
    by sample. The cheapest and the most accurate are always kept; a point whose knob lies outside its neighbours' is
    not, so that the knob goes one way.

    Args:
        points: measured points.
        correct: (points, samples): whether, or how often (0 to 1), each sample was classified correctly.
        believed: standard errors that a gain must exceed.

    Raises:
        InputError: there are no points, or not as many rows.
    """
    correct = np.asarray(correct, np.float64)
    if not points or correct.ndim != 2 or len(correct) != len(points):
        raise InputError(f"correct: found shape {correct.shape}, allowed is ({len(points)}, samples), at least one")
    rows = {id(point): row for point, row in zip(points, correct, strict=True)}
    front = pareto_front(points, cost_of)
    kept, best = [front[0]], front[-1]
    for point in front[1:]:
        gain = rows[id(point)] - rows[id(kept[-1])]
        error = gain.std(ddof=min(1, gain.size - 1)) / gain.size**0.5
        if gain.mean() > believed * error and (point is best or _between(kept[-1], point, best)):
            kept.append(point)
    return kept if kept[-1] is best else [*kept, best]


def _between(left: OperatingPoint, point: OperatingPoint, right: OperatingPoint) -> bool:
    """Whether the knob of ``point`` lies between two others', exclusively."""
    low, high = sorted((left.knob, right.knob))
    return low < point.knob < high
