"""Models that loop over time themselves, along whichever axis."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import snntorch as snn
import torch
from snntorch import spikegen
from torch import Tensor, nn

from tests.real_models.entry import BATCH, STEPS, Entry


class SpikeText(nn.Module):
    """Text as spike trains, time first, three dense layers."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(8, 10), snn.Leaky(beta=0.9)
        self.fc2, self.lif2 = nn.Linear(10, 8), snn.Leaky(beta=0.9)
        self.fc3, self.lif3 = nn.Linear(8, 3), snn.Leaky(beta=0.9)

    def forward(self, x: Tensor) -> Tensor:
        mem1, mem2, mem3 = self.lif1.reset_mem(), self.lif2.reset_mem(), self.lif3.reset_mem()
        spikes = []
        for step in range(x.size(0)):
            spk1, mem1 = self.lif1(self.fc1(x[step]), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spk3, mem3 = self.lif3(self.fc3(spk2), mem3)
            spikes.append(spk3)
        return torch.stack(spikes)


class Listed(nn.Module):
    """Layers in ModuleLists, a loop over them."""

    def __init__(self) -> None:
        super().__init__()
        sizes = (8, 10, 8, 3)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.neurons = nn.ModuleList(snn.Leaky(beta=0.9) for _ in self.layers)

    def forward(self, x: Tensor) -> Tensor:
        membranes = [neuron.reset_mem() for neuron in self.neurons]  # type: ignore[operator]
        spikes = []
        for values in x:
            for k, (layer, neuron) in enumerate(zip(self.layers, self.neurons, strict=True)):
                values, membranes[k] = neuron(layer(values), membranes[k])
            spikes.append(values)
        return torch.stack(spikes)


class Residual(nn.Module):
    """Convolutions with a skip: spikes of two layers are added."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.lif1 = nn.Conv2d(2, 3, 3, padding=1), snn.Leaky(beta=0.9)
        self.conv2, self.norm, self.lif2 = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), snn.Leaky(beta=0.9)
        self.fc, self.lif3 = nn.Linear(48, 3), snn.Leaky(beta=0.9)

    def forward(self, x: Tensor) -> Tensor:
        mem1, mem2, mem3 = self.lif1.reset_mem(), self.lif2.reset_mem(), self.lif3.reset_mem()
        spikes = []
        for image in x:
            spk1, mem1 = self.lif1(self.conv1(image), mem1)
            spk2, mem2 = self.lif2(self.norm(self.conv2(spk1)), mem2)
            spk3, mem3 = self.lif3(self.fc((spk1 + spk2).flatten(1)), mem3)
            spikes.append(spk3)
        return torch.stack(spikes)


class Liquid(nn.Module):
    """SNNalgo's liquid state machine: a fixed reservoir, a dense read-out of its spikes."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(8, 12)
        self.lsm = snn.RSynaptic(alpha=0.8, beta=0.9, linear_features=12)
        self.fc2 = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        spk, syn, mem = self.lsm.init_rsynaptic()
        made = []
        for step in range(x.size(0)):
            spk, syn, mem = self.lsm(self.fc1(x[step]), spk, syn, mem)
            made.append(self.fc2(spk))
        return torch.stack(made)


class Plastic(Liquid):
    """The same, with a reservoir whose weights change from step to step."""

    def forward(self, x: Tensor) -> Tensor:
        spk, syn, mem = self.lsm.init_rsynaptic()
        made = []
        for step in range(x.size(0)):
            spk, syn, mem = self.lsm(self.fc1(x[step]) * (1 + 0.25 * step), spk, syn, mem)
            made.append(self.fc2(spk))
        return torch.stack(made)


class Regression(nn.Module):
    """Regression 1, corrected: random decays and thresholds, membranes of an output without a reset."""

    def __init__(self) -> None:
        super().__init__()
        n = 8
        self.fc_in, self.lif_in = nn.Linear(1, n), snn.Leaky(beta=torch.rand(n), threshold=torch.rand(n))
        self.fc_hidden, self.lif_hidden = nn.Linear(n, n), snn.Leaky(beta=torch.rand(n), threshold=torch.rand(n))
        self.fc_out, self.li_out = nn.Linear(n, 1), snn.Leaky(beta=torch.rand(1), reset_mechanism="none")

    def forward(self, x: Tensor) -> Tensor:
        mem1, mem2, mem3 = self.lif_in.init_leaky(), self.lif_hidden.init_leaky(), self.li_out.init_leaky()
        membranes = []
        for step in range(STEPS):
            spk_in, mem1 = self.lif_in(self.fc_in(x[step, :, :]), mem1)
            spk_hidden, mem2 = self.lif_hidden(self.fc_hidden(spk_in), mem2)
            _, mem3 = self.li_out(self.fc_out(spk_hidden), mem3)
            membranes.append(mem3)
        return torch.stack(membranes)


class SantaFe(nn.Module):
    """Spikes added up in place, then a dense read-out; ``membranes`` hands membranes to the second layer."""

    def __init__(self, membranes: bool) -> None:
        super().__init__()
        self.membranes = membranes
        self.fc1, self.lif1 = nn.Linear(6, 10), snn.Leaky(beta=0.9)
        self.fc2, self.lif2, self.out = nn.Linear(10, 8), snn.Leaky(beta=0.9), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        mem1, mem2 = self.lif1.reset_mem(), self.lif2.reset_mem()
        q = torch.zeros(x.size(1), 8)
        for step in range(x.size(0)):
            spk1, mem1 = self.lif1(self.fc1(x[step]), mem1)
            spk2, mem2 = self.lif2(self.fc2(mem1 if self.membranes else spk1), mem2)
            q += spk2
        return self.out(q)  # type: ignore[no-any-return]


class RateCoded(nn.Module):
    """Images become Poisson spikes within forward."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(12, 10), snn.Leaky(beta=0.9)
        self.fc2, self.lif2 = nn.Linear(10, 4), snn.Leaky(beta=0.9)

    def forward(self, x: Tensor) -> Tensor:
        mem1, mem2 = self.lif1.reset_mem(), self.lif2.reset_mem()
        record = []
        for step in spikegen.rate(x, num_steps=STEPS):
            spk1, mem1 = self.lif1(self.fc1(step), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            record.append(spk2)
        return torch.stack(record)


class Policy(nn.Module):
    """Observations (batch, time, features); preallocated record of spikes; mean rates decide."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(6, 10), snn.Leaky(beta=0.9)
        self.fc2, self.lif2 = nn.Linear(10, 3), snn.Leaky(beta=0.9)

    def forward(self, x: Tensor) -> Tensor:
        mem1, mem2 = self.lif1.reset_mem(), self.lif2.reset_mem()
        record = torch.zeros(x.size(1), x.size(0), 3)
        for step in range(x.size(1)):
            spk1, mem1 = self.lif1(self.fc1(x[:, step]), mem1)
            record[step], mem2 = self.lif2(self.fc2(spk1), mem2)
        return record.mean(dim=0)


class Rows(nn.Module):
    """Row-wise MNIST: the rows of an image (batch, 1, rows, columns) are the time steps."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(8, 10), snn.Leaky(beta=0.9)
        self.fc2 = nn.Linear(10, 4)

    def forward(self, x: Tensor) -> Tensor:
        mem1 = self.lif1.reset_mem()
        rows = x.squeeze(1)
        for row in range(rows.size(1)):
            spk1, mem1 = self.lif1(self.fc1(rows[:, row, :]), mem1)
            out = self.fc2(spk1)
        return out  # type: ignore[no-any-return]


class TimeLast(nn.Module):
    """AHPC: sensor windows (batch, features, time)."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(6, 10), snn.Leaky(beta=0.9)
        self.fc2, self.lif2 = nn.Linear(10, 4), snn.Leaky(beta=0.9)

    def forward(self, x: Tensor) -> Tensor:
        mem1, mem2 = self.lif1.reset_mem(), self.lif2.reset_mem()
        spikes = []
        for step in range(x.shape[-1]):
            spk1, mem1 = self.lif1(self.fc1(x[:, :, step]), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
        return torch.stack(spikes, dim=-1)


class Ecg(nn.Module):
    """A beat, repeated ``num_steps`` times."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(12, 10), snn.Leaky(beta=0.9)
        self.fc2, self.lif2 = nn.Linear(10, 4), snn.Leaky(beta=0.9)

    def forward(self, x: Tensor, num_steps: int) -> Tensor:
        mem1, mem2 = self.lif1.reset_mem(), self.lif2.reset_mem()
        spikes = []
        for _ in range(num_steps):
            spk1, mem1 = self.lif1(self.fc1(x), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
        return torch.stack(spikes)


class Imu(nn.Module):
    """SNNIMU: membranes in buffers of the model, which each run leaves as they are at its end."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(6, 10), snn.Leaky(beta=0.9)
        self.fc2, self.lif2 = nn.Linear(10, 4), snn.Leaky(beta=0.9)
        self.mem1: Any
        self.mem2: Any
        self.register_buffer("mem1", torch.zeros(1, 10))
        self.register_buffer("mem2", torch.zeros(1, 4))

    def forward(self, x: Tensor) -> Tensor:
        spikes = []
        for step in x:
            spk1, self.mem1 = self.lif1(self.fc1(step), self.mem1)
            spk2, self.mem2 = self.lif2(self.fc2(spk1), self.mem2)
            spikes.append(spk2)
        return torch.stack(spikes)


TRAINS = (STEPS, BATCH, 8)
LOOPS = [
    Entry("SpikeText", "sitekwb", SpikeText, TRAINS),
    Entry("ModuleList loop", "layers in a list", Listed, TRAINS),
    Entry("residual net", "a skip of convolutions", Residual, (STEPS, BATCH, 2, 4, 4)),
    Entry("LSM", "SNNalgo", Liquid, TRAINS),
    Entry("LSM_partition", "SNNalgo", Plastic, TRAINS),
    Entry("regression_1, corrected", "S/examples/tutorial_regression_1", Regression, (STEPS, BATCH, 1), True),
    Entry("SantaFe", "kieranm2005", lambda: SantaFe(False), (STEPS, BATCH, 6)),
    Entry("SantaFe v2", "kieranm2005", lambda: SantaFe(True), (STEPS, BATCH, 6)),
    Entry("rate coding inside", "spikegen.rate in forward", RateCoded, (BATCH, 12), True),
    Entry("policy net", "batch first", Policy, (BATCH, STEPS, 6)),
    Entry("row-wise MNIST", "rows are steps", Rows, (BATCH, 1, 8, 8), True),
    Entry("AHPC", "franzhd", TimeLast, (BATCH, 6, STEPS)),
    Entry("ECG", "num_steps as an argument", Ecg, (BATCH, 12), True, {"arguments": {"num_steps": STEPS}}),
    Entry("SNNIMU", "states in buffers", Imu, (STEPS, BATCH, 6)),
]
