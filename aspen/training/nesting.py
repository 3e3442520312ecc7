"""Which neurons a dial switches off, and when: groups of a layer, the least important first."""

from __future__ import annotations

from collections.abc import Mapping
from math import log

import numpy as np
import torch
from torch import Tensor, nn

from aspen._base.arrays import Array
from aspen.exporting import export
from aspen.models.forms import InputForm
from aspen.models.layers import hidden_layers, population_name
from aspen.network.network import Network

STEPS = 7
"""At so many knobs neurons go off. With those that stay on these are eight groups, as many as a core of Loihi stores
thresholds."""


def nested(importance: Array, left: float) -> Array:
    """The highest knob at which each neuron is on: at knob k, ``left^k`` of them are, the most important ones.

    >>> nested(np.array([3.0, 1.0, 4.0, 2.0]), left=0.5).round(2)
    array([ inf, 0.  ,  inf, 0.29])

    Args:
        importance: of each neuron, any shape.
        left: share that is on at knob 1; below 1.

    Returns:
        in the same shape; multiples of ``1 / STEPS``, and infinity.
    """
    order = np.argsort(-importance.reshape(-1), kind="stable")
    until = np.empty(order.size)
    share = np.arange(1, order.size + 1) / order.size
    until[order] = np.floor(np.log(share) / log(left) * STEPS + 1e-9) / STEPS
    until[order[0]] = np.inf
    return np.where(until >= 1, np.inf, until).reshape(importance.shape)


def importance_of(model: nn.Module, frames: Tensor, form: InputForm | None = None) -> dict[str, Array]:
    """Population -> its shape: the sum of the magnitudes of each hidden neuron's outgoing weights.

    Raises:
        ModelError: the model cannot be exported.
    """
    form = form or InputForm()
    with torch.no_grad():
        network = export(model, form.sample(frames), time_axis=form.sample_axis, arguments=form.arguments)
    names = [population_name(name) for name in hidden_layers(model)]
    return {name: _outgoing(network, name) for name in names}


def _outgoing(network: Network, name: str) -> Array:
    sums: Mapping[str, Array] = {
        c.name: np.asarray(abs(c.synapses()).sum(axis=0)).reshape(-1) for c in network.outgoing(name)
    }
    total: Array = np.sum(list(sums.values()), axis=0)
    return total.reshape(network[name].shape)
