"""Sessions on the real Lava runtime: thresholds are turned between steps, while it is alive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from aspen.errors import EngineError, InputError
from aspen.network.network import Dense, Lif, Network, Population
from aspen_emulator import run, session
from aspen_emulator.engines.lava.engine import LavaSession
from aspen_emulator.engines.lava.layout import check_network
from aspen_emulator.engines.lava.shim import lava_available
from aspen_emulator.engines.lif import scaled_threshold
from aspen_emulator.engines.reference import run_reference
from tests.emulator.lava.test_lava_engine import assert_same, chain, random_spikes, random_thresholds
from tests.emulator.lava.test_lava_networks import random_input, random_network
from tests.networks import fixed_network

pytestmark = [
    pytest.mark.lava,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not lava_available(), reason="lava-nc is not installed"),
]

Array = np.ndarray[Any, np.dtype[Any]]


def as_on_lava(network: Network, spikes: Array, thresholds: Mapping[str, Array]) -> dict[str, Array]:
    """What a session shows when it is given ``thresholds`` (steps, 1, n) at each Lava step."""
    depths = check_network(network)
    late = {n: np.r_[a[depths[n] :], np.repeat(a[-1:], depths[n], axis=0)] for n, a in thresholds.items()}
    rasters = run_reference(network, spikes, late, "spikes").rasters
    before = {name: np.zeros((depths[name], *raster.shape[1:]), np.uint8) for name, raster in rasters.items()}
    return {name: np.concatenate([before[name], raster])[: len(raster)] for name, raster in rasters.items()}


@pytest.mark.parametrize("fixed", [False, True], ids=["float", "fixed"])
def test_a_session_turns_thresholds_while_it_runs(fixed: bool) -> None:
    """Every population takes new thresholds in the Lava step in which they are given; a reset leaves nothing behind."""
    network = chain(fixed)
    rng = np.random.default_rng(5)
    with LavaSession(network) as session:
        assert session.latency == 2
        for _ in range(2):  # samples
            spikes = random_spikes(rng, network, 15, 1)
            thresholds = {}
            for name in network.order:
                steps_up = np.repeat(rng.uniform(0.3, 2, (5, 1, network[name].size)), 3, axis=0)
                thresholds[name] = scaled_threshold(network[name].neuron, steps_up)
            shown = [
                session.step(spikes[t, 0], {name: array[t, 0] for name, array in thresholds.items()}) for t in range(15)
            ]
            wanted = as_on_lava(network, spikes, thresholds)
            assert_same({name: np.stack([s[name] for s in shown])[:, None] for name in wanted}, wanted)
            assert wanted["out"].any()
            session.reset()


def test_a_session_keeps_thresholds_that_are_not_given() -> None:
    network = chain()
    spikes = np.ones(3, np.uint8)
    with LavaSession(network) as session:
        assert any(session.step(spikes)["hidden"].any() for _ in range(6))  # the network's own
        session.step(spikes, {"hidden": np.array([1000.0])})
        assert not any(session.step(spikes)["hidden"].any() for _ in range(6))
        with pytest.raises(InputError, match="thresholds of hidden: found shape"):
            session.step(spikes, {"hidden": np.ones(3)})
        with pytest.raises(InputError, match="correct 'typo'"):
            session.step(spikes, {"typo": np.ones(1)})
        with pytest.raises(InputError, match="spikes: found shape"):
            session.step(np.ones(2, np.uint8))
        assert not session.step(spikes)["hidden"].any()  # refused input has done nothing
    session.close()
    with pytest.raises(EngineError, match="is closed; open a new session"):
        session.step(spikes)


def test_a_threshold_that_lava_does_not_take_is_an_error() -> None:
    """Lava passes values as float64; an integer beyond 53 bits cannot arrive as it is."""
    with LavaSession(chain(fixed=True)) as session, pytest.raises(EngineError, match="but Lava kept"):
        session.step(np.zeros(3, np.uint8), {"hidden": np.array([2**60 + 1])})


def test_the_public_session_is_the_same_on_lava_but_for_its_latency() -> None:
    network = fixed_network(1)
    spikes = random_spikes(np.random.default_rng(0), network, steps=20, batch=1)
    outputs: dict[str, list[np.ndarray]] = {"lava": [], "fast": []}
    with session(network, engine="lava") as live, session(network) as local:
        assert (live.latency, local.latency) == (2, 0)
        for spike in spikes:
            outputs["lava"].append(live.step(spike))
            outputs["fast"].append(local.step(spike))
    np.testing.assert_array_equal(np.stack(outputs["lava"])[2:], np.stack(outputs["fast"])[:-2])
    assert np.stack(outputs["fast"]).sum() > 10
    with pytest.raises(InputError, match="batch: found 2, allowed is 1 in a session on Lava"):
        session(network, engine="lava", batch=2)


@pytest.mark.parametrize(
    ("kind", "fixed"), [("spikes", True), ("analog", False), ("current", False), ("current", True)]
)
def test_a_session_runs_all_kinds_of_networks(kind: str, fixed: bool) -> None:
    """Recurrence, delays, convolutions, currents; after a reset nothing that was on its way arrives."""
    rng = np.random.default_rng(21)
    network = random_network(rng, fixed, kind)
    with LavaSession(network) as live:
        assert live.latency == live.depths["out"] == check_network(network)["out"]
        for _ in range(3):  # samples
            given = random_input(rng, network, 12, 1)
            thresholds = {
                name: np.broadcast_to(array, (12, 1, network[name].size))
                for name, array in random_thresholds(rng, network, 12, 1, changes=3).items()
            }
            shown = [live.step(given[t, 0], {n: array[t, 0] for n, array in thresholds.items()}) for t in range(12)]
            for name, raster in as_on_lava(network, given, thresholds).items():
                np.testing.assert_array_equal(np.stack([s[name] for s in shown])[:, None], raster, err_msg=name)
            live.reset()


def test_a_session_whose_input_is_late_itself() -> None:
    """A clock drives the input population, which takes a current; its depth is 1."""
    clock, neuron = Lif(threshold=0.5, beta=0.9, bias=0.125, reset="subtract"), Lif(threshold=1.0, beta=0.5)
    populations = [Population("in", (2,), neuron, current=True), Population("clock", (1,), clock)]
    links = [Dense("clock", "clock", [[-0.25]], delay=1), Dense("clock", "in", [[0.5], [0.75]])]
    network = Network(populations, links, output="in")
    given = np.random.default_rng(2).integers(0, 16, (20, 1, 2)) / 16
    thresholds = {"clock": np.full((20, 1, 1), 0.5), "in": np.ones((20, 1, 1))}
    with LavaSession(network) as live:
        assert live.depths == {"in": 1, "clock": 0}
        for _ in range(2):
            shown = [live.step(current)["in"] for current in given[:, 0]]
            wanted = as_on_lava(network, given, thresholds)["in"]
            np.testing.assert_array_equal(np.stack(shown)[:, None], wanted)
            assert 0 < wanted.sum() < wanted.size - 2
            live.reset()


def test_the_public_session_takes_a_current_on_lava() -> None:
    network = random_network(np.random.default_rng(5), False, "current")
    given = random_input(np.random.default_rng(6), network, 10, 1)
    with session(network, engine="lava") as live:
        outputs = np.stack([live.step(current) for current in given])
        late = live.latency
    np.testing.assert_array_equal(outputs[late:], run(network, given).output[: 10 - late])
