"""The maximum over spikes: a neuron without memory that spikes where any of those in its window does.

Spikes are 0 or 1, so the largest of them is 1 where their sum is above one half. A maximum over currents has no such
form, and is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from aspen._base.arrays import Array
from aspen.exporting.layers import RESHAPING
from aspen.exporting.neurons import Mapped
from aspen.exporting.nodes import EVERY_STEP, Node
from aspen.models.operations import RESHAPES
from aspen.network.neurons import Lif

MAX_POOLS = (nn.MaxPool1d, nn.MaxPool2d)
MAX_FUNCTIONS = {"max_pool1d": 1, "max_pool2d": 2}
"""Function -> dimensions of its window."""


@dataclass(frozen=True)
class Window:
    """The sum over the windows of a maximum pool, which is linear.

    Args:
        kernel, stride, padding: of two dimensions; the first is 1, 1 and 0 for a pool of one.
        ceil: whether windows may reach over the border.
        dimensions: 1 or 2.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    ceil: bool
    dimensions: int

    def __call__(self, x: Tensor) -> Tensor:
        """(batch, *shape) summed within each window."""
        plane = x.unsqueeze(-2) if self.dimensions == 1 else x
        made = functional.avg_pool2d(plane, self.kernel, self.stride, self.padding, self.ceil, True, 1)
        return made.squeeze(-2) if self.dimensions == 1 else made

    def largest(self, shape: tuple[int, ...]) -> Callable[[Array], Array]:
        """From (batch, n) values of ``shape`` to the largest within each window, (batch, m)."""
        pool = functional.max_pool1d if self.dimensions == 1 else functional.max_pool2d
        window = slice(2 - self.dimensions, 2)

        def largest(values: Array) -> Array:
            given = torch.from_numpy(values.reshape(len(values), *shape))
            made = pool(given, self.kernel[window], self.stride[window], self.padding[window], ceil_mode=self.ceil)
            return np.asarray(made.reshape(len(values), -1).numpy())

        return largest


def window(
    dimensions: int, kernel: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Window | None:  # fmt: skip
    """The window of a maximum pool by its arguments, or None for one with holes or indices."""

    def pair(value: Any, fill: int) -> tuple[int, int]:
        both = tuple(value) if isinstance(value, (tuple, list)) else (value,) * dimensions
        return (fill, *both) if dimensions == 1 else both

    if return_indices or pair(dilation, 1) != (1, 1):
        return None
    stepped = kernel if stride in (None, (), []) else stride
    return Window(pair(kernel, 1), pair(stepped, 1), pair(padding, 0), bool(ceil_mode), dimensions)


def window_of(layer: Any) -> Window | None:
    """The window of a layer, or None where it is no maximum that can be followed."""
    if not isinstance(layer, MAX_POOLS):
        return None
    dimensions = 1 if isinstance(layer, nn.MaxPool1d) else 2
    options = (layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.ceil_mode, layer.return_indices)
    return window(dimensions, *options)


def source_of(node: Any) -> Node | None:
    """The spikes, or the step of the input, that a tensor holds, perhaps in another shape; None for anything else."""
    while isinstance(node, Node) and node.kind == "apply":
        if node.operation not in RESHAPES and not isinstance(node.function, RESHAPING):
            return None
        node = node.args[0]
    return node if isinstance(node, Node) and node.is_atom and node.call != EVERY_STEP else None


def gate() -> Mapped:
    """The neurons of a gate, which spike on any weight of 1 and remember nothing."""
    return Mapped(Lif(threshold=0.5, beta=0.0, reset="zero"), np.ones(()), np.ones(()))
