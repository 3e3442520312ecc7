"""Matrix products by events: only the inputs that are not zero are multiplied, compiled.

A row of inputs is one sample at one time step. What it brings is the sum of the weights of its events, each times its
value (1 for a spike); its part of the weight gradient goes to the weights of these events alone. The work is spread
over outputs, each of which is summed in the same order whatever the number of threads.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from aspen._base.arrays import Array
from aspen._base.compiled import compiled
from aspen._base.compiling import tell_of_compiling
from aspen.fused.vectors import LANES, TILE, events_among, give_tile, give_vector, lowest, sum_tile, sum_vector

WORD = 64
"""Inputs whose events are listed in one loop."""
ROWS = 64
"""Rows whose events are listed at a time: their weights stay in the cache for so long."""

tell_of_compiling(__name__)
_compiled: Any = partial(compiled, error_model="numpy")


@_compiled
def _list_events(row: Array, events: Array, found: int) -> int:
    """Write the places in ``row`` that are not zero to ``events`` from ``found`` on; the number of events then."""
    n = row.size
    whole = n - n % LANES
    for start in range(0, whole, WORD):
        bits = np.uint64(0)
        for lane in range(start, min(start + WORD, whole), LANES):
            bits |= events_among(row, lane) << np.uint64(lane - start)
        while bits:  # of a word: each loop that ends after another number of rounds holds the processor up
            events[found] = start + lowest(bits)
            found += 1
            bits &= bits - np.uint64(1)
    for i in range(whole, n):
        events[found] = i
        found += 1 if row[i] != 0 else 0
    return found


@_compiled
def count_events(inputs: Array, every: int) -> int:
    """How many values of every so many-th row of ``inputs`` (rows, m) are not zero."""
    total = 0
    for r in range(0, len(inputs), every):
        row = inputs[r]
        for i in range(row.size):
            total += 1 if row[i] != 0 else 0
    return total


@_compiled
def _list_rows(inputs: Array, start: int, stop: int, events: Array, ends: Array) -> None:
    """Write the events of some rows to ``events``, those of each up to the next of ``ends``."""
    for r in range(start, stop):
        ends[r - start + 1] = _list_events(inputs[r], events, ends[r - start])


@_compiled
def forward(lo: int, hi: int, start: int, stop: int, inputs: Array, weights: Array, bias: Array, made: Array) -> None:
    """The outputs ``lo`` to ``hi`` of the rows ``start`` to ``stop``.

    Args:
        lo, hi: outputs, out of n; ``lo`` is a multiple of :data:`aspen.fused.vectors.LANES`.
        start, stop: rows.
        inputs: (rows, m), contiguous.
        weights: (m, n up to a multiple of LANES), contiguous.
        bias: (as many outputs,).
        made: filled (rows, n), contiguous.
    """
    n, width = made.shape[1], weights.shape[1]
    table, sums, last = weights.reshape(-1), made.reshape(-1), np.empty(LANES, made.dtype)
    events, ends = np.empty(ROWS * inputs.shape[1] + 1, np.int32), np.zeros(ROWS + 1, np.intp)
    tiles, vectors = lo + (hi - lo) // TILE * TILE, lo + (hi - lo) // LANES * LANES
    for block in range(start, stop, ROWS):
        end = min(block + ROWS, stop)
        _list_rows(inputs, block, end, events, ends)
        for r in range(block, end):
            sums[r * n + lo : r * n + hi] = bias[lo:hi]
        for at in range(lo, tiles, TILE):
            for r in range(block, end):
                a, b = ends[r - block], ends[r - block + 1]
                sum_tile(inputs[r], events, a, b, table, width, at, sums, r * n + at)
        for at in range(tiles, vectors, LANES):
            for r in range(block, end):
                a, b = ends[r - block], ends[r - block + 1]
                sum_vector(inputs[r], events, a, b, table, width, at, sums, r * n + at)
        if vectors < hi:
            for r in range(block, end):
                a, b = ends[r - block], ends[r - block + 1]
                last[:] = bias[vectors : vectors + LANES]
                sum_vector(inputs[r], events, a, b, table, width, vectors, last, 0)
                sums[r * n + vectors : r * n + hi] = last[: hi - vectors]


@_compiled
def weight_gradient(lo: int, hi: int, start: int, stop: int, inputs: Array, grad: Array, total: Array) -> None:
    """Add the gradient of the weights of the outputs ``lo`` to ``hi`` from the rows ``start`` to ``stop``.

    Args:
        lo, hi: outputs, out of n; ``lo`` is a multiple of :data:`aspen.fused.vectors.LANES`.
        start, stop: rows.
        inputs: (rows, m), contiguous.
        grad: of the outputs (rows, n), contiguous.
        total: added to (m, n up to a multiple of LANES), contiguous.
    """
    n, width = grad.shape[1], total.shape[1]
    table, arriving, last = total.reshape(-1), grad.reshape(-1), np.zeros(LANES, grad.dtype)
    events, ends = np.empty(ROWS * inputs.shape[1] + 1, np.int32), np.zeros(ROWS + 1, np.intp)
    tiles, vectors = lo + (hi - lo) // TILE * TILE, lo + (hi - lo) // LANES * LANES
    for block in range(start, stop, ROWS):
        end = min(block + ROWS, stop)
        _list_rows(inputs, block, end, events, ends)
        for at in range(lo, tiles, TILE):
            for r in range(block, end):
                a, b = ends[r - block], ends[r - block + 1]
                give_tile(inputs[r], events, a, b, table, width, at, arriving, r * n + at)
        for at in range(tiles, vectors, LANES):
            for r in range(block, end):
                a, b = ends[r - block], ends[r - block + 1]
                give_vector(inputs[r], events, a, b, table, width, at, arriving, r * n + at)
        if vectors < hi:
            for r in range(block, end):
                a, b = ends[r - block], ends[r - block + 1]
                last[: hi - vectors] = arriving[r * n + vectors : r * n + hi]
                give_vector(inputs[r], events, a, b, table, width, vectors, last, 0)
