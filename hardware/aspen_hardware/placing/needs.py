"""What the neurons of a network need on a chip, and a core that is being filled with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from aspen._base.arrays import Array
from aspen.dial.profile import DialProfile
from aspen.errors import ChipError
from aspen.network.network import Network
from aspen_hardware.chips.description import Chip
from aspen_hardware.placing.configurations import (
    DECAYS,
    FLOORS,
    STORED,
    THRESHOLDS,
    Numbers,
    numbered,
    off_together,
    orders_of,
)
from aspen_hardware.placing.cores import Core, Slice, bits_of_a_synapse, too_large
from aspen_hardware.placing.resets import compartments_of
from aspen_hardware.placing.wiring import Wiring

Reached = Mapping[str, Array]
"""Population -> (n,) int64: cores that a spike of each neuron reaches, in the order in which cores are filled."""


@dataclass(frozen=True)
class Needs:
    """What the neurons of a network need on a chip, each population in the order in which cores are filled.

    Args:
        network: what is placed.
        chip: where.
        wiring: its synapses.
        synapses: population -> (n,) int64: synapses of each neuron.
        stored: limit -> what of it a core must store for each neuron: a number, the same where it stores it once.
        compartments: population -> those that each neuron takes.
        groups: a number for each neuron: by how long a dial leaves it on, the longest first, where the chip can switch
            off a core; else nothing.
    """

    network: Network
    chip: Chip
    wiring: Wiring
    synapses: Mapping[str, Array]
    stored: Mapping[str, Numbers]
    compartments: Mapping[str, int]
    groups: Numbers | None = None

    @classmethod
    def of(cls, network: Network, chip: Chip, profile: DialProfile | None) -> Needs:
        """Those of ``network`` on ``chip``, at every knob of the ``profile``."""
        stored = numbered(network, profile)
        groups = off_together(network, profile) if chip.gates == "core" else None
        orders = orders_of(stored, chip.limits, groups)
        wiring = Wiring.of(network, orders)
        synapses = {name: np.zeros(network[name].size, np.int64) for name in network.order}
        for name in network.order:
            for wire in wiring.incoming.get(name, ()):
                synapses[name] += np.diff(wire.synapses.indptr)
        in_order = {
            limit: {name: each[orders[name]] if name in orders else each for name, each in numbers.items()}
            for limit, numbers in stored.items()
        }
        by_group = None if groups is None else {name: each[orders[name]] for name, each in groups.items()}
        return cls(network, chip, wiring, synapses, in_order, compartments_of(network, chip), by_group)

    def most_rows(self, populations: Iterable[str]) -> int:
        """So many input axons at most take neurons of these populations, on one core."""
        names = set(populations)
        own = sum(self.wiring.sizes[name] for name in names) if self._is_crossbar else 0
        return self.wiring.most_sources(names) + own

    @cached_property
    def _is_crossbar(self) -> bool:
        return bool(self.chip.section("crossbar"))

    def rows(self, slices: Sequence[Slice]) -> dict[str, Array]:
        """Population -> (n,) bool: whether each neuron takes an input axon of a core that holds these slices."""
        return self.wiring.crossbar_rows(slices) if self._is_crossbar else self.wiring.sources(slices)

    def core(self, slices: Sequence[Slice], reached: Reached) -> Core:
        """A core with these slices."""
        synapses = sum(int(self.synapses[part.population][part.start : part.stop].sum()) for part in slices)
        return Core(
            slices=tuple(slices),
            synapses=synapses,
            memory_bits=synapses * bits_of_a_synapse(self.chip),
            input_axons=sum(int(np.count_nonzero(neurons)) for neurons in self.rows(slices).values()),
            output_axons=sum(int(reached[part.population][part.start : part.stop].sum()) for part in slices),
            thresholds=_different(self.stored[THRESHOLDS], slices),
            compartments=sum(part.neurons * self.compartments[part.population] for part in slices),
            decays=_different(self.stored[DECAYS], slices) + self.beside(part.population for part in slices),
            floors=_different(self.stored[FLOORS], slices),
        )

    def beside(self, names: Iterable[str]) -> int:
        """Decays of the compartments that neurons take beside the one that integrates."""
        return max((self.compartments[name] for name in names), default=1) - 1

    def reached(self, cores: Iterable[Sequence[Slice]]) -> dict[str, Array]:
        """Population, the input too -> (n,) int64: cores that each neuron reaches, populations in their own order."""
        found = {name: np.zeros(size, np.int64) for name, size in self.wiring.sizes.items()}
        for slices in cores:
            for name, neurons in self.wiring.sources(slices).items():
                found[name] += neurons
        return found

    def traffic(self, cores: Iterable[Sequence[Slice]], reached: Reached) -> int:
        """Packets if each neuron spikes once, on crossbars the rows that are driven then."""
        if not self._is_crossbar:
            return sum(int(numbers.sum()) for numbers in reached.values())
        return sum(int(np.count_nonzero(rows)) for slices in cores for rows in self.rows(slices).values())

    def groups_on(self, cores: Iterable[Sequence[Slice]]) -> int:
        """How long cores are on while a knob is turned, in groups that go off: until the last neuron of each does."""
        if self.groups is None:
            return 0
        last = max(int(each.max()) for each in self.groups.values()) + 1
        return sum(last - min(int(self.groups[p.population][p.start : p.stop].min()) for p in part) for part in cores)

    def in_order(self, found: Reached) -> dict[str, Array]:
        """Numbers of placed neurons, in the order in which cores are filled."""
        orders = self.wiring.orders
        return {name: found[name][orders[name]] if name in orders else found[name] for name in self.network.order}


@dataclass(frozen=True)
class Demand:
    """What neurons need, if so many cores are reached by each of them.

    Args:
        needs: of the network.
        reached: how many cores each neuron reaches.
    """

    needs: Needs
    reached: Reached

    @cached_property
    def sums(self) -> Mapping[str, Mapping[str, Array]]:
        """Limit that the chip has, of those that neurons need each for itself -> population -> (n + 1,) int64: what
        the first neurons need together."""
        needs, bits = self.needs, bits_of_a_synapse(self.needs.chip)
        each = {
            "neurons_per_core": {name: np.full(n.size, needs.compartments[name]) for name, n in needs.synapses.items()},
            "synaptic_memory_bits_per_core": {name: n * bits for name, n in needs.synapses.items()},
            "output_axons_per_core": self.reached,
        }
        known = {limit: numbers for limit, numbers in each.items() if getattr(needs.chip.limits, limit) is not None}
        return {limit: {name: _summed(n) for name, n in numbers.items()} for limit, numbers in known.items()}

    @cached_property
    def least(self) -> Mapping[str, int]:
        """Limit -> what the neuron needs that needs least of it."""
        return {limit: min(int(np.diff(each).min()) for each in sums.values()) for limit, sums in self.sums.items()}

    def allowed(self, limit: str) -> int:
        """How much of it a core has; at least 1."""
        return max(int(getattr(self.needs.chip.limits, limit)), 1)

    def size(self, name: str) -> int:
        """Neurons of a population."""
        return self.needs.network[name].size

    def each(self, name: str, limit: str) -> float:
        """The part of a limit of a core that a neuron of a population needs, on average."""
        return int(self.sums[limit][name][-1]) / self.size(name) / self.allowed(limit)

    @property
    def two_largest(self) -> list[str]:
        """The limits of which the network needs most."""
        total = {
            limit: sum(int(of[-1]) for of in sums.values()) / self.allowed(limit) for limit, sums in self.sums.items()
        }
        return sorted((limit for limit in total if total[limit]), key=lambda limit: -total[limit])[:2]

    def share(self, part: Slice) -> float:
        """The largest part of a limit of a core that a slice needs."""
        needed = {
            limit: of[part.population][part.stop] - of[part.population][part.start] for limit, of in self.sums.items()
        }
        return max((int(n) / self.allowed(limit) for limit, n in needed.items()), default=0.0)


class OpenCore:
    """A core that is being filled.

    Args:
        demand: of the network.
    """

    def __init__(self, demand: Demand) -> None:
        self._demand, self._needs, self._limits = demand, demand.needs, demand.needs.chip.limits
        self.slices: dict[str, Slice] = {}
        self.used = dict.fromkeys(demand.sums, 0)
        self._held: dict[str, set[int]] = {limit: set() for limit in STORED if getattr(self._limits, limit) is not None}

    @property
    def is_full(self) -> bool:
        """Whether no neuron of the network has room any more."""
        least = self._demand.least
        return any(used + least[limit] > getattr(self._limits, limit) for limit, used in self.used.items())

    def fit(self, name: str, start: int, most: int | None = None) -> int:
        """The last ``stop``, at most ``most``, for which the neurons from ``start`` fit beside what is here already."""
        here, allowed = self.slices.get(name), self._limits.populations_per_core
        if here is None and allowed is not None and len(self.slices) >= allowed:
            return start
        if here is not None and here.stop != start:
            return start
        stop = self._needs.network[name].size if most is None else most
        for limit, sums in self._demand.sums.items():
            left = sums[name][start] + getattr(self._limits, limit) - self.used[limit]
            stop = min(stop, int(np.searchsorted(sums[name], left, side="right")) - 1)
        stop = self._stored(name, start, stop)
        return self._reachable(name, start, stop) if stop > start else start

    def add(self, name: str, start: int, stop: int) -> None:
        """Put neurons here, that :meth:`fit`."""
        here = self.slices.get(name)
        self.slices[name] = Slice(name, start, stop) if here is None else replace(here, stop=stop)
        for limit, sums in self._demand.sums.items():
            self.used[limit] += int(sums[name][stop] - sums[name][start])
        for limit, held in self._held.items():
            held.update(np.unique(self._needs.stored[limit][name][start:stop]).tolist())

    def require(self, name: str, start: int, stop: int) -> None:
        """Raise where a core that holds nothing yet has no room for the neuron ``start``.

        Raises:
            ChipError: a single neuron needs more than a core has.
        """
        if stop == start and not self.slices:
            alone = self._needs.core([Slice(name, start, start + 1)], self._demand.reached)
            raise ChipError(too_large(alone, self._needs.chip))

    def _stored(self, name: str, start: int, stop: int) -> int:
        """The last ``stop`` for which the core can store all thresholds, decays and floors."""
        for limit, held in self._held.items():
            if stop > start:
                others = self._needs.beside([name, *self.slices]) if limit == DECAYS else 0
                numbers = self._needs.stored[limit][name][start:stop]
                different, first = np.unique(numbers, return_index=True)
                fresh = np.sort(first[[number not in held for number in different.tolist()]])
                left = getattr(self._limits, limit) - others - len(held)
                if fresh.size > left:  # below 0 where others come with neurons whose own is held already
                    stop = start + int(fresh[left]) if left >= 0 else start
        return stop

    def _reachable(self, name: str, start: int, stop: int) -> int:
        """The last ``stop`` for which there are enough input axons: all or none first, then halved."""
        allowed = self._limits.input_axons_per_core
        if allowed is None or self._needs.most_rows([name, *self.slices]) <= allowed:
            return stop
        begun = self.slices.get(name)
        others = [part for part in self.slices.values() if part.population != name]

        def enough(last: int) -> bool:
            rows = self._needs.rows([*others, Slice(name, start if begun is None else begun.start, last)])
            return sum(int(np.count_nonzero(neurons)) for neurons in rows.values()) <= allowed

        if enough(stop):
            return stop
        low, high = start, stop - 1
        middle = start + 1
        while low < high:
            low, high = (middle, high) if enough(middle) else (low, middle - 1)
            middle = (low + high + 1) // 2
        return low


def _summed(numbers: Array) -> Array:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(numbers)])


def _different(numbers: Mapping[str, Array], slices: Sequence[Slice]) -> int:
    return len(np.unique(np.concatenate([numbers[part.population][part.start : part.stop] for part in slices])))
