"""The time loops on a CPU: Numba's, over parts of the columns on as many threads as torch uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from aspen.fused import kernels
from aspen.fused.arrays import Layer, Passing, States, Steps
from aspen.fused.memory import POOL
from aspen.fused.threads import spread


def empty(shape: Sequence[int], dtype: torch.dtype, like: Tensor) -> Tensor:
    """A tensor with arbitrary values, contiguous."""
    return POOL.empty(shape, dtype)


def forward(layer: Layer, signal: Tensor, made: Steps) -> Callable[[int, int, Tensor], None]:
    """The loop forwards: called with the first and the last step (exclusive) and what is added to the input there.

    Args:
        layer: the neurons.
        signal: input (time, n).
        made: filled; steps before the first one are made.
    """
    given, neurons, first, filled = signal.numpy(), _arrays(layer), _at_rest(signal), _arrays(made)

    def run(start: int, stop: int, feedback: Tensor) -> None:
        arguments = given, feedback.numpy(), neurons, first, filled
        spread(kernels.forward, signal.shape[1], start, stop, *arguments)

    return run


def backward(passing: Passing) -> Callable[[int, int], None]:
    """The loop backwards, called with the first and the last step (exclusive), which are gone through the last first.

    Args:
        passing: of the layer; its tensors are written to.
    """
    layer, surrogate, made, arriving, carry, of_signal, totals = passing
    given = *map(_arrays, (arriving, layer, surrogate)), _at_rest(of_signal), _arrays(made), _arrays(carry)
    arguments = *given, of_signal.numpy(), _arrays(totals)

    def run(start: int, stop: int) -> None:
        spread(kernels.backward, of_signal.shape[1], start, stop, *arguments)

    return run


def _arrays(values: Any) -> Any:
    """The same tuple with tensors as arrays on their memory."""
    return type(values)(*(part.numpy() if isinstance(part, Tensor) else part for part in values))


def _at_rest(signal: Tensor) -> States:
    """States of zero, for neurons with that input (time, n)."""
    return States(*(signal.new_zeros(signal.shape[1]).numpy() for _ in States._fields))
