"""What a crossbar of synapses does: a spike that comes to it works through a whole row, however few weights are used.

So on such a core synaptic operations are counted by events, not by fan-out. An event is a spike of a neuron, on the
core or outside, that drives a row (:meth:`aspen_hardware.placing.wiring.Wiring.crossbar_rows`); where a neuron of the
core leaks, one more in each step works through all neurons. The core works through one event after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np

from aspen._base.arrays import Array
from aspen.network.network import Lif, Network, Population
from aspen.network.record import Record
from aspen_hardware.chips.description import Chip
from aspen_hardware.placing.cores import Core
from aspen_hardware.placing.placement import Placement
from aspen_hardware.placing.wiring import Wiring


@dataclass(frozen=True)
class Crossbar:
    """How the crossbars of a chip work.

    Args:
        operations_per_spike: synaptic operations of a spike that drives a row.
        operations_per_step: neuron updates of the event that lets all neurons leak for a step.
        cycles_per_operation: clock cycles of one of either.
    """

    operations_per_spike: int
    operations_per_step: int
    cycles_per_operation: int

    @classmethod
    def of(cls, chip: Chip) -> Crossbar | None:
        """That of ``chip``; ``None`` where it has none."""
        figures = chip.section("crossbar")
        return cls(**{key: int(figure.value) for key, figure in figures.items()}) if figures else None

    def operations(self, record: Record, placement: Placement) -> Iterator[tuple[str, str, int]]:
        """Place, kind and number of all operations of a run."""
        for name, rows in self.driven(record.network, placement).items():
            yield name, "crossbar_operation", int(spikes_times(record, name, rows).sum()) * self.operations_per_spike
        leaks = self.leaks(record.network, placement)
        yield "network", "leak_operation", leaks * record.steps * record.batch

    def driven(self, network: Network, placement: Placement) -> dict[str, Array]:
        """Population -> (n,) int64: rows of all crossbars that a spike of each neuron drives."""
        rows = _rows(network, placement)
        return {
            name: reduce(add, (row[name] for row in rows if name in row), np.zeros(network[name].size, np.int64))
            for name in network.names
        }

    def leaks(self, network: Network, placement: Placement) -> int:
        """Operations for the leaks of one step."""
        return sum(_leaks(network, placement, core) for core in placement.cores) * self.operations_per_step

    def cycles(self, record: Record, placement: Placement) -> Array:
        """Clock cycles of the busiest core in each step, (steps, batch) float64, as a file's figures may be beyond
        integers; in the whole run, (1, 1), where the record has only counts of the whole run."""
        shape = next(iter(record.spikes.values())).shape
        steps, busiest = record.steps * record.batch // int(np.prod(shape)), np.zeros(shape)
        for core, rows in zip(placement.cores, _rows(record.network, placement), strict=True):
            events = reduce(
                add, (spikes_times(record, name, row) for name, row in rows.items()), np.zeros(shape, np.int64)
            )
            operations = events.astype(np.float64) * self.operations_per_spike
            if _leaks(record.network, placement, core):
                operations = operations + steps * self.operations_per_step
            busiest = np.maximum(busiest, operations * self.cycles_per_operation)
        return busiest


def spikes_times(record: Record, name: str, weights: Array) -> Array:
    """Sum over a population's spikes of what each neuron's count: (steps, batch) int64, as the record's counts.

    Where it was not recorded which neurons spiked, each spike counts as much as that of any.

    Args:
        record: of the run.
        name: population.
        weights: (n,) whole numbers, or bool.
    """
    known = name in record.rasters and not record.network[name].is_analog  # analog values are no spikes
    if not known or (weights == weights.max()).all():
        return record.spikes[name] * int(weights.max())
    spikes = record.rasters[name].reshape(record.steps, record.batch, -1) != 0
    return np.asarray(spikes @ weights.astype(np.int64))


def _rows(network: Network, placement: Placement) -> list[Mapping[str, Array]]:
    """For each core, population -> (n,) bool: which neurons' spikes drive a row of its crossbar."""
    wiring = Wiring.of(network, placement.orders)
    return [wiring.crossbar_rows(core.slices) for core in placement.cores]


def _leaks(network: Network, placement: Placement, core: Core) -> bool:
    """Whether any neuron of the core leaks."""
    return any(bool(_leaking(network[part.population])[placement.members(part)].any()) for part in core.slices)


def _leaking(population: Population) -> Array:
    """(n,) bool: neurons whose membrane decays."""
    neuron = population.neuron
    assert neuron is not None  # the input population is not placed
    decays = neuron.beta < 1 if isinstance(neuron, Lif) else neuron.voltage_decay > 0
    return np.broadcast_to(decays, population.shape).reshape(-1)
