"""The ``aspen`` group of commands, and how errors become one line and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

import click

from aspen._base.names import unknown_name
from aspen._base.packages import needed_for
from aspen._base.progress import telling
from aspen._version import __version__
from aspen.errors import AspenError
from aspen_emulator.cli.warned import plain_warnings

COMMANDS = {
    "demo": "demo",
    "train": "train",
    "export": "export",
    "compile": "deploy",
    "check": "deploy",
    "encode": "encode",
    "run": "run",
    "sweep": "sweep",
    "calibrate": "calibrate",
    "stream": "stream",
    "report": "report",
    "explore": "explore",
    "profile": "profile",
    "study": "study",
    "chips": "chips",
    "doctor": "doctor",
}
"""Command -> module of this package that holds it; imported only when the command is used."""
SUMMARIES = {
    "demo": "Train plain, perturbed and dialled networks on handwritten digits, compile them, and turn their knobs.",
    "train": "Train a network on a data set, and export it to an .aspen file, with its dial and its encoder.",
    "export": "Export MODEL, given as MODULE:NAME, to an .aspen or .nir file.",
    "compile": "Compile NETWORK to a chip's integers and store them in the same file, beside the trained network.",
    "check": "Check NETWORK against every design rule of a chip and, with sample input, what rounding does to its "
    "spikes.",
    "encode": "Make spikes, or a current, of raw values, by the encoder in NETWORK or by one of a name.",
    "run": "Run NETWORK (an .aspen file) on spikes, or on raw values, and write its output spikes.",
    "sweep": "Run NETWORK at several knobs and show accuracy, spikes, synaptic operations and energy of each.",
    "calibrate": "Measure what the knob of NETWORK costs and gives on a chip, and choose where it is left.",
    "stream": "Stream a recording through NETWORK and hold an energy budget by turning its knob from window to window.",
    "report": "Run NETWORK once, count spikes, operations and updates, and say what a battery sees, and of what it is "
    "made.",
    "explore": "Write one page in which the knob of NETWORK can be turned: accuracy, spikes, energy, and where they "
    "come from.",
    "profile": "Count what MODEL, given as MODULE:NAME, does on an input, layer by layer, and say what that costs on "
    "chips.",
    "study": "Train the envelope and the dialled networks of NAMES, compare them, and write tables and plots.",
    "chips": "List the known chips, or show one: limits, number formats and energies with unit, source and trust mark.",
    "doctor": "Show versions, what is installed, and a one-step self-test of every engine.",
}
"""Command -> the first sentence of its help, so that listing the commands imports none."""


class LazyGroup(click.Group):
    """Imports a command's module when it is needed, so that ``aspen --help`` answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"aspen_emulator.cli.{COMMANDS[name]}"), f"{name}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        limit = formatter.width - 6 - max(map(len, COMMANDS))  # as click reckons
        rows = [(name, click.Command(name, help=text).get_short_help_str(limit)) for name, text in SUMMARIES.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(unknown_name("command", args[0], COMMANDS))
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="aspen")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def aspen(debug: bool) -> None:
    """Train a spiking network once, then trade spikes for accuracy at run time with one knob.

    \b
    Start here:
      aspen demo                         train, compile, run on Lava, turn the knob: everything in one go
      aspen doctor                       what is installed, and whether it works
      aspen run NETWORK --input X.npy --output Y.npy --knob 1.5
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 the work failed, 2 wrong usage."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(_run(arguments, debug="--debug" in arguments))


def _run(arguments: list[str], debug: bool) -> int:
    try:
        with needed_for("this command"), telling(), plain_warnings():
            result = aspen.main([a for a in arguments if a != "--debug"], prog_name="aspen", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "aspen"
        return _fail(f"{where}: {_one_line(_remedied(error.format_message()))} (see '{where} --help')", 2, debug)
    except click.ClickException as error:
        return _fail(f"aspen: {_one_line(error.format_message())}", 1, debug)
    except (click.Abort, KeyboardInterrupt):
        return _fail("aspen: interrupted", 1, debug)
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


def _remedied(message: str) -> str:
    """What click says, with a remedy where it has none."""
    extra = "unexpected extra argument" in message
    return f"{message}; leave it out, or name it by its option, as in --input X.npy" if extra else message


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _fail(message: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    click.echo(message, err=True)
    return code
