"""Options and steps that several commands share."""

from __future__ import annotations

import io
import shlex
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from aspen._base.arrays import Array
from aspen._base.names import did_you_mean
from aspen.dial.profile import DialProfile, find_profile
from aspen.errors import AspenError, FileFormatError
from aspen.network.network import Network, load_network
from aspen.network.readout import FREQUENT
from aspen.storage.file import AspenFile
from aspen.storage.outputs import NETWORKS, form_of
from aspen.storage.writing import write_atomically
from aspen_emulator.cli.completion import beginning_with, with_suffixes
from aspen_emulator.cli.files import InputFile
from aspen_emulator.cli.helping import ROOM
from aspen_emulator.cli.warned import warn as warn
from aspen_emulator.engines.run import ENGINES, network_of
from aspen_hardware.chips.description import Chip, chip, chip_names
from aspen_hardware.compiling.compile import compile
from aspen_hardware.compiling.deployment import Deployment, load_deployment, stored_chips
from aspen_hardware.placing.placement import Placement, place

if TYPE_CHECKING:
    from aspen.data.encoders import StoredEncoder

DEFAULT_CHIP = "loihi1"
_GIVEN = "aspen.chips"
"""Where a command keeps the names of its chips -> what was given for them."""


class ChipParameter(click.ParamType):
    """A chip's name, or the path of a chip file."""

    name = "name|file.toml"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Chip:
        if isinstance(value, Chip):
            return value
        try:
            found = chip(value)
        except AspenError as error:
            self.fail(str(error), param, ctx)
        if ctx is not None:
            ctx.meta.setdefault(_GIVEN, {})[found.name] = shlex.quote(value)
        return found

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[Any]]:
        named = beginning_with(incomplete, {name: chip(name).title for name in chip_names()})
        return [*named, *with_suffixes([".toml"])]


def as_given(name: str) -> str:
    """How a command that is suggested names a chip: by its file, where this one was given that."""
    given: dict[str, str] = click.get_current_context().meta.get(_GIVEN, {})
    return given.get(name, name)


class OneOf(click.Choice[str]):
    """One of some names; one that is nearly right is told apart from one that is not."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value not in self.choices:
            close = did_you_mean(value, self.choices)
            self.fail(f"found {value!r}, allowed are {', '.join(self.choices)}; {close}", param, ctx)
        return super().convert(value, param, ctx)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:
        """The names, where a line of the help has room for them; otherwise they follow what it says."""
        return super().get_metavar(param, ctx) if len("|".join(self.choices)) <= ROOM else "NAME"


network_argument = click.argument("network", type=InputFile())
engine_option = click.option(
    "--engine", type=OneOf(list(ENGINES)), default="fast", show_default=True, help="What runs the network."
)
chip_option = click.option(
    "--chip", "target", type=ChipParameter(), help=f"Chip name or file.  [default: {DEFAULT_CHIP}]"
)
float_option = click.option("--float", "floating", is_flag=True, help="Run the network in floating point, on no chip.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output instead of text.")


class NetworkFile:
    """The file of a network that a command is given: ``.aspen``, NIR (``.nir``) or lava-dl's netx (``.net``).

    It is opened when something in it is first asked for, and once, whatever is asked for after that.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def has_sections(self) -> bool:
        """Whether it is an ``.aspen`` file, which may hold more than the network."""
        return self.path.suffix == ".aspen"

    @cached_property
    def sections(self) -> AspenFile:
        """The ``.aspen`` file."""
        return AspenFile.open(self.path)

    @cached_property
    def network(self) -> Network:
        """The network.

        Raises:
            FileFormatError: the file has another suffix, or is damaged.
        """
        path = self.path
        if self.has_sections:
            return load_network(self.sections)
        if path.suffix == ".net":
            from aspen.exchange.netx import load_netx

            return load_netx(path)
        if path.suffix == ".nir":
            from aspen.exchange.nir import load_nir

            return load_nir(path)
        raise FileFormatError(
            f"{path}: found {path.suffix or 'no suffix'}, allowed are .aspen, .nir and .net; rename or convert it"
        )

    @property
    def dial(self) -> DialProfile | None:
        """The learned dial of a trained network, if any."""
        return find_profile(self.sections) if self.has_sections and not self.network.is_integer else None

    @property
    def encoder(self) -> StoredEncoder | None:
        """The encoder beside the network, if any."""
        from aspen.data.stored import find_encoder

        return find_encoder(self.sections) if self.has_sections else None


def write_network(network: Network, path: Path) -> None:
    """Write a network as ``.aspen`` or, in floating point, as NIR (``.nir``)."""
    if form_of(path, NETWORKS) == ".aspen":
        network.save(path)
        return
    from aspen.exchange.nir import save_nir

    save_nir(network, path)


def prepare(source: NetworkFile, target: Chip | None, floating: bool) -> tuple[Network | Deployment, Chip | None]:
    """What to run, and on which chip: the stored deployment, one compiled on the spot, or the network as it is.

    A network that is in integers already runs as it is, on no chip, unless one is named.
    """
    if floating and target is not None:
        raise click.UsageError("found both --float and --chip, allowed is one; --float runs on no chip")
    network = source.network
    if floating and network.is_integer:
        raise click.UsageError(f"{source.path}: found --float, but the network is in integers; leave it out")
    if floating or (network.is_integer and target is None):
        return network, None
    target = target or chip(DEFAULT_CHIP)
    stored = stored_chips(source.sections) if source.has_sections else ()
    for name in (target.name, target.like):  # the integers of a chip that it is like are its own
        if name in stored:
            return replace(load_deployment(source.sections, name), chip=target.name), target
    return compile(network, target, profile=source.dial), target


def placed(program: Network | Deployment, on: Chip | None, profile: DialProfile | None) -> Placement | None:
    """The cores of what :func:`prepare` gave on the chip that it names, with room for a dial; ``None`` without one."""
    known = program.placement if isinstance(program, Deployment) else None
    return place(network_of(program), on, profile) if known is None and on is not None else known


def is_given(name: str) -> bool:
    """Whether a parameter of the present command was given, and is not its default."""
    source = click.get_current_context().get_parameter_source(name)
    return source is not None and source is not ParameterSource.DEFAULT


def written(name: str) -> str:
    """A parameter of the present command as it was written: its option, or that which switches it off."""
    context = click.get_current_context()
    option = next(param for param in context.command.params if param.name == name)
    off = option.secondary_opts if context.params.get(name) is False else []
    return [*off, *option.opts][0]


def refuse_without(what: str, names: Iterable[str]) -> None:
    """Refuse options that would do nothing without another one.

    Args:
        what: that other one, which was not given.
        names: parameters of the present command that need it.

    Raises:
        click.UsageError: one was given.
    """
    for name in names:
        if is_given(name):
            option = written(name)
            raise click.UsageError(f"found {option} without {what}, allowed are both; leave it out, or add {what}")


def warn_unanswered(share: float, what: str = "samples", where: str = "") -> None:
    """Warn where answers are missing too often.

    Args:
        share: of ``what``, without an answer, 0 to 1.
        what: samples, windows.
        where: at which knob, with a colon, if there are several.
    """
    if share > FREQUENT:
        warn(
            f"{where}{share:.1%} of the {what} got no answer, as nothing reached the outputs, allowed without a "
            f"warning is {FREQUENT:.0%}; they count as wrong: turn the knob to more spikes, or train for longer"
        )


def save_array(path: Path, array: Array) -> None:
    """Write a ``.npy`` file atomically."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    write_atomically(path, buffer.getvalue())
