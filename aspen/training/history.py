"""What is measured in the course of a training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Epoch:
    """What was measured after an epoch.

    Args:
        stage, epoch: which, from 0.
        loss: mean over the training samples.
        settings: knob settings that were tried on validation data.
        accuracy, spikes: validation accuracy (0 to 1) and hidden spikes per inference at each.
        dead: fraction of the hidden neurons that never spiked on validation data, at the first setting.
        also: what the function said that :func:`aspen.fit` was given as ``each_epoch``, at the first setting.
    """

    stage: int
    epoch: int
    loss: float
    settings: tuple[float, ...]
    accuracy: tuple[float, ...]
    spikes: tuple[float, ...]
    dead: float
    also: Mapping[str, float] = field(default_factory=dict)


Report = Callable[[Epoch, int], None]
"""Called after each epoch with what was measured and the number of epochs of all stages."""
EachEpoch = Callable[["nn.Module", int], Mapping[str, float]]
"""Called after each epoch with the model, in ``eval()`` mode, and how many epochs there were before; gives numbers by
the name of their column."""
