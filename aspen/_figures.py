"""Plots without a display: a figure that a notebook shows, and a file. Only drawing imports matplotlib."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aspen._base.arrays import Array
from aspen._base.packages import needed_for
from aspen.storage.outputs import PICTURES, form_of
from aspen.storage.writing import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#b5482a", "#1f6f78", "#6a4c93", "#4f7942")
MARKERS = ("o", "s", "^", "D")
"""Of the first, second ... thing in a panel: no two differ by their colour alone."""
GREY = "#8a8a8a"
_DOTS_PER_INCH = 110


def new_figure(size: tuple[float, float], rows: int, columns: int) -> tuple[Figure, Array]:
    """An empty figure of ``size`` (inches) and its panels, (rows x columns,); needs no display.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    with needed_for("plots"):
        figure = _figure_type()(figsize=size, layout="constrained", dpi=_DOTS_PER_INCH)
    return figure, np.ravel(figure.subplots(rows, columns))


@cache
def _figure_type() -> type[Figure]:
    """Matplotlib's figure; a notebook shows it whether or not pyplot was imported there."""
    from matplotlib.figure import Figure

    class Drawn(Figure):
        def _repr_png_(self) -> bytes:
            return _drawn(self, "png")

    return Drawn


def _drawn(figure: Figure, form: str) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form)
    return buffer.getvalue()


def save_figure(figure: Figure, path: str | Path | None) -> Figure:
    """Write a figure atomically, as PNG, PDF or SVG: the suffix decides; ``None``: write nothing.

    Returns:
        the figure, which a notebook shows.

    Raises:
        InputError: another suffix, or the file cannot be written.
    """
    if path is not None:
        write_atomically(path, _drawn(figure, form_of(path, PICTURES).lstrip(".")))
    return figure


def finish(axes: Axes, title: str, x: str, y: str, **more: Any) -> None:
    """Name a panel and its axes, and put its legend beside it, where it covers nothing."""
    axes.set(title=title, xlabel=x, ylabel=y, **more)
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    legend_beside(axes)


def legend_beside(axes: Axes) -> None:
    """The legend of a panel, each entry once, to its right."""
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        unique = dict(zip(labels, handles, strict=True))
        entries = list(unique.values()), list(unique)
        axes.legend(*entries, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)


def plain_numbers(axis: Any) -> None:
    """Ticks of a logarithmic axis as 1, 2, 5, 10 ..."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
