"""``aspen sweep``: accuracy, spikes and energy over the knob."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click
from tqdm import tqdm

from aspen._arrays import Array
from aspen.data import DATASETS, load_dataset
from aspen_emulator.cli.common import (
    check_writable,
    chip_option,
    engine_option,
    float_option,
    json_option,
    load_dial,
    network_argument,
    prepare,
)
from aspen_emulator.inputs import load_spikes
from aspen_emulator.sweeps import SCALES, points_to_rows, sweep, table, write_csv
from aspen_hardware.chips import Chip

KNOBS = tuple(k / 10 for k in range(11))


def _listed(settings: Sequence[float]) -> str:
    return ",".join(f"{setting:g}" for setting in settings)


@click.command("sweep")
@network_argument
@click.option("--input", "source", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Spikes, .npy: (time, samples, *shape).")  # fmt: skip
@click.option("--labels", "labels_path", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Classes, .npy: (samples,) integers.")  # fmt: skip
@click.option("--data", type=click.Choice(list(DATASETS)), help="A data set instead of --input and --labels.")
@click.option("--data-path", type=click.Path(exists=True, path_type=Path),
              help="Where the data lie, folder or zip as published; digits need none.")  # fmt: skip
@click.option("--part", type=click.Choice(["validation", "test"]), default="validation", show_default=True,
              help="Part of the data set; choose settings on validation data.")  # fmt: skip
@click.option("--scales", help=f"Knob settings.  [default: {_listed(SCALES)}, or {_listed(KNOBS)} with --dial]")
@click.option(
    "--dial", is_flag=True, help="Turn the learned dial of an .aspen file instead, from 0 to 1 or as --scales says."
)
@engine_option
@chip_option
@float_option
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the points as CSV.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw the dial as PNG.")
@json_option
def sweep_command(
    network: Path,
    source: Path | None,
    labels_path: Path | None,
    data: str | None,
    data_path: Path | None,
    part: str,
    scales: str | None,
    dial: bool,
    engine: str,
    target: Chip | None,
    floating: bool,
    output: Path | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Run NETWORK at several knob settings and show accuracy, spikes, synaptic operations and energy of each."""
    check_writable(output, plot)
    try:
        settings = [float(scale) for scale in (scales or _listed(KNOBS if dial else SCALES)).split(",")]
    except ValueError as error:
        raise click.BadParameter(
            f"found {scales!r}, allowed are numbers such as 0.5,1,2", param_hint="--scales"
        ) from error
    spikes, labels = _samples(source, labels_path, data, data_path, part)
    program, on = prepare(network, target, floating)
    profile = load_dial(network, program, on) if dial else None
    with tqdm(total=len(settings), desc="sweep", unit="setting", leave=False, dynamic_ncols=True) as bar:
        points = sweep(
            program, spikes, labels, settings, on=on, engine=engine, profile=profile, progress=lambda _: bar.update(1)
        )
    if output is not None:
        write_csv(output, points_to_rows(points))
    if plot is not None:
        from aspen_emulator.plots import plot_dial

        plot_dial({network.stem: [points]}, plot, title=f"{network.name}: the dial")
    click.echo(json.dumps([asdict(point) for point in points]) if as_json else table(points))


def _samples(
    source: Path | None, labels: Path | None, data: str | None, path: Path | None, part: str
) -> tuple[Array, Array]:
    if data is not None:
        if source is not None or labels is not None:
            raise click.UsageError("found --data beside --input or --labels, allowed is one way to give the samples")
        dataset = load_dataset(data, path)
        return dataset.spikes(part), dataset.part(part).labels
    if source is None or labels is None:
        raise click.UsageError("found no samples, allowed is --input with --labels, or --data digits")
    return load_spikes(source), load_spikes(labels)
