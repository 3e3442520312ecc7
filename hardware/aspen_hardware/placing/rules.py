"""Design rules: whether a network suits a chip. Each rule is one small function in :data:`RULES`.

Rules on shapes, resets and delays work on a network in floating point as well, so a design can be checked before it
is trained. Rules on number ranges look at integer networks only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from aspen._base.arrays import Array
from aspen.dial.profile import DialProfile
from aspen.errors import ChipError
from aspen.network.given import as_network
from aspen.network.graded import GradedInput
from aspen.network.network import Network
from aspen.network.neurons import FixedLif
from aspen_hardware.chips.description import Chip
from aspen_hardware.placing.configurations import DECAYS, THRESHOLDS, decays_of, thresholds_of
from aspen_hardware.placing.cores import Core
from aspen_hardware.placing.hosting import carries, hosted
from aspen_hardware.placing.memory import least_flash, least_ram, refused
from aspen_hardware.placing.placement import Placement, least_cores, place, what_is_left_over
from aspen_hardware.placing.resets import DELAYED, reset_on, with_resets_of
from aspen_hardware.placing.steady import biased_by_spikes

CLOSE = 0.8
"""Fraction of a limit above which a warning is given."""
FAR = 2
"""So many times a chip's cores are far too many."""
_IN_SNNTORCH = {"zero": "'zero'", DELAYED: "'subtract' and the default reset_delay"}
NO_NEWS = ("cores", THRESHOLDS, DECAYS)
"""Limits that a single population may use up."""
_STORED = {
    THRESHOLDS: ("thresholds", "train one threshold per population, or compile with threshold_groups={}"),
    DECAYS: ("decays", "train one decay per population"),
}
"""What a core stores once for all neurons that share it, and the remedy where it is too much."""


@dataclass(frozen=True)
class Finding:
    """What a rule found.

    Args:
        level: ``"error"``: the network does not fit; ``"warning"``: it does, but look here.
        where: population or connection, several populations that share cores, or ``"network"``.
        message: what, found, allowed, remedy; begins with ``where``.
    """

    level: str
    where: str
    message: str


Rule = Callable[[Network, Chip, "Placement | None"], Iterator[Finding]]


@dataclass(frozen=True)
class Examined:
    """A network that was placed and checked once, for whoever needs either.

    Args:
        placement: its cores; ``None`` where it is far too large, or a single neuron fits no core.
        findings: of the rules, errors first.
    """

    placement: Placement | None
    findings: tuple[Finding, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Messages of findings that are no errors."""
        return tuple(finding.message for finding in self.findings if finding.level == "warning")


def check(network: Network, chip: Chip) -> list[Finding]:
    """Everything that keeps ``network`` off ``chip``, or comes close: errors first, then warnings.

    A network that is far too large is not placed: its synapses need not be written out one by one for that. Thresholds
    and synapses count as they are: of those in floating point some are the same, or zero, once :func:`compile` rounded
    them, and what ``compile`` makes is checked by it.

    >>> import numpy as np
    >>> from aspen import Dense, Lif, Network, Population
    >>> from aspen_hardware import chip
    >>> populations = Population("input", (5000,)), Population("output", (2,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", np.ones((2, 5000))),))
    >>> for finding in check(network, chip("loihi1")):
    ...     print(finding.level, finding.message.split(";")[0])
    error output: a single neuron needs 5000 input axons, loihi1 allows 4096 per core
    """
    return list(examine(network, chip).findings)


def examine(network: Network, chip: Chip, but: Sequence[Rule] = (), profile: DialProfile | None = None) -> Examined:
    """Place ``network``, which a ``profile`` may turn, and check it against all rules ``but`` those that it has passed
    already; see :func:`check`."""
    network = with_resets_of(as_network(network), chip)
    placement: Placement | None = None
    try:
        network = biased_by_spikes(hosted(network, chip))
    except ChipError as error:
        return Examined(None, (Finding("error", str(error).split(":")[0], str(error)),))
    findings = list(_far(network, chip))
    if not findings:
        try:
            placement = place(network, chip, profile)
        except ChipError as error:
            findings.append(Finding("error", str(error).split(":")[0], str(error)))
    rules = [rule for rule in RULES if rule not in but]
    return Examined(placement, (*_sorted(findings, rules, network, chip, placement),))


def enforce(
    network: Network, chip: Chip, but: Sequence[Rule] = (), profile: DialProfile | None = None
) -> tuple[Placement, tuple[str, ...]]:
    """The cores of ``network`` on ``chip``, and the warnings; raise unless it fits. See :func:`examine`.

    Raises:
        ChipError: the first error of :func:`check`, and how many more there are.
    """
    found = examine(network, chip, but, profile)
    _refuse(found.findings)
    assert found.placement is not None  # else there is an error
    return found.placement, found.warnings


def enforce_design(network: Network, chip: Chip) -> tuple[str, ...]:
    """The warnings of :data:`DESIGN`; raise unless ``network`` passes these rules and is not far too large.

    They see in floating point what they would see in integers, and need no placement: a network that has passed is not
    checked against them again.

    Raises:
        ChipError: as :func:`enforce`.
    """
    network = with_resets_of(network, chip)
    findings = _sorted(_far(network, chip), DESIGN, network, chip, None)
    _refuse(findings)
    return Examined(None, tuple(findings)).warnings


def _sorted(
    found: Iterable[Finding], rules: Iterable[Rule], network: Network, chip: Chip, placement: Placement | None
) -> list[Finding]:
    """What was ``found`` already, and what the rules find; errors first."""
    findings = [*found, *(finding for rule in rules for finding in rule(network, chip, placement))]
    return sorted(findings, key=lambda finding: finding.level != "error")


def _refuse(findings: Iterable[Finding]) -> None:
    errors = [finding.message for finding in findings if finding.level == "error"]
    if errors:
        more = f" (and {len(errors) - 1} more: see `aspen check`)" if len(errors) > 1 else ""
        raise ChipError(errors[0] + more)


def _far(network: Network, chip: Chip) -> Iterator[Finding]:
    """Whether the network needs many times the cores of the chip, by its numbers alone."""
    least = least_cores(network, chip)
    if chip.limits.cores is not None and least > FAR * chip.limits.cores:
        found = f"found at least {least} cores needed, {chip.name} has {chip.limits.cores}; use smaller populations"
        yield _error("network", found)


def _error(where: str, text: str) -> Finding:
    return Finding("error", where, f"{where}: {text}")


def _warning(where: str, text: str) -> Finding:
    return Finding("warning", where, f"{where}: {text}")


def reset_supported(network: Network, chip: Chip, placement: Placement | None) -> Iterator[Finding]:
    """Each population resets in a way that the chip has, or by a synapse where it lacks ``subtract-delayed``."""
    for population in network.populations:
        if population.neuron is not None:
            yield from reset_refused(population.name, population.neuron.reset, chip)


def reset_refused(name: str, reset: str, chip: Chip) -> Iterator[Finding]:
    """What a chip says of the reset of a population, as it would be there: nothing where it has it."""
    resets = chip.formats.resets
    if reset in resets:
        return
    known = [words for known, words in _IN_SNNTORCH.items() if reset_on(known, chip) in resets]
    remedy = f", in snnTorch reset_mechanism={' or '.join(known)}" if known else ""
    yield _error(
        name,
        f"found reset {reset!r}, {chip.name} allows {', '.join(resets)}; train with the reset that you deploy{remedy}",
    )


def spikes_carry_the_input(network: Network, chip: Chip, placement: Placement | None) -> Iterator[Finding]:
    """Analog values fit into the chip's spikes."""
    if carries(network, chip):
        return
    given = network.input
    bits = GradedInput.bits if given.graded is None else given.graded.bits
    yield _error(
        given.name,
        f"found an analog input, graded spikes of {bits} bits, {chip.name} allows spikes of {chip.formats.spike_bits}; "
        f"encode the data as spikes, give the same values at every step, or take a chip with graded spikes such as "
        f"loihi2",
    )


def delay_supported(network: Network, chip: Chip, placement: Placement | None) -> Iterator[Finding]:
    """No delay is longer than the chip's longest; those beyond what it always has are pointed out."""
    figure = chip.figures.get("limits.max_delay")
    for connection in network.connections:
        if figure is None or connection.delay <= figure.low:
            continue
        found = f"found a delay of {connection.delay} steps"
        if connection.delay > figure.value:
            yield _error(connection.name, f"{found}, {chip.name} allows {figure.value:g}; shorten it")
        else:
            yield _warning(
                connection.name,
                f"{found}, {chip.name} always has {figure.low:g} and up to {figure.value:g} only with fewer neurons "
                f"per core; shorten it to be sure",
            )


def threshold_in_range(network: Network, chip: Chip, placement: Placement | None) -> Iterator[Finding]:
    """Threshold mantissas fit their width."""
    bits = chip.formats.threshold_bits
    for name, neuron in _fixed(network):
        if bits is not None:
            yield from _outside(name, "thresholds", neuron.threshold, 1, 2**bits - 1, chip)


def decay_in_range(network: Network, chip: Chip, placement: Placement | None) -> Iterator[Finding]:
    """Decays fit their width."""
    bits = chip.formats.decay_bits
    for name, neuron in _fixed(network):
        if bits is not None:
            yield from _outside(name, "voltage decays", neuron.voltage_decay, 0, 2**bits - 1, chip)
            yield from _outside(name, "current decays", neuron.current_decay, 0, 2**bits - 1, chip)


def bias_in_range(network: Network, chip: Chip, placement: Placement | None) -> Iterator[Finding]:
    """Bias mantissas and exponents fit their widths."""
    mantissa, exponent = chip.formats.bias_mantissa_bits, chip.formats.bias_exponent_bits
    for name, neuron in _fixed(network):
        if mantissa is not None:
            half = 2**mantissa // 2
            yield from _outside(name, "bias mantissas", neuron.bias_mantissa, -half, half - 1, chip)
        if exponent is not None:
            yield from _outside(name, "bias exponents", neuron.bias_exponent, 0, 2**exponent - 1, chip)


def weight_in_range(network: Network, chip: Chip, placement: Placement | None) -> Iterator[Finding]:
    """Integer weights fit their width; a matrix with both signs gives its last bit to the sign: even weights only."""
    bits = chip.formats.weight_bits
    for connection in network.connections:
        if bits is None or not connection.is_integer:
            continue
        weight, limit = connection.weight, 2**bits
        if not ((weight > 0).any() and (weight < 0).any()):
            yield from _outside(connection.name, "weights", weight, 1 - limit, limit - 1, chip)
            continue
        yield from _outside(connection.name, "weights of both signs", weight, -limit, limit - 2, chip)
        if (weight % 2).any():
            yield _error(
                connection.name,
                f"found odd weights in a matrix with both signs, {chip.name} allows even ones; "
                f"compile the trained network again",
            )


def cores_available(network: Network, chip: Chip, placement: Placement | None) -> Iterator[Finding]:
    """There are enough cores on one chip."""
    cores = chip.limits.cores
    if placement is None or cores is None or placement.cores_used <= cores:
        return
    remedy = "use smaller populations"
    if any(_different(network, chip, name, THRESHOLDS) for name in placement.orders):
        remedy += f", or compile with threshold_groups={chip.limits.threshold_configurations_per_core}"
    where, why = "network", ""
    if cores == 1:  # what is in the way can be told
        where, needed = what_is_left_over(network, chip)
        why = f": one neuron more on the last one, and it needs {needed}" if needed else ""
    yield _error(where, f"found {placement.cores_used} cores needed, {chip.name} has {cores}{why}; {remedy}")


def memory_available(network: Network, chip: Chip, placement: Placement | None) -> Iterator[Finding]:
    """A part of a microcontroller's file has room for the weights and the state, as small as they can be stored."""
    message, nowhere = refused(chip, least_ram(network), least_flash(network), "at least ")
    if message:
        yield (_error if nowhere else _warning)("network", message)


def close_to_limit(network: Network, chip: Chip, placement: Placement | None) -> Iterator[Finding]:
    """Limits of which more than :data:`CLOSE` is used. Where populations fill several cores, that is no news: then
    only input axons count, which every core needs anew. Nor is it one that a core stores all the thresholds or
    decays that it can: others go to another core. Populations that share their cores are named together."""
    if placement is None:
        return
    if CLOSE < placement.use.get("cores", 0) <= 1 and chip.limits.cores != 1:  # one core is always in use
        yield _warning("network", f"uses {placement.use['cores']:.0%} of the cores of {chip.name}; little room is left")
    together: dict[tuple[Core, ...], list[str]] = {}
    for name in network.order:
        together.setdefault(placement.of(name), []).append(name)
    for cores, names in together.items():
        alone = len(cores) == 1 and {part.population for part in cores[0].slices} == set(names)
        for limit, fraction in replace(placement, cores=cores).use.items():
            counts = limit == "input_axons_per_core" or (limit not in NO_NEWS and alone)
            if counts and CLOSE < fraction <= 1:
                what = limit.replace("_", " ")
                where = ", ".join(names)
                yield _warning(where, f"uses {fraction:.0%} of {chip.name}'s {what}; little room is left")


def configurations(network: Network, chip: Chip, placement: Placement | None) -> Iterator[Finding]:
    """No population takes more cores than it would if a core stored any number of different thresholds and decays."""
    if placement is None or not placement.orders:
        return
    for limit, (what, remedy) in _STORED.items():
        many = {name: _different(network, chip, name, limit) for name in placement.orders}
        if any(many.values()):
            figures = {key: figure for key, figure in chip.figures.items() if key != f"limits.{limit}"}
            without, allowed = place(network, replace(chip, figures=figures)), getattr(chip.limits, limit)
            for name, found in many.items():
                cores, enough = len(placement.of(name)), len(without.of(name))
                if found and cores > enough:
                    yield _warning(
                        name,
                        f"found {found} different {what}, {chip.name} stores {allowed} per core; they take {cores} "
                        f"cores where {enough} would do: {remedy.format(allowed)}",
                    )


def _different(network: Network, chip: Chip, name: str, limit: str) -> int:
    """How many thresholds or decays a population has; 0 where a core stores so many."""
    values = thresholds_of(network[name]) if limit == THRESHOLDS else decays_of(network[name])
    allowed, found = getattr(chip.limits, limit), len(np.unique(values, axis=0))
    return found if allowed is not None and found > allowed else 0


DESIGN: tuple[Rule, ...] = (reset_supported, spikes_carry_the_input, delay_supported)
"""Rules on what compiling leaves as it is."""
RULES: list[Rule] = [
    *DESIGN,
    threshold_in_range,
    decay_in_range,
    bias_in_range,
    weight_in_range,
    cores_available,
    memory_available,
    close_to_limit,
    configurations,
]
"""All design rules, in the order in which they are checked."""


def _fixed(network: Network) -> Iterator[tuple[str, FixedLif]]:
    for population in network.populations:
        if isinstance(population.neuron, FixedLif):
            yield population.name, population.neuron


def _outside(where: str, what: str, values: Array, low: int, high: int, chip: Chip) -> Iterator[Finding]:
    if values.size and (np.min(values) < low or np.max(values) > high):
        yield _error(
            where,
            f"found {what} from {np.min(values)} to {np.max(values)}, {chip.name} allows {low} to {high}; "
            f"compile the trained network for this chip",
        )
