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
    BITS,
    LENS,
    LIST,
    MEMORY,
    PAD,
    PADDED,
    RESET,
    RING,
    SHARED,
    SLOT,
    SUBTRACT_SYNAPSE,
    TILE,
    UNIFORM,
    WRAPS,
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
from aspen_emulator.engines.fast.core.sums import add_up, make_drive

SIDE_BY_SIDE = 8
"""Samples that go through time together: their counts and inputs of a step share cache lines."""
SMALL = 4096
"""Most neurons, over all dials, with which that many samples' states still fit a cache close by."""

tell_of_compiling(__name__)


@inlined
def _dial(job: Job, q: int, tile: Any, dial: int, t: int, b: int, into: Any) -> None:
    """The thresholds of a tile of one population, at one dial, step and sample; padding never fires."""
    start, stop = tile
    where = job.thresholds_at[q]
    first = where[0] + dial * where[1] + t * where[2] + b * where[3]
    if where[4] == 0:
        into[: stop - start] = job.thresholds[first]
    else:
        for j in range(stop - start):
            into[j] = job.thresholds[first + start + j]
    into[stop - start :] = job.thresholds[-1]


@inlined
def _step(
    net: Tables, state: State, job: Job, counts: Counts, q: int, when: Any, origin: Any, dials: int, work: Any
) -> None:
    """One population, one step, one sample, all dials."""
    sums, scratch, tiles = work
    clock, t, b = when
    pop = net.pops[q]
    together = dials if pop[SHARED] else 1
    for first in range(0, dials, together):
        arrived = add_up(net, state, job, pop, clock, b * dials + first, b * dials, sums, scratch)
        for start in range(0, pop[PADDED], TILE):
            _step_tile(
                net, state, job, counts, q, when, origin, dials, (first, first + together), arrived, start, sums, tiles
            )
        for dial in range(first, first + together):
            row, place, slot = b * dials + dial, (dial, origin[1] + t, origin[2] + b), _slot(pop, clock)
            record_spikes(net, state, counts, q, slot, place, row)
            if job.off_fan_at[-1, 1] >= 0:
                record_off(net, state, job, counts, q, slot, when, place, row)


@inlined
def _slot(pop: Any, clock: int) -> int:
    """Where in its ring a population's spikes of a step are."""
    return 0 if pop[RING] == 1 else clock % pop[RING]


@inlined
def _step_tile(
    net: Tables, state: State, job: Job, counts: Counts, q: int, when: Any, origin: Any, dials: int, span: Any,
    arrived: int, start: int, sums: Any, tiles: Any,
) -> None:  # fmt: skip
    """Some neurons of a population, ``start`` the first, at the dials from ``span[0]`` to ``span[1]``, which what
    arrived is the same for."""
    clock, t, b = when
    pop = net.pops[q]
    size = min(TILE, pop[PADDED] - start)
    tile = start, min(start + size, pop[N])
    own, reset, n = tile[1] - start, pop[RESET], pop[N]
    drive, brought, threshold, total_bias, words, fired = tiles
    drive, fired = drive[:size], fired[:size]
    at = pop[AT] + start
    same = pop[AT] if pop[UNIFORM] and own == TILE else at  # the parameters of another tile: one that is in the cache
    bias, biased = net.bias[same : same + size], net.biased[same // PAD : (same + size) // PAD]
    if job.current.shape[2] > 0 and q == 0:
        total_bias[own:size] = 0
        for j in range(own):
            total_bias[j] = bias[j] + job.current[t, b, start + j]
        bias, biased = total_bias[:size], words[: size // PAD]
        for w in range(len(biased)):
            biased[w] = nonzero_bits(bias, w * PAD) | nonzero_bits(net.drive_bias, at + w * PAD)
    arrived = make_drive(net, job, pop, (t, b), b * dials + span[0], tile, arrived, sums, drive)
    for dial in range(span[0], span[1]):
        row, place = b * dials + dial, (dial, q, origin[1] + t, origin[2] + b)
        before = state.v[row, at : at + size]
        compared, some = drive, arrived
        if reset == SUBTRACT_SYNAPSE:
            compared, some = brought[:size], 1
            for j in range(size):
                compared[j] = drive[j] - state.owed[row, at + j]
        active, awake = count_updates(compared, some, before, biased)
        more = start > 0
        counts.active[place] = active + (counts.active[place] if more else 0)
        counts.awake[place] = awake + (counts.awake[place] if more else 0)
        pattern = pattern_of(job, q, dial, t, b)
        if pattern >= 0:
            off = job.off_words[job.off_at[q, 4] + pattern * (pop[PADDED] // PAD) + start // PAD :]
            active, awake = count_off(compared, some, before, biased, off)
            counts.off_active[place] = active + (counts.off_active[place] if more else 0)
            counts.off_awake[place] = awake + (counts.off_awake[place] if more else 0)
    if pop[BIASED]:
        for j in range(own):
            drive[j] += net.drive_bias[at + j]
    if pop[WRAPS]:
        for j in range(size):
            drive[j] = wrap(drive[j])
    for dial in range(span[0], span[1]):
        row, slot, samples = b * dials + dial, _slot(pop, clock), state.v.shape[0]
        v, owed = state.v[row, at : at + size], state.owed[row, at : at + size]
        current = drive
        if pop[MEMORY]:
            current = state.u[row, at : at + size]
            remember(current, drive, net.keep_u[same : same + size])
        integrate(v, current, owed, net.keep_v[same : same + size], bias, reset)
        if job.membranes_at[q] >= 0:
            first = job.membranes_at[q] + (t * samples + row) * n + start
            job.membranes[first : first + own] = v[:own]
        if start == 0 or own < TILE or span[1] - span[0] > 1 or job.thresholds_at[q, 4]:  # else as in the tile before
            _dial(job, q, tile, dial, t, b, threshold[:size])
        fire(v, owed, threshold[:size], reset, fired)
        if job.rasters_at[q] >= 0:
            first = job.rasters_at[q] + (t * samples + row) * n + start
            job.rasters[first : first + own] = fired[:own]
        count = state.lens[row, pop[LENS] + slot] if start > 0 else 0
        into = state.lists[row, pop[LIST] + slot * pop[SLOT] + count :]
        words_at = pop[BITS] + (slot * pop[PADDED] + start) // PAD
        state.lens[row, pop[LENS] + slot] = count + list_spikes(fired, size, start, into, state.bits[row, words_at:])


@inlined
def _load(net: Tables, state: State, job: Job, counts: Counts, load: Any, when: Any, origin: Any, dials: int) -> None:
    """Read the spikes of one population in one step and sample from an array."""
    clock, t, b = when
    q, counted = load
    pop = net.pops[q]
    n = pop[N]
    slot = _slot(pop, clock)
    first, words_at = pop[LIST] + slot * pop[SLOT], pop[BITS] + slot * (pop[PADDED] // PAD)
    if job.rasters_at[q] < 0:
        row = b * dials
        into, words = state.lists[row, first:], state.bits[row, words_at:]
        state.lens[row, pop[LENS] + slot] = list_spikes(job.given[t, b], n, 0, into, words)
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
        into, words = state.lists[row, first:], state.bits[row, words_at:]
        state.lens[row, pop[LENS] + slot] = list_spikes(job.rasters[at : at + n], n, 0, into, words)


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
        borrowed(state.u),
        borrowed(state.v),
        borrowed(state.owed),
        borrowed(state.lists),
        borrowed(state.lens),
        borrowed(state.bits),
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
    room, widest, at_once = len(net.keep_v), net.groups[-1, 1], net.groups[-1, 2]
    sums = np.zeros(net.groups[-1, 0] + PAD, net.weights.dtype)
    counted = np.zeros(widest // PAD + 1, np.int32), np.zeros(widest + 1, np.int32)
    found = np.zeros(at_once, np.int32), np.zeros(widest // PAD + PAD, np.uint64)
    drive, brought = np.zeros(TILE, state.v.dtype), np.zeros(TILE, state.v.dtype)
    threshold, bias = np.zeros(TILE, job.thresholds.dtype), np.zeros(TILE, state.v.dtype)
    words, fired = np.zeros(TILE // PAD, np.uint64), np.zeros(TILE, np.uint8)
    scratch = borrowed(counted[0]), borrowed(counted[1]), borrowed(found[0]), borrowed(found[1])
    tiles = (
        borrowed(drive), borrowed(brought), borrowed(threshold), borrowed(bias), borrowed(words), borrowed(fired),
    )  # fmt: skip
    work = borrowed(sums), scratch, tiles
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
    used = len(sums) + len(counted[0]) + len(counted[1]) + len(found[0]) + len(found[1]) + len(drive) + len(brought)
    return used + len(threshold) + len(bias) + len(words) + len(fired)
