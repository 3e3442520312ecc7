"""Recipes by name are for a thousand samples and more; of fewer they make as many steps, in smaller batches."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from aspen.training.recipes import Recipe

LEAST_BATCHES = 16
"""Steps that an epoch of a named recipe has at least: digits have 17, with which the recipes were made."""
LEAST_BATCH = 8
"""Samples: below, the gradients and the statistics of BatchNorm are mostly noise."""


def enough_steps(recipe: Recipe, samples: int, more_epochs: bool = True) -> Recipe:
    """The recipe for so few training samples: smaller batches first, then more epochs.

    >>> from aspen.training.recipes import Recipe
    >>> few = enough_steps(Recipe("short", epochs=10, batch_size=64), samples=30)
    >>> few.batch_size, few.epochs
    (8, 40)

    Args:
        recipe: as it is for many.
        samples: to train on.
        more_epochs: whether there are more where smaller batches are not enough; not where somebody said how many.
    """

    def change(stage: Recipe) -> Recipe:
        size = min(stage.batch_size, max(LEAST_BATCH, samples // LEAST_BATCHES))
        times = ceil(LEAST_BATCHES / ceil(samples / size)) if more_epochs else 1
        return replace(stage, batch_size=size, epochs=stage.epochs * times)

    return recipe.each(change)


def told_of_few(recipe: Recipe, changed: Recipe, samples: int) -> str:
    """What :func:`enough_steps` changed, in words; empty where it was nothing."""
    if changed == recipe:
        return ""
    times = changed.epochs // recipe.epochs
    more = f" and {times} times the epochs" if times > 1 else ""
    return f"batches of {changed.batch_size}{more} for {samples} samples"
