"""Random networks of every kind that the engines must agree on, with inputs and dials to run them with.

Inputs are ``spikes``; ``values`` for the weights, in integers graded spikes of any width or none; or a ``current`` into
neurons. :func:`input_for` draws them up to their limits, and with the signs of weights, so that sums reach theirs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aspen.network.graded import LARGEST_CURRENT, GradedInput
from aspen.network.network import Conv, Dense, FixedLif, Lif, Network, Population, Sparse
from aspen.network.neurons import RESETS, largest_threshold
from aspen_emulator.engines.inputs import thresholds_for

Array = np.ndarray[Any, np.dtype[Any]]
INPUTS = ("spikes", "values", "current")


class Maker:
    """Draws the parts of a network; ``extreme`` reaches for the edges of 24 bits, in integers only."""

    def __init__(self, seed: int, integer: bool, extreme: bool = False) -> None:
        self.rng = np.random.default_rng(seed)
        self.integer, self.extreme = integer, extreme
        self.bits = int(self.rng.integers(2, 17))

    def input(self, name: str, shape: tuple[int, ...], kind: str) -> Population:
        """An input of one of the kinds in :data:`INPUTS`."""
        if kind == "spikes":
            return Population(name, shape)
        if kind == "current":
            return Population(name, shape, self.neuron(shape), current=True)
        graded = GradedInput(float(self.rng.uniform(0.5, 4)), self.bits) if self.rng.random() < 0.8 else None
        return Population(name, shape, current=True, graded=graded)

    def weights(self, *shape: int) -> Array:
        """Integers, or floats whose sums are exact in any order; some are zero."""
        if self.integer:
            drawn = self.rng.integers(-256, 256, shape)
        else:
            drawn = np.round(self.rng.normal(0.2, 0.6, shape) * 64) / 64
        return drawn * (self.rng.random(shape) < 0.9)

    def exponent(self) -> int:
        """A weight exponent; in extremes one that overflows 24 bits, but leaves room for graded spikes in 64."""
        most = min(8, 20 - self.bits) if self.extreme else 3
        return int(self.rng.integers(-8 if self.extreme else -4, most)) if self.integer else 0

    def neuron(self, shape: tuple[int, ...]) -> Lif | FixedLif:
        """Any neuron, its parameters scalars or arrays."""
        rng = self.rng
        size = shape if rng.random() < 0.5 else ()
        reset = str(rng.choice(RESETS))
        if not self.integer:
            decays = np.array([0, 0.25, 0.5, 0.75, 1])  # exact, so that no engine rounds
            alpha = rng.choice(decays, size) if rng.random() < 0.5 else 0.0
            bias = rng.integers(-8, 8, size) / 64
            threshold = rng.integers(20, 100, size) / 64
            if reset == "none" and rng.random() < 0.5:  # some, or all, never fire
                threshold = np.where(rng.random(size) < 0.5, np.inf, threshold)
            return Lif(threshold, rng.choice(decays, size), alpha, bias, reset)
        return FixedLif(
            threshold=rng.integers(1, 1 + largest_threshold(reset) if self.extreme else 900, size),
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
        return self.some(source, target, np.stack(np.nonzero(self.rng.random((m, n)) < 0.25)), (m, n), delay)

    def some(self, source: str, target: str, pairs: Array, shape: tuple[int, int], delay: int) -> Sparse:
        """A synapse for each pair of a target and a source."""
        weights, (rows, columns) = self.weights(pairs.shape[1]), pairs
        return Sparse(source, target, weights, rows, columns, shape, self.bias(shape[0]), delay, self.exponent())


def mixed(seed: int, integer: bool, extreme: bool = False, kind: str = "spikes") -> Network:
    """Three or four populations, with dense and sparse connections, skips, delays, loops and cycles; where the input
    has neurons, back to it too."""
    make = Maker(seed, integer, extreme)
    rng = make.rng
    names = ["input", "a", "b", "c"][: rng.integers(3, 5)]
    sizes = {name: int(rng.choice([1, 5, 13, 64, 70])) for name in names}
    populations = [make.input("input", (sizes["input"],), kind)]
    populations += [Population(name, (sizes[name],), make.neuron((sizes[name],))) for name in names[1:]]
    firing = names if kind == "current" else names[1:]
    connections = []
    for i, source in enumerate(names):
        for j, target in enumerate(firing, start=len(names) - len(firing)):
            forward = i < j
            if not (j == i + 1 or rng.random() < 0.3):
                continue
            delay = make.delay() if forward else int(rng.integers(1, 4))
            kind = make.sparse if rng.random() < 0.4 else make.dense
            connections.append(kind(source, target, sizes[source], sizes[target], delay))
    shuffled = [connections[k] for k in rng.permutation(len(connections))]
    return Network(tuple(populations), tuple(shuffled), output=str(rng.choice(firing)))


def convolutional(seed: int, integer: bool, extreme: bool = False, kind: str = "spikes") -> Network:
    """Two convolutions of any geometry in one or two dimensions, then a dense layer; sometimes a loop or a skip."""
    make = Maker(seed, integer, extreme)
    rng = make.rng
    dims = int(rng.integers(1, 3))
    shape = (int(rng.choice([2, 4])), *(int(n) for n in rng.integers(9, 12, dims)))
    populations, connections, source = [make.input("input", shape, kind)], [], "input"
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


def network_for(seed: int, integer: bool, extreme: bool = False, kind: str = "spikes") -> Network:
    """One of the above."""
    return (convolutional if seed % 3 == 0 else mixed)(seed, integer, extreme, kind)


def input_for(seed: int, network: Network, steps: int, batch: int) -> Array:
    """Random spikes, few or many; or random values up to the largest."""
    rng = np.random.default_rng(seed)
    shape = (steps, batch, *network.input.shape)
    if not network.input.current:
        return (rng.random(shape) < rng.choice([0.02, 0.3, 1.0])).astype(np.uint8)
    largest = 64
    if network.is_integer:
        graded = network.input.graded
        largest = int(rng.choice([900, LARGEST_CURRENT])) if graded is None else graded.largest
    values = rng.integers(-largest, largest + 1, shape)
    values[rng.random(shape) < 0.3] = 0
    values[:, rng.random(batch) < 0.5] = aligned(rng, network, largest)
    return values if network.is_integer else values / 32


def aligned(rng: np.random.Generator, network: Network, largest: int) -> Array:
    """(*shape): the largest values with the signs of the weights into some neuron, or with the opposite ones."""
    outgoing = [connection for connection in network.connections if connection.source == network.input.name]
    weights = outgoing[rng.integers(len(outgoing))].synapses().toarray()
    signs = np.sign(weights[rng.integers(len(weights))]).astype(int)
    return (signs * int(rng.choice([-largest, largest]))).reshape(network.input.shape)


def dial_for(seed: int, network: Network, steps: int, batch: int) -> dict[str, Array]:
    """Thresholds: all trained, or moving by step, by sample, by neuron or all of it; each population its own.

    Where they are by neuron, some neurons may be off.
    """
    rng = np.random.default_rng(seed)
    scales = {}
    for name in network.order:
        n = network[name].size
        shapes = [(), (steps,), (1, batch), (steps, batch), (1, 1, n), (steps, batch, n)]
        neuron = network[name].neuron
        high = 2.0
        if isinstance(neuron, FixedLif):
            high = min(2.0, neuron.largest_threshold / int(neuron.threshold.max()))
        scales[name] = np.asarray(rng.uniform(high / 2, high, shapes[rng.integers(len(shapes))]))
        if scales[name].ndim == 3 and rng.random() < 0.5:
            scales[name][rng.random(scales[name].shape) < 0.3] = np.inf
    return thresholds_for(network, scales, steps, batch)
