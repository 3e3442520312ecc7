"""What the time loops are given, as tuples of arrays of (time, n) or (n,); n runs over samples and neurons.

The same tuples hold tensors where a pass begins, and NumPy arrays for the loops that Numba compiles.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

Values: TypeAlias = Any
"""A tensor, or a NumPy array on the same memory."""


class Layer(NamedTuple):
    """The neurons of a layer, which step alike at every step.

    ``alpha``: decay of the synaptic current (n,), empty for neurons without; ``beta``: decay of the membrane (n,);
    ``theta``: threshold (n,); ``amount``: what a reset by subtraction takes (n,): the threshold, in the precision that
    snnTorch gives it there; ``reset``: one of the constants of :mod:`aspen.fused.kernels`; ``at_once``: whether the
    reset happens in the step of the spike; ``slope``: of a surrogate that is zero away from the threshold, for
    :attr:`Steps.near`, else 0.
    """

    alpha: Values
    beta: Values
    theta: Values
    amount: Values
    reset: int
    at_once: bool
    slope: float


class States(NamedTuple):
    """What neurons carry from step to step, at one step (n,); or the gradients of that. Without synaptic currents,
    those are there and not used."""

    current: Values
    membrane: Values


class Steps(NamedTuple):
    """What the neurons did at each step (time, n).

    ``current``: synaptic current, empty for neurons without; ``charged``: membrane when the neuron fires, the same
    array as ``membrane`` unless the reset happens at once; ``membrane``: after the step; ``spikes``: 0 or 1;
    ``bits``: the same, a bit each, (time, n / LANES) int16, bit i of word w for neuron LANES w + i; empty where nobody
    asks; ``near``: likewise, whether the surrogate is other than zero.
    """

    current: Values
    charged: Values
    membrane: Values
    spikes: Values
    bits: Values
    near: Values


class Arriving(NamedTuple):
    """Gradients that arrive from outside the layer (time, n): of the spikes, and of the states; empty where these have
    none."""

    spikes: Values
    membrane: Values
    current: Values


class Derivative(NamedTuple):
    """The surrogate's derivative: its ``kind`` and ``slope``, or a ``table`` (time, n), empty where it is computed."""

    kind: int
    slope: float
    table: Values


class Totals(NamedTuple):
    """Gradients of the parameters (n,), added up over the steps; empty where not wanted."""

    alpha: Values
    beta: Values
    theta: Values
    amount: Values


class Passing(NamedTuple):
    """One layer on its way back through time.

    ``layer``, ``surrogate``, ``made``, ``arriving``: as given; ``carry``: gradients that reach the states from the step
    after; ``of_signal``: gradient of the input (time, n), filled; ``totals``: added to.
    """

    layer: Layer
    surrogate: Derivative
    made: Steps
    arriving: Arriving
    carry: States
    of_signal: Values
    totals: Totals
