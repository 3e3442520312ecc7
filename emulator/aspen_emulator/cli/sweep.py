"""``aspen sweep``: accuracy, spikes and energy over the knob."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import numpy as np

from aspen._base.progress import bar
from aspen._base.tables import Table
from aspen.calibration.early import EarlyStop
from aspen.calibration.sheet import table
from aspen.calibration.storage import CALIBRATION, CalibrationTable, load_table
from aspen.network.readout import FREQUENT
from aspen.storage.outputs import TABLES
from aspen_emulator.cli.common import (
    DEFAULT_CHIP,
    ChipParameter,
    NetworkFile,
    json_option,
    network_argument,
    warn_unanswered,
)
from aspen_emulator.cli.files import PICTURE_OUTPUT, OutputFile, check_section, saving
from aspen_emulator.cli.knobs import KnobCommand
from aspen_emulator.cli.samples import Labelled, Measuring, listed, measuring_options
from aspen_emulator.cli.shown import show
from aspen_emulator.engines.run import network_of
from aspen_emulator.measuring.bench import Bench, Measured, measure
from aspen_emulator.measuring.sheets import points_to_rows, write_csv
from aspen_emulator.measuring.tables import calibrate_stop, check_samples, make_tables
from aspen_hardware.chips.description import Chip
from aspen_hardware.energy.gating import price_of_off


@click.command("sweep", cls=KnobCommand)
@network_argument
@measuring_options
@click.option("--chip", "chips", type=ChipParameter(), multiple=True,
              help=f"Chip name or file; several: compiled for the first, priced on all.  [default: {DEFAULT_CHIP}]"
              )  # fmt: skip
@click.option("--scheduler", metavar="ADDRESS", help="Run on the workers of this Dask scheduler, a knob at a time.")
@click.option("--save", is_flag=True, help="Keep the knobs worth having in NETWORK, as its calibration table.")
@click.option("--output", type=OutputFile(TABLES), help="Write the points, .csv.")
@click.option("--plot", type=PICTURE_OUTPUT, help="Draw accuracy, spikes and energy over the knob: .png, .pdf or .svg.")
@json_option
def sweep_command(
    network: Path,
    measuring: Measuring,
    chips: tuple[Chip, ...],
    scheduler: str | None,
    save: bool,
    output: Path | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Run NETWORK at several knobs and show accuracy, spikes, synaptic operations and energy of each.

    With --early each knob is also measured with inferences that end early: how early is found on validation data,
    or taken from the calibration table of NETWORK on test data.

    A knob that was calibrated over all levers (`aspen calibrate`) is swept where neither --dial nor --early is given.
    """
    if save and (measuring.part == "test" or network.suffix != ".aspen"):
        raise click.UsageError(
            "found --save, allowed with an .aspen file and validation data; test data is for the end"
        )
    if save:
        check_section(network)
    trained, early = NetworkFile(network), measuring.early
    front = None if save else measuring.front(trained, chips)
    measuring = measuring if front is not None else measuring.turning(trained)
    knobs = measuring.knob_list(front is not None)
    samples = measuring.samples(trained)
    bench = measuring.bench(trained, samples, chips, knobs, front)
    stop = stored_stop(measuring, trained, bench) if early else None
    measured = measure_at(bench, knobs, None if front is None else front.early, scheduler)
    rows = _rows(bench, measured, early=front is not None and front.early is not None)
    ended = None
    if early:
        stop = stop or new_stop(measuring, bench, samples, knobs)
        ended = measure_at(bench, knobs, stop, scheduler)
        rows += _rows(bench, ended, early=True)
    tables = make_tables(bench, measured, samples.name, max_loss=measuring.loss) if save else []
    if as_json:
        click.echo(json.dumps(rows))
    else:
        show(*_parts(bench, measured, ended))
    warn_of_silence([each for each in (measured, ended) if each is not None])
    if tables:
        with saving():
            trained.sections.put(CALIBRATION, tables)
            trained.sections.save()
            for found in tables:
                show(f"saved in {network}: {found.key}, knobs {listed(_knobs(found))}", err=as_json)
    if output is not None:
        with saving():
            write_csv(output, rows)
    if plot is not None:
        from aspen_emulator.measuring.plots import plot_dial

        first = next(iter(measured.points.values()))
        turned = "calibrated knob" if front else "learned dial" if measuring.dial else "threshold scale"
        sweeps = {network.stem: [first]}
        if ended is not None:
            sweeps[f"{network.stem}, ended early"] = [next(iter(ended.points.values()))]
        title = f"{network.name}: {turned}, {samples.name}"
        plot_dial(sweeps, plot, title, dial=bench.profile is not None, turned=turned)


def measure_at(
    bench: Bench, knobs: Sequence[float], stop: EarlyStop | None = None, scheduler: str | None = None
) -> Measured:
    """Measure, with a progress bar."""
    with bar("sweep", len(knobs) * len(bench.encodings), "knobs") as shown:
        return measure(bench, knobs, early=stop, progress=lambda _: shown.advance(), scheduler=scheduler)


def warn_of_silence(runs: Sequence[Measured]) -> None:
    """Warn, in one line, of the knobs at which answers are missing too often."""
    points = [point for measured in runs for point in next(iter(measured.points.values()))]
    silent = [point for point in points if point.unanswered > FREQUENT]
    if silent:
        knobs = listed(sorted({point.knob for point in silent}))
        warn_unanswered(max(point.unanswered for point in silent), where=f"knob at {knobs}: up to ")


def stored_stop(measuring: Measuring, trained: NetworkFile, bench: Bench) -> EarlyStop | None:
    """The early stop that test data are measured with; None on validation data, which it is found on.

    Raises:
        click.UsageError: there is none in the network's file.
        InputError: there are too few samples to find one on.
    """
    if measuring.part == "test" and measuring.data is not None:
        return load_stop(trained, bench)
    check_samples(bench, measuring.max_loss / 100)
    return None


def new_stop(measuring: Measuring, bench: Bench, samples: Labelled, knobs: Sequence[float]) -> EarlyStop:
    """An early stop, found on these samples."""
    samples.advise_seeds()
    return calibrate_stop(bench, knobs, measuring.max_loss / 100)


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


def _rows(bench: Bench, measured: Measured, early: bool = False) -> list[dict[str, object]]:
    rows, dial = [], bench.profile is not None
    for name, points in measured.points.items():
        made = points_to_rows(points, chip=name, early=early, dial=dial)
        rows += [{**row, "steps": steps} for row, steps in zip(made, measured.taken, strict=True)]
    return rows


def _parts(bench: Bench, measured: Measured, ended: Measured | None) -> Iterator[str | Table]:
    dial = bench.profile is not None
    for name, points in measured.points.items():
        steps = measured.taken if min(measured.taken) < bench.steps else None
        yield f"{name or 'no chip'}:"
        yield table(points, steps, dial=dial)
        if ended is not None:
            yield f"the same with inferences that end early, of {bench.steps} steps:"
            yield table(ended.points[name], ended.taken, dial=dial)
        yield from _off(bench, name, [point.knob for point in points])


def _off(bench: Bench, name: str | None, knobs: Sequence[float]) -> Iterator[str]:
    """How many neurons are off at the knob at which most are, and at what price on a chip."""
    if bench.profile is None:
        return
    network = network_of(bench.program)
    scales = {knob: bench.profile.scale(knob) for knob in knobs}
    off = {
        knob: sum(int(np.isinf(np.broadcast_to(each, (1, 1, network[key].size))).sum()) for key, each in scale.items())
        for knob, scale in scales.items()
    }
    most = max(off, key=lambda knob: off[knob])
    if off[most]:
        price = "".join(f": {price_of_off(chip)}" for chip in bench.chips if chip is not None and chip.name == name)
        yield f"up to {off[most]:,} of {network.n_neurons:,} neurons off, at knob {most:g}{price}"
