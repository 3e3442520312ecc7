"""Models that do one time step, as nn.Sequential or with a forward of their own."""

from __future__ import annotations

from typing import Any

import snntorch as snn
import torch
from snntorch import surrogate
from torch import Tensor, nn
from torch.nn import functional as F

from tests.real_models.entry import BATCH, STEPS, Entry

HIDDEN: Any = {"init_hidden": True, "spike_grad": surrogate.atan()}


def population() -> nn.Module:
    """Population coding: more outputs than classes."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(16, 10), snn.Leaky(beta=0.9, **HIDDEN),
        nn.Linear(10, 12), snn.Leaky(beta=0.9, output=True, **HIDDEN),
    )  # fmt: skip


class ToNir(nn.Module):
    """The NIR tutorial: a functional average pool and a view."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.lif1 = nn.Conv2d(1, 3, 3, padding=1), snn.Leaky(beta=0.9, init_hidden=True)
        self.fc1, self.lif2 = nn.Linear(48, 5), snn.Leaky(beta=0.9, init_hidden=True, output=True)

    def forward(self, x: Tensor) -> Any:
        pooled = F.avg_pool2d(self.conv1(x), kernel_size=2, stride=2)
        return self.lif2(self.fc1(self.lif1(pooled.view(-1, 48))))


def convolutions(channels: int, before: bool, classes: int) -> nn.Module:
    """Tutorials 6 and 7, and Derrick Lee's: maxima of the currents, or of the spikes."""

    def block(n_in: int, n_out: int) -> list[nn.Module]:
        conv, pool, lif = nn.Conv2d(n_in, n_out, 3), nn.MaxPool2d(2), snn.Leaky(beta=0.5, **HIDDEN)
        return [conv, pool, lif] if before else [conv, lif, pool]

    return nn.Sequential(
        *block(channels, 3), *block(3, 4), nn.Flatten(), nn.Linear(16, classes),
        snn.Leaky(beta=0.5, output=True, **HIDDEN),
    )  # fmt: skip


class Monitored(nn.Module):
    """monitor_try: states taken and returned."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(8, 10), snn.Leaky(beta=0.9)
        self.fc2, self.lif2 = nn.Linear(10, 3), snn.Leaky(beta=0.9)

    def forward(self, x: Tensor, mem1: Tensor, mem2: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        spk1, mem1 = self.lif1(self.fc1(x), mem1)
        spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
        return spk2, mem1, mem2


class Forgetful(nn.Module):
    """Tutorial 6 as a class: its membranes begin anew in every step."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.lif1 = nn.Conv2d(1, 3, 3), snn.Leaky(beta=0.5)
        self.conv2, self.lif2 = nn.Conv2d(3, 4, 3), snn.Leaky(beta=0.5)
        self.fc1, self.lif3 = nn.Linear(16, 3), snn.Leaky(beta=0.5)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mem1, mem2, mem3 = self.lif1.init_leaky(), self.lif2.init_leaky(), self.lif3.init_leaky()
        spk1, _ = self.lif1(F.max_pool2d(self.conv1(x), 2), mem1)
        spk2, _ = self.lif2(F.max_pool2d(self.conv2(spk1), 2), mem2)
        return self.lif3(self.fc1(spk2.view(x.size(0), -1)), mem3)  # type: ignore[no-any-return]


class ForwardForward(nn.Module):
    """Layers that normalise their input and hand membranes on, from nothing in every step."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(8, 6, bias=False), snn.Leaky(beta=0.8)
        self.fc2, self.lif2 = nn.Linear(6, 4, bias=False), snn.Leaky(beta=0.8)

    def forward(self, x: Tensor) -> Tensor:
        for fc, lif in ((self.fc1, self.lif1), (self.fc2, self.lif2)):
            membrane = lif.init_leaky()
            direction = x / (torch.norm(x, p=2, dim=1, keepdim=True) + 1e-4)
            _, x = lif(torch.mm(direction, fc.weight.T), membrane)
        return x


class MixFfn(nn.Module):
    """A feed-forward block of a spiking transformer whose neurons begin anew in every step."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.conv, self.fc2 = nn.Linear(4, 8), nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Linear(8, 4)
        self.lif1, self.lif2 = snn.Leaky(beta=0.9), snn.Leaky(beta=0.9)

    def forward(self, x: Tensor) -> Tensor:
        batch = x.size(0)
        spk1, _ = self.lif1(self.fc1(x), self.lif1.init_leaky())
        image = spk1.transpose(1, 2).reshape(batch, 8, 3, 3)
        spk2, _ = self.lif2(self.fc2(self.conv(image).flatten(2).transpose(1, 2)), self.lif2.init_leaky())
        return spk2  # type: ignore[no-any-return]


class Exoplanets(nn.Module):
    """Maxima over dense currents, one step, a last layer of neurons that is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(20, 16), snn.Leaky(beta=0.9)
        self.fc2, self.lif2 = nn.Linear(8, 8), snn.Leaky(beta=0.9)
        self.fc3, self.lif3 = nn.Linear(4, 2), snn.Leaky(beta=0.9)

    def forward(self, x: Tensor) -> Tensor:
        spk1, _ = self.lif1(F.max_pool1d(self.fc1(x), 2), self.lif1.init_leaky())
        spk2, _ = self.lif2(F.max_pool1d(self.fc2(spk1), 2), self.lif2.init_leaky())
        return self.fc3(spk2)  # type: ignore[no-any-return]


class _Rounded(nn.Linear):
    """A dense layer with weights of a few bits, as Brevitas has them: quantised each time that it runs."""

    def forward(self, x: Tensor) -> Tensor:
        scale = self.weight.abs().max() / 7
        return F.linear(x, torch.clamp(torch.round(self.weight / scale), -7, 7) * scale, self.bias)


def quantised() -> nn.Module:
    """Brevitas' QuantLinear between snnTorch's neurons."""
    return nn.Sequential(
        _Rounded(8, 10), snn.Leaky(beta=0.9, **HIDDEN), _Rounded(10, 3), snn.Leaky(beta=0.9, output=True, **HIDDEN)
    )


IMAGES, EVENTS = (STEPS, BATCH, 1, 14, 14), (STEPS, BATCH, 2, 14, 14)
STEPWISE = [
    Entry("tutorial_pop", "S/examples/tutorial_pop", population, (STEPS, BATCH, 1, 4, 4)),
    Entry("snntorch_to_nir", "S/examples/tutorial_snntorch_to_nir", ToNir, (STEPS, BATCH, 1, 8, 8)),
    Entry("monitor_try", "franzhd", Monitored, (STEPS, BATCH, 8)),
    Entry("tutorial_6 Sequential", "S/examples/tutorial_6_CNN", lambda: convolutions(1, True, 3), IMAGES),
    Entry("tutorial_7 Sequential", "S/examples/tutorial_7", lambda: convolutions(2, False, 3), EVENTS),
    Entry("Derrick Lee", "S/examples/SNN_Tutorial_Derrick_Lee", lambda: convolutions(2, True, 4), EVENTS),
    Entry("tutorial_6 class", "S/examples/tutorial_6_CNN", Forgetful, IMAGES),
    Entry("forward_forward", "S/examples/tutorial_forward_forward", ForwardForward, (STEPS, BATCH, 8)),
    Entry("Mix_FFN", "ritesh-bhandaria", MixFfn, (STEPS, BATCH, 9, 4)),
    Entry("exoplanet", "S/examples/tutorial_exoplanet_hunter", Exoplanets, (BATCH, 20), True),
    Entry("Brevitas", "franzhd", quantised, (STEPS, BATCH, 8)),
]
