"""Memory for the large arrays of a layer, used again from one training step to the next.

Fresh memory is cleared by the system page by page, which takes about as long as the time loop itself. So arrays are
kept for a while, and handed out again when nobody holds a tensor on them any more, which their reference count tells.
They come from NumPy, which asks the system for large pages.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aspen.fused.vectors import LANES, LINE

_NUMPY: dict[torch.dtype, Any] = {torch.float32: np.float32, torch.float64: np.float64, torch.int16: np.int16}
_SMALLEST = 1 << 18
"""Bytes below which memory is not kept."""
_PATIENCE = 64
"""An array that nobody took for so many requests is given back to the system."""
_EVERY = 16
"""Requests after which it is looked for such arrays."""
_LARGE = 1 << 22
"""Bytes from which on an array is gone from the cache before it is read."""
_FREE = 2
"""References to an array that only the pool holds: its own, and the argument of ``getrefcount``."""


def past_the_cache(filled: Tensor) -> bool:
    """Whether an array (rows, n) is written past the cache: it is large, and rows are vectors that begin in lines."""
    return filled.nbytes >= _LARGE and filled.shape[1] % LANES == 0 and filled.data_ptr() % LINE == 0


class Pool:
    """Arrays, each with where its first line begins and the number of the request that took it last, by size."""

    def __init__(self) -> None:
        self._arrays: dict[int, list[list[Any]]] = {}
        self._requests = 0
        self._lock = Lock()

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """A tensor with arbitrary values, float32, float64 or int16, contiguous."""
        size = math.prod(shape) * dtype.itemsize
        if size < _SMALLEST:
            return torch.empty(*shape, dtype=dtype)
        with self._lock:
            base, start = self._take(size + LINE)
        return torch.from_numpy(base[start : start + size].view(_NUMPY[dtype]).reshape(shape))

    def _take(self, size: int) -> tuple[Any, int]:
        self._requests += 1
        if self._requests % _EVERY == 0:
            self._give_back()
        entries = self._arrays.setdefault(size, [])
        for entry in entries:
            if sys.getrefcount(entry[0]) == _FREE:
                entry[2] = self._requests
                return entry[0], entry[1]
        made = np.empty(size, np.uint8)
        entries.append([made, -made.ctypes.data % LINE, self._requests])
        return made, entries[-1][1]

    def _give_back(self) -> None:
        for size, entries in list(self._arrays.items()):
            self._arrays[size] = [entry for entry in entries if self._requests - entry[2] < _PATIENCE]
            if not self._arrays[size]:
                del self._arrays[size]


POOL = Pool()
