"""Connections in C: how each is stored, the loop of its kind, and where it reads its spikes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from aspen._base.arrays import Array
from aspen.network.connection import Connection
from aspen.network.connections import Conv
from aspen_hardware.c.text import SIZES, Table, filled, type_of

DENSE_ROW = """
/* Adds `value` times a row of `n` weights to the sums of all targets. */
static void @name@(@sum@ *sum, const @weight@ *row, uint32_t n, @sum@ value)
{
    for (uint32_t j = 0; j < n; j++) {
        sum[j] += value * row[j];
    }
}
"""
SPARSE_ROW = """
/* Adds `value` times the `n` weights of one source to the sums of its targets. */
static void @name@(@sum@ *sum, const @index@ *targets, const @weight@ *weights, uint32_t n,
    @sum@ value)
{
    for (uint32_t k = 0; k < n; k++) {
        sum[targets[k]] += value * weights[k];
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
    int32_t source, @sum@ value)
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
            for (int32_t o = 0; o < shape->outputs; o++) {
                map[o * places + y / shape->stride_y * shape->out_width + x / shape->stride_x] += value * weights[o];
            }
        }
    }
}
"""
_ROWS = {"dense": DENSE_ROW, "sparse": SPARSE_ROW, "conv": CONV_ROW}

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
    for (uint32_t byte = 0; byte < @bytes@u; byte++) {
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


@dataclass(frozen=True)
class Source:
    """What a connection reads: the population's name in C, its size, whether it is analog, and its longest delay."""

    name: str
    size: int
    analog: bool
    depth: int


@dataclass(frozen=True)
class Stored:
    """A connection as the program holds it.

    Args:
        connection: the one in the network.
        number: its place among the network's connections.
        source: what it reads.
        target: name of the target in C.
        wide: whether the target's sums have 64 bits.
    """

    connection: Connection
    number: int
    source: Source
    target: str
    wide: bool

    @property
    def name(self) -> str:
        """In C."""
        return f"{self.source.name}_to_{self.target}"

    @property
    def sum_type(self) -> str:
        """Of the target's sums."""
        return "int64_t" if self.wide else "int32_t"

    @cached_property
    def halvings(self) -> int:
        """How often all weights can be halved without loss: a chip's matrices of both signs hold even ones only."""
        together = int(np.bitwise_or.reduce(np.abs(self.connection.weight.astype(np.int64)), axis=None))
        return (together & -together).bit_length() - 1

    @property
    def exponent(self) -> int:
        """Of the weights as they are stored."""
        return self.connection.exponent + self.halvings

    @cached_property
    def _matrix(self) -> csr_array:
        return self.connection.synapses()

    @cached_property
    def _rows(self) -> tuple[Array, Array, Array]:
        """Where the synapses of each source begin, their targets, and their weights."""
        matrix = self._matrix.tocsc()
        matrix.sort_indices()
        return matrix.indptr, matrix.indices, matrix.data >> self.halvings

    @cached_property
    def form(self) -> str:
        """``dense``, ``sparse`` or ``conv``: whichever takes less flash."""
        if isinstance(self.connection, Conv):
            return "conv"
        n_target, n_source = self._matrix.shape
        wide = SIZES[type_of(self._rows[2])]
        full = n_source * n_target * wide
        return "dense" if full <= sum(table.size for table in self._sparse_tables()) else "sparse"

    @cached_property
    def tables(self) -> list[Table]:
        """What it keeps in flash."""
        return {"dense": self._dense_tables, "sparse": self._sparse_tables, "conv": self._conv_tables}[self.form]()

    @property
    def fan_out(self) -> Table:
        """Synapses of each source, which the counters count by."""
        counts = self.connection.fan_out()
        return Table(type_of(counts, True), f"fan_out_{self.name}", counts, f"synapses of each source of {self.name}")

    def _about(self, what: str) -> str:
        divided = "" if not self.halvings else f", divided by {2**self.halvings}"
        return f"{self.connection.name} ({self.connection.kind}): {what}; the chip's integers{divided}"

    def _dense_tables(self) -> list[Table]:
        matrix = self._matrix.toarray().T >> self.halvings
        about = self._about(f"{matrix.shape[1]} weights for each of {matrix.shape[0]} sources")
        return [Table(type_of(matrix), f"weights_{self.name}", matrix, about)]

    def _sparse_tables(self) -> list[Table]:
        starts, targets, weights = self._rows
        begin = f"{self.connection.name}: where the synapses of each source begin in the two tables below"
        return [
            Table(type_of(starts, True), f"starts_{self.name}", starts, begin),
            Table(type_of(targets, True), f"targets_{self.name}", targets, f"{self.connection.name}: targets"),
            Table(type_of(weights), f"weights_{self.name}", weights, self._about("their weights")),
        ]

    def _conv_tables(self) -> list[Table]:
        conv = self.connection
        assert isinstance(conv, Conv)  # its form says so
        weight = conv.weight.reshape(conv.groups, -1, *conv.weight.shape[1:]) >> self.halvings
        kernels = np.moveaxis(weight, 1, -1)  # (groups, channels in of a group, *kernel, channels out of a group)
        about = self._about(f"kernels {conv.weight.shape[2:]}, by source channel, place, target channel of the group")
        return [Table(type_of(kernels), f"weights_{self.name}", kernels, about)]

    @property
    def shape(self) -> str:
        """The convolution's shape as a constant of the program."""
        conv = self.connection
        assert isinstance(conv, Conv)
        inputs, outputs = conv.input_shape[0] // conv.groups, conv.weight.shape[0] // conv.groups
        pairs = [conv.input_shape[1:], conv.output_shape[1:], (inputs, outputs), conv.weight.shape[2:]]
        pairs += [conv.stride, conv.padding, conv.dilation]
        defaults = [1, 1, 1, 1, 1, 0, 1]  # one dimension is two, of which the first has the size 1
        cells = [pair if len(pair) == 2 else (rest, *pair) for pair, rest in zip(pairs, defaults, strict=True)]
        numbers = ", ".join(str(number) for pair in cells for number in pair)
        return f"static const struct convolution shape_{self.name} = {{{numbers}}};"

    @property
    def row_function(self) -> tuple[str, str]:
        """Name and text of the loop that adds the synapses of one source."""
        weights = self.tables[-1].ctype
        parts = [f"add_{self.form}", weights.removesuffix("_t")]
        values = {"sum": self.sum_type, "weight": weights}
        if self.form == "sparse":
            values["index"] = self.tables[1].ctype
            parts.append(values["index"].removesuffix("_t"))
        name = "_".join([*parts, "wide"] if self.wide else parts)
        return name, filled(_ROWS[self.form], {"name": name, **values})

    def _call(self, value: str) -> str:
        name, _ = self.row_function
        weights = self.tables[-1].name
        if self.form == "conv":
            return f"{name}(sum, &shape_{self.name}, {weights}, (int32_t)source, {value});"
        if self.form == "dense":
            n = self.tables[0].values.shape[1]
            return f"{name}(sum, &{weights}[source * {n}u], {n}u, {value});"
        starts, targets = self.tables[0].name, self.tables[1].name
        first, count = f"{starts}[source]", f"{starts}[source + 1u] - {starts}[source]"
        return f"{name}(sum, &{targets}[{first}], &{weights}[{first}], (uint32_t)({count}), {value});"

    def count(self, index: str) -> str:
        """What the counters add when the source ``index`` spikes."""
        return f"counters.operations[{self.number}] += fan_out_{self.name}[{index}];"

    def loop(self) -> str:
        """The function that adds what the connection brings in this step."""
        delay, source = self.connection.delay, self.source
        pad = " " * (12 if delay and not source.analog else 8)
        body = f"{pad}{self._call('value' if source.analog else '1')}"
        slots = source.depth + 1
        values: Mapping[str, object] = {
            "what": self.connection.name, "function": self.name, "sum": self.sum_type, "source": source.name,
            "n": source.size, "body": body, "delay": delay, "s": "" if delay == 1 else "s", "slots": slots,
            "back": slots - delay, "bytes": -(-source.size // 8),
            "ago": f", of {delay} step{'' if delay == 1 else 's'} ago" if delay else "",
            "values": f"state.history_{source.name}[(state.slot_{source.name} + {slots - delay}u) % {slots}u]"
            if delay else f"state.values_{source.name}",
        }  # fmt: skip
        if source.analog:
            return filled(VALUES, values)
        return filled(PAST_EVENTS if delay else EVENTS, values)
