"""The batched engine: layer after layer over all time steps, with one matrix product for all inputs of a layer.

The sums of a compiled network are integers, and float32 holds integers up to 2^24 exactly (float64 up to 2^53), so the
matrix products of the BLAS library give the reference's sums to the bit, in whatever order it adds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from aspen._arrays import Array
from aspen.connections import Connection, Dense
from aspen.network import Network
from aspen.record import Record, kept_membranes, record_from_rasters
from aspen_emulator.lif import LifState, lif_step
from aspen_emulator.reference import run_reference

CHUNK_VALUES = 2**24
"""Values of the widest array that is held at once; larger batches are run in parts."""


def run_fast(network: Network, spikes: Array, thresholds: Mapping[str, Array], record: str = "counts") -> Record:
    """Run all steps; arguments and results as :func:`aspen_emulator.reference.run_reference`.

    A network with a cycle (a recurrent connection) cannot be run layer by layer; it is stepped like the reference.
    """
    if _has_cycle(network):
        return replace(run_reference(network, spikes, thresholds, record), engine="fast")
    steps, batch = spikes.shape[:2]
    widest = max(population.size for population in network.populations)
    chunk = max(1, CHUNK_VALUES // (steps * widest))
    parts = []
    for start in range(0, batch, chunk):
        part = slice(start, min(start + chunk, batch))
        own = {name: array if array.shape[1] == 1 else array[:, part] for name, array in thresholds.items()}
        parts.append(_run_layers(network, spikes[:, part], own, kept_membranes(network, record)))
    rasters, membranes = (
        {name: np.concatenate([half[name] for half in halves], axis=1) for name in halves[0]}
        for halves in zip(*parts, strict=True)
    )
    return record_from_rasters(network, rasters, "fast", record, membranes)


def _has_cycle(network: Network) -> bool:
    position = {name: index for index, name in enumerate([network.input.name, *network.order])}
    return any(position[connection.source] >= position[connection.target] for connection in network.connections)


def _run_layers(
    network: Network, spikes: Array, thresholds: Mapping[str, Array], watched: list[str]
) -> tuple[dict[str, Array], dict[str, Array]]:
    steps, batch = spikes.shape[:2]
    membranes = {}
    rasters = {} if network.input.neuron else {network.input.name: spikes}
    for name in network.order:
        drive: Array = np.zeros((), np.int64 if network.is_integer else np.float64)
        for connection in network.incoming(name):
            drive = drive + _drive(connection, rasters[connection.source])
        drive = np.broadcast_to(drive, (steps, batch, network[name].size))
        current = spikes.reshape(steps, batch, -1) if network[name].current else None
        raster, membrane = _scan(network, name, drive, thresholds[name], current)
        rasters[name] = raster.reshape(steps, batch, *network[name].shape)
        if name in watched:
            membranes[name] = membrane.reshape(steps, batch, *network[name].shape)
    return rasters, membranes


def _drive(connection: Connection, source: Array) -> Array:
    steps, batch = source.shape[:2]
    flat = source.reshape(steps * batch, -1)
    if connection.is_integer:
        drive = connection.scaled(connection.accumulate(flat.astype(_exact_type(connection))))
    else:
        drive = connection.drive(flat)
    drive = drive.reshape(steps, batch, -1)
    if connection.delay:
        late = np.zeros_like(drive)
        late[connection.delay :] = drive[: max(steps - connection.delay, 0)]
        drive = late
    return drive if connection.bias is None else drive + connection.bias_currents()


def _exact_type(connection: Connection) -> type[np.floating[Any]]:
    """The smallest float that holds every possible sum of the weights exactly."""
    largest = int(np.abs(connection.weight.astype(np.int64)).sum())
    if isinstance(connection, Dense):
        largest = int(np.abs(connection.weight.astype(np.int64)).sum(axis=1).max())
    return np.float32 if largest < 2**24 else np.float64


def _scan(network: Network, name: str, drive: Array, thresholds: Array, current: Array | None) -> tuple[Array, Array]:
    neuron = network[name].neuron
    assert neuron is not None  # only populations with neurons are scanned
    steps, batch, n = drive.shape
    state = LifState.zeros(batch, n, neuron)
    raster, membranes = np.empty((steps, batch, n), np.uint8), np.empty((steps, batch, n), state.v.dtype)
    for t in range(steps):
        threshold = thresholds[min(t, len(thresholds) - 1)]
        given = 0 if current is None else current[t]
        raster[t], membranes[t] = lif_step(state, drive[t], threshold, neuron, given)
    return raster, membranes
