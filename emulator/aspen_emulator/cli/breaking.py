"""What is left when a command is broken off with Ctrl-C, and how to go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

Given = Mapping[str, Any]
WHOLE = "every file is whole or not there; run it again"
"""Of commands that write at their end, all at once."""


class Interrupted(click.Abort):
    """Broken off; says what is left."""


def _train(given: Given) -> str:
    if given["checkpoint"] is None:
        return "nothing was written; with --checkpoint net.ckpt, the next can be gone on with"
    if not given["checkpoint"].is_file():
        return f"no epoch was done, so that {given['checkpoint']} is not there; run it again"
    return f"the epochs that were done are in {given['checkpoint']}; the same command with --resume goes on"


def _study(given: Given) -> str:
    return f"the networks that were trained are in {given['folder']}; the same command goes on"


def _stream(given: Given) -> str:
    if given["state_path"] is None:
        return "the state was not kept; with --state day.json, the next can be gone on with"
    return f"the state after the last window is in {given['state_path']}; the same command goes on"


_AFTER: dict[str, Callable[[Given], str]] = {"train": _train, "study": _study, "stream": _stream}


def left_by(command: str, given: Given) -> str:
    """What is left of a command that was broken off, and how to go on.

    Args:
        command: its name.
        given: parameter -> value.
    """
    return _AFTER.get(command, lambda _: WHOLE)(given)
