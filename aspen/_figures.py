"""Plots as PNG files, without a display; matplotlib is imported only when one is drawn."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from aspen._arrays import Array
from aspen._packages import needed_for
from aspen.files import write_atomically


def new_figure(size: tuple[float, float], rows: int, columns: int) -> tuple[Any, Array]:
    """An empty figure of ``size`` (inches) and its panels, (rows x columns,); needs no display.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    with needed_for("plots"):
        from matplotlib.figure import Figure
    figure = Figure(figsize=size, layout="constrained", dpi=110)
    return figure, np.ravel(figure.subplots(rows, columns))


def save_figure(figure: Any, path: str | Path) -> None:
    """Write a figure as PNG, atomically."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_atomically(path, buffer.getvalue())
