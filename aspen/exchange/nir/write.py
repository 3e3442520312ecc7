"""A network becomes a NIR graph: one node for each population, one short chain of nodes for each connection."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from aspen._base.arrays import Array
from aspen.errors import NetworkError
from aspen.exchange.nir.metadata import KEY, describe, ungrouped
from aspen.exchange.nir.neurons import write_neuron
from aspen.network.connections import Connection, Conv, Dense, Sparse
from aspen.network.network import Network, Population
from aspen.network.neurons import Lif

MAX_WEIGHTS = 2**28
"""Most weights of one Linear node."""


@dataclass
class _Graph:
    """A graph in the making."""

    nodes: dict[str, Any] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)

    def unique(self, name: str) -> str:
        """``name``, with underscores if it is taken."""
        while name in self.nodes:
            name += "_"
        return name

    def chain(self, source: str, steps: list[tuple[str, Any]], target: str) -> None:
        """Add the nodes one behind the other, between two that stand already."""
        last = source
        for wanted, node in steps:
            name = self.unique(wanted)
            self.nodes[name] = node
            self.edges.append((last, name))
            last = name
        self.edges.append((last, target))


@dataclass
class _Writer:
    """What all parts need to know: the package, the network, the time step, and the shapes of the nodes."""

    nir: Any
    network: Network
    dt: float
    cuba: bool
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    convolutions: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.shapes = {p.name: p.shape for p in self.network.populations}
        links = [c for c in self.network.summed if isinstance(c, Conv)]
        nodes = {c.name: self.convolution(c) for c in links}
        self.convolutions = {name: node for name, node in nodes.items() if node is not None}
        while self.flatten_one():
            pass

    def flatten_one(self) -> bool:
        """Find a population that a matrix drives, whose node must be flat: NIR cannot shape the result of a matrix.

        What reads it is no convolution any more. Whether one was found.
        """
        for link in self.network.summed:
            target = self.network[link.target]
            if link.name not in self.convolutions and len(self.shapes[target.name]) > 1:
                self.shapes[target.name] = (target.size,)
                for name in [c.name for c in self.network.summed if c.source == target.name]:
                    self.convolutions.pop(name, None)
                return True
        return False

    def native(self) -> set[str]:
        """Convolutions that are read back as such from their nodes alone."""
        targets = {c.name: c.target for c in self.network.summed}
        return {name for name in self.convolutions if len(self.shapes[targets[name]]) > 1}

    def links(self, connection: Connection) -> list[tuple[str, Any]]:
        """The nodes of a connection, in order, with the names that they should have."""
        loop = connection.source == connection.target
        base = "w_rec" if loop else f"{connection.source}_to_{connection.target}"
        before, after = self.shapes[connection.source], self.shapes[connection.target]
        steps: list[tuple[str, Any]] = []
        if connection.delay > (1 if loop else 0):
            steps.append((f"{base}_delay", self.nir.Delay(delay=np.full(before, connection.delay * self.dt))))
        if connection.name in self.convolutions:
            node = self.convolutions[connection.name]
            steps.append((base, node))
            before = tuple(int(n) for n in node.output_type["output"])
            return steps + [(f"{base}_flatten", self.flatten(before))] * (before != after)
        if len(before) > 1:
            steps.append((f"{base}_flatten", self.flatten(before)))
        return [*steps, (base, self.linear(connection))]

    def flatten(self, shape: tuple[int, ...]) -> Any:
        """All dimensions become one."""
        return self.nir.Flatten(input_type={"input": np.array(shape)}, start_dim=0, end_dim=-1)

    def convolution(self, connection: Conv) -> Any:
        """The convolution as its own node, without groups; ``None`` where nir's type check takes it for another one."""
        shape = connection.input_shape
        flat = len(shape) == 2
        kind = self.nir.Conv1d if flat else self.nir.Conv2d
        weight = ungrouped(connection.weight, connection.groups)
        bias = np.zeros(len(weight), weight.dtype) if connection.bias is None else np.array(connection.bias)
        numbers = {name: getattr(connection, name) for name in ("stride", "padding", "dilation")}
        node = kind(
            input_shape=shape[1] if flat else shape[1:],
            weight=weight,
            groups=1,
            bias=bias,
            **{name: value[0] if flat else value for name, value in numbers.items()},
        )
        return node if tuple(node.output_type["output"]) == connection.output_shape else None

    def linear(self, connection: Connection) -> Any:
        """Any connection by its matrix."""
        size = prod(self.network[connection.source].shape) * prod(self.network[connection.target].shape)
        if size > MAX_WEIGHTS:
            raise NetworkError(
                f"{connection.name}: NIR has no sparse weights, and a matrix of {size} weights is over the "
                f"{MAX_WEIGHTS} allowed; use convolutions, or smaller populations"
            )
        weight = _matrix(connection)
        if connection.bias is None:
            return self.nir.Linear(weight=weight)
        return self.nir.Affine(weight=weight, bias=np.array(connection.bias_currents()))

    def population(self, graph: _Graph, population: Population) -> None:
        """The node of a population; with a loop around it, as snnTorch writes it, a graph of its own."""
        shape = self.shapes[population.name]
        if not isinstance(population.neuron, Lif):
            graph.nodes[population.name] = self.nir.Input(input_type={"input": np.array(shape)})
            return
        neuron = write_neuron(self.nir, population.neuron, shape, self.dt, self.cuba)
        loops = [c for c in self.network.incoming(population.name) if c.source == population.name]
        if loops:
            inner = _Graph({"input": None, "lif": neuron, "output": None}, [("input", "lif"), ("lif", "output")])
            inner.nodes["input"] = self.nir.Input(input_type={"input": np.array(shape)})
            inner.nodes["output"] = self.nir.Output(output_type={"output": np.array(shape)})
            inner.chain("lif", self.links(loops[0]), "lif")
            neuron = self.nir.NIRGraph(nodes=inner.nodes, edges=inner.edges)
        graph.nodes[population.name] = neuron

    def write(self) -> Any:
        """The whole graph."""
        graph, network = _Graph(), self.network
        _check_reached(network)
        for population in network.populations:
            self.population(graph, population)
        sources = self.current_input(graph)
        for connection in network.summed:
            if connection.source != connection.target:
                graph.chain(connection.source, self.links(connection), connection.target)
        end = graph.unique("output")
        graph.nodes[end] = self.nir.Output(output_type={"output": np.array(self.shapes[network.output])})
        graph.edges.append((network.output, end))
        metadata = {KEY: describe(network, self.dt, self.native(), sources)}
        return self.nir.NIRGraph(nodes=graph.nodes, edges=graph.edges, metadata=metadata)

    def current_input(self, graph: _Graph) -> dict[str, str]:
        """The Input node before neurons that take a direct current: population -> name of that node."""
        population = self.network.input
        if not isinstance(population.neuron, Lif):
            return {}
        if population.neuron.alpha.any():
            raise NetworkError(
                f"{population.name}: takes a direct current past its synaptic current, which NIR cannot say; "
                f"set alpha to 0, or put an input population before it"
            )
        name = graph.unique("input")
        graph.nodes[name] = self.nir.Input(input_type={"input": np.array(self.shapes[population.name])})
        graph.edges.append((name, population.name))
        return {population.name: name}


def _check_reached(network: Network) -> None:
    """Raise unless all populations get something from the input: a NIR graph starts there."""
    reached, ready = {network.input.name}, [network.input.name]
    while ready:
        name = ready.pop()
        found = {c.target for c in network.summed if c.source == name} - reached
        reached |= found
        ready += found
    for name in network.names:
        if name not in reached:
            raise NetworkError(f"{name}: nothing from the input reaches it, and a NIR graph starts there; remove it")


def _matrix(connection: Connection) -> Array:
    if not isinstance(connection, Sparse):
        return np.array(connection.weight if isinstance(connection, Dense) else connection.synapses().toarray())
    matrix = np.zeros(connection.shape, connection.weight.dtype)
    matrix[connection.rows, connection.columns] = connection.weight  # zeros with a sign among them stay what they are
    return matrix


def write_graph(nir: Any, network: Network, dt: float, cuba: bool) -> Any:
    """The ``nir.NIRGraph`` of a network in floating point, type checked.

    Raises:
        NetworkError: NIR cannot hold the network.
    """
    if network.is_integer:
        raise NetworkError("network: found a chip's integers, NIR holds floating point; write the trained network")
    try:
        return _Writer(nir, network, dt, cuba).write()
    except NetworkError:
        raise
    except (ValueError, AssertionError, NotImplementedError) as error:
        raise NetworkError(
            f"network: NIR refuses the graph ({error}); connect the input, and remove what leads nowhere"
        ) from error
