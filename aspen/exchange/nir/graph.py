"""A NIR graph laid flat: nested graphs are opened, and the shapes of all nodes are found."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from aspen.errors import FileFormatError, NetworkError
from aspen.exchange.nir.linear import OPERATIONS, Operation, read_sizes
from aspen.exchange.nir.neurons import NEURONS, REMEDIES, neuron_shape

MAX_DEPTH = 16
MAX_NODES = 20_000
_DIMENSIONS = {"Affine": 1, "Linear": 1, "Conv1d": 2, "Conv2d": 3, "AvgPool2d": 3, "SumPool2d": 3}
"""Number of dimensions of what these nodes take."""

Edge = tuple[str, str]


@dataclass
class Flat:
    """A graph without nested graphs, and what has been found out about its nodes.

    ``start`` is the Input of the whole graph; ``shapes`` are those of the outputs, ``operations`` what linear nodes do.
    """

    start: str = ""
    nodes: dict[str, Any] = field(default_factory=dict)
    before: dict[str, list[str]] = field(default_factory=dict)
    after: dict[str, list[str]] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)

    def kind(self, name: str) -> str:
        """Type of a node."""
        return type(self.nodes[name]).__name__

    def is_source(self, name: str) -> bool:
        """Whether a node is a neuron or the input of the whole graph."""
        return self.kind(name) in NEURONS or name == self.start


def flatten(graph: Any) -> Flat:
    """Lay nested graphs flat. A nested graph with one neuron gives this neuron its name."""
    flat = Flat()
    edges: list[Edge] = []
    _add_graph(flat, edges, graph, "", 0)
    for name in flat.nodes:
        flat.before[name], flat.after[name] = [], []
    for source, target in sorted(edges):
        if target in flat.after[source]:
            raise FileFormatError(f"edge {source} -> {target}: found twice, allowed is once; add the weights")
        flat.after[source].append(target)
        flat.before[target].append(source)
    starts = [name for name in flat.nodes if flat.kind(name) == "Input" and not flat.before[name]]
    if len(starts) != 1:
        raise NetworkError(f"NIR graph: found the inputs {sorted(starts)[:8]}, allowed is one; join them before")
    flat.start = starts[0]
    return flat


def _add_graph(flat: Flat, edges: list[Edge], graph: Any, prefix: str, depth: int) -> tuple[str, str]:
    """Add the nodes and edges of ``graph``; the names of its Input and Output, where it has one of each."""
    nodes = getattr(graph, "nodes", None)
    if depth > MAX_DEPTH or not isinstance(nodes, dict) or len(flat.nodes) + len(nodes) > MAX_NODES:
        raise FileFormatError(
            f"graph {prefix or 'NIR'}: found no nodes, more than {MAX_NODES} or depth over {MAX_DEPTH}; simplify it"
        )
    neurons = [name for name, node in nodes.items() if type(node).__name__ in NEURONS]
    ends: dict[str, tuple[str, str]] = {}
    for name, node in nodes.items():
        own = prefix if prefix and neurons == [name] else f"{prefix}.{name}" if prefix else str(name)
        if type(node).__name__ == "NIRGraph":
            ends[name] = _add_graph(flat, edges, node, own, depth + 1)
            continue
        _check_type(own, node)
        if own in flat.nodes:
            raise FileFormatError(f"node {own}: found twice, allowed are unique names; rename one")
        flat.nodes[own] = node
        ends[name] = (own, own)
    for edge in graph.edges:
        source, target = (str(end) for end in edge) if len(edge) == 2 else ("", "")
        if source not in ends or target not in ends:
            raise FileFormatError(f"edge {source} -> {target}: found an unknown node, allowed are {sorted(ends)[:20]}")
        edges.append((ends[source][1], ends[target][0]))
    if not depth:
        return "", ""
    return _end(prefix, nodes, ends, "Input"), _end(prefix, nodes, ends, "Output")


def _end(prefix: str, nodes: dict[str, Any], ends: dict[str, tuple[str, str]], kind: str) -> str:
    found = [ends[name][0] for name, node in nodes.items() if type(node).__name__ == kind]
    if len(found) != 1:
        raise NetworkError(f"{prefix} (NIRGraph): found {len(found)} nodes of type {kind}, allowed is one; split it")
    return found[0]


def _check_type(name: str, node: Any) -> None:
    kind = type(node).__name__
    if kind not in OPERATIONS and kind not in NEURONS:
        allowed = ", ".join([*NEURONS, *OPERATIONS])
        remedy = REMEDIES.get(kind, "replace it")
        raise NetworkError(f"{name} ({kind}): found a node without a counterpart, allowed are {allowed}; {remedy}")


def infer_shapes(flat: Flat, dt: float) -> None:
    """Shapes of all nodes, from the input onwards; raises where they do not fit together."""
    arriving: dict[str, tuple[int, ...]] = {}
    flat.shapes[flat.start] = _input_shape(flat, flat.start)
    ready = deque([flat.start])
    for name, node in flat.nodes.items():
        if flat.kind(name) in NEURONS and prod(neuron_shape(name, node)) > 1:
            arriving[name] = flat.shapes[name] = read_sizes(name, neuron_shape(name, node))
            ready.append(name)
    while ready:
        name = ready.popleft()
        for then in flat.after[name]:
            if then not in arriving:
                arriving[then] = flat.shapes[name]
                flat.shapes[then] = _output_shape(flat, then, flat.shapes[name], dt)
                ready.append(then)
    for name in flat.nodes:
        if name not in flat.shapes:
            raise NetworkError(f"{name} ({flat.kind(name)}): nothing from the input reaches this node; remove it")
        for source in flat.before[name]:
            _check_arriving(flat, name, arriving, flat.shapes[source])


def _check_arriving(flat: Flat, name: str, arriving: dict[str, tuple[int, ...]], shape: tuple[int, ...]) -> None:
    wanted = arriving[name]
    if shape == wanted or (flat.kind(name) == "Output" and prod(shape) == prod(wanted)):
        return
    if flat.kind(name) in NEURONS and _spreads(wanted, shape):
        flat.shapes[name] = arriving[name] = shape
        return
    raise FileFormatError(f"{name} ({flat.kind(name)}): found an input of shape {shape}, allowed is {wanted}")


def _spreads(small: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(small, shape) == shape and small != shape
    except ValueError:
        return False


def _output_shape(flat: Flat, name: str, shape: tuple[int, ...], dt: float) -> tuple[int, ...]:
    node = flat.nodes[name]
    if flat.kind(name) in NEURONS:
        return shape
    try:
        operation = OPERATIONS[flat.kind(name)](name, node, shape, dt)
    except NetworkError as error:
        raise NetworkError(f"{name} ({flat.kind(name)}): {error}") from error
    flat.operations[name] = operation
    return operation.shape


def _input_shape(flat: Flat, start: str) -> tuple[int, ...]:
    """Shape of the input; without the batch of 1 that some writers put before it."""
    shape = read_sizes(start, (getattr(flat.nodes[start], "input_type", None) or {}).get("input"))
    wanted = [_DIMENSIONS.get(flat.kind(name), 0) for name in flat.after[start]]
    wanted += [len(neuron_shape(name, flat.nodes[name])) for name in flat.after[start] if flat.kind(name) in NEURONS]
    dimensions = max(wanted, default=0)
    while dimensions and len(shape) > dimensions and shape[0] == 1:
        shape = shape[1:]
    return shape
