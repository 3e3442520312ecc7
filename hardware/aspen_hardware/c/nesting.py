"""Neurons that a dial switches off, in C: those that are on for longest stand first, so that every loop ends before
those that are off.

The program is that of a network whose neurons are sorted; what is given to it and what it tells is in the order of the
network that it was written for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from aspen._base.arrays import Array
from aspen.dial.profile import DialProfile
from aspen.errors import ChipError
from aspen.network.connection import Connection
from aspen.network.connections import Conv, Dense, Sparse
from aspen.network.network import Network
from aspen.network.population import Population
from aspen_hardware.c.dial import SETTINGS, last_settings
from aspen_hardware.compiling.off import within_reach


@dataclass(frozen=True, eq=False)
class Nest:
    """Which neurons of a population are on, by the setting of the knob.

    Args:
        last: (n,) the last setting at which each neuron of the network is on.
    """

    last: Array

    @cached_property
    def place(self) -> Array:
        """(n,): where in the network each neuron of the program stands; where they go off together, as there."""
        return np.argsort(-self.last, kind="stable")

    @cached_property
    def starts(self) -> Array:
        """(levels,): the settings from which on fewer neurons are on; the first is 0."""
        return np.append(0, np.unique(self.last[self.last < SETTINGS - 1]) + 1)

    @cached_property
    def counts(self) -> Array:
        """(levels,): how many neurons are on from there."""
        return (self.last >= self.starts[:, None]).sum(axis=1)

    def sorted(self, values: Array) -> Array:
        """Numbers of the network's neurons, one for all or in the population's shape, in the program's order."""
        return values.reshape(-1)[self.place].reshape(values.shape) if values.ndim else values


def check_nested(network: Network, profile: DialProfile) -> None:
    """Raise ChipError if neurons that the dial switches off could fire on the chip that the network is for, or if they
    are outputs: their scores stand in the network's order."""
    for reason in within_reach(network, profile):
        raise ChipError(f"{reason}; in C they would not: compile for cortex-m, which leaves out neurons that are off")
    if (profile.on_until.get(network.output, np.full((), np.inf)) < profile.high).any():
        raise ChipError(
            f"profile: found a dial that switches neurons of the output {network.output} off (on_until), allowed in C "
            f"is one that switches hidden ones; leave on_until of the output out"
        )


def nests_of(network: Network, profile: DialProfile | None) -> dict[str, Nest]:
    """Of each population of which the dial switches neurons off.

    Args:
        network: in integers.
        profile: its dial, which was checked against it.
    """
    found: dict[str, Nest] = {}
    if profile is None:
        return found
    for name, until in profile.on_until.items():
        last = last_settings(profile, np.broadcast_to(until, network[name].shape).reshape(-1))
        if last.min() < SETTINGS - 1:
            found[name] = Nest(last)
    return found


def sorted_network(network: Network, nests: Mapping[str, Nest]) -> Network:
    """The same network with the neurons of these populations sorted."""
    if not nests:
        return network
    populations = tuple(_sorted_population(p, nests[p.name]) if p.name in nests else p for p in network.populations)
    connections = tuple(_sorted_connection(c, nests.get(c.target), nests.get(c.source)) for c in network.summed)
    return replace(network, populations=populations, connections=connections)


def sorted_profile(profile: DialProfile, nests: Mapping[str, Nest]) -> DialProfile:
    """The dial of a :func:`sorted_network`."""

    def moved(part: Mapping[str, Array]) -> dict[str, Array]:
        return {name: nests[name].sorted(values) if name in nests else values for name, values in part.items()}

    return replace(
        profile, slopes=moved(profile.slopes), offsets=moved(profile.offsets), on_until=moved(profile.on_until)
    )


def _sorted_population(population: Population, nest: Nest) -> Population:
    neuron = population.neuron
    assert neuron is not None  # a dial moves it
    arrays: dict[str, Any] = {field: nest.sorted(getattr(neuron, field)) for field in neuron.array_fields}
    return replace(population, neuron=replace(neuron, **arrays))


def _sorted_connection(connection: Connection, target: Nest | None, source: Nest | None) -> Connection:
    if target is None and source is None:
        return connection
    if isinstance(connection, Dense):
        weight = connection.weight if target is None else connection.weight[target.place]
        return replace(connection, weight=weight if source is None else weight[:, source.place])
    if isinstance(connection, Conv):
        return _sorted_convolution(connection, target, source)
    assert isinstance(connection, Sparse)  # there is no fourth kind
    rows, columns = _moved(connection.rows, target), _moved(connection.columns, source)
    return replace(connection, rows=rows, columns=columns)


def _moved(indices: Array, nest: Nest | None) -> Array:
    return indices if nest is None else np.argsort(nest.place)[indices]


def _sorted_convolution(conv: Conv, target: Nest | None, source: Nest | None) -> Connection:
    """A convolution where whole channels are sorted; otherwise its synapses, each with a weight of its own."""
    outputs, inputs = _channels(conv.output_shape, target), _channels(conv.input_shape, source)
    if conv.groups == 1 and outputs is not None and inputs is not None:
        return replace(conv, weight=conv.weight[outputs][:, inputs])
    entries = conv.synapses().tocoo()
    rows, columns = _moved(entries.row, target), _moved(entries.col, source)
    n_target, n_source = entries.shape
    return Sparse(
        conv.source, conv.target, entries.data, rows, columns, (n_target, n_source), None, conv.delay, conv.exponent
    )


def _channels(shape: tuple[int, ...], nest: Nest | None) -> Array | None:
    """The order of channels; None where these do not stay together."""
    channels, places = shape[0], prod(shape[1:])
    if nest is None:
        return np.arange(channels)
    found = nest.place.reshape(channels, places)
    whole = found == found[:, :1] + np.arange(places)
    return found[:, 0] // places if whole.all() and not (found[:, 0] % places).any() else None
