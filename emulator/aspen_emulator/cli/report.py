"""``aspen report``: one run counted once, and what it costs on one chip or several."""

from __future__ import annotations

import json
from pathlib import Path

import click

from aspen._base.arrays import Array
from aspen.dial.path import seen
from aspen.errors import ChipError, MissingDependencyError
from aspen.network.network import Network
from aspen.network.record import Record
from aspen.units import parse_duration
from aspen_emulator.cli.common import (
    DEFAULT_CHIP,
    ChipParameter,
    NetworkFile,
    OneOf,
    float_option,
    json_option,
    network_argument,
    placed,
    prepare,
    refuse_without,
    warn,
    warn_unanswered,
)
from aspen_emulator.cli.files import ARRAY_INPUT, PICTURE_OUTPUT, saving
from aspen_emulator.cli.given import (
    DATA,
    OWN_DATA,
    check_one_way,
    data_path_option,
    dataset_for,
    read_input,
    values_option,
)
from aspen_emulator.cli.knobs import KnobCommand, Turned, Turning, turning_options
from aspen_emulator.cli.numbers import Number
from aspen_emulator.cli.shown import show
from aspen_emulator.engines.run import run
from aspen_emulator.measuring.early import cut_short
from aspen_emulator.measuring.programs import Counted, core_of, counted_cycles
from aspen_hardware.chips.description import Chip, chip
from aspen_hardware.compiling.deployment import Deployment
from aspen_hardware.energy.baseline import DESIGN, RELU_DENSITY, ann_baseline
from aspen_hardware.energy.break_even import BreakEven, Rivals, break_even
from aspen_hardware.energy.costs import TIMES
from aspen_hardware.energy.density import input_density
from aspen_hardware.energy.model import energy_model


@click.command("report", cls=KnobCommand)
@network_argument
@click.option("--input", "source", type=ARRAY_INPUT,
              help="Spikes, .npy: (time, samples, *shape).")  # fmt: skip
@values_option
@click.option("--data", type=DATA, help=f"A data set instead: {OWN_DATA}.")
@data_path_option
@click.option("--part", type=OneOf(["train", "validation", "test"]), default="validation", show_default=True,
              help="Part of the data set.")  # fmt: skip
@click.option("--chip", "named", type=ChipParameter(), multiple=True,
              help=f"Chip name or file; several: run on the first that networks compile to, priced on all.  "
                   f"[default: {DEFAULT_CHIP}]")  # fmt: skip
@float_option
@turning_options
@click.option("--time", type=OneOf(list(TIMES)),
              help="Each step takes as long as measured on the chip, the chip's tick of real time, or as long as its "
                   "work.  [default: measured, where it was]")  # fmt: skip
@click.option("--scenario", help="One scenario of the chip's energies alone, e.g. sanafe; aspen chips NAME lists them.")
@click.option("--step-time", type=Number(0, min_open=True), help="Seconds of a step, instead of the chip's.")
@click.option("--window-time", metavar="TIME", help="From inference to inference instead, such as 2.56s.")
@click.option("--clock", type=Number(0, min_open=True), help="MHz, for chips whose power rises with it.")
@click.option(
    "--cycles",
    "source_of_cycles",
    type=OneOf(["measured", "model"]),
    default="measured",
    show_default=True,
    help="On a microcontroller: from the emulator, where it is installed, or from the model in its file.",
)
@click.option(
    "--ann", is_flag=True, help="Beside it: an int8 ANN of the same shape, on generic-45nm, and the break-even."
)
@click.option("--plot", type=PICTURE_OUTPUT, help="Draw the first chip's energy: .png, .pdf or .svg.")
@json_option
def report_command(
    network: Path,
    source: Path | None,
    values_path: Path | None,
    data: str | Path | None,
    data_path: Path | None,
    part: str,
    named: tuple[Chip, ...],
    floating: bool,
    turning: Turning,
    time: str | None,
    scenario: str | None,
    step_time: float | None,
    window_time: str | None,
    clock: float | None,
    source_of_cycles: str,
    ann: bool,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Run NETWORK once, count spikes, operations and updates, and say what a battery sees, and of what it is made.

    Every figure has a source: aspen chips NAME shows it.
    """
    if data is None:
        refuse_without("--data", ("data_path", "part"))
    chips = named or (chip(DEFAULT_CHIP),)
    if step_time is not None and window_time is not None:
        raise click.UsageError("found --step-time beside --window-time, allowed is one; leave one out")
    if scenario is not None:
        chips = tuple(one.only(scenario) for one in chips)
    if clock is not None and not any(_has_clock(one) for one in chips):
        raise click.UsageError(
            f"found --clock, allowed with a chip whose power rises with it, which {chips[0].name} is not; leave it out"
        )
    trained = NetworkFile(network)
    turning.check(trained)
    spikes = _samples(trained, source, values_path, data, data_path, part)
    if window_time is not None:
        step_time = parse_duration(window_time, "--window-time") / len(spikes)
    program, on = _program(trained, chips, floating)
    turned = turning.turn(trained, program, on)
    record = run(program, seen(spikes, turned.every), turned.scale, record="spikes")
    if step_time is not None:
        step_time *= len(spikes) / record.steps
    cores = placed(program, on, trained.dial)
    reports = [
        turned.energy(
            record,
            one,
            cores if one is on else None,
            step_time=step_time,
            time=time,
            clock=clock if _has_clock(one) else None,
            **(_counted(record, program, spikes, one, turned) if source_of_cycles == "measured" else {}),
        )
        for one in chips
    ]
    if plot is not None:
        with saving():
            reports[0].plot(plot)
    taken = turned.taken(record)
    if taken is not None:
        record = cut_short(record, taken)
    rivals = _rivals(record) if ann else []
    warn_unanswered(record.unanswered)
    if as_json:
        plain = [{**report.to_dict(), **turned.to_dict(), "unanswered": record.unanswered} for report in reports]
        click.echo(json.dumps(plain if not ann else {"chips": plain, "ann": [one.to_dict() for one in rivals]}))
        return
    arithmetic = "floating point" if on is None else f"{on.name} integers"
    hidden = record.hidden_spikes.mean()
    silent = f", no answer for {record.unanswered:.1%} of the samples" if record.unanswered else ""
    show(f"{network.name}, {arithmetic}, {turned}: {hidden:.1f} hidden spikes per inference{silent}")
    for priced in reports:
        show("", priced)
    if rivals:
        show("", Rivals(tuple(rivals)))


def _program(trained: NetworkFile, chips: tuple[Chip, ...], floating: bool) -> tuple[Network | Deployment, Chip | None]:
    """What runs: the network on the first chip that it can be compiled to, or on none."""
    runs_on = None if floating else next((one for one in chips if not one.energy_only), None)
    if floating or runs_on is not None:
        return prepare(trained, runs_on, floating)
    try:
        return prepare(trained, chip(DEFAULT_CHIP), floating)
    except ChipError as error:
        named = " and ".join(one.name for one in chips)
        raise ChipError(
            f"{named}: found chips for energies only, so that the network is run on {DEFAULT_CHIP}, which refuses it "
            f"({error}), allowed is one that it fits; run it with --float, or name that first, as --chip loihi2 --chip "
            f"{chips[0].name}"
        ) from error


def _has_clock(one: Chip) -> bool:
    return "per_megahertz" in one.power


def _counted(record: Record, program: Network | Deployment, spikes: Array, one: Chip, turned: Turned) -> Counted:
    """The cycles of a microcontroller's program, where they can be measured; else those of the model are taken."""
    knob = turned.of_program
    if not core_of(one) or not isinstance(program, Deployment) or knob is None:
        return {}
    try:
        return counted_cycles(record, program, spikes, one, **knob)
    except (ChipError, MissingDependencyError) as error:  # no program in C is made of some networks and dials
        warn(f"{one.name}: cycles by the model in its file, as none can be measured: {error}")
        return {}


def _rivals(record: Record) -> list[BreakEven]:
    """The run beside the ANN at its best, once more without zeros, with the spikes' own traffic, and at every step."""
    network = record.network
    zeros = dict.fromkeys(network.hidden, RELU_DENSITY)
    if network.input.host is None:
        zeros[network.input.name] = input_density(record)
    spent = energy_model(record, chip(DESIGN))
    return [
        break_even(network, spent, ann)
        for ann in (
            ann_baseline(network),
            ann_baseline(network, density=zeros),
            ann_baseline(network, dataflow="input-stationary"),
            ann_baseline(network, frames=record.steps),
        )
    ]


def _samples(
    trained: NetworkFile,
    source: Path | None,
    values: Path | None,
    data: str | Path | None,
    path: Path | None,
    part: str,
) -> Array:
    check_one_way({"--input": source, "--values": values, "--data": data})
    if data is None:
        return read_input(trained, source, values)
    return dataset_for(trained, data, path, part).spikes(part)
