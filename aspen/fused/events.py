"""Matrix products by events: only the inputs that are not zero are multiplied, compiled.

A row of inputs is one sample at one time step. What it brings is the sum of the weights of its events, each times its
value (1 for a spike); its part of the weight gradient goes to the weights of these events alone. The work is spread
over rows, and that of the gradient over outputs, so that each sum is in the same order whatever the number of threads.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from aspen._base.arrays import Array
from aspen._base.compiled import compiled
from aspen._base.compiling import tell_of_compiling
from aspen.fused.vectors import (
    LANES,
    SURE,
    TILE,
    arrived,
    events_among,
    fetch_tile,
    give_tile,
    give_vector,
    number_of,
    others_among,
    sum_tile,
    sum_vector,
    write_lowest,
)

WORD = 64
"""Inputs whose events are listed in one loop."""
ROWS = 64
"""Rows whose events are listed at a time: their weights stay in the cache for so long. Parts of the rows for threads
begin at multiples of it."""
NOT_KEPT, KEPT, ONES = range(3)

tell_of_compiling(__name__)
_compiled: Any = partial(compiled, folder=True, error_model="numpy")
_inlined: Any = partial(compiled, folder=True, error_model="numpy", inline="always")


class Lists(NamedTuple):
    """The events of each :data:`ROWS` rows, for who needs them again, empty where nobody does; and how to list them.

    ``places``: (blocks, room) int16, ``ends``: (blocks, ROWS + 1) int32, where those of each row end, that of the row
    before its first; ``kinds``: (blocks,) uint8, whether they are there, as there is not room for all, and all are 1.
    ``bits``: (rows, m / LANES) int16, which of the inputs are 1, the others being 0, as
    :class:`aspen.fused.arrays.Steps` has them; empty where that is not known.
    """

    places: Any
    ends: Any
    kinds: Any
    bits: Any


@_inlined
def _write_places(bits: Any, start: int, events: Array, found: int) -> int:
    """Write ``start`` and the place of each bit that is set to ``events`` from ``found`` on; the number of events then.

    Up to :data:`aspen.fused.vectors.SURE` places behind the last event are overwritten.
    """
    after = found + number_of(bits)
    bits = write_lowest(bits, start, events, found)
    while bits:
        found += SURE
        bits = write_lowest(bits, start, events, found)
    return after


@_inlined
def _word(bits: Array, place: int) -> Any:
    """:data:`LANES` bits."""
    return np.uint64(np.uint16(bits[place]))


@_inlined
def list_bits(row: Array, events: Array, found: int) -> int:
    """Write the places of the bits of ``row`` that are set to ``events`` from ``found`` on; the number of events then.

    Four words at a time, as :data:`WORD` says.
    """
    whole = row.size - row.size % 4
    for place in range(0, whole, 4):
        low = _word(row, place) | _word(row, place + 1) << np.uint64(16)
        high = _word(row, place + 2) | _word(row, place + 3) << np.uint64(16)
        found = _write_places(low | high << np.uint64(32), LANES * place, events, found)
    for place in range(whole, row.size):
        found = _write_places(_word(row, place), LANES * place, events, found)
    return found


@_inlined
def _list_events(row: Array, events: Array, found: int) -> tuple[int, bool]:
    """Write the places in ``row`` that are not zero to ``events`` from ``found`` on; the number of events then, and
    whether all of the row are 1."""
    n = row.size
    whole = n - n % LANES
    others = np.uint64(0)
    for start in range(0, whole, WORD):
        bits = np.uint64(0)
        for lane in range(start, min(start + WORD, whole), LANES):
            bits |= events_among(row, lane) << np.uint64(lane - start)
            others |= others_among(row, lane)
        found = _write_places(bits, start, events, found)
    ones = others == 0
    for i in range(whole, n):
        events[found] = i
        found += 1 if row[i] != 0 else 0
        ones &= row[i] == 0 or row[i] == 1
    return found, ones


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
def count_bits(bits: Array) -> int:
    """How many of ``bits`` (words,) are set."""
    total = 0
    for place in range(bits.size):
        total += number_of(_word(bits, place))
    return total


@_compiled
def agree(values: Array, bits: Array, every: int) -> bool:
    """Whether every so many-th word of ``bits`` (words,) says which of ``values`` (n,) are 1, the others being 0."""
    for place in range(0, bits.size, every):
        start = LANES * place
        if events_among(values, start) != _word(bits, place) or others_among(values, start) != 0:
            return False
    return True


@_compiled
def _empty_list(m: int) -> tuple[Array, Array]:
    """Room for the events of :data:`ROWS` rows of m inputs, and where those of each row begin and end."""
    return np.empty(ROWS * m + SURE, np.int32), np.zeros(ROWS + 1, np.intp)


@_compiled
def _list_rows(inputs: Array, bits: Array, start: int, stop: int, events: Array, ends: Array) -> bool:
    """Write the events of some rows to ``events``, those of each up to the next of ``ends``; whether all are 1."""
    ones = True
    if bits.size:
        for r in range(start, stop):
            ends[r - start + 1] = list_bits(bits[r], events, ends[r - start])
        return ones
    for r in range(start, stop):
        ends[r - start + 1], own = _list_events(inputs[r], events, ends[r - start])
        ones &= own
    return ones


@_compiled
def _keep(block: int, events: Array, ends: Array, ones: bool, lists: Lists) -> None:
    """Keep the events of a block, if there is room."""
    count = ends[-1]
    fits = count <= lists.places.shape[1]
    lists.kinds[block] = (ONES if ones else KEPT) if fits else NOT_KEPT
    if fits:
        lists.places[block, :count] = events[:count]
        lists.ends[block] = ends


@_compiled
def forward(
    lo: int,
    hi: int,
    start: int,
    stop: int,
    inputs: Array,
    weights: Array,
    bias: Array,
    made: Array,
    past: bool,
    lists: Lists,
) -> None:
    """The outputs ``start`` to ``stop`` of the rows ``lo`` to ``hi``.

    Args:
        lo, hi: rows; ``lo`` is a multiple of :data:`ROWS`.
        start, stop: outputs, out of n; ``start`` is a multiple of :data:`aspen.fused.vectors.LANES`.
        inputs: (rows, m), contiguous.
        weights: (n / LANES rounded up, m, LANES), contiguous.
        bias: (n up to a multiple of LANES,).
        made: filled (rows, n), contiguous.
        past: whether past the cache, as :func:`aspen.fused.memory.past_the_cache` has it.
        lists: of the inputs; filled, unless they are empty.
    """
    n, m = made.shape[1], inputs.shape[1]
    table, apart, sums, last = weights.reshape(-1), m * LANES, made.reshape(-1), np.empty(LANES, made.dtype)
    events, ends = _empty_list(m)
    tiles, vectors = start + (stop - start) // TILE * TILE, start + (stop - start) // LANES * LANES
    for block in range(lo, hi, ROWS):
        end = min(block + ROWS, hi)
        ones = _list_rows(inputs, lists.bits, block, end, events, ends)
        if lists.kinds.size:
            ends[end - block + 1 :] = ends[end - block]
            _keep(block // ROWS, events, ends, ones, lists)
        for at in range(start, tiles, TILE):
            for r in range(block, end):
                a, b = ends[r - block], ends[r - block + 1]
                sum_tile(inputs[r], events, a, b, ones, table, apart, at, bias, sums, r * n + at, past)
        for at in range(tiles, vectors, LANES):
            for r in range(block, end):
                a, b = ends[r - block], ends[r - block + 1]
                sum_vector(inputs[r], events, a, b, ones, table, apart, at, bias, sums, r * n + at, past)
        if vectors < stop:
            for r in range(block, end):
                a, b = ends[r - block], ends[r - block + 1]
                sum_vector(inputs[r], events, a, b, ones, table, apart, vectors, bias, last, 0, False)
                for lane in range(stop - vectors):
                    sums[r * n + vectors + lane] = last[lane]
    if past:
        arrived()


@_compiled
def weight_gradient(
    lo: int, hi: int, start: int, stop: int, inputs: Array, grad: Array, total: Array, lists: Lists
) -> None:
    """Add the gradient of the weights of the outputs ``lo`` to ``hi`` from the rows ``start`` to ``stop``.

    Args:
        lo, hi: outputs, out of n; ``lo`` is a multiple of :data:`aspen.fused.vectors.LANES`.
        start, stop: rows; ``start`` is a multiple of :data:`ROWS`.
        inputs: (rows, m), contiguous.
        grad: of the outputs (rows, n), contiguous.
        total: added to (n / LANES rounded up, m, LANES), contiguous.
        lists: of the inputs, as :func:`forward` filled them.
    """
    n, m = grad.shape[1], inputs.shape[1]
    table, apart, arriving, last = total.reshape(-1), m * LANES, grad.reshape(-1), np.zeros(LANES, grad.dtype)
    events, ends = _empty_list(m)
    tiles, vectors = lo + (hi - lo) // TILE * TILE, lo + (hi - lo) // LANES * LANES
    for block in range(start, stop, ROWS):
        end = min(block + ROWS, stop)
        number = block // ROWS
        kind = lists.kinds[number]
        ones = kind == ONES
        if kind == NOT_KEPT:
            ones = _list_rows(inputs, lists.bits, block, end, events, ends)
        else:
            ends[:] = lists.ends[number]
            events[: ends[-1]] = lists.places[number, : ends[-1]]
        for at in range(lo, tiles, TILE):
            for r in range(block, end):
                a, b = ends[r - block], ends[r - block + 1]
                fetch_tile(arriving, (r + ROWS) * n + at)  # that of the next rows: no processor foresees this order
                give_tile(inputs[r], events, a, b, ones, table, apart, at, arriving, r * n + at)
        for at in range(tiles, vectors, LANES):
            for r in range(block, end):
                a, b = ends[r - block], ends[r - block + 1]
                give_vector(inputs[r], events, a, b, ones, table, apart, at, arriving, r * n + at)
        if vectors < hi:
            for r in range(block, end):
                a, b = ends[r - block], ends[r - block + 1]
                for lane in range(hi - vectors):
                    last[lane] = arriving[r * n + vectors + lane]
                give_vector(inputs[r], events, a, b, ones, table, apart, vectors, last, 0)
