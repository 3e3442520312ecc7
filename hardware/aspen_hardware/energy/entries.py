"""What reports on energy have in common: an entry of each kind of event, what has no figure, and what is assumed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from aspen.network.record import Record
from aspen_hardware.chips.description import Chip
from aspen_hardware.chips.ranges import ByScenario
from aspen_hardware.chips.schema import POWER_RULES
from aspen_hardware.energy.costs import PRICED_AS, WORDS
from aspen_hardware.energy.crossbar import Crossbar
from aspen_hardware.energy.report import Entry

NOT_COVERED = (
    "encoding the input, reading out the result, and the host computer",
    "loading weights, configuring the chip, and resetting it between samples",
)
_RARE = (
    "multiply_accumulate", "hop_east_west", "hop_north_south", "crossbar_operation", "leak_operation", "program_step",
    "clock_cycle", "wake_up",
)  # fmt: skip
"""Kinds of event that most runs do not have: missing figures for them are named only where there are some."""


def entry(
    chip: Chip, where: str, event: str, count: int, joules: ByScenario | None, counts: Mapping[str, int] | None = None
) -> Entry:
    """One kind of event in one place, and which scenarios have no figure for it."""
    return Entry(where, event, count, joules, counts or {}, tuple(elsewhere(chip, event)), tuple(unpriced(chip, event)))


def elsewhere(chip: Chip, event: str) -> dict[str, str]:
    """Scenarios that have the energy of an event in that of another, and where."""
    if event == "synaptic_operation" and Crossbar.of(chip) is not None:
        return dict.fromkeys(chip.scenarios, "in the operations of the crossbar, which does them all, used or not")
    return chip.elsewhere(event)


def unpriced(chip: Chip, event: str) -> dict[str, str]:
    """Scenarios that have no energy of an event, and why."""
    others = elsewhere(chip, event)
    return {name: why for name, why in chip.unpriced(PRICED_AS.get(event, event)).items() if name not in others}


def absent(entries: tuple[Entry, ...], chip: Chip, reasons: Callable[[str], Mapping[str, str]]) -> Iterator[str]:
    """Lines on the events that scenarios have no energy for, by reason.

    Args:
        entries: of the run.
        chip: whose scenarios.
        reasons: event -> scenario without an energy -> why.
    """
    told: dict[tuple[str, str], list[str]] = {}
    for event in WORDS:
        count = sum(entry.count for entry in entries if entry.event == event)
        scenarios: dict[str, list[str]] = {}
        for name, why in reasons(event).items() if count or event not in _RARE else ():
            scenarios.setdefault(why, []).append(name)
        for why, names in scenarios.items():
            which = "" if len(names) == max(len(chip.scenarios), 1) else f" in {' and '.join(names)}"
            told.setdefault((which, why), []).append(f"{count:,} {WORDS[event]}")
    yield from (f"{', '.join(events)}{which}: {why}" for (which, why), events in told.items())


def assumed_time(chip: Chip, timing: str, step_time: float | None) -> Iterator[str]:
    """How long a step is taken to last, and why."""
    if timing == "measured":
        figure = chip.figures["measured_step"]
        yield f"a step takes as long as measured: {figure.value:g} {figure.unit} ({figure.source})"
        if figure.low < figure.high:
            yield f"its range: {figure.low:g} to {figure.high:g} {figure.unit}, measured on other programs"
    elif timing == "work" and "measured_step" not in chip.figures:
        yield "a step takes as long as its work"
    elif timing == "work":
        yield "a step takes at least the published times of its operations, at most what was measured on the chip"
    elif step_time is not None:
        yield f"a step takes {step_time:g} s, as given"
    elif "step_time" in chip.figures:
        figure = chip.figures["step_time"]
        yield f"a step takes {figure.value:g} {figure.unit}, the tick of real time ({figure.source})"


def assumed_figures(chip: Chip) -> Iterator[str]:
    """What is powered, and where the energies come from."""
    if chip.powered:
        yield f"{POWER_RULES[chip.powered['rule']]} ({chip.powered['source']})"
    for name, scenario in chip.scenarios.items():
        part = "typical" if name == chip.usual else "as the other end of the range"
        yield f"energies {part}: {name}, {scenario.title}"


def hosts(record: Record) -> Iterator[str]:
    """What the host does for a static input, of which no chip's file has a figure."""
    host = record.network.input.host
    if host is not None:
        yield (
            f"the first layer, on the host: {record.batch * host.multiply_accumulates:,} multiply-accumulates, and "
            f"{record.batch * host.bias_writes:,} biases written to the chip"
        )
