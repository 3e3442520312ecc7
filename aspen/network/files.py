"""A network in its section of an ``.aspen`` file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aspen._base.arrays import Array
from aspen.errors import AspenError, FileFormatError, one_line
from aspen.network.connections import CONNECTION_KINDS
from aspen.network.graded import GradedInput
from aspen.network.host import HostLayer
from aspen.network.network import Network, Population
from aspen.network.neurons import NEURON_KINDS
from aspen.storage.container import MALFORMED
from aspen.storage.file import AspenFile, Section


def network_to_section(network: Network) -> tuple[dict[str, Any], dict[str, Array]]:
    """JSON header and tensors that describe ``network``."""
    tensors: dict[str, Array] = {}

    def describe(part: Any, prefix: str) -> dict[str, Any]:
        found = {name: getattr(part, name) for name in part.array_fields}
        tensors.update({f"{prefix}/{name}": array for name, array in found.items() if array is not None})
        return {"kind": part.kind, **{name: getattr(part, name) for name in part.value_fields}}

    def describe_host(host: HostLayer, prefix: str) -> dict[str, Any]:
        tensors[f"{prefix}/total_bias"] = host.bias
        return {"connection": describe(host.connection, prefix), "shape": list(host.shape), "scale": host.scale}

    populations = [
        {
            "name": population.name,
            "shape": list(population.shape),
            "current": population.current,
            "static": population.static,
            "gate": population.gate,
            "held": population.held,
            "graded": None if population.graded is None else asdict(population.graded),
            "neuron": None
            if population.neuron is None
            else describe(population.neuron, f"populations/{population.name}"),
        }
        | ({} if population.host is None else {"host": describe_host(population.host, f"host/{population.name}")})
        for population in network.populations
    ]
    connections = [describe(connection, f"connections/{connection.name}") for connection in network.summed]
    header = {
        "populations": populations,
        "connections": connections,
        "output": network.output,
        "readout": network.readout,
        "provenance": dict(network.provenance),
    }
    return header, tensors


def network_from_section(header: Mapping[str, Any], tensors: Mapping[str, Array]) -> Network:
    """The network that a section describes, validated like one built by hand.

    Raises:
        FileFormatError: something is missing, or the parts do not fit together.
    """
    try:
        populations = [
            Population(
                entry["name"],
                entry["shape"],
                None
                if entry["neuron"] is None
                else _build(NEURON_KINDS, entry["neuron"], tensors, f"populations/{entry['name']}"),
                entry.get("current", False),
                None if entry.get("graded") is None else GradedInput(**entry["graded"]),
                entry.get("static", False),
                entry.get("gate", False),
                None if entry.get("host") is None else _host(entry["host"], tensors, f"host/{entry['name']}"),
                entry.get("held", False),
            )
            for entry in header["populations"]
        ]
        connections = [
            _build(CONNECTION_KINDS, entry, tensors, f"connections/{entry['source']}->{entry['target']}")
            for entry in header["connections"]
        ]
        parts = tuple(populations), tuple(connections)
        return Network(*parts, header["output"], header["provenance"], header.get("readout", "spikes"))
    except AspenError as error:
        raise FileFormatError(f"network description: {one_line(error)}") from error
    except MALFORMED as error:
        raise FileFormatError(
            f"network description: incomplete or malformed ({one_line(error)}); save the network again"
        ) from error


def _host(entry: Mapping[str, Any], tensors: Mapping[str, Array], prefix: str) -> HostLayer:
    connection = _build(CONNECTION_KINDS, entry["connection"], tensors, prefix)
    return HostLayer(connection, entry["shape"], tensors[f"{prefix}/total_bias"], entry["scale"])


def _build(kinds: Mapping[str, Any], entry: Mapping[str, Any], tensors: Mapping[str, Array], prefix: str) -> Any:
    if entry["kind"] not in kinds:
        raise FileFormatError(
            f"{prefix}: found kind {entry['kind']!r}, this ASPEN knows {sorted(kinds)}; install a newer ASPEN"
        )
    part = kinds[entry["kind"]]
    arrays = {name: tensors[f"{prefix}/{name}"] for name in part.array_fields if f"{prefix}/{name}" in tensors}
    later = {"gated": False} if "gated" in part.value_fields else {}  # files from before have none
    return part(**{name: {**later, **entry}[name] for name in part.value_fields}, **arrays)


NETWORK = Section[Network](
    "network",
    decode=lambda file: network_from_section(*file.parts("network")),
    encode=lambda network, file: network_to_section(network),
)
"""The trained network."""


def save_network(network: Network, path: str | Path) -> None:
    """Write ``network`` as a new ``.aspen`` file; see :meth:`aspen.Network.save`.

    >>> from aspen import Dense, Lif, Network, Population
    >>> populations = Population("input", (2,)), Population("output", (2,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", [[1.2, 0.1], [0.1, 1.2]]),))
    >>> save_network(network, "net.aspen")
    >>> load_network("net.aspen").n_neurons
    2

    Args:
        network: what to write.
        path: of the file.
    """
    file = AspenFile.new(path)
    file.put(NETWORK, network)
    file.save()


def load_network(path: str | Path | AspenFile) -> Network:
    """Read the network of an ``.aspen`` file; see :func:`aspen.load_network`.

    >>> from aspen import Dense, Lif, Network, Population
    >>> populations = Population("input", (2,)), Population("output", (2,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", [[1.2, 0.1], [0.1, 1.2]]),))
    >>> save_network(network, "net.aspen")
    >>> load_network("net.aspen").n_neurons
    2

    Args:
        path: of the file. Or the file, opened.
    """
    return AspenFile.of(path).read(NETWORK)
