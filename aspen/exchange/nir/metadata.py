"""What NIR cannot say, kept in the graph's metadata under ``aspen``; read back where it agrees with the nodes.

The entry ``header`` is JSON: time step, populations with their shapes and resets, connections with their kinds, the
output and the provenance. Arrays stand beside it: ``p0.beta`` is the decay of the first population, exactly.
Nodes that were changed since win over the metadata.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from aspen._base.arrays import Array
from aspen.errors import FileFormatError
from aspen.exchange.nir.linear import identity, written_out
from aspen.network.connections import CONNECTION_KINDS, Connection, Conv, Dense
from aspen.network.graded import GradedInput
from aspen.network.network import Network, Population
from aspen.network.neurons import Lif

KEY = "aspen"
VERSION = 1
ROUNDING = {np.dtype(np.float32): 1e-6}
"""How far a value read from a node may lie from the exact one, by the node's type; else 1e-12."""


def describe(network: Network, dt: float, native: set[str], sources: Mapping[str, str]) -> dict[str, Any]:
    """The metadata of a graph.

    Args:
        network: what is written.
        dt: time step in seconds.
        native: names of the convolutions that are nodes of their own.
        sources: population with neurons that takes a current -> name of the Input node before it.
    """
    arrays: dict[str, Any] = {}
    populations = []
    for i, population in enumerate(network.populations):
        neuron = population.neuron
        entry = {"name": population.name, "shape": list(population.shape), "current": population.current}
        entry["graded"] = None if population.graded is None else asdict(population.graded)
        entry |= {"static": population.static, "gate": population.gate, "held": population.held}
        entry |= {"input": sources.get(population.name), "reset": neuron.reset if neuron else None}
        populations.append(entry)
        arrays |= {f"p{i}.{name}": getattr(neuron, name) for name in Lif.array_fields if neuron is not None}
    connections = []
    for i, connection in enumerate(network.summed):
        values = {name: getattr(connection, name) for name in connection.value_fields}
        connections.append({"kind": connection.kind, **values, "bias": connection.bias is not None})
        arrays |= {f"c{i}.{name}": array for name, array in _kept(connection, connection.name in native).items()}
    header = {"version": VERSION, "dt": dt, "output": network.output, "readout": network.readout}
    header["provenance"] = dict(network.provenance)
    header |= {"populations": populations, "connections": connections}
    # an array without dimensions is written as a number: nir compresses arrays, and HDF5 compresses no single numbers
    return {"header": json.dumps(header)} | {name: array[()] for name, array in arrays.items() if array.size}


def _kept(connection: Connection, native: bool) -> dict[str, Array]:
    """Arrays that the nodes do not hold as they are."""
    if isinstance(connection, Dense) or native:
        return {}
    fields = ("rows", "columns") if connection.kind == "sparse" else ("weight", "bias")
    return {field: getattr(connection, field) for field in fields if getattr(connection, field) is not None}


def read_header(graph: Any) -> tuple[dict[str, Any], dict[str, Array]]:
    """Header and arrays of the graph's metadata; both empty where it has none of ours.

    Raises:
        FileFormatError: they are malformed, or of a newer version.
    """
    found = (getattr(graph, "metadata", None) or {}).get(KEY)
    if found is None:
        return {}, {}
    try:
        header = json.loads(found["header"])
        version, dt = header["version"], float(header["dt"])
        arrays = {name: np.asarray(value) for name, value in found.items() if name != "header"}
        if not isinstance(header["populations"], list) or not isinstance(header["connections"], list):
            raise TypeError("no lists")
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise FileFormatError(f"metadata {KEY!r}: incomplete or malformed ({error!r}); write the file again") from error
    if not isinstance(version, int) or not 1 <= version <= VERSION or not (np.isfinite(dt) and dt > 0):
        raise FileFormatError(
            f"metadata {KEY!r}: found version {version!r} and time step {dt!r}, allowed are versions up to {VERSION} "
            f"and steps above 0; install a newer ASPEN"
        )
    return header, arrays


def restore(network: Network, header: Mapping[str, Any], arrays: Mapping[str, Array]) -> Network:
    """The network as it was written; what the nodes say otherwise is left as the nodes say.

    Args:
        network: what the nodes say.
        header, arrays: from :func:`read_header`.

    Raises:
        FileFormatError: the metadata is malformed.
    """
    if not header:
        return network
    try:
        network = _drop_input_nodes(network, header)
        populations = {p.name: p for p in network.populations}
        found: dict[str, Population] = {}
        for i, entry in enumerate(header["populations"]):
            if entry["name"] in populations:
                found[entry["name"]] = _restore_population(populations[entry["name"]], entry, arrays, i)
        links = {c.name: c for c in network.summed}
        kept: dict[str, Connection] = {}
        for i, entry in enumerate(header["connections"]):
            name = f"{entry['source']}->{entry['target']}"
            if name in links:
                kept[name] = _restore_connection(links[name], entry, arrays, i)
        output = header["output"] if header["output"] in populations else network.output
        return Network(
            tuple((found | {n: p for n, p in populations.items() if n not in found}).values()),
            tuple((kept | {n: c for n, c in links.items() if n not in kept}).values()),
            output,
            header["provenance"],
            header.get("readout", "spikes"),
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise FileFormatError(
            f"metadata {KEY!r}: does not fit the nodes ({error}); write the file again, or remove the metadata"
        ) from error


def _drop_input_nodes(network: Network, header: Mapping[str, Any]) -> Network:
    """Without the Input node before neurons that take a direct current themselves."""
    start = network.input.name
    entry = next((e for e in header["populations"] if e["input"] == start and e["current"]), None)
    out = [c for c in network.summed if c.source == start]
    if entry is None or len(out) != 1 or out[0].target != entry["name"]:
        return network
    neuron = network[entry["name"]].neuron
    if not isinstance(neuron, Lif) or neuron.alpha.any() or not _same(identity(start, network.input.size), out[0]):
        return network  # changed since: no longer a current that goes straight to the membrane
    populations = [replace(p, current=p.name == entry["name"]) for p in network.populations if p.name != start]
    links = [c for c in network.summed if c.source != start]
    return Network(tuple(populations), tuple(links), network.output, readout=network.readout)


def _restore_population(population: Population, entry: Mapping[str, Any], arrays: Mapping[str, Array], i: int) -> Any:
    shape = tuple(int(n) for n in entry["shape"])
    if Population(population.name, shape).size != population.size:
        return population
    current, static, gate, held = (bool(entry.get(flag, False)) for flag in ("current", "static", "gate", "held"))
    neuron = population.neuron
    if not isinstance(neuron, Lif):
        graded = None if entry.get("graded") is None else GradedInput(**entry["graded"])
        return Population(population.name, shape, None, current, graded, static)
    exact = {name: _closest(getattr(neuron, name), arrays.get(f"p{i}.{name}"), shape) for name in Lif.array_fields}
    lif = Lif(**exact, reset=entry["reset"])
    return Population(population.name, shape, lif, population.current, gate=gate, held=held)


def _closest(said: Array, exact: Array | None, shape: tuple[int, ...]) -> Array:
    """The exact value where it says the same as the node, else that of the node."""
    said = said if said.ndim == 0 else said.reshape(shape)
    if exact is None or exact.dtype.kind != "f" or exact.shape not in ((), shape):
        return said
    limit = ROUNDING.get(said.dtype, 1e-12)
    return exact if np.allclose(said, exact, rtol=limit, atol=limit) else said


def _restore_connection(said: Connection, entry: Mapping[str, Any], arrays: Mapping[str, Array], i: int) -> Connection:
    kind = CONNECTION_KINDS[entry["kind"]]
    given: dict[str, Any] = {name: arrays[f"c{i}.{name}"] for name in kind.array_fields if f"c{i}.{name}" in arrays}
    values = {name: entry[name] for name in kind.value_fields}
    if "bias" not in given:
        given["bias"] = said.bias if entry["bias"] else None
    if kind is CONNECTION_KINDS["sparse"] and isinstance(said, Dense):
        rows, columns = given.get("rows", np.zeros(0, int)), given.get("columns", np.zeros(0, int))
        if max(rows.max(initial=0) - len(said.weight), columns.max(initial=0) - said.weight.shape[1]) >= 0:
            return said
        given |= {"rows": rows, "columns": columns, "weight": said.weight[rows, columns]}
    elif isinstance(said, Conv) and kind is Conv:
        given["weight"] = grouped(said.weight, entry["groups"])
    given.setdefault("weight", said.weight)
    made: Connection = kind(**values, **given)
    return made if _same(made, said) else said


def grouped(weight: Array, groups: int) -> Array:
    """The weight of a convolution in groups: the blocks (out, in / groups, ...) on the diagonal of (out, in, ...)."""
    if groups < 1 or weight.shape[0] % groups or weight.shape[1] % groups:
        return weight
    out, channels = weight.shape[0] // groups, weight.shape[1] // groups
    parts = [weight[g * out : (g + 1) * out, g * channels : (g + 1) * channels] for g in range(groups)]
    return np.concatenate(parts)


def ungrouped(weight: Array, groups: int) -> Array:
    """The inverse of :func:`grouped`: zeros between the groups."""
    out, channels = weight.shape[0] // groups, weight.shape[1]
    wide = np.zeros((weight.shape[0], channels * groups, *weight.shape[2:]), weight.dtype)
    for g in range(groups):
        wide[g * out : (g + 1) * out, g * channels : (g + 1) * channels] = weight[g * out : (g + 1) * out]
    return wide


def _same(made: Connection, said: Connection) -> bool:
    """Whether two connections do the same, to the bit."""
    if made.delay != said.delay or not (made.bias_currents() == said.bias_currents()).all():
        return False
    if isinstance(made, Conv) and isinstance(said, Conv):
        like = [(c.input_shape, c.output_shape, c.stride, c.padding, c.dilation) for c in (made, said)]
        wide = ungrouped(made.weight, made.groups)
        return like[0] == like[1] and said.groups == 1 and np.array_equal(wide, said.weight)
    one, two = written_out(made), written_out(said)
    return one.shape == two.shape and (one != two).nnz == 0
