"""The time loops of spiking neurons for GPUs, forwards and backwards, in Triton.

One program steps a block of columns through time, with their states in registers; a column is one neuron of one sample,
and neighbours in memory are neighbours in the block. Arguments in capitals are constants: each kind of neuron, reset
and surrogate is compiled to a kernel of its own, without branches.

Every expression is :mod:`aspen.fused.kernels`' one, which is snnTorch's, with the same operations in the same order, so
that the spikes are the same; they are launched with ``enable_fp_fusion=False``, as a product and a sum in one
instruction would be rounded once. Each column adds up its own gradients of the parameters, the last step first; what
sums them over samples is torch. Nothing is added atomically: the same numbers on every run.
"""

from __future__ import annotations

import triton
import triton.language as tl

from aspen.fused import kernels

SUBTRACT, ZERO_BEFORE = tl.constexpr(kernels.SUBTRACT), tl.constexpr(kernels.ZERO_BEFORE)
ZERO_AFTER, NO_RESET = tl.constexpr(kernels.ZERO_AFTER), tl.constexpr(kernels.NO_RESET)
ATAN, FAST_SIGMOID = tl.constexpr(kernels.ATAN), tl.constexpr(kernels.FAST_SIGMOID)
STRAIGHT, TRIANGLE = tl.constexpr(kernels.STRAIGHT), tl.constexpr(kernels.TRIANGLE)
TABLE = tl.constexpr(kernels.TABLE)


@triton.jit(do_not_specialize=("start", "steps"))
def forward(  # type: ignore[no-untyped-def]
    signal, feedback, alpha, beta, theta, amount, current, charged, membrane, spikes, start, steps, columns,
    RESET: tl.constexpr, AT_ONCE: tl.constexpr, HAS_CURRENT: tl.constexpr, HAS_FEEDBACK: tl.constexpr,
    BLOCK: tl.constexpr, AHEAD: tl.constexpr,
):  # fmt: skip
    """Step ``steps`` times; arrays of (time, columns) begin at the step ``start``, and hold what was before it.

    With decays a and b, threshold h, what a reset takes r, H(x) = 1 where x > 0, and before the first step i = u = 0::

        i[t] = a i[t-1] + x[t]                                           HAS_CURRENT: then i[t] is x[t] below
        f = H(u[t-1] - h)                                                whether a reset is due
        v[t] = b u[t-1] + x[t] - f r                                     SUBTRACT
        v[t] = b (1 - f) u[t-1] + x[t]                                   ZERO_BEFORE
        v[t] = (1 - f) (b u[t-1] + x[t])                                 ZERO_AFTER
        s[t] = H(v[t] - h)
        u[t] = v[t]                                                      unless AT_ONCE:
        u[t] = v[t] - (s[t] - f) r, or v[t] - (s[t] - f) v[t]            SUBTRACT, or to zero
    """
    column = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = column < columns
    states = charged.dtype.element_ty
    zero, one = tl.full((BLOCK,), 0.0, states), tl.full((BLOCK,), 1.0, states)
    b = tl.load(beta + column, there, 0.0)
    h = tl.load(theta + column, there, 0.0)
    r = tl.load(amount + column, there, 0.0)
    before = column < tl.where(start > 0, columns, 0)  # whether there is a step before the first one
    u = tl.load(membrane - columns + column, before, 0.0)
    if HAS_CURRENT:
        a = tl.load(alpha + column, there, 0.0)
        i = tl.load(current - columns + column, before, 0.0)
    for _ in tl.range(0, steps, num_stages=AHEAD):
        x = tl.load(signal + column, there, 0.0).to(states)
        if HAS_CURRENT:
            i = a * i + x
            if HAS_FEEDBACK:
                i = i + tl.load(feedback + column, there, 0.0)
            tl.store(current + column, i, there)
            x = i
        due = (u - h) > 0
        kept = tl.where(due, zero, u) if RESET == ZERO_BEFORE else u
        v = b * kept + x
        if HAS_FEEDBACK and not HAS_CURRENT:
            v = v + tl.load(feedback + column, there, 0.0)
        if RESET == SUBTRACT:
            v = v - tl.where(due, r, zero)
        elif RESET == ZERO_AFTER:
            v = tl.where(due, zero, v)
        s = tl.where((v - h) > 0, one, zero)
        tl.store(spikes + column, s.to(spikes.dtype.element_ty), there)
        tl.store(charged + column, v, there)
        u = v
        if AT_ONCE:
            change = s - tl.where(due, one, zero)
            if RESET == SUBTRACT:
                u = v - change * r
            elif RESET != NO_RESET:
                u = v - change * v
            tl.store(membrane + column, u, there)
        signal += columns
        current += columns
        charged += columns
        membrane += columns
        spikes += columns
        feedback += columns


@triton.jit
def derived(distance, SURROGATE: tl.constexpr, SLOPE: tl.constexpr, HALF: tl.constexpr, SCALE: tl.constexpr):  # type: ignore[no-untyped-def]
    """The surrogate's derivative, as numerator and denominator, at membrane - threshold.

    ATAN: (k / 2) / (1 + (pi k x / 2)^2); FAST_SIGMOID: 1 / (k |x| + 1)^2; STRAIGHT: 1;
    TRIANGLE: k max(0, 1 - k |x|).
    """
    one = tl.full(distance.shape, 1.0, distance.dtype)
    if SURROGATE == ATAN:
        place = tl.full(distance.shape, SCALE, distance.dtype) * distance
        return tl.full(distance.shape, HALF, distance.dtype), one + place * place
    elif SURROGATE == FAST_SIGMOID:
        place = tl.full(distance.shape, SLOPE, distance.dtype) * tl.abs(distance) + one
        return one, place * place
    elif SURROGATE == TRIANGLE:
        slope, zero = tl.full(distance.shape, SLOPE, distance.dtype), tl.full(distance.shape, 0.0, distance.dtype)
        height = one - slope * tl.abs(distance)
        return slope * tl.where(height > 0, height, zero), one
    else:
        return one, one


@triton.jit(do_not_specialize=("start", "steps"))
def backward(  # type: ignore[no-untyped-def]
    of_spikes, of_membrane, of_current, table, alpha, beta, theta, amount, current, charged, membrane,
    carry_current, carry_membrane, of_signal, of_alpha, of_beta, of_theta, of_amount, start, steps, columns,
    RESET: tl.constexpr, AT_ONCE: tl.constexpr, HAS_CURRENT: tl.constexpr,
    HAS_OF_MEMBRANE: tl.constexpr, HAS_OF_CURRENT: tl.constexpr,
    NEEDS_ALPHA: tl.constexpr, NEEDS_BETA: tl.constexpr, NEEDS_THETA: tl.constexpr, NEEDS_AMOUNT: tl.constexpr,
    SURROGATE: tl.constexpr, SLOPE: tl.constexpr, HALF: tl.constexpr, SCALE: tl.constexpr,
    BLOCK: tl.constexpr, AHEAD: tl.constexpr,
):  # fmt: skip
    """Go back ``steps`` steps; arrays of (time, columns) begin at the last of them, whose number is ``start``.

    With ~y for the gradient of y, s'(x) the surrogate's derivative, and ~u[t], ~i[t] what comes from outside and from
    step t + 1 (0 behind the last step)::

        AT_ONCE, c = s[t] - f:   ~s -= ~u r,      ~v = ~u,             ~r -= ~u c                  SUBTRACT
                                 ~s -= ~u v[t],   ~v = ~u (1 - c)                                  to zero
        otherwise:               ~v = ~u
        ~h -= ~s s'(v[t] - h)
        ~v += ~s s'(v[t] - h)
        ~x = ~v, or (1 - f) ~v                                                                     or ZERO_AFTER
        ~u[t-1] = b ~x, or (1 - f) b ~x                                                            or ZERO_BEFORE
        ~b += ~x u[t-1], or (1 - f) ~x u[t-1]                                                      or ZERO_BEFORE
        ~r -= f ~x                                                                                 SUBTRACT
        HAS_CURRENT: ~i[t] += ~x;   ~x[t] = ~i[t];   ~i[t-1] = a ~i[t];   ~a += ~i[t] i[t-1]
    """
    column = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = column < columns
    states = charged.dtype.element_ty
    zero, one = tl.full((BLOCK,), 0.0, states), tl.full((BLOCK,), 1.0, states)
    b = tl.load(beta + column, there, 0.0)
    h = tl.load(theta + column, there, 0.0)
    r = tl.load(amount + column, there, 0.0)
    to_u = tl.load(carry_membrane + column, there, 0.0)
    if HAS_CURRENT:
        a = tl.load(alpha + column, there, 0.0)
        to_i = tl.load(carry_current + column, there, 0.0)
    if NEEDS_ALPHA:
        to_alpha = tl.load(of_alpha + column, there, 0.0)
    if NEEDS_BETA:
        to_beta = tl.load(of_beta + column, there, 0.0)
    if NEEDS_THETA:
        to_theta = tl.load(of_theta + column, there, 0.0)
    if NEEDS_AMOUNT:
        to_amount = tl.load(of_amount + column, there, 0.0)
    v = tl.load(charged + column, there, 0.0)
    for gone in tl.range(0, steps, num_stages=AHEAD):
        earlier = column < tl.where(gone < start, columns, 0)  # whether there is a step before this one
        u = tl.load(membrane - columns + column, earlier, 0.0)
        due = (u - h) > 0
        if HAS_OF_MEMBRANE:
            to_u += tl.load(of_membrane + column, there, 0.0)
        to_s = tl.load(of_spikes + column, there, 0.0).to(states)
        if AT_ONCE:
            change = tl.where((v - h) > 0, one, zero) - tl.where(due, one, zero)
            if RESET == SUBTRACT:
                to_s -= to_u * r
                if NEEDS_AMOUNT:
                    to_amount -= to_u * change
            elif RESET != NO_RESET:
                to_s -= to_u * v
                to_u = to_u * (one - change)
        if SURROGATE == TABLE:
            through = to_s * tl.load(table + column, there, 0.0)
        else:
            over, under = derived(v - h, SURROGATE, SLOPE, HALF, SCALE)
            through = over / under * to_s
        if NEEDS_THETA:
            to_theta -= through
        to_x = through + to_u
        if RESET == ZERO_AFTER:
            to_x = tl.where(due, zero, to_x)
        to_u = b * to_x
        if RESET == ZERO_BEFORE:
            to_u = tl.where(due, zero, to_u)
        if NEEDS_AMOUNT and RESET == SUBTRACT:
            to_amount -= tl.where(due, to_x, zero)
        if NEEDS_BETA:
            term = to_x * u
            if RESET == ZERO_BEFORE:
                term = tl.where(due, zero, term)
            to_beta += term
        if HAS_CURRENT:
            to_x += to_i
            if HAS_OF_CURRENT:
                to_x += tl.load(of_current + column, there, 0.0)
            to_i = a * to_x
            if NEEDS_ALPHA:
                to_alpha += to_x * tl.load(current - columns + column, earlier, 0.0)
        tl.store(of_signal + column, to_x.to(of_signal.dtype.element_ty), there)
        v = tl.load(charged - columns + column, earlier, 0.0) if AT_ONCE else u
        of_spikes -= columns
        of_membrane -= columns
        of_current -= columns
        table -= columns
        current -= columns
        charged -= columns
        membrane -= columns
        of_signal -= columns
    tl.store(carry_membrane + column, to_u, there)
    if HAS_CURRENT:
        tl.store(carry_current + column, to_i, there)
    if NEEDS_ALPHA:
        tl.store(of_alpha + column, to_alpha, there)
    if NEEDS_BETA:
        tl.store(of_beta + column, to_beta, there)
    if NEEDS_THETA:
        tl.store(of_theta + column, to_theta, there)
    if NEEDS_AMOUNT:
        tl.store(of_amount + column, to_amount, there)
