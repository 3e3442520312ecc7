"""What a chip will say of a model, before the hours of its training."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from aspen._base.above import chip_warning
from aspen._base.arrays import Array
from aspen.data import Dataset
from aspen.training.framed import form_for
from aspen.training.inputs import telling

LOOKED_AT = 64
"""Training samples among which one is looked for that tells what the input is."""


def warning_for(model: nn.Module, data: Dataset, chip: Any) -> str:
    """What keeps ``model`` off ``chip`` or several, with the table of what each will say; empty where nothing does.

    Raises:
        ChipError: there is no such chip.
    """
    like = next(model.parameters())
    sample: Array = telling(data.encode(data.train.values[:LOOKED_AT], seed=0))
    frames = torch.from_numpy(sample).to(like.device, like.dtype)
    form = form_for(model, frames)
    how = {"time_axis": form.sample_axis, "arguments": form.arguments}
    with torch.random.fork_rng(devices=[]):
        return chip_warning(model, chip, form.sample(frames), **how)
