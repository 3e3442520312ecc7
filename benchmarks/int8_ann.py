"""An int8 network of rectified linear units as a C program: the baseline of ``benchmarks/microcontroller.py``, with the
shape and the weights of a spiking network, and of ``benchmarks/small_ann.py``, which trains one of its own.

A layer that is pruned is kept in rows of indices and weights. Sums have 32 bits; what a layer gives on is a sum and a
bias, times a factor, rounded, cut to 0 to 127.

As in the libraries for these cores, several targets share each input that is loaded, and with the extension for signal
processing two products are added at once. Sparse rows have two weights and their inputs to a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aspen._base.arrays import Array
from aspen_emulator.engines.cortex_m.cores import Core
from aspen_emulator.engines.cortex_m.counting import Meter, added
from aspen_emulator.engines.cortex_m.image import Image
from aspen_emulator.engines.cortex_m.machine import EXCHANGE, Machine
from aspen_emulator.engines.cortex_m.toolchain import cross_compiled
from aspen_hardware.c.program import Program
from aspen_hardware.c.text import Table, filled, type_of
from aspen_hardware.chips.ranges import Range

ROWS = 4
"""Targets whose sums are made together."""
SHIFT = 20
"""A layer's factor is in units of 2**-20."""
START = """#include <stdint.h>

#include "ann.h"

static int8_t values[@layers@][@most@];
static int32_t sums[@most@];
static uint32_t pairs[@pairs@];
int32_t scores[@outputs@];

/* Sums times a factor, rounded, and cut to what is not below zero. */
static void rectify(int8_t *out, uint32_t n, int32_t factor)
{
    for (uint32_t i = 0; i < n; i++) {
        const int32_t value = (int32_t)(((int64_t)sums[i] * factor + (1 << @before@)) >> @shift@);
        out[i] = (int8_t)(value < 0 ? 0 : value > 127 ? 127 : value);
    }
}
"""
DUAL = """
static inline uint32_t even(uint32_t bytes)
{
    uint32_t halves;
    __asm__("sxtb16 %0, %1" : "=r"(halves) : "r"(bytes));
    return halves;
}

static inline uint32_t odd(uint32_t bytes)
{
    uint32_t halves;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(halves) : "r"(bytes));
    return halves;
}

static inline int32_t two(uint32_t weights, uint32_t inputs, int32_t sum)
{
    __asm__("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(weights), "r"(inputs));
    return sum;
}

/* Four inputs in a word of bytes become two words of halves, once for all targets. */
static void spread(const int8_t *in, uint32_t words)
{
    for (uint32_t j = 0; j < words; j++) {
        const uint32_t bytes = ((const uint32_t *)(const void *)in)[j];
        pairs[2 * j] = even(bytes);
        pairs[2 * j + 1] = odd(bytes);
    }
}

/* Four targets at a time; `weights` has, for each four inputs, a word of each target. */
static void dense(const int8_t *in, const uint32_t *weights, uint32_t inputs, uint32_t targets)
{
    const uint32_t words = (inputs + 3) / 4;
    spread(in, words);
    for (uint32_t i = 0; i < targets; i += 4) {
        int32_t a = 0, b = 0, c = 0, d = 0;
        for (const uint32_t *x = pairs; x != &pairs[2 * words]; x += 2, weights += 4) {
            a = two(odd(weights[0]), x[1], two(even(weights[0]), x[0], a));
            b = two(odd(weights[1]), x[1], two(even(weights[1]), x[0], b));
            c = two(odd(weights[2]), x[1], two(even(weights[2]), x[0], c));
            d = two(odd(weights[3]), x[1], two(even(weights[3]), x[0], d));
        }
        sums[i] = a;
        sums[i + 1] = b;
        sums[i + 2] = c;
        sums[i + 3] = d;
    }
}
"""
PLAIN = """
/* Two targets at a time. */
static void dense(const int8_t *in, const int8_t *weights, uint32_t inputs, uint32_t targets)
{
    for (uint32_t i = 0; i < targets; i += 2) {
        int32_t a = 0, b = 0;
        for (uint32_t k = 0; k < inputs; k++) {
            a += in[k] * weights[k];
            b += in[k] * weights[inputs + k];
        }
        sums[i] = a;
        sums[i + 1] = b;
        weights += 2 * inputs;
    }
}
"""
PAIRED = """
static void sparse_@layer@(const int8_t *in)
{
    const uint32_t *word = pairs_@layer@;
    for (uint32_t i = 0; i < @targets@; i++) {
        int32_t a = 0, b = 0;
        for (const uint32_t *end = &pairs_@layer@[starts_@layer@[i + 1]]; word != end; word++) {
            const uint32_t both = *word; /* weight, input, weight, input */
            a += in[both >> 8 & 255u] * (int8_t)both;
            b += in[both >> 24] * (int8_t)(both >> 16);
        }
        sums[i] = a + b;
    }
}
"""
SPARSE = """
static void sparse_@layer@(const int8_t *in)
{
    const @index@ *source = sources_@layer@;
    const int8_t *weight = weights_@layer@;
    for (uint32_t i = 0; i < @targets@; i++) {
        int32_t sum = 0;
        for (const int8_t *end = &weights_@layer@[starts_@layer@[i + 1]]; weight != end; weight++, source++) {
            sum += in[*source] * *weight;
        }
        sums[i] = sum;
    }
}
"""
BIAS = """
static void add(const int32_t *bias, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        sums[i] += bias[i];
    }
}
"""
MOST_PAIRED = 256
"""Inputs that one byte counts."""


@dataclass(frozen=True)
class Layer:
    """A layer: all inputs to all targets, or a convolution along time, whose windows lie one behind the other.

    Args:
        weights: (targets, inputs), of 8 bits.
        is_sparse: whether zeros are left out.
        factor: of what it gives on, in units of ``2**-SHIFT``.
        bias: (targets,) of 32 bits, in units of its sums; None: none.
        places, stride: how many windows of ``inputs`` values there are, and how far the next one begins.
    """

    weights: Array
    is_sparse: bool
    factor: int
    bias: Array | None = None
    places: int = 1
    stride: int = 0

    @property
    def sizes(self) -> tuple[int, int]:
        """Values that go in and come out."""
        targets, inputs = self.weights.shape
        return (self.places - 1) * self.stride + inputs, self.places * targets

    def sums(self, values: Array) -> Array:
        """(..., places * targets) of all that goes in."""
        inputs = self.weights.shape[1]
        starts = (place * self.stride for place in range(self.places))
        windows = np.stack([values[..., start : start + inputs] for start in starts], axis=-2)
        found = windows.astype(np.int64) @ self.weights.T.astype(np.int64) + (0 if self.bias is None else self.bias)
        return found.reshape(*values.shape[:-1], -1)

    def given_on(self, values: Array) -> Array:
        """(..., places * targets): what the next layer gets."""
        return np.clip((self.sums(values) * self.factor + (1 << SHIFT - 1)) >> SHIFT, 0, 127)

    @property
    def reads_no_further(self) -> bool:
        """Than its inputs: dense rows are read four at a time."""
        return self.is_sparse or self.weights.shape[1] % 4 == 0

    @property
    def is_paired(self) -> bool:
        """Whether two weights with their inputs stand in a word."""
        return self.is_sparse and self.weights.shape[1] <= MOST_PAIRED

    def tables(self, number: int, dual: bool) -> list[Table]:
        """What it keeps in flash."""
        found = [] if self.bias is None else [Table("int32_t", f"bias_{number}", self.bias, "biases")]
        return found + (self._rows(number) if self.is_sparse else [self._matrix(number, dual)])

    def _rows(self, number: int) -> list[Table]:
        counts = np.count_nonzero(self.weights, axis=1)
        if self.is_paired:
            words = [word for row in self.weights for word in _words(row)]
            starts = np.concatenate([[0], np.cumsum(-(-counts // 2))])
            return [
                Table(type_of(starts, True), f"starts_{number}", starts, "where the rows of targets begin"),
                Table("uint32_t", f"pairs_{number}", np.array(words or [0], np.uint32), "weights and inputs"),
            ]
        rows, sources = np.nonzero(self.weights)
        starts = np.concatenate([[0], np.cumsum(counts)])
        return [
            Table(type_of(starts, True), f"starts_{number}", starts, "where the rows of targets begin"),
            Table(type_of(sources, True), f"sources_{number}", sources, "inputs"),
            Table("int8_t", f"weights_{number}", self.weights[rows, sources], "weights"),
        ]

    def _matrix(self, number: int, dual: bool) -> Table:
        targets, inputs = self.weights.shape
        if not dual:
            return Table("int8_t", f"weights_{number}", _padded(self.weights, 2, 1), "target by target")
        whole = _padded(self.weights, ROWS, 4).astype(np.uint8).astype(np.uint32)
        words = (whole.reshape(len(whole), -1, 4) << np.uint32([0, 8, 16, 24])).sum(axis=2, dtype=np.uint32)
        blocks = words.reshape(-1, ROWS, words.shape[1]).transpose(0, 2, 1)
        return Table("uint32_t", f"weights_{number}", blocks.reshape(-1), f"{targets} targets, {inputs} inputs")

    def function(self, number: int) -> str:
        """Of its own, where its rows are sparse."""
        values = {"layer": number, "targets": len(self.weights), "index": ""}
        if not self.is_paired:
            values["index"] = type_of(np.nonzero(self.weights)[1], True)
        return filled(PAIRED if self.is_paired else SPARSE, values)

    def called(self, number: int, is_last: bool) -> list[str]:
        """The lines that make its sums, and what it gives on."""
        targets, inputs = self.weights.shape
        at, to = (f" + p * {size}" if self.places > 1 else "" for size in (self.stride, targets))
        values = "given" if number == 0 and self.reads_no_further else f"values[{number}]"
        call = f"sparse_{number}({values}{at});" if self.is_sparse else (
            f"dense({values}{at}, weights_{number}, {inputs}, {targets});"
        )  # fmt: skip
        lines = [call] if self.bias is None else [call, f"add(bias_{number}, {targets});"]
        lines += [] if is_last else [f"rectify(values[{number + 1}]{to}, {targets}, {self.factor});"]
        if self.places == 1:
            return lines
        return [f"for (uint32_t p = 0; p < {self.places}; p++) {{", *(f"    {line}" for line in lines), "}"]


def _words(row: Array) -> list[int]:
    """The weights of a target with their inputs, two to a word; the last is filled with a weight of 0."""
    sources = np.flatnonzero(row).tolist()
    halves = [int(row[k]) & 255 | k << 8 for k in sources] + [0] * (len(sources) % 2)
    return [a | b << 16 for a, b in zip(halves[::2], halves[1::2], strict=True)]


def _padded(weights: Array, rows: int, columns: int) -> Array:
    """With zeros up to multiples."""
    targets, inputs = weights.shape
    return np.pad(weights, ((0, -targets % rows), (0, -inputs % columns)))


class Ann:
    """A chain of layers.

    Args:
        layers: of it.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = tuple(layers)

    @classmethod
    def of(cls, program: Program, samples: Array) -> Ann:
        """With the shape and the weights of a spiking network.

        Args:
            program: the spiking network's; its connections make a chain.
            samples: (samples, inputs), up to 127, from which the layers' factors are chosen.
        """
        values, layers = samples, []
        for stored in program.connections:
            matrix = stored.connection.synapses().toarray() >> stored.halvings
            matrix = matrix >> max(int(np.abs(matrix).max()).bit_length() - 7, 0)
            largest = max(int((values @ matrix.T).max()), 1)
            layers.append(Layer(matrix, stored.form == "sparse", (127 << SHIFT) // largest))
            values = layers[-1].given_on(values)
        return cls(layers)

    @cached_property
    def operations(self) -> int:
        """Multiply-accumulates of an inference; where nothing is left out, those with zeros too."""
        return sum(
            e.places * (int(np.count_nonzero(e.weights)) if e.is_sparse else e.weights.size) for e in self.layers
        )

    def scores(self, values: Array) -> Array:
        """What it says of (..., inputs)."""
        for layer in self.layers[:-1]:
            values = layer.given_on(values)
        return self.layers[-1].sums(values)

    def source(self, dual: bool) -> str:
        """The C program, with ``dual`` for the extension for signal processing."""
        most = max(size for layer in self.layers for size in (*layer.sizes, *layer.weights.shape))
        most = -(-most // 4) * 4
        head = {"layers": len(self.layers), "most": most + 4, "pairs": most // 2, "outputs": self.layers[-1].sizes[1],
                "shift": SHIFT, "before": SHIFT - 1}  # fmt: skip
        tables = [table for k, layer in enumerate(self.layers) for table in layer.tables(k, dual)]
        kinds = [filled(START, head)]
        kinds += [] if all(layer.is_sparse for layer in self.layers) else [DUAL if dual else PLAIN]
        kinds += [] if all(layer.bias is None for layer in self.layers) else [BIAS]
        kinds += [layer.function(k) for k, layer in enumerate(self.layers) if layer.is_sparse]
        return "".join([*kinds[:1], *(f"\n{table}\n" for table in tables), *kinds[1:], self._inference()])

    def _inference(self) -> str:
        first = self.layers[0]
        copied = [f"for (int i = 0; i < {first.sizes[0]}; i++) {{", "    values[0][i] = given[i];", "}"]
        lines = [] if first.reads_no_further else copied
        for k, layer in enumerate(self.layers):
            lines += layer.called(k, k == len(self.layers) - 1)
        last = len(self.layers[-1].weights)
        lines += ["int winner = 0;", f"for (int i = 0; i < {last}; i++) {{", "    scores[i] = sums[i];"]
        lines += ["    winner = sums[i] > sums[winner] ? i : winner;", "}", "return winner;"]
        body = "\n".join(f"    {line}" for line in lines)
        return f"\nint infer(const int8_t *given)\n{{\n{body}\n}}\n"

    def measured(self, samples: Sequence[Array], core: Core, optimisation: str) -> tuple[Range, int]:
        """Mean cycles of an inference, checked against what is right; and bytes of flash."""
        header = "#include <stdint.h>\nint infer(const int8_t *given);\n"
        sources = {"ann.c": self.source(core.name != "cortex-m0plus"), "ann.h": header}
        image = Image(cross_compiled(sources, core, {"infer"}, [optimisation]))
        machine = Machine(image, core)
        meter, counts = Meter(machine), []
        for values in samples:
            machine.write(EXCHANGE, values.astype(np.int8).tobytes())
            winner, parts = meter.call("infer", EXCHANGE)
            right = self.scores(values)
            found = np.frombuffer(machine.read(image.symbols["scores"], 4 * right.size), "<i4")
            np.testing.assert_array_equal(found, right)
            assert winner == int(right.argmax())
            counts.append((1, added((1, count) for count in parts.values())))
        return added(counts).cycles.times(1 / len(counts)), image.sizes[".text"] + image.sizes[".rodata"]
