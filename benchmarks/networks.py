"""What is timed: dense networks with their input, how they grow, and a convolutional one of PilotNet's size."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from aspen._base.arrays import Array
from aspen.network.network import Conv, Dense, FixedLif, Lif, Network, Population


@dataclass(frozen=True)
class Setting:
    """A dense network and its input.

    Args:
        sizes: neurons per layer, the inputs first.
        batch: samples.
        steps: time steps.
        density: share of the inputs that spike at a step.
    """

    sizes: tuple[int, ...] = (18, 128, 128, 6)
    batch: int = 1024
    steps: int = 128
    density: float = 0.1

    def __str__(self) -> str:
        return f"{'-'.join(map(str, self.sizes))}, batch {self.batch}, {self.steps} steps, input {self.density:.0%}"

    def shrunk(self, by: int) -> Setting:
        """Hidden layers, batch and steps smaller by this factor; at least two of each."""
        hidden = (max(n // by, 2) for n in self.sizes[1:-1])
        sizes = (self.sizes[0], *hidden, self.sizes[-1])
        return replace(self, sizes=sizes, batch=max(self.batch // by, 2), steps=max(self.steps // by, 2))

    def spikes(self) -> Array:
        """Random spikes (steps, batch, inputs) uint8."""
        drawn = np.random.default_rng(0).random((self.steps, self.batch, self.sizes[0]), dtype=np.float32)
        return (drawn < self.density).astype(np.uint8)

    def network(self) -> Network:
        """In floating point; weights are multiples of 1/1024, so that sums are the same in any order."""
        rng = np.random.default_rng(1)
        populations = [Population("input", (self.sizes[0],))]
        connections = []
        for i, (n, m) in enumerate(zip(self.sizes[:-1], self.sizes[1:], strict=True), start=1):
            arriving = n * (self.density if i == 1 else 0.07)
            weights = np.round(rng.normal(0, 0.6 / np.sqrt(arriving), (m, n)) * 1024) / 1024
            populations.append(Population(f"layer{i}", (m,), Lif(1.0, 0.875)))
            connections.append(Dense(populations[i - 1].name, f"layer{i}", weights))
        return Network(tuple(populations), tuple(connections))


BASE = Setting()
GROWTH = {
    "batch": [replace(BASE, batch=n) for n in (64, 256, 1024, 4096)],
    "steps": [replace(BASE, steps=n) for n in (32, 128, 512)],
    "width": [replace(BASE, batch=128, sizes=(18, n, n, 6)) for n in (64, 128, 256, 512, 1024)],
    "depth": [replace(BASE, sizes=(18, *[128] * n, 6)) for n in (1, 2, 4, 8)],
    "density": [replace(BASE, density=d) for d in (0.02, 0.1, 0.3, 1.0)],
}


def size_of(what: str, setting: Setting) -> float:
    """The number on the axis."""
    values = {"width": setting.sizes[1], "depth": len(setting.sizes) - 2}
    return float(values.get(what, getattr(setting, what, 0)))


def _lively(fan_in: int) -> FixedLif:
    """A neuron that fires at some of 100 steps, driven through random weights by neurons that do so too."""
    return FixedLif(threshold=int(110 * np.sqrt(0.07 * fan_in)), voltage_decay=512)


def pilotnet(side: tuple[int, int] = (66, 200)) -> Network:
    """A convolutional network of PilotNet's size in a chip's integers, with random weights."""
    rng = np.random.default_rng(2)
    shape: tuple[int, ...] = (3, *side)
    populations, connections = [Population("input", shape)], []
    for i, (channels, kernel, stride) in enumerate([(24, 5, 2), (36, 5, 2), (48, 5, 2), (64, 3, 1), (64, 3, 1)], 1):
        weight = 2 * rng.integers(-64, 65, (channels, shape[0], kernel, kernel))
        conv = Conv(populations[-1].name, f"conv{i}", weight, shape, stride=(stride, stride))
        shape = conv.output_shape
        populations.append(Population(f"conv{i}", shape, _lively(weight[0].size)))
        connections.append(conv)
    for i, n in enumerate((100, 50, 10, 1), 1):
        weight = 2 * rng.integers(-64, 65, (n, populations[-1].size))
        connections.append(Dense(populations[-1].name, f"dense{i}", weight))
        populations.append(Population(f"dense{i}", (n,), _lively(weight.shape[1])))
    return Network(tuple(populations), tuple(connections))
