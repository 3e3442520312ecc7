"""Few different thresholds, and neurons that fill the range of the integers: exact rescaling of single neurons.

A neuron whose weights, bias and threshold are all multiplied by one factor spikes as before: only the unit of its
membrane changes. So thresholds that differ can be moved into the weights, and a neuron with small weights can be scaled
up until they fill 8 bits. Both cost nothing but different thresholds, of which a core stores few.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from aspen._base.arrays import Array
from aspen.network.connections import Connection, Conv, Sparse

LARGEST_FACTOR = 16.0
"""A neuron is scaled up by this at most: 4 bits of resolution, bought with as much room for its threshold."""
BOUNDARIES = 1024
"""Places at which sorted values may be divided; with more values than that, not all are tried."""

Cost = Callable[[Array, int], Array]


@dataclass(frozen=True)
class Rescaled:
    """A population after its neurons were rescaled, still in floating point.

    Args:
        connections: incoming ones, with their weights multiplied.
        bias: population's shape.
        threshold: population's shape: what is to be stored.
        exact: population's shape: what would spike as before.
        factor: (n,), by which each neuron was multiplied.
    """

    connections: list[Connection]
    bias: Array
    threshold: Array
    exact: Array
    factor: Array


def unchanged(connections: list[Connection], bias: Array, threshold: Array) -> Rescaled:
    """Nothing rescaled; ``threshold`` is a scalar or has the population's shape."""
    return Rescaled(connections, bias, threshold, threshold, np.ones(bias.size))


def group_thresholds(
    connections: list[Connection], bias: Array, threshold: Array, groups: int, *, rescale: bool
) -> Rescaled:
    """At most ``groups`` different thresholds: the nearest on a logarithmic scale (k-means in one dimension).

    Args:
        connections: all that drive the population, with float weights.
        bias: population's shape, in units of the membrane.
        threshold: scalar or the population's shape; finite.
        groups: 1 and more.
        rescale: move what is left into the weights, where it costs nothing; else the thresholds are rounded only.
            The neurons of a channel of a convolution share their weights: there the middle of the channel counts.
    """
    full = np.broadcast_to(threshold, bias.shape).astype(np.float64).reshape(-1)
    if len(np.unique(full)) <= groups:
        return unchanged(connections, bias, threshold)
    order = np.argsort(full, kind="stable")
    logs = np.log(full[order])
    centre = np.empty(full.size)
    for start, stop in divide(logs, groups, _spread(logs)):
        centre[order[start:stop]] = np.exp(logs[start:stop].mean())
    factor = np.ones(full.size)
    if rescale:
        shared = _sharing(connections, full.size)
        factor = np.exp(np.log(centre / full).reshape(shared).mean(axis=1)).repeat(shared[1])
    return _apply(connections, bias, full, centre, factor)


def balance(
    connections: list[Connection], bias: Array, threshold: Array, groups: int, classes: Array | None = None
) -> Rescaled:
    """Scale every neuron up until its weights nearly fill the population's range, with ``groups`` different thresholds.

    Arguments as for :func:`group_thresholds`; with ``classes`` (n,), neurons of one class are scaled alike, instead of
    in ``groups``. Where neurons of a convolution's channel have different thresholds or classes, nothing is changed.
    """
    full = np.broadcast_to(threshold, bias.shape).astype(np.float64).reshape(-1)
    shared = _sharing(connections, full.size)
    by_channel = full.reshape(shared)
    largest = np.max([_largest_weights(c, full.size) for c in connections], axis=0).reshape(shared).max(axis=1)
    if (by_channel != by_channel[:, :1]).any() or not largest.any():
        return unchanged(connections, bias, threshold)
    room = np.where(largest > 0, largest.max() / np.where(largest > 0, largest, 1), 1.0)
    wanted = np.log(by_channel[:, 0] * np.minimum(room, LARGEST_FACTOR))
    reached = np.empty(wanted.size)
    if classes is not None:
        by_class = classes.reshape(shared)
        if (by_class != by_class[:, :1]).any():
            return unchanged(connections, bias, threshold)
        for one in np.unique(classes):
            members = by_class[:, 0] == one
            room_left = (wanted - np.log(by_channel[:, 0]))[members].min()  # its thresholds stay in proportion
            reached[members] = by_channel[members, 0] * np.exp(room_left)
    else:
        order = np.argsort(wanted, kind="stable")
        logs = wanted[order]
        for start, stop in divide(logs, groups, _shortfall(logs)):
            reached[order[start:stop]] = np.exp(logs[start])
    stored = reached.repeat(shared[1])
    return _apply(connections, bias, full, stored, stored / full)


def divide(values: Array, groups: int, cost: Cost) -> list[tuple[int, int]]:
    """Cut sorted ``values`` into at most ``groups`` slices with the smallest sum of costs (dynamic programming).

    Args:
        values: (n,), sorted.
        groups: most slices.
        cost: for starts (m,) and one stop: the costs (m,) of the slices.
    """
    n = len(values)
    ends = np.unique(np.linspace(0, n, min(n, BOUNDARIES) + 1).astype(np.int64))
    best = np.array([0.0, *(cost(ends[:1], int(stop))[0] for stop in ends[1:])])
    cuts = []
    for _ in range(min(groups, len(ends) - 1) - 1):
        previous, best, cut = best, best.copy(), np.zeros(len(ends), np.int64)
        for j in range(1, len(ends)):
            sums = previous[:j] + cost(ends[:j], int(ends[j]))
            cut[j] = sums.argmin()
            best[j] = sums[cut[j]]
        cuts.append(cut)
    slices, stop = [], len(ends) - 1
    for cut in reversed(cuts):
        if stop > 0:
            slices.append((int(ends[cut[stop]]), int(ends[stop])))
            stop = int(cut[stop])
    if stop > 0:
        slices.append((0, int(ends[stop])))
    return slices[::-1]


def _spread(values: Array) -> Cost:
    """Squared distances from the middle of a slice."""
    sums, squares = (np.concatenate([[0.0], np.cumsum(values**power)]) for power in (1, 2))

    def cost(starts: Array, stop: int) -> Array:
        return np.asarray(squares[stop] - squares[starts] - (sums[stop] - sums[starts]) ** 2 / (stop - starts))

    return cost


def _shortfall(values: Array) -> Cost:
    """Distances from the lowest of a slice: what its neurons could be scaled up further."""
    sums = np.concatenate([[0.0], np.cumsum(values)])

    def cost(starts: Array, stop: int) -> Array:
        return np.asarray(sums[stop] - sums[starts] - (stop - starts) * values[starts])

    return cost


def _sharing(connections: list[Connection], n: int) -> tuple[int, int]:
    """Groups of neurons that share their weights, and neurons in each: channels of a convolution, else single ones."""
    channels = [c.output_shape[0] for c in connections if isinstance(c, Conv)]
    groups = channels[0] if channels else n
    return groups, n // groups


def _largest_weights(connection: Connection, n: int) -> Array:
    """(n,): the largest magnitude among the weights of each target neuron."""
    weight = np.abs(connection.weight.astype(np.float64))
    if isinstance(connection, Sparse):
        largest = np.zeros(n)
        np.maximum.at(largest, connection.rows, weight)
        return largest
    rows = weight.reshape(len(weight), -1).max(axis=1, initial=0.0)
    return rows.repeat(n // len(rows))


def _multiplied(connection: Connection, factor: Array) -> Connection:
    """``connection`` with the weights of each target neuron multiplied by ``factor`` (n,)."""
    weight = connection.weight.astype(np.float64)
    if isinstance(connection, Sparse):
        return replace(connection, weight=weight * factor[connection.rows])
    rows = factor.reshape(len(weight), -1)[:, 0]
    scaled = weight * rows.reshape(-1, *[1] * (weight.ndim - 1))
    return replace(connection, weight=scaled)  # type: ignore[type-var]


def _apply(connections: list[Connection], bias: Array, threshold: Array, stored: Array, factor: Array) -> Rescaled:
    return Rescaled(
        connections=[_multiplied(connection, factor) for connection in connections],
        bias=bias * factor.reshape(bias.shape),
        threshold=stored.reshape(bias.shape),
        exact=(threshold * factor).reshape(bias.shape),
        factor=factor,
    )
