"""Operating points as rows and as a CSV file."""

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
