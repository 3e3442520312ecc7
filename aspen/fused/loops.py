"""Which time loops run a layer: Numba's on a CPU, Triton's on a GPU, snnTorch's own steps for what neither takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Protocol

import torch
from torch import Tensor

from aspen.fused import on_cpu, on_gpu
from aspen.fused.arrays import Layer, Passing, Steps

NUMBA, TRITON, STEPS = "Numba", "Triton", "snnTorch's steps"
_WHOLE = (torch.float32, torch.float64)
_HALF = (torch.bfloat16, torch.float16)


class Loops(Protocol):
    """Time loops for one kind of device; see :mod:`aspen.fused.on_cpu`."""

    def empty(self, shape: Sequence[int], dtype: torch.dtype, like: Tensor) -> Tensor:
        """A tensor with arbitrary values, contiguous, on the device of ``like``."""

    def forward(self, layer: Layer, signal: Tensor, made: Steps) -> Callable[[int, int, Tensor], None]:
        """The loop forwards."""

    def backward(self, passing: Passing) -> Callable[[int, int], None]:
        """The loop backwards."""


LOOPS: dict[str, Loops] = {NUMBA: on_cpu, TRITON: on_gpu}


def choose(device: str, dtype: torch.dtype, recurrent: bool, has_triton: bool) -> str:
    """What steps a layer of neurons through time.

    Args:
        device: type of the input's device, such as ``"cuda"`` (AMD's are called so too).
        dtype: of the input. In half precision Triton's loops keep states in float32; what spikes bring back to a
            recurrent layer would be rounded, so those step as snnTorch has them.
        recurrent: whether spikes come back to the layer.
        has_triton: whether Triton is installed.

    Returns:
        a key of ``LOOPS``, or ``STEPS``.
    """
    if device == "cpu" and dtype in _WHOLE:
        return NUMBA
    if device == "cuda" and has_triton and (dtype in _WHOLE or (dtype in _HALF and not recurrent)):
        return TRITON
    return STEPS


@cache
def has_triton() -> bool:
    """Whether Triton is installed, which torch for CUDA on Linux brings."""
    return find_spec("triton") is not None


def state_dtype(dtype: torch.dtype) -> torch.dtype:
    """The type of the states for an input of this type."""
    return dtype if dtype in _WHOLE else torch.float32
