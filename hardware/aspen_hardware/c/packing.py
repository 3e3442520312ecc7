"""Dense rows in C, four weights to a word: how weights are packed, and the loops that add them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aspen._base.arrays import Array
from aspen_hardware.c.text import filled

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
BLOCKS_ON = """
/* How many blocks of targets, the first of which is `begin`, have any that is on; `most` are there. */
INLINE uint32_t blocks_on(uint32_t on, uint32_t begin, uint32_t targets, uint32_t most)
{
    const uint32_t blocks = on > begin ? (on - begin + targets - 1u) / targets : 0u;
    return blocks < most ? blocks : most;
}
"""
IN_BLOCKS = """
/* How many sums that are: whole blocks, up to `most`. */
INLINE uint32_t in_blocks(uint32_t on, uint32_t targets, uint32_t most)
{
    const uint32_t sums = targets * blocks_on(on, 0u, targets, 65535u);
    return sums < most ? sums : most;
}
"""
WIDTHS = (4, 2, 1)
"""Words of weights of one source that a packed kernel adds at once, in 2 registers of sums each."""
PER_WORD = 4
"""Weights in a word."""
_BYTES = (0, 2, 1, 3)
"""Which of a word's four targets each of its bytes is for: bytes 0 and 2 go to the first two sums."""
_OFFSET = 128


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
