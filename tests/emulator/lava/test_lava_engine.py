"""Networks on the real Lava runtime give the spikes of a plain loop over ``lif_step``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aspen.network.network import Dense, FixedLif, Lif, Network, Population
from aspen.network.neurons import RESETS
from aspen.network.record import Record
from aspen_emulator.engines.lava.engine import run_lava, run_on
from aspen_emulator.engines.lava.isolation import LavaWorker
from aspen_emulator.engines.lava.shim import lava_available
from aspen_emulator.engines.lif import LifState, lif_step, scaled_threshold

pytestmark = [
    pytest.mark.lava,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not lava_available(), reason="lava-nc is not installed"),
]

Array = np.ndarray[Any, np.dtype[Any]]
RunLava = Callable[[Network, Array, Mapping[str, Array]], Record]
few = settings(max_examples=5, deadline=None, database=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)


def shared_worker() -> Iterator[RunLava]:
    """The engine, with one worker for all tests of a module; a new one after a failure."""
    workers = [LavaWorker()]

    def run(network: Network, spikes: Array, thresholds: Mapping[str, Array]) -> Record:
        if workers[-1].pid is None:
            workers.append(LavaWorker())
        return run_on(workers[-1], network, spikes, thresholds, "membranes")

    yield run
    workers[-1].close()


@pytest.fixture(scope="module")
def lava() -> Iterator[RunLava]:
    yield from shared_worker()


def expected(network: Network, spikes: Array, thresholds: Mapping[str, Array]) -> dict[str, Array]:
    """The spikes of all populations: for each sample a plain loop over time steps and populations."""
    steps, batch = spikes.shape[:2]
    rasters = {p.name: np.zeros((steps, batch, p.size), np.uint8) for p in network.populations}
    rasters[network.input.name][:] = spikes.reshape(steps, batch, -1)
    table = {n: np.broadcast_to(a, (steps, batch, network[n].size)) for n, a in thresholds.items()}
    for k in range(batch):
        states = {name: LifState.zeros(1, network[name].size, network[name].neuron) for name in network.order}
        for t in range(steps):
            for name in network.order:
                drive = 0
                for connection in network.incoming(name):
                    drive = drive + connection.drive(rasters[connection.source][t, k][None])
                    drive = drive if connection.bias is None else drive + connection.bias
                neuron = network[name].neuron
                rasters[name][t, k] = lif_step(states[name], drive, table[name][t, k], neuron)[0][0]
    return {p.name: rasters[p.name].reshape(steps, batch, *p.shape) for p in network.populations}


def some(rng: np.random.Generator, shape: tuple[int, ...], draw: Callable[[Any], Array]) -> Array:
    """One value for the population, or one per neuron."""
    return draw(shape if rng.random() < 0.5 else ())


def float_neuron(rng: np.random.Generator, shape: tuple[int, ...], reset: str) -> Lif:
    return Lif(
        threshold=some(rng, shape, lambda size: rng.integers(100, 400, size) / 256),
        beta=some(rng, shape, lambda size: rng.random(size)),
        alpha=some(rng, shape, lambda size: rng.random(size) * rng.integers(0, 2)),
        bias=some(rng, shape, lambda size: rng.integers(-20, 40, size) / 256),
        reset=reset,
    )


def fixed_neuron(rng: np.random.Generator, shape: tuple[int, ...], reset: str) -> FixedLif:
    return FixedLif(
        threshold=some(rng, shape, lambda size: rng.integers(50, 3000, size)),
        voltage_decay=some(rng, shape, lambda size: rng.integers(0, 4096, size)),
        current_decay=some(rng, shape, lambda size: rng.integers(0, 4096, size)),
        bias_mantissa=some(rng, shape, lambda size: rng.integers(-200, 400, size)),
        bias_exponent=some(rng, shape, lambda size: rng.integers(0, 8, size)),
        reset=reset,
    )


def float_weight(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Half of them multiples of 2^-8: their sums are exact in any order."""
    weight = rng.normal(0.1, 0.4, shape)
    return weight if rng.random() < 0.3 else np.round(weight * 256) / 256


def fixed_weight(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    mixed, excitatory = 2 * rng.integers(-128, 128, shape), rng.integers(0, 256, shape)
    return [mixed, excitatory, -excitatory][rng.choice(3, p=[0.6, 0.3, 0.1])]


def random_network(rng: np.random.Generator, reset: str, fixed: bool) -> Network:
    """Input -> left and right -> output, input -> left -> side: two connections into one population, two outputs."""
    make = fixed_neuron if fixed else float_neuron
    shapes = {"in": (2, 3), "left": (4,), "right": (2, 2), "side": (3,), "out": (3,)}
    populations = [Population("in", shapes.pop("in"))]
    populations += [Population(name, shape, make(rng, shape, reset)) for name, shape in shapes.items()]
    size = {population.name: population.size for population in populations}
    ends = [("in", "left"), ("in", "right"), ("left", "out"), ("right", "out"), ("left", "side")]
    return Network(populations, [random_dense(rng, a, b, (size[b], size[a]), fixed) for a, b in ends])


def random_dense(rng: np.random.Generator, source: str, target: str, shape: tuple[int, int], fixed: bool) -> Dense:
    if fixed:
        return Dense(source, target, fixed_weight(rng, shape), exponent=int(rng.integers(-8, 8)))
    return Dense(source, target, float_weight(rng, shape), bias=rng.integers(-20, 40, shape[0]) / 256)


def random_thresholds(
    rng: np.random.Generator, network: Network, steps: int, batch: int, changes: int = 0
) -> dict[str, Array]:
    """(steps or 1, batch or 1, n or 1) each; for some populations at ``changes`` times of their own new values."""
    thresholds = {}
    for name in network.order:
        parts = 1 + changes * int(rng.integers(0, 2))
        factors = rng.uniform(0.5, 2, (parts, rng.choice([1, batch]), rng.choice([1, network[name].size])))
        if parts > 1:
            factors = factors[np.sort(np.r_[np.arange(parts), rng.integers(0, parts, steps - parts)])]
        thresholds[name] = scaled_threshold(network[name].neuron, factors)
    return thresholds


def random_spikes(rng: np.random.Generator, network: Network, steps: int, batch: int) -> Array:
    return (rng.random((steps, batch, *network.input.shape)) < 0.4).astype(np.uint8)


def assert_same(found: Mapping[str, Array], wanted: Mapping[str, Array]) -> None:
    assert list(found) == list(wanted)
    for name, raster in wanted.items():
        assert found[name].dtype == np.uint8
        np.testing.assert_array_equal(found[name], raster, err_msg=name)


@pytest.mark.parametrize("fixed", [False, True], ids=["float", "fixed"])
@pytest.mark.parametrize("reset", RESETS)
@few
@given(seed=seeds)
def test_rasters_are_those_of_lif_step(lava: RunLava, reset: str, fixed: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_network(rng, reset, fixed)
    spikes = random_spikes(rng, network, steps=24, batch=2)
    thresholds = random_thresholds(rng, network, steps=24, batch=2, changes=3)
    assert_same(lava(network, spikes, thresholds).rasters, expected(network, spikes, thresholds))


def chain(fixed: bool = False, reset: str = "subtract") -> Network:
    """Input -> hidden -> output, active, with biases; in integers with an even mixed-sign matrix."""
    rng = np.random.default_rng(7)
    if fixed:
        neuron = FixedLif(threshold=300, voltage_decay=400, current_decay=3000, bias_mantissa=900, reset=reset)
        weights = [2 * rng.integers(-50, 100, shape) for shape in ((4, 3), (2, 4))]
    else:
        neuron = Lif(threshold=1.0, beta=0.9, alpha=0.25, bias=0.0625, reset=reset)
        weights = [np.round(rng.normal(0.2, 0.5, shape) * 256) / 256 for shape in ((4, 3), (2, 4))]
    populations = [Population("in", (3,)), Population("hidden", (4,), neuron), Population("out", (2,), neuron)]
    return Network(populations, [Dense("in", "hidden", weights[0]), Dense("hidden", "out", weights[1])])


def own_thresholds(network: Network) -> dict[str, Array]:
    return {n: np.atleast_1d(scaled_threshold(network[n].neuron, np.ones(1)))[None, None] for n in network.order}


@pytest.mark.parametrize("fixed", [False, True], ids=["float", "fixed"])
def test_samples_back_to_back_are_those_of_single_runs(lava: RunLava, fixed: bool) -> None:
    network = chain(fixed, "subtract-delayed")
    spikes = random_spikes(np.random.default_rng(0), network, steps=20, batch=4)
    thresholds = own_thresholds(network)
    together = lava(network, spikes, thresholds).rasters
    for k in range(4):
        own = {name: raster[:, k : k + 1] for name, raster in together.items()}
        assert_same(own, lava(network, spikes[:, k : k + 1], thresholds).rasters)
    assert together["out"].any()


def test_one_step_and_one_sample(lava: RunLava) -> None:
    network = chain()
    spikes = np.ones((1, 1, 3), np.uint8)
    thresholds = {"hidden": np.full((1, 1, 4), 0.05), "out": np.full((1, 1, 1), 0.01)}
    assert_same(lava(network, spikes, thresholds).rasters, expected(network, spikes, thresholds))


def test_thresholds_of_one_population_change_at_its_own_time(lava: RunLava) -> None:
    """The output is two Lava steps late; a threshold for step 6 must not act on what it computes for step 4."""
    network = chain()
    spikes = random_spikes(np.random.default_rng(3), network, steps=12, batch=2)
    thresholds = own_thresholds(network)
    thresholds["out"] = np.ones((12, 1, 2)) * [0.2, 0.4]
    thresholds["out"][6:] = [50.0, 0.1]
    found = lava(network, spikes, thresholds).rasters
    assert_same(found, expected(network, spikes, thresholds))
    assert found["out"][:6, :, 0].any()
    assert not found["out"][6:, :, 0].any()


def test_progress_is_reported_up_to_the_end() -> None:
    network, seen = chain(), list[tuple[int, int]]()
    spikes = random_spikes(np.random.default_rng(1), network, steps=70, batch=2)
    found = run_lava(network, spikes, own_thresholds(network), "spikes", progress=lambda *pair: seen.append(pair))
    assert seen == [(100, 142), (142, 142)]
    assert_same(found.rasters, expected(network, spikes, own_thresholds(network)))


def test_excitatory_and_inhibitory_weights_keep_all_bits(lava: RunLava) -> None:
    neuron = FixedLif(threshold=120, voltage_decay=0, bias_mantissa=2000, reset="subtract")
    populations = [Population("in", (2,)), Population("plus", (2,), neuron), Population("minus", (2,), neuron)]
    plus, minus = np.array([[1, 3], [255, 7]]), np.array([[-1, 0], [-255, -9]])
    network = Network(populations, [Dense("in", "plus", plus), Dense("in", "minus", minus)])
    spikes = np.ones((30, 1, 2), np.uint8)
    assert_same(
        lava(network, spikes, own_thresholds(network)).rasters, expected(network, spikes, own_thresholds(network))
    )


SCRIPT = """
import logging, multiprocessing, sys
import numpy as np
from aspen.network.network import Dense, Lif, Network, Population
from aspen_emulator.engines.lava.engine import run_lava
handlers = list(logging.getLogger().handlers)
network = Network([Population("in", (2,)), Population("a", (2,), Lif(threshold=0.5, beta=0.5))],
                  [Dense("in", "a", np.eye(2))])
spikes = np.ones((5, 1, 2), np.uint8)
assert run_lava(network, spikes, {"a": np.full((1, 1, 1), 0.5)}).output.all()
assert not [name for name in sys.modules if name.split(".")[0] == "lava"]
assert multiprocessing.get_start_method(allow_none=True) is None
assert logging.getLogger().handlers == handlers
print("untouched")
"""


def test_the_users_process_stays_as_it_was() -> None:
    """No ``__main__`` guard needed, no start method set, Lava not imported."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT], capture_output=True, text=True, timeout=100, check=False
    )
    assert (done.stderr, done.stdout, done.returncode) == ("", "untouched\n", 0)
