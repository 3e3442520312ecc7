"""What the compiled core needs of each kind of connection: weights by source, in the order that is fastest to add."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np

from aspen._base.arrays import Array
from aspen.network.connections import Connection, Conv, Dense
from aspen.network.reset import ResetSynapse
from aspen_emulator.engines.fast.core.columns import DENSE, ROWS, SINGLE


@dataclass(frozen=True)
class Synapses:
    """A connection as tables. Neurons are numbered as the core holds them, not as the network does.

    Args:
        kind: ``DENSE``: ``weights`` (n_source, padded target); ``ROWS``: short rows of weights; ``SINGLE``: one by one.
        weights: flat, or (n_source, n_target).
        index: two flat tables. ``SINGLE``: where each source's synapses are, and where they lead. ``ROWS``: how sources
            are numbered, and the runs of weights of each line (all spatial dimensions but the last), then those of each
            column; a line's and a column's runs together lead to the targets.
        fan_out: (n_source,) synapses other than zero.
        longest: weights in the longest of the short rows.
    """

    kind: int
    weights: Array
    index: tuple[Array, Array]
    fan_out: Array
    longest: int = 0


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
        return _rows_of(connection, channels_last=bool((np.diff(source_order) != 1).any()))
    return _single_synapses_of(connection, source_order, target_order)


def _single_synapses_of(connection: Connection, source_order: Array, target_order: Array) -> Synapses:
    matrix = connection.synapses()[target_order][:, source_order].tocsc()
    matrix.eliminate_zeros()
    fan_out = np.diff(matrix.indptr).astype(np.int64)
    return Synapses(SINGLE, matrix.data, (matrix.indptr, matrix.indices), fan_out)


def _rows_of(connection: Conv, channels_last: bool) -> Synapses:
    """Rows along the output channels, which the core keeps side by side; neighbouring kernel columns that lead to
    neighbouring places make one row."""
    outputs, per_group = connection.weight.shape[0], connection.weight.shape[0] // connection.groups
    kernel, stride = connection.weight.shape[2:], connection.stride[-1]
    # those columns of the kernel that a source reaches side by side follow each other
    columns = sorted(range(kernel[-1]), key=lambda k: (k % stride, -k))
    fronts = list(product(*(range(n) for n in kernel[:-1])))
    to_lines = reached(connection, slice(0, -1), fronts)
    to_columns = reached(connection, slice(-1, None), [(k,) for k in columns])
    weights = _weights_by_tap(connection, [(*front, k) for front in fronts for k in columns])
    channels, of_group, taps = connection.input_shape[0], connection.weight.shape[1], weights.shape[1]
    lines = runs(to_lines, connection.output_shape[-1] * outputs, len(columns) * per_group, joined=False)
    rows = runs(to_columns, outputs, per_group, joined=connection.groups == 1)
    places, width = prod(connection.input_shape[1:]), connection.input_shape[-1]
    header = [channels_last, channels, places, width, taps * per_group, of_group, per_group]
    counts = np.count_nonzero(weights, axis=2).reshape(channels, len(fronts), len(columns))
    inside = (to_lines >= 0).astype(np.int64), (to_columns >= 0).astype(np.int64)
    fan_out = np.einsum("lf,wk,cfk->clw", *inside, counts, optimize=True).reshape(channels, places)
    return Synapses(
        ROWS, weights.ravel(), (np.array([*header, *lines], np.int64), rows),
        (fan_out.T if channels_last else fan_out).ravel(), len(columns) * per_group,
    )  # fmt: skip


def runs(targets: Array, to_step: int, of_step: int, joined: bool) -> Array:
    """For each place (and one more) where its runs begin, counted from here; then target, weight, length of each.

    Args:
        targets: (places, taps), the target that each tap leads to, or -1; or the other way around.
        to_step, of_step: what lies between neighbouring targets and between the weights of neighbouring taps.
        joined: whether neighbouring targets by neighbouring taps are one run.
    """
    place, tap = np.nonzero(targets >= 0)
    to, of = targets[place, tap] * to_step, tap * of_step
    follows = np.zeros(len(place), bool)
    if joined:
        follows[1:] = (np.diff(place) == 0) & (np.diff(of) == of_step) & (np.diff(to) == to_step)
    starts = np.flatnonzero(~follows)
    lengths = np.diff([*starts, len(place)]) * of_step
    ends = np.searchsorted(place[starts], np.arange(len(targets) + 1))
    return np.concatenate([len(ends) + 3 * ends, np.stack([to[starts], of[starts], lengths], axis=1).ravel()])


def reached(connection: Conv, dims: slice, taps: list[tuple[int, ...]]) -> Array:
    """(places, taps), counted along some of the spatial dimensions: the target that each tap leads to, or -1."""
    size, out = connection.input_shape[1:][dims], connection.output_shape[1:][dims]
    grid = np.stack(np.unravel_index(np.arange(prod(size)), size), axis=1) if size else np.zeros((1, 0), np.int64)
    kernel = np.array(taps, np.int64).reshape(len(taps), len(size))
    padding, dilation, stride = (
        np.array(each[dims], np.int64) for each in (connection.padding, connection.dilation, connection.stride)
    )
    target, rest = np.divmod(grid[:, None] + padding - kernel * dilation, stride)
    inside = ((rest == 0) & (target >= 0) & (target < np.array(out, np.int64))).all(axis=2)
    flat = (target * np.array([prod(out[i + 1 :]) for i in range(len(out))], np.int64)).sum(axis=2)
    return np.where(inside, flat, -1)


def _weights_by_tap(connection: Conv, taps: list[tuple[int, ...]]) -> Array:
    """(channels in, taps, channels out of its group)."""
    per_group, channels = connection.weight.shape[0] // connection.groups, connection.weight.shape[1]
    grouped = connection.weight.reshape(connection.groups, per_group, channels, *connection.weight.shape[2:])
    flat = np.ravel_multi_index(tuple(np.array(taps).T), connection.weight.shape[2:])
    chosen = grouped.reshape(*grouped.shape[:3], -1)[..., flat]  # (groups, out, in, taps)
    return chosen.transpose(0, 2, 3, 1).reshape(connection.groups * channels, len(taps), per_group)


def largest_signed_sum(connection: Connection) -> float:
    """The largest magnitude that a sum of weights reaches, whichever of its sources spike; at most
    :attr:`Connection.largest_sum`, as weights of both signs never add up."""
    if not isinstance(connection, Conv | Dense):
        return connection.largest_sum
    rows = connection.weight.reshape(len(connection.weight), -1)
    return float(max(np.maximum(rows, 0).sum(axis=1).max(), -np.minimum(rows, 0).sum(axis=1).min()))


def common_bits(connections: list[Connection]) -> int:
    """How many of the lowest bits are zero in all of their integer weights."""
    bits = int(np.bitwise_or.reduce([np.bitwise_or.reduce(c.weight, axis=None, initial=0) for c in connections]))
    return (bits & -bits).bit_length() - 1 if bits else 0
