"""``DeltaLeaky``, which spikes where its membrane changes by more than a threshold, up or down.

The change of a membrane is itself one, of neurons that are given the change of the input::

    mem[t] - mem[t-1] = beta * (mem[t-1] - mem[t-2]) + I[t] - I[t-1]

So two neurons stand for each, one for changes up and one for changes down, both without reset; what drives them comes
at once, and with minus its weights a step later, over neurons that repeat a spike. A gate says whether either of the
two has spiked.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from scipy.sparse import csr_array, eye_array, vstack
from torch import Tensor

from aspen.errors import ModelError
from aspen.exporting.folding import from_matrix
from aspen.exporting.forgetting import EACH
from aspen.models.delta import Changes
from aspen.network.connections import Connection, Sparse
from aspen.network.neurons import Lif
from aspen.network.population import Population
from aspen.network.steady import carried_by_spikes

LATE = ".late"
"""What is added to a population's name for neurons that repeat its spikes a step later."""


def driven_by_changes(
    name: str, shape: tuple[int, ...], layer: Changes, made: list[Connection], spiking: set[str]
) -> tuple[list[Population], list[Connection]]:
    """The neurons for changes up and down, those that repeat spikes, and what connects them with the gate ``name``.

    Args:
        name: the gate's population.
        shape: of it.
        layer: what it stands for.
        made: what drives the layer.
        spiking: populations whose spikes can be repeated.

    Raises:
        ModelError: the layer is driven by values that are no spikes.
    """
    n = prod(shape)
    each = Population(f"{name}{EACH}", (2, *shape), _neuron(layer, shape))
    either = Sparse.from_matrix(each.name, name, csr_array(vstack([eye_array(n), eye_array(n)]).T), None, 0)
    populations: list[Population] = [each]
    connections: list[Connection] = [either]
    biases = sum((c.bias_currents().astype(np.float64) for c in made), np.zeros(n))
    links = [(c.source, csr_array(c.synapses().astype(np.float64)), c.delay) for c in made]
    if biases.any():
        steady, weights = carried_by_spikes(name, biases)
        populations.append(steady)
        connections.append(weights[0])
        links.append((steady.name, csr_array(biases.reshape(-1, 1)), 0))
        spiking = spiking | {steady.name}
    for source, matrix, delay in links:
        if source not in spiking:
            raise ModelError(
                f"{name}: DeltaLeaky is driven by values of {source} that are no spikes, which no neuron can repeat, "
                f"allowed are spikes; encode the input as spikes, or use Leaky"
            )
        both = csr_array(vstack([matrix, -matrix]))
        size, late = matrix.shape[1], f"{name}.{source.removeprefix(f'{name}.')}{LATE}{delay or ''}"
        populations.append(Population(late, (size,), Lif(threshold=0.5, beta=0.0, reset="zero"), gate=True))
        repeat = Sparse.from_matrix(source, late, csr_array(eye_array(size)), None, delay + 1)
        connections += [from_matrix(source, each.name, both, None, delay), repeat]
        connections.append(from_matrix(late, each.name, csr_array(-both), None, 0))
    return populations, connections


def _neuron(layer: Changes, shape: tuple[int, ...]) -> Lif:
    def twice(values: Tensor) -> Any:
        array = values.detach().cpu().numpy()
        return array.reshape(()) if array.size == 1 else np.broadcast_to(array, (2, *shape))

    return Lif(threshold=twice(layer.threshold), beta=twice(layer.beta.clamp(0, 1)), reset="none")
