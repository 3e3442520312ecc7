"""What a controller did over a stream, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aspen._base.arrays import Array
from aspen._base.labels import NO_LABEL
from aspen._figures import GREY, finish, new_figure, save_figure
from aspen.network.readout import NO_ANSWER
from aspen_emulator.streaming.stream import Window

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SMOOTH = 10
"""Windows over which energy is averaged."""
UNITS = {"milliseconds": 1e-3, "seconds": 1.0, "minutes": 60.0, "hours": 3600.0, "days": 86400.0}
"""Of the time axis: the longest of which a stream lasts more than :data:`LEAST`."""
LEAST = 3.0


def plot_stream(
    windows: Sequence[Window],
    path: str | Path | None = None,
    title: str = "",
    allowed: float | None = None,
    labels: Array | None = None,
    names: Sequence[str] = (),
    *,
    dial: bool = False,
) -> Figure:
    """Draw energy, knob and answers over time.

    Args:
        windows: of the stream, in order.
        path: a ``.png``, ``.pdf`` or ``.svg`` file to write as well.
        title: what is shown.
        allowed: joules of dynamic energy per window that the budget allows, if there is one.
        labels: (windows,) classes, -1 where there is none.
        names: of the classes.
        dial: whether the knob is that of a learned dial; otherwise it is a threshold scale.

    Returns:
        the figure.

    Raises:
        InputError: another suffix, or the file cannot be written.
        MissingDependencyError: matplotlib is not installed.
    """
    figure, panels = new_figure((13, 11), 4, 1)
    unit = unit_of(windows[-1].end if windows else 0.0)
    time = np.array([window.end for window in windows]) / UNITS[unit]
    dynamic = np.array([window.dynamic for window in windows]) * 1e6
    _energy(panels[0], time, dynamic, allowed)
    _total(panels[1], time, dynamic, allowed)
    _knob(panels[2], time, windows, "knob" if dial else "threshold scale")
    _answers(panels[3], time, windows, labels, names)
    for panel in panels[1:]:
        panel.sharex(panels[0])
    panels[3].set_xlabel(f"time ({unit})")
    figure.suptitle(title, fontsize=13)
    return save_figure(figure, path)


def unit_of(seconds: float) -> str:
    """The unit of a time axis of this length.

    >>> unit_of(2.0), unit_of(60.0), unit_of(3600.0), unit_of(86400.0)
    ('milliseconds', 'seconds', 'minutes', 'hours')
    """
    return next((name for name in reversed(UNITS) if seconds > LEAST * UNITS[name]), next(iter(UNITS)))


def _energy(axes: Axes, time: Array, dynamic: Array, allowed: float | None) -> None:
    axes.plot(time, dynamic, ".", markersize=_size(len(time)), color=GREY, label="each window")
    width = min(SMOOTH, len(dynamic))
    mean = np.convolve(dynamic, np.ones(width) / width, "valid")
    axes.plot(time[width - 1 :], mean, color="#1f6f78", label=f"mean of {width}")
    _budget(axes, allowed)
    _finish(axes, "Dynamic energy of a window")


def _total(axes: Axes, time: Array, dynamic: Array, allowed: float | None) -> None:
    mean = np.cumsum(dynamic) / np.arange(1, len(dynamic) + 1)
    axes.plot(time, mean, color="#1f6f78", label="mean since the start")
    _budget(axes, allowed)
    _finish(axes, "Dynamic energy of a window, mean since the start")


def _finish(axes: Axes, title: str) -> None:
    top = axes.dataLim.y1
    finish(axes, title, "", "µJ", ylim=(0, 1.1 * top if top > 0 else None))


def _budget(axes: Axes, allowed: float | None) -> None:
    if allowed is not None:
        axes.axhline(allowed * 1e6, color="#b5482a", linestyle="--", label="budget")


def _knob(axes: Axes, time: Array, windows: Sequence[Window], turned: str) -> None:
    ran = np.array([window.ran for window in windows])
    knob = np.where(ran, [window.knob for window in windows], np.nan)
    axes.plot(time, knob, ".", markersize=_size(len(time)), color="#6a4c93", label="windows that ran")
    if not ran.all():
        bottom = np.full((~ran).sum(), np.nanmin(knob) if ran.any() else 0.0)
        axes.plot(time[~ran], bottom, "|", color="#b5482a", markersize=9, label=f"{(~ran).sum()} skipped")
    finish(axes, turned.capitalize(), "", turned)


def _answers(axes: Axes, time: Array, windows: Sequence[Window], labels: Array | None, names: Sequence[str]) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    answers = np.array([window.prediction for window in windows])
    if labels is not None:
        known = labels[: len(answers)] != NO_LABEL
        axes.plot(time[known], labels[: len(answers)][known], "_", color="#4f7942", markersize=9, label="true")
    silent = answers == NO_ANSWER
    axes.plot(time[~silent], answers[~silent], ".", markersize=_size(len(time)), color="#1f6f78", label="answer")
    if silent.any():
        axes.plot(time[silent], answers[silent], "|", color=GREY, markersize=9, label="no answer")
    alarms = np.array([bool(window.alarm) for window in windows])
    if alarms.any():
        axes.plot(time[alarms], answers[alarms], "x", color="#b5482a", markersize=6, label="unusual input")
    called = {NO_ANSWER: "none", **dict(enumerate(names))}
    axes.yaxis.set_major_locator(MaxNLocator(nbins=max(len(called), 9), integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: called.get(round(value), f"{value:g}")))
    finish(axes, "Answers", "", "class")


def _size(windows: int) -> float:
    """Of a mark: large enough to be seen, small enough that a thousand of them are told apart."""
    return 8.0 if windows <= 100 else 5.0 if windows <= 1000 else 3.0
