"""Small random networks and inputs for the tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from aspen.network.network import Dense, FixedLif, Lif, Network, Population
from aspen.network.neurons import RESETS, largest_threshold

Array = np.ndarray[Any, np.dtype[Any]]


def float_network(seed: int, sizes: tuple[int, ...] = (6, 8, 4), reset: str = "zero", bias: bool = True) -> Network:
    """A random chain in floating point. Weights are multiples of 1/256, so sums are exact in any order."""
    rng = np.random.default_rng(seed)

    def dyadic(*shape: int) -> Array:
        return np.round(rng.normal(0.2, 0.5, shape) * 256) / 256

    populations = [Population("input", (sizes[0],))]
    connections = []
    for i, size in enumerate(sizes[1:], start=1):
        lif = Lif(
            threshold=rng.uniform(0.5, 1.5, size), beta=rng.uniform(0, 1), alpha=rng.choice([0, 0.5]), reset=reset
        )
        populations.append(Population(f"layer{i}", (size,), lif))
        source = populations[i - 1].name
        connections.append(Dense(source, f"layer{i}", dyadic(size, sizes[i - 1]), dyadic(size) / 4 if bias else None))
    return Network(tuple(populations), tuple(connections))


def fixed_network(seed: int, sizes: tuple[int, ...] = (6, 8, 4), reset: str = "zero", extreme: bool = False) -> Network:
    """A random chain in integers; ``extreme`` reaches for 24-bit overflow and saturation. Mixed weights are even."""
    rng = np.random.default_rng(seed)
    populations = [Population("input", (sizes[0],))]
    connections = []
    for i, size in enumerate(sizes[1:], start=1):
        neuron = FixedLif(
            threshold=rng.integers(1, 1 + largest_threshold(reset) if extreme else 2000, size),
            voltage_decay=rng.integers(0, 4096),
            current_decay=rng.choice([4095, rng.integers(0, 4096)]),
            bias_mantissa=rng.integers(-4096, 4096, size) if extreme else rng.integers(-50, 50, size),
            bias_exponent=rng.integers(0, 8 if extreme else 4),
            reset=reset,
        )
        populations.append(Population(f"layer{i}", (size,), neuron))
        weight = (
            2 * rng.integers(-128, 128, (size, sizes[i - 1]))
            if rng.random() < 0.7
            else rng.integers(0, 256, (size, sizes[i - 1]))
        )
        exponent = int(rng.integers(-3, 8 if extreme else 3))
        connections.append(Dense(populations[i - 1].name, f"layer{i}", weight, exponent=exponent))
    return Network(tuple(populations), tuple(connections))


def static_network(reset: str = "zero", recurrent: bool = False, seed: int = 3, beta: float = 0.9) -> Network:
    """6 static values -> 5 neurons -> 3, in floating point, with biases everywhere that one can be."""
    rng = np.random.default_rng(seed)
    lif = Lif(threshold=1.0, beta=beta, bias=0.0625, reset=reset)
    layers = (
        Population("input", (6,), current=True, static=True),
        Population("hidden", (5,), lif),
        Population("output", (3,), lif),
    )
    weights = [np.round(rng.normal(0, 0.5, shape) * 64) / 64 for shape in ((5, 6), (3, 5), (5, 5))]
    links = [Dense("input", "hidden", weights[0], np.linspace(-0.5, 0.5, 5))]
    links += [Dense("hidden", "output", weights[1], [0.125, 0.0, -0.125])]
    links += [Dense("hidden", "hidden", weights[2], np.full(5, 0.0625), delay=1)] if recurrent else []
    return Network(layers, tuple(links))


def random_spikes(seed: int, steps: int, batch: int, n: int, density: float = 0.4) -> Array:
    """Random spikes (steps, batch, n) uint8."""
    return (np.random.default_rng(seed).random((steps, batch, n)) < density).astype(np.uint8)


seeds = st.integers(0, 2**32 - 1)
resets = st.sampled_from(RESETS)
