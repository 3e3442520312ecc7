"""Operating points as text, as rows and as a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from aspen.calibration.points import OperatingPoint
from aspen.storage.writing import write_atomically


def write_csv(path: str | Path, rows: Sequence[dict[str, object]]) -> None:
    """Write rows with the same keys as a CSV file, atomically."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, buffer.getvalue().encode())


def points_to_rows(points: Sequence[OperatingPoint], **extra: object) -> list[dict[str, object]]:
    """Plain rows for a table or a file, with ``extra`` columns in front."""
    return [{**extra, **asdict(point)} for point in points]


def table(points: Sequence[OperatingPoint], taken: Sequence[float] | None = None, *, dial: bool = False) -> str:
    """The points as a readable table, with the steps taken where they are given, and what got no answer, if any.

    Args:
        points: what was measured.
        taken: time steps per inference at each point.
        dial: whether their knob is that of a learned dial; otherwise it is a threshold scale.
    """
    turned = "   knob" if dial else "threshold scale"
    head = f"{turned}   accuracy (95 % interval)   hidden spikes   synaptic ops     total uJ   dynamic nJ"
    silent = any(point.unanswered for point in points)
    lines = [head + "   steps" * (taken is not None) + "   no answer" * silent]
    for k, p in enumerate(points):
        total = None if p.total_nj is None else p.total_nj / 1e3
        energy = "".join(f"{'-' if e is None else f'{e:.4g}':>13}" for e in (total, p.dynamic_nj))
        lines.append(
            f"{p.knob:{len(turned)}.2f}   {p.accuracy:7.1%} ({p.accuracy_low:.1%} to {p.accuracy_high:.1%})"
            f"{p.hidden_spikes:16.1f}{p.synaptic_operations:15.0f}{energy}"
            + ("" if taken is None else f"{taken[k]:8.1f}")
            + (f"{p.unanswered:12.1%}" if silent else "")
        )
    return "\n".join(lines)
