"""The widths of a chip's numbers, and the resets that its neurons know."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Formats:
    """Widths in bits; ``None`` where there is no limit, or none is known.

    ``weight_bits`` is what is stored per weight: with ``b`` bits, magnitudes to 2^b - 1 in a matrix of one sign, even
    values from -2^b to 2^b - 2 in a matrix of both. ``synapse_overhead_bits`` come on top for each synapse.
    ``spike_bits`` is what a spike carries: 1 where it is there or not, more where it has a value (a graded spike).
    ``resets`` are names of :data:`aspen.network.neurons.RESETS`. ``reset_compartments`` are those that a neuron takes
    which fires and is not set to zero; see :func:`aspen_hardware.placing.resets.compartments`.
    """

    resets: tuple[str, ...]
    weight_bits: int | None = None
    synapse_overhead_bits: int | None = None
    threshold_bits: int | None = None
    state_bits: int | None = None
    decay_bits: int | None = None
    bias_mantissa_bits: int | None = None
    bias_exponent_bits: int | None = None
    spike_bits: int | None = None
    reset_compartments: int | None = None
