"""Biases on a synaptic current that decays: a chip's biases go to the membrane, past the current. So a neuron that
spikes at every step carries them, over synapses whose weights they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aspen.network.connections import Connection
from aspen.network.network import Network, Population
from aspen.network.neurons import Lif
from aspen.network.steady import carried_by_spikes


def biased_by_spikes(network: Network) -> Network:
    """The same network, in floating point, without biases on synaptic currents; one in integers as it is.

    Each population that has some gets a neuron more, which fires at every step, the first one included, and which the
    knob leaves alone: one spike, one operation for itself and one for each synapse at every step.
    """
    names = [] if network.is_integer else [p.name for p in network.populations if _is_biased(network, p)]
    if not names:
        return network
    populations: list[Population] = []
    connections: list[Connection] = [_bare(c) if c.target in names else c for c in network.summed]
    for population in network.populations:
        if population.name in names:
            biases = [c.bias_currents().astype(np.float64) for c in network.incoming(population.name)]
            currents = np.asarray(sum(biases))
            steady, weights = carried_by_spikes(population.name, currents)
            populations.append(steady)
            connections += weights
        populations.append(population)
    return replace(network, populations=tuple(populations), connections=tuple(connections))


def _is_biased(network: Network, population: Population) -> bool:
    """Whether connections add a constant to a current that remembers it."""
    lif = population.neuron
    biased = any(c.bias is not None and np.any(c.bias) for c in network.incoming(population.name))
    return biased and isinstance(lif, Lif) and bool(lif.alpha.any())


def _bare(connection: Connection) -> Connection:
    return replace(connection, bias=None)  # type: ignore[type-var]
