"""An energy report as stacked bars."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aspen._figures import finish, new_figure, save_figure
from aspen.errors import InputError
from aspen_hardware.energy.costs import WORDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from aspen_hardware.energy.report import EnergyReport

_LOOKS = {
    "synaptic_operation": ("#1f6f78", ""),
    "multiply_accumulate": ("#4f7942", "//"),
    "neuron_update_active": ("#b5482a", "\\\\"),
    "neuron_update_inactive": ("#e0a458", ".."),
    "spike": ("#6a4c93", "xx"),
    "spike_packet": ("#bbbbbb", "--"),
    "hop_east_west": ("#8a8a8a", "||"),
    "hop_north_south": ("#5a5a5a", "++"),
    "crossbar_operation": ("#1f6f78", "oo"),
    "leak_operation": ("#e0a458", "**"),
    "program_step": ("#8a8a8a", "||"),
    "clock_cycle": ("#1f6f78", "oo"),
    "wake_up": ("#bbbbbb", "--"),
}
"""Colour and hatch of each kind of event: no two differ by their colour alone."""


def draw(report: EnergyReport, path: str | Path | None) -> Figure:
    """Draw what a battery sees of an inference on the left, dynamic energy by place and kind of event on the right.

    Raises:
        InputError: the chip has no figure for any event.
    """
    if report.dynamic is None:
        raise InputError(
            f"plot: found no published energy of any event on {report.chip}, allowed are chips that have some; "
            f"print the counts instead"
        )
    figure, panels = new_figure((14, 5), 1, 2)
    _draw_parts(panels[0], report)
    _draw_events(panels[1], report)
    figure.suptitle(f"{report.chip}: {report.samples} inferences of {report.steps} steps, {report.in_use}")
    return save_figure(figure, path)


def _draw_parts(panel: Axes, report: EnergyReport) -> None:
    """Total, static and dynamic energy of an inference, with the range of what is published."""
    parts = report.per_inference
    shown = {"total": parts.total, "static": parts.static, "dynamic": parts.dynamic}
    for place, (part, colour) in enumerate(zip(shown.values(), ("#8a98a3", "#bbbbbb", "#1f6f78"), strict=True)):
        if part is None:
            panel.text(place, 0.0, "unknown", ha="center", va="bottom")
            continue
        span = [[(part.typical - part.low) * 1e6], [(part.high - part.typical) * 1e6]]
        panel.bar(place, part.typical * 1e6, color=colour, yerr=span, capsize=4)
        panel.text(place, part.high * 1e6, f" {part.typical * 1e6:.3g}", ha="left", va="bottom")
    panel.set_xticks(range(len(shown)), list(shown))
    length = {"measured": "as measured", "work": "as fast as the work allows", "step": "of real time"}[report.timing]
    lasting = "of unknown length" if report.seconds is None else length
    panel.set(
        xlim=(-0.5, len(shown) - 0.5),  # words have no width of their own
        ylabel="energy per inference (µJ); lines: lowest to highest figures",
        title=f"What a battery sees, steps {lasting}",
    )


def _draw_events(panel: Axes, report: EnergyReport) -> None:
    places = list(dict.fromkeys(entry.where for entry in report.entries))
    height = dict.fromkeys(places, 0.0)
    for event, words in WORDS.items():
        for entry in report.entries:
            if entry.event != event or entry.joules is None or not entry.joules.typical:
                continue
            each, (colour, hatch) = entry.joules.typical / report.samples * 1e9, _LOOKS[event]
            left = height[entry.where]
            panel.barh(entry.where, each, left=left, color=colour, hatch=hatch, edgecolor="white", label=words)
            height[entry.where] += each
    panel.invert_yaxis()
    finish(panel, "The dynamic part: the only one that spikes move", "energy per inference (nJ)", "")
