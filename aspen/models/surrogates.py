"""Surrogates for the derivative of spikes: one that is zero away from the threshold, and what any of them derives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from aspen._base.checks import as_number


@dataclass(frozen=True)
class Triangle:
    """A ``spike_grad`` for snnTorch neurons whose derivative is a triangle around the threshold, and zero beyond it.

    Forwards a spike where membrane - threshold = x > 0; backwards the derivative ``max(0, 1 - |x| / width) / width``,
    the piecewise linear one of Esser et al. 2016 (arXiv 1603.08270) with an area of 1, as ATan's is. snnTorch's
    ``atan`` and ``fast_sigmoid`` are nowhere zero, its ``triangular`` is a constant on either side.

    It trains another network than ``atan()`` does: a neuron that is always farther from its threshold learns nothing.
    A width of 1 reaches from the usual threshold of 1 to a membrane at rest, and is safe; a narrower one needs currents
    of some size from the start, such as BatchNorm makes. Where the derivative is zero, :func:`aspen.fuse` does not
    compute the gradient that arrives at the spikes, if few places are left: it is 0 there, which changes no weights.

    >>> import snntorch
    >>> neuron = snntorch.Leaky(beta=0.9, spike_grad=Triangle(0.5))
    >>> Triangle(0.5)(torch.tensor([-0.1, 0.0, 0.1]))
    tensor([0., 0., 1.])

    Args:
        width: how far from the threshold, in units of the membrane, the derivative is other than zero.

    Raises:
        InputError: the width is not above 0.
    """

    width: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "width", as_number("width", self.width, 0, above=True))

    @property
    def slope(self) -> float:
        """The derivative at the threshold, 1 / width."""
        return 1 / self.width

    def __call__(self, distance: Tensor) -> Tensor:
        """Spikes, 0 and 1.

        Args:
            distance: membrane - threshold, any shape.
        """
        spikes: Tensor = _Spikes.apply(distance, self.slope)
        return spikes


def derivative(function: Callable[[Tensor], Tensor], distance: Tensor) -> Tensor:
    """What a neuron's ``spike_grad`` derives at each place.

    Args:
        function: the ``spike_grad``.
        distance: membrane - threshold, any shape.
    """
    with torch.enable_grad():
        place = distance.detach().requires_grad_()
        spikes = function(place)
        if not spikes.requires_grad:
            return torch.zeros_like(distance)
        (derived,) = torch.autograd.grad(spikes, place, torch.ones_like(spikes))
    return derived.to(distance.dtype).contiguous()


class _Spikes(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, distance: Tensor, slope: float) -> Tensor:
        ctx.save_for_backward(distance)
        ctx.slope = slope
        return (distance > 0).to(distance.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        (distance,) = ctx.saved_tensors
        height = (1 - ctx.slope * distance.abs()).clamp_min(0)
        return ctx.slope * height * grad, None
