"""Kernels in C: the loops that add the synapses of what spiked to the sums of their targets."""

from __future__ import annotations

from collections.abc import Sequence

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
PAIRED_ROW = """
/* Adds the weights of one source to the sums of their targets: a word has two weights, each below its target. */
INLINE void @name@(@sum@ *sum, const uint32_t *pair, const uint32_t *end)
{
    HELD(sum);
    while (pair != end) {
        const uint32_t both = *pair++;
        uint32_t one = both >> 8 & 0xFFu, other = both >> 24; /* these are different targets */
#ifdef THUMB_2
        TOGETHER("+r"(one), "+r"(other));
        @sum@ first_sum = sum[one], second_sum = sum[other];
        TOGETHER("+r"(first_sum), "+r"(second_sum));
        sum[one] = (@sum@)(first_sum + (int8_t)both);
        sum[other] = (@sum@)(second_sum + (int8_t)(both >> 16));
#else
        sum[one] = (@sum@)(sum[one] + (int8_t)both);
        sum[other] = (@sum@)(sum[other] + (int8_t)(both >> 16));
#endif
    }
}
"""
NESTED_PAIRED_ROW = """
/* The same, up to the last of `on` targets. Targets of a row ascend, and the last word names a target of 255. */
INLINE void @name@(@sum@ *sum, const uint32_t *pair, uint32_t on)
{
    const uint32_t most = on < 255u ? on : 255u;
    uint32_t both = *pair++;
    HELD(sum);
    while (both >> 24 < most) {
        uint32_t one = both >> 8 & 0xFFu, other = both >> 24;
#ifdef THUMB_2
        TOGETHER("+r"(one), "+r"(other));
        @sum@ first_sum = sum[one], second_sum = sum[other];
        TOGETHER("+r"(first_sum), "+r"(second_sum));
        sum[one] = (@sum@)(first_sum + (int8_t)both);
        sum[other] = (@sum@)(second_sum + (int8_t)(both >> 16));
#else
        sum[one] = (@sum@)(sum[one] + (int8_t)both);
        sum[other] = (@sum@)(sum[other] + (int8_t)(both >> 16));
#endif
        both = *pair++;
    }
    const uint32_t one = both >> 8 & 0xFFu;
    if (one < on) {
        sum[one] = (@sum@)(sum[one] + (int8_t)both);
        if (both >> 24 < on) {
            sum[both >> 24] = (@sum@)(sum[both >> 24] + (int8_t)(both >> 16));
        }
    }
}
"""
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
    for (uint32_t k = 0; k < state.count_@source@; k++) {
        const uint32_t source = state.events_@source@[k];
@body@
    }
}
"""
PAST_EVENTS = """
/* @what@, of @delay@ step@s@ ago */
static void @function@(@sum@ *sum)
{
    const uint8_t *past = state.history_@source@[(state.slot_@source@ + @back@u) % @slots@u];
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
BLOCKS_ON = """
/* How many blocks of targets, the first of which is `begin`, have any that is on; `most` are there. */
INLINE uint32_t blocks_on(uint32_t on, uint32_t begin, uint32_t targets, uint32_t most)
{
    const uint32_t blocks = on > begin ? (on - begin + targets - 1u) / targets : 0u;
    return blocks < most ? blocks : most;
}

/* How many sums that are: whole blocks, up to `most`. */
INLINE uint32_t in_blocks(uint32_t on, uint32_t targets, uint32_t most)
{
    const uint32_t sums = targets * blocks_on(on, 0u, targets, 65535u);
    return sums < most ? sums : most;
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

PACKED_SUMS = """
/* Dense layers add four weights at a time: a word of weights has four bytes, each a weight plus 128, and a word of sums
 * has two sums of 16 bits. So many spikes bring so often 128 too much, which the sums begin without. With the extension
 * for signal processing the halves of a word are added apart; elsewhere the word is a number, the first sum and 65536
 * times the second, whatever their signs. */
#if defined(__GNUC__) && defined(__ARM_FEATURE_SIMD32)
#define TWO_BYTES_AT_ONCE
#endif

static inline uint32_t sums_without(uint32_t count)
{
#ifdef TWO_BYTES_AT_ONCE
    return ((0u - 128u * count) & 0xFFFFu) * 0x10001u;
#else
    return 0u - count * 0x800080u;
#endif
}

static inline int16_t first(uint32_t sums)
{
    return (int16_t)(sums & 0xFFFFu);
}

static inline int16_t second(uint32_t sums)
{
#ifdef TWO_BYTES_AT_ONCE
    return (int16_t)(sums >> 16);
#else
    return (int16_t)((sums + 0x8000u) >> 16);
#endif
}
"""
PACKED_ROW = """
#ifdef TWO_BYTES_AT_ONCE
/* Adds what one spike brings to @targets@ targets, and returns where the next is. */
INLINE const uint16_t *add_row_@width@(uint32_t *s, const uint32_t *weights, const uint16_t *event)
{
@assembly@
    return event;
}
#endif
"""
PACKED = """
/* @what@ the sums of @targets@ targets at a time by what `events` bring. */
static void @name@(@sum@ *sum, const uint32_t *weights, uint32_t sources, uint32_t blocks,
    const uint16_t *events, uint32_t count)
{
    const uint32_t start = sums_without(count);
@none@#ifdef TWO_BYTES_AT_ONCE
    const uint16_t *const end = events + count;
#endif
    for (; blocks != 0; blocks--) {
#ifdef TWO_BYTES_AT_ONCE
        uint32_t s[@sums@] = {@starts@};
        const uint16_t *event = events;
        do {
            event = add_row_@width@(s, weights, event);
        } while (event != end);
@stores@
        sum += @targets@;
#else
        ROLLED
        for (uint32_t word = 0; word < @width@u; word++, sum += 4) {
            uint32_t mask = 0x00FF00FFu;
            HELD(mask);
            uint32_t even = start, odd = start;
            ROLLED
            for (uint32_t k = 0; k < count; k++) {
                const uint32_t bytes = weights[@width@u * events[k] + word];
                even += bytes & mask;
                odd += bytes >> 8; /* and so 256 times the byte that went to the second sum */
            }
            odd -= ((uint32_t)second(even) + 128u * count) << 8;
@four@
        }
#endif
        weights += @width@u * sources;
    }
}
"""
WIDTHS = (4, 2, 1)
"""Words of weights of one source that a packed kernel adds at once, in 2 registers of sums each."""
PER_WORD = 4
"""Weights in a word."""
_BYTES = (0, 2, 1, 3)
"""Which of a word's four targets each of its bytes is for: bytes 0 and 2 go to the first two sums."""
_OFFSET = 128
_LAST = 255


def padded(n: int) -> int:
    """``n`` targets, and those that fill the last word."""
    return -(-n // PER_WORD) * PER_WORD


def parts(n: int) -> list[tuple[int, int, int]]:
    """(width, first word, blocks): how the words of ``n`` targets are split among packed kernels."""
    words, begin, found = -(-n // PER_WORD), 0, []
    for width in WIDTHS:
        blocks = (words - begin) // width
        if blocks:
            found.append((width, begin, blocks))
            begin += blocks * width
    return found


def packed(matrix: Array) -> Array:
    """Weights (sources, targets), int8, as packed kernels read them: (words,) int64, by block, source, word."""
    sources, n = matrix.shape
    whole = np.zeros((sources, padded(n)), np.int64)
    whole[:, :n] = matrix
    grouped = (whole + _OFFSET).reshape(sources, -1, PER_WORD)[:, :, _BYTES]
    words = (grouped << (8 * np.arange(PER_WORD))).sum(axis=2)
    blocks = [
        words[:, begin : begin + blocks * width].reshape(sources, blocks, width).transpose(1, 0, 2).reshape(-1)
        for width, begin, blocks in parts(n)
    ]
    return np.concatenate(blocks)


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


def packed_row(width: int) -> str:
    """The function that adds a row of so many words."""
    row, word = "%[row]", "%[word]"
    lines = [f"ldrh {row}, [%[event]], #2", f"add {row}, %[weights], {row}, lsl #{width.bit_length() + 1}"]
    for i in range(width - 1):
        lines += [f"ldr {word}, [{row}, #{4 * i}]", *(_added(i, word) if i < width - 2 else [])]
    lines += [f"ldr {row}, [{row}, #{4 * (width - 1)}]"]
    lines += [*(_added(width - 2, word) if width > 1 else []), *_added(width - 1, row)]
    outputs = [*(f'"+r"(s[{i}])' for i in range(2 * width)), '[event] "+r"(event)', '[row] "=&r"(row)']
    outputs += ['[word] "=&r"(word)'] if width > 1 else []
    assembly = ["uint32_t row, word;" if width > 1 else "uint32_t row;"]
    assembly += ["__asm__(", *(f'    "{line}\\n\\t"' for line in lines)]
    assembly += [f"    : {', '.join(outputs)}", '    : [weights] "r"(weights));']
    values = {"width": width, "targets": PER_WORD * width, "assembly": "\n".join(f"    {line}" for line in assembly)}
    return filled(PACKED_ROW, values)


def _added(i: int, word: str) -> list[str]:
    """Adds the bytes of a word, the ``i``-th of a row."""
    even, odd = f"%{2 * i}", f"%{2 * i + 1}"
    return [f"uxtab16 {even}, {even}, {word}", f"uxtab16 {odd}, {odd}, {word}, ror #8"]


def packed_kernel(name: str, width: int, add: bool, ctype: str) -> str:
    """A kernel that adds rows of so many words of all spikes to sums of type ``ctype``, or sets these."""

    def stored(words: Sequence[str], pad: int) -> str:
        lines = []
        for i, each in enumerate(words):
            for place, half in ((2 * i, "first"), (2 * i + 1, "second")):
                before = f"sum[{place}] + " if add else ""
                lines.append(f"{' ' * pad}sum[{place}] = ({ctype})({before}{half}({each}));")
        return "\n".join(lines)

    zeros = [f"sum[{place}] = 0;" for place in range(PER_WORD * width)]
    zeros = [
        "for (; blocks != 0; blocks--) {",
        *(f"    {line}" for line in zeros),
        f"    NEXT(sum, {PER_WORD * width});",
        "}",
    ]
    none = ["if (count == 0) {", *(f"    {line}" for line in ([] if add else zeros)), "    return;", "}"]
    values = {
        "none": "".join(f"    {line}\n" for line in none),
        "name": name, "sum": ctype, "what": "Raises" if add else "Sets", "width": width, "targets": PER_WORD * width,
        "sums": 2 * width, "starts": ", ".join(["start"] * 2 * width),
        "stores": stored([f"s[{i}]" for i in range(2 * width)], 8), "four": stored(["even", "odd"], 12),
    }  # fmt: skip
    return filled(PACKED, values)
