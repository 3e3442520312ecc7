"""The files of a command: what is read, what is written, and that neither is lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from aspen._base.tables import Table, Tabled
from aspen.errors import InputError, UnwrittenError
from aspen.storage.outputs import ARRAYS, NETWORKS, PICTURES, WEIGHTS, check_folder, check_output, is_same_file, rescue
from aspen.storage.reading import STANDARD_INPUT
from aspen.storage.writing import STANDARD_OUTPUT
from aspen_emulator.cli.breaking import Interrupted, left_by
from aspen_emulator.cli.completion import with_suffixes
from aspen_emulator.cli.helping import Command
from aspen_emulator.cli.shown import show

_UNWRITTEN = "aspen.unwritten"


class InputFile(click.Path):
    """A file that is read. ``-``, standard input, is for arrays alone.

    Args:
        arrays: whether it holds a ``.npy`` array.
    """

    def __init__(self, *, arrays: bool = False) -> None:
        super().__init__(exists=True, dir_okay=False, path_type=Path)
        self.arrays = arrays

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value != "-":
            return super().convert(value, param, ctx)
        if not self.arrays:
            self.fail("found -, allowed is a file: only .npy arrays are read from standard input", param, ctx)
        return STANDARD_INPUT

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[Any]]:
        return with_suffixes(ARRAYS if self.arrays else WEIGHTS if param.name == "state_dict" else (*NETWORKS, ".net"))


class OutputFile(click.ParamType):
    """A file that is written, checked before the work. ``-``, standard output, is for arrays alone.

    Args:
        suffixes: those allowed; where there are more, they decide what is written.
        adds_to: the input to which it adds a section, where both are the same ``.aspen`` file.
    """

    name = "file"

    def __init__(self, suffixes: Sequence[str], *, adds_to: str | None = None) -> None:
        self.suffixes, self.adds_to = tuple(suffixes), adds_to

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if isinstance(value, Path):
            return value
        if value == "-" and self.suffixes != ARRAYS:
            self.fail("found -, allowed is a file: only .npy arrays are written to standard output", param, ctx)
        path = STANDARD_OUTPUT if value == "-" else Path(value)
        try:
            check_output(path, self.suffixes)
        except InputError as error:
            self.fail(str(error), param, ctx)
        return path

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[Any]]:
        return with_suffixes(self.suffixes)


class OutputFolder(click.ParamType):
    """A folder for results, made where it is not there."""

    name = "folder"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[Any]]:
        return [CompletionItem(incomplete, type="dir")]

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        try:
            check_folder(value)
        except InputError as error:
            self.fail(str(error), param, ctx)
        return Path(value)


ARRAY_INPUT = InputFile(arrays=True)
ARRAY_OUTPUT = OutputFile(ARRAYS)
PICTURE_OUTPUT = OutputFile(PICTURES)


class FileCommand(Command):
    """A command that writes over none of its inputs, and that keeps results which it cannot write where they belong."""

    def invoke(self, ctx: click.Context) -> None:
        check_files(self.params, ctx.params)
        try:
            with saving():
                super().invoke(ctx)
        except KeyboardInterrupt as broken:
            raise Interrupted(left_by(self.name or "", ctx.params)) from broken
        if ctx.meta.get(_UNWRITTEN):
            ctx.exit(1)


def check_files(params: Sequence[click.Parameter], values: Mapping[str, Any]) -> None:
    """Refuse an output that is an input or another output, and two uses of a standard stream.

    Raises:
        click.UsageError: as it says.
    """
    given = [param for param in params if isinstance(values.get(param.name or ""), Path)]
    paths = {param.name: values[param.name or ""] for param in given}
    reads = [param for param in given if isinstance(param.type, click.Path)]
    writes = [param for param in given if isinstance(param.type, OutputFile)]
    for output in writes:
        for read in reads:
            path = paths[output.name]
            if is_same_file(path, paths[read.name]) and not _adds(output, read, path):
                raise click.UsageError(
                    f"{_called(output)}: found {path}, which is the input {_called(read)}, allowed is another file; "
                    f"choose another name"
                )
    for one, other in combinations(writes, 2):
        if is_same_file(paths[one.name], paths[other.name]):
            raise click.UsageError(
                f"{_called(one)} and {_called(other)}: found the same file {paths[one.name]}, allowed are two; choose "
                f"another name for one"
            )
    if [paths[read.name] for read in reads].count(STANDARD_INPUT) > 1:
        raise click.UsageError("found - for two inputs, allowed is one; name a file for the other")
    if values.get("as_json") and STANDARD_OUTPUT in paths.values():
        raise click.UsageError("found --json beside an output to -, allowed is one of them; name a file")


def _adds(output: click.Parameter, read: click.Parameter, path: Path) -> bool:
    return isinstance(output.type, OutputFile) and output.type.adds_to == read.name and path.suffix == ".aspen"


def _called(param: click.Parameter) -> str:
    return param.opts[0] if isinstance(param, click.Option) else param.human_readable_name.upper()


@dataclass
class Outcome:
    """Whether a result could not be written."""

    failed: bool = False


@contextmanager
def saving() -> Iterator[Outcome]:
    """Keep a result that cannot be written in a temporary folder, and say so; the command goes on, to exit code 1.

    For each of several results one, so that the others are written.
    """
    outcome = Outcome()
    try:
        yield outcome
    except UnwrittenError as error:
        outcome.failed = True
        place = rescue(error)
        click.echo(f"aspen: {error}" if place is None else f"aspen: {error}; kept in {place}", err=True)
        click.get_current_context().meta[_UNWRITTEN] = True


def check_section(network: Path) -> None:
    """Refuse, before the work, an input to which a section could not be added after it.

    Raises:
        click.UsageError: as it says.
    """
    try:
        check_output(network, (".aspen",))
    except InputError as error:
        raise click.UsageError(str(error)) from error


def say(*parts: str | Table | Tabled, outputs: Sequence[Path | None]) -> None:
    """Show the user something: on standard error where standard output takes one of the ``outputs``."""
    show(*parts, err=STANDARD_OUTPUT in outputs)
