"""Random networks of every kind that the engines must agree on, with inputs and dials to run them with."""

from __future__ import annotations

from typing import Any

import numpy as np

from aspen.network import Conv, Dense, FixedLif, Lif, Network, Population, Sparse
from aspen.neurons import RESETS
from aspen_emulator.inputs import thresholds_for

Array = np.ndarray[Any, np.dtype[Any]]


class Maker:
    """Draws the parts of a network; ``extreme`` reaches for the edges of 24 bits, in integers only."""

    def __init__(self, seed: int, integer: bool, extreme: bool = False) -> None:
        self.rng = np.random.default_rng(seed)
        self.integer, self.extreme = integer, extreme

    def weights(self, *shape: int) -> Array:
        """Integers, or floats whose sums are exact in any order; some are zero."""
        if self.integer:
            drawn = self.rng.integers(-256, 256, shape)
        else:
            drawn = np.round(self.rng.normal(0.2, 0.6, shape) * 64) / 64
        return drawn * (self.rng.random(shape) < 0.9)

    def exponent(self) -> int:
        """A weight exponent; in extremes one that overflows."""
        return int(self.rng.integers(-4, 8 if self.extreme else 3)) if self.integer else 0

    def neuron(self, shape: tuple[int, ...]) -> Lif | FixedLif:
        """Any neuron, its parameters scalars or arrays."""
        rng = self.rng
        size = shape if rng.random() < 0.5 else ()
        reset = str(rng.choice(RESETS))
        if not self.integer:
            decays = np.array([0, 0.25, 0.5, 0.75, 1])  # exact, so that no engine rounds
            alpha = rng.choice(decays, size) if rng.random() < 0.5 else 0.0
            bias = rng.integers(-8, 8, size) / 64
            return Lif(rng.integers(20, 100, size) / 64, rng.choice(decays, size), alpha, bias, reset)
        return FixedLif(
            threshold=rng.integers(1, 131072 if self.extreme else 900, size),
            voltage_decay=rng.integers(0, 4096, size),
            current_decay=rng.integers(0, 4096, size) if rng.random() < 0.5 else 4095,
            bias_mantissa=rng.integers(-4096, 4096, size) if self.extreme else rng.integers(-50, 50, size),
            bias_exponent=rng.integers(0, 8 if self.extreme else 3),
            reset=reset,
        )

    def delay(self) -> int:
        """Mostly none, sometimes some steps."""
        return int(self.rng.choice([0, 0, 0, 1, 3]))

    def bias(self, n: int) -> Array | None:
        """A connection's bias; floats only."""
        return None if self.integer or self.rng.random() < 0.5 else np.round(self.rng.normal(0, 8, n)) / 64

    def dense(self, source: str, target: str, n: int, m: int, delay: int) -> Dense:
        """All to all."""
        return Dense(source, target, self.weights(m, n), self.bias(m), delay, self.exponent())

    def sparse(self, source: str, target: str, n: int, m: int, delay: int) -> Sparse:
        """One synapse in four, weights of zero among them."""
        rows, columns = np.nonzero(self.rng.random((m, n)) < 0.25)
        return Sparse(
            source, target, self.weights(len(rows)), rows, columns, (m, n), self.bias(m), delay, self.exponent()
        )


def mixed(seed: int, integer: bool, extreme: bool = False) -> Network:
    """Three or four populations, with dense and sparse connections, skips, delays, loops and cycles."""
    make = Maker(seed, integer, extreme)
    rng = make.rng
    names = ["input", "a", "b", "c"][: rng.integers(3, 5)]
    sizes = {name: int(rng.choice([1, 5, 13, 64, 70])) for name in names}
    populations = [Population("input", (sizes["input"],))]
    populations += [Population(name, (sizes[name],), make.neuron((sizes[name],))) for name in names[1:]]
    connections = []
    for i, source in enumerate(names):
        for j, target in enumerate(names[1:], start=1):
            forward = i < j
            if not (j == i + 1 or rng.random() < 0.3):
                continue
            delay = make.delay() if forward else int(rng.integers(1, 4))
            kind = make.sparse if rng.random() < 0.4 else make.dense
            connections.append(kind(source, target, sizes[source], sizes[target], delay))
    shuffled = [connections[k] for k in rng.permutation(len(connections))]
    return Network(tuple(populations), tuple(shuffled), output=str(rng.choice(names[1:])))


def convolutional(seed: int, integer: bool, extreme: bool = False) -> Network:
    """Two convolutions of any geometry in one or two dimensions, then a dense layer; sometimes a loop or a skip."""
    make = Maker(seed, integer, extreme)
    rng = make.rng
    dims = int(rng.integers(1, 3))
    shape = (int(rng.choice([2, 4])), *(int(n) for n in rng.integers(9, 12, dims)))
    populations, connections, source = [Population("input", shape)], [], "input"
    for name in ("a", "b"):
        groups = int(rng.choice([1, 2]))
        channels = groups * int(rng.integers(1, 4))
        weight = make.weights(channels, shape[0] // groups, *(int(k) for k in rng.integers(1, 4, dims)))
        geometry = {
            "stride": tuple(int(s) for s in rng.integers(1, 3, dims)),
            "padding": tuple(int(p) for p in rng.integers(name == "b", 3, dims)),
            "dilation": tuple(int(d) for d in rng.integers(1, 3, dims)) if name == "a" else (),
        }
        conv = Conv(
            source, name, weight, shape, make.bias(channels), groups=groups, delay=make.delay(),
            exponent=make.exponent(), **geometry,
        )  # fmt: skip
        if channels % 2 and name == "a":
            channels *= 2
            conv = Conv(
                source, name, np.concatenate([weight, weight]), shape, groups=groups, exponent=conv.exponent, **geometry
            )
        connections.append(conv)
        shape = conv.output_shape
        populations.append(Population(name, shape, make.neuron(shape)))
        source = name
    n = populations[-1].size
    populations.append(Population("out", (6,), make.neuron((6,))))
    connections.append(make.dense("b", "out", n, 6, make.delay()))
    if rng.random() < 0.5:
        connections.append(make.sparse("b", "b", n, n, 1))
    if rng.random() < 0.5:
        connections.append(make.dense("a", "out", populations[1].size, 6, make.delay()))
    return Network(tuple(populations), tuple(connections), output=str(rng.choice(["a", "b", "out"])))


def spikes_for(seed: int, network: Network, steps: int, batch: int) -> Array:
    """Random spikes, few or many."""
    rng = np.random.default_rng(seed)
    density = rng.choice([0.02, 0.3, 1.0])
    return (rng.random((steps, batch, *network.input.shape)) < density).astype(np.uint8)


def dial_for(seed: int, network: Network, steps: int, batch: int) -> dict[str, Array]:
    """Thresholds: all trained, or moving by step, by sample or both; each population its own."""
    rng = np.random.default_rng(seed)
    shapes = [(), (steps,), (1, batch), (steps, batch)]
    scales = {}
    for name in network.order:
        neuron = network[name].neuron
        high = 2.0
        if isinstance(neuron, FixedLif):
            high = min(2.0, FixedLif.MAX_THRESHOLD / int(neuron.threshold.max()))
        scales[name] = rng.uniform(high / 2, high, shapes[rng.integers(4)])
    return thresholds_for(network, scales, steps, batch)
