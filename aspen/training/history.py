"""What is measured in the course of a training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Epoch:
    """What was measured after an epoch.

    Args:
        stage, epoch: which, from 0.
        loss: mean over the training samples.
        settings: knob settings that were tried on validation data.
        accuracy, spikes: validation accuracy (0 to 1) and hidden spikes per inference at each.
        dead: fraction of the hidden neurons that never spiked on validation data, at the first setting.
    """

    stage: int
    epoch: int
    loss: float
    settings: tuple[float, ...]
    accuracy: tuple[float, ...]
    spikes: tuple[float, ...]
    dead: float


Report = Callable[[Epoch, int], None]
"""Called after each epoch with what was measured and the number of epochs of all stages."""
