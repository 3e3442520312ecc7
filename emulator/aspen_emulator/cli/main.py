"""The ``aspen`` group of commands, and how errors become one line and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from aspen._base.names import printable, unknown_name
from aspen._base.packages import needed_for
from aspen._base.progress import telling
from aspen._version import __version__
from aspen.errors import AspenError
from aspen_emulator.cli.breaking import WHOLE
from aspen_emulator.cli.completion import ASKED, beginning_with, install_option, show_option
from aspen_emulator.cli.helping import Context
from aspen_emulator.cli.shown import colours
from aspen_emulator.cli.warned import plain_warnings

COMMANDS = {
    "demo": "demo",
    "doctor": "doctor",
    "help": "helping",
    "train": "train",
    "export": "export",
    "encode": "encode",
    "chips": "chips",
    "check": "deploy",
    "compile": "deploy",
    "run": "run",
    "stream": "stream",
    "sweep": "sweep",
    "calibrate": "calibrate",
    "report": "report",
    "explore": "explore",
    "profile": "profile",
    "study": "study",
}
"""Command -> module of this package that holds it; imported only when the command is used."""
SUMMARIES = {
    "demo": "Train, compile, run on Lava and turn the knob, all in one go.",
    "doctor": "Show what is installed, and test every engine.",
    "help": "Show the help of a command, page by page.",
    "train": "Train a network on a data set; keep it with dial and encoder.",
    "export": "Make an .aspen or .nir file of a snnTorch model of yours.",
    "encode": "Make spikes, or a current, of raw values.",
    "chips": "List the chips, or show every figure of one with its source.",
    "check": "Check a network against a chip's rules, and what is rounded.",
    "compile": "Compile a network to a chip's integers, or to a C program.",
    "run": "Run a network on spikes or values; write what it answers.",
    "stream": "Run a network on a recording, and hold a budget of energy.",
    "sweep": "Show accuracy, spikes and energy over the knob.",
    "calibrate": "Find what the knob is worth on a chip, and where to leave it.",
    "report": "Show what a run costs on chips, and of what that is made.",
    "explore": "Make a page in which the knob can be turned, in a browser.",
    "profile": "Count what any snnTorch model does, and what that costs.",
    "study": "Compare one dialled network with many trained for one energy.",
}
"""Command -> what it does, in a line that a terminal of 80 columns has room for."""
SECTIONS = {
    "Begin": "demo doctor help",
    "Make a network": "train export encode",
    "Put it on a chip": "chips check compile",
    "Run it": "run stream",
    "See what it costs": "sweep calibrate report explore profile study",
}
"""Heading -> the commands below it."""


ANYWHERE = ("--debug", "--progress", "--no-progress")
"""Options of all commands, which may stand before or behind them."""
BROKEN_OFF = 130
"""Exit code after Ctrl-C, as shells have it."""
ENDING = (
    "--debug and --progress may stand anywhere. Colours: NO_COLOR=1 leaves them out, FORCE_COLOR=1 keeps them in a "
    "pipe. "
    "Exit codes: 0 done, 1 the work failed, 2 wrong usage, 130 broken off with Ctrl-C."
)


class LazyGroup(click.Group):
    """Imports a command's module when it is needed, so that ``aspen --help`` answers at once."""

    context_class = Context

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"aspen_emulator.cli.{COMMANDS[name]}"), f"{name}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        longest = max(map(len, COMMANDS))
        known = {name for names in SECTIONS.values() for name in names.split()}
        others = " ".join(name for name in COMMANDS if name not in known)
        for heading, names in {**SECTIONS, "More": others}.items():
            if names:
                with formatter.section(heading):
                    formatter.write_dl([(name.ljust(longest), SUMMARIES[name]) for name in names.split()])

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(ctx, formatter)
        click.Command.format_options(self, ctx, formatter)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[Any]]:
        found = beginning_with(incomplete, {name: SUMMARIES[name] for name in COMMANDS})
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(unknown_name("command", args[0], COMMANDS))
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}, epilog=ENDING
)
@click.version_option(__version__, prog_name="aspen")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option("--progress/--no-progress", default=None,
              help="Say how far long work is, and what time is left, in a pipe too, or nowhere.  [default: in a "
                   "terminal]")  # fmt: skip
@install_option
@show_option
def aspen(debug: bool, progress: bool | None) -> None:
    """Train a spiking network once, then trade spikes for accuracy at run time with one knob.

    \b
    Start here:
      aspen demo                         all of it, in a few minutes
      aspen doctor                       what is installed, and whether it works
      aspen help run                     options and examples of a command
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 the work failed, 2 wrong usage, 130 broken off with Ctrl-C."""
    sys.exit(_run(list(sys.argv[1:] if arguments is None else arguments)))


def _run(given: list[str]) -> int:
    arguments, said = _apart(given)
    debug, asked = "--debug" in said, [each for each in said if each != "--debug"]
    bars = asked[-1] == "--progress" if asked else None
    try:
        with needed_for("this command"), telling(bars), plain_warnings():
            result = aspen.main(arguments, prog_name="aspen", standalone_mode=False, color=colours(sys.stdout))
        return result if isinstance(result, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True, color=colours(sys.stderr))
        return 2
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "aspen"
        return _fail(f"{where}: {_one_line(_remedied(error.format_message()))} (see '{where} --help')", 2, debug)
    except click.ClickException as error:
        return _fail(f"aspen: {_one_line(error.format_message())}", 1, debug)
    except (click.Abort, KeyboardInterrupt) as error:
        return _fail(f"aspen: interrupted; {str(error) or WHOLE}", BROKEN_OFF, debug)
    except AspenError as error:
        return _fail(f"aspen: {_one_line(str(error))}", 1, debug)
    except BrokenPipeError:  # whoever read what is printed has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left to print at the end of Python goes nowhere
        return 1
    except Exception as error:
        message = (
            f"aspen: internal error: {type(error).__name__}: {_one_line(str(error))} (add --debug for the traceback)"
        )
        return _fail(message, 1, debug)


def _apart(given: list[str]) -> tuple[list[str], list[str]]:
    """The arguments, without those that may stand anywhere; and those."""
    return [each for each in given if each not in ANYWHERE], [each for each in given if each in ANYWHERE]


def _remedied(message: str) -> str:
    """What click says, with a remedy where it has none."""
    extra = "unexpected extra argument" in message
    return f"{message}; leave it out, or name it by its option, as in --input X.npy" if extra else message


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))


def _fail(message: str, code: int, debug: bool) -> int:
    if ASKED in os.environ:  # whoever pressed the tab key goes on typing
        return code
    if debug:
        traceback.print_exc()
    begin, colon, rest = message.partition(":")
    click.echo(f"{click.style(begin, fg='red')}{colon}{rest}", err=True, color=colours(sys.stderr))
    return code
