"""Static analog input on a chip whose spikes carry no values: the host computes the first layer once per inference, and
writes what comes of it into the biases of the neurons."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aspen._base.arrays import Array
from aspen.errors import ChipError
from aspen.network.connections import Connection
from aspen.network.graded import GradedInput
from aspen.network.host import HostLayer
from aspen.network.network import Network, Population
from aspen.network.neurons import Lif
from aspen_hardware.chips.description import Chip


def carries(network: Network, chip: Chip) -> bool:
    """Whether the chip's spikes carry the values of the network's input: an analog one takes graded spikes."""
    given, allowed = network.input, chip.formats.spike_bits
    if not given.is_analog or allowed is None:
        return True
    return (GradedInput.bits if given.graded is None else given.graded.bits) <= allowed


def by_host(network: Network, chip: Chip) -> bool:
    """Whether the host computes the first layer: a static analog input, biases, and spikes that carry no values."""
    return network.input.static and chip.formats.bias_mantissa_bits is not None and not carries(network, chip)


def hosted(network: Network, chip: Chip) -> Network:
    """The network as it comes on the chip: what the input is connected to takes the current of a host layer, and is the
    input itself; all biases of these neurons are in it. Unchanged where the host does not compute the first layer.

    Raises:
        ChipError: a bias cannot stand for the current; the message names the population.
    """
    if not by_host(network, chip):
        return network
    first = _only_target(network, chip)
    target, incoming = network[first.target], network.incoming(first.target)
    lif = target.neuron
    assert isinstance(lif, Lif)  # integers take analog input as graded spikes, or have a host layer already
    if lif.alpha.any():
        raise ChipError(
            f"{target.name}: found a static input into a synaptic current that decays, {chip.name} allows biases, "
            f"which go to the membrane; train with Leaky in place of Synaptic in this layer"
        )
    host = HostLayer(_bare(first), network.input.shape, _biases(target, lif, incoming), 1.0)
    fed = replace(target, neuron=replace(lif, bias=np.zeros(())), current=True, static=True, host=host)
    populations = (fed if p is target else p for p in network.populations if p is not network.input)
    connections = (_bare(c) if c in incoming else c for c in network.summed if c is not first)
    return replace(network, populations=tuple(populations), connections=tuple(connections))


def largest_current(host: HostLayer, peak: float) -> float:
    """A bound on what the host computes of values up to ``peak``: all of them with the signs of the weights."""
    return float((peak * np.asarray(abs(host.connection.synapses()).sum(axis=1)).ravel() + np.abs(host.bias)).max())


def _only_target(network: Network, chip: Chip) -> Connection:
    outgoing = network.outgoing(network.input.name)
    if len(outgoing) > 1 or outgoing[0].delay or outgoing[0].target == network.output:
        found = ", ".join(f"{c.target} (delay {c.delay})" for c in outgoing)
        raise ChipError(
            f"{network.input.name}: found a static input into {found}, {chip.name} allows one into a single hidden "
            f"population without delay, whose biases the host writes; use one first layer, and another behind it"
        )
    return outgoing[0]


def _bare(connection: Connection) -> Connection:
    return replace(connection, bias=None)  # type: ignore[type-var]


def _biases(population: Population, lif: Lif, incoming: list[Connection]) -> Array:
    """(n,): all biases of the neurons."""
    total = np.broadcast_to(lif.bias.astype(np.float64), population.shape).reshape(-1)
    for connection in incoming:
        total = total + connection.bias_currents()
    return total
