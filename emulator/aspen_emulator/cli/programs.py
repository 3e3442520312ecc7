"""``aspen compile --to c``: what of a file goes into the program, and what does not, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aspen.calibration.early import EarlyStop
from aspen.calibration.storage import list_tables
from aspen_emulator.cli.common import NetworkFile
from aspen_hardware.c.export import to_c
from aspen_hardware.c.program import Program
from aspen_hardware.compiling.deployment import Deployment


@dataclass(frozen=True)
class Written:
    """A program that was written.

    Args:
        program: itself.
        without_early: why it has no early end; empty where it has one.
    """

    program: Program
    without_early: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        program = self.program
        return {
            "ram_bytes": program.ram,
            "flash_bytes": program.flash,
            "knob": self._knob,
            "early_end": program.early is not None,
        }

    @property
    def _knob(self) -> str:
        return f"{self.program.prefix}_set_{'threshold_scale' if self.program.profile is None else 'knob'}"

    def __str__(self) -> str:
        program = self.program
        return "\n".join(
            [*self._told(), f"{program.ram} bytes of RAM, {program.flash} bytes of flash for tables, and the code"]
        )

    def _told(self) -> Iterator[str]:
        program, profile = self.program, self.program.profile
        what = (
            "no learned dial in the file" if profile is None else f"learned dial, {profile.low:g} to {profile.high:g}"
        )
        yield f"  knob       {self._knob}: {what}"
        early = f"{program.prefix}_done: as calibrated, in {program.early.steps} steps" if program.early else ""
        yield f"  early end  {early or f'none: {self.without_early}'}"


def write_program(deployment: Deployment, source: NetworkFile, folder: Path, prefix: str) -> Written:
    """Write a deployment as a C program, with all that lies beside the network in its file.

    Args:
        deployment: of the network in ``source``.
        source: its file.
        folder: where to.
        prefix: of the names in it.
    """
    early, reason = _early(source, deployment.chip)
    return Written(to_c(deployment, folder, prefix, profile=source.dial, early=early), reason)


def _early(source: NetworkFile, chip: str) -> tuple[EarlyStop | None, str]:
    """When inferences may end early, as calibrated on this chip with the dial that is written; else why not."""
    tables = list_tables(source.sections) if source.has_sections else []
    dial = "scale" if source.dial is None else "profile"
    key = f"{dial}@{chip}"
    for table in tables:
        if table.key == key and table.early is not None:
            return table.early, ""
    remedy = f"aspen calibrate {source.path} --chip {chip}{' --dial' if dial == 'profile' else ''} --early"
    other = [table.key for table in tables if table.early is not None]
    if other:
        return None, f"the file has one for {', '.join(other)}, a program for {chip} takes {key}; {remedy}"
    return None, f"none was calibrated; {remedy}"
