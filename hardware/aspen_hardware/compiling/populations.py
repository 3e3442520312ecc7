"""One population's numbers as a chip's integers, and a report of what the rounding did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from aspen._base.arrays import Array
from aspen.errors import ChipError
from aspen.network.connections import Connection
from aspen.network.host import HostLayer
from aspen.network.network import Network, Population
from aspen.network.neurons import BY_SYNAPSE, FixedLif, Lif, largest_threshold, synapse_parts
from aspen_hardware.compiling import formats as quantize
from aspen_hardware.compiling.compensation import Compensator
from aspen_hardware.compiling.deployment import Rounding
from aspen_hardware.compiling.grouping import Rescaled, balance, group_thresholds, unchanged

NETX_BIAS_EXPONENT = 6


@dataclass(frozen=True)
class Options:
    """What holds for all populations; see :func:`aspen_hardware.compile`. ``resets``: population -> its reset on the
    chip. ``host_peak``: the largest current of a host layer, in units of the membrane."""

    max_threshold_scale: float
    netx: bool = False
    threshold_groups: int | None = None
    classes: Mapping[str, Array] = field(default_factory=dict)
    resets: Mapping[str, str] = field(default_factory=dict)
    host_peak: float = 0.0

    def reset_of(self, population: Population) -> str:
        """The population's reset on the chip; where nothing is said, that in floating point."""
        assert population.neuron is not None  # whoever has none is not compiled
        return self.resets.get(population.name, population.neuron.reset)


@dataclass(frozen=True)
class Scheme:
    """A quantisation scheme: how one population uses the range of the integers.

    Args:
        fill: weights up to this fraction of the largest fill 8 bits; larger ones are clipped.
        worst_case: currents and membranes stay within 24 bits even if all inputs of one sign spike at every step.
        lower: take a weight exponent this much below the largest that fits.
        thresholds: scale neurons up until their weights fill the range, by so many different factors; 0: no.
        compensate: round weights so that their errors cancel on the sample.
    """

    fill: float = 1.0
    worst_case: bool = True
    lower: int = 0
    thresholds: int = 0
    compensate: bool = False


@dataclass(frozen=True)
class Quantized:
    """A population in integers: its neurons, what drives it, and what the rounding did."""

    neuron: FixedLif
    connections: list[Connection]
    rounding: Rounding
    host: HostLayer | None = None


def quantize_population(
    network: Network, population: Population, options: Options, scheme: Scheme, compensator: Compensator | None = None
) -> Quantized:
    """Put one population of a float network into integers; ``scheme.compensate`` needs a ``compensator``.

    Raises:
        ChipError: thresholds or biases do not fit beside the weights.
    """
    lif, incoming = population.neuron, network.incoming(population.name)
    assert isinstance(lif, Lif)  # compile() handles integer networks before
    floats = _rescale(network, population, lif, _bias(population, lif, incoming), options, scheme)
    if not incoming:
        return _hosted_alone(population, lif, floats, options, scheme)
    largest = max(float(np.abs(c.weight).max(initial=0.0)) for c in floats.connections)
    limit = min(quantize.weight_limit(c.weight) for c in floats.connections)
    per_unit = limit / (largest * scheme.fill) if largest > 0 else 1.0
    if scheme.compensate and compensator is not None:
        integer = [compensator.quantize(c, per_unit) for c in floats.connections]
    else:
        integer = [quantize.quantize_weight(c.weight, per_unit) for c in floats.connections]
    unshifted = [c.with_integers(weight, 0) for c, weight in zip(incoming, integer, strict=True)]
    graded = network.input.graded
    peaks = {} if graded is None else {network.input.name: graded.largest}
    current = worst_case_current(unshifted, lif.alpha, peaks)
    peak = options.host_peak * scheme.fill if population.host is not None else None
    exponent = _exponent(population, floats, lif, per_unit, largest, current, options, scheme, peak)
    units, reset = per_unit * 2.0**exponent, options.reset_of(population)
    bias_exponent = NETX_BIAS_EXPONENT if options.netx else None
    neuron = _quantize_neuron(lif, floats, units, bias_exponent, reset, peak)
    connections = [c.with_integers(c.weight, exponent) for c in unshifted]
    return _with_host(population, neuron, connections, _report(lif, neuron, floats, connections, units, current))


def _hosted_alone(population: Population, lif: Lif, floats: Rescaled, options: Options, scheme: Scheme) -> Quantized:
    """Neurons that biases written by the host drive, and nothing else: no weight sets the scale of their integers, so
    the finest is taken at which thresholds and biases fit."""
    peak = options.host_peak * scheme.fill
    finite = floats.threshold[np.isfinite(floats.threshold)]
    reset = options.reset_of(population)
    limits = [largest_threshold(reset) / (float(finite.max()) * options.max_threshold_scale)] if finite.size else []
    limits += [quantize.BIAS_LIMIT / (peak * 2**FixedLif.SHIFT)] if peak > 0 else []
    units = min(limits, default=1.0) * 2.0**-scheme.lower
    neuron = _quantize_neuron(lif, floats, units, None, reset, peak)
    return _with_host(population, neuron, [], _report(lif, neuron, floats, [], units, 0.0))


def _with_host(population: Population, neuron: FixedLif, connections: list[Connection], found: Rounding) -> Quantized:
    """With the host's layer, where there is one, in bias mantissas of these neurons."""
    if population.host is None:
        return Quantized(neuron, connections, found)
    assert population.neuron is not None  # a host layer drives neurons
    mantissa = 2.0 ** int(neuron.bias_exponent) / found.state_per_unit
    threshold = float(np.min(np.asarray(population.neuron.threshold)))
    rounded = replace(found, bias_error=0.5 * mantissa / threshold)
    return Quantized(neuron, connections, rounded, population.host.scaled(1 / mantissa))


def worst_case_current(connections: list[Connection], alpha: Array, peaks: Mapping[str, int] | None = None) -> float:
    """Largest current with exponent 0, in state units: every input whose weight has one sign spikes at every step.

    Sources in ``peaks`` are graded: their values, up to the peak, have either sign, so that all weights can push alike.
    """
    excitation, inhibition = (sum(side) for side in zip(*(_pushes(c, peaks or {}) for c in connections), strict=True))
    gain = 4096 / (1 + quantize.quantize_current_decay(alpha).astype(np.float64).reshape(-1))
    return float((np.maximum(excitation, inhibition) * gain).max() * 2**FixedLif.SHIFT)


def _pushes(connection: Connection, peaks: Mapping[str, int]) -> tuple[Array, Array]:
    """Twice (n,) int64: how far one step can push each target neuron up, and down, in units of the weights."""
    matrix = connection.synapses().astype(np.int64)
    up, down = matrix.maximum(0).sum(axis=1), (-matrix).maximum(0).sum(axis=1)
    peak = peaks.get(connection.source)
    return (up, down) if peak is None else (peak * (up + down), peak * (up + down))


def _worst_case_membrane(lif: Lif, current: float, bias: float) -> float:
    """Largest membrane with exponent 0, in state units, if no reset came. Beyond 24 bits a membrane is clipped: one
    that is not reset, or strongly inhibited, then comes back too soon."""
    slowest = max(int(quantize.quantize_voltage_decay(lif.beta).min()), 1)
    return (current + bias * 2**FixedLif.SHIFT) * 4096 / slowest


def _bias(population: Population, lif: Lif, incoming: list[Connection]) -> Array:
    """All biases as one on the membrane, to which they go where no current remembers them: the population's shape."""
    biases = [c.bias_currents() for c in incoming if c.bias is not None]
    total = np.asarray(sum((b.astype(np.float64) for b in biases), np.zeros(population.size)))
    return total.reshape(population.shape) + lif.bias


def _rescale(
    network: Network, population: Population, lif: Lif, bias: Array, options: Options, scheme: Scheme
) -> Rescaled:
    """Neurons rescaled as the options and the scheme ask for; the output's keep the unit of their membranes, which may
    be read out, and those that take a current keep the unit in which it is given."""
    incoming = network.incoming(population.name)
    if np.isfinite(lif.threshold).all():
        kept = population.name == network.output or population.current
        classes = options.classes.get(population.name)
        if classes is not None and not kept:
            return balance(incoming, bias, lif.threshold, 0, classes)
        if scheme.thresholds and not kept:
            return balance(incoming, bias, lif.threshold, scheme.thresholds)
        if options.threshold_groups is not None:
            return group_thresholds(incoming, bias, lif.threshold, options.threshold_groups, rescale=not kept)
    return unchanged(incoming, bias, lif.threshold)


def _exponent(
    population: Population,
    floats: Rescaled,
    lif: Lif,
    per_unit: float,
    largest: float,
    current: float,
    options: Options,
    scheme: Scheme,
    peak: float | None,
) -> int:
    finite = floats.threshold[np.isfinite(floats.threshold)]  # a leaky integrator has no threshold to be fitted
    threshold, bias = float(finite.max(initial=0.0)), float(np.abs(floats.bias).max()) if peak is None else peak
    headroom = options.max_threshold_scale
    state = max(current, _worst_case_membrane(lif, current, bias * per_unit)) if scheme.worst_case else 0.0
    largest_mantissa = largest_threshold(options.reset_of(population))
    exponent = quantize.choose_exponent(per_unit, threshold, bias, headroom, state, largest_mantissa) - scheme.lower
    if exponent not in quantize.WEIGHT_EXPONENTS or (options.netx and exponent < 0):
        raise ChipError(
            f"{population.name}: found a threshold of {threshold:.3g} and a bias of {bias:.3g} beside a "
            f"largest weight of {largest:.3g}, too large for thresholds up to {largest_mantissa} dialled to "
            f"{headroom:g} and 13-bit biases; train with larger weights or a smaller threshold and bias"
        )
    return 0 if options.netx else exponent


def _quantize_neuron(
    lif: Lif,
    floats: Rescaled,
    mantissa_per_unit: float,
    bias_exponent: int | None,
    reset: str,
    peak: float | None,
) -> FixedLif:
    """``peak``: the largest bias that a host will write, in units of the membrane; None: biases stay as they are."""
    state = mantissa_per_unit * 2**FixedLif.SHIFT
    mantissa, exponent = quantize.quantize_bias(floats.bias, state, bias_exponent)
    if peak is not None:
        exponent = quantize.quantize_bias(np.array([peak]), state)[1]
    return FixedLif(
        threshold=quantize.quantize_threshold(floats.threshold, mantissa_per_unit),
        voltage_decay=quantize.quantize_voltage_decay(lif.beta),
        current_decay=quantize.quantize_current_decay(lif.alpha),
        bias_mantissa=mantissa if mantissa.any() else np.zeros((), np.int32),
        bias_exponent=np.asarray(exponent),
        reset=reset,
    )


def _report(
    lif: Lif, neuron: FixedLif, floats: Rescaled, after: list[Connection], units: float, current: float
) -> Rounding:
    """``units``: mantissas in one unit of the membrane."""
    exponent = after[0].exponent if after else 0
    per_unit, state = units * 2.0**-exponent, units * 2**FixedLif.SHIFT
    before = floats.connections
    largest = max((float(np.abs(c.weight).max(initial=0.0)) for c in before), default=0.0) or 1.0
    errors = [np.abs(a.weight / per_unit - b.weight).max(initial=0.0) for b, a in zip(before, after, strict=True)]
    weight_error = float(max(errors, default=0.0)) / largest
    stored = sum(int(np.count_nonzero(c.weight)) for c in before)
    lost = stored - sum(int(np.count_nonzero(c.weight)) for c in after)
    clipped = sum(int((np.abs(b.weight) * per_unit > quantize.weight_limit(b.weight) + 1).sum()) for b in before)
    threshold = floats.exact.astype(np.float64)
    finite = np.isfinite(threshold)
    mantissas = np.broadcast_to((neuron.threshold << FixedLif.SHIFT) / state, threshold.shape)
    return Rounding(
        state_per_unit=state,
        weight_exponent=exponent,
        weight_error=weight_error,
        weights_lost=lost / max(stored, 1),
        threshold_error=float(np.abs(mantissas[finite] / threshold[finite] - 1).max(initial=0.0)),
        beta_error=float(np.abs((4096 - neuron.voltage_decay) / 4096 - lif.beta).max()),
        alpha_error=float(np.abs((4095 - neuron.current_decay) / 4096 - lif.alpha).max()),
        bias_error=float((np.abs(neuron.bias / state - floats.bias) / threshold).max()),
        largest_scale=neuron.largest_threshold / int(neuron.threshold.max()),
        worst_case_current=current * 2.0**exponent / quantize.STATE_LIMIT,
        weights_clipped=clipped / max(stored, 1),
        thresholds=len(np.unique(neuron.threshold)),
        largest_factor=float(floats.factor.max()),
        reset_error=_reset_error(neuron, threshold * state) if neuron.reset == BY_SYNAPSE else None,
    )


def _reset_error(neuron: FixedLif, exact: Array) -> float:
    """The largest relative error of what synapses subtract; ``exact``: thresholds in state units."""
    magnitude, exponent = synapse_parts(neuron.threshold)
    subtracted = (magnitude << exponent + FixedLif.SHIFT).astype(np.float64)
    return float(np.abs(subtracted / exact - 1).max())
