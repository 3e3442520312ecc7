"""The time loops on a GPU: how Triton's kernels are launched."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from aspen.fused.arrays import Layer, Passing, Steps

BLOCK = 128
"""Columns of a program, one for each thread; half precision takes twice as many, so that a thread loads four bytes."""
LAUNCH: dict[str, Any] = {"num_warps": 4, "enable_fp_fusion": False}
"""A product and a sum are rounded one after the other, as snnTorch's are."""
AHEAD = 4
"""Steps whose input is on its way while one is computed."""


def empty(shape: Sequence[int], dtype: torch.dtype, like: Tensor) -> Tensor:
    """A tensor with arbitrary values, contiguous."""
    return torch.empty(*shape, dtype=dtype, device=like.device)


def forward(layer: Layer, signal: Tensor, made: Steps) -> Callable[[int, int, Tensor], None]:
    """As :func:`aspen.fused.on_cpu.forward`; with an input in half precision, the states are in float32."""
    from aspen.fused import triton_kernels

    columns = signal.shape[1]
    has_current = layer.alpha.numel() > 0

    def run(start: int, stop: int, feedback: Tensor) -> None:
        current = made.current[start:] if has_current else made.current
        arrays = signal[start:], feedback, *layer[:4], current, *(part[start:] for part in made[1:4])
        with torch.cuda.device_of(signal):
            triton_kernels.forward[_grid(signal)](
                *arrays, start, stop - start, columns, layer.reset, layer.at_once, has_current, feedback.numel() > 0,
                _block(signal), AHEAD, **LAUNCH,
            )  # fmt: skip

    return run


def backward(passing: Passing) -> Callable[[int, int], None]:
    """As :func:`aspen.fused.on_cpu.backward`."""
    from aspen.fused import triton_kernels

    layer, surrogate, made, arriving, carry, of_signal, totals = passing
    has_current, slope = layer.alpha.numel() > 0, surrogate.slope
    given = arriving.membrane, arriving.current, surrogate.table, made.current
    wanted = [part.numel() > 0 for part in (arriving.membrane, arriving.current, *totals)]

    def run(start: int, stop: int) -> None:
        last = stop - 1
        of_membrane, of_current, table, current = (part[last:] if part.numel() else part for part in given)
        with torch.cuda.device_of(of_signal):
            triton_kernels.backward[_grid(of_signal)](
                arriving.spikes[last:], of_membrane, of_current, table, *layer[:4], current, made.charged[last:],
                made.membrane[last:], *carry, of_signal[last:], *totals, last, stop - start, of_signal.shape[1],
                layer.reset, layer.at_once, has_current, *wanted,
                surrogate.kind, slope, slope / 2, math.pi / 2 * slope, _block(of_signal), AHEAD, **LAUNCH,
            )  # fmt: skip

    return run


def _block(signal: Tensor) -> int:
    return BLOCK * (2 if signal.itemsize == 2 else 1)


def _grid(signal: Tensor) -> tuple[int]:
    return (-(-signal.shape[1] // _block(signal)),)
