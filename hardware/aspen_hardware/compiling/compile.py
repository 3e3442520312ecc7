"""Compile a trained network to a chip: integers as the chip stores them, and a report of what that cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache

import numpy as np

from aspen._base.checks import as_integer, as_number
from aspen.dial.profile import DialProfile
from aspen.errors import ChipError, InputError
from aspen.network.connections import Connection
from aspen.network.given import as_network
from aspen.network.network import Network, Population
from aspen_hardware.chips.description import Chip, chip
from aspen_hardware.compiling.compensation import Compensator
from aspen_hardware.compiling.deployment import Deployment, Rounding
from aspen_hardware.compiling.off import gated, within_reach
from aspen_hardware.compiling.populations import Options, Quantized, Scheme, quantize_population
from aspen_hardware.compiling.search import MARGIN, Fit, Sample, Searched, search_schemes
from aspen_hardware.placing.dials import dial_classes
from aspen_hardware.placing.hosting import hosted, largest_current
from aspen_hardware.placing.resets import compartments_of, reset_on, subtracting
from aspen_hardware.placing.rules import DESIGN, enforce, enforce_design
from aspen_hardware.placing.steady import biased_by_spikes

MAX_THRESHOLD_SCALE = 4.0
THRESHOLDS = 8
"""Different thresholds that calibration may give a population, where the chip file names no limit and nobody else."""
RESET_LOSS = 0.05
"""Share of a sample's spikes that the rounding of resets by synapses may cost before it is pointed out."""


def compile(
    network: Network,
    target: Chip | str,
    *,
    max_threshold_scale: float = MAX_THRESHOLD_SCALE,
    netx: bool = False,
    calibration: Sample | None = None,
    threshold_groups: int | None = None,
    profile: DialProfile | None = None,
) -> Deployment:
    """Put ``network`` into the integers of a chip.

    For each population one factor turns the trained membrane's unit into the chip's: it lets the largest incoming
    weight fill 8 bits, and the weight exponent is then the largest for which the thresholds, dialled up to
    ``max_threshold_scale``, fit 17 bits, and the worst-case current and membrane 24 bits.

    Where the chip's neurons cannot subtract, ``subtract-delayed`` (snnTorch's default) becomes a synapse of each neuron
    onto itself with minus its threshold, rounded to 8 significant bits (``subtract-synapse``): the report says by how
    much, and what it costs.

    Biases on a synaptic current that decays (a ``Linear`` with a bias before ``Synaptic``) become the synapses of a
    neuron that spikes at every step, ``<population>.bias``.

    A static analog input becomes graded spikes where the chip has them; else the host computes the first layer once per
    inference and writes biases (:class:`aspen.network.host.HostLayer`), whose range is what the input's peak can make,
    or twice what the calibration sample makes.

    With ``calibration``, other schemes are tried on sample data, and taken where more spikes survive: to round dense
    weights so that their errors cancel on inputs that spike together (:mod:`aspen_hardware.compiling.compensation`);
    to clip the largest weights, so that the others get more resolution; to scale single neurons up, with their
    thresholds, until their weights fill 8 bits; and to leave room for the currents and membranes of the sample (twice
    over) instead of the worst case. On the sample the result never keeps fewer spikes than without. Neurons of the
    output population are not scaled, as their membranes may be read out.

    >>> from aspen.network import Dense, Lif, Network, Population
    >>> layers = Population("input", (2,)), Population("output", (1,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(layers, (Dense("input", "output", [[0.5, 0.7]]),))
    >>> compile(network, "loihi1").network.connections[0].weight
    array([[182, 255]], dtype=int32)

    Args:
        network: a network in floating point. One that is in integers already is checked and kept as it is.
        target: a chip, its name, or the path of a chip file.
        max_threshold_scale: the largest that must be possible, at least the factor of the profile; larger costs
            resolution.
        netx: use weight exponent 0 and bias exponent 6 everywhere, the only ones that lava-dl's netx files can say.
        calibration: what compares integers with floats on sample data: ``aspen_emulator.observe(network, spikes)``.
        threshold_groups: most different thresholds in a population, as cores store few. What thresholds differ by is
            moved into the weights, where a neuron has its own and is no output; else it is lost, and reported.
        profile: the dial that will turn the thresholds. Neurons that it moves alike are then scaled alike, so that a
            core stores no more different thresholds than the dial needs anyway. Where it switches neurons off that the
            chip cannot leave out, the warnings say of how many it is not proven that they cannot fire then.

    Raises:
        ChipError: the network does not fit, or its analog input has no range (:meth:`Network.with_input_peak`); the
            message names the population, the limit and a remedy.
        InputError: ``max_threshold_scale`` is not at least 1 and finite, ``threshold_groups`` is less than 1, or an
            integer network is to be calibrated or grouped, or the profile does not fit the network.
    """
    as_network(network)
    max_threshold_scale = as_number("max_threshold_scale", max_threshold_scale, 1, remedy="give e.g. 4")
    if threshold_groups is not None:
        threshold_groups = as_integer("threshold_groups", threshold_groups, 1, remedy="give e.g. 8")
    description = target if isinstance(target, Chip) else chip(target)
    if description.energy_only:
        raise ChipError(no_integers(description))
    trained, network = network, gated(biased_by_spikes(hosted(network, description)), description)
    warnings = enforce_design(network, description)
    if network.is_integer:
        if calibration is not None or threshold_groups is not None:
            raise InputError(
                "compile: found a network in integers, allowed with calibration or threshold_groups is one in "
                "floating point; compile the trained network"
            )
        placement, others = enforce(network, description, DESIGN, profile)
        return Deployment(network, description.name, {}, (*warnings, *others), placement)
    _check_driven(network)
    classes = {}
    if profile is not None:
        profile.check(network)
        max_threshold_scale = max(max_threshold_scale, profile.largest_factor)
        classes = {name: dial_classes(network, profile, name) for name in network.order}
    resets = {p.name: reset_on(p.neuron.reset, description) for p in network.populations if p.neuron is not None}
    peak = _host_peak(trained, network.input, calibration, netx)
    options = Options(max_threshold_scale, netx, threshold_groups, classes, resets, peak)
    made = _compile(_graded(network), description, options, calibration, warnings, profile)
    unproven = () if profile is None else tuple(within_reach(made.network, profile))
    return replace(made, warnings=(*made.warnings, *unproven)) if unproven else made


def no_integers(chip: Chip) -> str:
    """What is wrong with compiling to a chip for energies only."""
    return (
        f"{chip.name}: found a chip for energies only ({chip.energy_only}), allowed are chips with number formats such "
        f"as loihi1; run the network on one of these, and price its counts on this one"
    )


def _check_driven(network: Network) -> None:
    """The integers' scale is that of the weights: neurons that a current alone drives have none."""
    for name in network.order:
        if not network.incoming(name) and network[name].host is None:
            raise ChipError(
                f"{name}: found neurons that a current alone drives, allowed are neurons that weights drive, which set "
                f"the scale of their integers; give the current to an input without neurons, Population(..., "
                f"current=True), and connect that to these one to one"
            )


def _host_peak(trained: Network, given: Population, sample: Sample | None, netx: bool) -> float:
    """Largest current that the host is to write, in units of the membrane: twice the sample's, or what the largest
    values can make; 0 without a host layer."""
    if given.host is None:
        return 0.0
    if netx:
        raise ChipError(
            f"{trained.input.name}: found a static input, which becomes biases, allowed with netx is one of spikes; "
            f"compile without netx"
        )
    known = [] if trained.input.graded is None else [largest_current(given.host, trained.input.graded.peak)]
    if sample is not None:
        known.append(sample.largest_current(given.host) / MARGIN)
    if not known:
        raise ChipError(
            f"{trained.input.name}: found a static input whose range is not known, allowed is one with a peak or with "
            f"a sample to calibrate with; give the largest magnitude in the training data: "
            f"network.with_input_peak(4.0), or aspen compile --input-peak 4"
        )
    return min(known)


def _graded(network: Network) -> Network:
    """The network for graded spikes, where its input is analog: weights of the input are divided by the scale."""
    if not network.input.is_analog:
        return network
    if network.input.graded is None:
        raise ChipError(
            f"{network.input.name}: found an analog input whose range is not known, allowed is one with a peak; give "
            f"the largest magnitude in the training data: network.with_input_peak(4.0), or aspen compile --input-peak 4"
        )
    scale = network.input.graded.scale
    scaled = (_divided(c, scale) if c.name in network.weighing else c for c in network.summed)
    return replace(network, connections=tuple(scaled))


def _divided(connection: Connection, scale: float) -> Connection:
    """A connection with its weights divided; its bias is no product with the input and stays."""
    return replace(connection, weight=connection.weight.astype(np.float64) / scale)  # type: ignore[type-var]


def _compile(
    network: Network,
    description: Chip,
    options: Options,
    sample: Sample | None,
    warnings: tuple[str, ...],
    profile: DialProfile | None,
) -> Deployment:
    """Placed and checked are the integers, once, as these are what sits on the cores. Those that calibration starts
    from are it too, before the search, which takes long and does not make a network fit."""
    compensator = None if sample is None else Compensator(sample.moments)

    @cache
    def quantized(name: str, scheme: Scheme) -> Quantized:
        return quantize_population(network, network[name], options, scheme, compensator)

    def build(schemes: Mapping[str, Scheme]) -> Network:
        return gated(_assemble(network, {n: quantized(n, scheme) for n, scheme in schemes.items()}), description)

    schemes: Mapping[str, Scheme] = dict.fromkeys(network.order, Scheme())
    integers, found = build(schemes), None
    placement, others = enforce(integers, description, DESIGN, profile)
    if sample is not None:
        allowed = options.threshold_groups or description.limits.threshold_configurations_per_core or THRESHOLDS
        free = 0 if options.netx or options.classes else allowed
        found = search_schemes(schemes, build, sample.compare, free)
        if found.schemes != schemes:  # other weights round to zero then, and neurons have other thresholds
            schemes, integers = found.schemes, build(found.schemes)
            placement, others = enforce(integers, description, DESIGN, profile)
    taken = compartments_of(integers, description)
    rounding = {
        name: replace(quantized(name, scheme).rounding, compartments=taken[name]) for name, scheme in schemes.items()
    }
    if sample is None or found is None:
        noted = tuple(_worst_cases(rounding))
    else:
        rounding = _measured(rounding, found)
        if any(entry.reset_error is not None for entry in rounding.values()):
            rounding = _subtracting(rounding, sample.compare(subtracting(integers)))
        noted = (*_overflows(found), *_lossy_resets(rounding))
    return Deployment(integers, description.name, rounding, (*warnings, *others, *noted), placement)


def _assemble(network: Network, parts: Mapping[str, Quantized]) -> Network:
    weights = {connection.name: connection for part in parts.values() for connection in part.connections}
    populations = tuple(
        replace(p, neuron=parts[p.name].neuron, host=parts[p.name].host) if p.name in parts else p
        for p in network.populations
    )
    return replace(network, populations=populations, connections=tuple(weights[c.name] for c in network.summed))


def _measured(rounding: Mapping[str, Rounding], found: Searched) -> dict[str, Rounding]:
    """With how the spikes of the sample compare."""
    return {
        name: replace(
            entry,
            kept_uncalibrated=found.before[name].kept,
            kept_calibrated=found.after[name].kept,
            sample_peak=found.after[name].peak,
            compensated=found.schemes[name].compensate,
        )
        for name, entry in rounding.items()
    }


def _subtracting(rounding: Mapping[str, Rounding], exact: Mapping[str, Fit]) -> dict[str, Rounding]:
    """With how the spikes would compare if the chip subtracted thresholds itself."""
    return {
        name: entry if entry.reset_error is None else replace(entry, kept_subtracting=exact[name].kept)
        for name, entry in rounding.items()
    }


def _lossy_resets(rounding: Mapping[str, Rounding]) -> Iterator[str]:
    for name, entry in rounding.items():
        kept, exact = entry.kept_calibrated, entry.kept_subtracting
        if kept is not None and exact is not None and exact - kept > RESET_LOSS:
            yield (
                f"{name}: {kept:.1%} of the sample's spikes kept where synapses reset the neurons, {exact:.1%} if the "
                f"chip subtracted; train with reset_mechanism='zero'"
            )


def _worst_cases(rounding: Mapping[str, Rounding]) -> Iterator[str]:
    for name, entry in rounding.items():
        if entry.worst_case_current > 1:
            yield (
                f"{name}: if all inputs of one sign spiked at every step, the current would reach "
                f"{entry.worst_case_current:.0%} of 24 bits and wrap"
            )


def _overflows(found: Searched) -> Iterator[str]:
    for name, fit in found.after.items():
        if fit.overflows:
            yield (
                f"{name}: {fit.overflows} currents and membranes leave 24 bits on the calibration sample, whatever the "
                f"exponent; train with smaller weights or faster decays"
            )
