"""The time loops on a CPU: Numba's, over parts of the columns on as many threads as torch uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from aspen.fused import kernels, plain
from aspen.fused.arrays import Layer, Passing, States, Steps
from aspen.fused.memory import POOL, past_the_cache
from aspen.fused.threads import spread
from aspen.fused.vectors import LANES


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
    arrays = signal, made.membrane, made.spikes
    past = _is_plain(layer) and _of_vectors(*arrays) and _past_the_cache(*arrays)

    def run(start: int, stop: int, feedback: Tensor) -> None:
        loop = plain.forward if past and not feedback.numel() else kernels.forward
        spread(loop, signal.shape[1], start, stop, given, feedback.numpy(), neurons, first, filled)

    return run


def backward(passing: Passing) -> Callable[[int, int], None]:
    """The loop backwards, called with the first and the last step (exclusive), which are gone through the last first.

    Args:
        passing: of the layer; its tensors are written to.
    """
    layer, surrogate, made, arriving, carry, of_signal, totals = passing
    given = *map(_arrays, (arriving, layer, surrogate)), _at_rest(of_signal), _arrays(made), _arrays(carry)
    arguments = *given, of_signal.numpy(), _arrays(totals)
    usual = not (arriving.membrane.numel() or surrogate.table.numel())
    moved = arriving.spikes, made.membrane, of_signal
    is_plain = usual and _is_plain(layer) and _of_vectors(*moved)
    past = _past_the_cache(*moved)

    def run(start: int, stop: int) -> None:
        if is_plain:
            spread(plain.backward, of_signal.shape[1], start, stop, past, *arguments)
        else:
            spread(kernels.backward, of_signal.shape[1], start, stop, *arguments)

    return run


def _is_plain(layer: Layer) -> bool:
    """Whether the neurons are such as :mod:`aspen.fused.plain` steps."""
    return layer.alpha.numel() == 0 and not layer.at_once


def _of_vectors(*arrays: Tensor) -> bool:
    """Whether arrays (time, n) are of one type, and of whole vectors."""
    return all(array.dtype == arrays[0].dtype and array.shape[1] % LANES == 0 for array in arrays)


def _past_the_cache(*arrays: Tensor) -> bool:
    """Whether all arrays (time, n) are such as are written past the cache."""
    return all(past_the_cache(array) for array in arrays)


def _arrays(values: Any) -> Any:
    """The same tuple with tensors as arrays on their memory."""
    return values._make([part.numpy() if isinstance(part, Tensor) else part for part in values])


def _at_rest(signal: Tensor) -> States:
    """States of zero, for neurons with that input (time, n); they are only read."""
    zero = signal.new_zeros(signal.shape[1]).numpy()
    return States(zero, zero)
