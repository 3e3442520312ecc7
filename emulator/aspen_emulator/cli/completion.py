"""Completion of commands, options, files and chips with the tab key: in bash, zsh and fish."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)

from aspen_emulator.cli.shown import show

SUFFIXES = "suffixes"
"""Type of an item that stands for all files with one of the suffixes in its value, ``aspen|nir``, and all folders."""
ASKED = "_ASPEN_COMPLETE"
"""In the environment of a run that answers the tab key."""
MARK = "# completion of aspen"
_BASH = """\
        elif [[ $type == 'suffixes' ]]; then
            local suffix word="${COMP_WORDS[COMP_CWORD]}"
            compopt -o filenames
            for suffix in ${value//|/$'\\n'}; do
                COMPREPLY+=($(compgen -f -X "!*.$suffix" -- "$word"))
            done
            COMPREPLY+=($(compgen -d -- "$word"))
"""
_ZSH = """\
        elif [[ "$type" == "suffixes" ]]; then
            suffixes="$key"
"""
_ZSH_AT_THE_END = """\

    if [ -n "$suffixes" ]; then
        _files -g "*.($suffixes)"
    fi
"""
"""Behind the names: what zsh is told of after files that are not there, it forgets."""
_FISH = """\
        else if test $metadata[1] = "suffixes";
            for suffix in (string split "|" $metadata[2]);
                __fish_complete_suffix .$suffix;
            end;
"""


def _after_files(template: str, last: str, added: str) -> str:
    """A script of click's with one more kind of item, behind the line for files."""
    before, found, after = template.partition(last)
    assert found, "click's script has another form"
    return before + found + added + after


class Bash(BashComplete):
    """bash, from 4.4."""

    source_template = _after_files(BashComplete.source_template, "            compopt -o default\n", _BASH)


class Zsh(ZshComplete):
    """zsh."""

    source_template = _after_files(
        _after_files(
            _after_files(ZshComplete.source_template, "            _path_files -f\n", _ZSH),
            "        compadd -U -V unsorted -a completions\n    fi\n",
            _ZSH_AT_THE_END,
        ),
        "    local -a response\n",
        "    local suffixes type key descr\n",
    )


class Fish(FishComplete):
    """fish."""

    source_template = _after_files(
        FishComplete.source_template, "            __fish_complete_path $metadata[2];\n", _FISH
    )

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """Its parts are told apart by commas, of which the words beside it are free."""
        kind, value = f"{item.type},{item.value}", (item.help or "").replace(",", ";")
        return f"{kind}\t{value}" if value else kind


SHELLS: dict[str, type[ShellComplete]] = {"bash": Bash, "zsh": Zsh, "fish": Fish}
for _kind in SHELLS.values():
    add_completion_class(_kind)


def with_suffixes(suffixes: Iterable[str]) -> list[CompletionItem[Any]]:
    """All files with one of ``suffixes``, and the folders that lead to them."""
    return [CompletionItem("|".join(suffix.lstrip(".") for suffix in suffixes), type=SUFFIXES)]


def beginning_with(incomplete: str, names: Iterable[str] | dict[str, str]) -> list[CompletionItem[Any]]:
    """Those of some names that begin so; with what they mean where ``names`` says it."""
    told = names if isinstance(names, dict) else {}
    return [CompletionItem(name, help=told.get(name)) for name in names if name.startswith(incomplete)]


def script(shell: str) -> str:
    """What a shell runs to complete aspen's words."""
    return SHELLS[shell](click.Command("aspen"), {}, "aspen", ASKED).source()


def install(shell: str, home: Path) -> list[str]:
    """Put the script where the shell finds it, and, but in fish, which finds it by itself, a line into its start file.

    Doing it again changes nothing but the script.

    Args:
        shell: a key of :data:`SHELLS`.
        home: of the user.

    Returns:
        what was done, and how to try it.
    """
    if shell == "fish":
        place = home / ".config/fish/completions/aspen.fish"
        _write(place, script(shell))
        return [f"written: {place}", "it works in every new fish"]
    place = home / f".local/share/aspen/complete.{shell}"
    start = home / f".{shell}rc"
    lines = [f'source "{place}"  {MARK}']
    if shell == "zsh":
        lines.insert(0, f"(( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit; }}  {MARK}")
    _write(place, script(shell))
    from aspen.storage.writing import write_atomically

    known = start.read_text("utf-8") if start.exists() else ""
    kept = [line for line in known.splitlines() if not line.endswith(MARK)]
    write_atomically(start, "".join(f"{line}\n" for line in [*kept, *lines]).encode())
    return [f"written: {place}", f"added to {start}: {lines[-1]}", f"it works in every new {shell}"]


def _write(place: Path, text: str) -> None:
    from aspen.storage.outputs import make_folder
    from aspen.storage.writing import write_atomically

    make_folder(place.parent)
    write_atomically(place, text.encode())


def _shell(asked: str) -> str:
    """The shell that was asked for, or the user's own."""
    shell = Path(os.environ.get("SHELL", "")).name if asked == "auto" else asked
    if shell not in SHELLS:
        raise click.UsageError(
            f"--install-completion: found the shell {shell or 'of no name'}, allowed are {', '.join(SHELLS)}; name one"
        )
    return shell


def _install(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        show(*install(_shell(value), Path.home()))
        ctx.exit()


def _show(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        click.echo(script(_shell(value)), nl=False)
        ctx.exit()


_kinds = click.Choice([*SHELLS, "auto"])
install_option = click.option(
    "--install-completion", is_flag=False, flag_value="auto", type=_kinds, metavar="[SHELL]", is_eager=True,
    expose_value=False, callback=_install,
    help="Complete with the tab key from now on, in bash, zsh or fish.",
)  # fmt: skip
show_option = click.option(
    "--show-completion", is_flag=False, flag_value="auto", type=_kinds, metavar="[SHELL]", is_eager=True,
    expose_value=False, callback=_show, help="Print the script for that, to install it by hand.",
)  # fmt: skip
