"""Operating points as a table for people to read."""

from __future__ import annotations

from collections.abc import Sequence

from aspen._base.tables import Table
from aspen.calibration.early import EarlyStop
from aspen.calibration.points import EarlyPoint, OperatingPoint

EVERY_HEAD = "every n-th step"


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
        row = [f"{p.knob:.2f}", f"{p.accuracy:.1%}", f"({p.accuracy_low:.1%} to {p.accuracy_high:.1%})"]
        row += [f"{p.hidden_spikes:,.1f}", f"{p.synaptic_operations:,.0f}"]
        row += _energies(p)
        row += [f"{taken[k]:.1f}"] if taken is not None else []
        rows.append([*row, *([f"{p.unanswered:.1%}"] if silent else [])])
    return Table(head, rows, left=())


def front_table(
    points: Sequence[OperatingPoint],
    places: Sequence[float],
    early: EarlyStop | None,
    ended: Sequence[EarlyPoint],
    every: Sequence[int] = (),
) -> Table:
    """A row for each point of a front, the most accurate first: the knob, and where each lever stands there."""
    skipped = [EVERY_HEAD] if every else []
    head = ["knob", "dial's knob", *skipped, "ends below a doubt of", "steps", "accuracy", "(95 % interval)"]
    rows = []
    for k in reversed(range(len(points))):
        p, level = points[k], 0.0 if early is None else early.level(points[k].knob)
        steps = "all" if not ended or not level else f"{ended[k].steps:.1f}"
        row = [f"{p.knob:.3f}", f"{places[k]:.3g}", *([f"{every[k]}"] if every else [])]
        row += [f"{100 * level:.3g}%" if level else "-", steps]
        row += [f"{p.accuracy:.1%}", f"({p.accuracy_low:.1%} to {p.accuracy_high:.1%})"]
        rows.append([*row, *_energies(p)])
    return Table([*head, "total uJ", "dynamic nJ"], rows, left=())


def _energies(point: OperatingPoint) -> list[str]:
    total = None if point.total_nj is None else point.total_nj / 1e3
    return ["-" if energy is None else _four_digits(energy) for energy in (total, point.dynamic_nj)]


def _four_digits(energy: float) -> str:
    """Without an exponent, which a microcontroller's nanojoules would have."""
    return f"{energy:,.0f}" if 1e3 <= energy < 1e9 else f"{energy:.4g}"
