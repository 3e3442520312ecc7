"""An energy report for people to read: first what a battery sees, then its parts, then what it rests on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from aspen._base.tables import Table
from aspen.units import format_duration, format_energy, format_power
from aspen_hardware.chips.ranges import ByScenario, Range
from aspen_hardware.energy.costs import WORDS

if TYPE_CHECKING:
    from aspen_hardware.energy.report import EnergyReport, Entry

HEAD = ("", "typical", "low", "high")
"""Of a table of energies."""
COIN_CELL = "225mAh@3V"
"""What a CR2032 holds, about."""
YEAR = 365.25 * 86400.0
_HOW_LONG = {
    "measured": "as measured on the chip",
    "step": "in real time",
    "work": "as fast as the work allows",
}


def shown(report: EnergyReport) -> Iterator[str | Table]:
    """The whole report; energies per inference first, then of the whole run with counts."""
    yield headline(report)
    yield Table((*HEAD, "count"), [*_per_inference(report), *_whole_run(report)])
    yield from _battery(report)
    yield f"{report.operations_per_synapse:.3g} synaptic operations per synapse and inference"
    yield from (f"assumed: {line}" for line in report.assumed)
    yield from (f"elsewhere: {line}" for line in report.elsewhere)
    yield from (f"no figure for {line}" for line in report.missing)
    yield from (f"not covered: {line}" for line in report.not_covered)


def _battery(report: EnergyReport) -> Iterator[str]:
    """How long a battery lasts with a microcontroller on it."""
    lasts, power = report.lasts(COIN_CELL), report.power
    if report.cycles is not None and lasts is not None and power is not None:
        typical, low, high = (format_power(value) for value in (power.typical, power.low, power.high))
        years = tuple(seconds / YEAR for seconds in (lasts.typical, lasts.low, lasts.high))
        yield (
            f"{typical} on average ({low} to {high}): a coin cell (CR2032, {COIN_CELL}) would last "
            f"{years[0]:.2g} years ({years[1]:.2g} to {years[2]:.2g}), were there nothing else on it"
        )


def _per_inference(report: EnergyReport) -> Iterator[tuple[str, ...]]:
    parts, first, each = report.per_inference, report.input_energy, 1 / report.samples
    yield ("per inference",)
    yield from (row(name, getattr(parts, name)) for name in ("total", "static", "dynamic"))
    if first:
        yield row("of dynamic: the input's synapses", first.times(each))
    if report.share is not None:
        yield row("in no total: the used cores' share of static", report.share.times(each))


def _whole_run(report: EnergyReport) -> Iterator[tuple[str, ...]]:
    yield ("whole run",)
    for entry in report.entries:
        if entry.count or any(entry.counts.values()):
            yield (*_entry_row(f"{entry.where}: {WORDS[entry.event]}", entry), f"{entry.count:,}")
            others = {name: n for name, n in entry.counts.items() if n != entry.count}
            yield from ((f"  counted by {name}", "", "", "", f"{n:,}") for name, n in others.items())


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


def _entry_row(name: str, entry: Entry) -> tuple[str, ...]:
    """A row in which no figure is a word, not a zero: "elsewhere" where the energy is in another line."""
    if entry.joules is None:
        return name, "elsewhere" if entry.elsewhere and not entry.unpriced else "unknown", "", ""
    absent = {**dict.fromkeys(entry.elsewhere, "elsewhere"), **dict.fromkeys(entry.unpriced, "unknown")}
    typical, low, high = (format_energy(x) for x in (entry.joules.typical, entry.joules.low, entry.joules.high))
    typical, low = absent.get(entry.joules.usual, typical), next(reversed(absent.values()), low)
    return name, typical, low, high


def row(name: str, energy: Range | ByScenario | None) -> tuple[str, ...]:
    """One row of a table under :data:`HEAD`."""
    if energy is None:
        return name, "unknown", "", ""
    return name, *(format_energy(value) for value in (energy.typical, energy.low, energy.high))
