"""Models to be exported, and spikes to see what feeds what in them."""

from __future__ import annotations

from typing import Any

import snntorch
import torch
from torch import Tensor, nn

from tests.networks import random_spikes

SPIKES = torch.from_numpy(random_spikes(0, 10, 4, 6)).float()


def leaky(**options: Any) -> snntorch.Leaky:
    return snntorch.Leaky(**{"beta": 0.9, "init_hidden": True, **options})


def sequential(*middle: nn.Module, **options: Any) -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 5), leaky(**options), *middle, nn.Linear(5, 3), leaky(output=True))


class Looping(nn.Module):
    """Loops over time; ``twist`` changes the hidden spikes, ``read`` picks the input of a step."""

    def __init__(self, twist: Any = None, read: Any = None) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(6, 5), snntorch.Leaky(0.9)
        self.fc2, self.lif2 = nn.Linear(5, 3), snntorch.Leaky(0.9)
        self.twist, self.read = twist or (lambda s, past: s), read or (lambda x, t: x[t])

    def forward(self, x: Tensor) -> Tensor:
        mem1, mem2 = self.lif1.reset_mem(), self.lif2.reset_mem()
        out, past = [], torch.zeros(x.shape[1], 5)
        for t in range(len(x)):
            spikes, mem1 = self.lif1(self.fc1(self.read(x, t)), mem1)
            past, spikes = spikes, self.twist(spikes, past)
            spikes, mem2 = self.lif2(self.fc2(spikes), mem2)
            out.append(spikes)
        return torch.stack(out)
