"""The compiled core: all populations of a part, step by step, for a range of samples. Needs no compiler at run time.

The arithmetic is that of :func:`aspen_emulator.engines.lif.lif_step`, written once for integers and floats
(:mod:`aspen_emulator.engines.fast.core.arithmetic`).

Layout: every population's neurons stand side by side, padded to a multiple of 64, in arrays over all populations. The
padding never fires. Spikes travel as lists of the indices of neurons that fired.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from aspen._base.compiled import compiled
from aspen._base.compiling import tell_of_compiling
from aspen_emulator.engines.fast.core.arithmetic import wrap
from aspen_emulator.engines.fast.core.arrays import Counts, Job, State, Tables
from aspen_emulator.engines.fast.core.columns import (
    AT,
    BIASED,
    LENS,
    LIST,
    MEMORY,
    PAD,
    PADDED,
    RESET,
    RING,
    SHARED,
    SUBTRACT_SYNAPSE,
    N,
)  # fmt: skip
from aspen_emulator.engines.fast.core.intrinsics import borrowed, inlined, nonzero_bits
from aspen_emulator.engines.fast.core.neurons import fire, integrate, remember
from aspen_emulator.engines.fast.core.recording import (
    count_off,
    count_updates,
    list_spikes,
    pattern_of,
    record_off,
    record_spikes,
)  # fmt: skip
from aspen_emulator.engines.fast.core.sums import arrive

SIDE_BY_SIDE = 8
"""Samples that go through time together: their counts and inputs of a step share cache lines."""
SMALL = 4096
"""Most neurons, over all dials, with which that many samples' states still fit a cache close by."""

tell_of_compiling(__name__)


@inlined
def _dial(job: Job, q: int, n: int, dial: int, t: int, b: int, into: Any) -> None:
    """The thresholds of one population, dial, step and sample."""
    where = job.thresholds_at[q]
    first = where[0] + dial * where[1] + t * where[2] + b * where[3]
    if where[4] == 0:
        into[:n] = job.thresholds[first]
    else:
        for j in range(n):
            into[j] = job.thresholds[first + j]


@inlined
def _step(
    net: Tables, state: State, job: Job, counts: Counts, q: int, when: Any, origin: Any, dials: int, work: Any
) -> None:
    """One population, one step, one sample, all dials."""
    sums, drive, brought, threshold, total_bias, words, fired = work
    clock, t, b = when
    pop = net.pops[q]
    n, padded, at, reset = pop[N], pop[PADDED], pop[AT], pop[RESET]
    slot = 0 if pop[RING] == 1 else clock % pop[RING]
    bias, biased = net.bias[at : at + padded], net.biased[at // PAD : (at + padded) // PAD]
    if job.current.shape[2] > 0 and q == 0:
        for j in range(n):
            total_bias[j] = bias[j] + job.current[t, b, j]
        bias, biased = total_bias[:padded], words[: padded // PAD]
        for w in range(len(biased)):
            biased[w] = nonzero_bits(bias, w * PAD) | nonzero_bits(net.drive_bias, at + w * PAD)
    for dial in range(dials):
        row = b * dials + dial
        if dial == 0 or not pop[SHARED]:
            arrived = arrive(net, state, job, pop, when, row, b * dials, sums, drive)
            for same in range(dial, dials if pop[SHARED] else dial + 1):
                before = state.v[b * dials + same, at : at + padded]
                if reset == SUBTRACT_SYNAPSE:
                    for j in range(padded):
                        brought[j] = drive[j] - state.owed[b * dials + same, at + j]
                    active, awake = count_updates(brought, 1, before, biased)
                else:
                    active, awake = count_updates(drive, arrived, before, biased)
                counts.active[same, q, origin[1] + t, origin[2] + b] = active
                counts.awake[same, q, origin[1] + t, origin[2] + b] = awake
                pattern = pattern_of(job, q, same, t, b)
                if pattern >= 0:
                    off = job.off_words[job.off_at[q, 4] + pattern * (padded // PAD) :]
                    if reset == SUBTRACT_SYNAPSE:
                        active, awake = count_off(brought, 1, before, biased, off)
                    else:
                        active, awake = count_off(drive, arrived, before, biased, off)
                    counts.off_active[same, q, origin[1] + t, origin[2] + b] = active
                    counts.off_awake[same, q, origin[1] + t, origin[2] + b] = awake
            if pop[BIASED]:
                for j in range(n):
                    drive[j] += net.drive_bias[at + j]
            if not pop[MEMORY]:
                for j in range(padded):
                    drive[j] = wrap(drive[j])
        v, owed = state.v[row, at : at + padded], state.owed[row, at : at + padded]
        current = drive[:padded]
        if pop[MEMORY]:
            current = state.u[row, at : at + padded]
            remember(current, drive, net.keep_u[at : at + padded])
        integrate(v, current, owed, net.keep_v[at : at + padded], bias, reset)
        samples = state.v.shape[0]
        if job.membranes_at[q] >= 0:
            first = job.membranes_at[q] + (t * samples + row) * n
            job.membranes[first : first + n] = v[:n]
        own = threshold[at : at + padded]
        _dial(job, q, n, dial, t, b, own)
        fire(v, owed, own, reset, fired[:padded])
        if job.rasters_at[q] >= 0:
            first = job.rasters_at[q] + (t * samples + row) * n
            job.rasters[first : first + n] = fired[:n]
        first = pop[LIST] + slot * n
        state.lens[row, pop[LENS] + slot] = list_spikes(fired, padded, state.lists[row, first:])
        place = (dial, origin[1] + t, origin[2] + b)
        record_spikes(net, state, counts, q, slot, place, row)
        if job.off_fan_at[-1, 1] >= 0:
            record_off(net, state, job, counts, q, slot, when, place, row)


@inlined
def _load(net: Tables, state: State, job: Job, counts: Counts, load: Any, when: Any, origin: Any, dials: int) -> None:
    """Read the spikes of one population in one step and sample from an array."""
    clock, t, b = when
    q, counted = load
    pop = net.pops[q]
    n = pop[N]
    slot = 0 if pop[RING] == 1 else clock % pop[RING]
    first = pop[LIST] + slot * n
    if job.rasters_at[q] < 0:
        row = b * dials
        state.lens[row, pop[LENS] + slot] = list_spikes(job.given[t, b], n, state.lists[row, first:])
        if counted:
            record_spikes(net, state, counts, q, slot, (0, origin[1] + t, origin[2] + b), row)
            if job.off_fan_at[-1, 1] >= 0:
                for dial in range(dials):
                    place = (dial, origin[1] + t, origin[2] + b)
                    record_off(net, state, job, counts, q, slot, when, place, row)
        return
    samples = state.v.shape[0]
    for row in range(b * dials, (b + 1) * dials):
        at = job.rasters_at[q] + (t * samples + row) * n
        flags = job.rasters[at : at + n]
        state.lens[row, pop[LENS] + slot] = list_spikes(flags, n, state.lists[row, first:])


@partial(compiled, folder=True)
def advance(net: Tables, state: State, job: Job, counts: Counts, origin: Any, steps: int, part: Any, dials: int) -> int:
    """Run the populations of a job.

    Args:
        net, state, job, counts: see there.
        origin: the time at which these arrays begin, and the step and sample of the counts that belong to it.
        steps: how many.
        part: first and last (exclusive) sample of this call; calls with other samples may run beside it.
        dials: settings side by side; row ``b * dials + d`` of the state is sample b at setting d.
    """
    net = Tables(
        borrowed(net.pops), borrowed(net.conns), borrowed(net.groups), borrowed(net.outs), borrowed(net.weights),
        borrowed(net.places), borrowed(net.fan), borrowed(net.keep_u), borrowed(net.keep_v), borrowed(net.bias),
        borrowed(net.drive_bias), borrowed(net.biased),
    )  # fmt: skip
    state = State(
        borrowed(state.u), borrowed(state.v), borrowed(state.owed), borrowed(state.lists), borrowed(state.lens)
    )
    job = Job(
        borrowed(job.todo), borrowed(job.loads), borrowed(job.given), borrowed(job.current),
        borrowed(job.outside), borrowed(job.outside_at), borrowed(job.thresholds), borrowed(job.thresholds_at),
        borrowed(job.rasters), borrowed(job.rasters_at), borrowed(job.membranes), borrowed(job.membranes_at),
        borrowed(job.off), borrowed(job.off_at), borrowed(job.off_words), borrowed(job.off_fan),
        borrowed(job.off_fan_at),
    )  # fmt: skip
    counts = Counts(
        borrowed(counts.spikes), borrowed(counts.active), borrowed(counts.awake), borrowed(counts.operations),
        borrowed(counts.off_active), borrowed(counts.off_awake), borrowed(counts.off_operations),
    )  # fmt: skip
    room = len(net.keep_v)
    sums_own = np.zeros(net.groups[-1, 0] + PAD, net.weights.dtype)
    drive_own = np.zeros(net.groups[-1, 1] + PAD, state.v.dtype)
    brought_own = np.zeros(len(drive_own), state.v.dtype)
    fired_own = np.zeros(len(drive_own), np.uint8)
    bias_own = np.zeros(len(drive_own), state.v.dtype)
    words_own = np.zeros(len(drive_own) // PAD, np.uint64)
    threshold_own = np.full(room, job.thresholds[-1], job.thresholds.dtype)
    work = (
        borrowed(sums_own), borrowed(drive_own), borrowed(brought_own), borrowed(threshold_own), borrowed(bias_own),
        borrowed(words_own), borrowed(fired_own),
    )  # fmt: skip
    side = SIDE_BY_SIDE if room * dials < SMALL else 1
    for start in range(part[0], part[1], side):
        for t in range(steps):
            for b in range(start, min(start + side, part[1])):
                when = (origin[0] + t, t, b)
                for i in range(len(job.loads)):
                    _load(net, state, job, counts, (job.loads[i, 0], job.loads[i, 1]), when, origin, dials)
                for i in range(len(job.todo)):
                    _step(net, state, job, counts, job.todo[i], when, origin, dials, work)
    # used once more, so that they live until here
    used = len(sums_own) + len(drive_own) + len(brought_own) + len(fired_own)
    return used + len(bias_own) + len(words_own) + len(threshold_own)
