"""A chip as people read it: every figure with its unit, its source and how far to trust it."""

from __future__ import annotations

from collections.abc import Iterator

from aspen_hardware.chips.description import Chip, Figure
from aspen_hardware.chips.figures import TRUST
from aspen_hardware.chips.gating import GATING
from aspen_hardware.chips.schema import ACTIVE, POWER_RULES


def describe(chip: Chip) -> str:
    """A table of all figures with unit, trust mark and source, for people to read."""
    lines = [f"{chip.name}: {chip.title}", f"{'':<36}{'value':>12}{'low':>10}{'high':>12}  {'unit':<16}trust  source"]
    section = ""
    for key, figure in chip.figures.items():
        head, _, name = key.rpartition(".")
        lines += ["", *_heading(chip, head)] if head != section else []
        section = head
        lines += _figure_lines(name, figure)
    resets = chip.resets
    lines += ["", "reset modes", f"  {', '.join(resets['value'])}  {resets['trust']}  {resets['source']}"]
    lines += ["", *_gating(chip)] if chip.gating else []
    lines += ["", f"for energies only: {chip.energy_only}"] if chip.energy_only else []
    lists = {
        "in another figure": chip.contained,
        "no figure": chip.missing,
        "sources": chip.sources,
        "trust marks": TRUST,
    }
    for head, entries in lists.items():
        lines += ["", head, *(f"  {key}: {text}" for key, text in entries.items())] if entries else []
    lines += (
        ["", "not covered by the energies", *(f"  {text}" for text in chip.not_covered)] if chip.not_covered else []
    )
    return "\n".join(lines)


def _gating(chip: Chip) -> list[str]:
    """What a knob can switch off."""
    given = chip.gating
    lines = [f"gating: {chip.gates}: {GATING[chip.gates]}  {given['trust']}  {given['source']}"]
    return [*lines, f"{'':<10}{given['note']}"] if "note" in given else lines


def _heading(chip: Chip, head: str) -> list[str]:
    """The title of a section, and what its figures need to be understood."""
    if head == "power":
        rule = chip.powered["rule"]
        lines = [f"power: {rule}: {POWER_RULES[rule]}  {chip.powered['trust']}  {chip.powered['source']}"]
        return [*lines, f"{'':<10}{chip.powered['note']}"] if "note" in chip.powered else lines
    name, _, part = head.removeprefix("scenarios.").rpartition(".")
    if name not in chip.scenarios:
        return [head]
    scenario = chip.scenarios[name]
    typical = " (typical)" if name == chip.usual else ""
    told = [f"scenario {name}{typical}: {scenario.title}", f"{'':<10}active: {ACTIVE[scenario.active]}"]
    return [*told, part] if part == "energies" else [f"{name}: {part}"]


def _figure_lines(name: str, figure: Figure) -> Iterator[str]:
    low, high = (f"{bound:,.8g}" if bound != figure.value else "" for bound in (figure.low, figure.high))
    values = f"{f'{figure.value:,.8g}':>12}{low:>10}{high:>12}"
    yield f"  {name:<34}{values}  {figure.unit:<16}{figure.trust:<7}{figure.source}"
    for bound, shown in (("low", low), ("high", high)):
        if shown:
            yield f"{'':<10}{bound}: {getattr(figure, f'{bound}_trust')}, {getattr(figure, f'{bound}_source')}"
    if figure.note:
        yield f"{'':<10}{figure.note}"
