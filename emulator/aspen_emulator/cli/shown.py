"""How a command shows what it found: as it is in a pipe; in a terminal with colours and no wider than that."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from shutil import get_terminal_size
from textwrap import wrap
from typing import TYPE_CHECKING, TextIO

import click

from aspen._base.names import printable

if TYPE_CHECKING:
    from aspen._base.tables import Table, Tabled

OF_MAGNITUDE = {"p": "blue", "n": "cyan", "u": "green", "m": "yellow", "": "red"}
"""Prefix of joules and watts -> their colour: what differs by a thousand is told at a glance."""
_UNIT = re.compile(r"\b([pnum]?)[JW]\b")
_AFTER_NUMBER = re.compile(r"(?<=\d )([pnum]?)[JW]\b")
_FAINT = re.compile(r"\((?:-?[\d.]+%?|[\d.,]+ \w+) to [^)]*\)|(?<= )(?:elsewhere|unknown|-)(?= |$)")
_WORDS = {"ok": "green", "fits": "green", "missing": "yellow", "does not fit": "red"}
_STATE = re.compile(rf"(?<=[ :])({'|'.join(_WORDS)})(?=$|:|  )")
NOTES = ("assumed: ", "elsewhere: ", "not covered: ", "no figure for ")
"""How lines begin that say what figures rest on."""
LEVELS = {"error": "red", "warning": "yellow", "note": "cyan"}
_COMMAND = ": aspen "


def colours(file: TextIO) -> bool:
    """Whether a stream takes colours: a terminal that is not dumb; ``NO_COLOR`` and ``FORCE_COLOR`` come first."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (file.isatty() and os.environ.get("TERM") != "dumb")


def show(*parts: str | Table | Tabled, err: bool = False) -> None:
    """Print lines and tables one below the other.

    Args:
        parts: from top to bottom; in a pipe each as it prints by itself.
        err: whether on standard error.
    """
    file = sys.stderr if err else sys.stdout
    given = list(_flat(parts))
    width = get_terminal_size().columns if file.isatty() else None
    lines = [(kind, printable(text)) for part in given for kind, text in laid_out(part, width)]
    coloured = colours(file)
    click.echo("\n".join(map(painted, lines) if coloured else (text for _, text in lines)), err=err, color=coloured)


def _flat(parts: tuple[str | Table | Tabled, ...]) -> Iterator[str | Table]:
    for part in parts:
        yield from [part] if isinstance(part, str) else part.pieces()


def laid_out(part: str | Table, width: int | None) -> Iterator[tuple[str, str]]:
    """Kind (``head``, ``row``, ``total``, ``note`` or ``line``) and text of each line of a part.

    Args:
        part: a table, or text.
        width: characters that a line may have; ``None``: as many as it has.
    """
    if not isinstance(part, str):
        for number, table in enumerate([part] if width is None else part.within(width)):
            if number:
                yield "line", ""
            head, *rows = str(table).split("\n")
            yield "head", head
            for row, cells in zip(rows, table.rows, strict=True):
                whole = len(cells) == 1 < len(table.head)
                yield "head" if whole else "total" if cells[0] in ("total", "sum") else "row", row
        return
    for line in part.split("\n"):
        kind = "note" if line.startswith(NOTES) else "line"
        yield from ((kind, each) for each in ([line] if width is None else broken(line, width)))


def broken(line: str, width: int) -> list[str]:
    """A line of text over as many as it takes; a command at its end stays whole, to be copied."""
    if len(line) <= width:
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    text, mark, command = line.partition(_COMMAND)
    if mark:
        return [*broken(f"{text}:", width), f"{indent}  aspen {command}"]
    return wrap(line, width, subsequent_indent=f"{indent}  ", break_long_words=False, break_on_hyphens=False) or [""]


def painted(line: tuple[str, str]) -> str:
    """A line of :func:`laid_out` with colours."""
    kind, text = line
    if kind == "head":
        return click.style(_UNIT.sub(_of_magnitude, text), bold=True)
    if kind == "note":
        return click.style(text, dim=True)
    if kind == "total":
        text = click.style(text, bold=True)
    text = _AFTER_NUMBER.sub(_of_magnitude, text)
    text = _STATE.sub(lambda found: click.style(found[0], fg=_WORDS[found[0]]), text)
    text = _FAINT.sub(lambda found: f"\x1b[2m{found[0]}\x1b[22m", text)
    level = text.partition(":")[0]
    return f"{click.style(level, fg=LEVELS[level])}{text[len(level) :]}" if level in LEVELS else text


def _of_magnitude(found: re.Match[str]) -> str:
    """A unit in its colour; whatever else the text around it is, it stays."""
    return f"{click.style(found[0], fg=OF_MAGNITUDE[found[1]], reset=False)}\x1b[39m"
