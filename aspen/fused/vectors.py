"""The innermost loops of products by events, as vector instructions that hold their sums in registers.

Compiled from loops over arrays, each sum would go through memory at each event, which takes three times as long. The
vectors are LLVM's: what a processor lacks of their width, LLVM does in several instructions.
"""

from __future__ import annotations

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
_FUSED = ("contract",)
"""Products may be added without being rounded in between."""
_ALIGNED = 4
"""Bytes, of every value: no array needs to begin at a vector's."""
_INT64 = ir.IntType(64)


@_intrinsic
def events_among(typing: Any, values: Any, start: Any) -> Any:
    """Bit i of the result: whether ``values[start + i]`` is something else than zero, for i below :data:`LANES`."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        loaded = _load(builder, _data(context, builder, values, arguments[0]), arguments[1])
        found = builder.fcmp_unordered("!=", loaded, ir.Constant(loaded.type, [0.0] * LANES))
        return builder.zext(builder.bitcast(found, ir.IntType(LANES)), _INT64)

    return types.uint64(values, types.intp), generate


@_intrinsic
def lowest(typing: Any, bits: Any) -> Any:
    """The number of the lowest bit that is set; one must be."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.intp(types.uint64), generate


def _over_events(vectors: int, add_up: bool) -> Any:
    """The loop over the events of a row, for so many vectors of outputs.

    Args:
        vectors: outputs, in vectors.
        add_up: whether the events' rows of a table are summed, or are added to.
    """

    @_intrinsic
    def loop(
        typing: Any, row: Any, events: Any, first: Any, last: Any, table: Any, width: Any, at: Any, outer: Any, to: Any
    ) -> Any:
        numbers = types.intp, types.intp, table, types.intp, types.intp, outer, types.intp

        def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
            _, _, first, last, _, width, at, _, to = arguments
            arrays = ((row, arguments[0]), (events, arguments[1]), (table, arguments[4]), (outer, arguments[7]))
            of_row, of_events, of_table, of_outer = (_data(context, builder, kind, array) for kind, array in arrays)
            offsets = [ir.Constant(_INT64, LANES * number) for number in range(vectors)]
            places = [builder.add(to, offset) for offset in offsets]
            held = [cgutils.alloca_once_value(builder, _load(builder, of_outer, place)) for place in places]
            with cgutils.for_range_slice(builder, first, last, ir.Constant(_INT64, 1)) as (index, _):
                event = builder.sext(builder.load(builder.gep(of_events, [index])), _INT64)
                value = _spread(builder, builder.load(builder.gep(of_row, [event])))
                begin = builder.add(builder.mul(event, width), at)
                for each, offset in zip(held, offsets, strict=True):
                    place = builder.add(begin, offset)
                    known, there = builder.load(each), _load(builder, of_table, place)
                    if add_up:
                        builder.store(_add_product(builder, known, value, there), each)
                    else:
                        _store(builder, _add_product(builder, there, value, known), of_table, place)
            if add_up:
                for each, place in zip(held, places, strict=True):
                    _store(builder, builder.load(each), of_outer, place)
            return context.get_dummy_value()

        return types.void(row, events, *numbers), generate

    return loop


sum_tile, sum_vector = _over_events(TILE // LANES, True), _over_events(1, True)
"""``(row, events, first, last, table, width, at, outer, to)``: add the sum of ``row[e] * table[e * width + at:]`` over
the ``events[first:last]`` to ``outer[to:]``, in :data:`TILE` outputs or :data:`LANES`; arrays are contiguous, tables
flat."""
give_tile, give_vector = _over_events(TILE // LANES, False), _over_events(1, False)
"""With the same arguments: add ``row[e] * outer[to:]`` to each ``table[e * width + at:]``."""


def _data(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    return context.make_array(kind)(context, builder, array).data


def _pointer(builder: Any, data: Any, offset: Any) -> Any:
    vector = ir.VectorType(data.type.pointee, LANES)
    return builder.bitcast(builder.gep(data, [offset]), vector.as_pointer())


def _load(builder: Any, data: Any, offset: Any) -> Any:
    return builder.load(_pointer(builder, data, offset), align=_ALIGNED)


def _store(builder: Any, value: Any, data: Any, offset: Any) -> None:
    builder.store(value, _pointer(builder, data, offset), align=_ALIGNED)


def _add_product(builder: Any, term: Any, one: Any, other: Any) -> Any:
    """``term + one * other``, in one operation where the processor has it."""
    return builder.fadd(term, builder.fmul(one, other, flags=_FUSED), flags=_FUSED)


def _spread(builder: Any, value: Any) -> Any:
    """One value in all lanes."""
    undefined = ir.Constant(ir.VectorType(value.type, LANES), ir.Undefined)
    one = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))
