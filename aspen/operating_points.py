"""Operating points of the dial, and which of them are worth keeping."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class OperatingPoint:
    """One knob setting, measured. Energies are None where the chip has no published figures, or there is no chip.

    Args:
        threshold_scale: the knob.
        accuracy: fraction of samples classified correctly.
        accuracy_low, accuracy_high: Wilson's 95 % interval of the accuracy.
        hidden_spikes: spikes of hidden populations per inference.
        synaptic_operations: synaptic operations of all connections per inference.
        hidden_synaptic_operations: those without the first layer's, which the input alone decides.
        dynamic_nj: dynamic energy per inference, nJ.
        static_nj: static energy per inference, nJ.
        samples: number of inferences measured.
    """

    threshold_scale: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    hidden_spikes: float
    synaptic_operations: float
    hidden_synaptic_operations: float
    dynamic_nj: float | None
    static_nj: float | None
    samples: int


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
