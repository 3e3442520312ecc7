"""How neurons reset on a chip that cannot subtract: by synapses onto themselves, and with more than one compartment."""

from __future__ import annotations

from dataclasses import replace

from aspen.network.network import Network
from aspen.network.neurons import BY_SYNAPSE, RECTIFIED, FixedLif, Neuron
from aspen_hardware.chips.description import Chip

DELAYED = "subtract-delayed"


def reset_on(reset: str, chip: Chip) -> str:
    """A neuron's reset or, where the chip lacks ``subtract-delayed``, the same one by a synapse."""
    resets = chip.formats.resets
    return BY_SYNAPSE if reset == DELAYED and DELAYED not in resets and BY_SYNAPSE in resets else reset


def with_resets_of(network: Network, chip: Chip) -> Network:
    """A network in floating point whose neurons reset as they will on the chip; one in integers as it is."""
    if network.is_integer:
        return network
    populations = tuple(
        p if p.neuron is None else replace(p, neuron=replace(p.neuron, reset=reset_on(p.neuron.reset, chip)))
        for p in network.populations
    )
    return replace(network, populations=populations)


def subtracting(network: Network) -> Network:
    """The same network in integers, if its chip subtracted thresholds as they are."""
    populations = tuple(
        replace(p, neuron=replace(p.neuron, reset=DELAYED))
        if p.neuron is not None and p.neuron.reset == BY_SYNAPSE
        else p
        for p in network.populations
    )
    return replace(network, populations=populations)


def compartments(neuron: Neuron, chip: Chip) -> int:
    """Compartments that the neuron takes on the chip: 1, where the chip's file does not say otherwise.

    What fires is set to zero there: a neuron that is not takes one compartment that integrates, and one that fires.
    Where a synapse resets it and its current decays, a third keeps the current, so that the reset passes that by.
    """
    several = chip.formats.reset_compartments
    if several is None or neuron.reset not in ("none", RECTIFIED, BY_SYNAPSE) or not _fires(neuron):
        return 1
    return several + (neuron.reset == BY_SYNAPSE and remembers(neuron))


def compartments_of(network: Network, chip: Chip) -> dict[str, int]:
    """Population with neurons -> :func:`compartments` of each of them."""
    neurons = {p.name: p.neuron for p in network.populations}
    return {name: compartments(neuron, chip) for name, neuron in neurons.items() if neuron is not None}


def by_synapse(name: str, neurons: int, each: int) -> str:
    """What resets by synapses take, in words.

    Args:
        name: of the population.
        neurons: in it.
        each: compartments that each of them takes.
    """
    added = neurons * (each - 1)
    compartments = f" and {added} compartments" if added else ""
    return (
        f"{name}: subtract-delayed by a synapse of each neuron onto itself: {neurons} synapses{compartments} more, an "
        f"operation for each spike"
    )


def told(network: Network, chip: Chip) -> list[tuple[str, str]]:
    """Populations that synapses will reset or do reset on the chip, and what that takes, in words."""
    on_chip = with_resets_of(network, chip)
    neurons = {population.name: population.neuron for population in on_chip.populations}
    taken = compartments_of(on_chip, chip)
    reset = [name for name, neuron in neurons.items() if neuron is not None and neuron.reset == BY_SYNAPSE]
    return [(name, by_synapse(name, on_chip[name].size, taken[name])) for name in reset]


def _fires(neuron: Neuron) -> bool:
    return isinstance(neuron, FixedLif) or neuron.fires


def remembers(neuron: Neuron) -> bool:
    """Whether the synaptic current of a step is there in the next."""
    if isinstance(neuron, FixedLif):
        return bool((neuron.current_decay < 4095).any())
    return bool(neuron.alpha.any())
