"""Which neurons sit on which core.

Assumptions, kept simple on purpose: a population is divided into contiguous slices, and a core holds slices of as
many populations as the chip's file lets it (``populations_per_core``); :mod:`aspen_hardware.placing.packing` takes
few cores first, then few packets. A population with more different thresholds or decays than a core stores is sorted
by them first (:attr:`Placement.orders`), so that it takes as few cores as possible. Where a chip can switch off a
core, neurons that a nested dial switches off together lie on cores of their own, as far as that takes no more cores.
Synaptic memory counts ``weight_bits + synapse_overhead_bits`` of the chip's file for each weight other than zero:
with the overhead of 0 that the files assume it is a lower bound, as indices, delays and the alignment of memory words
come on top. A convolution counts every synapse, as on a core that shares no weights.
An input population of spikes is fed from outside and takes no core.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from math import ceil
from typing import Any

import numpy as np

from aspen._base.arrays import Array, Rebuilt
from aspen._base.tables import Table, Tabled
from aspen.dial.profile import DialProfile
from aspen.errors import InputError
from aspen.network.given import as_network
from aspen.network.network import Network
from aspen_hardware.chips.description import Chip, Limits
from aspen_hardware.placing.cores import MEASURES, Core, Slice, bits_of_a_synapse, excess, members, over_limit
from aspen_hardware.placing.needs import Needs
from aspen_hardware.placing.packing import Packed, pack, pack_in_order
from aspen_hardware.placing.resets import compartments_of
from aspen_hardware.placing.wiring import Wiring

RULES = "populations_per_core", "membrane_floors_per_core"
"""Limits that say what may be together, not how much."""
MOST_ROWS = 32
"""Of a placement's table, when it is printed."""


@dataclass(frozen=True)
class Placement(Tabled, Rebuilt):
    """A network on the cores of a chip. It may need more cores than one chip has; the design rules refuse that.

    Args:
        chip: name of the chip.
        limits: what fits on it.
        cores: cores in use, in the network's order.
        orders: population -> (n,) its neurons in the order in which cores are filled, for populations that are sorted
            by threshold and decay; the others are placed as they are numbered.
    """

    chip: str
    limits: Limits
    cores: tuple[Core, ...]
    orders: Mapping[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._close("orders")

    @property
    def cores_used(self) -> int:
        """Number of cores in use."""
        return len(self.cores)

    @property
    def chips_used(self) -> int:
        """Number of chips that have so many cores; 1 where their number is not limited."""
        return ceil(self.cores_used / self.limits.cores) if self.limits.cores else 1

    def of(self, population: str) -> tuple[Core, ...]:
        """Cores that hold neurons of one population."""
        return tuple(core for core in self.cores if any(part.population == population for part in core.slices))

    def slices(self, population: str) -> Iterator[tuple[int, Slice]]:
        """For each core that holds neurons of one population: its index, and which neurons."""
        for index, core in enumerate(self.cores):
            yield from ((index, part) for part in core.slices if part.population == population)

    def members(self, part: Slice | Core) -> Array:
        """Indices of the neurons of a slice, or of a core that holds one population."""
        return members(part, self.orders)

    def reached_by(self, network: Network, population: str) -> Iterator[tuple[int, Array]]:
        """For each core: its index, and (n,) int64: 1 where a spike of each neuron sends a packet there, else 0."""
        wiring = Wiring.of(network, self.orders, network.outgoing(population))
        none = np.zeros(network[population].size, np.int64)
        for index, core in enumerate(self.cores):
            reach = wiring.sources(core.slices)
            yield index, reach[population].astype(np.int64) if population in reach else none

    def check(self, network: Network, chip: Chip) -> None:
        """Raise unless this may be a placement of ``network`` on ``chip``.

        Raises:
            InputError: it is of another chip, or of other neurons.
        """
        placed = {name: sum(part.neurons for _, part in self.slices(name)) for name in network.order}
        sizes = {name: network[name].size for name in network.order}
        if self.chip != chip.name or placed != sizes:
            raise InputError(
                f"placement: found neurons {placed} on {self.chip}, allowed is {sizes} on {chip.name}; "
                f"place the record's network on this chip"
            )

    @property
    def use(self) -> dict[str, float]:
        """Limit -> the largest used fraction over all cores; limits that the chip does not have are left out, and what
        is a rule and no capacity: the numbers of populations and floors."""
        wanted = {"cores": self.cores_used} | {
            limit: max(getattr(core, measure) for core in self.cores)
            for limit, measure in MEASURES.items()
            if limit not in RULES
        }
        limits = asdict(self.limits)
        return {key: used / limits[key] for key, used in wanted.items() if limits[key]}

    def destinations(self, network: Network, population: str) -> Array:
        """(n,) int64: cores that a spike of each neuron of ``population`` reaches."""
        none = np.zeros(network[population].size, np.int64)
        return np.asarray(sum((packets for _, packets in self.reached_by(network, population)), none))

    def _shown(self) -> Iterator[str | Table]:
        most = f" of {self.limits.cores}" if self.limits.cores else ""
        yield f"Placement on {self.chip}: {self.cores_used} core{'s' if self.cores_used > 1 else ''}{most}"
        rows = [row for core in self.cores for row in _rows(core)]
        left = len(rows) - MOST_ROWS
        head = ("population", "neurons", "synapses", "memory bits", "axons in", "axons out")
        yield Table(head, rows if left <= 0 else rows[:MOST_ROWS])
        if left > 0:
            yield f"... and {left} more rows; to_dict() has all cores"
        used = ", ".join(f"{key.replace('_', ' ')} {fraction:.0%}" for key, fraction in self.use.items())
        yield f"Fullest core: {used}" if used else "No limits known"

    def to_dict(self) -> dict[str, Any]:
        """As plain values that JSON can hold. A core has ``slices``, or, on a chip whose cores hold one population
        each, ``population``, ``start`` and ``stop``."""
        cores = [asdict(core) for core in self.cores]
        if self.limits.populations_per_core == 1:
            cores = [{**core.pop("slices")[0], **core} for core in cores]
        return {
            "chip": self.chip,
            "cores_used": self.cores_used,
            "chips_used": self.chips_used,
            "use": self.use,
            "cores": cores,
            "orders": {name: order.tolist() for name, order in self.orders.items()},
        }


def _rows(core: Core) -> Iterator[tuple[str, ...]]:
    """What a core holds: its first population with what the core has used, then the others."""
    used = (core.synapses, core.memory_bits, core.input_axons, core.output_axons)
    for index, part in enumerate(core.slices):
        name = f"+ {part.population}" if index else part.population
        yield (name, f"{part.start} to {part.stop - 1}", *(f"{number:,}" for number in used if not index))


def place(network: Network, chip: Chip, profile: DialProfile | None = None) -> Placement:
    """Put ``network`` on the cores of ``chip``: as few as can be found, then with few packets, see the module.

    >>> from aspen import Dense, Lif, Network, Population
    >>> from aspen_hardware import chip
    >>> populations = Population("input", (2,)), Population("output", (2,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", [[1.2, 0.1], [0.1, 1.2]]),))
    >>> placement = place(network, chip("loihi1"))
    >>> placement.cores_used, placement.chips_used
    (1, 1)

    Args:
        network: what to place.
        chip: where.
        profile: the dial that turns its thresholds, where a core stores few: neurons that it turns differently need
            thresholds of their own.

    Raises:
        InputError: it is no network.
        ChipError: a single neuron needs more than one core has; the message names population, limit and remedy.
    """
    as_network(network)
    if profile is not None:
        profile.check(network)
    needs = Needs.of(network, chip, profile)
    return _placed(needs, pack(needs))


def _placed(needs: Needs, packed: Packed) -> Placement:
    reached = needs.in_order(packed.reached)
    cores = tuple(needs.core(slices, reached) for slices in packed.cores)
    return Placement(needs.chip.name, needs.chip.limits, cores, needs.wiring.orders)


def what_is_left_over(network: Network, chip: Chip) -> tuple[str, str]:
    """The population whose next neuron finds no room on the last core that the chip has, and what the core would need
    with it; nothing where only the packets of others are in the way. Cores are filled in the network's order.

    Args:
        network, chip: what takes more cores than the chip has.
    """
    assert chip.limits.cores is not None
    needs = Needs.of(network, chip, None)
    packed = pack_in_order(needs)
    last, first = packed.cores[chip.limits.cores - 1 : chip.limits.cores + 1]
    name, start = first[0].population, first[0].start
    others = tuple(part for part in last if part.population != name)
    begun = next((part.start for part in last if part.population == name), start)
    core = needs.core((*others, Slice(name, begun, start + 1)), needs.in_order(packed.reached))
    return name, excess(core, chip) if over_limit(core, chip.limits) else ""


def least_cores(network: Network, chip: Chip) -> int:
    """So many cores are needed at least, by the numbers of neurons and synapses alone; 0 where no limit is known."""
    limits, cores = chip.limits, 0
    if limits.neurons_per_core:
        taken = [network[name].size * each for name, each in compartments_of(network, chip).items()]
        sizes = taken if limits.populations_per_core == 1 else [sum(taken)]
        cores = sum(ceil(size / limits.neurons_per_core) for size in sizes)
    if limits.synaptic_memory_bits_per_core:
        bits = network.n_synapses * bits_of_a_synapse(chip)
        cores = max(cores, ceil(bits / limits.synaptic_memory_bits_per_core))
    return cores
