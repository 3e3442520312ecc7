"""The innermost loops of products by events, as vector instructions that hold their sums in registers.

Compiled from loops over arrays, each sum would go through memory at each event, which takes three times as long. The
vectors are LLVM's: what a processor lacks of their width, LLVM does in several instructions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_intrinsic: Any = intrinsic  # which adds an argument that its type does not know of
LANES = 16
"""Values in a vector."""
TILE = 4 * LANES
"""Outputs whose sums are held at a time."""
SURE = 8
"""Events of 64 inputs that are written whether there are so many or not."""
_FUSED = ("contract",)
"""Products may be added without being rounded in between."""
_ALIGNED = 4
"""Bytes, of every value: no array needs to begin at a vector's."""
LINE = 64
"""Bytes of a line of the cache."""
_INT64 = ir.IntType(64)


@_intrinsic
def events_among(typing: Any, values: Any, start: Any) -> Any:
    """Bit i of the result: whether ``values[start + i]`` is something else than zero, for i below :data:`LANES`."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        loaded = load(builder, data_of(context, builder, values, arguments[0]), arguments[1])
        found = builder.fcmp_unordered("!=", loaded, ir.Constant(loaded.type, [0.0] * LANES))
        return builder.zext(builder.bitcast(found, ir.IntType(LANES)), _INT64)

    return types.uint64(values, types.intp), generate


@_intrinsic
def others_among(typing: Any, values: Any, start: Any) -> Any:
    """As :func:`events_among`: whether it is something else than zero and one."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        loaded = load(builder, data_of(context, builder, values, arguments[0]), arguments[1])
        zeros, ones = (ir.Constant(loaded.type, [number] * LANES) for number in (0.0, 1.0))
        other = builder.fcmp_unordered("!=", loaded, zeros), builder.fcmp_unordered("!=", loaded, ones)
        return builder.zext(builder.bitcast(builder.and_(*other), ir.IntType(LANES)), _INT64)

    return types.uint64(values, types.intp), generate


@_intrinsic
def above_among(typing: Any, values: Any, thresholds: Any, start: Any) -> Any:
    """Bit i of the result: whether ``values[start + i] - thresholds[start + i]`` is above zero; both of one type."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        given = zip((values, thresholds), arguments[:2], strict=True)
        one, other = (load(builder, data_of(context, builder, kind, part), arguments[2]) for kind, part in given)
        over = builder.fsub(one, other)
        found = builder.fcmp_ordered(">", over, ir.Constant(over.type, [0.0] * LANES))
        return builder.bitcast(found, ir.IntType(LANES))

    return types.int16(values, thresholds, types.intp), generate


@_intrinsic
def near_among(typing: Any, values: Any, thresholds: Any, slope: Any, start: Any) -> Any:
    """Bit i of the result: whether ``1 - slope * abs(values[start + i] - thresholds[start + i])`` is above zero; all of
    one type."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        given = zip((values, thresholds), arguments[:2], strict=True)
        one, other = (load(builder, data_of(context, builder, kind, part), arguments[3]) for kind, part in given)
        zeros, ones = (ir.Constant(one.type, [number] * LANES) for number in (0.0, 1.0))
        apart = builder.fsub(one, other)
        apart = builder.select(builder.fcmp_ordered("<", apart, zeros), builder.fsub(zeros, apart), apart)
        height = builder.fsub(ones, builder.fmul(in_all_lanes(builder, arguments[2]), apart))
        return builder.bitcast(builder.fcmp_ordered(">", height, zeros), ir.IntType(LANES))

    return types.int16(values, thresholds, slope, types.intp), generate


@_intrinsic
def write_lowest(typing: Any, bits: Any, start: Any, events: Any, at: Any) -> Any:
    """Write ``start`` and the places of the :data:`SURE` lowest bits that are set to ``events[at:]``, whether there are
    so many or not: a loop that ends after another number of rounds each time holds the processor up. The bits above."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        left, first, _, begin = arguments
        to = builder.gep(data_of(context, builder, events, arguments[2]), [begin])
        for place in range(SURE):
            found = builder.add(first, builder.cttz(left, ir.Constant(ir.IntType(1), 0)))
            builder.store(builder.trunc(found, ir.IntType(32)), builder.gep(to, [ir.Constant(_INT64, place)]))
            left = builder.and_(left, builder.sub(left, ir.Constant(_INT64, 1)))
        return left

    return types.uint64(types.uint64, types.intp, events, types.intp), generate


@_intrinsic
def number_of(typing: Any, bits: Any) -> Any:
    """How many bits are set."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.intp(types.uint64), generate


@_intrinsic
def fetch_tile(typing: Any, values: Any, start: Any) -> Any:
    """Have a tile of values from ``values[start]`` on brought into the cache; they may be behind the array's end."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        int32, pointer = ir.IntType(32), ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer, int32, int32, int32])
        fetch = builder.module.declare_intrinsic("llvm.prefetch", [pointer], kind)
        data = data_of(context, builder, values, arguments[0])
        for vector in range(TILE // LANES):
            place = builder.gep(data, [builder.add(arguments[1], ir.Constant(_INT64, vector * LANES))])
            builder.call(fetch, [builder.bitcast(place, pointer), int32(0), int32(2), int32(1)])
        return context.get_dummy_value()

    return types.void(values, types.intp), generate


@_intrinsic
def arrived(typing: Any) -> Any:
    """Wait until what was written past the cache is where other threads see it."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate


def _sum_events(vectors: int) -> Any:
    """Sums of the events of a row, in so many vectors of outputs."""

    @_intrinsic
    def loop(
        typing: Any, row: Any, events: Any, first: Any, last: Any, ones: Any, table: Any, apart: Any, at: Any,
        bias: Any, made: Any, to: Any, past: Any,
    ) -> Any:  # fmt: skip
        numbers = types.intp, types.intp, ones, table, types.intp, types.intp, bias, made, types.intp, past

        def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
            _, _, first, last, ones, _, apart, at, _, _, to, past = arguments
            of_row, of_events, of_table, of_bias, of_made = (
                data_of(context, builder, kind, arguments[place])
                for kind, place in ((row, 0), (events, 1), (table, 5), (bias, 8), (made, 9))
            )
            begins = _begins(builder, of_table, at, apart, vectors)
            offsets = [ir.Constant(_INT64, LANES * number) for number in range(vectors)]
            held = [
                cgutils.alloca_once_value(builder, load(builder, of_bias, builder.add(at, offset)))
                for offset in offsets
            ]
            for values in _each_way(builder, ones, None, of_row):
                with _each_event(builder, values, of_events, first, last) as (offset, value):
                    for each, begin in zip(held, begins, strict=True):
                        there = load(builder, begin, offset)
                        builder.store(_add_product(builder, builder.load(each), value, there), each)
            for keep in _each_way(builder, past, store_past, store):
                for each, offset in zip(held, offsets, strict=True):
                    keep(builder, builder.load(each), of_made, builder.add(to, offset))
            return context.get_dummy_value()

        return types.void(row, events, *numbers), generate

    return loop


def _give_events(vectors: int) -> Any:
    """What so many vectors of outputs give to the events of a row."""

    @_intrinsic
    def loop(
        typing: Any, row: Any, events: Any, first: Any, last: Any, ones: Any, table: Any, apart: Any, at: Any,
        given: Any, of: Any,
    ) -> Any:  # fmt: skip
        numbers = types.intp, types.intp, ones, table, types.intp, types.intp, given, types.intp

        def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
            _, _, first, last, ones, _, apart, at, _, of = arguments
            of_row, of_events, of_table, of_given = (
                data_of(context, builder, kind, arguments[place])
                for kind, place in ((row, 0), (events, 1), (table, 5), (given, 8))
            )
            begins = _begins(builder, of_table, at, apart, vectors)
            offsets = [ir.Constant(_INT64, LANES * number) for number in range(vectors)]
            held = [load(builder, of_given, builder.add(of, offset)) for offset in offsets]
            for values in _each_way(builder, ones, None, of_row):
                with _each_event(builder, values, of_events, first, last) as (offset, value):
                    for each, begin in zip(held, begins, strict=True):
                        there = load(builder, begin, offset)
                        store(builder, _add_product(builder, there, value, each), begin, offset)
            return context.get_dummy_value()

        return types.void(row, events, *numbers), generate

    return loop


@_intrinsic
def multiply_pair(
    typing: Any, rows: Any, at: Any, size: Any, table: Any, places: Any, first: Any, made: Any
) -> Any:  # fmt: skip
    """For the two ``p`` in ``places[first:]``: write the sum of ``rows[at:]`` times ``table[p * size:]``, of ``size``
    values each, a multiple of :data:`LANES`, to ``made[p]``. More than two at a time were slower."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        of_rows, of_table, of_places, of_made = (
            data_of(context, builder, kind, arguments[place])
            for kind, place in ((rows, 0), (table, 3), (places, 4), (made, 6))
        )
        _, at, size, _, _, first, _ = arguments
        of_row = builder.gep(of_rows, [at])
        chosen = [builder.add(first, ir.Constant(_INT64, number)) for number in range(2)]
        chosen = [builder.sext(builder.load(builder.gep(of_places, [place])), _INT64) for place in chosen]
        begins = [builder.gep(of_table, [builder.mul(place, size)]) for place in chosen]
        vector = ir.VectorType(of_row.type.pointee, LANES)
        sums = [cgutils.alloca_once_value(builder, ir.Constant(vector, [0.0] * LANES)) for _ in chosen]
        with cgutils.for_range_slice(builder, ir.Constant(_INT64, 0), size, ir.Constant(_INT64, LANES)) as (index, _):
            given = load(builder, of_row, index)
            for each, begin in zip(sums, begins, strict=True):
                builder.store(_add_product(builder, builder.load(each), given, load(builder, begin, index)), each)
        for place, each in zip(chosen, sums, strict=True):
            builder.store(_sum_of_lanes(builder, builder.load(each)), builder.gep(of_made, [place]))
        return context.get_dummy_value()

    return types.void(rows, types.intp, types.intp, table, places, types.intp, made), generate


def _sum_of_lanes(builder: Any, value: Any) -> Any:
    """The sum of a vector's values, in halves."""
    kind = value.type.element
    name = f"llvm.vector.reduce.fadd.v{LANES}{'f32' if isinstance(kind, ir.FloatType) else 'f64'}"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind, value.type]), name)
    return builder.call(function, [ir.Constant(kind, 0.0), value], fastmath=("reassoc",))


@_intrinsic
def copy_vectors(typing: Any, values: Any, made: Any, to: Any, count: Any) -> Any:
    """Write the first ``count`` of ``values``, a multiple of :data:`LANES`, to ``made[to:]``."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        of_values, of_made = (
            data_of(context, builder, kind, part) for kind, part in zip((values, made), arguments[:2], strict=True)
        )
        _, _, to, count = arguments
        with cgutils.for_range_slice(builder, ir.Constant(_INT64, 0), count, ir.Constant(_INT64, LANES)) as (at, _):
            store(builder, load(builder, of_values, at), of_made, builder.add(to, at))
        return context.get_dummy_value()

    return types.void(values, made, types.intp, types.intp), generate


def _each_way(builder: Any, condition: Any, then: Any, otherwise: Any) -> Iterator[Any]:
    """What is done where the condition holds, and where it does not: ``for way in ...`` writes both."""
    with builder.if_else(condition) as (holds, fails):
        with holds:
            yield then
        with fails:
            yield otherwise


def _begins(builder: Any, table: Any, at: Any, apart: Any, vectors: int) -> list[Any]:
    """Where the table's parts for the outputs ``at`` and on begin, one for each vector."""
    first = builder.mul(builder.sdiv(at, ir.Constant(_INT64, LANES)), apart)
    places = [builder.add(first, builder.mul(ir.Constant(_INT64, number), apart)) for number in range(vectors)]
    return [builder.gep(table, [place]) for place in places]


@contextmanager
def _each_event(builder: Any, row: Any, events: Any, first: Any, last: Any) -> Iterator[tuple[Any, Any]]:
    """A loop over events: the offset of each in a part of a table, and its value in all lanes; ``None`` without row."""
    with cgutils.for_range_slice(builder, first, last, ir.Constant(_INT64, 1)) as (index, _):
        event = builder.sext(builder.load(builder.gep(events, [index])), _INT64)
        value = None if row is None else in_all_lanes(builder, builder.load(builder.gep(row, [event])))
        yield builder.mul(event, ir.Constant(_INT64, LANES)), value
        body = builder.basic_block
    _one_a_round(builder.module, body.terminator)


def _one_a_round(module: Any, back: Any) -> None:
    """Keep LLVM from taking several events a round in the loop that ends in the branch ``back``: rows have few, and
    what is left over is another loop, of whose end the processor is as unsure."""
    loop = module.add_metadata([["llvm.loop.unroll.disable"], ir.Constant(_INT64, len(module.metadata))])
    loop.operands = loop, loop.operands[0]  # LLVM takes what begins with itself for the name of a loop
    back.set_metadata("llvm.loop", loop)


sum_tile, sum_vector = _sum_events(TILE // LANES), _sum_events(1)
"""``(row, events, first, last, ones, table, apart, at, bias, made, to, past)``: write ``bias[at:]`` and, added to it,
the sum of ``row[e]`` times the weights of the outputs ``at`` and on over ``e`` in ``events[first:last]`` to
``made[to:]``; in :data:`TILE` outputs or :data:`LANES`. ``ones``: whether all of these ``row[e]`` are 1, and not looked
at; ``past``: whether past the cache, to where a line begins. Arrays are contiguous; the weights of input e and output o
are at ``table[o // LANES * apart + e * LANES + o % LANES]``, where a tile's stay in the cache."""
give_tile, give_vector = _give_events(TILE // LANES), _give_events(1)
"""``(row, events, first, last, ones, table, apart, at, given, of)``: add ``row[e] * given[of:]`` to the table's values
of each ``e`` and the outputs ``at`` and on."""


def data_of(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    """Where an array of that kind has its values."""
    return context.make_array(kind)(context, builder, array).data


def _address(builder: Any, data: Any, offset: Any) -> Any:
    vector = ir.VectorType(data.type.pointee, LANES)
    return builder.bitcast(builder.gep(data, [offset]), vector.as_pointer())


def load(builder: Any, data: Any, offset: Any) -> Any:
    """The vector that is so many values behind ``data``."""
    return builder.load(_address(builder, data, offset), align=_ALIGNED)


def store(builder: Any, value: Any, data: Any, offset: Any) -> None:
    """Store a vector so many values behind ``data``."""
    builder.store(value, _address(builder, data, offset), align=_ALIGNED)


def store_past(builder: Any, value: Any, data: Any, offset: Any) -> None:
    """Store a vector past the cache: what is not in it need not be read before it is written. It begins where a line
    does, and :func:`arrived` ends the loop."""
    stored = builder.store(value, _address(builder, data, offset), align=LINE)
    stored.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))


def _add_product(builder: Any, term: Any, one: Any, other: Any) -> Any:
    """``term + one * other``, in one operation where the processor has it; ``None`` is a factor of 1."""
    product = other if one is None else builder.fmul(one, other, flags=_FUSED)
    return builder.fadd(term, product, flags=_FUSED)


def in_all_lanes(builder: Any, value: Any) -> Any:
    """One value in all lanes."""
    undefined = ir.Constant(ir.VectorType(value.type, LANES), ir.Undefined)
    one = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))
