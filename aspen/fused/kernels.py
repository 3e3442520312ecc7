"""The time loops of spiking neurons, forwards and backwards, compiled.

All steps of a layer are rows of arrays (time, n), n running over samples and neurons. The loops walk over blocks of
columns, small enough to stay in the fastest cache, and over time within a block. Every expression is written as
snnTorch writes it, with the same operations in the same order and precision, so that the spikes are the same.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from aspen._base.arrays import Array
from aspen._base.compiled import compiled
from aspen._base.compiling import tell_of_compiling
from aspen.fused.arrays import Arriving, Derivative, Layer, States, Steps, Totals
from aspen.fused.vectors import LANES, above_among, near_among

SUBTRACT, ZERO_BEFORE, ZERO_AFTER, NO_RESET = range(4)
"""Resets: what fired loses its threshold; its membrane is set to 0 before it decays, or after its input; none."""
TABLE, ATAN, FAST_SIGMOID, STRAIGHT, TRIANGLE = range(5)
"""Surrogate derivatives: given for each place, or computed."""
BLOCK = 2048

tell_of_compiling(__name__)
# division by zero and the like give what IEEE says, as in torch; without the releases of the lock, threads would wait
_compiled: Any = partial(compiled, folder=True, error_model="numpy")
# values are loaded before it is decided whether they are needed: only so do the loops become vector instructions


@_compiled
def _decay(before: Array, factor: Array, signal: Array, after: Array) -> None:
    for i in range(after.size):
        after[i] = factor[i] * before[i] + signal[i]


@_compiled
def _decay_unfired(before: Array, theta: Array, factor: Array, signal: Array, after: Array) -> None:
    zero = after.dtype.type(0)
    for i in range(after.size):
        value = before[i]
        kept = zero if value - theta[i] > zero else value
        after[i] = factor[i] * kept + signal[i]


@_compiled
def _add(term: Array, total: Array) -> None:
    for i in range(total.size):
        total[i] += term[i]


@_compiled
def _subtract_fired(before: Array, theta: Array, amount: Array, membrane: Array) -> None:
    zero = membrane.dtype.type(0)
    for i in range(membrane.size):
        value, taken = membrane[i], amount[i]
        membrane[i] = value - (taken if before[i] - theta[i] > zero else zero)


@_compiled
def _clear_fired(before: Array, theta: Array, membrane: Array) -> None:
    zero = membrane.dtype.type(0)
    for i in range(membrane.size):
        value = membrane[i]
        membrane[i] = zero if before[i] - theta[i] > zero else value


@_compiled
def _fire(membrane: Array, theta: Array, spikes: Array) -> None:
    zero, off, on = membrane.dtype.type(0), spikes.dtype.type(0), spikes.dtype.type(1)
    for i in range(membrane.size):
        spikes[i] = on if membrane[i] - theta[i] > zero else off


@_compiled
def _write_bits(membrane: Array, theta: Array, bits: Array) -> None:
    """Write which neurons (n,) fire to ``bits``, as :class:`aspen.fused.arrays.Steps` has them."""
    for i in range(0, membrane.size, LANES):
        bits[i // LANES] = above_among(membrane, theta, i)


@_compiled
def write_near(membrane: Array, theta: Array, slope: float, near: Array) -> None:
    """Write for which neurons (n,) :data:`TRIANGLE` is other than zero to ``near``, as
    :class:`aspen.fused.arrays.Steps` has it."""
    k = membrane.dtype.type(slope)
    for i in range(0, membrane.size, LANES):
        near[i // LANES] = near_among(membrane, theta, k, i)


@_compiled
def _reset_at_once(
    before: Array, theta: Array, amount: Array, spikes: Array, charged: Array, reset: int, after: Array
) -> None:
    """``reset_delay=False``: what just fired is reset, and what was reset before and did not fire gets it back."""
    zero, one = after.dtype.type(0), after.dtype.type(1)
    for i in range(after.size):
        change = spikes[i] - (one if before[i] - theta[i] > zero else zero)
        taken = amount[i] if reset == SUBTRACT else charged[i]
        after[i] = charged[i] if reset == NO_RESET else charged[i] - change * taken


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
    """The steps ``start`` to ``stop`` of the columns ``lo`` to ``hi``.

    Args:
        lo, hi: columns, out of n.
        start, stop: steps, out of all; those before ``start`` are made.
        signal: input (time, n).
        feedback: added to the input after the decay (stop - start, n); empty without recurrence.
        layer: the neurons.
        first: states before the first step of all.
        made: filled.
    """
    alpha, beta, theta, amount, reset, at_once, slope = layer
    first_current, first_membrane = first
    current, charged, membrane, spikes, bits, near = made
    for a in range(lo, hi, BLOCK):
        b = min(a + BLOCK, hi)
        for t in range(start, stop):
            before = membrane[t - 1, a:b] if t else first_membrane[a:b]
            now, source = charged[t, a:b], signal[t, a:b]
            if alpha.size:
                _decay(current[t - 1, a:b] if t else first_current[a:b], alpha[a:b], source, current[t, a:b])
                source = current[t, a:b]
                if feedback.size:
                    _add(feedback[t - start, a:b], source)
            if reset == ZERO_BEFORE:
                _decay_unfired(before, theta[a:b], beta[a:b], source, now)
            else:
                _decay(before, beta[a:b], source, now)
            if feedback.size and not alpha.size:
                _add(feedback[t - start, a:b], now)
            if reset == SUBTRACT:
                _subtract_fired(before, theta[a:b], amount[a:b], now)
            elif reset == ZERO_AFTER:
                _clear_fired(before, theta[a:b], now)
            _fire(now, theta[a:b], spikes[t, a:b])
            if bits.size:
                _write_bits(now, theta[a:b], bits[t, a // LANES : b // LANES])
            if near.size:
                write_near(now, theta[a:b], slope, near[t, a // LANES : b // LANES])
            if at_once:
                _reset_at_once(before, theta[a:b], amount[a:b], spikes[t, a:b], now, reset, membrane[t, a:b])


@_compiled
def _through_spikes(
    grad: Array, charged: Array, theta: Array, kind: int, slope: float, table: Array, out: Array
) -> None:
    """Gradient of the spikes times the surrogate derivative."""
    one, k = out.dtype.type(1), out.dtype.type(slope)
    if kind == ATAN:
        half, scale = out.dtype.type(slope / 2), out.dtype.type(math.pi / 2 * slope)
        for i in range(out.size):
            place = scale * (charged[i] - theta[i])
            out[i] = half / (one + place * place) * grad[i]
    elif kind == FAST_SIGMOID:
        for i in range(out.size):
            place = k * abs(charged[i] - theta[i]) + one
            out[i] = grad[i] / (place * place)
    elif kind == STRAIGHT:
        for i in range(out.size):
            out[i] = grad[i]
    elif kind == TRIANGLE:
        zero = out.dtype.type(0)
        for i in range(out.size):
            height = one - k * abs(charged[i] - theta[i])
            out[i] = k * (height if height > zero else zero) * grad[i]
    else:
        for i in range(out.size):
            out[i] = grad[i] * table[i]


@_compiled
def _through_reset_at_once(
    before: Array, theta: Array, amount: Array, charged: Array, reset: int, given: Array,
    to_spikes: Array, to_charged: Array, for_amount: Array,
) -> None:  # fmt: skip
    """From the gradient ``given`` of the membrane after the reset to those of the spikes and the charged membrane."""
    zero, one = given.dtype.type(0), given.dtype.type(1)
    for i in range(given.size):
        fired = one if charged[i] - theta[i] > zero else zero
        change = fired - (one if before[i] - theta[i] > zero else zero)
        if reset == SUBTRACT:
            to_spikes[i] -= given[i] * amount[i]
            to_charged[i] = given[i]
            if for_amount.size:
                for_amount[i] -= given[i] * change
        elif reset == NO_RESET:
            to_charged[i] = given[i]
        else:
            to_spikes[i] -= given[i] * charged[i]
            to_charged[i] = given[i] * (one - change)


@_compiled
def _through_decay(before: Array, theta: Array, beta: Array, reset: int, grad: Array, carry: Array) -> None:
    """From the gradient of the charged membrane to those of the input (in place) and of the membrane before."""
    zero = grad.dtype.type(0)
    if reset == ZERO_BEFORE:
        for i in range(grad.size):
            value = beta[i] * grad[i]
            carry[i] = zero if before[i] - theta[i] > zero else value
    elif reset == ZERO_AFTER:
        for i in range(grad.size):
            value, factor = grad[i], beta[i]
            value = zero if before[i] - theta[i] > zero else value
            grad[i] = value
            carry[i] = factor * value
    else:
        for i in range(grad.size):
            carry[i] = beta[i] * grad[i]


@_compiled
def _gather(grad: Array, factor: Array, total: Array) -> None:
    for i in range(total.size):
        total[i] += grad[i] * factor[i]


@_compiled
def _gather_unfired(grad: Array, before: Array, theta: Array, total: Array) -> None:
    zero = total.dtype.type(0)
    for i in range(total.size):
        value = grad[i] * before[i]
        total[i] += zero if before[i] - theta[i] > zero else value


@_compiled
def _gather_fired(grad: Array, before: Array, theta: Array, total: Array) -> None:
    zero = total.dtype.type(0)
    for i in range(total.size):
        value = grad[i]
        total[i] -= value if before[i] - theta[i] > zero else zero


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
    """Gradients of the steps ``start`` to ``stop``, the last one first, of the columns ``lo`` to ``hi``.

    Args:
        lo, hi: columns, out of n.
        start, stop: steps, out of all.
        arriving: gradients of the spikes and states from outside.
        layer: the neurons.
        surrogate: derivative of the spikes.
        first: states before the first step of all.
        made: what :func:`forward` filled.
        carry: gradients that reach the states from the step ``stop``; replaced by those that leave the step ``start``.
        of_signal: gradient of the input, filled (time, n).
        totals: gradients of the parameters, added to.
    """
    of_spikes, of_membrane, of_current = arriving
    alpha, beta, theta, amount, reset, at_once, _ = layer
    kind, slope, table = surrogate
    first_current, first_membrane = first
    current, charged, membrane, _, _, _ = made
    carry_current, carry_membrane = carry
    of_alpha, of_beta, of_theta, of_amount = totals
    width = min(BLOCK, hi - lo)
    spare = np.empty(width, of_spikes.dtype)
    kept = np.empty(width, of_signal.dtype)
    for a in range(lo, hi, BLOCK):
        b = min(a + BLOCK, hi)
        for t in range(stop - 1, start - 1, -1):
            before = membrane[t - 1, a:b] if t else first_membrane[a:b]
            now, grad, back = charged[t, a:b], of_signal[t, a:b], carry_membrane[a:b]
            derivative = table[t, a:b] if kind == TABLE else table[0, :0]
            if of_membrane.size:
                _add(of_membrane[t, a:b], back)
            fired = of_spikes[t, a:b]
            if at_once:
                fired, given = spare[: b - a], kept[: b - a]
                for i in range(b - a):
                    fired[i], given[i] = of_spikes[t, a + i], back[i]
                amounts = of_amount[a:b] if of_amount.size else of_amount
                _through_reset_at_once(before, theta[a:b], amount[a:b], now, reset, given, fired, back, amounts)
            _through_spikes(fired, now, theta[a:b], kind, slope, derivative, grad)
            if of_theta.size:
                for i in range(a, b):
                    of_theta[i] -= of_signal[t, i]
            _add(back, grad)
            _through_decay(before, theta[a:b], beta[a:b], reset, grad, back)
            if of_amount.size and reset == SUBTRACT:
                _gather_fired(grad, before, theta[a:b], of_amount[a:b])
            if of_beta.size:
                if reset == ZERO_BEFORE:
                    _gather_unfired(grad, before, theta[a:b], of_beta[a:b])
                else:
                    _gather(grad, before, of_beta[a:b])
            if alpha.size:
                _add(carry_current[a:b], grad)
                if of_current.size:
                    _add(of_current[t, a:b], grad)
                _decay_back(grad, alpha[a:b], carry_current[a:b])
                if of_alpha.size:
                    _gather(grad, current[t - 1, a:b] if t else first_current[a:b], of_alpha[a:b])


@_compiled
def _decay_back(grad: Array, factor: Array, carry: Array) -> None:
    for i in range(grad.size):
        carry[i] = factor[i] * grad[i]
