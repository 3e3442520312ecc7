"""The time loops for what is most in use: vector instructions, and one pass over memory.

The loops of :mod:`aspen.fused.kernels`, which take every neuron, go over a step in several passes. These step neurons
without a synaptic current whose reset happens in the step after the spike, and go back where nothing arrives at the
membranes; each rule is that of ``kernels``, with the same operations in the same order, and the same bits.

Layers of a large batch do not fit the cache, and are written past it: what is written in the usual way is read first,
and pushes out what comes next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
from aspen.fused.kernels import (
    ATAN,
    FAST_SIGMOID,
    NO_RESET,
    STRAIGHT,
    SUBTRACT,
    TRIANGLE,
    ZERO_AFTER,
    ZERO_BEFORE,
    write_near,
)
from aspen.fused.vectors import LANES, arrived, data_of, in_all_lanes, load, store, store_past

BLOCK = 1024

tell_of_compiling(__name__)
_compiled: Any = partial(compiled, folder=True, error_model="numpy")
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


Made = Sequence[_Vector | None]


def _over_vectors(rules: Mapping[tuple[int, ...], Callable[..., Made]], past_last: int) -> Any:
    """Loops over arrays (n,) of one type, n a multiple of :data:`LANES`, of which one is chosen when it is called.

    Args:
        rules: by choice, from the values of all arrays and the numbers to new ones of the last arrays; ``None`` for
            those that stay as they are.
        past_last: how many of the last arrays are written past the cache, if any are; those begin where lines of it do.

    Returns:
        ``loop(choice, past, arrays, numbers, bits)``; ``bits``: which values of the last array are other than zero, a
        bit each, filled (n / LANES,) int16; or ``()``.
    """

    @_intrinsic
    def loop(typing: Any, choice: Any, past: Any, arrays: Any, numbers: Any, bits: Any) -> Any:
        def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
            chosen = cgutils.unpack_tuple(builder, arguments[0])
            parts = cgutils.unpack_tuple(builder, arguments[2])
            places = [data_of(context, builder, kind, part) for kind, part in zip(arrays.types, parts, strict=True)]
            size = context.make_array(arrays.types[0])(context, builder, parts[0]).nitems
            constants = [
                _Vector(builder, in_all_lanes(builder, number))
                for number in cgutils.unpack_tuple(builder, arguments[3])
            ]
            int64 = ir.IntType(64)
            write_bits = _writing_bits(context, builder, bits, arguments[4])

            def step(rule: Callable[..., Made], stores: Sequence[Callable[..., None]]) -> None:
                with cgutils.for_range_slice(builder, int64(0), size, int64(LANES)) as (index, _):
                    values = [_Vector(builder, load(builder, at, index)) for at in places]
                    made = rule(*values, *constants)
                    for value, at, keep in zip(reversed(made), reversed(places), reversed(stores), strict=False):
                        if value is not None:
                            keep(builder, value.value, at, index)
                    write_bits(made[-1], index)

            usual = [store] * len(places)
            for wanted, rule in rules.items():
                with _where_equal(builder, chosen, wanted), builder.if_else(arguments[1]) as (beyond, within):
                    with beyond:
                        step(rule, [*usual[past_last:], *[store_past] * past_last])
                    with within:
                        step(rule, usual)
            return context.get_dummy_value()

        return types.void(choice, past, arrays, numbers, bits), generate

    return loop


def _writing_bits(context: Any, builder: Any, kind: Any, bits: Any) -> Callable[[Any, Any], None]:
    """What writes to ``bits`` which lanes of a vector, so many values from the first one, are other than zero."""
    if not isinstance(kind, types.Array):
        return lambda vector, index: None
    data = data_of(context, builder, kind, bits)

    def write(vector: Any, index: Any) -> None:
        found = builder.bitcast(builder.fcmp_unordered("!=", vector.value, vector.filled(0).value), ir.IntType(LANES))
        builder.store(found, builder.gep(data, [builder.udiv(index, ir.Constant(index.type, LANES))]))

    return write


@contextmanager
def _where_equal(builder: Any, chosen: Sequence[Any], wanted: Sequence[int]) -> Iterator[None]:
    """What runs if all of these are equal."""
    equal = ir.Constant(ir.IntType(1), 1)
    for one, other in zip(chosen, wanted, strict=True):
        equal = builder.and_(equal, builder.icmp_signed("==", one, ir.Constant(one.type, other)))
    with builder.if_then(equal):
        yield


def _charging(reset: int) -> Callable[..., Made]:
    """From ``signal, theta, amount, beta, state, charged, spikes`` to the last three: a step."""

    def rule(signal: _Vector, theta: _Vector, amount: _Vector, beta: _Vector, before: _Vector, *_: _Vector) -> Made:
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

    return rule


def _going_back(kind: int, reset: int, learned: bool) -> Callable[..., Made]:
    """From ``of_spikes, charged, before, theta, beta, carry, of_beta, of_theta, of_amount, of_signal`` and the numbers
    that :func:`_numbers` has to the last five: a step back, ``learned`` where thresholds are."""

    def rule(
        of_spikes: _Vector, charged: _Vector, before: _Vector, theta: _Vector, beta: _Vector, carry: _Vector,
        of_beta: _Vector, of_theta: _Vector, of_amount: _Vector, _: _Vector, first: _Vector, second: _Vector,
    ) -> Made:  # fmt: skip
        one, zero, due = theta.filled(1), theta.filled(0), before - theta
        through = of_spikes
        if kind == ATAN:
            place = second * (charged - theta)
            through = first / (one + place * place) * of_spikes
        elif kind == FAST_SIGMOID:
            place = first * abs(charged - theta) + one
            through = of_spikes / (place * place)
        elif kind == TRIANGLE:
            height = one - first * abs(charged - theta)
            through = first * height.where_above_zero(height, zero) * of_spikes
        given = through + carry
        if reset == ZERO_AFTER:
            given = due.where_above_zero(zero, given)
        back, factor = beta * given, given * before
        if reset == ZERO_BEFORE:
            back, factor = due.where_above_zero(zero, back), due.where_above_zero(zero, factor)
        taken = of_amount - due.where_above_zero(given, zero) if learned and reset == SUBTRACT else None
        return back, of_beta + factor, of_theta - through if learned else None, taken, given

    return rule


_RESETS = (SUBTRACT, ZERO_BEFORE, ZERO_AFTER, NO_RESET)
_charge = _over_vectors({(reset,): _charging(reset) for reset in _RESETS}, 2)
_go_back = _over_vectors(
    {
        (kind, reset, learned): _going_back(kind, reset, bool(learned))
        for kind in (ATAN, FAST_SIGMOID, STRAIGHT, TRIANGLE)
        for reset in _RESETS
        for learned in (0, 1)
    },
    1,
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
    """As :func:`aspen.fused.kernels.forward`, without feedback, and past the cache."""
    _, beta, theta, amount, reset, _, slope = layer
    _, first_membrane = first
    _, _, membrane, spikes, bits, near = made
    held = np.empty(min(BLOCK, hi - lo), membrane.dtype)
    unasked = np.empty(len(held) // LANES, bits.dtype)
    for a in range(lo, hi, BLOCK):
        b = min(a + BLOCK, hi)
        state = held[: b - a]
        state[:] = membrane[start - 1, a:b] if start else first_membrane[a:b]
        for t in range(start, stop):
            arrays = (signal[t, a:b], theta[a:b], amount[a:b], beta[a:b], state, membrane[t, a:b], spikes[t, a:b])
            _charge((reset,), True, arrays, (), bits[t, a // LANES : b // LANES] if bits.size else unasked)
            if near.size:
                write_near(state, theta[a:b], slope, near[t, a // LANES : b // LANES])
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
    past: bool,
    arriving: Arriving,
    layer: Layer,
    surrogate: Derivative,
    first: States,
    made: Steps,
    carry: States,
    of_signal: Array,
    totals: Totals,
) -> None:
    """As :func:`aspen.fused.kernels.backward`, with nothing arriving at the states; ``past``: whether past the
    cache."""
    of_spikes, _, _ = arriving
    _, beta, theta, _, reset, _, _ = layer
    kind, slope, _ = surrogate
    _, first_membrane = first
    _, _, membrane, _, _, _ = made
    _, carried = carry
    _, of_beta, of_theta, of_amount = totals
    unwanted = np.zeros(min(BLOCK, hi - lo), membrane.dtype)
    numbers = _numbers(kind, slope, of_signal)
    learned = 1 if of_theta.size or of_amount.size else 0
    for a in range(lo, hi, BLOCK):
        b = min(a + BLOCK, hi)
        none = unwanted[: b - a]
        betas = of_beta[a:b] if of_beta.size else none
        thetas = of_theta[a:b] if of_theta.size else none
        amounts = of_amount[a:b] if of_amount.size else none
        for t in range(stop - 1, start - 1, -1):
            before = membrane[t - 1, a:b] if t else first_membrane[a:b]
            arrays = (
                of_spikes[t, a:b], membrane[t, a:b], before, theta[a:b], beta[a:b], carried[a:b], betas, thetas,
                amounts, of_signal[t, a:b],
            )  # fmt: skip
            _go_back((kind, reset, learned), past, arrays, numbers, ())
    if past:
        arrived()
