"""Convolutions by windows: the sums of a target are whole before the next one's begin.

The tables are those of :mod:`aspen_emulator.engines.fast.windows`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aspen_emulator.engines.fast.core.columns import COPIED, LANES, LISTED, PAD, QUARTER
from aspen_emulator.engines.fast.core.intrinsics import (
    add_windows32,
    add_windows64,
    add_windows96,
    add_windows128,
    bits_set,
    copy_rows,
    inlined,
    look_up,
)


@inlined
def add_windows(
    sums: Any, weights: Any, first: int, index: Any, at: int, sources: Any, bits: Any, fresh: bool, scratch: Any
) -> None:
    """Add the weights of all spikes to the sums of all targets.

    Args:
        sums: of the targets, channels last, and some numbers more.
        weights, first: rows of weights from the first on.
        index, at: tables of windows, and where they begin.
        sources, bits: the spikes as a list and as bits.
        fresh: the sums are zero so far.
        scratch: room.
    """
    prefix, starts, rows, line = scratch
    quarter = QUARTER // sums.itemsize
    if index[at] == LISTED:
        _add_listed(sums, weights, first, index, at, sources, bits, fresh, quarter, prefix, starts, rows)
    else:
        _add_looked_up(sums, weights, first, index, at, bits, fresh, quarter, rows, line)


@inlined
def _add_listed(
    sums: Any, weights: Any, first: int, index: Any, at: int, sources: Any, bits: Any, fresh: bool, quarter: int,
    prefix: Any, starts: Any, rows: Any,
) -> None:  # fmt: skip
    targets, columns, outputs, width = index[at + 1], index[at + 2], index[at + 3], index[at + 4]
    channels, lines = index[at + 5], at + 8
    runs, to, channel = lines + index[at + 7], 0, channels * width
    _count_before(bits, channels, index[at + 6], prefix, starts)
    for i in range(targets):
        first_line, last_line = lines + index[lines + i], lines + index[lines + i + 1]
        for j in range(columns):
            count, first_run, last_run = 0, runs + index[runs + j], runs + index[runs + j + 1]
            a = first_line
            while a < last_line:  # a range with a step divides to count its rounds
                b = first_run
                while b < last_run:
                    place, tap = index[a] + index[b], index[a + 1] + index[b + 1]
                    start, base = starts[place], (tap - place) * channel + width
                    more = starts[place + index[b + 2]] - start
                    k = 0
                    while k < more:
                        copy_rows(rows, count + k, sources, start + k, width, base)
                        k += COPIED
                    count += more
                    b += 3
                a += 3
            if count:
                rows[count] = rows[count + 1] = rows[count + 2] = 0
                _add_window(sums, to, weights, first, rows, 0, 1, count, fresh, width, quarter)
            to += outputs


@inlined
def _count_before(bits: Any, channels: int, places: int, prefix: Any, starts: Any) -> None:
    """How many neurons fired before each place, and before the end; a place has neighbouring bits."""
    words = -(-places * channels // PAD)
    total = 0
    for w in range(words):
        prefix[w] = total
        total += bits_set(bits[w])
    for place in range(places):
        bit = place * channels
        below = (np.uint64(1) << np.uint64(bit & 63)) - np.uint64(1)
        starts[place] = prefix[bit >> 6] + bits_set(bits[bit >> 6] & below)
    starts[places] = total


@inlined
def _add_looked_up(
    sums: Any, weights: Any, first: int, index: Any, at: int, bits: Any, fresh: bool, quarter: int, rows: Any,
    line: Any,
) -> None:  # fmt: skip
    targets, columns, outputs, width = index[at + 1], index[at + 2], index[at + 3], index[at + 4]
    stride, length, lines = index[at + 5], index[at + 6], at + 8
    pieces, to = lines + index[at + 7], 0
    of_tap, piece_end, step = index[pieces], pieces + 2 + 3 * index[pieces + 1], columns + LANES
    for i in range(targets):
        count = 0
        for a in range(index[lines + i], index[lines + i + 1], 3):
            _copy_line(bits, index[lines + a], length, line)
            for p in range(pieces + 2, piece_end, 3):
                base = (1 + index[lines + a + 1] * of_tap + index[p + 2]) * width
                for j in range(0, columns, LANES):
                    word = _word_from(line, index[p] + j * stride)
                    look_up(rows, count * step + j, word, stride, index[p + 1], width, base)
                count += 1
        while count & 3:
            rows[count * step : count * step + columns] = 0
            count += 1
        if count:
            for j in range(columns):
                _add_window(sums, to + j * outputs, weights, first, rows, j, step, count, fresh, width, quarter)
        to += columns * outputs


@inlined
def _copy_line(bits: Any, first: int, length: int, line: Any) -> None:
    """Bits of a line of the source, between words that are zero."""
    words = -(-length // PAD)
    for w in range(words):
        line[1 + w] = _word_from(bits, first + w * PAD)
    line[words] &= ~np.uint64(0) >> np.uint64(-length & 63)
    line[words + 1] = line[words + 2] = 0


@inlined
def _word_from(words: Any, bit: int) -> Any:
    """64 bits from any bit on; the word behind them is read too."""
    at, down = bit >> 6, np.uint64(bit & 63)
    return words[at] >> down | (words[at + 1] << np.uint64(1)) << (np.uint64(63) - down)


@inlined
def _add_window(
    sums: Any, to: int, weights: Any, first: int, rows: Any, at: int, step: int, count: int, fresh: bool, width: int,
    quarter: int,
) -> None:  # fmt: skip
    """Add so many rows of ``width`` weights to the sums of a target, in registers; ``quarter``: weights in a piece."""
    while width >= 4 * quarter:
        add_windows128(sums, to, weights, first, rows, at, step, count, fresh)
        to, first, width = to + 4 * quarter, first + 4 * quarter, width - 4 * quarter
    if width == 3 * quarter:
        add_windows96(sums, to, weights, first, rows, at, step, count, fresh)
    elif width == 2 * quarter:
        add_windows64(sums, to, weights, first, rows, at, step, count, fresh)
    elif width == quarter:
        add_windows32(sums, to, weights, first, rows, at, step, count, fresh)
