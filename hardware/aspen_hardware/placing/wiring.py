"""Which spikes reach a core."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from aspen._base.arrays import Array
from aspen.network.connections import Connection
from aspen.network.network import Network
from aspen_hardware.placing.cores import Slice, members

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class Wire:
    """The synapses of a connection, as those see them that they lead to.

    Args:
        source: population.
        synapses: (n_target, n_source), targets in the order in which cores are filled.
    """

    source: str
    synapses: csr_array

    @cached_property
    def is_dense(self) -> bool:
        """Whether each neuron has a synapse from each."""
        return self.synapses.nnz == self.synapses.shape[0] * self.synapses.shape[1]

    def mark(self, reach: Array, part: Slice) -> None:
        """Set True in ``reach`` (n_source,) for neurons that have a synapse onto the slice."""
        start, stop = self.synapses.indptr[part.start], self.synapses.indptr[part.stop]
        reach[slice(None) if self.is_dense and part.neurons else self.synapses.indices[start:stop]] = True


@dataclass(frozen=True)
class Wiring:
    """The synapses of a network.

    Args:
        sizes: population -> neurons.
        incoming: population -> what drives it.
        orders: see :attr:`aspen_hardware.placing.placement.Placement.orders`.
    """

    sizes: Mapping[str, int]
    incoming: Mapping[str, Sequence[Wire]]
    orders: Mapping[str, Array]

    @classmethod
    def of(
        cls, network: Network, orders: Mapping[str, Array], connections: Sequence[Connection] | None = None
    ) -> Wiring:
        """That of ``network``, or of some of its ``connections``."""
        incoming: dict[str, list[Wire]] = {}
        for connection in network.connections if connections is None else connections:
            synapses, order = connection.synapses(), orders.get(connection.target)
            wire = Wire(connection.source, synapses if order is None else synapses[order])
            incoming.setdefault(connection.target, []).append(wire)
        return cls({name: network[name].size for name in network.names}, incoming, orders)

    def most_sources(self, populations: Iterable[str]) -> int:
        """So many neurons at most reach a core that holds neurons of these populations."""
        driving = {wire.source for name in populations for wire in self.incoming.get(name, ())}
        return sum(self.sizes[source] for source in driving)

    def sources(self, slices: Sequence[Slice]) -> dict[str, Array]:
        """Population -> (n,) bool: whether a spike of each neuron reaches a core that holds these slices."""
        found: dict[str, Array] = {}
        for part in slices:
            for wire in self.incoming.get(part.population, ()):
                wire.mark(found.setdefault(wire.source, np.zeros(self.sizes[wire.source], np.bool_)), part)
        return found

    def crossbar_rows(self, slices: Sequence[Slice]) -> dict[str, Array]:
        """Population -> (n,) bool: which neurons' spikes drive a row of the crossbar that holds these slices.

        Spikes of a crossbar's own neurons come back to it either all or not at all (ODIN's ``SPI_OPEN_LOOP``). So where
        one of them drives another, each of them has a row, with or without synapses.
        """
        reach = self.sources(slices)
        own = [(part.population, members(part, self.orders)) for part in slices]
        if not any(name in reach and reach[name][numbers].any() for name, numbers in own):
            return reach
        for name, numbers in own:
            reach.setdefault(name, np.zeros(self.sizes[name], np.bool_))[numbers] = True
        return reach
