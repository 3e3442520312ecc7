"""Runs a compiled loop over columns on as many threads as torch uses.

Own threads rather than numba's: those refuse to be entered from two Python threads at a time, and do not survive a
fork; these are made anew in a forked process.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

_WORTH = 1 << 16
"""Values per thread below which handing work to a thread costs more than it saves."""
_ALIGNED = 64
"""Parts begin at multiples of so many columns, so that no two threads write to one line of the cache."""
_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}


def spread(loop: Callable[..., None], columns: int, start: int, stop: int, *others: Any) -> None:
    """Run ``loop(lo, hi, start, stop, *others)`` over parts of the columns.

    Args:
        loop: compiled; it lets go of Python's lock.
        columns: number of columns; the parts cover ``range(columns)``.
        start, stop: the time steps.
        others: passed on.
    """
    args = start, stop, *others
    threads = max(1, min(torch.get_num_threads(), (stop - start) * columns // _WORTH))
    if threads == 1:
        loop(0, columns, *args)
        return
    size = -(-columns // (threads * _ALIGNED)) * _ALIGNED
    parts = [(lo, min(lo + size, columns)) for lo in range(0, columns, size)]
    waiting = [_pool(threads - 1).submit(loop, lo, hi, *args) for lo, hi in parts[1:]]
    loop(*parts[0], *args)
    for each in waiting:
        each.result()


def _pool(workers: int) -> ThreadPoolExecutor:
    key = (os.getpid(), workers)
    if key not in _pools:
        _pools[key] = ThreadPoolExecutor(workers, "aspen-fused")
    return _pools[key]
