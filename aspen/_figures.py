"""Plots as files, without a display; matplotlib is imported only when one is drawn."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from aspen._base.arrays import Array
from aspen._base.packages import needed_for
from aspen.storage.outputs import PICTURES, form_of
from aspen.storage.writing import write_atomically


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
    """Write a figure atomically, as PNG, PDF or SVG: the suffix decides.

    Raises:
        InputError: another suffix, or the file cannot be written.
    """
    form = form_of(path, PICTURES)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form.lstrip("."))
    write_atomically(path, buffer.getvalue())
