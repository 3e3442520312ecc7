"""Sums of weights that are made for all steps at once, by matrix products."""

from __future__ import annotations

import numpy as np

from aspen._base.arrays import Array
from aspen.network.connections import Connection
from aspen_emulator.engines.fast.plan import Plan


def product(plan: Plan, connection: Connection, source: Array) -> Array:
    """Sums for a dense connection: (steps, rows, n_target) floats, exact for integer weights.

    Args:
        plan: of the network.
        connection: whose weights.
        source: (steps, rows, n_source) spikes, in the core's order.
    """
    weights = plan.matrix(connection)
    flat = source.reshape(-1, source.shape[2]).astype(weights.dtype)
    return (flat @ weights).reshape(*source.shape[:2], -1)


def analog_drive(plan: Plan, connection: Connection, values: Array, time: slice, samples: slice) -> Array:
    """Weighted analog values of a chunk, (steps, batch, n_target) float64; a delay reaches back before the chunk."""
    start, stop = (max(edge - connection.delay, 0) for edge in (time.start, time.stop))
    arriving = np.asarray(values[start:stop, samples], np.float64)
    steps, batch = time.stop - time.start, samples.stop - samples.start
    drive = np.zeros((steps, batch, plan.populations[connection.target].size))
    if stop > start:
        sums = connection.accumulate(arriving.reshape((stop - start) * batch, -1))
        drive[steps - (stop - start) :] = sums[:, plan.orders[connection.target]].reshape(stop - start, batch, -1)
    return drive
