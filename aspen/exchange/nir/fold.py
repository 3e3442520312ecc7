"""Linear nodes between two populations are folded into one connection."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np

from aspen._base.arrays import Array
from aspen.errors import NetworkError
from aspen.exchange.nir.graph import Edge, Flat
from aspen.exchange.nir.linear import Operation, add, chain, from_matrix, identity, written_out
from aspen.network.connections import Connection, Conv

Key = tuple[str, int]
"""Where something comes from, and after how many time steps."""
Way = tuple[int, Connection | None, Array | None]
"""From one population to another: delay, map and constant."""


@dataclass
class _Paths:
    """For each node what reaches its output.

    ``maps`` has what leads there, ``None`` for the identity; ``constants`` what is added on that way. A constant that
    several ways have in common is counted with the first.
    """

    maps: dict[str, dict[Key, Connection | None]] = field(default_factory=dict)
    constants: dict[str, dict[Key, Array]] = field(default_factory=dict)


def fold(flat: Flat, neurons: list[str]) -> list[Connection]:
    """The connections between the populations, named by their nodes."""
    paths = _follow(flat)
    found: dict[Edge, Way] = {}
    for target in neurons:
        for last in flat.before[target]:
            for (source, delay), link in paths.maps[last].items():
                constant = paths.constants[last].get((source, delay))
                steps = max(delay, 1) if source == target else delay
                found[source, target] = _join(flat, found, (source, target), (steps, link, constant))
    return [_finish(flat, ends, *what) for ends, what in found.items()]


def _join(flat: Flat, found: dict[Edge, Way], ends: Edge, new: Way) -> Way:
    """Add a second way between two populations to the first."""
    if ends not in found:
        return new
    delay, link, constant = found[ends]
    if delay != new[0]:
        raise NetworkError(
            f"{ends[0]} -> {ends[1]}: found the delays {delay} and {new[0]}, allowed is one between two populations; "
            f"put neurons in between"
        )
    name = f"{ends[0]}->{ends[1]}"
    return delay, add(name, link, new[1], prod(flat.shapes[ends[0]])), _sum(constant, new[2])


def _sum(one: Array | None, two: Array | None) -> Array | None:
    return two if one is None else one if two is None else one + two


def _follow(flat: Flat) -> _Paths:
    """Fold the linear nodes in order, each into those that feed it."""
    paths = _Paths()
    for name in flat.nodes:
        if flat.is_source(name):
            paths.maps[name], paths.constants[name] = {(name, 0): None}, {}
    waiting = {name: sum(b not in paths.maps for b in flat.before[name]) for name in flat.operations}
    ready = deque(name for name, count in waiting.items() if not count)
    while ready:
        name = ready.popleft()
        _follow_one(flat, paths, name)
        for then in flat.after[name]:
            if then in waiting:
                waiting[then] -= 1
                if not waiting[then]:
                    ready.append(then)
    left = sorted(set(flat.operations) - set(paths.maps))
    if left:
        raise NetworkError(f"NIR graph: found a cycle of linear nodes {left[:8]}, allowed are cycles with neurons")
    return paths


def _follow_one(flat: Flat, paths: _Paths, name: str) -> None:
    maps: dict[Key, Connection | None] = {}
    constants: dict[Key, Array | None] = {}
    for before in flat.before[name]:
        for key, link in paths.maps[before].items():
            size = prod(flat.shapes[key[0]])
            maps[key] = add(name, maps[key], link, size) if key in maps else link
            constants[key] = _sum(constants.get(key), paths.constants[before].get(key))
    operation = flat.operations[name]
    done = {key: _pass(name, operation, constant) for key, constant in constants.items() if constant is not None}
    if operation.bias is not None and maps:
        first = min(maps)
        done[first] = operation.bias if first not in done else done[first] + operation.bias
    paths.constants[name] = {(source, delay + operation.delay): c for (source, delay), c in done.items()}
    paths.maps[name] = {
        (source, delay + operation.delay): chain(name, link, operation.link) for (source, delay), link in maps.items()
    }


def _pass(name: str, operation: Operation, constant: Array) -> Array:
    """What becomes of a constant that arrives at a node."""
    if operation.delay and constant.any():
        raise NetworkError(f"{name} (Delay): found a bias before it, allowed is one after it; put the Delay first")
    if operation.link is None:
        return constant
    return np.asarray(operation.link.accumulate(constant.astype(np.float64)[None])[0])


def _finish(flat: Flat, ends: Edge, delay: int, link: Connection | None, constant: Array | None) -> Connection:
    """The connection, with its names, delay and bias; a convolution where it still is one."""
    source, target = ends
    made: Connection = link or identity(f"{source}->{target}", prod(flat.shapes[source]))
    bias = constant
    if isinstance(made, Conv):
        by_channel = None if constant is None else constant.reshape(made.weight.shape[0], -1)
        fits = (made.input_shape, made.output_shape) == (flat.shapes[source], flat.shapes[target])
        if fits and (by_channel is None or (by_channel == by_channel[:, :1]).all()):
            bias = None if by_channel is None else by_channel[:, 0]
        else:
            made = from_matrix(made.name, written_out(made))
    try:
        done: Connection = replace(made, source=source, target=target, bias=bias, delay=delay)  # type: ignore[type-var]
    except NetworkError as error:
        raise NetworkError(f"{source} -> {target}: {error}") from error
    return done
