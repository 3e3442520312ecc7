"""``aspen sweep``: accuracy, spikes and energy over the knob."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click
from tqdm import tqdm

from aspen.calibration.early import EarlyStop
from aspen.calibration.storage import CALIBRATION, CalibrationTable, load_table
from aspen.network.readout import FREQUENT
from aspen.storage.outputs import TABLES
from aspen_emulator.cli.common import (
    NetworkFile,
    engine_option,
    float_option,
    json_option,
    network_argument,
    refuse_without,
    warn_unanswered,
)
from aspen_emulator.cli.files import PICTURE_OUTPUT, FileCommand, OutputFile, check_section, saving
from aspen_emulator.cli.samples import (
    KNOBS,
    chips_option,
    early_option,
    listed,
    make_bench,
    max_loss_option,
    read_samples,
    read_settings,
    sample_options,
)
from aspen_emulator.measuring.bench import (
    SCALES,
    Bench,
    Measured,
    calibrate_stop,
    make_tables,
    measure,
    points_to_rows,
    table,
    write_csv,
)
from aspen_hardware.chips.description import Chip


@click.command("sweep", cls=FileCommand)
@network_argument
@sample_options
@click.option("--scales", help=f"Knob settings.  [default: {listed(SCALES)}, or {listed(KNOBS)} with --dial]")
@click.option(
    "--dial", is_flag=True, help="Turn the learned dial of an .aspen file instead, from 0 to 1 or as --scales says."
)
@early_option
@max_loss_option
@engine_option
@chips_option
@float_option
@click.option("--save", is_flag=True, help="Keep the settings worth having in NETWORK, as its calibration table.")
@click.option("--output", type=OutputFile(TABLES), help="Write the points, .csv.")
@click.option("--plot", type=PICTURE_OUTPUT, help="Draw the dial: .png, .pdf or .svg.")
@json_option
def sweep_command(
    network: Path,
    source: Path | None,
    labels_path: Path | None,
    data: str | None,
    data_path: Path | None,
    part: str,
    seeds: int,
    scales: str | None,
    dial: bool,
    early: bool,
    max_loss: float,
    engine: str,
    targets: tuple[Chip, ...],
    floating: bool,
    save: bool,
    output: Path | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Run NETWORK at several knob settings and show accuracy, spikes, synaptic operations and energy of each.

    With --early each setting is also measured with inferences that end early: how early is found on validation data,
    or taken from the calibration table of NETWORK on test data.
    """
    if save and (part == "test" or network.suffix != ".aspen"):
        raise click.UsageError(
            "found --save, allowed with an .aspen file and validation data; test data is for the end"
        )
    if save:
        check_section(network)
    if not early:
        refuse_without("--early", ["max_loss"])
    settings = read_settings(scales, dial)
    trained = NetworkFile(network)
    samples = read_samples(trained, source, labels_path, data, data_path, part, seeds)
    bench = make_bench(trained, samples, targets, settings, floating=floating, dial=dial, engine=engine)
    stop = load_stop(trained, bench) if early and part == "test" and data is not None else None
    measured = run_settings(bench, settings)
    rows = _rows(measured)
    ended = None
    if early:
        if stop is None:
            samples.advise_seeds()
        stop = stop or calibrate_stop(bench, settings, max_loss / 100)
        ended = run_settings(bench, settings, stop)
        rows += _rows(ended, early=True)
    tables = make_tables(bench, measured, samples.name, max_loss=max_loss / 100 if early else None) if save else []
    click.echo(json.dumps(rows) if as_json else _text(bench, measured, ended))
    warn_of_silence([each for each in (measured, ended) if each is not None])
    if tables:
        with saving():
            trained.sections.put(CALIBRATION, tables)
            trained.sections.save()
            for found in tables:
                click.echo(f"saved in {network}: {found.key}, knobs {listed(_knobs(found))}", err=as_json)
    if output is not None:
        with saving():
            write_csv(output, rows)
    if plot is not None:
        from aspen_emulator.measuring.plots import plot_dial

        first = next(iter(measured.points.values()))
        plot_dial({network.stem: [first]}, plot, title=f"{network.name}: the dial")


def run_settings(bench: Bench, settings: Sequence[float], stop: EarlyStop | None = None) -> Measured:
    """Measure, with a progress bar."""
    total = len(settings) * len(bench.encodings)
    with tqdm(total=total, desc="sweep", unit="setting", leave=False, dynamic_ncols=True) as bar:
        return measure(bench, settings, early=stop, progress=lambda _: bar.update(1))


def warn_of_silence(runs: Sequence[Measured]) -> None:
    """Warn, in one line, of the settings at which answers are missing too often."""
    points = [point for measured in runs for point in next(iter(measured.points.values()))]
    silent = [point for point in points if point.unanswered > FREQUENT]
    if silent:
        knobs = listed(sorted({point.knob for point in silent}))
        warn_unanswered(max(point.unanswered for point in silent), where=f"knob at {knobs}: up to ")


def load_stop(trained: NetworkFile, bench: Bench) -> EarlyStop:
    """The early stop in the calibration table of a network."""
    name = None if bench.chips[0] is None else bench.chips[0].name
    stop = load_table(trained.sections, name or "none", "scale" if bench.profile is None else "profile").early
    if stop is None:
        raise click.UsageError(
            f"{trained.path}: found --early on test data, but no early stop in its calibration table; make one with "
            f"`aspen sweep --early --save` on validation data"
        )
    return stop


def _knobs(found: CalibrationTable) -> list[float]:
    return [point.knob for point in found.points]


def _rows(measured: Measured, early: bool = False) -> list[dict[str, object]]:
    rows = []
    for name, points in measured.points.items():
        made = points_to_rows(points, chip=name, early=early)
        rows += [{**row, "steps": steps} for row, steps in zip(made, measured.taken, strict=True)]
    return rows


def _text(bench: Bench, measured: Measured, ended: Measured | None) -> str:
    lines = []
    for name, points in measured.points.items():
        head = [f"{name or 'no chip'}:"] if len(measured.points) > 1 else []
        lines += [*head, table(points)]
        if ended is not None:
            lines += [f"the same with inferences that end early, of {bench.steps} steps:"]
            lines += [table(ended.points[name], ended.taken)]
    return "\n".join(lines)
