"""``aspen profile``: counts by layer and energy of a user's own snnTorch model, whether or not it can be exported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from aspen_emulator.cli.common import ChipParameter, json_option
from aspen_emulator.cli.export import arguments_option, as_called, load_model, load_weights, time_axis_option
from aspen_emulator.cli.files import ARRAY_INPUT, PICTURE_OUTPUT, FileCommand, InputFile, saving
from aspen_emulator.cli.numbers import Number
from aspen_emulator.cli.shown import show
from aspen_emulator.engines.inputs import load_spikes
from aspen_emulator.measuring.profiling import profile
from aspen_hardware.chips.description import Chip


@click.command("profile", cls=FileCommand)
@click.argument("model")
@click.option("--input", "source", required=True, type=ARRAY_INPUT,
              help="What the model is given, .npy; for a model that does one step (time, batch, *shape).")  # fmt: skip
@click.option("--state-dict", type=InputFile(),
              help="PyTorch weights to load into the model first: a state_dict, nothing else.")  # fmt: skip
@time_axis_option
@arguments_option
@click.option("--chip", "named", type=ChipParameter(), multiple=True,
              help="Chip name or file; may be repeated.  [default: all that price single operations]")  # fmt: skip
@click.option("--step-time", type=Number(0, min_open=True), help="Seconds of a step, instead of the chips'.")
@click.option("--plot", type=PICTURE_OUTPUT, help="Draw rates, operations and energies: .png, .pdf or .svg.")
@json_option
def profile_command(
    model: str,
    source: Path,
    state_dict: Path | None,
    time_axis: int | str | None,
    arguments: tuple[tuple[str, Any], ...],
    named: tuple[Chip, ...],
    step_time: float | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Count what MODEL, given as MODULE:NAME, does on an input, layer by layer, and say what that costs on chips.

    NAME is a model in your Python module, or a function without arguments that makes one; the module is imported, and
    so executed, from the current folder or the Python path.
    """
    made = load_model(model)
    if state_dict is not None:
        load_weights(made, state_dict)
    how = as_called(time_axis, arguments)
    report = profile(made, load_spikes(source), named or None, step_time=step_time, **how)
    if plot is not None:
        with saving():
            report.plot(plot)
    if as_json:
        click.echo(json.dumps(report.to_dict()))
    else:
        show(report)
