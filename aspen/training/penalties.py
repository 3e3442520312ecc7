"""What spikes cost in the loss of a training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from aspen.exporting import export
from aspen.models.forms import InputForm
from aspen.models.layers import hidden_layers, population_name
from aspen.network.connection import Connection
from aspen.training.recipes import Joules, Recipe

Spikes = Mapping[str, list[Tensor]]
"""Layer -> spikes: one tensor (batch, *shape) for each step, or one of all steps, (time x batch, *shape)."""


@dataclass(frozen=True)
class Costs:
    """What events of a network cost, in units of the mean spike of a hidden neuron.

    Args:
        spikes: layer -> (n,): a spike of each neuron.
        inputs: (n,): an input spike, or value other than zero.
        step: a time step of one sample in which nothing happens, by hidden neuron.
    """

    spikes: Mapping[str, Tensor] = field(default_factory=dict)
    inputs: Tensor | None = None
    step: float = 0.0


class SpikePenalty:
    """Spikes per 100 neurons and time steps, weighed as a recipe says.

    Args:
        recipe: kind of penalty, prices by layer, target.
        costs: of events; default: 1 for each hidden spike.
    """

    def __init__(self, recipe: Recipe, costs: Costs | None = None) -> None:
        self._square = recipe.penalty == "l2"
        self._target = recipe.target
        self._prices = dict(recipe.prices)
        self._costs = costs or Costs()

    def __call__(self, spikes: Spikes, batch: int, inputs: Tensor | None = None) -> Tensor:
        """The penalty of each sample, (batch,).

        Args:
            spikes: of the hidden layers.
            batch: number of samples.
            inputs: (time, batch, *shape), where they cost anything.
        """
        total: Tensor | float = 0.0
        neurons = 0
        for layer, steps in spikes.items():
            rates = _rates(steps, batch)
            cost = self._costs.spikes.get(layer)
            weighed = rates if cost is None else rates * cost.to(rates.device, rates.dtype)
            charged = weighed.square() if self._square else weighed
            total = total + self._prices.get(layer, 1.0) * charged.sum(dim=1)
            neurons += rates.shape[1]
        if not isinstance(total, Tensor):
            raise ValueError("no hidden layers")
        mean = total / neurons + 100 * self._costs.step
        if self._costs.inputs is not None and inputs is not None:
            events = 100 * (inputs != 0).flatten(2).to(mean.dtype).mean(dim=0)
            mean = mean + events @ self._costs.inputs.to(mean.device, mean.dtype) / neurons
        return torch.relu(mean - self._target) if self._target else mean


def _rates(steps: list[Tensor], batch: int) -> Tensor:
    """(batch, n): 100 x the mean over time of a layer's spikes."""
    whole = steps[0].reshape(-1, batch, steps[0][0].numel()) if len(steps) == 1 else torch.stack(steps).flatten(2)
    return 100 * (whole.sum(dim=0) / len(whole))  # whose gradient is not spread over time before it is divided


def costs_of(model: nn.Module, frames: Tensor, form: InputForm | None = None, joules: Joules | None = None) -> Costs:
    """What events of a model cost, by the synapses that its weights have now.

    Args:
        model: as it stands.
        frames: an input, for the export.
        form: how the model takes it.
        joules: of single events; ``None``: a spike costs the synaptic operations that it causes, and nothing else does.

    Raises:
        ModelError: the model cannot be exported, so that its synapses cannot be counted.
    """
    form = form or InputForm()
    network = export(model, form.sample(frames), time_axis=form.sample_axis, arguments=form.arguments)
    each = joules or Joules(spike=0.0, operation=1.0, update=0.0)
    found = {
        name: each.spike + each.operation * _fan_out(network.outgoing(population_name(name)))
        for name in hidden_layers(model)
    }
    whole = torch.cat(list(found.values()))
    mean = float(whole.mean()) or 1.0  # of spikes that lead nowhere and cost nothing
    spikes = {name: cost / mean for name, cost in found.items()}
    if joules is None:
        return Costs(spikes)
    reached = _fan_out(network.input_connections) if network.input_connections else None
    inputs = None if reached is None else each.operation * reached / mean
    return Costs(spikes, inputs, each.update * network.n_neurons / len(whole) / mean)


def _fan_out(connections: list[Connection]) -> Tensor:
    """(n,): synapses that a spike of each neuron reaches, over all connections."""
    own = [connection.fan_out() for connection in connections]
    return torch.as_tensor(sum(own[1:], start=own[0]), dtype=torch.float64).reshape(-1)
