"""The time loops for what is most in use, in one pass over memory that is written past the cache.

Layers of a large batch do not fit the cache. What is written in the usual way is read first, and pushes out what comes
next: the loops of :mod:`aspen.fused.kernels` then take twice as long as these. These step neurons without a synaptic
current whose reset happens in the step after the spike, and go back where nothing arrives at the membranes and no
threshold is learned; each rule is that of ``kernels``, with the same operations in the same order, and the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from aspen._base.arrays import Array
from aspen._base.compiled import compiled
from aspen._base.compiling import tell_of_compiling
from aspen.fused.arrays import Arriving, Derivative, Layer, States, Steps, Totals
from aspen.fused.kernels import ATAN, FAST_SIGMOID, STRAIGHT, SUBTRACT, ZERO_AFTER, ZERO_BEFORE
from aspen.fused.vectors import LANES, arrived, data_of, in_all_lanes, load, store, store_past

BLOCK = 1024

tell_of_compiling(__name__)
_compiled: Any = partial(compiled, error_model="numpy")
_intrinsic: Any = intrinsic  # which adds an argument that its type does not know of


class _Vector:
    """Values of LLVM with Python's operators, each rounded by itself."""

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.value = builder, value

    def _made(self, operation: str, other: _Vector) -> _Vector:
        return _Vector(self.builder, getattr(self.builder, operation)(self.value, other.value))

    def __add__(self, other: _Vector) -> _Vector:
        return self._made("fadd", other)

    def __sub__(self, other: _Vector) -> _Vector:
        return self._made("fsub", other)

    def __mul__(self, other: _Vector) -> _Vector:
        return self._made("fmul", other)

    def __truediv__(self, other: _Vector) -> _Vector:
        return self._made("fdiv", other)

    def __abs__(self) -> _Vector:
        return (self.filled(0) - self).where_above_zero(self.filled(0) - self, self)

    def filled(self, number: float) -> _Vector:
        """This number in all lanes."""
        return _Vector(self.builder, ir.Constant(self.value.type, [float(number)] * LANES))

    def where_above_zero(self, one: _Vector, other: _Vector) -> _Vector:
        """``one`` where this is above zero, else ``other``."""
        above = self.builder.fcmp_ordered(">", self.value, self.filled(0).value)
        return _Vector(self.builder, self.builder.select(above, one.value, other.value))


def _over_vectors(rule: Callable[..., Sequence[_Vector]], kept: int) -> Any:
    """A loop over arrays (n,) of one type, n a multiple of :data:`LANES`.

    Args:
        rule: from the values of all arrays and the numbers to new ones of the last arrays.
        kept: how many of these are written in the usual way; the others are written past the cache, and begin where
            lines of it do.
    """

    @_intrinsic
    def loop(typing: Any, arrays: Any, numbers: Any) -> Any:
        def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
            parts = cgutils.unpack_tuple(builder, arguments[0])
            places = [data_of(context, builder, kind, part) for kind, part in zip(arrays.types, parts, strict=True)]
            size = context.make_array(arrays.types[0])(context, builder, parts[0]).nitems
            constants = [
                _Vector(builder, in_all_lanes(builder, number))
                for number in cgutils.unpack_tuple(builder, arguments[1])
            ]
            int64 = ir.IntType(64)
            with cgutils.for_range_slice(builder, int64(0), size, int64(LANES)) as (index, _):
                values = [_Vector(builder, load(builder, at, index)) for at in places]
                made = rule(*values, *constants)
                for number, (value, at) in enumerate(zip(made, places[-len(made) :], strict=True)):
                    (store if number < kept else store_past)(builder, value.value, at, index)
            return context.get_dummy_value()

        return types.void(arrays, numbers), generate

    return loop


def _charging(reset: int) -> Any:
    """``(signal, theta, amount, beta, state, charged, spikes), ()``: a step."""

    def rule(
        signal: _Vector, theta: _Vector, amount: _Vector, beta: _Vector, before: _Vector, *_: _Vector
    ) -> Sequence[_Vector]:
        due, zero = before - theta, before.filled(0)
        if reset == ZERO_BEFORE:
            now = beta * due.where_above_zero(zero, before) + signal
        else:
            now = beta * before + signal
            if reset == SUBTRACT:
                now = now - due.where_above_zero(amount, zero)
            elif reset == ZERO_AFTER:
                now = due.where_above_zero(zero, now)
        return now, now, (now - theta).where_above_zero(before.filled(1), zero)

    return _over_vectors(rule, 1)


def _going_back(kind: int, reset: int) -> Any:
    """``(of_spikes, charged, before, theta, beta, carry, of_beta, of_signal), numbers``: a step back; the numbers are
    those that :func:`_numbers` has."""

    def rule(
        of_spikes: _Vector, charged: _Vector, before: _Vector, theta: _Vector, beta: _Vector, carry: _Vector,
        of_beta: _Vector, _: _Vector, first: _Vector, second: _Vector,
    ) -> Sequence[_Vector]:  # fmt: skip
        one, zero, due = theta.filled(1), theta.filled(0), before - theta
        through = of_spikes
        if kind == ATAN:
            place = second * (charged - theta)
            through = first / (one + place * place) * of_spikes
        elif kind == FAST_SIGMOID:
            place = first * abs(charged - theta) + one
            through = of_spikes / (place * place)
        given = through + carry
        if reset == ZERO_AFTER:
            given = due.where_above_zero(zero, given)
        back, factor = beta * given, given * before
        if reset == ZERO_BEFORE:
            back, factor = due.where_above_zero(zero, back), due.where_above_zero(zero, factor)
        return back, of_beta + factor, given

    return _over_vectors(rule, 2)


_charge_unfired, _charge_taken, _charge_cleared, _charge = (
    _charging(reset) for reset in (ZERO_BEFORE, SUBTRACT, ZERO_AFTER, -1)
)
_atan_unfired, _atan_cleared, _atan = (_going_back(ATAN, reset) for reset in (ZERO_BEFORE, ZERO_AFTER, -1))
_fast_unfired, _fast_cleared, _fast = (_going_back(FAST_SIGMOID, reset) for reset in (ZERO_BEFORE, ZERO_AFTER, -1))
_straight_unfired, _straight_cleared, _straight = (
    _going_back(STRAIGHT, reset) for reset in (ZERO_BEFORE, ZERO_AFTER, -1)
)


@_compiled
def forward(
    lo: int,
    hi: int,
    start: int,
    stop: int,
    signal: Array,
    feedback: Array,
    layer: Layer,
    first: States,
    made: Steps,
) -> None:
    """As :func:`aspen.fused.kernels.forward`, without feedback."""
    _, beta, theta, amount, reset, _ = layer
    _, first_membrane = first
    _, _, membrane, spikes = made
    held = np.empty(min(BLOCK, hi - lo), membrane.dtype)
    for a in range(lo, hi, BLOCK):
        b = min(a + BLOCK, hi)
        state = held[: b - a]
        state[:] = membrane[start - 1, a:b] if start else first_membrane[a:b]
        for t in range(start, stop):
            arrays = (signal[t, a:b], theta[a:b], amount[a:b], beta[a:b], state, membrane[t, a:b], spikes[t, a:b])
            if reset == ZERO_BEFORE:
                _charge_unfired(arrays, ())
            elif reset == SUBTRACT:
                _charge_taken(arrays, ())
            elif reset == ZERO_AFTER:
                _charge_cleared(arrays, ())
            else:
                _charge(arrays, ())
    arrived()


@_compiled
def _numbers(kind: int, slope: float, values: Array) -> tuple[Any, Any]:
    """What a surrogate's derivative is computed with: for ATan slope / 2 and pi / 2 * slope, else the slope."""
    number = values.dtype.type
    if kind == ATAN:
        return number(slope / 2), number(math.pi / 2 * slope)
    return number(slope), number(slope)


@_compiled
def backward(
    lo: int,
    hi: int,
    start: int,
    stop: int,
    arriving: Arriving,
    layer: Layer,
    surrogate: Derivative,
    first: States,
    made: Steps,
    carry: States,
    of_signal: Array,
    totals: Totals,
) -> None:
    """As :func:`aspen.fused.kernels.backward`, with gradients of the spikes, the input and beta alone."""
    of_spikes, _, _ = arriving
    _, beta, theta, _, reset, _ = layer
    kind, slope, _ = surrogate
    _, first_membrane = first
    _, _, membrane, _ = made
    _, carried = carry
    _, wanted, _, _ = totals
    width = min(BLOCK, hi - lo)
    unwanted = np.zeros(0 if wanted.size else width, membrane.dtype)
    numbers = _numbers(kind, slope, of_signal)
    for a in range(lo, hi, BLOCK):
        b = min(a + BLOCK, hi)
        of_beta = wanted[a:b] if wanted.size else unwanted[: b - a]
        for t in range(stop - 1, start - 1, -1):
            before = membrane[t - 1, a:b] if t else first_membrane[a:b]
            arrays = (
                of_spikes[t, a:b], membrane[t, a:b], before, theta[a:b], beta[a:b], carried[a:b], of_beta,
                of_signal[t, a:b],
            )  # fmt: skip
            if kind == ATAN:
                if reset == ZERO_BEFORE:
                    _atan_unfired(arrays, numbers)
                elif reset == ZERO_AFTER:
                    _atan_cleared(arrays, numbers)
                else:
                    _atan(arrays, numbers)
            elif kind == FAST_SIGMOID:
                if reset == ZERO_BEFORE:
                    _fast_unfired(arrays, numbers)
                elif reset == ZERO_AFTER:
                    _fast_cleared(arrays, numbers)
                else:
                    _fast(arrays, numbers)
            elif reset == ZERO_BEFORE:
                _straight_unfired(arrays, numbers)
            elif reset == ZERO_AFTER:
                _straight_cleared(arrays, numbers)
            else:
                _straight(arrays, numbers)
    arrived()
