"""What is counted of a step: spikes, what they reach, and updates."""

from __future__ import annotations

from typing import Any

import numpy as np

from aspen_emulator.engines.fast.core.arrays import Counts, Job, State, Tables
from aspen_emulator.engines.fast.core.columns import FAN, FAN_ALL, LENS, LIST, OUT, OUT_END, PAD, SLOT, N
from aspen_emulator.engines.fast.core.intrinsics import bits_set, fired_bits, inlined, nonzero_bits, put_bits

SET_BITS = np.array([[*(i for i in range(8) if byte >> i & 1), *[0] * 8][:8] for byte in range(256)], np.uint8)
"""Of every byte which bits are set, and zeros behind."""


@inlined
def list_spikes(flags: Any, n: int, start: int, into: Any, words: Any) -> int:
    """Write which of the first ``n`` flags are set: their indices, counted from ``start``, to ``into``, and their bits
    to ``words``; returns how many. Some places behind are written too, at most :data:`BEYOND`."""
    count, whole = 0, n // PAD
    for w in range(whole):
        words[w] = fired_bits(flags, w * PAD)
        count = _list_bits(words[w], start + w * PAD, into, count)
    if whole * PAD < n:
        last = np.uint64(0)
        for i in range(whole * PAD, n):
            last |= np.uint64(flags[i] != 0) << np.uint64(i - whole * PAD)
        words[whole] = last
        count = _list_bits(last, start + whole * PAD, into, count)
    return count


@inlined
def _list_bits(word: Any, first: int, into: Any, count: int) -> int:
    """Add the indices of the bits of a word to a list, eight bits at a time: where the next is, is hard to guess."""
    if word != 0:
        for byte in range(0, PAD, 8):
            bits = np.int64(word >> np.uint64(byte) & np.uint64(255))
            put_bits(into, count, SET_BITS, bits, first + byte)
            count += bits_set(np.uint64(bits))
    return count


@inlined
def count_updates(drive: Any, arrived: int, v: Any, biased: Any) -> Any:
    """Neurons whose drive is not zero, and those with a drive, a membrane or a bias (a bit each) that is not."""
    active = awake = 0
    if arrived == 0:
        for w in range(len(biased)):
            awake += bits_set(nonzero_bits(v, w * PAD) | biased[w])
        return active, awake
    for w in range(len(biased)):
        driven = nonzero_bits(drive, w * PAD)
        active += bits_set(driven)
        awake += bits_set(driven | nonzero_bits(v, w * PAD) | biased[w])
    return active, awake


@inlined
def count_off(drive: Any, arrived: int, v: Any, biased: Any, off: Any) -> Any:
    """As :func:`count_updates`, of the neurons whose bits are set in ``off``."""
    active = awake = 0
    for w in range(len(biased)):
        driven = nonzero_bits(drive, w * PAD) if arrived else np.uint64(0)
        active += bits_set(driven & off[w])
        awake += bits_set((driven | nonzero_bits(v, w * PAD) | biased[w]) & off[w])
    return active, awake


@inlined
def pattern_of(job: Job, q: int, dial: int, t: int, b: int) -> int:
    """Which neurons of a population are off at a dial, step and sample: their pattern, -1 for none."""
    where = job.off_at[q]
    return job.off[where[0] + dial * where[1] + t * where[2] + b * where[3]] if where[0] >= 0 else -1


@inlined
def record_spikes(net: Tables, state: State, counts: Counts, q: int, slot: int, place: Any, row: int) -> None:
    """Count the spikes of a population and what they reach; ``place``: dial, step, sample in the whole run."""
    dial, t, b = place
    pop = net.pops[q]
    count = state.lens[row, pop[LENS] + slot]
    counts.spikes[dial, q, t, b] = count
    first = pop[LIST] + slot * pop[SLOT]
    sources = state.lists[row, first : first + count]
    for o in range(pop[OUT], pop[OUT_END]):
        c = net.outs[o]
        conn = net.conns[c]
        if conn[FAN_ALL] >= 0:
            counts.operations[dial, c, t, b] = count * conn[FAN_ALL]
        else:
            total = 0
            for k in range(count):
                total += net.fan[conn[FAN] + sources[k]]
            counts.operations[dial, c, t, b] = total


@inlined
def record_off(
    net: Tables, state: State, job: Job, counts: Counts, q: int, slot: int, when: Any, place: Any, row: int
) -> None:
    """Count what the spikes of a population reach of neurons that are off; ``place`` as in :func:`record_spikes`."""
    _, t, b = when
    dial, step, sample = place
    pop = net.pops[q]
    count = state.lens[row, pop[LENS] + slot]
    first = pop[LIST] + slot * pop[SLOT]
    for o in range(pop[OUT], pop[OUT_END]):
        c = net.outs[o]
        where = job.off_fan_at[c]
        if where[0] < 0:
            continue
        pattern = pattern_of(job, where[1], dial, t, b)
        if pattern < 0:
            continue
        total, fan = 0, where[0] + pattern * pop[N]
        for k in range(count):
            total += job.off_fan[fan + state.lists[row, first + k]]
        counts.off_operations[dial, c, step, sample] = total
