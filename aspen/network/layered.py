"""Counts of a run by layer, whatever counted them: an engine on a network, or hooks on a model in PyTorch.

A :class:`aspen.network.record.Record` has every count for each step and sample, and a network behind it. These are sums
over the whole run, and need none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aspen.errors import InputError
from aspen.network.network import Network
from aspen.network.record import Record


@dataclass(frozen=True)
class NeuronCounts:
    """One layer of neurons over all steps and samples.

    Args:
        name: of the layer.
        neurons: how many it has.
        spikes: fired.
        updates: of a neuron at a step, active or not.
        active: updates of neurons whose net synaptic input is not zero, biases left out.
        dead: neurons that never fired.
        saturated: neurons that fired at every step of every sample.
        awake: updates by the wider definition of :class:`aspen.network.record.Record`; ``None`` where not known.
    """

    name: str
    neurons: int
    spikes: int
    updates: int
    active: int
    dead: int
    saturated: int
    awake: int | None = None

    @property
    def rate(self) -> float:
        """Spikes by neuron and step, 0 to 1."""
        return self.spikes / self.updates


@dataclass(frozen=True)
class SynapseCounts:
    """One layer of synapses over all steps and samples.

    Args:
        name: of the layer, or of the connection.
        kind: ``dense``, ``conv`` or ``sparse``, as of connections.
        operations: synapses with a weight other than zero reached by a spike.
        multiply_accumulates: such synapses reached by a value that is neither 0 nor a spike.
        synapses: with a weight other than zero; of a convolution for each place.
        weights: other than zero, as they are stored.
        sources, targets: values that it reads, and makes, for one sample and step.
        last: whether it is a read-out: no neurons come after it.
    """

    name: str
    kind: str
    operations: int
    multiply_accumulates: int
    synapses: int
    weights: int
    sources: int
    targets: int
    last: bool = False


@dataclass(frozen=True)
class LayerCounts:
    """Counts of a run, by layer.

    Args:
        steps, samples: time steps, and samples of each.
        inputs: values that a sample has at a step.
        neurons, synapses: layers, in the order in which they are computed.
    """

    steps: int
    samples: int
    inputs: int
    neurons: tuple[NeuronCounts, ...]
    synapses: tuple[SynapseCounts, ...]

    @property
    def spikes(self) -> int:
        """Of all layers."""
        return sum(layer.spikes for layer in self.neurons)

    @property
    def updates(self) -> int:
        """Of all neurons."""
        return sum(layer.updates for layer in self.neurons)

    @property
    def operations(self) -> int:
        """Synaptic operations of all layers."""
        return sum(layer.operations for layer in self.synapses)

    @property
    def multiply_accumulates(self) -> int:
        """Of all layers."""
        return sum(layer.multiply_accumulates for layer in self.synapses)


def layers_of(record: Record) -> LayerCounts:
    """The counts of a record, by layer.

    Raises:
        InputError: the run kept no rasters.
    """
    network = record.network
    if any(name not in record.rasters for name in network.order):
        raise InputError("record: found no rasters, allowed is a run that kept them; run with record='spikes'")
    neurons = tuple(_neurons(record, name) for name in network.order)
    synapses = tuple(_synapses(record, network, name) for name in (c.name for c in network.connections))
    return LayerCounts(record.steps, record.batch, network.input.size, neurons, synapses)


def _neurons(record: Record, name: str) -> NeuronCounts:
    fired = record.rasters[name].reshape(record.steps * record.batch, -1)
    return NeuronCounts(
        name=name,
        neurons=record.network[name].size,
        spikes=int(record.spikes[name].sum()),
        updates=record.updates(name),
        active=int(record.active_updates[name].sum()),
        dead=0 if _only_integrates(record.network, name) else int((~fired.any(axis=0)).sum()),
        saturated=int(fired.all(axis=0).sum()),
        awake=int(record.awake_updates[name].sum()),
    )


def _only_integrates(network: Network, name: str) -> bool:
    return name == network.output and network.reads_membranes


def _synapses(record: Record, network: Network, name: str) -> SynapseCounts:
    connection = next(c for c in network.connections if c.name == name)
    return SynapseCounts(
        name=name,
        kind=connection.kind,
        operations=_total(record.synaptic_operations.get(name)),
        multiply_accumulates=_total(record.multiply_accumulates.get(name)),
        synapses=connection.n_synapses,
        weights=int(np.count_nonzero(connection.weight)),
        sources=int(np.count_nonzero(connection.fan_out())),
        targets=network[connection.target].size,
    )


def _total(counts: object) -> int:
    return 0 if counts is None else int(np.sum(counts))  # type: ignore[call-overload]
