"""What arrives at a population: the weights of the spikes, added up."""

from __future__ import annotations

from typing import Any

import numpy as np

from aspen_emulator.engines.fast.core.arithmetic import shift_right
from aspen_emulator.engines.fast.core.arrays import Job, State, Tables
from aspen_emulator.engines.fast.core.columns import (
    BITS,
    DELAY,
    DENSE,
    FRESH,
    FROM_INPUT,
    GROUP,
    GROUP_END,
    HEADER,
    IN,
    IN_END,
    INDEX,
    KIND,
    LEAST,
    LENS,
    LIST,
    PAD,
    PADDED,
    RING,
    RUNS,
    SINGLE,
    SLOT,
    SOURCE,
    STRIDE,
    SUMS,
    WEIGHTS,
    WINDOW_ROWS,
    WINDOWS,
    N,
)  # fmt: skip
from aspen_emulator.engines.fast.core.intrinsics import add1, add4, add8, add16, add32, inlined
from aspen_emulator.engines.fast.core.windows import add_windows


@inlined
def _add_dense(sums: Any, weights: Any, first: int, stride: int, sources: Any, count: int) -> None:
    """Add the rows of all sources, four at a time."""
    k = 0
    while k + 4 <= count:
        a = first + sources[k] * stride
        b = first + sources[k + 1] * stride
        c = first + sources[k + 2] * stride
        d = first + sources[k + 3] * stride
        row_a, row_b = weights[a : a + stride], weights[b : b + stride]
        row_c, row_d = weights[c : c + stride], weights[d : d + stride]
        for j in range(stride):
            sums[j] += (row_a[j] + row_b[j]) + (row_c[j] + row_d[j])
        k += 4
    while k < count:
        a = first + sources[k] * stride
        row = weights[a : a + stride]
        for j in range(stride):
            sums[j] += row[j]
        k += 1


@inlined
def _add_run(sums: Any, to: int, weights: Any, of: int, more: int, length: int) -> None:
    """Add two rows of weights, wide pieces first: a compiler's own loop would add all that is left one by one."""
    end = to + length
    while to + 32 <= end:
        add32(sums, to, weights, of, more)
        to, of, more = to + 32, of + 32, more + 32
    if length & 16:
        add16(sums, to, weights, of, more)
        to, of, more = to + 16, of + 16, more + 16
    if length & 8:
        add8(sums, to, weights, of, more)
        to, of, more = to + 8, of + 8, more + 8
    if length & 4:
        add4(sums, to, weights, of, more)
        to, of, more = to + 4, of + 4, more + 4
    while to < end:
        add1(sums, to, weights, of, more)
        to, of, more = to + 1, of + 1, more + 1


@inlined
def _add_rows(
    sums: Any, weights: Any, first: int, zeros: int, index: Any, at: int, runs: int, sources: Any, count: int
) -> None:
    """Add short rows of a convolution. ``index`` from ``at``: how its sources are numbered, then the runs of each line;
    from ``runs``: those of each column; see :class:`aspen_emulator.engines.fast.connections.Synapses`. The sources of
    one place, which reach the same targets, go together in pairs; ``zeros``: weights that the last one goes with."""
    last, channels, size, width = index[at], index[at + 1], index[at + 2], index[at + 3]
    per_channel, of_group, per_group = index[at + 4], index[at + 5], index[at + 6]
    lines, paired = at + HEADER, last and of_group == channels
    k = 0
    while k < count:
        source, divisor = np.uint32(sources[k]), np.uint32(channels if last else size)
        above = np.int64(source // divisor)
        within = np.int64(source) - above * np.int64(divisor)
        channel, place = (within, above) if last else (above, within)
        line = np.int64(np.uint32(place) // np.uint32(width))
        column = place - line * width
        own = first + channel * per_channel
        target = 0 if of_group == channels else channel // of_group * per_group
        ahead = sources[k + 1] - sources[k] if paired and k + 1 < count else channels
        more, step = (own + ahead * per_channel, 1) if ahead < channels - channel else (zeros, 0)
        k += 1 + step
        a, last_line = lines + index[lines + line], lines + index[lines + line + 1]
        first_run, last_run = runs + index[runs + column], runs + index[runs + column + 1]
        while a < last_line:  # a range with a step divides to count its rounds
            b = first_run
            while b < last_run:
                to, of = target + index[a] + index[b], index[a + 1] + index[b + 1]
                _add_run(sums, to, weights, own + of, more + of * step, index[b + 2])
                b += 3
            a += 3


@inlined
def _add_single(
    sums: Any, weights: Any, first: int, index: Any, at: int, targets: int, sources: Any, count: int
) -> None:
    """Add single synapses: ``index`` from ``at``: the first synapse of each source; from ``targets``: their targets."""
    for k in range(count):
        own = at + sources[k]
        for s in range(index[own], index[own + 1]):
            sums[index[targets + s]] += weights[first + s]


@inlined
def _scale_into(drive: Any, sums: Any, down: int, factor: Any, more: bool) -> None:
    """Move sums, shifted right and multiplied, to the drive; added to it where ``more``."""
    kind = drive.dtype.type
    if down:
        for j in range(len(sums)):
            part = kind(kind(shift_right(kind(sums[j]), down)) * factor)
            drive[j] = kind(drive[j] + part) if more else part
    elif more:
        for j in range(len(sums)):
            drive[j] += kind(kind(sums[j]) * factor)
    else:
        for j in range(len(sums)):
            drive[j] = kind(kind(sums[j]) * factor)


@inlined
def add_up(
    net: Tables, state: State, job: Job, pop: Any, clock: int, row: int, shared: int, sums: Any, scratch: Any
) -> int:
    """Add up the weights of all spikes that reach a population in one step, where they are not summed outside; returns
    how many spikes."""
    arrived = 0
    for c in range(pop[IN], pop[IN_END]):
        if job.outside_at[c, 0] >= 0:
            continue
        conn = net.conns[c]
        source = net.pops[conn[SOURCE]]
        slot = 0 if source[RING] == 1 else (clock + source[RING] - conn[DELAY]) % source[RING]
        own = shared if conn[FROM_INPUT] else row
        count = state.lens[own, source[LENS] + slot]
        if count == 0:
            continue
        arrived += count
        sources = state.lists[own, source[LIST] + slot * source[SLOT] :]
        some = sums[conn[SUMS] : conn[SUMS] + pop[PADDED]]
        if conn[KIND] == DENSE:
            _add_dense(some, net.weights, conn[WEIGHTS], conn[STRIDE], sources, count)
        elif conn[KIND] == SINGLE:
            _add_single(some, net.weights, conn[WEIGHTS], net.places, conn[INDEX], conn[RUNS], sources, count)
        elif count < conn[LEAST]:
            _add_rows(some, net.weights, conn[WEIGHTS], 0, net.places, conn[INDEX], conn[RUNS], sources, count)
        else:
            bits = state.bits[own, source[BITS] + slot * (source[PADDED] // PAD) :]
            add_windows(
                some,
                net.weights,
                conn[WINDOW_ROWS],
                net.places,
                conn[WINDOWS],
                sources,
                bits,
                conn[FRESH] != 0,
                scratch,
            )
    return arrived


@inlined
def make_drive(
    net: Tables, job: Job, pop: Any, when: Any, row: int, tile: Any, arrived: int, sums: Any, drive: Any
) -> int:
    """The drive of the neurons of a tile, without biases, of the sums, which are zero again then; returns 0 where
    nothing arrived."""
    t, b = when
    start, stop = tile
    if arrived == 0:
        drive[:] = 0
    else:
        for g in range(pop[GROUP], pop[GROUP_END]):
            group = net.groups[g]
            own_sums = sums[group[0] + start : group[0] + start + len(drive)]
            _scale_into(drive, own_sums, group[1], drive.dtype.type(group[2]), g > pop[GROUP])
            own_sums[:] = 0
    for c in range(pop[IN], pop[IN_END]):
        if job.outside_at[c, 0] >= 0:
            where = job.outside_at[c]
            first = where[0] + (t * where[2] + (b if where[1] else row)) * pop[N]
            outside = job.outside[first + start : first + stop]
            _scale_into(drive, outside, where[3], drive.dtype.type(where[4]), True)
            arrived = 1
    return arrived
