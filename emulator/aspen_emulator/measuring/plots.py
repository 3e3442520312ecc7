"""Plots. Drawn without a display, written atomically."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aspen._base.arrays import Array
from aspen._figures import new_figure, save_figure
from aspen.calibration.points import OperatingPoint

Runs = Sequence[Sequence[OperatingPoint]]
"""One sweep for each seed, all over the same knobs."""
_COLOURS = ("#b5482a", "#1f6f78", "#6a4c93", "#4f7942")


def spread(runs: Runs, value: Callable[[OperatingPoint], float]) -> tuple[Array, Array, Array]:
    """Mean, lowest and highest over the seeds, at each knob."""
    table = np.array([[value(point) for point in points] for points in runs])
    return table.mean(axis=0), table.min(axis=0), table.max(axis=0)


def plot_dial(sweeps: Mapping[str, Runs], path: str | Path, title: str, *, dial: bool = False) -> None:
    """Draw accuracy over the knob, accuracy over spikes, and energy over the knob.

    Args:
        sweeps: network's name -> its sweeps, one for each seed. Lines are means, bands reach from the lowest to the
            highest seed.
        path: a ``.png``, ``.pdf`` or ``.svg`` file.
        title: what is shown.
        dial: whether the knob is that of a learned dial; otherwise it is a threshold scale.
    """
    turned = "knob of the learned dial" if dial else "threshold scale (knob)"
    figure, panels = new_figure((15, 5), 1, 3)
    for colour, (name, runs) in zip(_COLOURS, sweeps.items(), strict=False):
        _accuracy_panel(panels[0], name, runs, colour)
        _trade_panel(panels[1], name, runs, colour)
        _energy_panel(panels[2], name, runs, colour)
    _label(panels[0], "Accuracy over the knob", turned, "accuracy (%)")
    _label(panels[1], "What a spike buys (squares: knob at 1)", "hidden spikes per inference", "accuracy (%)")
    _label(panels[2], "Energy over the knob", turned, "energy per inference (µJ)")
    panels[1].set_xscale("log")
    panels[2].set_yscale("log")
    plain_numbers(panels[1].xaxis)
    plain_numbers(panels[2].yaxis)
    figure.suptitle(title, fontsize=13)
    save_figure(figure, path)


def _knobs(runs: Runs) -> Array:
    return np.array([point.knob for point in runs[0]])


def _band(axes: Any, x: Array, values: tuple[Array, Array, Array], label: str, colour: str, style: str = "-") -> None:
    mean, low, high = values
    axes.plot(x, mean, style, marker="o", markersize=3.5, color=colour, label=label)
    axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)


def _accuracy_panel(axes: Any, name: str, runs: Runs, colour: str) -> None:
    _band(axes, _knobs(runs), spread(runs, lambda p: 100 * p.accuracy), name, colour)


def _trade_panel(axes: Any, name: str, runs: Runs, colour: str) -> None:
    spikes = spread(runs, lambda p: p.hidden_spikes)[0]
    _band(axes, spikes, spread(runs, lambda p: 100 * p.accuracy), name, colour)
    at_one = _knobs(runs) == 1
    accuracy = spread(runs, lambda p: 100 * p.accuracy)[0]
    axes.plot(spikes[at_one], accuracy[at_one], "s", color=colour, markersize=9, fillstyle="none")


def _energy_panel(axes: Any, name: str, runs: Runs, colour: str) -> None:
    if any(point.total_nj is None for points in runs for point in points):
        axes.text(0.5, 0.5, "no published energies for this chip", ha="center", transform=axes.transAxes)
        return
    total = spread(runs, lambda p: (p.total_nj or 0.0) / 1e3)
    _band(axes, _knobs(runs), total, f"{name}: total", colour, "--")
    _band(axes, _knobs(runs), spread(runs, lambda p: (p.dynamic_nj or 0.0) / 1e3), f"{name}: dynamic", colour)


def plain_numbers(axis: Any) -> None:
    """Ticks of a logarithmic axis as 1, 2, 5, 10 ..."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _label(axes: Any, title: str, x: str, y: str) -> None:
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False)
