"""Which neurons a dial switches off, and when: groups of a layer, the least important first."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array, vstack
from torch import Tensor, nn

from aspen._base.arrays import Array
from aspen.exporting import export
from aspen.models.forms import InputForm
from aspen.models.layers import hidden_layers, population_name
from aspen.network.network import Network

STEPS = 7
"""At so many knobs neurons go off. With those that stay on these are eight groups, as many as a core of Loihi stores
thresholds."""


def nested(order: Sequence[int], left: float, least: int = 1) -> Array:
    """The highest knob at which each neuron is on, (n,): at knob k, the first ``left^k`` of them are.

    >>> nested([2, 0, 3, 1], left=0.5).round(2)
    array([ inf, 0.  ,  inf, 0.29])

    Args:
        order: the numbers of all neurons, the most important one first.
        left: share that is on at knob 1; below 1.
        least: neurons that are on at knob 1 at least, or half of them, where these are fewer.

    Returns:
        multiples of ``1 / STEPS``, and infinity.
    """
    size = len(order)
    left = max(left, min(least / size, 0.5))
    until = np.empty(size)
    until[order] = np.floor(np.log(np.arange(1, size + 1) / size) / log(left) * STEPS + 1e-9) / STEPS
    until[order[0]] = np.inf
    return np.where(until >= 1, np.inf, until)


class Outgoing(NamedTuple):
    """What a spike of a layer's neurons adds to all neurons that it reaches, (targets, n), and the layer's shape."""

    weights: csr_array
    shape: tuple[int, ...]


def outgoing_of(model: nn.Module, frames: Tensor, form: InputForm | None = None) -> dict[str, Outgoing]:
    """What each hidden layer of a model sends on.

    Raises:
        ModelError: the model cannot be exported.
    """
    form = form or InputForm()
    with torch.no_grad():
        network = export(model, form.sample(frames), time_axis=form.sample_axis, arguments=form.arguments)
    return {name: _outgoing(network, population_name(name)) for name in hidden_layers(model)}


def _outgoing(network: Network, name: str) -> Outgoing:
    synapses = [connection.synapses() for connection in network.outgoing(name)]
    return Outgoing(csr_array(vstack(synapses)), network[name].shape)
