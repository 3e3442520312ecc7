"""The leaky integrate-and-fire neuron: one time step, in floating point and in Loihi's integers.

This file is the definition. Every engine gives the same spikes as :func:`lif_step`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aspen._base.arrays import Array
from aspen.network.network import Network, Population
from aspen.network.neurons import BY_SYNAPSE, RECTIFIED, FixedLif, Lif, Neuron, synapse_parts

LIMIT = FixedLif.STATE_LIMIT
DECAY_BITS = 12


@dataclass
class LifState:
    """State of a population between two steps: ``u`` current, ``v`` membrane, ``owed`` a reset still to be made.

    Each is (batch, n), float64 or int64; all zero at the start of a sample.
    """

    u: Array
    v: Array
    owed: Array

    @classmethod
    def zeros(cls, batch: int, n: int, neuron: Neuron) -> LifState:
        """The state at rest."""
        dtype = np.int64 if isinstance(neuron, FixedLif) else np.float64
        return cls(*(np.zeros((batch, n), dtype) for _ in range(3)))


def lif_step(
    state: LifState, drive: Array, threshold: Array, neuron: Neuron, current: Array | int = 0
) -> tuple[Array, Array]:
    """Advance one population by one time step; ``state`` is updated in place.

    In this order, for each neuron::

        u = alpha * u + drive
        v = beta * v + u + bias + current  -  owed
        spike = v > threshold                                       (strict)
        reset:
          zero               v = 0 where spike
          zero-delayed       in the next step v = 0 after the integration, whatever arrives, where spike
                             (snnTorch's ``Synaptic``, ``RLeaky``, ``RSynaptic`` and ``Lapicque`` with reset to zero
                             and ``reset_delay=True``: one step of refractoriness)
          subtract           v = v - threshold where spike
          subtract-delayed   owed = threshold where spike, else 0   (subtracted in the next step, after the decay:
                                                                     snnTorch's default)
          subtract-synapse   the same, by a synapse of the neuron onto itself with minus its threshold, past the decay
                             of the current; in integers ``owed`` is what a weight of 8 bits can say (below)
          subtract-guarded   v = v - threshold where spike, + owed; then owed = threshold where still v > threshold
                             (snnTorch's ``reset_delay=False``: while the membrane is left above the threshold,
                             it fires only above twice the threshold)
          none               nothing
          none-rectified     nothing; but v = 0 before the comparison where it is negative (snnTorch's
                             ``LeakyParallel``)

    The reset always uses the threshold under which the spike was fired, also where the knob moves in between.

    In integers (``FixedLif``; Lava 0.10's bit-accurate model) the same steps read::

        u = wrap24(decay(u, 4095 - current_decay) + (drive << 6))
        v = clip(decay(v, 4096 - voltage_decay) + u + bias + (current << bias_exponent) - owed, +-(2^23 - 1))
        decay(x, k) = sign(x) * (|x| * k >> 12)
        wrap24(x): 2^24 is subtracted once above 2^23, and added once at or below -2^23

    and ``threshold`` is the mantissa shifted left by 6. What a synapse subtracts is the mantissa rounded to 8
    significant bits (:func:`aspen.network.neurons.synapse_parts`), shifted likewise. As in Lava, the current wraps
    around once only: a drive beyond 24 bits leaves a current beyond 24 bits, which decays from there.

    Args:
        state: the population's state.
        drive: (batch, n) synaptic input of this step, connection biases included.
        threshold: the threshold of this step, scaled by the knob; broadcastable to (batch, n), in units of ``v``.
        neuron: parameters; arrays are scalars or flattened to (n,).
        current: direct current of this step for each neuron, (batch, n) or 0; in units of the membrane, or in
            integers of the bias mantissa.

    Returns:
        (batch, n) bool: the spikes of this step; and (batch, n): the membrane that was compared with the threshold.
    """
    membrane = _integrate(state, drive, neuron, current)
    spike = membrane > threshold
    _reset(state, spike, threshold, neuron)
    return spike, membrane


def follow_step(
    state: LifState, drive: Array, spike: Array, threshold: Array, neuron: Neuron, current: Array | int = 0
) -> None:
    """:func:`lif_step` where the spikes of the step, (batch, n) bool, are known and the membranes are wanted."""
    _integrate(state, drive, neuron, current)
    _reset(state, spike, threshold, neuron)


def count_updates(
    state: LifState,
    arriving: Array,
    neuron: Neuron,
    drive_bias: Array,
    current: Array | int = 0,
    off: Array | None = None,
) -> Array:
    """Active and awake updates (:class:`aspen.network.record.Record`) of the step that :func:`lif_step` would make
    next.

    Args:
        state: the population's state before the step.
        arriving: (batch, n) net synaptic input of the step, connection biases left out, and so what a neuron's synapse
            onto itself brings (``subtract-synapse``), which is counted too.
        neuron: parameters.
        drive_bias: (n,) connection biases, which ``lif_step`` is given as a part of ``drive``.
        current: as in ``lif_step``.
        off: (batch or 1, n) bool: which neurons are off; default: none.

    Returns:
        (4, batch) int64: active, awake; and of both those of neurons that are off.
    """
    active = _net(state, arriving, neuron) != 0
    awake = active | (state.v != 0) | (_bias(neuron, current) != 0) | (drive_bias != 0)
    both = np.stack([active, awake])
    return np.count_nonzero(np.concatenate([both, both & (False if off is None else off)]), axis=2)


def _net(state: LifState, arriving: Array, neuron: Neuron) -> Array:
    """The net synaptic input, with that of the synapses by which neurons reset themselves."""
    if neuron.reset != BY_SYNAPSE:
        return arriving
    net: Array = (arriving << FixedLif.SHIFT if isinstance(neuron, FixedLif) else arriving) - state.owed
    return net


def _integrate(state: LifState, drive: Array, neuron: Neuron, current: Array | int) -> Array:
    """The membrane that is compared with the threshold; currents and membranes of ``state`` are moved on."""
    if isinstance(neuron, FixedLif):
        state.u, state.v = _integrate_fixed(state, drive, neuron, current)
    else:
        state.u, state.v = _integrate_float(state, drive, neuron, current)
    return state.v


def _bias(neuron: Neuron, current: Array | int) -> Array:
    """What is added to the membrane at this step, whatever arrives: the bias, and a direct current."""
    if isinstance(neuron, FixedLif):
        return _flat(neuron.bias) + (current << _flat(neuron.bias_exponent).astype(np.int64))
    return _flat(neuron.bias) + current


def _flat(values: Array) -> Array:
    return values if values.ndim == 0 else values.reshape(-1)


def _integrate_float(state: LifState, drive: Array, neuron: Lif, current: Array | int) -> tuple[Array, Array]:
    u = _flat(neuron.alpha).astype(np.float64) * state.u + drive
    v: Array = _flat(neuron.beta).astype(np.float64) * state.v + u + _bias(neuron, current)
    return u, _settle(v, state.owed, neuron.reset)


def _integrate_fixed(state: LifState, drive: Array, neuron: FixedLif, current: Array | int) -> tuple[Array, Array]:
    u = _wrap(_unwrapped_current(state, drive, neuron))
    return u, np.clip(_unclipped_membrane(state, u, neuron, current), 1 - LIMIT, LIMIT - 1)


def _unwrapped_current(state: LifState, drive: Array, neuron: FixedLif) -> Array:
    u: Array = _decay(state.u, 4095 - _flat(neuron.current_decay)) + (drive << FixedLif.SHIFT)
    return u


def _wrap(u: Array) -> Array:
    return np.where(u > LIMIT, u - 2 * LIMIT, np.where(u <= -LIMIT, u + 2 * LIMIT, u))


def _unclipped_membrane(state: LifState, u: Array, neuron: FixedLif, current: Array | int) -> Array:
    v: Array = _decay(state.v, 4096 - _flat(neuron.voltage_decay)) + u + _bias(neuron, current)
    return _settle(v, state.owed, neuron.reset)


def overflows(state: LifState, drive: Array, neuron: FixedLif, current: Array | int = 0) -> tuple[int, int]:
    """How many currents would wrap around, and how many membranes be clipped, if :func:`lif_step` came next.

    A wrapped current has the wrong sign: spikes appear or vanish. A clipped membrane above is harmless (it is above
    every threshold), below it forgets some inhibition.
    """
    raw = _unwrapped_current(state, drive, neuron)
    u = _wrap(raw)
    v = _unclipped_membrane(state, u, neuron, current)
    return int(np.count_nonzero(u != raw)), int(np.count_nonzero(np.abs(v) >= LIMIT))


def _settle(v: Array, owed: Array, reset: str) -> Array:
    """What a reset of the step before still asks for, and the floor of a membrane that has one."""
    if reset == RECTIFIED:
        return np.maximum(v, 0)
    return np.where(owed != 0, 0, v) if reset == "zero-delayed" else v - owed


def _decay(x: Array, keep: Array) -> Array:
    return np.sign(x) * (np.abs(x) * keep.astype(np.int64) >> DECAY_BITS)


def _reset(state: LifState, spike: Array, threshold: Array, neuron: Neuron) -> None:
    reset = neuron.reset
    if reset == "zero":
        state.v = np.where(spike, 0, state.v)
    elif reset == "subtract":
        state.v = state.v - np.where(spike, threshold, 0)  # a product would make NaN of an infinite threshold
    elif reset in ("subtract-delayed", "zero-delayed"):
        state.owed = np.where(spike, threshold, 0)
    elif reset == BY_SYNAPSE:
        state.owed = np.where(spike, subtracted(threshold, neuron), 0)
    elif reset == "subtract-guarded":
        state.v = state.v - (np.where(spike, threshold, 0) - state.owed)
        state.owed = np.where(state.v > threshold, threshold, 0)


def subtracted(threshold: Array, neuron: Neuron) -> Array:
    """What a synapse of a neuron onto itself subtracts under a ``threshold``, both in units of the membrane."""
    if isinstance(neuron, Lif):
        return threshold
    magnitude, exponent = synapse_parts(threshold >> FixedLif.SHIFT)
    amount: Array = magnitude << exponent + FixedLif.SHIFT
    return amount


def scaled_threshold(neuron: Neuron, scale: Array) -> Array:
    """The threshold that ``scale`` asks for, in units of the membrane.

    In integers the chip stores a mantissa, so the scaled mantissa is rounded (:meth:`FixedLif.rounded`). What is out
    of range comes out beyond the largest mantissa, or as 0 or infinity, for the caller to refuse. A scale of infinity
    switches a neuron off: its threshold is infinite or, in integers, :attr:`FixedLif.off_threshold`.

    Args:
        neuron: parameters of the population.
        scale: factors, any shape ending in 1 (broadcast against the neurons).

    Returns:
        thresholds, shape of ``scale`` broadcast against (n,) or a scalar threshold.
    """
    with np.errstate(over="ignore"):
        scaled: Array = _flat(neuron.threshold).astype(np.float64) * scale
    if isinstance(neuron, Lif):
        return scaled
    mantissa: Array = np.where(np.isinf(scale), neuron.off_threshold, FixedLif.rounded(scaled))
    return mantissa << FixedLif.SHIFT


def switched_off(populations: Network | Mapping[str, Population], thresholds: Mapping[str, Array]) -> dict[str, Array]:
    """Which neurons a knob has switched off: their thresholds are those of :func:`scaled_threshold` at a scale of
    infinity, and were others as trained.

    Args:
        populations: of what runs, by name.
        thresholds: population -> (..., n or 1), in units of the membrane.

    Returns:
        population -> (..., n) bool; without those of which no neuron is off.
    """
    found: dict[str, Array] = {}
    for name, threshold in thresholds.items():
        neuron = populations[name].neuron
        assert neuron is not None  # only neurons have thresholds
        if isinstance(neuron, FixedLif):
            out = threshold == neuron.off_threshold << FixedLif.SHIFT
            trained = neuron.threshold == neuron.off_threshold
        else:
            out, trained = np.isinf(threshold), np.isinf(neuron.threshold)
        if out.any():
            mask = np.broadcast_to(out & ~_flat(trained), (*threshold.shape[:-1], populations[name].size))
            found |= {name: mask} if mask.any() else {}
    return found
