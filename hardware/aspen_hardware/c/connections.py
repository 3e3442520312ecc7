"""Connections in C: how each is stored, the loop of its kind, and where it reads its spikes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from aspen._base.arrays import Array
from aspen.network.connection import Connection
from aspen.network.connections import Conv
from aspen_hardware.c.kernels import (
    EVENTS,
    HELD,
    MOST_PAIRED,
    PACKED_EVENTS,
    PAIRED_ROW,
    PAST_EVENTS,
    ROWS,
    VALUES,
    nested_paired_row,
    paired,
    paired_up_to,
)
from aspen_hardware.c.nesting import Nest
from aspen_hardware.c.packing import PER_WORD, packed, packed_kernel, packed_row, padded, parts
from aspen_hardware.c.text import SIZES, Field, Table, filled, type_of

if TYPE_CHECKING:
    from scipy.sparse import csr_array

MOST_EXTRA = 512
"""Bytes that filling up the last words of packed rows may cost, where this is not a sixteenth of all."""


SUMS = {"int16_t": "short_sum", "int32_t": "sum", "int64_t": "wide_sum"}
"""Type of sums -> the array that holds those of the population that is being updated."""

PACKED_GAIN = 2
"""Packed rows may take so many times the flash of sparse ones: a weight takes a fifth to a seventh of the cycles."""


@dataclass(frozen=True)
class Sums:
    """Where what arrives at a population is added up.

    Args:
        ctype: type of a sum.
        are_set: whether at each step a connection sets them, in this population and in all that share the array;
            otherwise they are zero between updates.
    """

    ctype: str
    are_set: bool

    @property
    def name(self) -> str:
        """Of the array."""
        return SUMS[self.ctype]


@dataclass(frozen=True)
class Source:
    """What a connection reads: the population's name in C, its size, whether it is analog, its longest delay, its
    largest value, whether it is the same at every step, and whether a dial switches neurons of it off."""

    name: str
    size: int
    analog: bool
    depth: int
    peak: int
    static: bool = False
    nested: bool = False

    @property
    def past_bytes(self) -> str:
        """C expression: bytes of its history that may hold spikes."""
        return f"(state.most_{self.name} + 7u) / 8u" if self.nested else f"{-(-self.size // 8)}u"


@dataclass(frozen=True)
class Stored:
    """A connection as the program holds it.

    Args:
        connection: the one in the network.
        number: its place among the network's connections.
        source: what it reads.
        target: name of the target in C.
        wide: whether the target's sums have 64 bits.
        nest: which neurons of the target are on; None where all always are.
        short: whether they have 16.
        sets: whether it is the first to bring anything to the sums of its target, and sets them.
    """

    connection: Connection
    number: int
    source: Source
    target: str
    wide: bool
    nest: Nest | None = None
    short: bool = False
    sets: bool = False

    @property
    def name(self) -> str:
        """In C."""
        return f"{self.source.name}_to_{self.target}"

    @property
    def sum_type(self) -> str:
        """Of the target's sums."""
        return "int64_t" if self.wide else "int16_t" if self.short else "int32_t"

    @property
    def fields(self) -> list[Field]:
        """What it keeps in RAM: of analog values that are the same at every step, what they add up to."""
        if not self._held:
            return []
        about = f"what {self.connection.name} brings at each step"
        return [Field(self.sum_type, f"held_{self.name}", (self._matrix.shape[0],), about)]

    @property
    def _held(self) -> bool:
        return self.source.analog and self.source.static and not self.connection.delay

    @property
    def recalls(self) -> bool:
        """Whether it lists the spikes of a past step."""
        return self.form == "packed" and self.connection.delay > 0

    @cached_property
    def reach(self) -> int:
        """Largest magnitude of a sum of the stored weights, whatever the source sends."""
        matrix, most = self._matrix, self.source.peak
        sums = [abs(part).sum(axis=1).max(initial=0) for part in (matrix.maximum(0), matrix.minimum(0))]
        return int(sum(sums) if self.source.analog else max(sums)) * most >> self.halvings

    @cached_property
    def halvings(self) -> int:
        """How often all weights can be halved without loss: a chip's matrices of both signs hold even ones only."""
        together = int(np.bitwise_or.reduce(np.abs(self.connection.weight.astype(np.int64)), axis=None))
        return (together & -together).bit_length() - 1

    @property
    def exponent(self) -> int:
        """Of the weights as they are stored."""
        return self.connection.exponent + self.halvings

    def _on(self, n: int) -> str:
        """C expression: how many of the target's ``n`` neurons are on."""
        return f"{n}u" if self.nest is None else f"state.on_{self.target}"

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
        """``dense``, ``sparse`` or ``conv``: sparse where that takes less flash; where a dense one can be ``packed``,
        which is faster, less than half of it."""
        if isinstance(self.connection, Conv):
            return "conv"
        n_target, n_source = self._matrix.shape
        weights = type_of(self._rows[2])
        full, sparse = n_source * n_target * SIZES[weights], sum(table.size for table in self._sparse_tables())
        extra = n_source * padded(n_target) - full
        fits = weights == "int8_t" and self.reach < 2**15 and not self.source.analog
        if fits and n_target > 2 and extra <= max(MOST_EXTRA, full // 16) and full <= PACKED_GAIN * sparse:
            return "packed"
        return "dense" if full <= sparse else "sparse"

    @property
    def pairs(self) -> bool:
        """Whether two synapses of a sparse row stand in a word: those of spikes, onto few enough targets, of 8 bits."""
        few = 1 < self._matrix.shape[0] <= MOST_PAIRED
        return self.form == "sparse" and few and not self.source.analog and type_of(self._rows[2]) == "int8_t"

    @cached_property
    def tables(self) -> list[Table]:
        """What it keeps in flash."""
        sparse = self._paired_tables if self.pairs else self._sparse_tables
        made = {"packed": self._packed_tables, "dense": self._dense_tables, "sparse": sparse}
        return self._conv_tables() if self.form == "conv" else made[self.form]()

    @property
    def fan_out(self) -> Table:
        """Synapses of each source, which the counters count by."""
        counts, about = self.connection.fan_out(), f"synapses of each source of {self.name}"
        if self.nest is not None:
            before = np.vstack([np.zeros_like(counts), np.cumsum(self._matrix.toarray() != 0, axis=0)])
            counts, about = before[self.nest.counts], f"{about} onto neurons that are on, by level"
        return Table(type_of(counts, True), f"fan_out_{self.name}", counts, about)

    def _about(self, what: str) -> str:
        divided = "" if not self.halvings else f", divided by {2**self.halvings}"
        return f"{self.connection.name} ({self.connection.kind}): {what}; the chip's integers{divided}"

    def _dense_tables(self) -> list[Table]:
        matrix = self._matrix.toarray().T >> self.halvings
        about = self._about(f"{matrix.shape[1]} weights for each of {matrix.shape[0]} sources")
        return [Table(type_of(matrix), f"weights_{self.name}", matrix, about)]

    def _packed_tables(self) -> list[Table]:
        matrix = self._matrix.toarray().T >> self.halvings
        about = f"{matrix.shape[1]} weights for each of {matrix.shape[0]} sources, four in a word, each plus 128"
        return [Table("uint32_t", f"weights_{self.name}", packed(matrix), self._about(about))]

    def _sparse_tables(self) -> list[Table]:
        starts, targets, weights = self._rows
        begin = f"{self.connection.name}: where the synapses of each source begin in the two tables below"
        return [
            Table(type_of(starts, True), f"starts_{self.name}", starts, begin),
            Table(type_of(targets, True), f"targets_{self.name}", targets, f"{self.connection.name}: targets"),
            Table(type_of(weights), f"weights_{self.name}", weights, self._about("their weights")),
        ]

    def _paired_tables(self) -> list[Table]:
        starts, words = (paired if self.nest is None else paired_up_to)(*self._rows)
        begin = f"{self.connection.name}: where the synapses of each source begin in the table below"
        about = self._about("two weights in a word, each below its target")
        return [
            Table(type_of(starts, True), f"starts_{self.name}", starts, begin),
            Table("uint32_t", f"weights_{self.name}", words, about),
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
    def functions(self) -> dict[str, str]:
        """Name -> text of the loops that add its synapses."""
        if self.form == "packed":
            widths = [width for width, _, _ in self._parts]
            rows = {f"add_row_{width}": packed_row(width) for width in widths}
            names = {width: self._packed_name(width) for width in widths}
            return rows | {n: packed_kernel(n, width, not self.sets, self.sum_type) for width, n in names.items()}
        if self.pairs:
            name = f"add_paired{self._suffix}"
            if self.nest is None:
                return {name: filled(PAIRED_ROW, {"name": name, "sum": self.sum_type})}
            every, targets = "_of_256" if self._matrix.shape[0] == MOST_PAIRED else "", self._matrix.shape[0]
            return {name + every: nested_paired_row(name + every, self.sum_type, targets)}
        weights = self.tables[-1].ctype
        kinds = [f"add_{self.form}", weights.removesuffix("_t")]
        values = {"sum": self.sum_type, "weight": weights, "value": "int64_t" if self.wide else "int32_t"}
        values |= {"given": "", "while": "", "outputs": "shape->outputs"}
        if self.nest is not None and self.form != "dense":
            values |= (
                {"given": ", int32_t outputs", "outputs": "outputs"}
                if self.form == "conv"
                else {"given": ", uint32_t on", "while": " && targets[k] < on"}
            )
        if self.form == "sparse":
            values["index"] = self.tables[1].ctype
            kinds.append(values["index"].removesuffix("_t"))
        name = "_".join(kinds) + self._suffix
        return {name: filled(ROWS[self.form], {"name": name, **values})}

    @property
    def _suffix(self) -> str:
        """Of the names of functions, by the type of the sums."""
        nested = "" if self.nest is None or self.form in ("dense", "packed") else "_on"
        return f"{nested}{'_wide' if self.wide else '_short' if self.short else ''}"

    @property
    def _parts(self) -> list[tuple[int, int, int]]:
        return parts(self._matrix.shape[0])

    def _packed_name(self, width: int) -> str:
        return f"{'set' if self.sets else 'add'}_packed_{width}{self._suffix}"

    def _call(self, value: str) -> str:
        (name,) = self.functions
        weights = self.tables[-1].name
        if self.form == "conv":
            places = self._matrix.shape[0] // self.connection.weight.shape[0]
            on = "" if self.nest is None else f", (int32_t)(state.on_{self.target} / {places}u)"
            return f"{name}(sum, &shape_{self.name}, {weights}, (int32_t)source, {value}{on});"
        if self.form == "dense":
            n = self.tables[0].values.shape[1]
            return f"{name}(sum, &{weights}[source * {n}u], {self._on(n)}, {value});"
        if self.pairs and self.nest is not None:
            return f"{name}(sum, &{weights}[starts_{self.name}[source]], on);"
        if self.pairs:
            begin, end = (f"&{weights}[starts_{self.name}[source{more}]]" for more in ("", " + 1u"))
            return f"{name}(sum, {begin}, {end});"
        starts, targets = self.tables[0].name, self.tables[1].name
        first, count = f"{starts}[source]", f"{starts}[source + 1u] - {starts}[source]"
        on = "" if self.nest is None else f", state.on_{self.target}"
        return f"{name}(sum, &{targets}[{first}], &{weights}[{first}], (uint32_t)({count}), {value}{on});"

    def _packed_calls(self, events: str, count: str) -> str:
        lines, sources = [], self.source.size
        for width, begin, blocks in self._parts:
            name = self._packed_name(width)
            to, weights = f"&sum[{PER_WORD * begin}u]", f"&weights_{self.name}[{begin * sources}u]"
            due = f"{blocks}u"
            if self.nest is not None:
                due = f"blocks_on(state.on_{self.target}, {PER_WORD * begin}u, {PER_WORD * width}u, {due})"
            lines.append(f"    {name}({to}, {weights}, {sources}u, {due}, {events}, {count});")
        return "\n".join(lines)

    def count(self, index: str) -> str:
        """What the counters add when the source ``index`` spikes."""
        table = f"fan_out_{self.name}"
        if self.nest is None:
            return f"counters.operations[{self.number}] += {table}[{index}];"
        return f"count_{self.name}({index});"

    @property
    def counting(self) -> str:
        """The function that counts what one spike of the source does, where the dial switches targets off."""
        table, n, targets = f"fan_out_{self.name}", self.source.size, self._matrix.shape[0]
        return (
            f"static void count_{self.name}(uint32_t source)\n{{\n"
            f"    const uint32_t done = {table}[{n}u * state.level_{self.target} + source];\n"
            f"    counters.operations[{self.number}] += done;\n"
            f"    counters.off_operations[{self.number}] += {table}[source] - done;\n"
            f"    counters.off_pairs[{self.number}] += {targets}u - state.on_{self.target};\n}}\n"
        )

    def loop(self) -> str:
        """The function that adds what the connection brings in this step."""
        delay, source = self.connection.delay, self.source
        slots = source.depth + 1
        values = {
            "what": self.connection.name, "function": self.name, "sum": self.sum_type, "source": source.name,
            "n": source.size, "delay": delay, "s": "" if delay == 1 else "s", "slots": slots,
            "back": slots - delay, "bytes": source.past_bytes,
            "ago": f", of {delay} step{'' if delay == 1 else 's'} ago" if delay else "",
        }  # fmt: skip
        past = f"state.history_{source.name}[(state.slot_{source.name} + {slots - delay}u) % {slots}u]"
        if self.form == "packed":
            values["recall"] = f"    const uint32_t count = recall({past}, {values['bytes']});\n" if delay else ""
            given = (
                ("state.recalled", "count") if delay else (f"state.events_{source.name}", f"state.count_{source.name}")
            )
            return filled(PACKED_EVENTS, {**values, "body": self._packed_calls(*given)})
        pad = " " * (12 if delay and not source.analog else 8)
        values["body"] = f"{pad}{self._call('value' if source.analog else '1')}"
        values["on"] = f"    const uint32_t on = state.on_{self.target};\n" if self.pairs and self.nest else ""
        values["values"] = past if delay else f"state.values_{source.name}"
        if self._held:
            once = filled(VALUES, {**values, "function": f"{self.name}_once"})
            return once + filled(HELD, {**values, "m": self._on(self._matrix.shape[0])})
        if source.analog:
            return filled(VALUES, values)
        return filled(PAST_EVENTS if delay else EVENTS, values)


def with_sums(found: Sequence[Stored]) -> list[Stored]:
    """The same connections, with the types of the sums that they add to, and what sets these."""
    kept: list[Stored] = []
    for stored in found:
        together = [other for other in found if other.target == stored.target]
        alike = len({other.exponent if other.exponent >= 0 else other.name for other in together}) == 1
        short = alike and not stored.wide and sum(other.reach for other in together) < 2**15
        packed = [other for other in together if other.form == "packed"]
        kept.append(replace(stored, short=short, sets=alike and packed[:1] == [stored]))
    return kept
