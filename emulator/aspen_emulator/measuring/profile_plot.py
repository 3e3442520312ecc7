"""A profile as a picture: how often layers fire, what they reach, and what that costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from aspen._figures import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from aspen_emulator.measuring.profile import Profile

_SPIKES, _VALUES, _TOTAL = "#1f6f78", "#b5482a", "#8a98a3"


def draw(profile: Profile, path: str | Path | None) -> Figure:
    """Draw it, and write the file where one is named."""
    rows = max(len(profile.counts.synapses), len(profile.counts.neurons), len(profile.energy))
    figure, panels = new_figure((15, max(3.5, 1.5 + 0.4 * rows)), 1, 3)
    _rates(panels[0], profile)
    _operations(panels[1], profile)
    _energies(panels[2], profile)
    figure.suptitle(f"{profile.model}: mean of {profile.counts.samples} inferences of {profile.counts.steps} steps")
    if path is not None:
        save_figure(figure, path)
    return figure


def _rows(panel: Axes, names: list[str], title: str, x: str) -> None:
    panel.set_yticks(range(len(names)), names)
    panel.set_ylim(len(names) - 0.4, -0.6)
    panel.set(title=title, xlabel=x)
    panel.grid(axis="x", alpha=0.3)
    panel.set_axisbelow(True)


def _rates(panel: Axes, profile: Profile) -> None:
    layers = profile.counts.neurons
    panel.barh(range(len(layers)), [100 * layer.rate for layer in layers], color=_SPIKES)
    _rows(panel, [layer.name for layer in layers], "how often neurons fire", "spikes per neuron and step (%)")


def _operations(panel: Axes, profile: Profile) -> None:
    layers, each = profile.counts.synapses, 1 / profile.counts.samples
    reached = [layer.operations * each for layer in layers]
    weighed = [layer.multiply_accumulates * each for layer in layers]
    panel.barh(range(len(layers)), reached, color=_SPIKES, label="synaptic operations")
    if any(weighed):
        panel.barh(range(len(layers)), weighed, left=reached, color=_VALUES, label="multiply-accumulates")
        panel.legend(frameon=False)
    _rows(panel, [layer.name for layer in layers], "what spikes and values reach", "operations per inference")


def _energies(panel: Axes, profile: Profile) -> None:
    bars: list[tuple[str, Any, str]] = []
    for name, report in profile.energy.items():
        parts = report.per_inference
        bars += [(f"{name}, total", parts.total, _TOTAL), (f"{name}, dynamic", parts.dynamic, _SPIKES)]
    if profile.ann is not None:
        bars.append(("int8 ANN, dynamic", profile.ann.energy, _VALUES))
    known = [bar for bar in bars if bar[1] is not None and bar[1].typical > 0]
    for row, (_, energy, colour) in enumerate(known):
        span = [[energy.typical - energy.low], [energy.high - energy.typical]]
        panel.errorbar([energy.typical], [row], xerr=span, fmt="o", color=colour, capsize=4)
    if known:
        panel.set_xscale("log")
    _rows(panel, [name for name, _, _ in known], "what that costs, with its range", "energy per inference (J)")
