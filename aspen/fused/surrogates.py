"""The derivatives of surrogate spikes, for whole layers over all steps at once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from aspen.errors import ModelError
from aspen.fused.kernels import ATAN, FAST_SIGMOID, STRAIGHT, TABLE, TRIANGLE
from aspen.models.surrogates import Triangle, derivative

_COMPUTED = {
    "atan": (ATAN, "alpha"),
    "fast_sigmoid": (FAST_SIGMOID, "slope"),
    "straight_through_estimator": (STRAIGHT, ""),
}


@dataclass(frozen=True)
class Surrogate:
    """What a neuron's ``spike_grad`` does.

    Args:
        function: the ``spike_grad`` itself.
        kind, slope: how the compiled loops compute the derivative; ``TABLE`` where they are given it.
        dtype: of the spikes.
    """

    function: Callable[[Tensor], Tensor]
    kind: int
    slope: float
    dtype: torch.dtype

    def table(self, distance: Tensor) -> Tensor:
        """The derivative at each place.

        Args:
            distance: membrane - threshold, any shape.
        """
        return derivative(self.function, distance)


def read_surrogate(what: str, function: Any, dtype: torch.dtype) -> Surrogate:
    """Look at a ``spike_grad``.

    Args:
        what: the layer, for messages.
        function: the neuron's ``spike_grad``.
        dtype: of the membrane.

    Raises:
        ModelError: its spikes are not 0 and 1 above the threshold; or its derivative is random, or at one place depends
            on other places or on the gradient.
    """
    place = torch.linspace(-2, 2, 257, dtype=dtype)
    made = function(place)
    if made.shape != place.shape or not torch.equal(made.detach().to(dtype), (place > 0).to(dtype)):
        raise ModelError(
            f"{what}: found a spike_grad whose spikes are not 0 and 1 above the threshold, which cannot be fused; "
            f"use one such as snntorch.surrogate.atan()"
        )
    kind, slope = _recognise(function)
    surrogate = Surrogate(function, kind, slope, made.dtype)
    if kind == TABLE:
        _check_derivative(what, surrogate, place)
    return surrogate


def _recognise(function: Any) -> tuple[int, float]:
    """snnTorch's own surrogates are closures over their parameter."""
    if isinstance(function, Triangle):
        return TRIANGLE, function.slope
    if getattr(function, "__module__", "") != "snntorch.surrogate":
        return TABLE, 0.0
    kind, parameter = _COMPUTED.get(function.__qualname__.split(".")[0], (TABLE, ""))
    slope = inspect.getclosurevars(function).nonlocals.get(parameter, 0.0)
    return (kind, float(slope)) if isinstance(slope, (int, float)) else (TABLE, 0.0)


def _check_derivative(what: str, surrogate: Surrogate, place: Tensor) -> None:
    """The derivative is the same whichever way it is asked for."""
    whole = surrogate.table(place)
    order = torch.arange(len(place) - 1, -1, -1)
    generator = torch.Generator().manual_seed(0)
    grad = torch.randn(len(place), generator=generator, dtype=torch.float64).to(surrogate.dtype)
    alone = place.clone().requires_grad_()
    spikes = surrogate.function(alone)
    weighed = torch.autograd.grad(spikes, alone, grad)[0] if spikes.requires_grad else torch.zeros_like(place)
    parts = torch.cat([surrogate.table(part) for part in place[order].split(3)])[order]
    expected = whole * grad.to(place.dtype)
    for found, wanted in ((parts, whole), (weighed, expected)):
        if not torch.allclose(found, wanted, rtol=1e-4, atol=1e-6, equal_nan=True):
            raise ModelError(
                f"{what}: found a spike_grad whose derivative is random, or depends on more than the membrane at each "
                f"place, which cannot be fused; use one such as snntorch.surrogate.atan()"
            )
