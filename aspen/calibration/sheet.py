"""Operating points as a table for people to read."""

from __future__ import annotations

from collections.abc import Sequence

from aspen._base.tables import Table
from aspen.calibration.points import OperatingPoint


def table(points: Sequence[OperatingPoint], taken: Sequence[float] | None = None, *, dial: bool = False) -> Table:
    """A row for each point, with the steps taken where they are given, and what got no answer, if any.

    Args:
        points: what was measured.
        taken: time steps per inference at each point.
        dial: whether their knob is that of a learned dial; otherwise it is a threshold scale.
    """
    silent = any(point.unanswered for point in points)
    head = ["knob" if dial else "threshold scale", "accuracy", "(95 % interval)", "hidden spikes"]
    head += ["synaptic operations", "total uJ", "dynamic nJ"]
    head += (["steps"] if taken is not None else []) + (["no answer"] if silent else [])
    rows = []
    for k, p in enumerate(points):
        total = None if p.total_nj is None else p.total_nj / 1e3
        row = [f"{p.knob:.2f}", f"{p.accuracy:.1%}", f"({p.accuracy_low:.1%} to {p.accuracy_high:.1%})"]
        row += [f"{p.hidden_spikes:,.1f}", f"{p.synaptic_operations:,.0f}"]
        row += ["-" if energy is None else _four_digits(energy) for energy in (total, p.dynamic_nj)]
        row += [f"{taken[k]:.1f}"] if taken is not None else []
        rows.append([*row, *([f"{p.unanswered:.1%}"] if silent else [])])
    return Table(head, rows, left=())


def _four_digits(energy: float) -> str:
    """Without an exponent, which a microcontroller's nanojoules would have."""
    return f"{energy:,.0f}" if 1e4 <= energy < 1e9 else f"{energy:.4g}"
