"""Says when machine code is compiled, which takes as long as a small training and is done once on a machine."""

from __future__ import annotations

import time
from typing import Any

from numba.core import event

from aspen._base.progress import tell

LINE = "aspen: compiling machine code for this machine, once: up to half a minute"
PAUSE = 5.0
"""Seconds without compiling after which it is said again."""


class Teller(event.Listener):
    """Says it at the first of several functions that are compiled one after another.

    numba tells of a function only when it is compiled, not when it finds its machine code on disk.

    Args:
        module: whose functions are meant; others are none of our business.
    """

    def __init__(self, module: str) -> None:
        self.module = module
        self.depth = 0
        self.ended = float("-inf")

    def _is_ours(self, happened: Any) -> bool:
        return bool(happened.data["dispatcher"].py_func.__module__ == self.module)

    def on_start(self, happened: Any) -> None:
        """A function begins to be compiled."""
        if not self._is_ours(happened):
            return
        if self.depth == 0 and time.monotonic() - self.ended > PAUSE:
            tell(LINE)
        self.depth += 1

    def on_end(self, happened: Any) -> None:
        """A function has been compiled, or could not be."""
        if self._is_ours(happened):
            self.depth -= 1
            self.ended = time.monotonic()


def tell_of_compiling(module: str) -> None:
    """From now on, say when functions of ``module`` are compiled."""
    event.register("numba:compile", Teller(module))
