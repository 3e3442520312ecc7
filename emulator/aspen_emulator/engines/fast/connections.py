"""What the compiled core needs of each kind of connection: weights by source, in the order that is fastest to add."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np

from aspen._base.arrays import Array
from aspen.network.connections import Connection, Conv, Dense
from aspen.network.reset import ResetSynapse
from aspen_emulator.engines.fast.kernels import DENSE, ROWS, SINGLE


@dataclass(frozen=True)
class Synapses:
    """A connection as tables. Neurons are numbered as the core holds them, not as the network does.

    Args:
        kind: ``DENSE``: ``weights`` (n_source, padded target); ``ROWS``: short rows of weights; ``SINGLE``: one by one.
        weights: flat, or (n_source, n_target).
        index: two flat tables: where each source's synapses are, and where they lead; see the core's functions.
        fan_out: (n_source,) synapses other than zero.
    """

    kind: int
    weights: Array
    index: tuple[Array, Array]
    fan_out: Array


def synapses_of(connection: Connection, source_order: Array, target_order: Array) -> Synapses:
    """The tables of a connection.

    Args:
        connection: any kind; one without an own layout is taken by its single synapses.
        source_order, target_order: the network's index of each neuron, in the core's order.
    """
    if isinstance(connection, ResetSynapse):  # the neuron's step subtracts them; here they only count
        empty = np.zeros(0, np.int64)
        return Synapses(SINGLE, empty, (empty, empty), np.ones(len(connection.weight), np.int64))
    if isinstance(connection, Dense):
        weights = connection.weight[target_order][:, source_order].T
        empty = np.zeros(0, np.int64)
        return Synapses(DENSE, weights, (empty, empty), np.count_nonzero(weights, axis=1))
    if isinstance(connection, Conv) and connection.weight.shape[0] > connection.groups:
        return _rows_of(connection, source_order)
    return _single_synapses_of(connection, source_order, target_order)


def _single_synapses_of(connection: Connection, source_order: Array, target_order: Array) -> Synapses:
    matrix = connection.synapses()[target_order][:, source_order].tocsc()
    matrix.eliminate_zeros()
    fan_out = np.diff(matrix.indptr).astype(np.int64)
    return Synapses(SINGLE, matrix.data, (matrix.indptr, matrix.indices), fan_out)


def _rows_of(connection: Conv, source_order: Array) -> Synapses:
    """Rows along the output channels, which the core keeps side by side; neighbouring kernel columns that lead to
    neighbouring places make one row."""
    per_group = connection.weight.shape[0] // connection.groups
    taps = _tap_order(connection)
    places, targets = _reached(connection, taps)
    weights = _weights_by_tap(connection, taps)  # (channels in, taps, channels out per group)
    channels, size = connection.input_shape[0], prod(connection.input_shape[1:])
    tap = np.broadcast_to(np.arange(len(taps)), targets.shape)
    inside = targets >= 0
    first_target, first_weight = targets[inside] * connection.weight.shape[0], tap[inside] * per_group
    place = np.broadcast_to(places[:, None], targets.shape)[inside]
    follows = np.zeros(len(place), bool)
    if len(place):
        follows[1:] = (
            (np.diff(place) == 0)
            & (np.diff(first_weight) == per_group)
            & (np.diff(first_target) == per_group)
            & (connection.groups == 1)
        )
    starts = np.flatnonzero(~follows)
    lengths = np.diff([*starts, len(place)]) * per_group
    runs = np.stack([first_target[starts], first_weight[starts], lengths], axis=1)
    ends = np.searchsorted(place[starts], np.arange(size + 1))
    channel, spot = source_order // size, source_order % size
    group = channel // (channels // connection.groups)
    own = np.stack([spot, channel * len(taps) * per_group, group * per_group], axis=1)
    # rows are found by a pointer for each place; the table of rows begins behind the pointers
    table = np.concatenate([ends + (size + 1 + 2) // 3, np.zeros(-(size + 1) % 3, np.int64), runs.ravel()])
    counts = np.count_nonzero(weights, axis=2)  # (channels in, taps)
    fan_out = (inside.astype(np.int64) @ counts.T.astype(np.int64))[spot, channel]
    return Synapses(ROWS, weights.ravel(), (own.ravel(), table), fan_out)


def _tap_order(connection: Conv) -> list[tuple[int, ...]]:
    """The kernel's taps, so ordered that those which a source reaches side by side follow each other."""
    kernel, stride = connection.weight.shape[2:], connection.stride[-1]
    columns = sorted(range(kernel[-1]), key=lambda k: (k % stride, -k))
    return [(*front, k) for front in product(*(range(n) for n in kernel[:-1])) for k in columns]


def _reached(connection: Conv, taps: list[tuple[int, ...]]) -> tuple[Array, Array]:
    """(places of the source,) and (places, taps): the place of the target that each tap leads to, or -1."""
    size, out = connection.input_shape[1:], connection.output_shape[1:]
    grid = np.stack(np.unravel_index(np.arange(prod(size)), size), axis=1)  # (places, dims)
    kernel = np.array(taps).reshape(len(taps), len(size))
    shifted = grid[:, None] + np.array(connection.padding) - kernel * np.array(connection.dilation)
    target, rest = np.divmod(shifted, np.array(connection.stride))
    inside = ((rest == 0) & (target >= 0) & (target < np.array(out))).all(axis=2)
    flat = (target * np.array([prod(out[i + 1 :]) for i in range(len(out))])).sum(axis=2)
    return np.arange(prod(size)), np.where(inside, flat, -1)


def _weights_by_tap(connection: Conv, taps: list[tuple[int, ...]]) -> Array:
    """(channels in, taps, channels out of its group)."""
    per_group, channels = connection.weight.shape[0] // connection.groups, connection.weight.shape[1]
    grouped = connection.weight.reshape(connection.groups, per_group, channels, *connection.weight.shape[2:])
    flat = np.ravel_multi_index(tuple(np.array(taps).T), connection.weight.shape[2:])
    chosen = grouped.reshape(*grouped.shape[:3], -1)[..., flat]  # (groups, out, in, taps)
    return chosen.transpose(0, 2, 3, 1).reshape(connection.groups * channels, len(taps), per_group)
