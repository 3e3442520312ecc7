"""Your own snnTorch model and your own training loop: ASPEN adds one line before it.

python examples/own_training_loop.py [--steps 200]
"""

from __future__ import annotations

import argparse

import snntorch
import torch
from torch import nn

import aspen
from aspen.network import answers
from aspen_emulator import session


class Net(nn.Module):
    """Any snnTorch model: nothing in it knows about ASPEN."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(20, 30), snntorch.Leaky(beta=0.9)
        self.fc2, self.lif2 = nn.Linear(30, 2), snntorch.Leaky(beta=0.9)

    def forward(self, spikes: torch.Tensor) -> torch.Tensor:
        mem1, mem2, output = self.lif1.reset_mem(), self.lif2.reset_mem(), []
        for step in spikes:
            hidden, mem1 = self.lif1(self.fc1(step), mem1)
            out, mem2 = self.lif2(self.fc2(hidden), mem2)
            output.append(out)
        return torch.stack(output)


def batch(size: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """Two classes that differ in which half of the inputs is busy."""
    labels = torch.randint(0, 2, (size,))
    rates = torch.full((size, 20), 0.1)
    rates[labels == 0, :10] = rates[labels == 1, 10:] = 0.3
    return (torch.rand(25, size, 20) < rates).float(), labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200)
    steps = parser.parse_args().steps
    torch.manual_seed(0)
    model = Net()
    aspen.perturb_thresholds(model, low=0.5, high=2.0, seed=0)  # the one line
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(steps):
        spikes, labels = batch()
        loss = nn.functional.cross_entropy(model(spikes).sum(0), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    model.eval()  # perturbation is off, as dropout is; now the knob
    spikes, labels = batch(1000)
    for scale in (0.5, 1.0, 2.0):
        aspen.set_threshold_scale(model, scale)
        with torch.no_grad():
            answered = answers(model(spikes).sum(0).numpy())  # -1 where no output spiked
            accuracy = (answered == labels.numpy()).mean()
        print(f"snnTorch, knob at {scale}: {accuracy:.1%}")

    network = aspen.export(model, spikes)  # from here on no torch is needed
    with session(network) as live:
        for step in spikes[:, :1].numpy().astype("uint8"):
            live.step(step)
            live.threshold_scale = 1.5  # turn the knob while it runs
        print(f"streamed one sample: {live.spikes['lif1']} hidden spikes, {live.spikes['lif2']} output spikes")


if __name__ == "__main__":
    main()
