"""Kernels in C: the loops that add the synapses of what spiked to the sums of their targets."""

from __future__ import annotations

import numpy as np

from aspen._base.arrays import Array
from aspen_hardware.c.text import filled

DENSE_ROW = """
/* Adds `value` times a row of `n` weights to the sums of all targets. */
static void @name@(@sum@ *sum, const @weight@ *row, uint32_t n, @value@ value)
{
    for (uint32_t j = 0; j < n; j++) {
        sum[j] = (@sum@)(sum[j] + value * row[j]);
    }
}
"""
SPARSE_ROW = """
/* Adds `value` times the `n` weights of one source to the sums of its targets. */
static void @name@(@sum@ *sum, const @index@ *targets, const @weight@ *weights, uint32_t n,
    @value@ value@given@)
{
    for (uint32_t k = 0; k < n@while@; k++) {
        sum[targets[k]] = (@sum@)(sum[targets[k]] + value * weights[k]);
    }
}
"""
_PAIR_ADDED = """#ifdef THUMB_2
        TOGETHER("+r"(one), "+r"(other));
        @sum@ first_sum = sum[one], second_sum = sum[other];
        TOGETHER("+r"(first_sum), "+r"(second_sum));
        sum[one] = (@sum@)(first_sum + (int8_t)both);
        sum[other] = (@sum@)(second_sum + (int8_t)(both >> 16));
#else
        sum[one] = (@sum@)(sum[one] + (int8_t)both);
        sum[other] = (@sum@)(sum[other] + (int8_t)(both >> 16));
#endif
"""
PAIRED_ROW = """
/* Adds the weights of one source to the sums of their targets: a word has two weights, each below its target. */
INLINE void @name@(@sum@ *sum, const uint32_t *pair, const uint32_t *end)
{
    HELD(sum);
    while (pair != end) {
        const uint32_t both = *pair++;
        uint32_t one = both >> 8 & 0xFFu, other = both >> 24; /* these are different targets */
@added@    }
}
""".replace("@added@", _PAIR_ADDED)
NESTED_PAIRED_ROW = """
/* The same, up to the last of `on` targets. Targets of a row ascend, and the last word names a target of 255. */
INLINE void @name@(@sum@ *sum, const uint32_t *pair, uint32_t on)
{
@most@    uint32_t both = *pair++;
    HELD(sum);
    while (both >> 24 < @until@) {
        uint32_t one = both >> 8 & 0xFFu, other = both >> 24;
@added@        both = *pair++;
    }
    const uint32_t one = both >> 8 & 0xFFu;
    if (one < on) {
        sum[one] = (@sum@)(sum[one] + (int8_t)both);
@last@    }
}
""".replace("@added@", _PAIR_ADDED)
_UP_TO_LAST = {
    "most": "    const uint32_t most = on < 255u ? on : 255u;\n",
    "until": "most",
    "last": """        if (both >> 24 < on) {
            sum[both >> 24] = (@sum@)(sum[both >> 24] + (int8_t)(both >> 16));
        }
""",
}
CONV_SHAPE = """
/* A convolution's shape; `inputs` and `outputs` are the channels of one group. */
struct convolution {
    int32_t height, width, out_height, out_width, inputs, outputs;
    int32_t kernel_height, kernel_width, stride_y, stride_x, padding_y, padding_x, dilation_y, dilation_x;
};
"""
CONV_ROW = """
/* Adds `value` times the kernels over one source to the sums of all places that it reaches. */
static void @name@(@sum@ *sum, const struct convolution *shape, const @weight@ *kernels,
    int32_t source, @value@ value@given@)
{
    const int32_t place = source % (shape->height * shape->width);
    const int32_t channel = source / (shape->height * shape->width);
    const int32_t places = shape->out_height * shape->out_width;
    @sum@ *map = &sum[channel / shape->inputs * shape->outputs * places];
    kernels = &kernels[channel * shape->kernel_height * shape->kernel_width * shape->outputs];
    for (int32_t ky = 0; ky < shape->kernel_height; ky++) {
        const int32_t y = place / shape->width + shape->padding_y - ky * shape->dilation_y;
        if (y < 0 || y % shape->stride_y != 0 || y / shape->stride_y >= shape->out_height) {
            continue;
        }
        for (int32_t kx = 0; kx < shape->kernel_width; kx++) {
            const int32_t x = place % shape->width + shape->padding_x - kx * shape->dilation_x;
            const @weight@ *weights = &kernels[(ky * shape->kernel_width + kx) * shape->outputs];
            if (x < 0 || x % shape->stride_x != 0 || x / shape->stride_x >= shape->out_width) {
                continue;
            }
            @sum@ *reached = &map[y / shape->stride_y * shape->out_width + x / shape->stride_x];
            for (int32_t o = 0; o < @outputs@; o++) {
                *reached = (@sum@)(*reached + value * weights[o]);
                reached += places;
            }
        }
    }
}
"""
EVENTS = """
/* @what@ */
static void @function@(@sum@ *sum)
{
@on@    for (uint32_t k = 0; k < state.count_@source@; k++) {
        const uint32_t source = state.events_@source@[k];
@body@
    }
}
"""
PAST_EVENTS = """
/* @what@, of @delay@ step@s@ ago */
static void @function@(@sum@ *sum)
{
@on@    const uint8_t *past = state.history_@source@[(state.slot_@source@ + @back@u) % @slots@u];
    for (uint32_t byte = 0; byte < @bytes@; byte++) {
        uint32_t source = 8u * byte;
        for (uint32_t bits = past[byte]; bits != 0; bits >>= 1, source++) {
            if ((bits & 1u) == 0) {
                continue;
            }
@body@
        }
    }
}
"""
PACKED_EVENTS = """
/* @what@@ago@ */
static void @function@(@sum@ *sum)
{
@recall@@body@
}
"""
RECALL = """
/* Lists the spikes of a past step, of which `bits` has one for each neuron; returns how many these are. */
static uint32_t recall(const uint8_t *bits, uint32_t bytes)
{
    uint32_t count = 0;
    for (uint32_t byte = 0; byte < bytes; byte++) {
        uint32_t source = 8u * byte;
        for (uint32_t left = bits[byte]; left != 0; left >>= 1, source++) {
            if ((left & 1u) != 0) {
                state.recalled[count++] = (uint16_t)source;
            }
        }
    }
    return count;
}
"""
VALUES = """
/* @what@@ago@ */
static void @function@(@sum@ *sum)
{
    const int16_t *values = @values@;
    for (uint32_t source = 0; source < @n@u; source++) {
        const int16_t value = values[source];
        if (value == 0) {
            continue;
        }
@body@
    }
}
"""
HELD = """
/* @what@, the same at every step: added up in the first one since the reset */
static void @function@(@sum@ *sum)
{
    if (state.begun == 0) {
        @function@_once(state.held_@function@);
    }
    for (uint32_t j = 0; j < @m@; j++) {
        sum[j] = (@sum@)(sum[j] + state.held_@function@[j]);
    }
}
"""
ROWS = {"dense": DENSE_ROW, "sparse": SPARSE_ROW, "conv": CONV_ROW}

_LAST = 255
MOST_PAIRED = _LAST + 1
"""Targets that a byte can name."""


def paired(starts: Array, targets: Array, weights: Array) -> tuple[Array, Array]:
    """Sparse rows, int8, with at most 256 targets, two synapses in a word: where the words of each source begin, and
    the words, int64. A row of an odd number ends with a weight of zero, of another target than the one beside it."""
    counts = np.diff(starts)
    begins = np.concatenate([[0], np.cumsum(-(-counts // 2))])
    halves = np.zeros((begins[-1], 2), np.int64)
    place = 2 * np.repeat(begins[:-1], counts) + np.arange(len(targets)) - np.repeat(starts[:-1], counts)
    halves.reshape(-1)[place] = targets.astype(np.int64) << 8 | (weights.astype(np.int64) & 0xFF)
    alone = begins[1:][counts % 2 == 1] - 1
    halves[alone, 1] = (halves[alone, 0] ^ 0x100) & 0xFF00
    return begins, halves[:, 0] | halves[:, 1] << 16


def nested_paired_row(name: str, ctype: str, targets: int) -> str:
    """The function that adds the synapses of a row whose targets are on. Only where there are 256, a row may have the
    target 255."""
    parts = {"most": "", "until": "on", "last": ""} if targets < MOST_PAIRED else _UP_TO_LAST
    return filled(filled(NESTED_PAIRED_ROW, {"name": name, "sum": ctype, **parts}), {"name": name, "sum": ctype})


def paired_up_to(starts: Array, targets: Array, weights: Array) -> tuple[Array, Array]:
    """As :func:`paired`, for rows that end before targets that are off: targets ascend, and the last word of each row
    names the target 255, with a weight of zero where it is not the row's."""
    counts = np.diff(starts)
    full = (counts % 2 == 0) & ~np.isin(np.arange(len(counts)), _rows_to_the_end(starts, targets))
    begins = np.concatenate([[0], np.cumsum(-(-counts // 2) + full)])
    halves = np.full((begins[-1], 2), _LAST << 8, np.int64)
    place = 2 * np.repeat(begins[:-1], counts) + np.arange(len(targets)) - np.repeat(starts[:-1], counts)
    halves.reshape(-1)[place] = targets.astype(np.int64) << 8 | (weights.astype(np.int64) & 0xFF)
    return begins[:-1], halves[:, 0] | halves[:, 1] << 16


def _rows_to_the_end(starts: Array, targets: Array) -> Array:
    """Rows whose last target is the last that a byte can name."""
    rows = np.flatnonzero(np.diff(starts))
    return rows[targets[starts[rows + 1] - 1] == _LAST]
