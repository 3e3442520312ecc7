"""The batched engine: layer after layer over all time steps, with one matrix product for all inputs of a layer.

The sums of a compiled network are integers, and float32 holds integers up to 2^24 exactly (float64 up to 2^53), so the
matrix products of the BLAS library give the reference's sums to the bit, in whatever order it adds.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aspen._arrays import Array
from aspen.connections import Connection
from aspen.network import Network
from aspen_emulator.lif import LifState, lif_step
from aspen_emulator.reference import run_reference

CHUNK_VALUES = 2**24
"""Values of the widest array that is held at once; larger batches are run in parts."""


def run_fast(network: Network, spikes: Array, thresholds: Mapping[str, Array]) -> dict[str, Array]:
    """Run all steps; arguments and results as :func:`aspen_emulator.reference.run_reference`.

    A network with a cycle (a recurrent connection) cannot be run layer by layer; it is stepped like the reference.
    """
    if _has_cycle(network):
        return run_reference(network, spikes, thresholds)
    steps, batch = spikes.shape[:2]
    widest = max(population.size for population in network.populations)
    chunk = max(1, CHUNK_VALUES // (steps * widest))
    parts = []
    for start in range(0, batch, chunk):
        part = slice(start, min(start + chunk, batch))
        own = {name: array if array.shape[1] == 1 else array[:, part] for name, array in thresholds.items()}
        parts.append(_run_layers(network, spikes[:, part], own))
    return {name: np.concatenate([rasters[name] for rasters in parts], axis=1) for name in parts[0]}


def _has_cycle(network: Network) -> bool:
    position = {name: index for index, name in enumerate([network.input.name, *network.order])}
    return any(position[connection.source] >= position[connection.target] for connection in network.connections)


def _run_layers(network: Network, spikes: Array, thresholds: Mapping[str, Array]) -> dict[str, Array]:
    steps, batch = spikes.shape[:2]
    rasters = {network.input.name: spikes}
    for name in network.order:
        drive = sum(_drive(connection, rasters[connection.source]) for connection in network.incoming(name))
        raster = _scan(network, name, np.asarray(drive), thresholds[name])
        rasters[name] = raster.reshape(steps, batch, *network[name].shape)
    return rasters


def _drive(connection: Connection, source: Array) -> Array:
    steps, batch = source.shape[:2]
    flat = source.reshape(steps * batch, -1)
    if connection.is_integer:
        total = _exact_product(flat, connection.weight)
        drive = total << connection.exponent if connection.exponent >= 0 else total >> -connection.exponent
    else:
        drive = connection.drive(flat)
    drive = drive.reshape(steps, batch, -1)
    if connection.delay:
        late = np.zeros_like(drive)
        late[connection.delay :] = drive[: max(steps - connection.delay, 0)]
        drive = late
    return drive if connection.bias is None else drive + connection.bias


def _exact_product(spikes: Array, weight: Array) -> Array:
    largest_sum = int(np.abs(weight.astype(np.int64)).sum(axis=1).max())
    dtype = np.float32 if largest_sum < 2**24 else np.float64
    return (spikes.astype(dtype) @ weight.T.astype(dtype)).astype(np.int64)


def _scan(network: Network, name: str, drive: Array, thresholds: Array) -> Array:
    neuron = network[name].neuron
    assert neuron is not None  # only populations with neurons are scanned
    steps, batch, n = drive.shape
    state = LifState.zeros(batch, n, neuron)
    raster = np.empty((steps, batch, n), np.uint8)
    for t in range(steps):
        raster[t] = lif_step(state, drive[t], thresholds[min(t, len(thresholds) - 1)], neuron)
    return raster
