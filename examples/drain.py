"""Inputs that make a network spike as much as they can, found by gradients through a surrogate of its spikes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from aspen.network import Network
from aspen_emulator import run


class _Spike(torch.autograd.Function):
    """A step forwards, an arc tangent's slope backwards."""

    @staticmethod
    def forward(ctx: Any, distance: Tensor) -> Tensor:
        ctx.save_for_backward(distance)
        return (distance > 0).to(distance.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (distance,) = ctx.saved_tensors
        return gradient / (1 + (3.0 * distance) ** 2)


def optimised(
    network: Network, steps: int, count: int = 4, one_of: int | None = None, iterations: int = 80
) -> np.ndarray[Any, Any]:
    """(count, steps, inputs) uint8: spikes that drive the hidden populations of a chain of dense layers hard.

    Args:
        network: in integers or in floating point; one layer after the other, reset to zero.
        steps: time steps.
        count: inputs, from different starts; the best of all iterations for each.
        one_of: exactly one of so many neighbouring inputs spikes at each step, as a code of levels gives them;
            default: all inputs are free.
        iterations: of Adam.
    """
    generator = torch.Generator().manual_seed(0)
    size = network.input.size
    wanted = torch.randn(count, steps, size, generator=generator).requires_grad_()
    optimizer = torch.optim.Adam([wanted], lr=0.3)
    best, most = np.zeros((count, steps, size), np.uint8), np.full(count, -1)
    for _ in range(iterations):
        given = _chosen(wanted, one_of)
        spikes = given.detach().numpy().astype(np.uint8)
        found = run(network, np.ascontiguousarray(spikes.swapaxes(0, 1)), 1.0).hidden_spikes
        better = found > most
        best[better], most[better] = spikes[better], found[better]
        optimizer.zero_grad()
        (-_hidden_spikes(network, given)).backward()
        optimizer.step()
    return best


def _chosen(wanted: Tensor, one_of: int | None) -> Tensor:
    """Spikes for wishes, with gradients as if they were soft."""
    if one_of is None:
        soft = torch.sigmoid(wanted)
        return soft + ((wanted > 0).to(soft) - soft).detach()
    lines = wanted.unflatten(-1, (-1, one_of))
    soft = torch.softmax(lines, dim=-1)
    hard = torch.nn.functional.one_hot(lines.argmax(dim=-1), one_of).to(soft)
    return (soft + (hard - soft).detach()).flatten(-2)


def _hidden_spikes(network: Network, given: Tensor) -> Tensor:
    """Spikes of all hidden neurons, in units of thresholds and without rounding."""
    total = given.new_zeros(())
    layer = given.unbind(1)
    for name in network.hidden:
        (connection,) = network.incoming(name)
        dense = torch.from_numpy(connection.synapses().toarray().astype(np.float32))
        threshold, keep = _neurons(network, name, connection)
        membrane = given.new_zeros(len(given), network[name].size)
        spikes = []
        for now in layer:
            membrane = keep * membrane + now @ dense.T
            spike = _Spike.apply(membrane / threshold - 1)
            membrane = membrane * (1 - spike.detach())
            spikes.append(spike)
            total = total + spike.sum()
        layer = tuple(spikes)
    return total


def _neurons(network: Network, name: str, connection: Any) -> tuple[Tensor, Tensor]:
    """Thresholds in units of the weights, and what membranes keep from step to step."""
    neuron = network[name].neuron
    if network.is_integer:
        scale = 2.0**connection.exponent
        threshold, keep = np.asarray(neuron.threshold) / scale, 1 - np.asarray(neuron.voltage_decay) / 4096
    else:
        threshold, keep = np.asarray(neuron.threshold), np.asarray(neuron.beta)
    return (torch.from_numpy(np.asarray(each, np.float32).reshape(-1)) for each in (threshold, keep))
