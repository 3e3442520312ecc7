"""What a core holds and needs, and which limits of a chip it exceeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from aspen._base.arrays import Array
from aspen.errors import ChipError
from aspen.network.connections import Connection
from aspen.network.network import Network, Population
from aspen_hardware.chips.description import Chip, Limits
from aspen_hardware.placing.resets import compartments_of


@dataclass(frozen=True)
class Slice:
    """Neurons ``start`` to ``stop - 1`` of a population on one core.

    Args:
        population: name.
        start, stop: slice of the population's flattened neurons, in the order of :attr:`Placement.orders`.
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
        thresholds: distinct thresholds among the neurons.
        compartments: that the neurons take; see :func:`aspen_hardware.placing.resets.compartments`.
    """

    slices: tuple[Slice, ...]
    synapses: int
    memory_bits: int
    input_axons: int
    output_axons: int
    thresholds: int
    compartments: int

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
}
"""Limit of a chip -> what of a :class:`Core` it limits."""
_WORDS = {
    "populations_per_core": "population",
    "neurons_per_core": "neuron",
    "synaptic_memory_bits_per_core": "bits of synaptic memory",
    "input_axons_per_core": "input axons",
    "output_axons_per_core": "output axons",
    "threshold_configurations_per_core": "threshold",
}
_REMEDIES = {
    "populations_per_core": "correct the chip file",
    "neurons_per_core": "correct the chip file",
    "threshold_configurations_per_core": "correct the chip file",
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


def thresholds_of(population: Population) -> Array:
    """(n,) thresholds: of the neurons of a population that has some."""
    assert population.neuron is not None  # the input population is not placed
    return np.broadcast_to(population.neuron.threshold, population.shape).reshape(-1)


def synapses_in_order(connection: Connection, orders: Mapping[str, Array]) -> csr_array:
    """Synapses (n_target, n_source), targets in the order in which cores are filled."""
    synapses = connection.synapses()
    return synapses[orders[connection.target]] if connection.target in orders else synapses


def members(part: Slice | Core, orders: Mapping[str, Array]) -> Array:
    """(n,): indices of a slice's neurons in their population."""
    numbers = np.arange(part.start, part.stop)
    return orders[part.population][numbers] if part.population in orders else numbers


def sources(network: Network, maps: Mapping[str, csr_array], slices: Sequence[Slice]) -> dict[str, Array]:
    """Population -> (n,) bool: whether a spike of each neuron reaches a core with these slices.

    Args:
        network: what is placed.
        maps: connection -> its synapses, see :func:`synapses_in_order`. Connections that are not in it do not count.
        slices: what the core holds.
    """
    found: dict[str, Array] = {}
    for part in slices:
        for connection in network.connections:
            if connection.target == part.population and connection.name in maps:
                matrix = maps[connection.name]
                reach = found.setdefault(connection.source, np.zeros(network[connection.source].size, np.bool_))
                reach[matrix.indices[matrix.indptr[part.start] : matrix.indptr[part.stop]]] = True
    return found


def crossbar_rows(
    network: Network, reach: Mapping[str, Array], slices: Sequence[Slice], orders: Mapping[str, Array]
) -> dict[str, Array]:
    """Population -> (n,) bool: which neurons' spikes drive a row of the crossbar that holds these slices.

    Spikes of a crossbar's own neurons come back to it either all or not at all (ODIN's ``SPI_OPEN_LOOP``). So where
    one of them drives another, each of them has a row, with or without synapses.

    Args:
        network: what is placed.
        reach: what :func:`sources` gives.
        slices: what the core holds.
        orders: see :attr:`Placement.orders`.
    """
    own = {part.population: members(part, orders) for part in slices}
    if not any(name in reach and reach[name][numbers].any() for name, numbers in own.items()):
        return dict(reach)
    silent = {name: np.zeros(network[name].size, np.bool_) for name in own}
    rows = {**silent, **{name: neurons.copy() for name, neurons in reach.items()}}
    for name, numbers in own.items():
        rows[name][numbers] = True
    return rows


@dataclass(frozen=True)
class Needs:
    """What the neurons of a network need on a chip, each population in the order in which cores are filled.

    Args:
        network: what is placed.
        chip: where.
        orders: see :attr:`Placement.orders`.
        maps: connection -> its synapses, (n_target, n_source).
        synapses: population -> (n,) int64: synapses of each neuron.
        thresholds: population -> (n,).
        compartments: population -> those that each neuron takes.
    """

    network: Network
    chip: Chip
    orders: Mapping[str, Array]
    maps: Mapping[str, csr_array]
    synapses: Mapping[str, Array]
    thresholds: Mapping[str, Array]
    compartments: Mapping[str, int]

    @classmethod
    def of(cls, network: Network, chip: Chip, orders: Mapping[str, Array]) -> Needs:
        """Those of ``network`` on ``chip``."""
        maps = {connection.name: synapses_in_order(connection, orders) for connection in network.connections}
        synapses = {name: np.zeros(network[name].size, np.int64) for name in network.order}
        for connection in network.connections:
            synapses[connection.target] += np.diff(maps[connection.name].indptr)
        thresholds = {name: thresholds_of(network[name]) for name in network.order}
        thresholds.update({name: thresholds[name][order] for name, order in orders.items()})
        return cls(network, chip, orders, maps, synapses, thresholds, compartments_of(network, chip))

    def core(self, slices: Sequence[Slice], reached: Mapping[str, Array]) -> Core:
        """A core with these slices. ``reached``: population -> (n,) int64, cores that each neuron reaches."""
        synapses = sum(int(self.synapses[part.population][part.start : part.stop].sum()) for part in slices)
        thresholds = [self.thresholds[part.population][part.start : part.stop] for part in slices]
        return Core(
            slices=tuple(slices),
            synapses=synapses,
            memory_bits=synapses * bits_of_a_synapse(self.chip),
            input_axons=self._input_axons(slices),
            output_axons=sum(int(reached[part.population][part.start : part.stop].sum()) for part in slices),
            thresholds=len(np.unique(np.concatenate(thresholds))),
            compartments=sum(part.neurons * self.compartments[part.population] for part in slices),
        )

    def _input_axons(self, slices: Sequence[Slice]) -> int:
        reach = sources(self.network, self.maps, slices)
        if self.chip.section("crossbar"):
            reach = crossbar_rows(self.network, reach, slices, self.orders)
        return sum(int(np.count_nonzero(neurons)) for neurons in reach.values())

    def fill(self, names: Sequence[str], reached: Mapping[str, Array]) -> list[tuple[Slice, ...]]:
        """Slices of these populations on cores, one population after the other, each slice as large as fits.

        Raises:
            ChipError: a single neuron needs more than one core has.
        """
        cores: list[tuple[Slice, ...]] = []
        on: tuple[Slice, ...] = ()
        for name in names:
            start, size = 0, self.network[name].size
            while start < size:
                stop = self._last_fit(on, name, start, reached)
                if stop == start and not on:
                    raise ChipError(too_large(self.core([Slice(name, start, start + 1)], reached), self.chip))
                if stop > start:
                    on = (*on, Slice(name, start, stop))
                if stop < size:
                    cores.append(on)
                    on = ()
                start = stop
        return [*cores, on]

    def _last_fit(self, on: tuple[Slice, ...], name: str, start: int, reached: Mapping[str, Array]) -> int:
        """The last ``stop`` for which the neurons from ``start`` fit beside what is on the core already."""
        size, allowed = self.network[name].size, self.chip.limits.neurons_per_core
        low, high = start, size if allowed is None else min(size, start + allowed)
        middle = high  # the whole core first, then bisect: every need grows with the slice
        while low < high:
            if over_limit(self.core((*on, Slice(name, start, middle)), reached), self.chip.limits):
                high = middle - 1
            else:
                low = middle
            middle = (low + high + 1) // 2
        return low
