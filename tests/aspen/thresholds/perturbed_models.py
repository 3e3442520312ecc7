"""Models whose thresholds are perturbed, and what they are given."""

from __future__ import annotations

from typing import Any

import snntorch as snn
import torch
from torch import Tensor, nn

STEPS, BATCH = 7, 5


class Net(nn.Module):
    """Two hidden layers, (2, 3) and (6,), and a spiking output; the loop over time inside."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.conv, self.lif1 = nn.Conv1d(1, 2, 3), snn.Leaky(beta=0.9, **options)
        self.block = nn.Sequential(nn.Linear(6, 6), snn.Synaptic(alpha=0.5, beta=0.9, init_hidden=True, **options))
        self.out, self.lif3 = nn.Linear(6, 2), snn.Leaky(beta=0.9, **options)
        self.seen: list[Tensor] = []
        for layer in (self.conv, self.block[0], self.out):
            layer.weight.data.abs_()  # so that spikes reach the output

    def forward(self, xs: Tensor) -> Tensor:
        mem1, mem3, out = self.lif1.reset_mem(), self.lif3.reset_mem(), []
        self.block[1].reset_mem()
        for x in xs:
            spikes, mem1 = self.lif1(self.conv(x), mem1)
            spikes, mem3 = self.lif3(self.out(self.block(spikes.flatten(1))), mem3)
            out.append(spikes)
        return torch.stack(out)


class Step(nn.Module):
    """One time step of two layers that feed the same current to neurons of beta 0.9; the loop outside."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.lif1 = snn.Leaky(beta=0.9, init_hidden=True, **options)
        self.lif2 = snn.Leaky(beta=0.9, init_hidden=True, **options)
        self.out = nn.Linear(1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.lif1(x), self.lif2(x)


def random_inputs() -> Tensor:
    torch.manual_seed(5)
    return torch.rand(STEPS, BATCH, 1, 5) * 3
