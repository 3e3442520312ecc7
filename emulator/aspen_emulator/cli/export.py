"""``aspen export``: a user's own snnTorch model becomes an .aspen file."""

from __future__ import annotations

import json
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import numpy as np

from aspen._base.arrays import Array
from aspen.errors import ChipError, ExportWarning
from aspen.network.network import Network
from aspen.storage.container import MALFORMED
from aspen.storage.outputs import NETWORKS
from aspen.storage.writing import is_stream
from aspen_emulator.cli.common import DEFAULT_CHIP, write_network
from aspen_emulator.cli.files import ARRAY_INPUT, FileCommand, InputFile, OutputFile, saving
from aspen_emulator.cli.shown import show
from aspen_emulator.engines.inputs import load_spikes
from aspen_emulator.measuring.parity import ParityReport, parity, store_parity
from aspen_hardware.compiling.compile import compile


class TimeAxis(click.ParamType):
    """The number of an axis, or ``none``."""

    name = "integer|none"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if value == "none" else click.INT.convert(value, param, ctx)


class Argument(click.ParamType):
    """NAME=VALUE; the value is a number, true, false or null, or else text."""

    name = "name=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        name, equals, text = value.partition("=")
        if not name or not equals:
            self.fail(f"found {value!r}, allowed is NAME=VALUE such as num_steps=25", param, ctx)
        try:
            return name, json.loads(text)
        except json.JSONDecodeError:
            return name, text


time_axis_option = click.option(
    "--time-axis",
    type=TimeAxis(),
    help="Which axis of the input is time, or 'none'.  [default: found out by running the model]",
)
arguments_option = click.option(
    "--argument", "arguments", multiple=True, type=Argument(),
    help="What forward() is given beside: NAME=VALUE, such as num_steps=25; may be repeated.",
)  # fmt: skip


def as_called(time_axis: int | str | None, arguments: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    """How ``forward`` takes its input, of the options that say it, as :func:`aspen.export` is told."""
    axis = "find" if time_axis is None else time_axis
    return {"time_axis": None if axis == "none" else axis, "arguments": dict(arguments)}


@click.command("export", cls=FileCommand)
@click.argument("model")
@click.option(
    "--sample",
    required=True,
    type=ARRAY_INPUT,
    help="Sample input, .npy, as the model takes it: (time, batch, *shape), (batch, time, ...), one image.",
)
@click.option("--output", required=True, type=OutputFile(NETWORKS), help="The .aspen or .nir file to write.")
@click.option(
    "--state-dict", type=InputFile(), help="PyTorch weights to load into the model first: a state_dict, nothing else."
)
@time_axis_option
@arguments_option
def export_command(
    model: str,
    sample: Path,
    output: Path,
    state_dict: Path | None,
    time_axis: int | str | None,
    arguments: tuple[tuple[str, Any], ...],
) -> None:
    """Export MODEL, given as MODULE:NAME, to an .aspen or .nir file.

    NAME is a model in your Python module, or a function without arguments that makes one; the module is imported, and
    so executed, from the current folder or the Python path.
    """
    import torch

    from aspen.exporting import export

    made = load_model(model)
    if state_dict is not None:
        load_weights(made, state_dict)
    given, how = torch.from_numpy(load_spikes(sample)).float(), as_called(time_axis, arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExportWarning)  # the network that is printed says it
        network = export(made, given, **how)
    with saving() as outcome:
        write_network(network, output)
    report = _compare(made, network, _frames(made, network, given, how))
    if output.suffix == ".aspen" and not outcome.failed and not is_stream(output):
        with saving() as outcome:
            store_parity(report, output)
    show(network, "", report)
    if not outcome.failed:
        show(f"saved: {output}")


def _frames(model: Any, network: Network, sample: Any, how: dict[str, Any]) -> Array:
    """The sample as the network takes it, (time, batch, *shape); where it begins behind an encoder, random spikes."""
    import torch

    from aspen.models.probing import read_sample

    _, frames = read_sample(model, sample, **how)
    if network.provenance["form"]["encoder"]:
        frames = torch.rand(frames.shape, generator=torch.Generator().manual_seed(0)) < frames
    return frames.numpy() if network.input.current else frames.numpy().astype(np.uint8)


def _compare(model: Any, network: Network, sample: Array) -> ParityReport:
    """The model, the network, and its integers on the default chip if it fits there, on the sample."""
    try:
        deployment = compile(network, DEFAULT_CHIP)
    except ChipError as error:
        click.echo(f"not compared in integers: {error}", err=True)
        deployment = None
    return parity(model, network, deployment, sample)


def load_model(where: str) -> Any:
    """The model at ``MODULE:NAME``; called first if it is no model yet."""
    from torch import nn

    module_name, _, name = where.partition(":")
    if not module_name or not name:
        raise click.BadParameter(f"found {where!r}, allowed is MODULE:NAME, e.g. mymodels:make_net", param_hint="MODEL")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(import_module(module_name), name)
    except (ImportError, AttributeError) as error:
        raise click.BadParameter(f"cannot load {where!r}: {error}", param_hint="MODEL") from error
    finally:
        sys.path.pop(0)
    made = found if isinstance(found, nn.Module) else found()
    if not isinstance(made, nn.Module):
        raise click.BadParameter(f"{where} gave a {type(made).__name__}, allowed is a torch model", param_hint="MODEL")
    return made


def load_weights(model: Any, path: Path) -> None:
    """Load a state_dict, with PyTorch's safe loader."""
    from aspen.training.checkpoints import load_tensors

    weights = load_tensors(path)
    try:
        model.load_state_dict(weights)
    except (RuntimeError, *MALFORMED) as error:
        raise click.ClickException(
            f"{path}: does not fit the model ({error}); save it with torch.save(model.state_dict())"
        ) from error
