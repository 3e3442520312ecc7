"""What spikes cost in the loss of a training."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from aspen.exporting import export
from aspen.models.forms import InputForm
from aspen.models.layers import hidden_layers, population_name
from aspen.training.recipes import Recipe

Spikes = Mapping[str, list[Tensor]]
"""Layer -> spikes: one tensor (batch, *shape) for each step, or one of all steps, (time x batch, *shape)."""


class SpikePenalty:
    """Spikes per 100 neurons and time steps, weighed as a recipe says.

    Args:
        recipe: kind of penalty, prices by layer, target.
        costs: layer -> cost of a spike of each neuron, (*shape) or a number; default: 1.
    """

    def __init__(self, recipe: Recipe, costs: Mapping[str, Tensor] | None = None) -> None:
        self._square = recipe.penalty == "l2"
        self._target = recipe.target
        self._prices = dict(recipe.prices)
        self._costs = dict(costs or {})

    def __call__(self, spikes: Spikes, batch: int) -> Tensor:
        """The penalty of each sample, (batch,).

        Args:
            spikes: of the hidden layers.
            batch: number of samples.
        """
        total: Tensor | float = 0.0
        neurons = 0
        for layer, steps in spikes.items():
            rates = _rates(steps, batch)
            cost = self._costs.get(layer)
            weighed = rates if cost is None else rates * cost.to(rates.device, rates.dtype).reshape(-1)
            charged = weighed.square() if self._square else weighed
            total = total + self._prices.get(layer, 1.0) * charged.sum(dim=1)
            neurons += rates.shape[1]
        if not isinstance(total, Tensor):
            raise ValueError("no hidden layers")
        return torch.relu(total / neurons - self._target) if self._target else total / neurons


def _rates(steps: list[Tensor], batch: int) -> Tensor:
    """(batch, n): 100 x the mean over time of a layer's spikes."""
    whole = steps[0].reshape(-1, batch, steps[0][0].numel()) if len(steps) == 1 else torch.stack(steps).flatten(2)
    return 100 * whole.mean(dim=0)


def operation_costs(model: nn.Module, frames: Tensor, form: InputForm | None = None) -> dict[str, Tensor]:
    """Synaptic operations that a spike of each hidden neuron causes, in units of their mean: layer -> (n,).

    Raises:
        ModelError: the model cannot be exported, so that its synapses cannot be counted.
    """
    form = form or InputForm()
    network = export(model, form.sample(frames), time_axis=form.sample_axis, arguments=form.arguments)
    found = {}
    for name in hidden_layers(model):
        own = [c.fan_out() for c in network.outgoing(population_name(name))]
        found[name] = torch.as_tensor(sum(own[1:], start=own[0]), dtype=torch.float32).reshape(-1)
    mean = torch.cat(list(found.values())).mean().clamp(min=1e-9)
    return {name: cost / mean for name, cost in found.items()}
