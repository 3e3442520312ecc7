"""What the model of cycles is fitted to and tried on: random networks, also such as a dial switches neurons off in."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from aspen._base.arrays import Array
from aspen.dial.profile import DialProfile
from aspen.network.connections import Connection
from aspen.network.network import Conv, Dense, Lif, Network, Population
from aspen.training.nesting import STEPS as GROUPS
from aspen.training.nesting import nested

STEPS, SAMPLES = 8, 2


def drawn(seed: int) -> tuple[Network, Array]:
    """A random network of one of four kinds and its input, (steps, samples, *shape)."""
    rng = np.random.default_rng(seed)
    kind = ("dense", "sparse", "convolution", "analog")[seed % 4]
    readout = str(rng.choice(["spikes", "spikes", "membrane"]))
    if kind == "convolution":
        return _convolution(rng, readout)
    sizes = [*_sizes(rng), int(rng.integers(2, 13))]
    populations = [Population("input", (sizes[0],), current=kind == "analog")]
    if seed % 16 == 1:
        sizes[1] = int(rng.integers(257, 400))  # more targets than a byte can name
    connections = []
    for index, (before, size) in enumerate(pairwise(sizes)):
        populations.append(Population(f"layer{index}", (size,), _neuron(rng, (size,))))
        there = rng.random((size, before)) < (rng.uniform(0.03, 0.3) if kind == "sparse" else 1.0)
        there[0] = True
        scale = rng.choice([0.7, 1.5]) / np.sqrt(max(there.mean() * before * 0.2, 1.0))
        delay = int(rng.integers(0, 3)) if index and rng.random() < 0.3 else 0
        weight = rng.normal(0.1, 1.0, there.shape) * there * scale
        connections.append(Dense(populations[index].name, f"layer{index}", weight, delay=delay))
    network = Network(tuple(populations), tuple(connections), readout=readout)
    spikes = (rng.random((STEPS, SAMPLES, sizes[0])) < rng.choice([0.02, 0.05, 0.1, 0.2, 0.3, 0.6])).astype(np.uint8)
    if kind == "analog":
        return network.with_input_peak(3.0), spikes * rng.normal(size=spikes.shape).clip(-3, 3)
    return network, spikes


def _convolution(rng: np.random.Generator, readout: str) -> tuple[Network, Array]:
    channels, side, kernels, out = (int(rng.integers(*ends)) for ends in ((1, 4), (6, 13), (2, 9), (2, 11)))
    conv = Conv("input", "layer0", rng.normal(0.1, 0.6, (kernels, channels, 3, 3)), (channels, side, side))
    populations = (
        Population("input", (channels, side, side)),
        Population("layer0", conv.output_shape, _neuron(rng, conv.output_shape)),
        Population("layer1", (out,), _neuron(rng, (out,))),
    )
    size = int(np.prod(conv.output_shape))
    last = Dense("layer0", "layer1", rng.normal(0.1, 1.5 / np.sqrt(size * 0.2), (out, size)))
    spikes = (rng.random((STEPS, SAMPLES, channels, side, side)) < rng.choice([0.05, 0.2, 0.5])).astype(np.uint8)
    return Network(populations, (conv, last), readout=readout), spikes


def _sizes(rng: np.random.Generator) -> list[int]:
    """Of the input and one or two hidden layers: any, or as people choose them."""
    count = int(rng.integers(2, 4))
    if rng.random() < 0.5:
        return [int(n) for n in rng.integers(8, 161, count)]
    return [int(n) for n in rng.choice([64, 96, 128, 192, 256], count)]


def _neuron(rng: np.random.Generator, shape: tuple[int, ...]) -> Lif:
    """The neurons of a layer; in one of four, each has a threshold of its own, and so for decays and biases."""
    alpha = float(rng.choice([0.0, 0.0, 0.6]))
    reset = str(rng.choice(["zero", "subtract", "subtract-delayed"]))
    threshold, beta = rng.uniform(0.7, 1.3, shape), rng.uniform(0.5, 0.97, shape)
    own = rng.random(3) < 0.25
    return Lif(
        threshold if own[0] else 1.0,
        beta if own[1] else float(beta.flat[0]),
        alpha=alpha,
        bias=rng.normal(0, 0.05, shape) if own[2] else 0.0,
        reset=reset,
    )


def dialled(seed: int, knobs: int) -> tuple[Network, Array, DialProfile, list[float]]:
    """A random network, in one of two cases pruned, with a dial that switches neurons of its hidden layers off, and
    some knobs of it."""
    network, given = drawn(seed)
    rng = np.random.default_rng(seed + 1_000_000)
    if rng.random() < 0.5:
        density = float(rng.uniform(0.1, 0.6))
        network = replace(network, connections=tuple(_pruned(rng, c, density) for c in network.summed))
    left = float(rng.choice([1 / 16, 1 / 8, 1 / 4, 1 / 2]))
    until = {name: _until(rng, network[name].shape, left) for name in network.hidden}
    levels = rng.choice(GROUPS + 1, knobs, replace=False)
    chosen = [min(float(level + 0.5) / GROUPS, 1.0) if level else 0.0 for level in levels]
    return network, given, DialProfile(dict.fromkeys(until, 0.0), on_until=until), chosen


def _pruned(rng: np.random.Generator, connection: Connection, density: float) -> Connection:
    """Some of a full matrix's weights."""
    if not isinstance(connection, Dense) or not connection.weight.all():
        return connection
    return replace(connection, weight=connection.weight * (rng.random(connection.weight.shape) < density))


def _until(rng: np.random.Generator, shape: tuple[int, ...], left: float) -> Array:
    """Until which knobs neurons are on; of a convolution's, whole channels."""
    order = np.argsort(-rng.random(shape[0]), kind="stable").tolist()
    return np.broadcast_to(nested(order, left).reshape(-1, *[1] * (len(shape) - 1)), shape)
