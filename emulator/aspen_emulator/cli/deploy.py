"""``aspen compile`` and ``aspen check``: a network's integers on a chip, and whether it fits at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from aspen.network.files import NETWORK
from aspen.network.graded import GradedInput
from aspen.network.network import Network
from aspen.storage.file import AspenFile
from aspen.storage.outputs import is_same_file
from aspen.storage.writing import is_stream
from aspen_emulator.cli.common import (
    DEFAULT_CHIP,
    ChipParameter,
    NetworkFile,
    OneOf,
    is_given,
    json_option,
    network_argument,
    refuse_without,
)
from aspen_emulator.cli.files import ARRAY_INPUT, FileCommand, OutputFile, OutputFolder, check_section
from aspen_emulator.cli.given import read_input, values_option
from aspen_emulator.cli.numbers import Number, Whole
from aspen_emulator.cli.programs import Asked, check_parts, program_options, write_program
from aspen_emulator.cli.shown import show
from aspen_emulator.engines.inputs import load_spikes
from aspen_emulator.measuring.observing import observe
from aspen_emulator.measuring.parity import parity
from aspen_hardware.chips.description import Chip, chip
from aspen_hardware.compiling.checking import suit
from aspen_hardware.compiling.compile import MAX_THRESHOLD_SCALE, compile
from aspen_hardware.compiling.deployment import COLUMNS, Deployment, deployment_on, load_deployment, stored_chips

FORMS = {"aspen": ".aspen", "netx": ".net"}
"""What a deployment is written as, and the suffix that says so."""
PROGRAM = "c"
"""The form that is a folder, with a C program."""
MICROCONTROLLER = "cortex-m"
"""What a program is compiled for where nobody says otherwise."""
_CHOICES = "max_threshold_scale", "sample", "calibrate_values", "input_peak", "input_bits", "threshold_groups"
"""Parameters that change what is compiled."""
on_chip = click.option("--chip", "target", type=ChipParameter(), default=DEFAULT_CHIP, show_default=True,
                       help="Chip name or file.")  # fmt: skip


class CompiledOutput(OutputFile):
    """A file, or a folder where a program goes."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if ctx is not None and ctx.params.get("form") == PROGRAM:
            return OutputFolder().convert(value, param, ctx)
        return super().convert(value, param, ctx)


@click.command("compile", cls=FileCommand)
@network_argument
@on_chip
@click.option("--max-threshold-scale", type=Number(min=1), default=MAX_THRESHOLD_SCALE, show_default=True,
              help="Largest threshold scale that must fit the chip's threshold registers.")  # fmt: skip
@click.option("--calibrate", "sample", type=ARRAY_INPUT,
              help="Sample input, .npy: choose weight scales by the spikes that survive on it.")  # fmt: skip
@click.option("--calibrate-values", type=ARRAY_INPUT,
              help="The same from raw values, .npy: (samples, *shape); encoded by the encoder in NETWORK.")  # fmt: skip
@click.option("--input-peak", type=Number(0, min_open=True),
              help="Of an analog input: largest magnitude in training.  [default: what aspen train found]")  # fmt: skip
@click.option("--input-bits", type=Whole(2, 16),
              help=f"Of an analog input on the chip, the sign included.  [default: {GradedInput.bits}]")  # fmt: skip
@click.option("--threshold-groups", type=Whole(min=1),
              help="Most different thresholds in a population, as a core stores few.")  # fmt: skip
@click.option("--output", type=CompiledOutput(tuple(FORMS.values()), adds_to="network"),
              help="Write here instead of into NETWORK: .aspen, or .net for lava-dl's loader; for C a folder."
              )  # fmt: skip
@click.option("--to", "form", type=OneOf([*FORMS, PROGRAM]), is_eager=True,
              help="netx and c need --output; c is a program for a microcontroller, with the network's dial, "
                   "early end and encoder.  "
                   "[default: what the suffix of --output says]")  # fmt: skip
@program_options
@json_option
def compile_command(
    network: Path,
    target: Chip,
    max_threshold_scale: float,
    sample: Path | None,
    calibrate_values: Path | None,
    input_peak: float | None,
    input_bits: int | None,
    threshold_groups: int | None,
    output: Path | None,
    form: str | None,
    asked: Asked,
    as_json: bool,
) -> None:
    """Compile NETWORK to a chip's integers and store them in the same file, beside the trained network."""
    form, source = _form(output, form), NetworkFile(network)
    if form == PROGRAM and not is_given("target"):
        target = chip(MICROCONTROLLER)
    elif form != PROGRAM:
        refuse_without("--to c", ["prefix", "sensor_scale", "sensor_offset", "budget"])
    read = source.network
    if output is None and (form in ("netx", PROGRAM) or network.suffix != ".aspen"):
        raise click.UsageError("found no --output, allowed is to leave it out with .aspen files; say where to write")
    if output is None:
        check_section(network)
    trained = _with_range(read, input_peak, input_bits)
    shown = None if sample is calibrate_values else read_input(source, sample, calibrate_values)
    kept = _kept(source, target) if form == PROGRAM else None
    deployment = kept or compile(
        trained,
        target,
        max_threshold_scale=max_threshold_scale,
        netx=form == "netx",
        calibration=None if shown is None else observe(trained, shown),
        threshold_groups=threshold_groups,
        profile=source.dial,
    )
    check_parts(deployment, source, target)
    written = None
    if form == PROGRAM and output is not None:
        written = write_program(deployment, target, source, output, asked)
        stored = output
    else:
        stored = _store(trained, deployment, source, output, form)
    if as_json:
        made = {} if written is None else written.to_dict()
        placement = None if deployment.placement is None else deployment.placement.to_dict()
        click.echo(json.dumps({**deployment.to_dict(), "placement": placement, **made}))
        return
    columns = [f"  {name:<11}{words}" for name, words in COLUMNS.items()]
    placed = None if kept else deployment.placement
    show(deployment, *columns, "", placed or f"the deployment for {target.name} in {network}", f"Stored in {stored}")
    if written is not None:
        show(str(written))


def _form(output: Path | None, asked: str | None) -> str:
    """What is written, a key of :data:`FORMS`: as asked, or as the suffix says."""
    if output is None or asked == PROGRAM or is_stream(output):
        return asked or "aspen"
    said = next(form for form, suffix in FORMS.items() if suffix == output.suffix)
    if asked not in (None, said):
        raise click.UsageError(
            f"{output}: found {output.suffix} with --to {asked}, allowed is {FORMS[asked]}; rename it"
        )
    return said


def _kept(source: NetworkFile, target: Chip) -> Deployment | None:
    """The deployment for this chip that is in the file, where no option asks for another one: what was calibrated."""
    if not source.has_sections or target.name not in stored_chips(source.sections) or any(map(is_given, _CHOICES)):
        return None
    return load_deployment(source.sections, target.name)


def _with_range(network: Network, peak: float | None, bits: int | None) -> Network:
    """The network with the range of its analog input as the options have it, where they are given."""
    if peak is None and bits is None:
        return network
    known = network.input.graded
    if known is not None:
        return network.with_input_peak(peak or known.peak, bits or known.bits)
    if peak is None:
        raise click.UsageError(
            "found --input-bits alone, allowed with --input-peak; give the input's largest magnitude"
        )
    return network.with_input_peak(peak, bits or GradedInput.bits)


def _store(trained: Network, deployment: Deployment, source: NetworkFile, output: Path | None, form: str) -> Path:
    if form == "netx" and output is not None:
        from aspen.exchange.netx_writer import save_netx

        save_netx(deployment.network, output)
        return output
    path = output or source.path
    file = source.sections if source.has_sections else AspenFile.new(path)
    if not source.has_sections:
        file.put(NETWORK, trained)
    file.put(deployment_on(deployment.chip), deployment)
    if is_same_file(path, file.path):
        file.save()
    else:
        file.save_as(path)  # the dial, the encoder and all else that is beside the network comes along
    return path


@click.command("check", cls=FileCommand)
@network_argument
@on_chip
@click.option("--input", "source", type=ARRAY_INPUT,
              help="Sample input, .npy: also compare each population's spikes before and after rounding.")  # fmt: skip
@values_option
@click.option("--labels", "labels_path", type=ARRAY_INPUT,
              help="Classes of the samples, .npy: also compare the accuracy.")  # fmt: skip
@click.option("--lava", is_flag=True, help="Also run the integers on the real Lava runtime.")
@json_option
def check_command(
    network: Path,
    target: Chip,
    source: Path | None,
    values_path: Path | None,
    labels_path: Path | None,
    lava: bool,
    as_json: bool,
) -> None:
    """Check NETWORK against every design rule of a chip and, with sample input, what rounding does to its spikes.

    Exit code 1 if it does not fit.
    """
    given = source is not None or values_path is not None
    if not given and (labels_path is not None or lava):
        raise click.UsageError(
            "found --labels or --lava without --input or --values, allowed is with one; give sample input"
        )
    file = NetworkFile(network)
    trained = file.network
    suited = suit(trained, target, file.dial)
    report = None
    if given and not suited.errors:
        spikes = read_input(file, source, values_path)
        labels = None if labels_path is None else load_spikes(labels_path)
        deployment = None if trained.is_integer else suited.deployment or compile(trained, target, profile=file.dial)
        report = parity(None, trained, deployment, spikes, labels, lava=lava)
    if as_json:
        listed = [{"level": f.level, "where": f.where, "message": f.message} for f in suited.findings]
        click.echo(json.dumps({"findings": listed, "parity": report and report.to_dict()}))
    else:
        show(*(f"{finding.level}: {finding.message}" for finding in suited.findings),
             f"{network} on {target.name}: {'does not fit' if suited.errors else 'fits'}")  # fmt: skip
        if target.energy_only:
            show(f"{target.name} is for energies only, by aspen report: compile makes no integers for it "
                 f"({target.energy_only})")  # fmt: skip
        if suited.placement is not None and not suited.errors:
            show(suited.placement, *(words for _, words in suited.costs))
        if report is not None:
            show("", report)
    if suited.errors:
        raise click.exceptions.Exit(1)
