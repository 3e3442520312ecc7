"""Biases that spikes carry: a neuron that fires at every step, over synapses whose weights the biases are."""

from __future__ import annotations

import numpy as np

from aspen._base.arrays import Array
from aspen.network.connections import Connection, Dense, Sparse
from aspen.network.neurons import Lif
from aspen.network.population import Population

SUFFIX = ".bias"
"""What is added to a population's name for the neuron that carries its biases."""


def carried_by_spikes(population: str, currents: Array, delay: int = 0) -> tuple[Population, list[Connection]]:
    """A neuron whose own bias lets it fire at every step; its synapse onto itself makes it as other neurons are.

    Args:
        population: name of the one whose biases it carries.
        currents: the biases, (n,).
        delay: steps after which they arrive: with 1 they first act in the second step.
    """
    name = f"{population}{SUFFIX}"
    neuron = Lif(threshold=0.5, beta=0.0, bias=1.0, reset="zero")
    itself = Sparse(name, name, np.ones(1), np.zeros(1, int), np.zeros(1, int), (1, 1), delay=1)
    weights = Dense(name, population, np.reshape(currents, (-1, 1)), delay=delay)
    return Population(name, (1,), neuron, gate=True), [itself, weights]
