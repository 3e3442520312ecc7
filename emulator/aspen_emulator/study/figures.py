"""The study's plots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from aspen._figures import GREY, finish, new_figure, plain_numbers, save_figure
from aspen.calibration.storage import OperatingPoint
from aspen_emulator.measuring.bench import SCALES
from aspen_emulator.study.cells import stem
from aspen_emulator.study.measuring import KNOBS, Points, Spent
from aspen_emulator.study.problems import DIAL, WARM, Problem
from aspen_emulator.study.results import at

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LABELS = {DIAL: "one dialled network", "perturbed": "perturbed, uniform knob", "plain": "plain, uniform knob"}
_LOOKS = {DIAL: ("#1f6f78", "-o"), "perturbed": ("#b5482a", "--^"), "plain": (GREY, ":D")}
_HATCHES = ("", "//", "..", "\\\\", "xx", "--")


def plot(problem: Problem, test: Points, spent: Spent, seeds: int, path: Path | None = None) -> Figure:
    """Accuracy over hidden spikes and over energy, accuracy and spikes over the knob; integers.

    Where the chip has no published energies, synaptic operations of the hidden layers stand for them.

    Args:
        problem, test, spent, seeds: what was measured.
        path: a ``.png``, ``.pdf`` or ``.svg`` file to write as well.

    Returns:
        the figure.
    """
    figure, panels = new_figure((18, 10), 2, 3)
    axes: list[tuple[str, Callable[[OperatingPoint], float]]] = [
        ("hidden spikes per inference", lambda p: p.hidden_spikes),
        ("synaptic operations after the first layer, per inference", lambda p: p.hidden_synaptic_operations),
    ]
    if all(point.total_nj is not None for points in test.values() for point in points):
        axes[1:] = [
            ("dynamic energy per inference, first layer included (nJ)", lambda p: p.dynamic_nj or 0.0),
            ("total energy per inference, static included (µJ)", lambda p: (p.total_nj or 0.0) / 1000),
        ]
    for panel, (label, value) in zip(panels, axes, strict=False):
        _trade(panel, problem, test, seeds, value)
        finish(panel, f"Accuracy over {label.partition(' per ')[0].partition(',')[0]}", label, "accuracy (%)")
        panel.get_legend().remove()
    if len(axes) == 3:
        panels[2].set_xlim(0, 1.1 * panels[2].get_xlim()[1])  # a cut axis would make much of little
    panels[0].set_xscale("log")
    plain_numbers(panels[0].xaxis)
    _over_knob(panels[3], test, seeds)
    _by_population(panels[4], spent)
    for panel in (*panels[len(axes) : 3], panels[5]):
        panel.set_axis_off()
    panels[5].legend(*panels[0].get_legend_handles_labels(), frameon=False, loc="upper left", title="the upper row")
    figure.suptitle(
        f"{problem.name}: one dialled network and many trained for one energy ({problem.chip} integers, {seeds} seeds)"
    )
    return save_figure(figure, path)


def _means(
    test: Points, cell: str, seeds: int, setting: float, value: Callable[[OperatingPoint], float]
) -> tuple[float, float]:
    found = [at(test[f"{stem(cell, seed)}/integers"], setting) for seed in range(seeds)]
    return mean(value(point) for point in found), 100 * mean(point.accuracy for point in found)


def _trade(panel: Axes, problem: Problem, test: Points, seeds: int, value: Callable[[OperatingPoint], float]) -> None:
    rivals = sorted(
        _means(test, cell, seeds, 1.0, value) for cell in problem.cells if cell not in (WARM, DIAL, "perturbed")
    )
    panel.plot(*zip(*rivals, strict=True), "s", color="#555555", label="envelope: one network each (plain and L1)")
    for cell, label in _LABELS.items():
        if cell in problem.cells:
            settings = KNOBS if cell == DIAL else SCALES
            curve = [_means(test, cell, seeds, setting, value) for setting in settings]
            colour, style = _LOOKS[cell]
            panel.plot(*zip(*curve, strict=True), style, color=colour, label=label, markersize=5)


def _over_knob(panel: Axes, test: Points, seeds: int) -> None:
    curves: list[Sequence[float]] = []
    for seed in range(seeds):
        points = test[f"{stem(DIAL, seed)}/integers"]
        curves.append([100 * point.accuracy for point in points])
        panel.plot(KNOBS, curves[-1], color=GREY, linewidth=0.8, label="each seed")
    means = [mean(column) for column in zip(*curves, strict=True)]
    panel.plot(KNOBS, means, "-o", color=_LOOKS[DIAL][0], markersize=5, label="mean")
    finish(panel, "Accuracy over the knob of the learned dial", "knob", "accuracy (%)")


def _by_population(panel: Axes, spent: Spent) -> None:
    areas = panel.stackplot(KNOBS, *spent.populations.values(), labels=list(spent.populations), alpha=0.8)
    for area, hatch in zip(areas, cycle(_HATCHES), strict=False):
        area.set(hatch=hatch, edgecolor="white")
    finish(panel, "Spikes by population", "knob", "spikes per inference", ylim=(0, None))
