"""The reference of the command line: what every command's ``--help`` says, as a page."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from aspen_emulator.cli.main import aspen

INTRODUCTION = """# Commands

What each command says with `--help`. Completion, colours, pipes and exit codes: [the command line](../command-line.md).
"""


_NO_END = 10_000
"""Characters in a line: browsers break lines themselves."""


class MarkdownFormatter(click.HelpFormatter):
    """Takes what a command writes as its help, and makes Markdown of it."""

    def write(self, string: str) -> None:
        """Lines that a command writes by itself, such as examples: a block of code."""
        self._add(textwrap.indent(click.unstyle(string), "    "))

    def _add(self, markdown: str) -> None:
        super().write(markdown)

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """The first line."""
        self._add(f"```text\n{prog} {args}".rstrip() + "\n```\n\n")

    def write_heading(self, heading: str) -> None:
        """The name of a group of options or commands."""
        self._add(f"**{click.unstyle(heading)}**\n\n")

    def write_text(self, text: str) -> None:
        """Paragraphs; those that click does not wrap are blocks of code."""
        for paragraph in click.unstyle(text).split("\n\n"):
            as_is = paragraph.lstrip("\n").startswith("\b")
            self._add(_block(paragraph) if as_is else f"{_plain(' '.join(paragraph.split()))}\n\n")

    def write_paragraph(self) -> None:
        """An empty line."""
        self._add("\n")

    def write_dl(self, rows: Sequence[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Options and what they do, or commands."""
        self._add("| | |\n|---|---|\n")
        for term, text in rows:
            said = _plain(" ".join(click.unstyle(text).split())).replace("|", r"\|")
            name = click.unstyle(term).strip().replace("|", r"\|")
            self._add(f"| `{name}` | {said} |\n")
        self._add("\n")

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        """A group of options or commands."""
        self.write_paragraph()
        self.write_heading(name)
        yield

    @contextmanager
    def indentation(self) -> Iterator[None]:
        """Nothing is indented."""
        yield


def _block(paragraph: str) -> str:
    """Lines that stand as they are, the first as a sentence where it ends in a colon."""
    lines = paragraph.replace("\b", "").strip("\n").splitlines()
    lead, code = (lines[:1], lines[1:]) if lines[0].endswith(":") and len(lines) > 1 else ([], lines)
    return "\n".join([*lead, "", "```text", *code, "```", "", ""])


def _plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([*_\[\]])", r"\\\1", text.replace("<", "&lt;"))


def page() -> str:
    """All commands, one after the other."""
    group = click.Context(aspen, info_name="aspen", **aspen.context_settings)
    parts = [INTRODUCTION, _help(aspen, group)]
    for name in aspen.list_commands(group):
        command = aspen.get_command(group, name)
        assert command is not None, f"aspen lists {name} and does not have it"
        parts.append(f"## aspen {name}\n\n{_help(command, click.Context(command, info_name=name, parent=group))}")
    return "\n".join(parts)


def _help(command: click.Command, context: click.Context) -> str:
    formatter = MarkdownFormatter(width=_NO_END, max_width=_NO_END)
    command.format_help(context, formatter)
    return formatter.getvalue()
