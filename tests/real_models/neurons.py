"""Models with other neurons than those that a LIF population can be."""

from __future__ import annotations

from typing import Any

import snntorch as snn
import torch
from snntorch.functional import quant
from torch import Tensor, nn

from tests.real_models.entry import BATCH, STEPS, Entry


class Loop(nn.Module):
    """Two dense layers of one kind of neuron, which keep their states."""

    def __init__(self, make: Any) -> None:
        super().__init__()
        self.fc1, self.lif1, self.fc2, self.lif2 = nn.Linear(8, 10), make(), nn.Linear(10, 3), make()

    def forward(self, x: Tensor) -> Tensor:
        self.lif1.reset_mem()
        self.lif2.reset_mem()
        return torch.stack([self.lif2(self.fc2(self.lif1(self.fc1(step)))) for step in x])


class AllSteps(nn.Module):
    """Two dense layers whose neurons are given all steps at once."""

    def __init__(self, make: Any) -> None:
        super().__init__()
        self.fc1, self.lif1, self.fc2, self.lif2 = nn.Linear(8, 10), make(10), nn.Linear(10, 3), make(3)

    def forward(self, x: Tensor) -> Tensor:
        spk1, spk2 = self.lif1(self.fc1(x)), None
        spk1 = spk1[0] if isinstance(spk1, tuple) else spk1
        spk2 = self.lif2(self.fc2(spk1))
        return spk2[0] if isinstance(spk2, tuple) else spk2  # type: ignore[no-any-return]


class Delta(nn.Module):
    """Neurons that fire on changes of their membrane."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(8, 10), snn.DeltaLeaky(beta=0.9, delta_threshold=0.3, init_hidden=True)
        self.fc2 = nn.Linear(10, 3)

    def forward(self, x: Tensor) -> Tensor:
        self.lif1.reset_mem()
        return torch.stack([self.fc2(self.lif1(self.fc1(step))[0]) for step in x])


class Own(nn.Module):
    """Tutorial 5's LeakySurrogate: a neuron that is no snnTorch neuron."""

    def __init__(self, beta: float = 0.9) -> None:
        super().__init__()
        self.beta, self.threshold = beta, 1.0

    def forward(self, x: Tensor, mem: Tensor) -> tuple[Tensor, Tensor]:
        spk = (mem > self.threshold).float()
        return spk, self.beta * mem + x - self.beta * spk * self.threshold


class OwnNeurons(nn.Module):
    """A loop over them."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(8, 4), Own()

    def forward(self, x: Tensor) -> Tensor:
        mem, spikes = torch.zeros(x.size(1), 4), []
        for step in x:
            spk, mem = self.lif1(self.fc1(step), mem)
            spikes.append(spk)
        return torch.stack(spikes)


def lstm(pool: int) -> nn.Module:
    """Convolutional LSTM neurons."""
    return nn.Sequential(
        snn.SConv2dLSTM(1, 2, 3, max_pool=pool, init_hidden=True), nn.Flatten(), nn.Linear(128 // max(1, pool**2), 3),
        snn.Leaky(beta=0.9, init_hidden=True, output=True),
    )  # fmt: skip


class Attention(nn.Module):
    """A spiking self-attention: products of spikes with spikes."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
        self.lif_q, self.lif_k, self.lif_v = (snn.Leaky(beta=0.9, init_hidden=True) for _ in range(3))
        self.lif_out = snn.Leaky(beta=0.9, init_hidden=True)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.lif_q(self.q(x)), self.lif_k(self.k(x)), self.lif_v(self.v(x))
        return self.lif_out(q @ k.transpose(-2, -1) @ v * 0.25)  # type: ignore[no-any-return]


def squat() -> nn.Module:
    """SquatNet: quantised states."""
    states: Any = quant.state_quant(num_bits=4, uniform=True, threshold=1.0)
    hidden: Any = {"beta": 0.9, "init_hidden": True, "state_quant": states}
    return nn.Sequential(nn.Linear(8, 10), snn.Leaky(**hidden), nn.Linear(10, 3), snn.Leaky(**hidden, output=True))


def alpha() -> snn.Alpha:
    return snn.Alpha(alpha=0.9, beta=0.8, init_hidden=True)


TRAINS = (STEPS, BATCH, 8)
NEURONS = [
    Entry("LeakyParallel", "S/snntorch", lambda: AllSteps(lambda n: snn.LeakyParallel(n, n, beta=0.9)), TRAINS),
    Entry("StateLeaky", "S/snntorch", lambda: AllSteps(lambda n: snn.StateLeaky(0.9, n)), TRAINS),
    Entry("DeltaLeaky", "S/examples/tutorial_delta_SNNs", Delta, TRAINS),
    Entry("LeakySurrogate", "S/examples/tutorial_5_FCN", OwnNeurons, TRAINS),
    Entry("Alpha", "S/snntorch", lambda: Loop(alpha), TRAINS),
    Entry("SConv2dLSTM", "a classifier of frames", lambda: lstm(0), (STEPS, BATCH, 1, 8, 8)),
    Entry("SConv2dLSTM, pooled", "a classifier of frames", lambda: lstm(2), (STEPS, BATCH, 1, 8, 8)),
    Entry("SquatNet", "open-neuromorphic", squat, TRAINS),
    Entry("SSA", "ritesh-bhandaria", Attention, (STEPS, BATCH, 5, 4)),
]
