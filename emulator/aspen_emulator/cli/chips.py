"""``aspen chips``: which chips there are, and every figure of one, with its source."""

from __future__ import annotations

import json

import click

from aspen_emulator.cli.common import ChipParameter, json_option
from aspen_hardware.chips.description import Chip, chip, chip_names
from aspen_hardware.chips.text import describe


@click.command("chips")
@click.argument("named", metavar="[NAME|FILE.toml]", required=False, type=ChipParameter())
@json_option
def chips_command(named: Chip | None, as_json: bool) -> None:
    """List the known chips, or show one: limits, number formats and energies with unit, source and trust mark."""
    if named is None:
        known = {name: chip(name).title for name in chip_names()}
        text = "\n".join(f"{name:<14}{title}" for name, title in known.items())
        click.echo(
            json.dumps(known) if as_json else f"{text}\n\nShow one: aspen chips NAME. Your own: aspen chips FILE.toml"
        )
        return
    click.echo(json.dumps(named.to_dict()) if as_json else describe(named))
