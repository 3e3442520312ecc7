"""``aspen run``: spikes in, spikes out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import prod
from pathlib import Path

import click
import numpy as np

from aspen._base.arrays import Array
from aspen._base.labels import NO_LABEL, as_labels
from aspen._base.memory import check_memory
from aspen.dial.path import seen
from aspen.errors import InputError
from aspen.network.network import Network
from aspen.network.record import Record
from aspen.storage.outputs import RECORDS
from aspen.storage.writing import write_atomically
from aspen.units import format_duration
from aspen_emulator.cli.common import (
    NetworkFile,
    chip_option,
    engine_option,
    float_option,
    json_option,
    network_argument,
    placed,
    prepare,
    save_array,
    warn_unanswered,
)
from aspen_emulator.cli.files import ARRAY_INPUT, ARRAY_OUTPUT, OutputFile, saving, say
from aspen_emulator.cli.given import read_input, values_option
from aspen_emulator.cli.knobs import KnobCommand, Turned, Turning, turning_options
from aspen_emulator.cli.numbers import Whole
from aspen_emulator.engines.cortex_m.engine import ENGINES as ON_CORES
from aspen_emulator.engines.inputs import FEWER, check_shape, check_size, load_spikes, repeated
from aspen_emulator.engines.run import network_of, run
from aspen_emulator.measuring.cycle_report import CycleReport
from aspen_emulator.measuring.cycles import cycles
from aspen_emulator.measuring.early import cut_short, ended_early
from aspen_hardware.chips.description import Chip
from aspen_hardware.compiling.deployment import Deployment
from aspen_hardware.energy.report import EnergyReport
from aspen_hardware.energy.text import headline

COUNTED = 4
"""Samples whose cycles are counted."""


@click.command("run", cls=KnobCommand)
@network_argument
@click.option("--input", "source", type=ARRAY_INPUT,
              help="Spikes, .npy: (time, batch, *shape), 0 and 1; - for standard input.")  # fmt: skip
@values_option
@click.option(
    "--seed", type=Whole(min=0), default=0, show_default=True, help="Of the encoder, where it draws at random."
)
@click.option("--labels", "labels_path", type=ARRAY_INPUT,
              help="Classes, .npy: (samples,) integers, -1 for none; then the accuracy is said too.")  # fmt: skip
@click.option("--output", required=True, type=ARRAY_OUTPUT,
              help="Where the output population's spikes go, .npy: (time, batch, *shape); - for standard output."
              )  # fmt: skip
@engine_option
@chip_option
@float_option
@turning_options
@click.option(
    "--steps",
    type=Whole(min=1),
    help="Run so many time steps: cuts the input, or adds silence; a static input is repeated.",
)
@click.option("--record", "record_path", type=OutputFile(RECORDS),
              help="Write the counts (spikes, synaptic operations, updates) and energy, .json.")  # fmt: skip
@click.option("--membranes", "membranes_path", type=ARRAY_OUTPUT,
              help="Write the output's membranes before each reset, .npy: (time, batch, *shape).")  # fmt: skip
@json_option
def run_command(
    network: Path,
    source: Path | None,
    values_path: Path | None,
    seed: int,
    labels_path: Path | None,
    output: Path,
    engine: str,
    target: Chip | None,
    floating: bool,
    turning: Turning,
    steps: int | None,
    record_path: Path | None,
    membranes_path: Path | None,
    as_json: bool,
) -> None:
    """Run NETWORK (an .aspen file) on spikes, or on raw values, and write its output spikes.

    Says what was answered, and what it cost: spikes, synaptic operations, and on a chip energy and time.

    A chip's stored integers are used where `aspen compile` put them; otherwise they are compiled on the spot.
    """
    trained = NetworkFile(network)
    turning.check(trained)
    given = read_input(trained, source, values_path, seed)
    program, on = prepare(trained, target, floating)
    keep = "counts" if membranes_path is None else "membranes"
    if steps is not None and given.ndim > 1:
        check_size(network_of(program), steps, given.shape[1], keep)
    spikes = held(network_of(program), given, steps) if network_of(program).input.static else fit_steps(given, steps)
    turned = turning.turn(trained, program, on)
    labels = None if labels_path is None else _labels(labels_path, network_of(program), spikes)
    whole = run(program, seen(spikes, turned.every), turned.scale, engine=engine, record=keep)
    taken = turned.taken(whole)
    record = whole if taken is None else cut_short(whole, taken)
    accuracy = None if labels is None else _accuracy(record, labels)
    energy = None if on is None else turned.energy(whole, on, placed(program, on, trained.dial))
    counted = _cycles(program, spikes, turned, engine)
    summary = {**record.summary(), **turned.to_dict(), "chip": None if on is None else on.name, "accuracy": accuracy}
    if taken is not None:
        summary |= {**ended_early(whole, taken).totals(), "steps_taken": taken.tolist()}
    summary |= {} if energy is None else {"energy": energy.to_dict()}
    summary |= {} if counted is None else {"cycles": counted.to_dict()}
    with saving() as outcome:
        save_array(output, record.output)
    if membranes_path is not None:
        with saving():
            save_array(membranes_path, record.membranes[record.network.output])
    if record_path is not None:
        write_atomically(record_path, json.dumps(summary, indent=2).encode())
    parts = [*_told(record, turned, energy, accuracy)]
    if counted is not None:
        parts += [f"{counted.brief}; of {_first(counted.samples, record)}", counted.memory]
    if not outcome.failed:
        parts.append(f"Output spikes: {output}")
    if as_json:
        click.echo(json.dumps(summary))
    else:
        say(*parts, outputs=(output, membranes_path))
    warn_unanswered(record.unanswered)


def fit_steps(spikes: Array, steps: int | None) -> Array:
    """The first ``steps`` steps of ``spikes``, with silence added at the end where there are fewer."""
    if steps is None or spikes.ndim == 0 or len(spikes) == steps:
        return spikes
    missing = max(steps - len(spikes), 0)
    check_memory(f"--steps {steps}: an input as long", steps * prod(spikes.shape[1:]) * spikes.itemsize, FEWER)
    return np.concatenate([spikes[:steps], np.zeros((missing, *spikes.shape[1:]), spikes.dtype)])


def held(network: Network, given: Array, steps: int | None) -> Array:
    """A static input, of one step (samples, *shape) or of all, at each of ``steps``."""
    if given.ndim == len(network.input.given_shape) + 1 and steps is None:
        raise click.UsageError(
            f"found an input of one step {given.shape} and no --steps, allowed is both, as the input is static; give "
            f"--steps 25, or as many as the model takes"
        )
    if steps is None:
        return given
    return repeated(given if given.ndim == len(network.input.given_shape) + 1 else given[0], steps)


def _cycles(program: Network | Deployment, spikes: Array, turned: Turned, engine: str) -> CycleReport | None:
    """What the first samples take on the core that an engine emulates; of hidden populations that are turned each by
    its own scale there is no program, and what ends early is not counted."""
    knob = turned.of_program
    if engine not in ON_CORES or knob is None:
        return None
    return cycles(program, spikes, core=ON_CORES[engine], samples=COUNTED, **knob)


def _first(samples: int, record: Record) -> str:
    return "all samples" if samples == record.batch else f"the first {samples} of {record.batch} samples"


def _labels(path: Path, network: Network, spikes: Array) -> Array:
    """The classes in a file, one for each sample, at least one of them known."""
    steps, samples = check_shape(network, spikes)
    outputs = network[network.output].size
    labels = as_labels("--labels", load_spikes(path), samples, outputs, steps=steps, unknown=True)
    if not (labels != NO_LABEL).any():
        raise InputError(f"{path}: found no class, allowed is at least one; leave --labels out")
    return labels


def _accuracy(record: Record, labels: Array) -> float:
    known = labels != NO_LABEL
    return float((record.predictions == labels)[known].mean())


def _told(
    record: Record, turned: Turned, energy: EnergyReport | None, accuracy: float | None
) -> Iterator[str | Record]:
    """What was answered, and what it cost."""
    yield record
    if record.unanswered:
        yield f"no answer for {record.unanswered:.1%} of the samples"
    if accuracy is not None:
        yield f"accuracy: {accuracy:.1%}"
    yield str(turned)
    if energy is None:
        yield "on no chip: no energy"
        return
    took = "" if energy.seconds is None else f"; the run takes {format_duration(energy.seconds.typical)}"
    yield f"{headline(energy)}{took}"
