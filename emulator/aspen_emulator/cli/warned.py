"""Warnings of a command: one line on standard error each."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aspen import errors
from aspen_emulator.cli.shown import show


def warn(message: str) -> None:
    """Say something on standard error that the user should know, where the work goes on."""
    show(f"warning: {message}", err=True)


@contextmanager
def plain_warnings() -> Iterator[None]:
    """The library's warnings come as a command's own, without a place in its source; others as Python shows them."""
    with warnings.catch_warnings():
        shown = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if category.__module__ == errors.__name__:
                warn(str(message))
            else:
                shown(message, category, *where, **more)

        warnings.showwarning = show
        yield
