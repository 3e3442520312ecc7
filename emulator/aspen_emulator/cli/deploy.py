"""``aspen compile`` and ``aspen check``: a network's integers on a chip, and whether it fits at all."""

from __future__ import annotations

import json
from pathlib import Path

import click

from aspen.network import Network
from aspen_emulator.cli.common import (
    DEFAULT_CHIP,
    ChipParameter,
    json_option,
    network_argument,
    read_network,
)
from aspen_emulator.engines import run
from aspen_emulator.inputs import load_spikes
from aspen_hardware.chips import Chip
from aspen_hardware.compiler import MAX_THRESHOLD_SCALE, compile
from aspen_hardware.deployment import Deployment, store_deployment
from aspen_hardware.placement import place
from aspen_hardware.rules import check

on_chip = click.option("--chip", "target", type=ChipParameter(), default=DEFAULT_CHIP, show_default=True,
                       help="Chip name or file.")  # fmt: skip


@click.command("compile")
@network_argument
@on_chip
@click.option("--max-threshold-scale", type=click.FloatRange(min=1), default=MAX_THRESHOLD_SCALE, show_default=True,
              help="Largest knob setting that must fit the chip's threshold registers.")  # fmt: skip
@click.option("--input", "source", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Sample spikes, .npy: also report how many spikes survive the rounding.")  # fmt: skip
@json_option
def compile_command(
    network: Path, target: Chip, max_threshold_scale: float, source: Path | None, as_json: bool
) -> None:
    """Compile NETWORK to a chip's integers and store them in the same file, beside the trained network."""
    trained = read_network(network)
    deployment = compile(trained, target, max_threshold_scale=max_threshold_scale)
    placement = place(deployment.network, target)
    survival = {} if source is None else spike_survival(trained, deployment, source)
    store_deployment(deployment, network)
    if as_json:
        click.echo(json.dumps({**deployment.to_dict(), "placement": placement.to_dict(), "agreement": survival}))
        return
    click.echo(f"{deployment}\n\n{placement}")
    for name, (kept, trained_spikes, chip_spikes) in survival.items():
        click.echo(
            f"{name}: {trained_spikes} spikes in floating point, {chip_spikes} on the chip, {kept} in the same place"
        )
    click.echo(f"Stored in {network}")


def spike_survival(trained: Network, deployment: Deployment, source: Path) -> dict[str, tuple[int, int, int]]:
    """Population -> spikes in the same place before and after rounding, all before, all after, on sample input."""
    spikes = load_spikes(source)
    before, after = (run(target, spikes, record="spikes").rasters for target in (trained, deployment))
    return {
        name: (int((before[name] & after[name]).sum()), int(before[name].sum()), int(after[name].sum()))
        for name in trained.order
    }


@click.command("check")
@network_argument
@on_chip
@json_option
def check_command(network: Path, target: Chip, as_json: bool) -> None:
    """Check NETWORK against every design rule of a chip, without compiling it. Exit code 1 if it does not fit."""
    trained = read_network(network)
    findings = check(trained, target)
    errors = sum(finding.level == "error" for finding in findings)
    if as_json:
        click.echo(json.dumps([{"level": f.level, "where": f.where, "message": f.message} for f in findings]))
    else:
        for finding in findings:
            click.echo(f"{finding.level}: {finding.message}")
        click.echo(f"{network} on {target.name}: {'does not fit' if errors else 'fits'}")
        if not errors:
            click.echo(str(place(trained, target)))
    if errors:
        raise click.exceptions.Exit(1)
