"""``DeltaLeaky``, which spikes where its membrane changes by more than a threshold, in the clothes of ``Leaky``."""

from __future__ import annotations

from typing import Any

import snntorch
import torch
from torch import Tensor, nn

from aspen.models.copying import copy_of


class Changes(snntorch.Leaky):
    """A ``DeltaLeaky`` whose states are those of a ``Leaky``, for an export."""

    mem: Tensor

    def __init__(self, layer: Any) -> None:
        super().__init__(
            layer.beta.detach().clone(), layer.delta_threshold, layer.spike_grad, init_hidden=True, output=True
        )

    def forward(self, input_: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Spikes, and the membranes of this step and of the one before."""
        kept: Tensor = self.mem
        before = kept if kept.shape == input_.shape else torch.zeros_like(input_)
        self.mem = self.beta * before + input_
        return self.spike_grad((self.mem - before).abs() - self.threshold), (self.mem, before)


def of_changes(model: nn.Module) -> nn.Module:
    """A copy of the model with such neurons in the place of ``DeltaLeaky``; the model itself where it has none."""
    found = [name for name, module in model.named_modules() if type(module) is snntorch.DeltaLeaky and name]
    if not found:
        return model
    twin = copy_of(model)
    for name in found:
        parent, _, own = name.rpartition(".")
        setattr(twin.get_submodule(parent), own, Changes(twin.get_submodule(name)))
    return twin
