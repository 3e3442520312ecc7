"""What a controller did over a stream, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aspen._base.arrays import Array
from aspen._base.labels import NO_LABEL
from aspen._figures import new_figure, save_figure
from aspen.network.readout import NO_ANSWER
from aspen_emulator.streaming.stream import Window

SMOOTH = 10
"""Windows over which power is averaged."""


def plot_stream(
    windows: Sequence[Window],
    path: str | Path,
    title: str,
    allowed: float | None = None,
    labels: Array | None = None,
    names: Sequence[str] = (),
) -> None:
    """Draw energy, knob and answers over time.

    Args:
        windows: of the stream, in order.
        path: a ``.png``, ``.pdf`` or ``.svg`` file.
        title: what is shown.
        allowed: joules of dynamic energy per window that the budget allows, if there is one.
        labels: (windows,) classes, -1 where there is none.
        names: of the classes.
    """
    figure, panels = new_figure((13, 10), 4, 1)
    minutes = np.array([window.end for window in windows]) / 60
    dynamic = np.array([window.dynamic for window in windows]) * 1e6
    ran = np.array([window.ran for window in windows])
    _energy(panels[0], minutes, dynamic, allowed)
    _total(panels[1], minutes, dynamic, allowed)
    knob = np.where(ran, [window.knob for window in windows], np.nan)
    panels[2].plot(minutes, knob, ".", markersize=2, color="#6a4c93", label="windows that ran")
    if not ran.all():
        bottom = np.full((~ran).sum(), np.nanmin(knob) if ran.any() else 0.0)
        panels[2].plot(minutes[~ran], bottom, "|", color="#b5482a", markersize=8, label=f"{(~ran).sum()} skipped")
    panels[2].set(title="Knob", ylabel="knob")
    panels[2].legend(loc="upper right", fontsize=8)
    answers = np.array([window.prediction for window in windows])
    if labels is not None:
        known = labels[: len(answers)] != NO_LABEL
        panels[3].plot(minutes[known], labels[: len(answers)][known], "_", color="#4f7942", markersize=8, label="true")
    silent = answers == NO_ANSWER
    panels[3].plot(minutes[~silent], answers[~silent], ".", markersize=3, color="#1f6f78", label="answer")
    if silent.any():
        panels[3].plot(minutes[silent], answers[silent], "|", color="#bbbbbb", markersize=8, label="no answer")
    alarms = np.array([bool(window.alarm) for window in windows])
    if alarms.any():
        panels[3].plot(minutes[alarms], answers[alarms], "x", color="#b5482a", markersize=4, label="unusual input")
    if names:
        panels[3].set_yticks(range(len(names)), names)
    panels[3].set(title="Answers", xlabel="minutes")
    panels[3].legend(loc="upper right", fontsize=8)
    figure.suptitle(title, fontsize=12)
    save_figure(figure, path)


def _energy(axes: Any, minutes: Array, dynamic: Array, allowed: float | None) -> None:
    axes.plot(minutes, dynamic, ".", markersize=2, color="#bbbbbb", label="each window")
    width = min(SMOOTH, len(dynamic))
    mean = np.convolve(dynamic, np.ones(width) / width, "valid")
    axes.plot(minutes[width - 1 :], mean, color="#1f6f78", label=f"mean of {width}")
    _finish(axes, "Dynamic energy of a window", allowed)


def _total(axes: Any, minutes: Array, dynamic: Array, allowed: float | None) -> None:
    mean = np.cumsum(dynamic) / np.arange(1, len(dynamic) + 1)
    axes.plot(minutes, mean, color="#1f6f78", label="mean since the start")
    _finish(axes, "Dynamic energy of a window, mean since the start", allowed)


def _finish(axes: Any, title: str, allowed: float | None) -> None:
    if allowed is not None:
        axes.axhline(allowed * 1e6, color="#b5482a", linestyle="--", label="budget")
    axes.set(title=title, ylabel="µJ", ylim=(0, None))
    axes.legend(loc="lower right", fontsize=8)
