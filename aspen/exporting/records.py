"""A tensor that a model fills slice by slice, ``record[t] = spikes``: what lies in each slice."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from aspen.exporting.nodes import Node, place


@dataclass
class Record:
    """A tensor of zeros that is filled slice by slice along one dimension."""

    of: weakref.ref[Tensor]
    dim: int = -1
    version: int = -1
    slices: dict[int, Node] = field(default_factory=dict)

    def take(self, index: Any, value: Any, target: Tensor) -> bool:
        """Note what a slice was given; False where that is no whole slice, or along another dimension."""
        found = place(index, target.ndim)
        if found is None or not isinstance(value, Node) or self.dim not in (-1, found[0]):
            return False
        self.dim = found[0]
        self.slices[found[1] % target.shape[self.dim]] = value
        return value.shape == tuple(target.select(self.dim, 0).shape)

    def items(self, target: Tensor) -> list[Any]:
        """What lies in each slice: nodes, and zeros."""
        rest = torch.zeros_like(target.select(self.dim, 0))
        return [self.slices.get(number, rest) for number in range(target.shape[self.dim])]
