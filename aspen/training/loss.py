"""What the loss of a training is made of, beside the penalty on spikes: scores of the classes, and prices of knobs."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor, nn

from aspen._base.arrays import Array
from aspen.errors import ModelError
from aspen.models.layers import hidden_layers, spiking_layers
from aspen.training.recipes import DialTraining, Recipe


def draw_knobs(rng: np.random.Generator, batch: int, beyond: float = 0.1) -> Array:
    """Knobs of a batch, (batch,): one in each equal part of -beyond to 1 + beyond, then clipped to 0 to 1."""
    return np.clip((rng.permutation(batch) + rng.random(batch)) / batch * (1 + 2 * beyond) - beyond, 0.0, 1.0)


def price_of(dial: DialTraining, knobs: Tensor) -> Tensor:
    """The price on spikes at each knob."""
    return dial.low_price * (dial.high_price / dial.low_price) ** knobs


def takes_mean(recipe: Recipe, model: nn.Module) -> bool:
    """Whether the loss takes the mean of the model's answers over time, and not their sum.

    Raises:
        ModelError: the recipe leaves it to the model, whose output layer cannot be told.
    """
    if recipe.scores == "auto":
        return len(hidden_layers(model)) == len(spiking_layers(model))
    return recipe.scores == "mean"


def scores_of(answer: Any, mean: bool = False, batch: int | None = None) -> Tensor:
    """(batch, classes) of what a model returns: (time, batch, classes) summed or averaged, or (batch, classes).

    Of a tuple or a list, the first part counts.

    Args:
        answer: what the model returned.
        mean: whether the mean over time is taken, not the sum.
        batch: number of samples; ``None``: as many as the answer has.

    Raises:
        ModelError: it is something else, or of another number of samples.
    """
    first = answer[0] if isinstance(answer, (tuple, list)) and answer else answer
    if not isinstance(first, Tensor) or first.ndim not in (2, 3):
        found = tuple(first.shape) if isinstance(first, Tensor) else type(first).__name__
        raise ModelError(
            f"model: found an answer {found}, allowed is (time, batch, classes) or (batch, classes), alone or first "
            f"in a tuple; return it like that"
        )
    if batch is not None and first.shape[-2] != batch:
        raise ModelError(
            f"model: found an answer of shape {tuple(first.shape)} for {batch} samples, allowed is (time, {batch}, "
            f"classes) or ({batch}, classes); transpose it"
        )
    if first.ndim == 2:
        return first
    return first.mean(dim=0) if mean else first.sum(dim=0)
