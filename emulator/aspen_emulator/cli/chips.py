"""``aspen chips``: which chips there are, and every figure of one, with its source."""

from __future__ import annotations

import json
from typing import Any

import click

from aspen._base.tables import Table
from aspen_emulator.cli.common import ChipParameter, json_option
from aspen_emulator.cli.helping import Command
from aspen_emulator.cli.shown import show
from aspen_hardware.chips.description import Chip, chip, chip_names
from aspen_hardware.chips.text import describe


@click.command("chips", cls=Command)
@click.argument("named", metavar="[NAME|FILE.toml]", required=False, type=ChipParameter())
@json_option
def chips_command(named: Chip | None, as_json: bool) -> None:
    """List the known chips, or show one: limits, number formats and energies with unit, source and trust mark."""
    if named is None:
        known = {name: chip(name).title for name in chip_names()}
        told = Table(("chip", "what it is"), tuple(known.items()), left=(0, 1))
        parts: list[str | Table] = [told, "", "Show one: aspen chips NAME. Your own: aspen chips FILE.toml"]
        plain: dict[str, Any] = known
    else:
        parts, plain = [describe(named)], named.to_dict()
    if as_json:
        click.echo(json.dumps(plain))
    else:
        show(*parts)
