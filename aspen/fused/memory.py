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
_LARGE = 1 << 22
"""Bytes from which on an array is gone from the cache before it is read."""
_FREE = 2
"""References to an array that only the pool holds: its own, and the argument of ``getrefcount``."""


def past_the_cache(filled: Tensor) -> bool:
    """Whether an array (rows, n) is written past the cache: it is large, and rows are vectors that begin in lines."""
    return filled.nbytes >= _LARGE and filled.shape[1] % LANES == 0 and filled.data_ptr() % LINE == 0


class Pool:
    """Arrays, each with the number of the request that took it last."""

    def __init__(self) -> None:
        self._arrays: list[list[Any]] = []
        self._requests = 0
        self._lock = Lock()

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """A tensor with arbitrary values, float32, float64 or int16, contiguous."""
        size = math.prod(shape) * dtype.itemsize
        if size < _SMALLEST:
            return torch.empty(*shape, dtype=dtype)
        with self._lock:
            base = self._take(size + LINE)
        start = -base.ctypes.data % LINE
        return torch.from_numpy(base[start : start + size].view(_NUMPY[dtype]).reshape(shape))

    def _take(self, size: int) -> Any:
        self._requests += 1
        found = None
        for entry in self._arrays:
            if found is None and entry[0].nbytes == size and sys.getrefcount(entry[0]) == _FREE:
                entry[1] = self._requests
                found = entry[0]
        self._arrays = [entry for entry in self._arrays if self._requests - entry[1] < _PATIENCE]
        if found is None:
            found = np.empty(size, np.uint8)
            self._arrays.append([found, self._requests])
        return found


POOL = Pool()
