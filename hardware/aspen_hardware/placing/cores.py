"""What a core holds and needs, and which limits of a chip it exceeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aspen._base.arrays import Array
from aspen.errors import ChipError
from aspen_hardware.chips.description import Chip, Limits


@dataclass(frozen=True)
class Slice:
    """Neurons ``start`` to ``stop - 1`` of a population on one core.

    Args:
        population: name.
        start, stop: slice of the population's flattened neurons, in the order of
            :attr:`aspen_hardware.placing.placement.Placement.orders`.
    """

    population: str
    start: int
    stop: int

    @property
    def neurons(self) -> int:
        """Number of neurons."""
        return self.stop - self.start


@dataclass(frozen=True)
class Core:
    """One core in use.

    Args:
        slices: what it holds: a slice of one population, or of several where the chip's cores share populations.
        synapses: weights other than zero that are stored here.
        memory_bits: synaptic memory they take.
        input_axons: distinct source neurons that reach the core; on a crossbar, its rows in use.
        output_axons: edges from a neuron of the core to a core that it reaches.
        thresholds: different thresholds among the neurons.
        compartments: that the neurons take; see :func:`aspen_hardware.placing.resets.compartments`.
        decays: different decays among these compartments.
        floors: different floors of the neurons' membranes: 0 where negative ones are cut off, and none.
    """

    slices: tuple[Slice, ...]
    synapses: int
    memory_bits: int
    input_axons: int
    output_axons: int
    thresholds: int
    compartments: int
    decays: int
    floors: int

    @property
    def neurons(self) -> int:
        """Neurons on the core."""
        return sum(part.neurons for part in self.slices)

    @property
    def populations(self) -> int:
        """Populations on the core."""
        return len(self.slices)

    @property
    def only(self) -> Slice:
        """The slice of a core that holds one population.

        Raises:
            ChipError: it holds several.
        """
        if len(self.slices) != 1:
            names = ", ".join(part.population for part in self.slices)
            raise ChipError(f"core: found slices of {names}, allowed here is a core of one population; use core.slices")
        return self.slices[0]

    @property
    def population(self) -> str:
        """Name of the only population; see :attr:`only`."""
        return self.only.population

    @property
    def start(self) -> int:
        """First neuron of the only population; see :attr:`only`."""
        return self.only.start

    @property
    def stop(self) -> int:
        """Past the last neuron of the only population; see :attr:`only`."""
        return self.only.stop


MEASURES = {
    "populations_per_core": "populations",
    "neurons_per_core": "compartments",
    "synaptic_memory_bits_per_core": "memory_bits",
    "input_axons_per_core": "input_axons",
    "output_axons_per_core": "output_axons",
    "threshold_configurations_per_core": "thresholds",
    "decay_configurations_per_core": "decays",
    "membrane_floors_per_core": "floors",
}
"""Limit of a chip -> what of a :class:`Core` it limits."""
_WORDS = {
    "populations_per_core": "population",
    "neurons_per_core": "neuron",
    "synaptic_memory_bits_per_core": "bits of synaptic memory",
    "input_axons_per_core": "input axons",
    "output_axons_per_core": "output axons",
    "threshold_configurations_per_core": "threshold",
    "decay_configurations_per_core": "decay",
    "membrane_floors_per_core": "floor",
}
_REMEDIES = {
    "populations_per_core": "correct the chip file",
    "neurons_per_core": "correct the chip file",
    "threshold_configurations_per_core": "correct the chip file",
    "decay_configurations_per_core": "correct the chip file",
    "membrane_floors_per_core": "correct the chip file",
    "synaptic_memory_bits_per_core": "prune its weights, or make the populations that drive it smaller",
    "input_axons_per_core": "make the populations that drive it smaller, or prune whole columns of its weights",
    "output_axons_per_core": "make the populations that it drives smaller, or give them fewer synapses",
}


def over_limit(core: Core, limits: Limits) -> str:
    """The first limit that ``core`` exceeds; empty where it fits."""
    for limit, measure in MEASURES.items():
        allowed = getattr(limits, limit)
        if allowed is not None and getattr(core, measure) > allowed:
            return limit
    return ""


def excess(core: Core, chip: Chip) -> str:
    """What a core that exceeds a limit of ``chip`` needs and what is allowed: ``300 input axons, odin allows ...``."""
    limit = over_limit(core, chip.limits)
    needed, what = getattr(core, MEASURES[limit]), _WORDS[limit]
    if limit == "neurons_per_core" and core.compartments != core.neurons:
        what = "compartment"
    what += "" if needed == 1 or what.endswith(("axons", "memory")) else "s"
    return f"{needed} {what}, {chip.name} allows {getattr(chip.limits, limit)} per core"


def too_large(core: Core, chip: Chip) -> str:
    """The message about a core with a single neuron that exceeds a limit of ``chip``."""
    remedy = _REMEDIES[over_limit(core, chip.limits)]
    return f"{core.population}: a single neuron needs {excess(core, chip)}; {remedy}"


def bits_of_a_synapse(chip: Chip) -> int:
    """Memory of one synapse."""
    return (chip.formats.weight_bits or 0) + (chip.formats.synapse_overhead_bits or 0)


def members(part: Slice | Core, orders: Mapping[str, Array]) -> Array:
    """(n,): indices of a slice's neurons in their population."""
    numbers = np.arange(part.start, part.stop)
    return orders[part.population][numbers] if part.population in orders else numbers
