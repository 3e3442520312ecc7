"""One public model of the matrix: how it is made, what it is given, and what ``forward`` needs beside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

STEPS, BATCH = 6, 3


@dataclass(frozen=True)
class Entry:
    """A model as its source defines it, narrower but of the same kind.

    Args:
        name: short, for the table.
        source: where it is defined: repository and file, or what it is.
        make: makes it; torch is seeded before.
        sample: what its ``forward`` is given, shape by axis; ``spikes`` or ``values`` between 0 and 1.
        arguments: for :func:`aspen.export`, where the model cannot be exported as written.
    """

    name: str
    source: str
    make: Callable[[], nn.Module]
    sample: tuple[int, ...]
    values: bool = False
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def model(self) -> nn.Module:
        """The model, its weights the same each time, large enough that every layer spikes."""
        torch.manual_seed(1)
        model = self.make().eval()
        for module in model.modules():
            if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d)):
                with torch.no_grad():
                    module.weight.copy_(torch.round(128 * (3 * module.weight + 0.05)) / 128)
        return model

    def inputs(self) -> Tensor:
        """The sample."""
        drawn = torch.rand(self.sample, generator=torch.Generator().manual_seed(2))
        return torch.round(drawn * 16) / 16 if self.values else (drawn < 0.5).float()
