"""``aspen compile --to c``: what of a file goes into the program, and what does not, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from aspen.calibration.storage import CalibrationTable, list_tables
from aspen.calibration.table import FRONT
from aspen.control import FixedBudget, ended_early
from aspen.data.encoders import StoredEncoder
from aspen.units import format_energy
from aspen_emulator.cli.common import NetworkFile, as_given, refuse_without, warn
from aspen_emulator.cli.groups import group_of
from aspen_emulator.cli.numbers import Several
from aspen_emulator.streaming.goals import Goal
from aspen_emulator.streaming.meter import Meter
from aspen_hardware.c.dial import SETTINGS, UNIT
from aspen_hardware.c.export import to_c
from aspen_hardware.c.memory import check_memory
from aspen_hardware.c.program import Program
from aspen_hardware.c.sensing.fixing import SENSOR_KINDS
from aspen_hardware.c.sensing.sensor import Sensor
from aspen_hardware.chips.description import Chip
from aspen_hardware.chips.parts import runs_programs
from aspen_hardware.compiling.deployment import Deployment


@dataclass(frozen=True)
class Asked:
    """What the options say of a program.

    Args:
        prefix: of the names in it.
        sensor_scale, sensor_offset: value of one raw unit of the sensor, and at 0.
        budget: energy that may be spent, as people write it.
    """

    prefix: str
    sensor_scale: float | tuple[float, ...] | None
    sensor_offset: float | tuple[float, ...]
    budget: str | None

    @property
    def sensor(self) -> Sensor | None:
        """What the sensor's raw integers stand for, if it was said."""
        if self.sensor_scale is None:
            refuse_without("--sensor-scale", ["sensor_offset"])
            return None
        return Sensor(self.sensor_scale, self.sensor_offset)


program_options = group_of(
    Asked,
    "asked",
    click.option("--prefix", default="network", show_default=True, help="Of the names in a C program."),
    click.option("--sensor-scale", type=Several(),
                 help="With --to c: value of one raw unit of the sensor, so that the encoder in NETWORK comes along; "
                      "with commas one for each channel."),
    click.option("--sensor-offset", type=Several(), default=0.0, help="Value at the raw integer 0.  [default: 0]"),
    click.option("--budget", metavar="ENERGY/window|ENERGY/h",
                 help="With --to c: a controller that holds it on the board comes along, static power included; needs "
                      "a calibration for the chip."),
)  # fmt: skip


@dataclass(frozen=True)
class Written:
    """A program that was written.

    Args:
        program: itself.
        encoder: what is beside it; None where no encoder is.
        without: what it is without -> why.
        chosen: the knob that was chosen in the calibration for this chip and dial, if any.
        held: the budget's controller beside it, if any.
    """

    program: Program
    encoder: StoredEncoder | None
    without: dict[str, str]
    chosen: float | None = None
    held: FixedBudget | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        program = self.program
        return {
            "ram_bytes": program.ram,
            "flash_bytes": program.flash,
            "knob": self._knob,
            "early_end": program.early is not None,
            "encoder": None if self.encoder is None else self.encoder.kind,
            "chosen_setting": None if self.chosen is None else self._setting(self.chosen),
            "budget_unit": None if self.held is None else self.held.numbers.unit,
        }

    def _setting(self, knob: float) -> int:
        """The setting nearest to a knob."""
        profile = self.program.turned
        if profile is None:
            return round(knob * UNIT)
        return round((knob - profile.low) / (profile.high - profile.low) * (SETTINGS - 1))

    @property
    def _knob(self) -> str:
        return f"{self.program.prefix}_set_{'threshold_scale' if self.program.profile is None else 'knob'}"

    def __str__(self) -> str:
        lines = [f"  {name:<11}{text}" for name, text in self._told()]
        size = f"{self.program.ram} bytes of RAM, {self.program.flash} bytes of flash for tables, and the code"
        return "\n".join([*lines, f"{size}{'; those of the encoder are in README.md' if self.encoder else ''}"])

    def _told(self) -> Iterator[tuple[str, str]]:
        program, profile = self.program, self.program.profile
        what = "no learned dial in the file"
        if program.path is not None:
            what = f"as calibrated, from 0 (most accurate) to 65535 (cheapest), {len(program.path.knobs)} stops"
        elif profile is not None:
            what = f"learned dial, 0 to 65535 for {profile.low:g} to {profile.high:g}"
        yield "knob", f"{self._knob}: {what}"
        if program.path is not None and program.skips:
            yield "time steps", f"{program.prefix}_skips: at the cheap end one in {program.path.every[-1]} runs"
        if self.chosen is not None:
            yield "chosen", f"{self._knob}({self._setting(self.chosen)}), the knob {self.chosen:g} of the calibration"
        if program.early is not None:
            yield "early end", f"{program.prefix}_done: as calibrated, in {program.early.steps} steps"
        if self.encoder is not None:
            yield "encoder", f"{program.prefix}_sample: {self.encoder.kind}, of the sensor's raw integers"
        if self.held is not None:
            hourly, unit = (format_energy(self.held.numbers.unit * n) for n in (self.held.numbers.hourly, 1))
            yield "budget", f"{program.prefix}_budget_update: {hourly} an hour beside static power, in units of {unit}"
        for name, reason in self.without.items():
            yield name, f"none: {reason}"


def write_program(
    deployment: Deployment, target: Chip, source: NetworkFile, folder: Path, asked: Asked
) -> Written:  # fmt: skip
    """Write a deployment as a C program, with all that lies beside the network in its file.

    Args:
        deployment: of the network in ``source``.
        target: its chip.
        source: its file.
        folder: where to.
        asked: what the options say.
    """
    sensor, encoder = asked.sensor, source.encoder
    tables = list_tables(source.sections) if source.has_sections else []
    key = f"{'scale' if source.dial is None else 'profile'}@{deployment.chip}"
    keys = f"{FRONT}@{deployment.chip}", key
    table = next((table for key in keys for table in tables if table.key == key), None)
    early = None if table is None else table.early
    dial = None if table is not None and table.turns == "scale" else source.dial
    without = {} if early else {"early end": _no_early(source, key, tables)}
    if encoder is None and sensor is not None:
        raise click.UsageError(
            f"{source.path}: found --sensor-scale and no encoder, allowed is it for a file with one; leave it out"
        )
    if sensor is None:
        without["encoder"] = "there is none in the file" if encoder is None else _no_sensor(encoder)
        encoder = None
    held, prices = None, None
    if asked.budget is not None:
        if table is None or (table.step_time is None and target.step_time is None):
            kind = "threshold scale" if source.dial is None else "dial"
            found = (
                f"no calibration of its {kind} for" if table is None else "no length of a window in its calibration for"
            )
            window = " --window-time 1s" if target.step_time is None else ""
            raise click.UsageError(
                f"{source.path}: found --budget and {found} {target.name}, allowed is it with one; "
                f"{_calibrating(source, key)}{window}"
            )
        prices = Meter.of(deployment, target, table.steps, table.step_time, profile=dial)
        known = table if early is None else ended_early(table)
        turned = table.along(deployment.network, dial) if table.is_front else dial
        held = FixedBudget(Goal(budget=asked.budget).held(known, prices), profile=turned)
    program = to_c(
        deployment, folder, asked.prefix, profile=dial, calibration=table, encoder=encoder, sensor=sensor,
        budget=held, prices=prices,
    )  # fmt: skip
    return Written(program, encoder, without, None if table is None else table.chosen, held)


def _no_sensor(encoder: StoredEncoder) -> str:
    if encoder.kind not in SENSOR_KINDS:
        return f"that in the file is {encoder.kind}, which C does not have; give the step function what it makes"
    return (
        f"that in the file is {encoder.kind}; with --sensor-scale, the value of one raw unit of the sensor, it comes "
        f"along"
    )


def check_parts(deployment: Deployment, source: NetworkFile, target: Chip) -> None:
    """Refuse what no part in the file of a microcontroller has the memory for, and warn of parts that are too small."""
    if runs_programs(target):
        note = check_memory(Program(deployment.network, source.dial), target)
        if note:
            warn(note)


def _calibrating(source: NetworkFile, key: str) -> str:
    """The command that makes the table of this key."""
    chip, dial = key.partition("@")[2], " --dial" if key.startswith("profile") else ""
    return f"aspen calibrate {source.path} --chip {as_given(chip)}{dial}"


def _no_early(source: NetworkFile, key: str, tables: Sequence[CalibrationTable]) -> str:
    """Why a program for the dial and chip in ``key`` has no early end."""
    chip, remedy = key.partition("@")[2], f"{_calibrating(source, key)} --early"
    other = [table.key for table in tables if table.early is not None]
    if other:
        return f"the file has one for {', '.join(other)}, a program for {chip} takes {key}; {remedy}"
    return f"none was calibrated; {remedy}"
