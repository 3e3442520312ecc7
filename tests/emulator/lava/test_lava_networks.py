"""Every kind of connection and input on the real Lava runtime: the same spikes as the reference, to the bit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from aspen.network.connections import Connection
from aspen.network.network import Conv, Dense, FixedLif, Lif, Network, Population, Sparse
from aspen.network.neurons import RESETS
from aspen_emulator.engines.lava.shim import lava_available
from aspen_emulator.engines.reference import run_reference
from tests.emulator.lava.test_lava_engine import (
    RunLava,
    few,
    fixed_neuron,
    fixed_weight,
    float_neuron,
    own_thresholds,
    random_thresholds,
    seeds,
    shared_worker,
)

pytestmark = [
    pytest.mark.lava,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not lava_available(), reason="lava-nc is not installed"),
]

Array = np.ndarray[Any, np.dtype[Any]]


@pytest.fixture(scope="module")
def lava() -> Iterator[RunLava]:
    yield from shared_worker()


class Parts:
    """Random parts of one network: float sums are exact in any order, integers are those that Lava takes."""

    def __init__(self, rng: np.random.Generator, fixed: bool) -> None:
        self.rng = rng
        self.fixed = fixed

    def neuron(self, shape: tuple[int, ...]) -> Lif | FixedLif:
        return (fixed_neuron if self.fixed else float_neuron)(self.rng, shape, str(self.rng.choice(RESETS)))

    def population(self, name: str, shape: tuple[int, ...], **options: Any) -> Population:
        return Population(name, shape, self.neuron(shape), **options)

    def weight(self, shape: tuple[int, ...]) -> Array:
        if self.fixed:
            return fixed_weight(self.rng, shape)
        return np.round(self.rng.normal(0.1, 0.4, shape) * 256) / 256

    def options(self, biases: int, shortest: int = 0) -> dict[str, Any]:
        """A delay, mostly short, and an exponent or a bias."""
        delay = max(shortest, int(self.rng.choice([0, 0, 0, 1, 2, 5])))
        if self.fixed:
            return {"delay": delay, "exponent": int(self.rng.integers(-4, 5))}
        return {"delay": delay, "bias": self.rng.integers(-20, 40, biases) / 256}

    def dense(self, source: Population, target: Population, shortest: int = 0) -> Dense:
        weight = self.weight((target.size, source.size))
        return Dense(source.name, target.name, weight, **self.options(target.size, shortest))

    def sparse(self, source: Population, target: Population, shortest: int = 0) -> Sparse:
        places = np.flatnonzero(self.rng.random(target.size * source.size) < 0.3)
        rows, columns = np.divmod(places, source.size)
        shape, options = (target.size, source.size), self.options(target.size, shortest)
        return Sparse(source.name, target.name, self.weight(places.shape), rows, columns, shape, **options)

    def conv(self, source: Population, target: str) -> Conv:
        dims = len(source.shape) - 1
        draw = [tuple(int(n) for n in self.rng.integers(low, high, dims)) for low, high in ((1, 4), (1, 3), (1, 3))]
        kernel, stride, dilation = draw
        lacking = [d * (k - 1) + 1 - n for d, k, n in zip(dilation, kernel, source.shape[1:], strict=True)]
        padding = tuple(int(n) for n in self.rng.integers(0, 2, dims) + np.maximum(0, lacking))
        groups = int(self.rng.integers(1, 3))
        weight = self.weight((4, source.shape[0] // groups, *kernel))
        geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        return Conv(source.name, target, weight, source.shape, **geometry, **self.options(4))


def random_network(rng: np.random.Generator, fixed: bool, kind: str) -> Network:
    """Convolutions in one and two dimensions, skips, recurrence and a longer cycle, all with delays.

    ``kind`` is that of the input: ``spikes``, ``analog`` or ``current``.
    """
    make = Parts(rng, fixed)
    shape = (2, 5, 4)
    source = make.population("in", shape, current=True) if kind == "current" else Population("in", shape)
    source = Population("in", shape, current=True) if kind == "analog" else source
    line, out = make.population("line", (4, 6)), make.population("out", (3,))
    plane, row = make.conv(source, "plane"), make.conv(line, "row")
    populations = [source, make.population("plane", plane.output_shape), line]
    populations += [make.population("row", row.output_shape), out]
    connections = [
        plane,
        row,
        make.sparse(source, line),
        make.dense(populations[1], out),
        make.sparse(populations[3], out),
        make.sparse(source, out),
        make.dense(out, out, shortest=1),
        make.sparse(populations[3], line, shortest=2),
    ]
    return Network(populations, [connections[i] for i in rng.permutation(len(connections))], output="out")


def random_input(rng: np.random.Generator, network: Network, steps: int, batch: int) -> Array:
    shape = (steps, batch, *network.input.shape)
    if not network.input.current:
        return (rng.random(shape) < 0.4).astype(np.uint8)
    if network.is_integer:  # small ones, or up to the limit and mostly there
        return np.clip(rng.integers(*rng.choice([(-200, 400), (-9000, 9000)]), shape), -4096, 4096)
    return rng.integers(-10, 30, shape) / 16


def assert_reference(lava: RunLava, network: Network, given: Array, thresholds: dict[str, Array]) -> dict[str, Array]:
    """Spikes, membranes and counts are the reference's."""
    found, wanted = lava(network, given, thresholds), run_reference(network, given, thresholds, "membranes")
    assert list(found.rasters) == network.names
    assert list(found.membranes) == list(network.order)
    for field in ("rasters", "membranes", "spikes", "synaptic_operations", "active_updates", "awake_updates"):
        ours, theirs = getattr(found, field), getattr(wanted, field)
        for name, values in theirs.items():
            assert ours[name].dtype == values.dtype
            np.testing.assert_array_equal(ours[name], values, err_msg=f"{field} of {name}")
    return dict(found.rasters)


@pytest.mark.parametrize(
    ("kind", "fixed"),
    [("spikes", False), ("spikes", True), ("analog", False), ("current", False), ("current", True)],
)
@pytest.mark.timeout(400)  # many networks
@settings(few, max_examples=7)
@given(seed=seeds)
def test_random_networks_give_the_spikes_of_the_reference(lava: RunLava, kind: str, fixed: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_network(rng, fixed, kind)
    steps = int(rng.choice([1, 4, 15]))  # shorter than some delays, too
    given = random_input(rng, network, steps, batch=3)
    thresholds = random_thresholds(rng, network, steps, batch=3, changes=min(3, steps - 1))
    assert_reference(lava, network, given, thresholds)


def excitable(rng: np.random.Generator, fixed: bool, shape: tuple[int, ...]) -> Array:
    """Weights of both signs, mostly positive."""
    return 2 * rng.integers(-20, 80, shape) if fixed else rng.integers(-60, 160, shape) / 256


def network_of(
    fixed: bool, shapes: dict[str, tuple[int, ...]], connections: list[Connection], **options: Any
) -> Network:
    """Spikes into "in", the first of ``shapes``; all other populations fire readily, with a bias."""
    fixed_lif = FixedLif(threshold=300, voltage_decay=400, current_decay=3000, bias_mantissa=900, reset="subtract")
    neuron = fixed_lif if fixed else Lif(threshold=1.0, beta=0.75, alpha=0.25, bias=0.0625, reset="subtract-delayed")
    populations = [Population(name, shape, neuron if name != "in" else None) for name, shape in shapes.items()]
    return Network(populations, connections, **options)


@pytest.mark.parametrize("fixed", [False, True], ids=["float", "fixed"])
def test_convolutions_of_every_geometry(lava: RunLava, fixed: bool) -> None:
    """Kernels that are not square, groups, strides, padding and dilation; one and two dimensions."""
    rng = np.random.default_rng(4)
    geometries: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
        ("in", (3, 4, 2, 3), {}),
        ("in", (4, 2, 3, 1), {"groups": 2, "stride": (2, 1)}),
        ("in", (6, 1, 1, 2), {"groups": 2, "padding": (0, 2)}),
        ("in", (2, 4, 2, 2), {"dilation": (3, 2), "padding": (2, 1), "stride": (1, 3)}),
        ("in", (4, 1, 3, 3), {"groups": 4, "padding": (1, 1)}),
        ("line", (2, 6, 3), {}),
        ("line", (6, 2, 2), {"groups": 3, "stride": (3,), "padding": (4,), "dilation": (2,)}),
    ]
    shapes: dict[str, tuple[int, ...]] = {"in": (4, 6, 5), "line": (6, 7)}
    connections: list[Connection] = [Dense("in", "line", excitable(rng, fixed, (42, 120)))]
    for k, (source, shape, geometry) in enumerate(geometries):
        weight = excitable(rng, fixed, (shape[0], shapes[source][0] // geometry.get("groups", 1), *shape[2:]))
        conv = Conv(source, f"conv{k}", weight, shapes[source], exponent=2 * fixed, **geometry)
        shapes[conv.target] = conv.output_shape
        connections.append(conv)
    network = network_of(fixed, shapes, connections)
    given = random_input(rng, network, steps=12, batch=2)
    assert all(raster.any() for raster in assert_reference(lava, network, given, own_thresholds(network)).values())


def echo(delays: dict[str, int], **loops: int) -> Network:
    """``in`` drives each population with its delay, one to one; those in ``loops`` also themselves."""
    neuron = Lif(threshold=0.5, beta=0.0)
    populations = [Population("in", (1,)), *(Population(name, (1,), neuron) for name in delays)]
    connections = [Dense("in", name, [[1.0]], delay=delay) for name, delay in delays.items()]
    connections += [Dense(name, name, [[1.0]], delay=delay) for name, delay in loops.items()]
    return Network(populations, connections)


def test_a_delay_of_k_steps_arrives_k_steps_later_and_never_in_the_next_sample(lava: RunLava) -> None:
    network = echo({f"d{k}": k for k in (0, 1, 2, 3, 5, 63)})
    spikes = np.zeros((8, 2, 1), np.uint8)
    spikes[[1, 6], 0] = 1  # the second sample has no spikes at all
    found = assert_reference(lava, network, spikes, own_thresholds(network))
    for k, steps in {0: [1, 6], 1: [2, 7], 2: [3], 3: [4], 5: [6], 63: []}.items():
        assert np.flatnonzero(found[f"d{k}"][:, 0]).tolist() == steps
        assert not found[f"d{k}"][:, 1].any()


def test_an_oscillation_ends_with_its_sample(lava: RunLava) -> None:
    """Recurrent connections with delays of 1 and 3 keep one spike going; the next sample knows nothing of it."""
    network = echo({"a": 0, "b": 2}, a=1, b=3)
    spikes = np.zeros((7, 3, 1), np.uint8)
    spikes[0, [0, 2]] = 1
    found = assert_reference(lava, network, spikes, own_thresholds(network))
    assert found["a"][:, :, 0].sum(axis=0).tolist() == [7, 0, 7]
    assert np.flatnonzero(found["b"][:, 0]).tolist() == [2, 5]
    assert not found["b"][:, 1].any()


@pytest.mark.parametrize("fixed", [False, True], ids=["float", "fixed"])
def test_samples_with_recurrence_delays_and_biases_are_those_of_single_runs(lava: RunLava, fixed: bool) -> None:
    make = Parts(np.random.default_rng(9), fixed)
    shapes: dict[str, tuple[int, ...]] = {"in": (3,), "a": (4,), "b": (2,)}
    ends = [("in", "a", 4), ("a", "a", 1), ("a", "b", 0), ("b", "a", 2), ("in", "b", 0)]
    connections = [Dense(s, t, make.weight((*shapes[t], *shapes[s])), delay=delay) for s, t, delay in ends]
    network = network_of(fixed, shapes, list(connections))
    spikes = random_input(make.rng, network, steps=9, batch=3)
    thresholds = random_thresholds(make.rng, network, steps=9, batch=1, changes=2)
    together = assert_reference(lava, network, spikes, thresholds)
    for k in range(3):
        alone = lava(network, spikes[:, k : k + 1], thresholds).rasters
        for name, raster in alone.items():
            np.testing.assert_array_equal(together[name][:, k : k + 1], raster)
    assert together["b"].any()


def test_an_empty_sparse_connection_and_an_undriven_input_of_currents(lava: RunLava) -> None:
    neuron = FixedLif(threshold=20, voltage_decay=0, bias_exponent=6)
    populations = [Population("in", (3,), neuron, current=True), Population("out", (2,), neuron)]
    network = Network(populations, [Sparse("in", "out", np.zeros(0, int), [], [], (2, 3))])
    found = assert_reference(lava, network, np.full((6, 2, 3), 5), own_thresholds(network))
    assert found["in"].any()
    assert not found["out"].any()
