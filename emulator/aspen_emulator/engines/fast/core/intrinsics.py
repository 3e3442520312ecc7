"""What the compiled core needs below Numba's own level: bits of words, and neighbouring numbers added in one go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic as typed_intrinsic

from aspen_emulator.engines.fast.core.columns import PAD

intrinsic: Callable[[Callable[..., Any]], Any] = typed_intrinsic  # called without its first argument


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


add32, add16, add8, add4, add1 = map(_adder, (32, 16, 8, 4, 1))


def _is_float(kind: Any) -> bool:
    return isinstance(kind, numba.types.Float)
