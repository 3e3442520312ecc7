"""The draws of one forward pass under perturbed thresholds: one for each layer, the same at every step."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from aspen.errors import ModelError
from aspen.models.layers import show
from aspen.thresholds.distributions import Distribution


class PassDraws:
    """The draws of one pass: made when a layer first asks, the same tensor at each further step."""

    def __init__(self, distribution: Distribution, axes: frozenset[str], generator: torch.Generator | None) -> None:
        self._distribution = distribution
        self._axes = axes
        self._generator = generator
        self._batch: int | None = None
        self._values: dict[str | None, Tensor] = {}
        self._placed: dict[tuple[Any, ...], Tensor] = {}

    def get(self, layer: str, state: torch.Size, signal: Tensor) -> Tensor:
        """Return the draw of ``layer``, (batch or 1, *features or 1s), where and as ``signal`` is."""
        dtype = signal.dtype if signal.is_floating_point() else torch.get_default_dtype()
        key = (layer, state, signal.device, dtype)
        if key not in self._placed:
            values = self._layer_values(layer, state)
            self._placed[key] = values.to(device=signal.device, dtype=dtype)
        return self._placed[key]

    def _layer_values(self, layer: str, state: torch.Size) -> Tensor:
        self._check_batch(layer, state)
        shape = factor_shape(self._axes, state)
        owner = layer if self._axes & {"layer", "neuron"} else None
        if owner not in self._values:
            self._values[owner] = self._distribution.sample(shape, self._generator)
        values = self._values[owner]
        if values.numel() != math.prod(shape):
            raise ModelError(
                f"{show(layer)}: found neurons of shape {tuple(state[1:])} after {tuple(values.shape[1:])} in one "
                "pass, allowed: one shape where per includes 'neuron'; give each layer a module of its own"
            )
        return values.reshape(shape)

    def _check_batch(self, layer: str, state: torch.Size) -> None:
        if "sample" not in self._axes:
            return
        batch = state[0] if state else 1
        if self._batch is None:
            self._batch = batch
        if batch != self._batch:
            raise ModelError(
                f"{show(layer)}: found a batch of {batch}, but this pass began with {self._batch}; allowed: one size "
                "where per includes 'sample'; keep samples on axis 0, use per='batch', or redraw() in a sequence"
            )


def factor_shape(axes: frozenset[str], state: torch.Size) -> tuple[int, ...]:
    """Return the shape of a layer's draws: batch or 1, then the features or 1s.

    Args:
        axes: What draws are independent along.
        state: Shape of the membrane, (batch, *features).
    """
    if not state:
        return ()
    features = tuple(state[1:])
    return (state[0] if "sample" in axes else 1, *(features if "neuron" in axes else (1,) * len(features)))
