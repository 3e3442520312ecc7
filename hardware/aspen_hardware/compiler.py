"""Compile a trained network to a chip: integers as the chip stores them, and a report of what that cost."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np

from aspen._arrays import Array
from aspen.connections import Connection
from aspen.errors import ChipError, InputError
from aspen.network import Network, Population
from aspen.neurons import FixedLif, Lif
from aspen_hardware import quantize
from aspen_hardware.chips import Chip, chip
from aspen_hardware.deployment import Deployment, Rounding
from aspen_hardware.placement import place
from aspen_hardware.rules import check, enforce

MAX_THRESHOLD_SCALE = 4.0
NETX_BIAS_EXPONENT = 6


def compile(
    network: Network, target: Chip | str, *, max_threshold_scale: float = MAX_THRESHOLD_SCALE, netx: bool = False
) -> Deployment:
    """Put ``network`` into the integers of a chip.

    For each population one factor turns the trained membrane's unit into the chip's: it lets the largest incoming
    weight fill 8 bits, and the weight exponent is then the largest for which the thresholds, dialled up to
    ``max_threshold_scale``, fit 17 bits, and the worst-case current and membrane 24 bits.

    Args:
        network: a network in floating point. One that is in integers already is checked and kept as it is.
        target: a chip, its name, or the path of a chip file.
        max_threshold_scale: the largest knob setting that must be possible; larger costs resolution.
        netx: use weight exponent 0 and bias exponent 6 everywhere, the only ones that lava-dl's netx files can say.

    Raises:
        ChipError: the network does not fit; the message names the population, the limit and a remedy.
        InputError: ``max_threshold_scale`` is not at least 1 and finite.
    """
    if not 1 <= max_threshold_scale < inf:
        raise InputError(f"max_threshold_scale: found {max_threshold_scale}, allowed is a number from 1; give e.g. 4")
    description = target if isinstance(target, Chip) else chip(target)
    enforce(network, description)
    if network.is_integer:
        return _finish(network, description, {})
    neurons: dict[str, FixedLif] = {}
    weights: dict[str, Connection] = {}
    rounding: dict[str, Rounding] = {}
    for name in network.order:
        neuron, incoming, rounding[name] = _quantize_population(network, network[name], max_threshold_scale, netx)
        neurons[name] = neuron
        weights.update({connection.name: connection for connection in incoming})
    populations = tuple(replace(p, neuron=neurons.get(p.name)) for p in network.populations)
    connections = tuple(weights[c.name] for c in network.connections)
    return _finish(replace(network, populations=populations, connections=connections), description, rounding)


def _finish(network: Network, description: Chip, rounding: dict[str, Rounding]) -> Deployment:
    enforce(network, description)
    place(network, description)  # raises where a population cannot be split over cores
    warnings = [finding.message for finding in check(network, description)]
    warnings += [
        f"{name}: if all inputs of one sign spiked at every step, the current would reach "
        f"{entry.worst_case_current:.0%} of 24 bits and wrap"
        for name, entry in rounding.items()
        if entry.worst_case_current > 1
    ]
    return Deployment(network, description.name, rounding, tuple(warnings))


def _quantize_population(
    network: Network, population: Population, headroom: float, netx: bool
) -> tuple[FixedLif, list[Connection], Rounding]:
    lif, incoming = population.neuron, network.incoming(population.name)
    assert isinstance(lif, Lif)  # compile() handles integer networks before
    largest = max(float(np.abs(c.weight).max(initial=0.0)) for c in incoming)
    limit = min(quantize.weight_limit(c.weight) for c in incoming)
    per_unit = limit / largest if largest > 0 else 1.0
    integer = [quantize.quantize_weight(c.weight, per_unit) for c in incoming]
    unshifted = [c.with_integers(weight, 0) for c, weight in zip(incoming, integer, strict=True)]
    current = _worst_case_current(unshifted, lif.alpha)
    bias = _bias(population, lif, incoming)
    threshold, largest_bias = float(lif.threshold.max()), float(np.abs(bias).max())
    membrane = _worst_case_membrane(lif, current, largest_bias * per_unit)
    exponent = quantize.choose_exponent(per_unit, threshold, largest_bias, headroom, max(current, membrane))
    if exponent not in quantize.WEIGHT_EXPONENTS or (netx and exponent < 0):
        raise ChipError(
            f"{population.name}: found a threshold of {threshold:.3g} and a bias of {largest_bias:.3g} beside a "
            f"largest weight of {largest:.3g}, too large for 17-bit thresholds dialled to {headroom:g} and 13-bit "
            f"biases; train with larger weights or a smaller threshold and bias"
        )
    exponent = 0 if netx else exponent
    neuron = _quantize_neuron(lif, bias, per_unit * 2.0**exponent, NETX_BIAS_EXPONENT if netx else None)
    connections = [c.with_integers(c.weight, exponent) for c in unshifted]
    rounding = _report(lif, neuron, bias, list(zip(incoming, connections, strict=True)), per_unit, current)
    return neuron, connections, rounding


def _worst_case_current(connections: list[Connection], alpha: Array) -> float:
    """Largest current with exponent 0, in state units: every input of one sign spikes at every step."""
    matrices = [c.synapses().astype(np.int64) for c in connections]
    excitation = sum(m.maximum(0).sum(axis=1) for m in matrices)
    inhibition = sum((-m).maximum(0).sum(axis=1) for m in matrices)
    gain = 1 / np.maximum(1 - alpha.astype(np.float64).reshape(-1), 1 / 4096)
    return float((np.maximum(excitation, inhibition) * gain).max() * 2**FixedLif.SHIFT)


def _worst_case_membrane(lif: Lif, current: float, bias: float) -> float:
    """Largest membrane with exponent 0, in state units, if no reset came. Beyond 24 bits a membrane is clipped: one
    that is not reset, or strongly inhibited, then comes back too soon."""
    keep = float(lif.beta.max())
    return (current + bias * 2**FixedLif.SHIFT) / max(1 - keep, 1 / 4096)


def _bias(population: Population, lif: Lif, incoming: list[Connection]) -> Array:
    biases = [c.bias_currents() for c in incoming if c.bias is not None and np.any(c.bias)]
    if biases and np.any(lif.alpha):
        raise ChipError(
            f"{population.name}: found a bias on the synaptic current, allowed is a bias on the membrane only; "
            f"use Linear(bias=False) before a Synaptic neuron"
        )
    total = np.asarray(sum((b.astype(np.float64) for b in biases), np.zeros(population.size)))
    return total.reshape(population.shape) + lif.bias


def _quantize_neuron(lif: Lif, bias: Array, mantissa_per_unit: float, bias_exponent: int | None) -> FixedLif:
    mantissa, exponent = quantize.quantize_bias(bias, mantissa_per_unit * 2**FixedLif.SHIFT, bias_exponent)
    return FixedLif(
        threshold=quantize.quantize_threshold(lif.threshold, mantissa_per_unit),
        voltage_decay=quantize.quantize_voltage_decay(lif.beta),
        current_decay=quantize.quantize_current_decay(lif.alpha),
        bias_mantissa=mantissa if mantissa.any() else np.zeros((), np.int32),
        bias_exponent=np.asarray(exponent),
        reset=lif.reset,
    )


def _report(
    lif: Lif,
    neuron: FixedLif,
    bias: Array,
    pairs: list[tuple[Connection, Connection]],
    per_unit: float,
    current: float,
) -> Rounding:
    before, after = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    exponent = after[0].exponent
    state = per_unit * 2.0 ** (exponent + FixedLif.SHIFT)
    largest = max(float(np.abs(c.weight).max(initial=0.0)) for c in before) or 1.0
    weight_error = max(float(np.abs(a.weight / per_unit - b.weight).max(initial=0.0)) for b, a in pairs) / largest
    stored = sum(int(np.count_nonzero(c.weight)) for c in before)
    lost = stored - sum(int(np.count_nonzero(c.weight)) for c in after)
    threshold = lif.threshold.astype(np.float64)
    return Rounding(
        state_per_unit=state,
        weight_exponent=exponent,
        weight_error=weight_error,
        weights_lost=lost / max(stored, 1),
        threshold_error=float(np.abs((neuron.threshold << FixedLif.SHIFT) / state / threshold - 1).max()),
        beta_error=float(np.abs((4096 - neuron.voltage_decay) / 4096 - lif.beta).max()),
        alpha_error=float(np.abs((4095 - neuron.current_decay) / 4096 - lif.alpha).max()),
        bias_error=float((np.abs(neuron.bias / state - bias) / threshold).max()),
        largest_scale=FixedLif.MAX_THRESHOLD / int(neuron.threshold.max()),
        worst_case_current=current * 2.0**exponent / quantize.STATE_LIMIT,
    )
