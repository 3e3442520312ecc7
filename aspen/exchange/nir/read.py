"""A NIR graph becomes a network, as its nodes say; metadata aside."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import replace
from typing import Any

from aspen.errors import NetworkError
from aspen.exchange.nir.fold import fold
from aspen.exchange.nir.graph import Flat, flatten, infer_shapes
from aspen.exchange.nir.neurons import NEURONS, read_neuron
from aspen.network.network import Network, Population
from aspen.network.neurons import Lif


def read_network(graph: Any, dt: float, reset: str, current: bool, output: str | None) -> Network:
    """The network that the nodes of ``graph`` describe, metadata aside.

    Args:
        graph: a ``nir.NIRGraph``.
        dt: time step in seconds.
        reset: of every neuron.
        current: whether the input is a direct current.
        output: name of the output population, where the graph has more than one Output.
    """
    flat = flatten(graph)
    start = flat.start
    infer_shapes(flat, dt)
    order = _walk(flat)
    names = _population_names(flat, order)
    populations = [Population(names[start], flat.shapes[start], None, current)]
    for node in order[1:]:
        lif = read_neuron(node, flat.nodes[node], flat.shapes[node], dt, reset)
        populations.append(Population(names[node], flat.shapes[node], lif))
    connections = [
        replace(link, source=names[link.source], target=names[link.target])  # type: ignore[type-var]
        for link in fold(flat, order[1:])
    ]
    chosen = output if output in names.values() else names[_output(flat)]
    end = next((p.neuron for p in populations if p.name == chosen), None)
    readout = "membrane" if isinstance(end, Lif) and not end.fires else "spikes"
    return Network(tuple(populations), tuple(connections), chosen or "", readout=readout)


def _walk(flat: Flat) -> list[str]:
    """The input, and all neurons in the order in which they are reached from it, those not reached last."""
    seen, ready = {flat.start: None}, deque([flat.start])
    while ready:
        for then in flat.after[ready.popleft()]:
            if then not in seen:
                seen[then] = None
                ready.append(then)
    seen |= dict.fromkeys(flat.nodes)
    return [name for name in seen if flat.is_source(name)]


def _population_names(flat: Flat, order: list[str]) -> dict[str, str]:
    """Names that a population may have, unique."""
    names: dict[str, str] = {}
    for node in order:
        name = re.sub(r"[^A-Za-z0-9_.-]", "_", node)
        name = name if re.match(r"[A-Za-z_]", name) else f"layer_{name}"
        while name in names.values():
            name += "_"
        names[node] = name
    return names


def _output(flat: Flat) -> str:
    """The neurons whose spikes or membranes leave the graph."""
    ends = [name for name in flat.nodes if flat.kind(name) == "Output" and not flat.after[name]]
    found = ends
    while len(found) == 1 and not flat.is_source(found[0]):
        operation = flat.operations[found[0]]
        if operation.link is not None or operation.delay:
            break
        found = flat.before[found[0]]
    if len(ends) != 1 or len(found) != 1 or flat.kind(found[0]) not in NEURONS:
        raise NetworkError(
            f"NIR graph: found the outputs {sorted(ends)} behind {sorted(found)}, allowed is one Output right behind "
            f"neurons; remove the others, and end a linear read-out in a LI or LIF layer"
        )
    return found[0]
