"""What is counted of a step: spikes, what they reach, and updates."""

from __future__ import annotations

from typing import Any

import numpy as np

from aspen_emulator.engines.fast.core.arrays import Counts, Job, State, Tables
from aspen_emulator.engines.fast.core.columns import FAN, FAN_ALL, LENS, LIST, OUT, OUT_END, PAD, N
from aspen_emulator.engines.fast.core.intrinsics import bits_set, fired_bits, inlined, lowest_bit, nonzero_bits


@inlined
def list_spikes(flags: Any, n: int, into: Any) -> int:
    """Write the indices of the flags set among the first ``n`` to ``into``; returns how many."""
    count = 0
    whole = n // PAD * PAD
    for start in range(0, whole, PAD):
        word = fired_bits(flags, start)
        while word != 0:
            into[count] = start + lowest_bit(word)
            count += 1
            word &= word - np.uint64(1)
    for i in range(whole, n):
        into[count] = i
        count += flags[i] != 0
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
    first = pop[LIST] + slot * pop[N]
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
    first = pop[LIST] + slot * pop[N]
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
