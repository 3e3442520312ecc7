"""What is said on standard error while work goes on, and to whom.

The library says something where a person sees it, in a terminal or a notebook, and nothing in a pipe or a log file.
The command line always says it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

_always = False


def in_notebook() -> bool:
    """Whether this is the kernel of a Jupyter notebook: its standard error is no terminal, and is seen all the same."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and "IPKernelApp" in shell.config


def is_watched() -> bool:
    """Whether a person sees what is written to standard error."""
    return in_notebook() or (sys.stderr is not None and sys.stderr.isatty())


def tell(line: str) -> None:
    """Write one line to standard error, above any progress bar, if it is seen or this is a command."""
    if sys.stderr is not None and (_always or is_watched()):
        tqdm.write(line, file=sys.stderr)


@contextmanager
def telling() -> Iterator[None]:
    """While this lasts, :func:`tell` writes into pipes and files too, as the command line does."""
    global _always
    before, _always = _always, True
    try:
        yield
    finally:
        _always = before
