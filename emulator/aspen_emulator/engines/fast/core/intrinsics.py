"""What the compiled core needs below Numba's own level: bits of words, and neighbouring numbers added in one go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic as typed_intrinsic

from aspen_emulator.engines.fast.core.columns import CACHE_LINE, COPIED, LANES, PAD, QUARTER

intrinsic: Callable[[Callable[..., Any]], Any] = typed_intrinsic  # called without its first argument


def inlined(function: Callable[..., Any]) -> Any:
    """``function`` as a part of those that call it: handing over a hundred arrays would take longer than the work.

    Nobody else calls it, so nothing is compiled to call it from Python or C: that took a fifth of all compiling.
    """
    alone: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return numba.njit(nogil=True, forceinline=True, **alone)(function)


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


def _adder(lanes: int) -> Any:
    """``add(sums, to, weights, of, more)``: that many neighbouring sums, and to each the weights of two rows."""

    @intrinsic
    def add(typing: Any, sums: Any, to: Any, weights: Any, of: Any, more: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            vector = ir.VectorType(context.get_data_type(sums.dtype), lanes)
            align, plus = sums.dtype.bitwidth // 8, _plus(builder, sums.dtype)

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


add32, add16, add8, add4, add1 = map(_adder, (32, 16, 8, 4, 1))


def _window_adder(sizes: tuple[int, ...]) -> Any:
    """``add(sums, to, weights, first, rows, at, step, count, fresh)``: neighbouring sums, as many as fit pieces of
    these ``sizes`` in bytes, and to each the weights of ``count`` rows, which begin ``rows[at]``, ``rows[at + step]``
    and so on behind the first weight. ``count``: more than zero; up to the next multiple of four more rows are added.
    ``fresh``: the sums are zero so far, whatever stands there."""

    @intrinsic
    def add(
        typing: Any, sums: Any, to: Any, weights: Any, first: Any, rows: Any, at: Any, step: Any, count: Any, fresh: Any
    ) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            to, first, at, step, count, fresh = (args[i] for i in (1, 3, 5, 6, 7, 8))
            size, plus, wide = sums.dtype.bitwidth // 8, _plus(builder, sums.dtype), ir.IntType(64)
            data = [context.make_array(kind)(context, builder, args[i]).data for kind, i in zip(
                (sums, weights, rows), (0, 2, 4), strict=True)]  # fmt: skip
            pieces = [ir.VectorType(context.get_data_type(sums.dtype), each // size) for each in sizes]
            begins = [sum(sizes[:i]) // size for i in range(len(sizes))]

            def places(array: Any, start: Any) -> list[Any]:
                return [
                    builder.bitcast(builder.gep(builder.gep(array, [start]), [wide(begin)]), piece.as_pointer())
                    for begin, piece in zip(begins, pieces, strict=True)
                ]

            before = builder.block
            older, loop, after = (builder.append_basic_block(name) for name in ("older", "loop", "after"))
            builder.cbranch(fresh, loop, older)
            builder.position_at_end(older)
            there = [builder.load(place, align=size) for place in places(data[0], to)]
            builder.branch(loop)
            builder.position_at_end(loop)
            k = builder.phi(wide)
            k.add_incoming(wide(0), before)
            k.add_incoming(wide(0), older)
            totals = [builder.phi(piece) for piece in pieces]
            for total, piece, old in zip(totals, pieces, there, strict=True):
                total.add_incoming(ir.Constant(piece, [0] * piece.count), before)
                total.add_incoming(old, older)
            added = totals
            for more in range(4):
                place = builder.add(at, builder.mul(builder.add(k, wide(more)), step))
                row = builder.sext(builder.load(builder.gep(data[2], [place])), wide)
                found = places(data[1], builder.add(first, row))
                added = [plus(one, builder.load(two, align=size)) for one, two in zip(added, found, strict=True)]
            done = builder.add(k, wide(4))
            k.add_incoming(done, loop)
            for total, now in zip(totals, added, strict=True):
                total.add_incoming(now, loop)
            builder.cbranch(builder.icmp_signed("<", done, count), loop, after)
            builder.position_at_end(after)
            for now, place in zip(added, places(data[0], to), strict=True):
                builder.store(now, place, align=size)
            return context.get_dummy_value()

        whole = numba.intp
        return numba.void(sums, whole, weights, whole, rows, whole, whole, whole, numba.boolean), build

    return add


add_windows32, add_windows64, add_windows96, add_windows128 = map(
    _window_adder, ((QUARTER,), (CACHE_LINE,), (CACHE_LINE, QUARTER), (CACHE_LINE, CACHE_LINE))
)


def _splat(builder: Any, value: Any, lanes: int) -> Any:
    """A vector of one number."""
    index = ir.IntType(32)
    empty = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    one = builder.insert_element(empty, value, index(0))
    return builder.shuffle_vector(one, empty, ir.Constant(ir.VectorType(index, lanes), [0] * lanes))


@intrinsic
def put_bits(typing: Any, into: Any, at: Any, table: Any, bits: Any, first: Any) -> Any:
    """Row ``bits`` of a table of eight bytes a row, plus ``first``, to eight places of a list from ``at`` on."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        narrow, wide = (ir.VectorType(ir.IntType(size), 8) for size in (8, 32))
        data, rows = (context.make_array(kind)(context, builder, args[i]).data for kind, i in ((into, 0), (table, 2)))
        row = builder.gep(rows, [builder.shl(args[3], ir.IntType(64)(3))])
        found = builder.zext(builder.load(builder.bitcast(row, narrow.as_pointer()), align=1), wide)
        total = builder.add(found, _splat(builder, builder.trunc(args[4], ir.IntType(32)), 8))
        builder.store(total, builder.bitcast(builder.gep(data, [args[1]]), wide.as_pointer()), align=4)
        return context.get_dummy_value()

    return numba.void(into, numba.intp, table, numba.intp, numba.intp), build


@intrinsic
def copy_rows(typing: Any, rows: Any, at: Any, sources: Any, start: Any, width: Any, base: Any) -> Any:
    """Of so many sources from ``start`` on as :data:`COPIED` says where their rows begin: ``source * width + base``."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        number, vector = ir.IntType(32), ir.VectorType(ir.IntType(32), COPIED)
        into, given = (
            builder.bitcast(
                builder.gep(context.make_array(kind)(context, builder, array).data, [place]), vector.as_pointer()
            )
            for kind, array, place in ((rows, args[0], args[1]), (sources, args[2], args[3]))
        )
        scale, more = (_splat(builder, builder.trunc(each, number), COPIED) for each in args[4:])
        builder.store(builder.add(builder.mul(builder.load(given, align=4), scale), more), into, align=4)
        return context.get_dummy_value()

    return numba.void(rows, numba.intp, sources, numba.intp, numba.intp, numba.intp), build


@intrinsic
def look_up(typing: Any, rows: Any, at: Any, word: Any, stride: Any, mask: Any, width: Any, base: Any) -> Any:
    """Of as many windows as :data:`LANES` says where their rows begin: ``(word >> i*stride & mask) * width + base``."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        wide, narrow = ir.IntType(64), ir.VectorType(ir.IntType(32), LANES)
        word, stride, mask = (_splat(builder, each, LANES) for each in args[2:5])
        scale, more = (_splat(builder, builder.trunc(each, ir.IntType(32)), LANES) for each in args[5:])
        shifts = builder.mul(stride, ir.Constant(ir.VectorType(wide, LANES), list(range(LANES))))
        bits = builder.trunc(builder.and_(builder.lshr(word, shifts), mask), narrow)
        data = context.make_array(rows)(context, builder, args[0]).data
        into = builder.bitcast(builder.gep(data, [args[1]]), narrow.as_pointer())
        builder.store(builder.add(builder.mul(bits, scale), more), into, align=4)
        return context.get_dummy_value()

    whole = numba.intp
    return numba.void(rows, whole, numba.uint64, whole, whole, whole, whole), build


def _plus(builder: Any, kind: Any) -> Any:
    return builder.fadd if isinstance(kind, numba.types.Float) else builder.add
