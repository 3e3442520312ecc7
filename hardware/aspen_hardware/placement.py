"""Which neurons sit on which core.

Assumptions, kept simple on purpose: a core holds neurons of one population only, in one contiguous slice; slices are
filled one after the other. A population with more different thresholds than a core stores is sorted by threshold first
(:attr:`Placement.orders`), so that it takes as few cores as possible. Synaptic memory counts
``weight_bits + synapse_overhead_bits`` of the chip's file for each weight other than zero: with the overhead of 0 that
the files assume it is a lower bound, as indices, delays and the alignment of memory words come on top. A convolution
counts every synapse, as on a core that shares no weights.
An input population of spikes is fed from outside and takes no core.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from math import ceil
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from aspen._arrays import Array
from aspen._targets import as_network
from aspen.connections import Connection
from aspen.errors import ChipError
from aspen.network import Network, Population
from aspen_hardware.chips import Chip, Limits


@dataclass(frozen=True)
class Core:
    """One core in use: neurons ``start`` to ``stop - 1`` of a population.

    Args:
        population: name.
        start, stop: slice of the population's flattened neurons, in the order of :attr:`Placement.orders`.
        synapses: weights other than zero that are stored here.
        memory_bits: synaptic memory they take.
        input_axons: distinct source neurons that reach the core.
        output_axons: edges from a neuron of the core to a core that it reaches.
        thresholds: distinct thresholds among the neurons.
    """

    population: str
    start: int
    stop: int
    synapses: int
    memory_bits: int
    input_axons: int
    output_axons: int
    thresholds: int

    @property
    def neurons(self) -> int:
        """Neurons on the core."""
        return self.stop - self.start


MEASURES = {
    "neurons_per_core": "neurons",
    "synaptic_memory_bits_per_core": "memory_bits",
    "input_axons_per_core": "input_axons",
    "output_axons_per_core": "output_axons",
    "threshold_configurations_per_core": "thresholds",
}
"""Limit of a chip -> what of a :class:`Core` it limits."""


@dataclass(frozen=True)
class Placement:
    """A network on the cores of a chip. It may need more cores than one chip has; the design rules refuse that.

    Args:
        chip: name of the chip.
        limits: what fits on it.
        cores: cores in use, in the network's order.
        orders: population -> (n,) its neurons in the order in which cores are filled, for populations that are sorted
            by threshold; the others are placed as they are numbered.
    """

    chip: str
    limits: Limits
    cores: tuple[Core, ...]
    orders: Mapping[str, Array] = field(default_factory=dict)

    @property
    def cores_used(self) -> int:
        """Number of cores in use."""
        return len(self.cores)

    @property
    def chips_used(self) -> int:
        """Number of chips that have so many cores; 1 where their number is not limited."""
        return ceil(self.cores_used / self.limits.cores) if self.limits.cores else 1

    def of(self, population: str) -> tuple[Core, ...]:
        """Cores of one population."""
        return tuple(core for core in self.cores if core.population == population)

    def members(self, core: Core) -> Array:
        """Indices of the neurons on one core."""
        numbers = np.arange(core.start, core.stop)
        return self.orders[core.population][numbers] if core.population in self.orders else numbers

    def reached_by(self, network: Network, population: str) -> Iterator[tuple[int, Array]]:
        """For each core: its index, and (n,) int64: how many packets a spike of each neuron sends there."""
        maps = {c.name: _sorted(c, self.orders) for c in network.connections if c.source == population}
        for index, core in enumerate(self.cores):
            packets = np.zeros(network[population].size, np.int64)
            for connection in network.connections:
                if connection.name in maps and connection.target == core.population:
                    packets[_sources(maps[connection.name], core.start, core.stop)] += 1
            yield index, packets

    @property
    def use(self) -> dict[str, float]:
        """Limit -> the largest used fraction over all cores; limits that the chip does not have are left out."""
        wanted = {"cores": self.cores_used} | {
            limit: max(getattr(core, measure) for core in self.cores) for limit, measure in MEASURES.items()
        }
        limits = asdict(self.limits)
        return {key: used / limits[key] for key, used in wanted.items() if limits[key]}

    def destinations(self, network: Network, population: str) -> Array:
        """(n,) int64: cores that a spike of each neuron of ``population`` reaches."""
        slices = {name: [(core.start, core.stop) for core in self.of(name)] for name in network.order}
        maps = {c.name: _sorted(c, self.orders) for c in network.connections if c.source == population}
        return _destinations(network, population, slices, maps, orders={})

    def __str__(self) -> str:
        lines = [f"Placement on {self.chip}: {self.cores_used} cores"]
        lines[0] += f" of {self.limits.cores}" if self.limits.cores else ""
        lines += [
            f"{'population':<16}{'neurons':>16}{'synapses':>10}{'memory bits':>13}{'axons in':>10}{'axons out':>11}"
        ]
        lines += [
            f"{core.population:<16}{f'{core.start} to {core.stop - 1}':>16}{core.synapses:>10}{core.memory_bits:>13}"
            f"{core.input_axons:>10}{core.output_axons:>11}"
            for core in self.cores
        ]
        used = ", ".join(f"{key.replace('_', ' ')} {fraction:.0%}" for key, fraction in self.use.items())
        return "\n".join([*lines, f"Fullest core: {used}" if used else "No limits known"])

    def to_dict(self) -> dict[str, Any]:
        """As plain values that JSON can hold."""
        return {
            "chip": self.chip,
            "cores_used": self.cores_used,
            "chips_used": self.chips_used,
            "use": self.use,
            "cores": [asdict(core) for core in self.cores],
            "orders": {name: order.tolist() for name, order in self.orders.items()},
        }


def place(network: Network, chip: Chip) -> Placement:
    """Put ``network`` on the cores of ``chip``: each population in slices as large as fit, see the module.

    Raises:
        InputError: it is no network.
        ChipError: a single neuron needs more than one core has; the message names population, limit and remedy.
    """
    as_network(network)
    orders = _orders(network, chip)
    maps = {connection.name: _sorted(connection, orders) for connection in network.connections}
    costs = {name: _Costs.of(network, network[name], maps, orders.get(name), chip) for name in network.order}
    reached = {name: np.zeros(network[name].size, dtype=np.int64) for name in network.order}
    slices = {name: cost.split(reached[name], chip) for name, cost in costs.items()}
    settled = chip.limits.output_axons_per_core is None
    while not settled:
        # A population split further has more cores to reach for those before it. The counts only grow, so this ends.
        settled = True
        for name in reversed(network.order):
            grown = np.maximum(reached[name], _destinations(network, name, slices, maps, orders))
            if (grown != reached[name]).any():
                settled, reached[name] = False, grown
                slices[name] = costs[name].split(grown, chip)
    reached = {name: _destinations(network, name, slices, maps, orders) for name in network.order}
    cores = [costs[name].core(start, stop, reached[name]) for name in network.order for start, stop in slices[name]]
    return Placement(chip.name, chip.limits, tuple(cores), orders)


def least_cores(network: Network, chip: Chip) -> int:
    """So many cores are needed at least, by the numbers of neurons and synapses alone; 0 where no limit is known."""
    limits, cores = chip.limits, 0
    if limits.neurons_per_core:
        cores = sum(ceil(network[name].size / limits.neurons_per_core) for name in network.order)
    if limits.synaptic_memory_bits_per_core:
        cores = max(cores, ceil(network.n_synapses * _bits(chip) / limits.synaptic_memory_bits_per_core))
    return cores


def _bits(chip: Chip) -> int:
    """Memory of one synapse."""
    return (chip.formats.weight_bits or 0) + (chip.formats.synapse_overhead_bits or 0)


def thresholds_of(population: Population) -> Array:
    """(n,) thresholds: of the neurons of a population that has some."""
    assert population.neuron is not None  # the input population is not placed
    return np.broadcast_to(population.neuron.threshold, population.shape).reshape(-1)


def _orders(network: Network, chip: Chip) -> dict[str, Array]:
    """Populations with more different thresholds than a core stores, sorted by them."""
    allowed = chip.limits.threshold_configurations_per_core
    thresholds = {name: thresholds_of(network[name]) for name in network.order}
    many = {name: values for name, values in thresholds.items() if allowed and len(np.unique(values)) > allowed}
    return {name: np.argsort(values, kind="stable") for name, values in many.items()}


def _sorted(connection: Connection, orders: Mapping[str, Array]) -> csr_array:
    """Synapses (n_target, n_source), targets in the order in which cores are filled."""
    synapses = connection.synapses()
    return synapses[orders[connection.target]] if connection.target in orders else synapses


@dataclass(frozen=True)
class _Costs:
    """What the neurons of a population need, in the order in which cores are filled.

    Args:
        population: which.
        maps: for each incoming connection its synapses, (n, n_source).
        synapses: (n,) int64: synapses of each neuron.
        bits: memory of one synapse.
        threshold: (n,) thresholds.
    """

    population: Population
    maps: list[csr_array]
    synapses: Array
    bits: int
    threshold: Array

    @classmethod
    def of(
        cls,
        network: Network,
        population: Population,
        maps: Mapping[str, csr_array],
        order: Array | None,
        chip: Chip,
    ) -> _Costs:
        incoming = [maps[connection.name] for connection in network.incoming(population.name)]
        synapses = np.zeros(population.size, dtype=np.int64)
        for matrix in incoming:
            synapses += np.diff(matrix.indptr)
        threshold = thresholds_of(population)
        return cls(population, incoming, synapses, _bits(chip), threshold if order is None else threshold[order])

    def core(self, start: int, stop: int, destinations: Array) -> Core:
        """A core with neurons ``start`` to ``stop - 1``."""
        synapses = int(self.synapses[start:stop].sum())
        return Core(
            population=self.population.name,
            start=start,
            stop=stop,
            synapses=synapses,
            memory_bits=synapses * self.bits,
            input_axons=sum(len(_sources(matrix, start, stop)) for matrix in self.maps),
            output_axons=int(destinations[start:stop].sum()),
            thresholds=len(np.unique(self.threshold[start:stop])),
        )

    def split(self, destinations: Array, chip: Chip) -> list[tuple[int, int]]:
        """Contiguous slices, each as large as fits on a core."""
        slices, start, size = [], 0, self.population.size
        while start < size:
            stop = self._last_fit(start, destinations, chip)
            if stop == start:
                raise ChipError(_too_large(self.core(start, start + 1, destinations), chip))
            slices.append((start, stop))
            start = stop
        return slices

    def _last_fit(self, start: int, destinations: Array, chip: Chip) -> int:
        low, high = start, min(self.population.size, start + (chip.limits.neurons_per_core or self.population.size))
        middle = high  # the whole core first, then bisect: every need grows with the slice
        while low < high:
            if over_limit(self.core(start, middle, destinations), chip.limits):
                high = middle - 1
            else:
                low = middle
            middle = (low + high + 1) // 2
        return low


def over_limit(core: Core, limits: Limits) -> str:
    """The first limit that ``core`` exceeds; empty where it fits."""
    for limit, measure in MEASURES.items():
        allowed = getattr(limits, limit)
        if allowed is not None and getattr(core, measure) > allowed:
            return limit
    return ""


_WORDS = {
    "neurons_per_core": "neuron",
    "synaptic_memory_bits_per_core": "bits of synaptic memory",
    "input_axons_per_core": "input axons",
    "output_axons_per_core": "output axons",
    "threshold_configurations_per_core": "threshold",
}
_REMEDIES = {
    "neurons_per_core": "correct the chip file",
    "threshold_configurations_per_core": "correct the chip file",
    "synaptic_memory_bits_per_core": "prune its weights, or make the populations that drive it smaller",
    "input_axons_per_core": "make the populations that drive it smaller, or prune whole columns of its weights",
    "output_axons_per_core": "make the populations that it drives smaller, or give them fewer synapses",
}


def _too_large(core: Core, chip: Chip) -> str:
    limit = over_limit(core, chip.limits)
    needed, what = getattr(core, MEASURES[limit]), _WORDS[limit]
    return (
        f"{core.population}: a single neuron needs {needed} {what}, {chip.name} allows "
        f"{getattr(chip.limits, limit)} per core; {_REMEDIES[limit]}"
    )


def _sources(matrix: csr_array, start: int, stop: int) -> Array:
    """Source neurons with a synapse onto targets ``start`` to ``stop - 1``."""
    return np.unique(matrix.indices[matrix.indptr[start] : matrix.indptr[stop]])


def _destinations(
    network: Network,
    population: str,
    slices: Mapping[str, list[tuple[int, int]]],
    maps: Mapping[str, csr_array],
    orders: Mapping[str, Array],
) -> Array:
    """(n,): cores that each neuron of ``population`` reaches, in the order in which its cores are filled."""
    count = np.zeros(network[population].size, dtype=np.int64)
    for connection in network.connections:
        if connection.source == population:
            for start, stop in slices[connection.target]:
                count[_sources(maps[connection.name], start, stop)] += 1
    return count[orders[population]] if population in orders else count
