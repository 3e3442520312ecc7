"""Membranes beside spikes, leaky integrators, and what decides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import aspen
from aspen.errors import InputError, NetworkError
from aspen.network.network import READOUTS, Dense, FixedLif, Lif, Network, Population, load_network
from aspen_emulator import run, session
from aspen_emulator.engines.lava.shim import lava_available
from aspen_hardware import compile
from tests import ROOT

LAVA = pytest.param(
    "lava",
    marks=[
        pytest.mark.lava,
        pytest.mark.timeout(120),
        pytest.mark.skipif(not lava_available(), reason="lava-nc is not installed"),
    ],
)
ENGINES = ["reference", "fast", LAVA]


def integrating(readout: str, beta: float = 1.0) -> Network:
    """Three inputs into two integrators that never fire."""
    neuron = Lif(threshold=np.inf, beta=beta, reset="none")
    populations = [Population("in", (3,)), Population("out", (2,), neuron)]
    return Network(populations, [Dense("in", "out", [[1.0, 0.0, -2.0], [0.5, 0.5, 0.0]])], readout=readout)


SPIKES = np.array([[1, 0, 0], [0, 0, 1], [1, 1, 0]], np.uint8)[:, None]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("readout", "scores"),
    [("membrane", [0.0, 2.5]), ("membrane-last", [0.0, 1.5]), ("membrane-max", [1.0, 1.5]), ("spikes", [0, 0])],
)
def test_scores_by_readout(engine: str, readout: str, scores: list[float]) -> None:
    """The membranes are [1, -1, 0] and [0.5, 0.5, 1.5]."""
    record = run(integrating(readout), SPIKES, engine=engine)
    np.testing.assert_array_equal(record.scores, [scores])
    assert record.predictions.tolist() == [1 if any(scores) else -1]
    assert not record.output.any()
    assert list(record.membranes) == ([] if readout == "spikes" else ["out"])


@pytest.mark.parametrize("engine", ENGINES)
def test_integers_integrate_alike(engine: str) -> None:
    deployment = compile(integrating("membrane-last"), "loihi1")
    assert isinstance(deployment.network["out"].neuron, FixedLif)
    scores = run(deployment, SPIKES, engine=engine).scores / deployment.rounding["out"].state_per_unit
    np.testing.assert_allclose(scores, [[0.0, 1.5]], atol=0.02)


@pytest.mark.parametrize("engine", ["reference", "fast", LAVA])
def test_a_session_shows_the_membranes(engine: str) -> None:
    with session(integrating("membrane"), engine=engine) as live:
        with pytest.raises(InputError, match="membranes of out: found none"):
            _ = live.membranes
        steps = [*SPIKES, *np.zeros((live.latency, 1, 3), np.uint8)]
        seen = []
        for step in steps:
            live.step(step)
            seen.append(live.membranes[0].tolist())
    assert seen[live.latency :] == [[1.0, 0.5], [-1.0, 0.5], [0.0, 1.5]]


def test_the_membrane_is_the_one_before_the_reset() -> None:
    neuron = Lif(threshold=1.0, beta=0.5, reset="zero")
    network = Network([Population("in", (1,)), Population("out", (1,), neuron)], [Dense("in", "out", [[1.5]])])
    record = run(network, np.ones((2, 1, 1), np.uint8), engine="reference", record="membranes")
    assert record.membranes["out"].ravel().tolist() == [1.5, 1.5]
    assert record.rasters["out"].ravel().tolist() == [1, 1]


def test_the_readout_is_saved(tmp_path: Path) -> None:
    integrating("membrane-max").save(tmp_path / "net.aspen")
    loaded = load_network(tmp_path / "net.aspen")
    assert loaded.readout == "membrane-max"
    assert np.isinf(loaded["out"].neuron.threshold)  # type: ignore[union-attr]
    assert "output: membrane-max" in str(loaded)


def test_what_is_refused() -> None:
    with pytest.raises(NetworkError, match="readout: found 'votes', allowed are spikes, membrane"):
        integrating("votes")
    with pytest.raises(NetworkError, match="infinity with reset 'zero', allowed is reset='none'"):
        Lif(threshold=np.inf, beta=0.5)
    assert READOUTS[0] == "spikes"
    assert issubclass(NetworkError, aspen.AspenError)


def test_a_file_of_version_2_still_loads() -> None:
    """Stored by ASPEN at format version 2, when all read-outs were on spikes."""
    network = load_network(ROOT / "tests" / "data" / "version2.aspen")
    assert network.readout == "spikes"
    assert [connection.delay for connection in network.connections] == [0, 2]
    assert run(network, np.ones((4, 1, 2))).output.any()
