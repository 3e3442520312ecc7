"""What the compiled loops are given, as tuples of arrays of (time, n) or (n,); n runs over samples and neurons."""

from __future__ import annotations

from typing import NamedTuple

from aspen._base.arrays import Array


class Layer(NamedTuple):
    """The neurons of a layer, which step alike at every step.

    ``alpha``: decay of the synaptic current (n,), empty for neurons without; ``beta``: decay of the membrane (n,);
    ``theta``: threshold (n,); ``amount``: what a reset by subtraction takes (n,): the threshold, in the precision that
    snnTorch gives it there; ``reset``: one of the constants of :mod:`aspen.fused.kernels`; ``at_once``: whether the
    reset happens in the step of the spike.
    """

    alpha: Array
    beta: Array
    theta: Array
    amount: Array
    reset: int
    at_once: bool


class States(NamedTuple):
    """What neurons carry from step to step, at one step (n,); or the gradients of that. Without synaptic currents,
    those are there and not used."""

    current: Array
    membrane: Array


class Steps(NamedTuple):
    """What the neurons did at each step (time, n).

    ``current``: synaptic current, empty for neurons without; ``charged``: membrane when the neuron fires, the same
    array as ``membrane`` unless the reset happens at once; ``membrane``: after the step; ``spikes``: 0 or 1.
    """

    current: Array
    charged: Array
    membrane: Array
    spikes: Array


class Arriving(NamedTuple):
    """Gradients that arrive from outside the layer (time, n): of the spikes, and of the states; empty where these have
    none."""

    spikes: Array
    membrane: Array
    current: Array


class Derivative(NamedTuple):
    """The surrogate's derivative: its ``kind`` and ``slope``, or a ``table`` (time, n), empty where it is computed."""

    kind: int
    slope: float
    table: Array


class Totals(NamedTuple):
    """Gradients of the parameters (n,), added up over the steps; empty where not wanted."""

    alpha: Array
    beta: Array
    theta: Array
    amount: Array
