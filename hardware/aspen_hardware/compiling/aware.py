"""Quantisation-aware fine-tuning: train a snnTorch model with the weights that the chip will store.

Weights are what costs accuracy (8 bits, or 7 and a sign); decays (12 bits) and thresholds (17 bits) are finer by far
and are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from aspen.errors import ModelError
from aspen_hardware.compiling import formats as quantize

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)


class _Rounded(nn.Module):
    """The weight as the chip stores it; the gradient passes straight through the rounding (Bengio et al., 2013)."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (rounded(weight) - weight).detach()


def rounded(weight: Tensor) -> Tensor:
    """``weight`` rounded as :func:`aspen_hardware.compile` does: the largest weight fills the chip's range."""
    values = weight.detach().cpu().numpy()
    largest = float(abs(values).max(initial=0.0))
    if largest == 0:
        return weight.detach()
    per_unit = quantize.weight_limit(values) / largest
    return torch.from_numpy(quantize.quantize_weight(values, per_unit) / per_unit).to(weight)


@contextmanager
def quantization_aware(model: nn.Module) -> Iterator[None]:
    """While the block runs, ``model`` computes with the chip's weights; afterwards it keeps them, rounded.

    Fine-tune inside the block, with any training loop; then export and compile: the rounding of the weights is then
    without loss. Make the optimizer inside the block, so that it sees the parameters in use. Populations that are
    driven by more than one layer (recurrent ones, skips) share one scale on the chip, so their weights are rounded
    once more there.

    Args:
        model: its ``Linear``, ``Conv1d`` and ``Conv2d`` layers are rounded.

    Raises:
        ModelError: the model has no such layer, or one whose weight is parametrized already.
    """
    layers = {name: module for name, module in model.named_modules() if isinstance(module, LAYERS)}
    if not layers:
        raise ModelError(f"{type(model).__name__}: found no Linear, Conv1d or Conv2d layer, allowed is at least one")
    for name, module in layers.items():
        if parametrize.is_parametrized(module, "weight"):
            raise ModelError(f"{name}: found a parametrized weight, allowed is a plain one; remove the parametrization")
    for module in layers.values():
        parametrize.register_parametrization(module, "weight", _Rounded())
    try:
        yield
    finally:
        for module in layers.values():
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
