"""How long the cores of a chip work in each step, by the published times of its operations."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import add

import numpy as np

from aspen._base.arrays import Array
from aspen.network.record import Record
from aspen_hardware.chips.description import Chip, Figure, key_of_kind
from aspen_hardware.placing.placement import Placement
from aspen_hardware.placing.resets import compartments_of

CORES_PER_TILE = 4
"""On Loihi (Davies et al. 2018)."""


def step_work(record: Record, chip: Chip, scenario: str, figures: Mapping[str, Figure], placement: Placement) -> float:
    """Seconds of a whole run by one scenario's times of operations, see
    :func:`aspen_hardware.energy.costs.work_seconds`."""
    times = {key: figure.si.typical for key, figure in figures.items()}
    busy = _busy(record, chip, scenario, times, placement)
    connections = record.network.connections
    driving = {name: {c.source for c in connections if c.target == name} for name in record.network.order}
    cores = {tuple((part.population, part.neurons) for part in core.slices) for core in placement.cores}

    def busy_on(core: tuple[tuple[str, int], ...]) -> Array:
        arriving = sorted({source for name, _ in core for source in driving[name]})
        packets = (record.spikes[source] * times.get("packet_in", 0.0) for source in arriving)
        return reduce(add, (*packets, *(busy[name] * (n / record.network[name].size) for name, n in core)))

    slowest = reduce(np.maximum, (busy_on(core) for core in sorted(cores)))
    tiles = -(-placement.cores_used // CORES_PER_TILE)
    barrier = times["barrier_one_tile"] if tiles == 1 else times["barrier_32_tiles"]
    return float(slowest.sum()) + barrier * record.steps * record.batch


def _busy(
    record: Record, chip: Chip, scenario: str, times: Mapping[str, float], placement: Placement
) -> dict[str, Array]:
    """Population -> seconds of all its work, (steps, batch), but for the packets that arrive."""
    active = active_counts(record, chip.scenarios[scenario].active)
    compartments = compartments_of(record.network, chip)
    together = record.steps * record.batch // record.spikes[record.network.output].size  # steps that counts are of
    found = {}
    for name in record.network.order:
        busy = active[name] * times["neuron_update_active"]
        updates = record.network[name].size * together - record.off.neurons.get(name, 0)
        busy = busy + (updates - active[name]) * times["neuron_update_inactive"]
        busy = busy * compartments[name]
        for connection in (c for c in record.network.connections if c.target == name):
            arriving = record.synaptic_operations.get(connection.name, 0)
            arriving = arriving + record.multiply_accumulates.get(connection.name, 0)
            own = key_of_kind("synaptic_operation", connection.kind)
            busy = busy + arriving * times.get(own, times["synaptic_operation"])
        targets = {connection.target for connection in record.network.outgoing(name)}
        sent = sum(any(part.population in targets for part in core.slices) for core in placement.cores)
        found[name] = busy + record.spikes[name] * (times.get("spike", 0.0) + sent * times.get("packet_out", 0.0))
    return found


def active_counts(record: Record, definition: str) -> Mapping[str, Array]:
    """Population -> (steps, batch) int64: active updates by one of :data:`aspen_hardware.chips.schema.ACTIVE`."""
    return record.active_updates if definition == "input" else record.awake_updates
