"""``aspen stream``: a network on a recording, with its knob in a closed loop that holds a budget."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import click

from aspen._base.labels import NO_LABEL
from aspen._base.progress import bar
from aspen.calibration.storage import CalibrationTable, load_table
from aspen.data.hapt_recordings import HAPT_CLASSES
from aspen.data.stored import load_encoder
from aspen.dial.profile import load_profile
from aspen.errors import FileFormatError, InputError
from aspen.network.network import Network
from aspen.storage.growing import GrowingFile
from aspen.storage.json import parse_json
from aspen.storage.outputs import RECORDS, TABLES
from aspen.storage.writing import write_atomically
from aspen.units import parse_duration
from aspen_emulator.cli.account import Kept, now, summary_of, text
from aspen_emulator.cli.common import (
    NetworkFile,
    OneOf,
    chip_option,
    float_option,
    json_option,
    network_argument,
    prepare,
    refuse_without,
    warn_unanswered,
)
from aspen_emulator.cli.files import ARRAY_INPUT, PICTURE_OUTPUT, OutputFile, saving
from aspen_emulator.cli.given import DATA, OWN_DATA, check_one_way, dataset_for, part_option
from aspen_emulator.cli.knobs import KnobCommand, front_for
from aspen_emulator.cli.numbers import Number, Whole
from aspen_emulator.cli.shown import show
from aspen_emulator.engines.inputs import load_spikes
from aspen_emulator.engines.run import network_of
from aspen_emulator.engines.sessions import STEPPING
from aspen_emulator.streaming import Stream, Window
from aspen_emulator.streaming.goals import Goal
from aspen_emulator.streaming.opening import stream
from aspen_emulator.streaming.plot import plot_stream
from aspen_emulator.streaming.sources import Source, from_dataset, from_hapt, from_spikes, from_values
from aspen_hardware.chips.description import Chip, chip
from aspen_hardware.compiling.deployment import Deployment


def goal_of(
    budget: str | None, battery: str | None, hours: float | None, confidence: float | None, knob: float | None,
    dynamic: bool,
) -> Goal:  # fmt: skip
    """What the options ask for; where they do not go together, in their words."""
    options = {"--budget": budget, "--battery": battery, "--confidence": confidence, "--knob": knob}
    given = [option for option, value in options.items() if value is not None]
    if len(given) != 1:
        raise click.UsageError(
            f"found {' and '.join(given) or 'no goal'}, allowed is one of --budget 2uJ/window, --battery "
            f"100mAh@3.7V with --hours, --confidence 0.85 and --knob 0.5"
        )
    if (battery is None) != (hours is None):
        raise click.UsageError("found --battery or --hours alone, allowed are both; say how long it must last")
    if budget is None:
        refuse_without("--budget", ["dynamic"])
    return Goal(budget, battery, hours, confidence, knob, dynamic)


@click.command("stream", cls=KnobCommand)
@network_argument
@click.option("--input", "source", type=ARRAY_INPUT, help="Spikes or a current, .npy: (time, *shape).")
@click.option("--values", "values_path", type=ARRAY_INPUT,
              help="A sensor's values instead, .npy: (time, channels); encoded by the encoder in NETWORK.")  # fmt: skip
@click.option("--data", type=DATA, help=f"The samples of a data set instead, each a window: {OWN_DATA}.")
@click.option("--data-path", type=click.Path(exists=True, path_type=Path),
              help="Where the data of that name lie; without --data HAPT's raw recordings, folder or zip as published."
              )  # fmt: skip
@part_option
@click.option("--labels", "labels_path", type=ARRAY_INPUT, help="Classes, .npy: one for each window, -1 for none.")
@click.option("--budget", metavar="ENERGY/window|ENERGY/h", help="Energy that may be spent: 2uJ/window, or 10mJ/h.")
@click.option("--battery", metavar="CHARGE", help="Charge that must last for --hours: 100mAh@3.7V, or 5kJ.")
@click.option("--hours", type=Number(0, min_open=True), help="With --battery.")
@click.option("--confidence", type=Number(0, 1),
              help="Hold this mean confidence of the answers, as sparsely as possible.")  # fmt: skip
@click.option("--knob", type=Number(min=0), help="Leave the knob here.")
@click.option("--dynamic/--total", default=False, help="--budget is for dynamic energy alone.  [default: total]")
@click.option("--dial", is_flag=True,
              help="The knob is the learned dial's itself, not that which was calibrated over all levers.")  # fmt: skip
@click.option("--early", is_flag=True,
              help="End inferences early, as the table says; a calibrated knob does so anyway.")  # fmt: skip
@click.option(
    "--window-time", metavar="TIME", help="From window to window, such as 2.56s.  [default: its steps times the chip's]"
)
@click.option("--engine", type=OneOf(STEPPING), default="fast", show_default=True, help="What runs the network.")
@chip_option
@float_option
@click.option("--real-time", is_flag=True, help="Wait for each window as long as it takes in the recording.")
@click.option("--windows", "most", type=Whole(min=1), help="Stop after so many.")
@click.option("--log", "log_path", type=OutputFile(TABLES), help="Write a line for each window, .csv.")
@click.option("--plot", "plot_path", type=PICTURE_OUTPUT,
              help="Draw energy, knob and answers over time: .png, .pdf or .svg.")  # fmt: skip
@click.option(
    "--state",
    "state_path",
    type=OutputFile(RECORDS),
    help="Go on from this file, .json, if it is there, and leave the state in it.",
)
@json_option
def stream_command(
    network: Path,
    source: Path | None,
    values_path: Path | None,
    data: str | Path | None,
    data_path: Path | None,
    part: str,
    labels_path: Path | None,
    budget: str | None,
    battery: str | None,
    hours: float | None,
    confidence: float | None,
    knob: float | None,
    dynamic: bool,
    dial: bool,
    early: bool,
    window_time: str | None,
    engine: str,
    target: Chip | None,
    floating: bool,
    real_time: bool,
    most: int | None,
    log_path: Path | None,
    plot_path: Path | None,
    state_path: Path | None,
    as_json: bool,
) -> None:
    """Stream a recording through NETWORK and hold an energy budget by turning its knob from window to window.

    A window is an inference, which begins at rest. What windows cost at each knob is read from the calibration
    table in NETWORK (`aspen calibrate` makes it). Where the sparsest knob still costs more than the budget, windows
    are skipped, and the last answer stands.
    """
    goal = goal_of(budget, battery, hours, confidence, knob, dynamic)
    if network.suffix != ".aspen":
        raise click.UsageError(
            f"{network}: found {network.suffix or 'no suffix'}, allowed is .aspen, which holds the table"
        )
    trained = NetworkFile(network)
    program, on = prepare(trained, target, floating)
    on = on or target or chip("loihi1")
    front = None if dial or early else front_for(trained, on)
    table = load_table(trained.sections, on.name, "profile" if dial else None) if front is None else front
    if data is None:
        refuse_without("--data", ["part"])
        given = _source(trained, network_of(program), table, source, values_path, data_path)
        names: tuple[str, ...] = HAPT_CLASSES[:6] if data_path is not None else ()
    else:
        check_one_way({"--input": source, "--values": values_path, "--data": data})
        if labels_path is not None:
            raise click.UsageError(
                "found --labels beside --data, allowed is one, as a data set has labels; leave it out"
            )
        dataset = dataset_for(trained, data, data_path, part)
        given, names = from_dataset(dataset, part, table.steps), dataset.class_names
    if labels_path is not None:
        given = given.labelled(load_spikes(labels_path), _outputs(program))
    seconds = given.window_seconds if window_time is None else parse_duration(window_time, "--window-time")
    running = stream(
        program, table, **asdict(goal), early=early, on=on, window_seconds=seconds, engine=engine,
        profile=load_profile(trained.sections) if "profile" in (table.dial, table.turns) else None,
    )  # fmt: skip
    allowed = goal.dynamic_per_window(running.meter)
    with running:
        if state_path is not None and state_path.is_file():
            _go_on(running, state_path)
        first = running.windows
        kept = _replay(running, given, most, real_time, log_path, state_path, keep=plot_path is not None)
        summary = summary_of(running, allowed, kept)
    if plot_path is not None and kept.windows:
        labels = None if given.labels is None else given.labels[first:]
        title = f"{network.stem} on {on.name}"
        with saving():
            plot_stream(kept.windows, plot_path, title, allowed, labels, names, dial=running.profile is not None)
    if as_json:
        click.echo(json.dumps(summary))
    else:
        show(text(summary))
    warn_unanswered(running.unanswered / max(running.windows - running.skipped, 1), "windows that ran")


def _replay(
    stream: Stream, given: Source, most: int | None, real_time: bool, log: Path | None, saved: Path | None, keep: bool
) -> Kept:
    """Run the windows that are left, and write log and state as they go."""
    first, kept, state = stream.windows, Kept([]), stream.state_dict()
    last = len(given) if most is None else min(len(given), first + most)
    began = time.monotonic()
    try:
        with saving(), _rows(log, first > 0) as write, bar("stream", last, "windows") as shown:
            shown.begin(first)
            for number, values in zip(range(first, last), given.windows(first), strict=False):
                if real_time:
                    due = began + (number - first + 1) * stream.meter.window_seconds
                    time.sleep(max(due - time.monotonic(), 0.0))
                window = stream.window(values)
                state = stream.state_dict()
                write(window)
                if keep:
                    kept.windows.append(window)
                kept.count(window, NO_LABEL if given.labels is None else int(given.labels[number]))
                shown.advance(1, now(window, stream))
    finally:
        if saved is not None:
            with saving():
                write_atomically(saved, json.dumps(state).encode())
    return kept


@contextmanager
def _rows(path: Path | None, append: bool) -> Iterator[Callable[[Window], None]]:
    """Writes windows as lines of a CSV file; of one that is there already where a stream goes on."""
    if path is None:
        yield lambda window: None
        return
    append = append and path.is_file()
    with GrowingFile(path, append=append) as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Window)], lineterminator="\n")
        if not append:
            writer.writeheader()
        yield lambda window: writer.writerow(window.to_dict())


def _go_on(stream: Stream, path: Path) -> None:
    """Go on where a file has the state of a stream."""
    try:
        stream.load_state_dict(_read_state(path))
    except InputError as error:
        raise InputError(f"{path}: {error}; or remove the file to begin anew") from error


def _read_state(path: Path) -> dict[str, Any]:
    try:
        state = parse_json(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise FileFormatError(f"{path}: found no state of a stream ({error}); remove it to begin anew") from error
    if not isinstance(state, dict):
        raise FileFormatError(f"{path}: found no state of a stream; remove it to begin anew")
    return state


def _outputs(program: Network | Deployment) -> int:
    network = network_of(program)
    return network[network.output].size


def _source(
    trained: NetworkFile,
    network: Network,
    table: CalibrationTable,
    source: Path | None,
    values: Path | None,
    hapt: Path | None,
) -> Source:
    given = [each for each in (source, values, hapt) if each is not None]
    if len(given) != 1:
        raise click.UsageError(
            f"found {len(given)} inputs, allowed is one of --input, --values, --data and --data-path"
        )
    if source is not None:
        return from_spikes(network, load_spikes(source), table.steps)
    encoder = load_encoder(trained.sections)
    if values is not None:
        return from_values(encoder, load_spikes(values), table.steps)
    assert hapt is not None  # as one was given
    return from_hapt(hapt, encoder, table.steps, network[network.output].size)
