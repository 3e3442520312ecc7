"""The front of dial and early end, drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aspen._base.arrays import Array
from aspen._figures import COLOURS, finish, new_figure, plain_numbers, save_figure
from aspen.calibration.front import Tried, ways_of
from aspen.calibration.table import CalibrationTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_front(
    front: CalibrationTable,
    tried: Tried,
    untouched: float,
    path: str | Path | None = None,
    title: str = "",
    *,
    dynamic: bool = False,
) -> Figure:
    """Draw accuracy over cost, of all that was measured and of the knob along the front, and both over the knob.

    Args:
        front: the table of the knob.
        tried: what it was found from.
        untouched: where the dial's knob stands when nobody turns it.
        path: a ``.png``, ``.pdf`` or ``.svg`` file to write as well.
        title: what is shown.
        dynamic: whether dynamic energy alone is the cost.

    Returns:
        the figure.

    Raises:
        InputError: another suffix, or the file cannot be written.
        MissingDependencyError: matplotlib is not installed.
    """
    unit, scale = ("hidden spikes per inference", 1.0) if not front.has_energy else (_energy(front, dynamic), 1e-3)
    figure, panels = new_figure((13, 5), 1, 2)
    costs, accuracy = scale * tried.costs(dynamic), [100 * point.accuracy for point in tried.points]
    panels[0].plot(costs, accuracy, ".", color="0.7", label="measured")
    alone = [way for way in ways_of(tried, untouched) if way[0].endswith("alone")]
    for index, (name, chosen) in enumerate(alone, 1):
        style = {"color": COLOURS[index], "marker": "s^D"[index - 1], "markersize": 5}
        panels[0].plot([costs[k] for k in chosen], [accuracy[k] for k in chosen], "--", label=name, **style)
    along = Tried(front.points, front.places, front.places, tried.correct).costs(dynamic) * scale
    knobs, right = [point.knob for point in front.points], [100 * point.accuracy for point in front.points]
    panels[0].plot(along, right, "-o", color=COLOURS[0], linewidth=2, label="the knob, 0 to 1")
    for knob, cost, each in zip(knobs, along, right, strict=True):
        if knob in (0, 1):
            panels[0].annotate(f"{knob:g}", (cost, each), xytext=(6, -12), textcoords="offset points", weight="bold")
    least = min(right)
    panels[0].set_ylim(least - 3, max(accuracy) + 1.5)
    finish(panels[0], "What each lever buys", unit, "accuracy (%)")
    panels[0].set_xscale("log")
    plain_numbers(panels[0].xaxis)
    _over_knob(panels[1], knobs, along, right, unit)
    figure.suptitle(title, fontsize=13)
    return save_figure(figure, path)


def _energy(front: CalibrationTable, dynamic: bool) -> str:
    total = not dynamic and front.best.total_nj is not None
    return f"{'total' if total else 'dynamic'} energy per inference (µJ)"


def _over_knob(axes: Axes, knobs: list[float], costs: Array, accuracy: list[float], unit: str) -> None:
    """Cost over the knob on the left, accuracy on the right."""
    axes.plot(knobs, costs, "-o", color=COLOURS[0], label=unit.partition(" per")[0])
    axes.set_ylim(bottom=0)
    other = axes.twinx()
    other.plot(knobs, accuracy, "--s", color=COLOURS[1], fillstyle="none", label="accuracy")
    other.set_ylabel("accuracy (%)")
    finish(axes, "Along the knob", "knob", unit)
    axes.legend(loc="lower left", frameon=False)
    other.legend(loc="upper right", frameon=False)
