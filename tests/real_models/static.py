"""One image, repeated by the model for a number of steps of its own."""

from __future__ import annotations

from typing import Any

import snntorch as snn
import torch
from snntorch import surrogate, utils
from torch import Tensor, nn
from torch.nn import functional as F

from tests.real_models.entry import BATCH, STEPS, Entry


class Fcn(nn.Module):
    """Tutorial 5: two dense layers, membranes handed on, spikes and membranes recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(12, 10), snn.Leaky(beta=0.95)
        self.fc2, self.lif2 = nn.Linear(10, 4), snn.Leaky(beta=0.95)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes, membranes = [], []
        for _ in range(STEPS):
            spk1, mem1 = self.lif1(self.fc1(x), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
            membranes.append(mem2)
        return torch.stack(spikes, dim=0), torch.stack(membranes, dim=0)


class FullGraph(Fcn):
    """Tutorial 5, full graph: the neurons keep their membranes themselves."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        self.lif1.reset_mem()
        self.lif2.reset_mem()
        spikes, membranes = [], []
        for _ in range(STEPS):
            spk1, _ = self.lif1(self.fc1(x))
            spk2, mem2 = self.lif2(self.fc2(spk1))
            spikes.append(spk2)
            membranes.append(mem2)
        return torch.stack(spikes, dim=0), torch.stack(membranes, dim=0)


class Quickstart(nn.Module):
    """Quickstart: flattens within the loop, a learned decay for each output."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(16, 10), snn.Leaky(beta=0.9)
        self.fc2, self.lif2 = nn.Linear(10, 4), snn.Leaky(beta=torch.rand(4), learn_beta=True)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes, membranes = [], []
        for _ in range(STEPS):
            spk1, mem1 = self.lif1(self.fc1(x.flatten(1)), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
            membranes.append(mem2)
        return torch.stack(spikes), torch.stack(membranes)


class Recurrent(nn.Module):
    """Regression 2: two recurrent layers, all to all."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.rlif1 = nn.Linear(12, 8), snn.RLeaky(beta=0.9, linear_features=8)
        self.fc2, self.rlif2 = nn.Linear(8, 4), snn.RLeaky(beta=0.9, linear_features=4)

    def forward(self, x: Tensor) -> Tensor:
        (spk1, mem1), (spk2, mem2) = self.rlif1.init_rleaky(), self.rlif2.init_rleaky()
        spikes = []
        for _ in range(STEPS):
            spk1, mem1 = self.rlif1(self.fc1(x), spk1, mem1)
            spk2, mem2 = self.rlif2(self.fc2(spk1), spk2, mem2)
            spikes.append(spk2)
        return torch.stack(spikes)


class Agent(nn.Module):
    """snntorch_rl: observations as a current, membranes of an output that never resets as values."""

    def __init__(self, synaptic: bool) -> None:
        super().__init__()
        kind: Any = (lambda **own: snn.Synaptic(alpha=0.8, beta=0.9, **own)) if synaptic else snn.Leaky
        decay = {} if synaptic else {"beta": 0.9}
        self.synaptic = synaptic
        self.fc1, self.lif1 = nn.Linear(6, 10), kind(**decay)
        self.fc2, self.lif2 = nn.Linear(10, 8), kind(**decay)
        self.fc3, self.lif3 = nn.Linear(8, 3), kind(**decay, reset_mechanism="none")

    def forward(self, x: Tensor) -> Tensor:
        layers = [(self.fc1, self.lif1), (self.fc2, self.lif2), (self.fc3, self.lif3)]
        states: list[Any] = [lif.reset_mem() for _, lif in layers]
        states = [state if isinstance(state, tuple) else (state,) for state in states]
        membranes = []
        for _ in range(STEPS):
            values = x
            for k, (fc, lif) in enumerate(layers):
                values, *states[k] = lif(fc(values), *states[k])
            membranes.append(states[-1][-1])
        return torch.stack(membranes)[-1]


class _Sign(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, weight: Tensor) -> Tensor:
        return torch.where(weight < 0, -1.0, 1.0)


class BinaryConv(nn.Conv2d):
    """A convolution with the signs of its weights."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, _Sign.apply(self.weight), padding=self.padding)


class BinaryLinear(nn.Linear):
    """A dense layer with the signs of its weights."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, _Sign.apply(self.weight), self.bias)


class Binary(nn.Module):
    """BSNN: binary weights, BatchNorm, a pool in front of the neurons, Dropout behind the last layer."""

    def __init__(self, pool: type[nn.Module]) -> None:
        super().__init__()
        self.conv1, self.norm1, self.pool1 = BinaryConv(1, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3), pool(2)
        self.lif1 = snn.Leaky(beta=0.9, threshold=2.5)
        self.conv2, self.norm2, self.pool2 = BinaryConv(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), pool(2)
        self.lif2 = snn.Leaky(beta=0.9, threshold=2.5)
        self.flatten, self.fc1, self.dropout = nn.Flatten(), BinaryLinear(16, 4), nn.Dropout(0.5)
        self.lif3 = snn.Leaky(beta=0.9, threshold=2.5)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mem1, mem2, mem3 = self.lif1.init_leaky(), self.lif2.init_leaky(), self.lif3.init_leaky()
        spikes, membranes = [], []
        for _ in range(STEPS):
            spk1, mem1 = self.lif1(self.pool1(self.norm1(self.conv1(x))), mem1)
            spk2, mem2 = self.lif2(self.pool2(self.norm2(self.conv2(spk1))), mem2)
            spk3, mem3 = self.lif3(self.dropout(self.fc1(self.flatten(spk2))), mem3)
            spikes.append(spk3)
            membranes.append(mem3)
        return torch.stack(spikes, dim=0), torch.stack(membranes, dim=0)


class Csnn1d(nn.Module):
    """A network of Conv1d on a signal that is repeated, with maxima of spikes between the layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.lif1, self.pool = nn.Conv1d(2, 4, 3), snn.Leaky(beta=0.9), nn.MaxPool1d(2)
        self.conv2, self.lif2 = nn.Conv1d(4, 4, 3), snn.Leaky(beta=0.9)
        self.fc, self.lif3 = nn.Linear(8, 3), snn.Leaky(beta=0.9)

    def forward(self, x: Tensor) -> Tensor:
        mem1, mem2, mem3 = self.lif1.init_leaky(), self.lif2.init_leaky(), self.lif3.init_leaky()
        spikes = []
        for _ in range(STEPS):
            spk1, mem1 = self.lif1(self.conv1(x), mem1)
            spk2, mem2 = self.lif2(self.conv2(self.pool(spk1)), mem2)
            spk3, mem3 = self.lif3(self.fc(self.pool(spk2).flatten(1)), mem3)
            spikes.append(spk3)
        return torch.stack(spikes)


class Autoencoder(nn.Module):
    """The spiking autoencoder: all steps through the encoder, then all through the decoder."""

    def __init__(self) -> None:
        super().__init__()
        lif: Any = {"beta": 0.5, "init_hidden": True, "spike_grad": surrogate.atan(alpha=2.0)}
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1, stride=2), nn.BatchNorm2d(4), snn.Leaky(**lif), nn.Flatten(1, 3),
            nn.Linear(64, 6), snn.Leaky(**lif, output=True),
        )  # fmt: skip
        self.linear = nn.Sequential(nn.Linear(6, 64), snn.Leaky(**lif, output=True))
        self.decoder = nn.Sequential(
            nn.Unflatten(1, (4, 4, 4)), snn.Leaky(**lif),
            nn.ConvTranspose2d(4, 1, 3, padding=1, stride=(2, 2), output_padding=1),
            snn.Leaky(**lif, output=True, threshold=20000),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        for part in (self.encoder, self.linear, self.decoder):
            utils.reset(part)
        latent = torch.stack([self.encoder(x)[0] for _ in range(STEPS)], dim=2)
        decoded = [self.decoder(self.linear(latent[..., step])[0])[1] for step in range(STEPS)]
        return torch.stack(decoded, dim=4)[:, :, :, :, -1]


IMAGES = (BATCH, 1, 8, 8)
STATIC = [
    Entry("tutorial_5_FCN", "S/examples/tutorial_5_FCN", Fcn, (BATCH, 12), True),
    Entry("tutorial_5_fullgraph", "S/examples/tutorial_5_fullgraph", FullGraph, (BATCH, 12), True),
    Entry("quickstart Net", "S/examples/quickstart", Quickstart, (BATCH, 1, 4, 4), True),
    Entry("ipu_1", "S/examples/tutorial_ipu_1", Fcn, (BATCH, 12), True),
    Entry("regression_2", "S/examples/tutorial_regression_2", Recurrent, (BATCH, 12), True),
    Entry("DSNN", "mahmoudakl/snntorch_rl", lambda: Agent(False), (BATCH, 6), True),
    Entry("H1RateCoded", "mahmoudakl/snntorch_rl", lambda: Agent(True), (BATCH, 6), True),
    Entry("BSNN, AvgPool", "S/examples/tutorial_BSNN", lambda: Binary(nn.AvgPool2d), IMAGES, True),
    Entry("BSNN", "S/examples/tutorial_BSNN", lambda: Binary(nn.MaxPool2d), IMAGES, True),
    Entry("CSNN Conv1d", "a signal classifier", Csnn1d, (BATCH, 2, 14), True),
    Entry("SAE", "S/examples/tutorial_sae", Autoencoder, IMAGES, True),
]
