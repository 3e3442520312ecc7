"""An energy report for people to read: first what a battery sees, then its parts, then what it rests on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from aspen.units import format_duration, format_energy
from aspen_hardware.chips.ranges import ByScenario, Range
from aspen_hardware.energy.costs import WORDS

if TYPE_CHECKING:
    from aspen_hardware.energy.report import EnergyReport, Entry

_HOW_LONG = {
    "measured": "as measured on the chip",
    "step": "in real time",
    "work": "as fast as the work allows",
}


def text(report: EnergyReport) -> str:
    """The whole report; energies per inference first, then of the whole run with counts."""
    parts, first, each = report.per_inference, report.input_energy, 1 / report.samples
    events = {f"{e.where}: {WORDS[e.event]}": e for e in report.entries if e.count or any(e.counts.values())}
    wide = max([44, *map(len, events)])
    columns = f"{'typical':>12}{'low':>12}{'high':>12}"
    lines = [headline(report), f"{'per inference':<{wide + 2}}{columns}"]
    lines += [row(name, getattr(parts, name), wide) for name in ("total", "static", "dynamic")]
    lines += [row("of dynamic: the input's synapses", first.times(each), wide)] if first else []
    if report.share is not None:
        name = "in no total: the used cores' share of static"
        lines.append(row(name, report.share.times(each), wide))
    lines += [f"{'whole run':<{wide + 2}}{columns}{'count':>16}"]
    for name, event in events.items():
        lines.append(_entry_row(name, event, wide) + f"{event.count:>16,}")
        lines += [f"    {other}: {n:,}" for other, n in event.counts.items() if n != event.count]
    lines += [f"{report.operations_per_synapse:.3g} synaptic operations per synapse and inference"]
    lines += [f"assumed: {line}" for line in report.assumed]
    lines += [f"elsewhere: {line}" for line in report.elsewhere]
    lines += [f"no figure for {line}" for line in report.missing]
    return "\n".join([*lines, *(f"not covered: {line}" for line in report.not_covered)])


def headline(report: EnergyReport) -> str:
    """What a battery sees of one inference, on how much of the chip, in which time."""
    parts, lasting = report.per_inference, _lasting(report)
    if parts.total is not None:
        seen = f"{_spread(parts.total)} per inference{_without(report)}"
    elif parts.static is not None:
        seen = f"more than {_spread(parts.static)} per inference, as the energy of operations is not known"
    elif parts.dynamic is not None:
        seen = f"more than {_spread(parts.dynamic)} per inference, as its static energy is not known"
    else:
        seen = "energy not known"
    return f"{report.chip}: {seen}; {lasting}, {report.in_use}; {_mean(report.samples)}"


def _mean(samples: int) -> str:
    return f"mean of {samples} inferences" if samples > 1 else "one inference"


def _without(report: EnergyReport) -> str:
    """A remark where some events of the run have no energy in some scenario: a sum is then less than what is spent."""
    return ", without what has no figure" if any(e.count and e.unpriced for e in report.entries) else ""


def _lasting(report: EnergyReport) -> str:
    if report.seconds is None:
        return f"{report.steps} steps of unknown length"
    step = report.seconds.typical / report.steps / report.samples
    return f"{report.steps} steps of {format_duration(step)} {_HOW_LONG[report.timing]}"


def _spread(energy: Range | ByScenario) -> str:
    typical, low, high = (format_energy(value) for value in (energy.typical, energy.low, energy.high))
    return typical if low == high else f"{typical} ({low} to {high})"


def _entry_row(name: str, entry: Entry, wide: int) -> str:
    """A row in which no figure is a word, not a zero: "elsewhere" where the energy is in another line."""
    if entry.joules is None:
        word = "elsewhere" if entry.elsewhere and not entry.unpriced else "unknown"
        return _cells(name, (word, "", ""), wide)
    absent = {**dict.fromkeys(entry.elsewhere, "elsewhere"), **dict.fromkeys(entry.unpriced, "unknown")}
    typical, low, high = (format_energy(x) for x in (entry.joules.typical, entry.joules.low, entry.joules.high))
    typical, low = absent.get(entry.joules.usual, typical), next(reversed(absent.values()), low)
    return _cells(name, (typical, low, high), wide)


def row(name: str, energy: Range | ByScenario | None, wide: int = 40) -> str:
    """One line of a table: typical, low, high."""
    if energy is None:
        return _cells(name, ("unknown", "", ""), wide)
    return _cells(name, [format_energy(value) for value in (energy.typical, energy.low, energy.high)], wide)


def _cells(name: str, cells: Iterable[str], wide: int) -> str:
    return f"  {name:<{wide}}" + "".join(f"{cell:>12}" for cell in cells)
