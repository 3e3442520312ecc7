"""Pruning while training: the weights of a layer that matter least are set to zero, ever more of them, and stay zero.

What a weight matters is ``w^2`` times the mean square of its gradient, as in LeCun, Denker and Solla, "Optimal brain
damage" (NIPS 1989), with Adam's second moments for the curvature. With a dial that switches neurons off it keeps the
weights of those that are on most of the time, which magnitudes alone do not.

The share that is kept falls as in Zhu and Gupta, "To prune, or not to prune" (ICLR 2018 workshop): with the progress p
from 0 to 1 between ``prune_from`` and ``prune_until``, it is ``1 - (1 - density) * (1 - (1 - p)^3)``. A weight that was
pruned gets no gradient and does not come back, in later stages either. Biases and BatchNorm are left alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from aspen._base.names import unknown_name
from aspen.errors import InputError
from aspen.models.layers import spiking_layers
from aspen.training.recipes import Recipe

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)


def prunable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The trained weights of each linear layer and convolution, by the layer's name: those that the optimizer has.

    Recurrent weights are among them, as ``lif1.recurrent``.
    """
    found = {}
    for name, module in model.named_modules():
        if not isinstance(module, LAYERS):
            continue
        weight = module._parameters.get("weight")
        if parametrize.is_parametrized(module, "weight"):  # as in quantisation-aware fine-tuning
            weight = getattr(module.parametrizations["weight"], "original", None)  # type: ignore[index]
        if isinstance(weight, nn.Parameter) and weight.requires_grad:
            found[name] = weight
    return found


def densities_of(recipe: Recipe, model: nn.Module) -> dict[str, float]:
    """The share of its weights that each layer of ``model`` is to keep; those that keep all are left out.

    Raises:
        InputError: the recipe names a layer that the model does not have, or the model has none to prune.
    """
    weights = prunable(model)
    if isinstance(recipe.density, Mapping):
        for name in recipe.density:
            if name not in weights:
                raise InputError(unknown_name(f"{recipe.name}: density", name, list(weights), kind="layer"))
        return {name: share for name, share in recipe.density.items() if share < 1}
    if recipe.density == 1:
        return {}
    neurons = tuple(f"{name}." for name in spiking_layers(model))
    chain = [name for name in weights if not name.startswith(neurons)]
    if len(chain) < 2:
        raise InputError(
            f"{recipe.name}: density: found the layers {list(weights)}, allowed is one number where one layer or more "
            f'come before the last; name what is to be pruned, as in density={{"fc1": 0.25}}, or take a recipe that '
            f"prunes nothing, such as 'aspen'"
        )
    return dict.fromkeys(chain[:-1], recipe.density)


class Pruner:
    """The weights of a training that are pruned, over all its stages.

    Args:
        model: what is trained.
        stages: recipes; what any of them prunes is known from the start.

    Attributes:
        weights: layer -> its weights.
        masks: layer -> which of them are left, bool, of the same shape.
    """

    def __init__(self, model: nn.Module, stages: Sequence[Recipe]) -> None:
        names = {name for stage in stages for name in densities_of(stage, model)}
        self.weights = {name: weight for name, weight in prunable(model).items() if name in names}
        self.masks = {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in self.weights.items()}

    def advance(
        self, densities: Mapping[str, float], progress: float, squares: Mapping[Tensor, Tensor] | None = None
    ) -> None:
        """Prune as far as it has come, and hold what was pruned.

        Args:
            densities: layer -> share of its weights that it keeps in the end.
            progress: see :func:`pruning_progress`.
            squares: weights -> the mean squares of their gradients; of weights that are not in it magnitudes count.
        """
        for name, density in densities.items():
            mask = self.masks[name]
            count = max(1, round((1 - (1 - density) * (1 - (1 - progress) ** 3)) * mask.numel()))
            if count < int(mask.sum()):
                matters = _matters(self.weights[name], (squares or {}).get(self.weights[name]))
                self.masks[name] = _largest(torch.where(mask, matters, -1.0), count)
        for name, weight in self.weights.items():
            weight.detach().mul_(self.masks[name])

    def hold(self, parameters: Sequence[Tensor], values: Sequence[Tensor]) -> None:
        """Set what was pruned to zero in ``values`` that stand for ``parameters``, such as their averages."""
        masks = {id(weight): self.masks[name] for name, weight in self.weights.items()}
        for parameter, value in zip(parameters, values, strict=True):
            if id(parameter) in masks:
                value.mul_(masks[id(parameter)])

    def hold_gradients(self) -> None:
        """Let no gradient through to what was pruned, so that it does not count in its norm either."""
        for name, weight in self.weights.items():
            if weight.grad is not None:
                weight.grad.mul_(self.masks[name])

    def state(self) -> dict[str, Tensor]:
        """The masks, for a checkpoint."""
        return {name: mask.clone() for name, mask in self.masks.items()}

    def load(self, masks: Mapping[str, Tensor]) -> None:
        """Go on with such masks."""
        self.masks = {name: masks[name].to(mask.device) for name, mask in self.masks.items()}


def pruning_progress(recipe: Recipe, done: float) -> float:
    """How far a recipe has come with pruning after the fraction ``done`` of its steps: 0 before ``prune_from``, 1 from
    ``prune_until`` on, or where it prunes nothing."""
    if done >= recipe.prune_until or not recipe.prunes:
        return 1.0
    if done <= recipe.prune_from:
        return 0.0
    return (done - recipe.prune_from) / (recipe.prune_until - recipe.prune_from)


def _matters(weight: Tensor, squares: Tensor | None) -> Tensor:
    """What each weight matters, up to a monotonous function, 0 or more."""
    magnitude = weight.detach().abs()
    return magnitude if squares is None else magnitude * squares.sqrt()


def _largest(matters: Tensor, count: int) -> Tensor:
    """Where the ``count`` largest of ``matters`` are."""
    mask = torch.zeros(matters.numel(), dtype=torch.bool, device=matters.device)
    mask[matters.reshape(-1).topk(count).indices] = True
    return mask.reshape(matters.shape)
