"""Accuracy, spikes and energy over the knob, drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aspen._base.arrays import Array
from aspen._figures import COLOURS, MARKERS, finish, new_figure, plain_numbers, save_figure
from aspen.calibration.points import OperatingPoint

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Runs = Sequence[Sequence[OperatingPoint]]
"""One sweep for each seed, all over the same knobs."""


def spread(runs: Runs, value: Callable[[OperatingPoint], float]) -> tuple[Array, Array, Array]:
    """Mean, lowest and highest over the seeds, at each knob."""
    table = np.array([[value(point) for point in points] for points in runs])
    return table.mean(axis=0), table.min(axis=0), table.max(axis=0)


def plot_dial(
    sweeps: Mapping[str, Runs],
    path: str | Path | None = None,
    title: str = "",
    *,
    dial: bool = False,
    turned: str | None = None,
) -> Figure:
    """Draw accuracy over the knob, accuracy over spikes, and energy over the knob.

    Args:
        sweeps: network's name -> its sweeps, one for each seed. Lines are means, bands reach from the lowest to the
            highest seed.
        path: a ``.png``, ``.pdf`` or ``.svg`` file to write as well.
        title: what is shown.
        dial: whether the knob is that of a learned dial; otherwise it is a threshold scale.
        turned: what is turned, in words, where it is neither.

    Returns:
        the figure.

    Raises:
        InputError: another suffix, or the file cannot be written.
        MissingDependencyError: matplotlib is not installed.
    """
    turned = turned or ("knob of the learned dial" if dial else "threshold scale")
    figure, panels = new_figure((17, 5), 1, 3)
    for index, (name, runs) in enumerate(sweeps.items()):
        _accuracy_panel(panels[0], name, runs, index)
        _trade_panel(panels[1], name, runs, index)
        _energy_panel(panels[2], f"{name}: " if len(sweeps) > 1 else "", runs, index)
    for runs in sweeps.values():
        _ring(panels[1], runs, dial)
    finish(panels[0], f"Accuracy over the {turned}", turned, "accuracy (%)")
    panels[0].get_legend().remove()  # the next panel has the same
    finish(panels[1], "What a spike buys", "hidden spikes per inference", "accuracy (%)")
    finish(panels[2], f"Energy over the {turned}", turned, "energy per inference (µJ)")
    panels[1].set_xscale("log")
    plain_numbers(panels[1].xaxis)
    if panels[2].lines:
        panels[2].set_yscale("log")
        plain_numbers(panels[2].yaxis)
    figure.suptitle(title, fontsize=13)
    return save_figure(figure, path)


def _knobs(runs: Runs) -> Array:
    return np.array([point.knob for point in runs[0]])


def _band(
    axes: Axes, x: Array, values: tuple[Array, Array, Array], label: str, index: int, *, dashed: bool = False
) -> None:
    """A mean with the range of the seeds; things of one panel differ by their marks, and not by colour alone."""
    colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
    mean, low, high = values
    style, filled = ("--", "none") if dashed else ("-", "full")
    size = max(9 - 2 * index, 5) if dashed else 5  # totals of several networks lie on each other
    axes.plot(x, mean, style, marker=marker, markersize=size, fillstyle=filled, color=colour, label=label)
    axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)


def _accuracy_panel(axes: Axes, name: str, runs: Runs, index: int) -> None:
    _band(axes, _knobs(runs), spread(runs, lambda p: 100 * p.accuracy), name, index)


def _trade_panel(axes: Axes, name: str, runs: Runs, index: int) -> None:
    spikes = spread(runs, lambda p: p.hidden_spikes)[0]
    _band(axes, spikes, spread(runs, lambda p: 100 * p.accuracy), name, index)


def _ring(axes: Axes, runs: Runs, dial: bool) -> None:
    """Where a network stands whose knob nobody has turned."""
    spikes, accuracy = spread(runs, lambda p: p.hidden_spikes)[0], spread(runs, lambda p: 100 * p.accuracy)[0]
    untouched = _knobs(runs) == (0 if dial else 1)
    at, words = (spikes[untouched], accuracy[untouched]), "knob at 0" if dial else "threshold scale 1"
    axes.plot(*at, "o", color="black", markersize=12, fillstyle="none", label=words)


def _energy_panel(axes: Axes, of: str, runs: Runs, index: int, called: str = "total") -> None:
    if any(point.total_nj is None for points in runs for point in points):
        axes.text(0.5, 0.5, "no published energies for this chip", ha="center", transform=axes.transAxes)
        return
    total = spread(runs, _total)
    _band(axes, _knobs(runs), total, f"{of}{called}", index, dashed=True)
    _band(axes, _knobs(runs), spread(runs, lambda p: (p.dynamic_nj or 0.0) / 1e3), f"{of}dynamic", index)


def plot_trained_once(
    scaled: Mapping[str, Runs],
    traded: Mapping[str, Runs],
    dialled: Mapping[tuple[str, str], Runs],
    path: str | Path | None = None,
    title: str = "",
    *,
    on: str,
) -> Figure:
    """Draw accuracy over the threshold scale, accuracy over total energy, and energy over the knob of a learned dial.

    Args:
        scaled: network's name -> its sweeps over threshold scales, one for each seed.
        traded: network's name -> its sweeps over whatever knob it has, in the order of what they cost.
        dialled: chip, and what its total is of -> the sweeps of the dialled network there.
        path, title: as for :func:`plot_dial`.
        on: title of the chip whose energies are ``traded``.

    Returns:
        the figure.

    Raises:
        InputError: another suffix, or the file cannot be written.
        MissingDependencyError: matplotlib is not installed.
    """
    figure, panels = new_figure((19, 5), 1, 3)
    for index, (name, runs) in enumerate(scaled.items()):
        _accuracy_panel(panels[0], name, runs, index)
    for index, (name, runs) in enumerate(traded.items()):
        energy = spread(runs, _total)[0]
        _band(panels[1], energy, spread(runs, lambda p: 100 * p.accuracy), name, index)
    for index, ((chip, what), runs) in enumerate(dialled.items()):
        _energy_panel(panels[2], f"{chip}: ", runs, index, f"total, {what}")
    finish(panels[0], "Accuracy over the threshold scale", "threshold scale", "accuracy (%)")
    finish(panels[1], f"What energy buys on {on}", "total energy per inference (µJ)", "accuracy (%)")
    finish(panels[2], "Energy over the knob of the dial", "knob of the learned dial", "energy per inference (µJ)")
    panels[1].set_xscale("log")
    panels[2].set_yscale("log")
    for axis in (panels[1].xaxis, panels[2].yaxis):
        plain_numbers(axis)
    figure.suptitle(title, fontsize=13)
    return save_figure(figure, path)


def _total(point: OperatingPoint) -> float:
    """Total energy in µJ."""
    return (point.total_nj or 0.0) / 1e3
