"""How the help of a command looks: options by what they are about, examples, colours in a terminal."""

from __future__ import annotations

from collections.abc import Iterable

import click

from aspen._base.names import unknown_name
from aspen_emulator.cli.examples import EXAMPLES

GIVEN, NETWORK, TRAINING, KNOB = "What it is given", "Network", "Training", "Knob"
GOAL, WHERE, INTEGERS, PROGRAM = "What is asked for", "Chip and engine", "Integers", "C program"
WRITTEN, OTHER = "What is written and shown", "Options"
SECTIONS = {
    GIVEN: "--input --recording --values --sample --data --data-path --part --labels --samples --encoder --seeds "
           "--seed --state-dict --time-axis --argument",
    NETWORK: "--model --hidden --channels --batch-norm --learn-beta --readout --surrogate",
    TRAINING: "--recipe --epochs --learning-rate --spike-price --density --cost --left --dial-price --final --energy "
              "--processes --scheduler --trained",
    KNOB: "--knob --knobs --scales --dial --threshold-scale --early --every --max-loss",
    GOAL: "--budget --battery --hours --rate --gated --confidence --max-energy --min-accuracy --dynamic --sure --reach "
          "--stored",
    WHERE: "--chip --engine --float --lava --steps --step-time --window-time --time --scenario --clock --cycles "
           "--real-time --windows --ann",
    INTEGERS: "--max-threshold-scale --calibrate --calibrate-values --input-peak --input-bits --threshold-groups",
    PROGRAM: "--prefix --sensor-scale --sensor-offset",
    WRITTEN: "--output --to --labels-output --record --membranes --folder --save --report --plot --log --checkpoint "
             "--resume --state --json --help",
}  # fmt: skip
"""Heading -> options that stand under it, in every command that has them."""
ELSEWHERE = {
    ("sweep", "--scheduler"): WHERE,
    ("train", "--every"): TRAINING,
    ("train", "--seed"): TRAINING,
    ("train", "--state-dict"): WRITTEN,
    ("study", "--seeds"): TRAINING,
    ("compile", "--budget"): PROGRAM,
}
"""Command and option -> its heading there, where it means something else."""
ROOM = 30
"""Characters of the names of a choice that stand beside its option."""
FEW = 7
"""So many options need no headings."""
_HEADING = {option: heading for heading, options in SECTIONS.items() for option in options.split()}


def heading_of(command: str, option: str) -> str:
    """Under which heading an option of a command stands."""
    return ELSEWHERE.get((command, option)) or _HEADING.get(option, OTHER)


def _record(option: click.Option, ctx: click.Context) -> tuple[str, str] | None:
    """What stands in a line, and beside it; with the names of a choice where the line has no room for them."""
    record = option.get_help_record(ctx)
    if record is None or not isinstance(option.type, click.Choice) or not record[0].endswith(" NAME"):
        return record
    names = [str(name) for name in option.type.choices]
    return (
        record if all(name in record[1] for name in names) else (record[0], f"{record[1]}  One of {', '.join(names)}.")
    )


class Formatter(click.HelpFormatter):
    """Headings stand out, and so do names; click leaves the colours out where nobody would see them."""

    def write_heading(self, heading: str) -> None:
        """A heading."""
        self.write(f"{'':>{self.current_indent}}{click.style(heading, bold=True)}:\n")

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Names and what they mean."""
        super().write_dl([(click.style(name, fg="cyan"), text) for name, text in rows], col_max, col_spacing)


class Context(click.Context):
    """A context whose help is written by :class:`Formatter`."""

    formatter_class = Formatter


class Command(click.Command):
    """A command with its options in sections, and with examples."""

    context_class = Context

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Options by what they are about, where there are many."""
        sections: dict[str, list[tuple[str, str]]] = {}
        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        known = [(option.opts, _record(option, ctx)) for option in options]
        shown = [(opts, record) for opts, record in known if record is not None]
        for opts, record in shown:
            option = next(name for name in opts if name.startswith("--"))
            heading = heading_of(self.name or "", option) if len(shown) > FEW else OTHER
            sections.setdefault(heading, []).append(record)
        for heading in (*SECTIONS, OTHER):
            if heading in sections:
                with formatter.section(heading):
                    formatter.write_dl(sections[heading])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Examples, each on one line, to be copied."""
        super().format_epilog(ctx, formatter)
        examples = EXAMPLES.get(self.name or "", ())
        if examples:
            with formatter.section("Examples"):
                formatter.write_text("\n".join(["\b", *examples]))


def _commands(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    parent = ctx.parent
    assert parent is not None  # as it is a command of aspen
    assert isinstance(parent.command, click.Group)
    return [name for name in parent.command.list_commands(parent) if name.startswith(incomplete)]


@click.command("help", cls=Command)
@click.argument("name", metavar="[COMMAND]", required=False, shell_complete=_commands)
@click.pass_context
def help_command(ctx: click.Context, name: str | None) -> None:
    """Show the help of COMMAND, or of all, page by page in a terminal."""
    parent = ctx.parent
    assert parent is not None  # as it is a command of aspen
    assert isinstance(parent.command, click.Group)
    group = parent.command
    if name is None:
        click.echo_via_pager(parent.get_help(), color=ctx.color)
        return
    if name not in group.list_commands(parent):
        raise click.UsageError(unknown_name("COMMAND", name, group.list_commands(parent)))
    command = group.get_command(parent, name)
    assert command is not None  # it is listed
    with command.context_class(command, info_name=name, parent=parent) as asked:
        click.echo_via_pager(command.get_help(asked), color=ctx.color)
