"""What a stream did and spent, as ``aspen stream`` says it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from aspen._base.labels import NO_LABEL
from aspen.control import Battery
from aspen.dial.path import KnobPath
from aspen.dial.profile import DialProfile
from aspen.network.readout import NO_ANSWER, TOLD, name_of, told_counts
from aspen.units import format_duration, format_energy, format_power
from aspen_emulator.streaming import Stream, Window


@dataclass
class Kept:
    """What is remembered of the windows: all of them only for a plot, and the answers of the first few."""

    windows: list[Window]
    labelled: int = 0
    right: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    first: list[int] = field(default_factory=list)

    def count(self, window: Window, label: int) -> None:
        """One more window, and its class, or :data:`NO_LABEL`."""
        self.answers[window.prediction] += 1
        if len(self.first) <= TOLD:
            self.first.append(window.prediction)
        if label != NO_LABEL:
            self.labelled += 1
            self.right += int(window.prediction == label)

    def by_name(self) -> dict[str, int]:
        """Answer -> windows, in the order of the classes; ``none`` last."""
        return {name_of(each): self.answers[each] for each in sorted(self.answers, key=lambda a: (a == NO_ANSWER, a))}


def now(window: Window, stream: Stream) -> list[str]:
    """The state of things, for the progress bar, the most important first."""
    power = (window.dynamic + window.static) / stream.meter.window_seconds
    left = [] if window.left is None else [f"{format_energy(window.left)} to spend"]
    doing = [f"knob {window.knob:.2f}", f"{window.hidden_spikes} spikes"] if window.ran else ["skipped"]
    return [format_power(power), *left, *doing, f"{_answer(window)}{window.alarm and ' !'}"]


def _answer(window: Window) -> str:
    return "no answer" if window.prediction == NO_ANSWER else f"answer {window.prediction}"


def summary_of(stream: Stream, allowed: float | None, kept: Kept) -> dict[str, Any]:
    """Plain values; energies in joules, ``allowed`` among them: what the budget leaves for each window beside static
    power."""
    meter, windows = stream.meter, max(stream.windows, 1)
    found: dict[str, Any] = {
        "chip": meter.chip.name,
        "windows": stream.windows,
        "skipped": stream.skipped,
        "cut_short": stream.cut,
        "unusual": stream.alarms,
        "unanswered": stream.unanswered,
        "seconds": stream.seconds,
        "total_j": stream.dynamic + stream.static,
        "dynamic_j": stream.dynamic,
        "static_j": stream.static,
        "total_per_window_j": (stream.dynamic + stream.static) / windows,
        "dynamic_per_window_j": stream.dynamic / windows,
        "static_per_window_j": stream.static / windows,
        "budget_dynamic_per_window_j": allowed,
        "knob": stream.controller.decision.knob,
        "dial": isinstance(stream.profile, DialProfile),
        "front": isinstance(stream.profile, KnobPath),
        "left_j": stream.controller.left,
        "accuracy": kept.right / kept.labelled if kept.labelled else None,
        "labelled": kept.labelled,
        "answers": kept.by_name(),
        "predictions": kept.first if len(kept.first) <= TOLD else None,
        "counts": stream.totals.to_dict(),
    }
    if isinstance(stream.controller, Battery):
        found |= {"state_of_charge": stream.controller.state_of_charge, "seconds_to_deadline": stream.controller.time}
    return found


def text(found: dict[str, Any]) -> str:
    """What :func:`summary_of` gives, for people to read."""
    windows = max(found["windows"], 1)
    lines = [
        f"{found['windows']} windows, {format_duration(found['seconds'])}: {found['windows'] - found['skipped']} run, "
        f"{found['skipped']} skipped ({found['skipped'] / windows:.1%}), {found['cut_short']} cut short, "
        f"{found['unusual']} with unusual input, {found['unanswered']} without an answer",
        *(
            f"{part}: {format_energy(found[f'{part}_j'])}, {format_energy(found[f'{part}_per_window_j'])} a window"
            for part in ("total", "static", "dynamic")
        ),
    ]
    allowed = found["budget_dynamic_per_window_j"]
    if allowed is not None:
        lines.append(
            f"budget, without static power: {format_energy(allowed)} a window; spent "
            f"{found['dynamic_per_window_j'] / allowed:.1%} of it"
        )
    turned = "knob" if found["front"] else "learned dial, knob" if found["dial"] else "threshold scale"
    lines.append(f"{turned} {found['knob']:g} at the end")
    if "state_of_charge" in found:
        lines.append(
            f"battery: {found['state_of_charge']:.2%} left, {format_duration(max(found['seconds_to_deadline'], 0.0))} "
            f"to the deadline"
        )
    if found["answers"]:
        few = found["predictions"]
        each = ", ".join(map(name_of, few)) if few else told_counts(found["answers"])
        windows = sum(found["answers"].values())
        lines.append(f"answers{'' if windows == found['windows'] else f' of the last {windows} windows'}: {each}")
    if found["accuracy"] is not None:
        lines.append(f"{found['accuracy']:.1%} of {found['labelled']} labelled windows answered correctly")
    return "\n".join(lines)
