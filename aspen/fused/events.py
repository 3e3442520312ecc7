"""Matrix products by events: only the inputs that are not zero are multiplied, compiled.

A row of inputs is one sample at one time step. What it brings is the sum of the weights of its events, each times its
value (1 for a spike); its part of the weight gradient goes to the weights of these events alone. The work is spread
over rows, and that of the gradient over outputs, so that each sum is in the same order whatever the number of threads.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from aspen._base.arrays import Array
from aspen._base.compiled import compiled
from aspen._base.compiling import tell_of_compiling
from aspen.fused.vectors import (
    LANES,
    TILE,
    arrived,
    events_among,
    give_tile,
    give_vector,
    lowest,
    number_of,
    sum_tile,
    sum_tile_past,
    sum_vector,
    sum_vector_past,
)

WORD = 64
"""Inputs whose events are listed in one loop."""
SURE = 8
"""Events of a word that are written whether there are so many or not."""
ROWS = 64
"""Rows whose events are listed at a time: their weights stay in the cache for so long."""

tell_of_compiling(__name__)
_compiled: Any = partial(compiled, error_model="numpy")


@_compiled
def _list_events(row: Array, events: Array, found: int) -> int:
    """Write the places in ``row`` that are not zero to ``events`` from ``found`` on; the number of events then.

    Up to :data:`SURE` places behind the last event are overwritten: each word writes so many, whether it has them or
    not, as a loop that ends after another number of rounds each time holds the processor up.
    """
    n = row.size
    whole = n - n % LANES
    for start in range(0, whole, WORD):
        bits = np.uint64(0)
        for lane in range(start, min(start + WORD, whole), LANES):
            bits |= events_among(row, lane) << np.uint64(lane - start)
        count = number_of(bits)
        for place in range(found, found + SURE):
            events[place] = start + lowest(bits)
            bits &= bits - np.uint64(1)
        place = found + SURE
        while bits:
            events[place] = start + lowest(bits)
            place += 1
            bits &= bits - np.uint64(1)
        found += count
    for i in range(whole, n):
        events[found] = i
        found += 1 if row[i] != 0 else 0
    return found


@_compiled
def count_events(inputs: Array, every: int) -> int:
    """How many values of every so many-th row of ``inputs`` (rows, m) are not zero."""
    n = inputs.shape[1]
    whole, total = n - n % LANES, 0
    for r in range(0, len(inputs), every):
        row = inputs[r]
        for lane in range(0, whole, LANES):
            total += number_of(events_among(row, lane))
        for i in range(whole, n):
            total += 1 if row[i] != 0 else 0
    return total


@_compiled
def _empty_list(m: int) -> tuple[Array, Array]:
    """Room for the events of :data:`ROWS` rows of m inputs, and where those of each row begin and end."""
    return np.empty(ROWS * m + SURE, np.int32), np.zeros(ROWS + 1, np.intp)


@_compiled
def _list_rows(inputs: Array, start: int, stop: int, events: Array, ends: Array) -> None:
    """Write the events of some rows to ``events``, those of each up to the next of ``ends``."""
    for r in range(start, stop):
        ends[r - start + 1] = _list_events(inputs[r], events, ends[r - start])


@_compiled
def forward(
    lo: int, hi: int, start: int, stop: int, inputs: Array, weights: Array, bias: Array, made: Array, past: bool
) -> None:
    """The outputs ``start`` to ``stop`` of the rows ``lo`` to ``hi``.

    Args:
        lo, hi: rows.
        start, stop: outputs, out of n; ``start`` is a multiple of :data:`aspen.fused.vectors.LANES`.
        inputs: (rows, m), contiguous.
        weights: (n / LANES rounded up, m, LANES), contiguous.
        bias: (n up to a multiple of LANES,).
        made: filled (rows, n), contiguous.
        past: whether past the cache, as :func:`aspen.fused.memory.past_the_cache` has it.
    """
    n, m = made.shape[1], inputs.shape[1]
    table, apart, sums, last = weights.reshape(-1), m * LANES, made.reshape(-1), np.empty(LANES, made.dtype)
    events, ends = _empty_list(m)
    tiles, vectors = start + (stop - start) // TILE * TILE, start + (stop - start) // LANES * LANES
    for block in range(lo, hi, ROWS):
        end = min(block + ROWS, hi)
        _list_rows(inputs, block, end, events, ends)
        for at in range(start, tiles, TILE):
            for r in range(block, end):
                a, b = ends[r - block], ends[r - block + 1]
                if past:
                    sum_tile_past(inputs[r], events, a, b, table, apart, at, bias, sums, r * n + at)
                else:
                    sum_tile(inputs[r], events, a, b, table, apart, at, bias, sums, r * n + at)
        for at in range(tiles, vectors, LANES):
            for r in range(block, end):
                a, b = ends[r - block], ends[r - block + 1]
                if past:
                    sum_vector_past(inputs[r], events, a, b, table, apart, at, bias, sums, r * n + at)
                else:
                    sum_vector(inputs[r], events, a, b, table, apart, at, bias, sums, r * n + at)
        if vectors < stop:
            for r in range(block, end):
                a, b = ends[r - block], ends[r - block + 1]
                sum_vector(inputs[r], events, a, b, table, apart, vectors, bias, last, 0)
                for lane in range(stop - vectors):
                    sums[r * n + vectors + lane] = last[lane]
    if past:
        arrived()


@_compiled
def weight_gradient(lo: int, hi: int, start: int, stop: int, inputs: Array, grad: Array, total: Array) -> None:
    """Add the gradient of the weights of the outputs ``lo`` to ``hi`` from the rows ``start`` to ``stop``.

    Args:
        lo, hi: outputs, out of n; ``lo`` is a multiple of :data:`aspen.fused.vectors.LANES`.
        start, stop: rows.
        inputs: (rows, m), contiguous.
        grad: of the outputs (rows, n), contiguous.
        total: added to (n / LANES rounded up, m, LANES), contiguous.
    """
    n, m = grad.shape[1], inputs.shape[1]
    table, apart, arriving, last = total.reshape(-1), m * LANES, grad.reshape(-1), np.zeros(LANES, grad.dtype)
    events, ends = _empty_list(m)
    tiles, vectors = lo + (hi - lo) // TILE * TILE, lo + (hi - lo) // LANES * LANES
    for block in range(start, stop, ROWS):
        end = min(block + ROWS, stop)
        _list_rows(inputs, block, end, events, ends)
        for at in range(lo, tiles, TILE):
            for r in range(block, end):
                a, b = ends[r - block], ends[r - block + 1]
                give_tile(inputs[r], events, a, b, table, apart, at, arriving, r * n + at)
        for at in range(tiles, vectors, LANES):
            for r in range(block, end):
                a, b = ends[r - block], ends[r - block + 1]
                give_vector(inputs[r], events, a, b, table, apart, at, arriving, r * n + at)
        if vectors < hi:
            for r in range(block, end):
                a, b = ends[r - block], ends[r - block + 1]
                for lane in range(hi - vectors):
                    last[lane] = arriving[r * n + vectors + lane]
                give_vector(inputs[r], events, a, b, table, apart, vectors, last, 0)
