"""The compiled core: all populations of a part, step by step, for a range of samples. Needs no compiler at run time.

All compiled functions stand in this one file: numba looks at a function's own file only to see whether its stored
machine code is still good. The arithmetic is that of :func:`aspen_emulator.engines.lif.lif_step`, written once for
integers and floats; what differs between the two are four small operations (``decay``, ``wrap``, ``clip``, ``shift``).

Layout: every population's neurons stand side by side, padded to a multiple of 64, in arrays over all populations. The
padding never fires. Spikes travel as lists of the indices of neurons that fired.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic as typed_intrinsic
from numba.extending import overload

from aspen._base.compiled import compiled
from aspen._base.compiling import tell_of_compiling
from aspen_emulator.engines.fast.arrays import Counts, Job, State, Tables

intrinsic: Callable[[Callable[..., Any]], Any] = typed_intrinsic  # called without its first argument

PAD = 64
"""Neurons of a population are padded to a multiple of this; one bit for each in a 64-bit word."""
N, PADDED, AT, LIST, RING, LENS, RESET, MEMORY, BIASED, SHARED, IN, IN_END, GROUP, GROUP_END, OUT, OUT_END = range(16)
"""Columns of the table of populations."""
SOURCE, DELAY, KIND, WEIGHTS, STRIDE, SUMS, INDEX, RUNS, FAN, FAN_ALL, FROM_INPUT = range(11)
"""Columns of the table of connections."""
DENSE, ROWS, SINGLE = range(3)
"""Kinds of connections: one row of weights for each source; several short rows; single synapses."""
HEADER = 7
"""Numbers before the table of lines of a connection by short rows."""
ZERO, NONE, SUBTRACT, SUBTRACT_DELAYED, ZERO_DELAYED, SUBTRACT_GUARDED, SUBTRACT_SYNAPSE, NONE_RECTIFIED = range(8)
LIMIT = 2**23
SIDE_BY_SIDE = 8
"""Samples that go through time together: their counts and inputs of a step share cache lines."""
SMALL = 4096
"""Most neurons, over all dials, with which that many samples' states still fit a cache close by."""

tell_of_compiling(__name__)


def inlined(function: Callable[..., Any]) -> Any:
    """``function`` as a part of those that call it: handing over a hundred arrays would take longer than the work."""
    return numba.njit(nogil=True, forceinline=True)(function)


@intrinsic
def fired_bits(typing: Any, flags: Any, start: Any) -> Any:
    """64 flags of a uint8 array from ``start`` on, as the bits of a word."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        vector = ir.VectorType(ir.IntType(8), 64)
        place = builder.bitcast(builder.gep(array.data, [args[1]]), vector.as_pointer())
        loaded = builder.load(place, align=1)
        bits = builder.icmp_unsigned("!=", loaded, ir.Constant(vector, [0] * 64))
        return builder.bitcast(bits, ir.IntType(64))

    return numba.uint64(flags, numba.intp), build


@intrinsic
def borrowed(typing: Any, array: Any) -> Any:
    """The same array without an owner. Counting the views of shared arrays would make the threads wait for each other;
    whoever called keeps the arrays alive."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        view = context.make_array(signature.args[0])(context, builder, args[0])
        view.meminfo = cgutils.get_null_value(view.meminfo.type)
        view.parent = cgutils.get_null_value(view.parent.type)
        return view._getvalue()

    return array(array), build


@intrinsic
def nonzero_bits(typing: Any, values: Any, start: Any) -> Any:
    """64 numbers of an array from ``start`` on as the bits of a word: set where the number is not zero."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        vector = ir.VectorType(context.get_data_type(values.dtype), PAD)
        place = builder.bitcast(builder.gep(array.data, [args[1]]), vector.as_pointer())
        loaded = builder.load(place, align=values.dtype.bitwidth // 8)
        compare = builder.fcmp_unordered if isinstance(values.dtype, numba.types.Float) else builder.icmp_unsigned
        bits = compare("!=", loaded, ir.Constant(vector, [0] * PAD))
        return builder.bitcast(bits, ir.IntType(64))

    return numba.uint64(values, numba.intp), build


@intrinsic
def bits_set(typing: Any, word: Any) -> Any:
    """How many bits of a word are set."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return numba.int64(numba.uint64), build


@intrinsic
def lowest_bit(typing: Any, word: Any) -> Any:
    """Index of the lowest bit that is set in a word other than zero."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return numba.int64(numba.uint64), build


def _adder(lanes: int) -> Any:
    """``add(sums, to, weights, of, more)``: that many neighbouring sums, and to each the weights of two rows."""

    @intrinsic
    def add(typing: Any, sums: Any, to: Any, weights: Any, of: Any, more: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            vector = ir.VectorType(context.get_data_type(sums.dtype), lanes)
            align, plus = sums.dtype.bitwidth // 8, builder.fadd if _is_float(sums.dtype) else builder.add

            def place(kind: Any, array: Any, at: Any) -> Any:
                data = context.make_array(kind)(context, builder, array).data
                return builder.bitcast(builder.gep(data, [at]), vector.as_pointer())

            into = place(sums, args[0], args[1])
            total = builder.load(into, align=align)
            for row in args[3:]:
                total = plus(total, builder.load(place(weights, args[2], row), align=align))
            builder.store(total, into, align=align)
            return context.get_dummy_value()

        return numba.void(sums, numba.intp, weights, numba.intp, numba.intp), build

    return add


_add32, _add16, _add8, _add4, _add1 = map(_adder, (32, 16, 8, 4, 1))


def _is_float(kind: Any) -> bool:
    return isinstance(kind, numba.types.Float)


def decay(x: Any, keep: Any) -> Any:
    """What is left of ``x`` after a step."""


def wrap(x: Any) -> Any:
    """``x`` in 24 bits, wrapped around once; floats as they are."""


def clip(x: Any) -> Any:
    """``x`` in 24 bits, clipped; floats as they are."""


def shift_right(total: Any, bits: Any) -> Any:
    """An integer sum of weights without its lowest bits, rounded down; floats as they are."""


def by_synapse(threshold: Any) -> Any:
    """What a synapse subtracts: an integer threshold in its 8 bits; floats as they are."""


@overload(decay)
def _decay(x: Any, keep: Any) -> Any:
    def plain(x: Any, keep: Any) -> Any:
        return keep * x

    def wide(x: Any, keep: Any) -> Any:
        kept = abs(x) * keep >> 12
        return -kept if x < 0 else kept

    def narrow(x: Any, keep: Any) -> Any:  # a product has 36 bits: taken apart, and told to stay in 32 at every step
        size = np.int32(abs(x))
        high = np.int32(np.int32(size >> 12) * keep)
        low = np.int32(np.int32(size & 4095) * keep)
        kept = np.int32(high + np.int32(low >> 12))
        return np.int32(-kept) if x < 0 else kept

    return plain if isinstance(x, numba.types.Float) else wide if x == numba.int64 else narrow


@overload(wrap)
def _wrap(x: Any) -> Any:
    kind = np.int64 if x == numba.int64 else np.int32
    limit, turn, none = kind(LIMIT), kind(2 * LIMIT), kind(0)

    def plain(x: Any) -> Any:
        return x

    def integer(x: Any) -> Any:
        return kind(kind(x - (turn if x > limit else none)) + (turn if x <= -limit else none))

    return plain if isinstance(x, numba.types.Float) else integer


@overload(clip)
def _clip(x: Any) -> Any:
    kind = np.int64 if x == numba.int64 else np.int32
    low, high = kind(1 - LIMIT), kind(LIMIT - 1)

    def plain(x: Any) -> Any:
        return x

    def integer(x: Any) -> Any:
        return min(max(x, low), high)

    return plain if isinstance(x, numba.types.Float) else integer


@overload(shift_right)
def _shift_right(total: Any, bits: Any) -> Any:
    def plain(total: Any, bits: Any) -> Any:
        return total

    def integer(total: Any, bits: Any) -> Any:
        return total >> bits

    return plain if isinstance(total, numba.types.Float) else integer


@overload(by_synapse)
def _by_synapse(threshold: Any) -> Any:
    kind = np.int64 if threshold == numba.int64 else np.int32

    def plain(threshold: Any) -> Any:
        return threshold

    def integer(threshold: Any) -> Any:
        bits = kind(5)  # a threshold has 6 bits below its mantissa: of up to 8 bits, this rounds nothing
        for more in range(14, 21):
            bits += kind(threshold >= kind(1) << kind(more))
        return kind(kind(kind(threshold + (kind(1) << bits)) >> bits >> kind(1)) << bits << kind(1))

    return plain if isinstance(threshold, numba.types.Float) else integer


@inlined
def _list_spikes(flags: Any, n: int, into: Any) -> int:
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
        _add32(sums, to, weights, of, more)
        to, of, more = to + 32, of + 32, more + 32
    if length & 16:
        _add16(sums, to, weights, of, more)
        to, of, more = to + 16, of + 16, more + 16
    if length & 8:
        _add8(sums, to, weights, of, more)
        to, of, more = to + 8, of + 8, more + 8
    if length & 4:
        _add4(sums, to, weights, of, more)
        to, of, more = to + 4, of + 4, more + 4
    while to < end:
        _add1(sums, to, weights, of, more)
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
        for a in range(index[lines + line], index[lines + line + 1], 3):
            for b in range(index[runs + column], index[runs + column + 1], 3):
                to = target + index[lines + a] + index[runs + b]
                of = index[lines + a + 1] + index[runs + b + 1]
                _add_run(sums, to, weights, own + of, more + of * step, index[runs + b + 2])


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
def _arrive(
    net: Tables, state: State, job: Job, pop: Any, when: Any, row: int, shared: int, sums: Any, drive: Any
) -> int:
    """The drive of one population in one step, without biases; returns 0 where nothing arrived."""
    clock, t, b = when
    n = pop[PADDED]
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
        first = source[LIST] + slot * source[N]
        sources = state.lists[own, first : first + count]
        some = sums[conn[SUMS] : conn[SUMS] + n]
        if conn[KIND] == DENSE:
            _add_dense(some, net.weights, conn[WEIGHTS], conn[STRIDE], sources, count)
        elif conn[KIND] == ROWS:
            _add_rows(some, net.weights, conn[WEIGHTS], 0, net.places, conn[INDEX], conn[RUNS], sources, count)
        else:
            _add_single(some, net.weights, conn[WEIGHTS], net.places, conn[INDEX], conn[RUNS], sources, count)
    if arrived == 0:
        drive[:n] = 0
    else:
        for g in range(pop[GROUP], pop[GROUP_END]):
            group = net.groups[g]
            own_sums = sums[group[0] : group[0] + n]
            _scale_into(drive, own_sums, group[1], drive.dtype.type(group[2]), g > pop[GROUP])
            own_sums[:] = 0
    for c in range(pop[IN], pop[IN_END]):
        if job.outside_at[c, 0] >= 0:
            where = job.outside_at[c]
            first = where[0] + (t * where[2] + (b if where[1] else row)) * pop[N]
            outside = job.outside[first : first + pop[N]]
            _scale_into(drive, outside, where[3], drive.dtype.type(where[4]), True)
            arrived = 1
    return arrived


@inlined
def _count_updates(drive: Any, arrived: int, v: Any, biased: Any) -> Any:
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
def _count_off(drive: Any, arrived: int, v: Any, biased: Any, off: Any) -> Any:
    """As :func:`_count_updates`, of the neurons whose bits are set in ``off``."""
    active = awake = 0
    for w in range(len(biased)):
        driven = nonzero_bits(drive, w * PAD) if arrived else np.uint64(0)
        active += bits_set(driven & off[w])
        awake += bits_set((driven | nonzero_bits(v, w * PAD) | biased[w]) & off[w])
    return active, awake


@inlined
def _pattern(job: Job, q: int, dial: int, t: int, b: int) -> int:
    """Which neurons of a population are off at a dial, step and sample: their pattern, -1 for none."""
    where = job.off_at[q]
    return job.off[where[0] + dial * where[1] + t * where[2] + b * where[3]] if where[0] >= 0 else -1


@inlined
def _integrate(v: Any, current: Any, owed: Any, keep: Any, bias: Any, reset: int) -> None:
    """The membranes that are compared with the threshold, in place."""
    n = len(v)
    kind = v.dtype.type
    if reset in (ZERO, NONE, SUBTRACT):
        for j in range(n):
            v[j] = clip(kind(kind(decay(v[j], keep[j]) + current[j]) + bias[j]))
    elif reset == NONE_RECTIFIED:
        for j in range(n):
            v[j] = max(kind(0), clip(kind(kind(decay(v[j], keep[j]) + current[j]) + bias[j])))
    elif reset == ZERO_DELAYED:
        for j in range(n):
            integrated = clip(kind(kind(decay(v[j], keep[j]) + current[j]) + bias[j]))
            v[j] = kind(0) if owed[j] != 0 else integrated
    else:
        for j in range(n):
            v[j] = clip(kind(kind(kind(decay(v[j], keep[j]) + current[j]) + bias[j]) - owed[j]))


@inlined
def _fire(v: Any, owed: Any, threshold: Any, reset: int, fired: Any) -> None:
    """Which membranes are above the threshold, and what that does to them."""
    n = len(v)
    zero = v.dtype.type(0)
    if reset == ZERO:
        for j in range(n):
            spike = v[j] > threshold[j]
            fired[j] = spike
            v[j] = zero if spike else v[j]
    elif reset in (NONE, NONE_RECTIFIED):
        for j in range(n):
            fired[j] = v[j] > threshold[j]
    elif reset == SUBTRACT:
        for j in range(n):
            spike = v[j] > threshold[j]
            fired[j] = spike
            v[j] -= threshold[j] if spike else zero
    elif reset == SUBTRACT_GUARDED:
        for j in range(n):
            spike = v[j] > threshold[j]
            fired[j] = spike
            v[j] -= (threshold[j] if spike else zero) - owed[j]
            owed[j] = threshold[j] if v[j] > threshold[j] else zero
    elif reset == SUBTRACT_SYNAPSE:
        for j in range(n):
            spike = v[j] > threshold[j]
            fired[j] = spike
            owed[j] = by_synapse(threshold[j]) if spike else zero
    else:
        for j in range(n):
            spike = v[j] > threshold[j]
            fired[j] = spike
            owed[j] = threshold[j] if spike else zero


@inlined
def _remember(u: Any, drive: Any, keep: Any) -> None:
    """The synaptic current, in place."""
    kind = u.dtype.type
    for j in range(len(u)):
        u[j] = wrap(kind(decay(u[j], keep[j]) + drive[j]))


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
def _record_spikes(net: Tables, state: State, counts: Counts, q: int, slot: int, place: Any, row: int) -> None:
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
def _record_off(
    net: Tables, state: State, job: Job, counts: Counts, q: int, slot: int, when: Any, place: Any, row: int
) -> None:
    """Count what the spikes of a population reach of neurons that are off; ``place`` as in :func:`_record_spikes`."""
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
        pattern = _pattern(job, where[1], dial, t, b)
        if pattern < 0:
            continue
        total, fan = 0, where[0] + pattern * pop[N]
        for k in range(count):
            total += job.off_fan[fan + state.lists[row, first + k]]
        counts.off_operations[dial, c, step, sample] = total


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
            arrived = _arrive(net, state, job, pop, when, row, b * dials, sums, drive)
            for same in range(dial, dials if pop[SHARED] else dial + 1):
                before = state.v[b * dials + same, at : at + padded]
                if reset == SUBTRACT_SYNAPSE:
                    for j in range(padded):
                        brought[j] = drive[j] - state.owed[b * dials + same, at + j]
                    active, awake = _count_updates(brought, 1, before, biased)
                else:
                    active, awake = _count_updates(drive, arrived, before, biased)
                counts.active[same, q, origin[1] + t, origin[2] + b] = active
                counts.awake[same, q, origin[1] + t, origin[2] + b] = awake
                pattern = _pattern(job, q, same, t, b)
                if pattern >= 0:
                    off = job.off_words[job.off_at[q, 4] + pattern * (padded // PAD) :]
                    if reset == SUBTRACT_SYNAPSE:
                        active, awake = _count_off(brought, 1, before, biased, off)
                    else:
                        active, awake = _count_off(drive, arrived, before, biased, off)
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
            _remember(current, drive, net.keep_u[at : at + padded])
        _integrate(v, current, owed, net.keep_v[at : at + padded], bias, reset)
        samples = state.v.shape[0]
        if job.membranes_at[q] >= 0:
            first = job.membranes_at[q] + (t * samples + row) * n
            job.membranes[first : first + n] = v[:n]
        own = threshold[at : at + padded]
        _dial(job, q, n, dial, t, b, own)
        _fire(v, owed, own, reset, fired[:padded])
        if job.rasters_at[q] >= 0:
            first = job.rasters_at[q] + (t * samples + row) * n
            job.rasters[first : first + n] = fired[:n]
        first = pop[LIST] + slot * n
        state.lens[row, pop[LENS] + slot] = _list_spikes(fired, padded, state.lists[row, first:])
        place = (dial, origin[1] + t, origin[2] + b)
        _record_spikes(net, state, counts, q, slot, place, row)
        if job.off_fan_at[-1, 1] >= 0:
            _record_off(net, state, job, counts, q, slot, when, place, row)


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
        state.lens[row, pop[LENS] + slot] = _list_spikes(job.given[t, b], n, state.lists[row, first:])
        if counted:
            _record_spikes(net, state, counts, q, slot, (0, origin[1] + t, origin[2] + b), row)
            if job.off_fan_at[-1, 1] >= 0:
                for dial in range(dials):
                    place = (dial, origin[1] + t, origin[2] + b)
                    _record_off(net, state, job, counts, q, slot, when, place, row)
        return
    samples = state.v.shape[0]
    for row in range(b * dials, (b + 1) * dials):
        at = job.rasters_at[q] + (t * samples + row) * n
        flags = job.rasters[at : at + n]
        state.lens[row, pop[LENS] + slot] = _list_spikes(flags, n, state.lists[row, first:])


@compiled
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
