"""An energy report as stacked bars."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aspen._figures import new_figure, save_figure
from aspen.errors import InputError
from aspen_hardware.costs import WORDS

if TYPE_CHECKING:
    from aspen_hardware.energy import EnergyReport

_COLOURS = {
    "synaptic_operation": "#1f6f78",
    "multiply_accumulate": "#4f7942",
    "neuron_update_active": "#b5482a",
    "neuron_update_inactive": "#e0a458",
    "spike": "#6a4c93",
    "spike_packet": "#999999",
    "hop_east_west": "#555555",
    "hop_north_south": "#222222",
}


def draw(report: EnergyReport, path: str | Path) -> None:
    """Draw dynamic energy by place and kind of event on the left, dynamic and static apart on the right.

    Raises:
        InputError: the chip has no figure for any event.
    """
    whole = report.per_inference
    if whole.dynamic is None:
        raise InputError(
            f"plot: found no published energy of any event on {report.chip}, allowed are chips that have some; "
            f"print the counts instead"
        )
    figure, panels = new_figure((12, 5), 1, 2)
    places = list(dict.fromkeys(entry.where for entry in report.entries))
    height = dict.fromkeys(places, 0.0)
    for event, words in WORDS.items():
        for entry in report.entries:
            if entry.event != event or entry.joules is None or not entry.joules.typical:
                continue
            each = entry.joules.typical / report.samples * 1e9
            panels[0].barh(entry.where, each, left=height[entry.where], color=_COLOURS[event], label=words)
            height[entry.where] += each
    panels[0].invert_yaxis()
    panels[0].set(xlabel="dynamic energy per inference (nJ)")
    handles, labels = panels[0].get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    panels[0].legend(unique.values(), unique.keys(), frameon=False)
    for name, part, colour in (("dynamic", whole.dynamic, "#1f6f78"), ("static", whole.static, "#bbbbbb")):
        if part is None:
            panels[1].bar(name, 0.0)
            panels[1].text(name, 0.0, "unknown", ha="center", va="bottom")
            continue
        span = [[(part.typical - part.low) * 1e6], [(part.high - part.typical) * 1e6]]
        panels[1].bar(name, part.typical * 1e6, color=colour, yerr=span, capsize=4)
        panels[1].text(name, part.high * 1e6, f" {part.typical * 1e6:.3g}", ha="left", va="bottom")
    time = "as fast as the work allows" if report.timing == "work" else "at the time of a step"
    panels[1].set(ylabel="energy per inference (µJ)", title=f"{time}; whiskers: published figures disagree")
    figure.suptitle(f"{report.chip}: {report.samples} inferences of {report.steps} steps, {report.cores_used} cores")
    save_figure(figure, path)
