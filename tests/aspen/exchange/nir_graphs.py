"""Graphs and networks for the tests of NIR: random ones, nodes as others write them, equality to the bit."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aspen.exchange.nir import load_nir, save_nir
from aspen.network.connections import Connection, Conv, Dense, Sparse
from aspen.network.network import Lif, Network, Population
from aspen.network.neurons import RESETS

nir = pytest.importorskip("nir", reason="the package nir is not installed")
pytest.importorskip("h5py", reason="the package h5py is not installed")

DT = 1e-4


def assert_array(one: Any, two: Any, what: str) -> None:
    if one is None or two is None:
        assert one is two, what
    else:
        assert (one.dtype, one.shape, one.tobytes()) == (two.dtype, two.shape, two.tobytes()), what


def assert_part(one: Any, two: Any, what: str) -> None:
    assert type(one) is type(two), what
    for field in getattr(one, "value_fields", ()):
        assert getattr(one, field) == getattr(two, field), f"{what}.{field}"
    for field in getattr(one, "array_fields", ()):
        assert_array(getattr(one, field), getattr(two, field), f"{what}.{field}")


def assert_same(one: Network, two: Network) -> None:
    """Equal to the bit in everything."""
    assert (one.names, one.output, dict(one.provenance)) == (two.names, two.output, dict(two.provenance))
    for p, q in zip(one.populations, two.populations, strict=True):
        assert (p.shape, p.current) == (q.shape, q.current)
        assert_part(p.neuron, q.neuron, p.name)
    for c, d in zip(one.connections, two.connections, strict=True):
        assert_part(c, d, c.name)


def through_file(network: Network, folder: Path, **options: Any) -> Network:
    save_nir(network, folder / "network.nir", **options)
    assert [path.name for path in folder.iterdir()] == ["network.nir"]  # nothing temporary is left
    nir.read(folder / "network.nir")  # with nir's own type check
    return load_nir(folder / "network.nir")


def random_lif(rng: np.random.Generator, shape: tuple[int, ...], reset: str, alpha: bool = True) -> Lif:
    dtype = rng.choice([np.float32, np.float64])

    def some(low: float, high: float) -> Any:
        return rng.uniform(low, high, () if rng.random() < 0.5 else shape).astype(dtype)

    decays = [0.0, 1.0, some(0, 1), some(0.9, 1)]
    return Lif(
        threshold=some(0.2, 2.0),
        beta=decays[rng.integers(4)],
        alpha=decays[rng.choice([0, 1, 2])] if alpha else 0.0,
        bias=rng.choice([0.0, 1.0]) * some(-0.2, 0.2),
        reset=reset,
    )


def random_link(rng: np.random.Generator, source: Population, target: Population, delay: int) -> Connection:
    dtype = rng.choice([np.float32, np.float64])
    n, m = source.size, target.size
    weight = rng.normal(0.1, 0.5, (m, n)).astype(dtype)
    bias = rng.normal(0, 0.1, m).astype(rng.choice([np.float32, np.float64])) if rng.random() < 0.5 else None
    if rng.random() < 0.5:
        return Dense(source.name, target.name, weight, bias, delay)
    places = rng.permutation(m * n)[: rng.integers(1, m * n + 1)]
    weights = weight.reshape(-1)[places] * (rng.random(len(places)) < 0.9)  # some of them zero
    return Sparse(source.name, target.name, weights, places // n, places % n, (m, n), bias, delay)


def random_conv(rng: np.random.Generator, name: str, source: Population, reset: str) -> tuple[Population, Conv]:
    dims = len(source.shape) - 1
    groups = int(rng.choice([g for g in (1, 2, 3) if source.shape[0] % g == 0]))
    channels = groups * int(rng.integers(1, 3))
    kernel = tuple(int(rng.integers(1, min(3, size) + 1)) for size in source.shape[1:])
    weight = rng.normal(0.1, 0.5, (channels, source.shape[0] // groups, *kernel)).astype(np.float32)
    bias = rng.normal(0, 0.1, channels).astype(np.float32) if rng.random() < 0.5 else None
    stride, padding = (tuple(int(s) for s in rng.integers(low, low + 2, dims)) for low in (1, 0))
    link = Conv(source.name, name, weight, source.shape, bias, stride, padding, (1,) * dims, groups)
    return Population(name, link.output_shape, random_lif(rng, link.output_shape, reset)), link


def random_network(seed: int, plain: bool = False) -> Network:
    """Chains of convolutions, then of matrices, with loops, skips, delays and all kinds of parameters.

    ``plain`` ones need no metadata: one reset for all, the output last, no neurons in the input.
    """
    rng = np.random.default_rng(seed)
    resets = [str(rng.choice(RESETS)) for _ in range(6)]
    resets = [resets[0]] * 6 if plain else resets
    shapes = [(5,), (2, 6), (3, 5, 6), (2, 3), (1, 4, 4)]
    shape = shapes[rng.integers(len(shapes))]
    neuron = random_lif(rng, shape, resets[0], alpha=False) if rng.random() < 0.2 and not plain else None
    first = Population("input", shape, neuron, neuron is not None or bool(rng.integers(2)))
    populations, links = [first], []
    if len(shape) > 1:
        for i in range(rng.integers(0, 3)):
            made, link = random_conv(rng, f"conv{i}", populations[-1], resets[i])
            populations.append(made)
            links.append(link)
    for i in range(rng.integers(1, 4)):
        shape = (int(rng.integers(1, 6)),) if rng.random() < 0.7 else (2, 2)
        populations.append(Population(f"layer.{i}-x", shape, random_lif(rng, shape, resets[3 + i])))
        links.append(random_link(rng, populations[-2], populations[-1], int(rng.choice([0, 0, 1, 7]))))
    done = {(link.source, link.target) for link in links}
    for _ in range(rng.integers(0, 4)):
        source, target = (populations[k] for k in rng.integers(0, len(populations), 2))
        if target.neuron is not None and (source.name, target.name) not in done:
            links.append(random_link(rng, source, target, int(rng.choice([1, 2]))))
            done.add((source.name, target.name))
    outputs = [p.name for p in populations if p.neuron is not None]
    provenance = {"from": "test", "seed": seed, "numbers": [0.1, None, True]}
    output = outputs[-1] if plain else str(rng.choice(outputs))
    return Network(tuple(populations), tuple(links), output, provenance)


def lif_node(n: Any, beta: float = 0.75, threshold: float = 0.5, **changes: Any) -> Any:
    ones = np.ones(n, np.float32)
    tau = np.float32(DT) / (1 - beta * ones)
    fields = {"tau": tau, "r": tau / np.float32(DT), "v_leak": 0 * ones, "v_reset": 0 * ones}
    return nir.LIF(**(fields | {"v_threshold": threshold * ones} | changes))


def cuba_node(n: int, alpha: float = 0.5, beta: float = 0.75, threshold: float = 0.5, **changes: Any) -> Any:
    ones = np.ones(n, np.float32)
    mem, syn = (np.float32(DT) / (1 - decay * ones) for decay in (beta, alpha))
    fields = {"tau_mem": mem, "tau_syn": syn, "r": mem / np.float32(DT), "w_in": syn / np.float32(DT)}
    return nir.CubaLIF(**(fields | {"v_leak": 0 * ones, "v_threshold": threshold * ones} | changes))


def graph_of(shape: Any, *nodes: Any, **more: Any) -> Any:
    """A chain: input, n0, n1, ..., output."""
    named = {"input": nir.Input({"input": np.array(shape)})}
    named |= {f"n{i}": node for i, node in enumerate(nodes)}
    named["output"] = nir.Output({"output": None})
    names = list(named)
    edges = list(pairwise(names))
    return nir.NIRGraph(nodes=named, edges=edges, type_check=False, **more)


def weights(seed: int, *shape: int) -> Any:
    """Multiples of 1/64: sums are exact in any order."""
    return (np.round(np.random.default_rng(seed).normal(0.2, 0.5, shape) * 64) / 64).astype(np.float32)
