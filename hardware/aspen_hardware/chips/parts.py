"""Parts: microcontrollers, of which a chip file describes several with the same core."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aspen_hardware.chips.description import Chip, chip
from aspen_hardware.chips.programs import CYCLE
from aspen_hardware.chips.ranges import NOTHING, Range


@dataclass(frozen=True)
class Part:
    """A microcontroller.

    Args:
        cycle: joules of a clock cycle while the core runs.
        sleep: watts asleep, its memory kept; none of it where it has sections.
        section: bytes of RAM that are kept or switched off together; None where all RAM is kept.
        kept: watts that each section takes more that is kept.
        clock: in Hz, at which the energy of a cycle holds.
        wake_up: seconds; None where the file has no figure.
        ram, flash: in bytes; None where the file has no figure.
    """

    cycle: Range
    sleep: Range
    section: int | None
    kept: Range
    clock: float
    wake_up: Range | None
    ram: int | None
    flash: int | None

    def asleep(self, ram: int | None = None) -> Range:
        """Watts asleep.

        Args:
            ram: bytes that stay powered; None: all.
        """
        return self.sleep + self.kept.times(self.sections(ram))

    def sections(self, ram: int | None = None) -> int:
        """How many sections so many bytes take; 0 where RAM has none."""
        if self.section is None or self.ram is None:
            return 0
        return -(-(self.ram if ram is None else min(ram, self.ram)) // self.section)


def parts_of(chip: Chip) -> dict[str, Part]:
    """Scenario -> part; empty for a chip that runs no program."""
    return {name: _part(chip, name) for name in chip.scenarios} if runs_programs(chip) else {}


def runs_programs(chip: Chip) -> bool:
    """Whether the chip is a microcontroller that runs the C program, and its file says in how many cycles."""
    return bool(chip.section("program"))


def described(given: Chip | str | Sequence[Chip | str]) -> list[Chip]:
    """The chips of a chip or its name, or of several.

    Raises:
        ChipError: there is no such chip.
    """
    several = given if isinstance(given, Sequence) and not isinstance(given, str) else (given,)
    return [one if isinstance(one, Chip) else chip(one) for one in several]


def all_run_programs(given: Chip | str | Sequence[Chip | str]) -> bool:
    """Whether a chip or its name, or all of several, are such.

    Raises:
        ChipError: there is no such chip.
    """
    return all(map(runs_programs, described(given)))


def _part(chip: Chip, name: str) -> Part:
    figures, cycle = chip.section(f"scenarios.{name}.part"), chip.figures[f"scenarios.{name}.energies.{CYCLE}"]
    sizes = {key: int(figures[key].value) if key in figures else None for key in ("section", "ram", "flash")}
    return Part(
        cycle=cycle.si,
        sleep=figures["sleep"].si,
        kept=figures["kept"].si if "kept" in figures else NOTHING,
        clock=figures["clock"].value * 1e6,
        wake_up=figures["wake_up"].si if "wake_up" in figures else None,
        **sizes,
    )
