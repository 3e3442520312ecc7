"""Parts: microcontrollers, of which a chip file describes several with the same core."""

from __future__ import annotations

from dataclasses import dataclass

from aspen_hardware.chips.description import Chip
from aspen_hardware.chips.programs import CYCLE
from aspen_hardware.chips.ranges import Range


@dataclass(frozen=True)
class Part:
    """A microcontroller.

    Args:
        cycle: joules of a clock cycle while the core runs.
        sleep: watts asleep, its memory kept.
        clock: in Hz, at which the energy of a cycle holds.
        wake_up: seconds; None where the file has no figure.
        ram, flash: in bytes; None where the file has no figure.
    """

    cycle: Range
    sleep: Range
    clock: float
    wake_up: Range | None
    ram: int | None
    flash: int | None


def parts_of(chip: Chip) -> dict[str, Part]:
    """Scenario -> part; empty for a chip that runs no program."""
    return {name: _part(chip, name) for name in chip.scenarios} if runs_programs(chip) else {}


def runs_programs(chip: Chip) -> bool:
    """Whether the chip is a microcontroller that runs the C program, and its file says in how many cycles."""
    return bool(chip.section("program"))


def _part(chip: Chip, name: str) -> Part:
    figures, cycle = chip.section(f"scenarios.{name}.part"), chip.figures[f"scenarios.{name}.energies.{CYCLE}"]
    ram, flash = (int(figures[key].value) if key in figures else None for key in ("ram", "flash"))
    wake_up = figures["wake_up"].si if "wake_up" in figures else None
    return Part(cycle.si, figures["sleep"].si, figures["clock"].value * 1e6, wake_up, ram, flash)
