"""Neurons that never matter: those that cannot fire whatever the input, and those whose spikes lead nowhere.

A neuron cannot fire at any threshold where nothing that reaches it can lift its membrane above 0: no synapse with a
weight above 0 from a neuron that can fire, and no bias that makes up for it. It leads nowhere where no chain of
synapses ends at the output. To take such neurons away changes no answer, at any setting of the knob.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from aspen._base.arrays import Array
from aspen._base.checks import as_integers
from aspen.network.connections import Connection, Dense, Sparse
from aspen.network.network import Network
from aspen.network.neurons import Lif
from aspen.network.population import Population

REMOVED = "removed"
"""Entry of a network's provenance: population -> indices of the neurons that :func:`without_idle` took away."""
_ROUNDING = 1e-6
"""Share of the drive that the rounding of its sum may add, generously."""


def without_idle(network: Network) -> Network:
    """The network without the neurons that never matter; its provenance says which they were.

    Populations of one axis that are connected by Dense and Sparse alone lose neurons, but for input, output and gates;
    each keeps one at least.

    Args:
        network: in floating point.
    """
    fires = _firing(network)
    kept, notes = _useful(network, fires), []
    for name, useful in kept.items():
        mute = int((~fires[name] & ~useful).sum())
        notes.append(
            f"{name}: {int((~useful).sum())} of {len(useful)} neurons taken away, which change no answer: {mute} can "
            f"never fire, {int((~useful).sum()) - mute} lead nowhere"
        )
    if not kept:
        return network
    populations = tuple(_fewer(p, kept[p.name]) if p.name in kept else p for p in network.populations)
    connections = tuple(_cut(c, kept.get(c.target), kept.get(c.source)) for c in network.summed)
    gone = {name: np.flatnonzero(~useful).tolist() for name, useful in kept.items()}
    said = {**network.provenance, REMOVED: gone, "notes": [*network.provenance.get("notes", ()), *notes]}
    return replace(network, populations=populations, connections=connections, provenance=said)


def kept_neurons(network: Network, name: str) -> Array | None:
    """(n before,) bool: which neurons population ``name`` has kept; ``None`` where it has all.

    Raises:
        InputError: the provenance does not fit the population.
    """
    noted: Mapping[str, Any] = network.provenance.get(REMOVED, {})
    if name not in noted:
        return None
    size = network[name].size + len(noted[name])
    kept = np.ones(size, bool)
    kept[list(as_integers(f"provenance: removed of {name}", noted[name], 0, size - 1))] = False
    return kept


def _useful(network: Network, fires: Mapping[str, Array]) -> dict[str, Array]:
    """Population -> (n,) bool: which neurons are kept, for those populations that do not keep all.

    Where none is useful, one is kept that cannot fire, or else the first with all that drives it.
    """
    matters = {population.name: np.zeros(population.size, bool) for population in network.populations}
    matters[network.output][:] = True
    _spread(network, matters)
    kept = {}
    for name in reversed(_shrinkable(network)):
        useful = fires[name] & matters[name]
        if not useful.any():
            only = int(fires[name].argmin())
            useful[only] = True
            if fires[name][only]:
                matters[name][only] = True
                _spread(network, matters)
        kept[name] = useful
    final = {name: useful | (fires[name] & matters[name]) for name, useful in kept.items()}
    return {name: final[name] for name in reversed(final) if not final[name].all()}


def _shrinkable(network: Network) -> list[str]:
    found = []
    for name in network.hidden:
        population = network[name]
        ends = [c for c in network.summed if name in (c.source, c.target)]
        plain = all(isinstance(c, (Dense, Sparse)) and not network[c.target].gate for c in ends)
        if plain and len(population.shape) == 1 and not population.gate and not population.is_input:
            found.append(name)
    return found


def _firing(network: Network) -> dict[str, Array]:
    """Population -> (n,) bool: whether each neuron can fire; True where that cannot be told.

    The first to fire needs the input or a bias, each later one some that can fire: so the set grows from these.
    """
    fires = {population.name: np.full(population.size, population.is_input) for population in network.populations}
    while True:
        before = sum(int(able.sum()) for able in fires.values())
        for name in network.order:
            fires[name] = fires[name] | _lifted(network, name, fires)
        if sum(int(able.sum()) for able in fires.values()) == before:
            return fires


def _lifted(network: Network, name: str, fires: Mapping[str, Array]) -> Array:
    """(n,) bool: whether anything lifts each neuron above 0, given which neurons fire."""
    population, neuron = network[name], network[name].neuron
    if population.is_input or population.gate or not isinstance(neuron, Lif):
        return np.ones(population.size, bool)
    lift, push = np.zeros(population.size), network.drive_bias(name) + neuron.bias
    for connection in network.incoming(name):
        weights = connection.synapses().astype(np.float64)
        up = abs(weights) if network[connection.source].is_analog else weights.maximum(0)
        lift = lift + np.asarray(up @ fires[connection.source].astype(np.float64)).ravel()
    lifted: Array = lift * (1 + _ROUNDING) + push > 0
    return lifted


def _spread(network: Network, matters: dict[str, Array]) -> None:
    """Add what leads to neurons that matter, population -> (n,) bool, until there is no more."""
    while True:
        before = sum(int(found.sum()) for found in matters.values())
        for connection in network.summed:
            reached = abs(connection.synapses()).T @ matters[connection.target].astype(np.float64)
            matters[connection.source] = matters[connection.source] | (np.asarray(reached).ravel() > 0)
        if sum(int(found.sum()) for found in matters.values()) == before:
            return


def _fewer(population: Population, kept: Array) -> Population:
    neuron = population.neuron
    assert neuron is not None  # of hidden populations
    own = {field: getattr(neuron, field) for field in neuron.array_fields}
    made = replace(neuron, **{field: values[kept] if values.ndim else values for field, values in own.items()})
    return replace(population, shape=(int(kept.sum()),), neuron=made)


def _cut(connection: Connection, targets: Array | None, sources: Array | None) -> Connection:
    """A connection between the neurons that are left; ``None``: all of that end."""
    if targets is None and sources is None:
        return connection
    matrix = connection.synapses()
    shape = matrix.shape
    targets = np.ones(shape[0], bool) if targets is None else targets
    sources = np.ones(shape[1], bool) if sources is None else sources
    bias = None if connection.bias is None else connection.bias[targets]
    if isinstance(connection, Sparse):
        left = matrix[targets][:, sources]
        return Sparse.from_matrix(connection.source, connection.target, left, bias, connection.delay)
    return replace(connection, weight=connection.weight[targets][:, sources], bias=bias)  # type: ignore[type-var]
