"""Biases on a synaptic current become synapses of a neuron that spikes at every step: in every engine, and counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aspen.network.connections import Dense
from aspen.network.network import Lif, Network, Population
from aspen_emulator import run
from aspen_emulator.engines.cortex_m.engine import emulator_available
from aspen_emulator.engines.lava.shim import lava_available
from aspen_emulator.measuring.observing import observe
from aspen_emulator.measuring.parity import parity
from aspen_hardware import compile
from aspen_hardware.placing.steady import biased_by_spikes


def network(seed: int = 0) -> Network:
    """Two layers of neurons with a current, weights and biases exact in 8 bits."""
    rng = np.random.default_rng(seed)

    def dense(source: str, target: str, m: int, n: int) -> Dense:
        weight = rng.integers(-32, 64, (m, n)) / 64
        weight[0, 0] = 127 / 64
        return Dense(source, target, weight, rng.integers(-16, 32, m) / 64)

    lif: Any = {"threshold": 3.005, "beta": 0.75, "alpha": 0.5, "reset": "zero"}
    populations = Population("input", (6,)), Population("a", (5,), Lif(**lif)), Population("b", (3,), Lif(**lif))
    return Network(populations, (dense("input", "a", 5, 6), dense("a", "b", 3, 5)))


def given() -> Any:
    return (np.random.default_rng(1).random((12, 4, 6)) < 0.4).astype(np.uint8)


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_the_same_network_in_floating_point_spikes_alike_at_every_knob(scale: float) -> None:
    changed = biased_by_spikes(network())
    assert all(c.bias is None for c in changed.connections)
    assert changed.names == ["input", "a.bias", "a", "b.bias", "b"]
    assert changed.dialled == network().dialled == ["a"]
    before = run(network(), given(), scale, record="membranes")
    after = run(changed, given(), scale, record="membranes")
    for name in ("a", "b"):
        np.testing.assert_array_equal(after.rasters[name], before.rasters[name])
        np.testing.assert_allclose(after.membranes[name], before.membranes[name], atol=1e-12)
    assert before.rasters["a"].any()
    assert after.rasters["a.bias"].all()
    assert biased_by_spikes(changed) is changed


@pytest.mark.parametrize("engine", ["reference", "c", "cortex-m", "lava"])
def test_integers_spike_as_floats_do_in_every_engine(engine: str) -> None:
    if engine == "lava" and not lava_available():
        pytest.skip("needs Lava")
    if engine == "cortex-m" and not emulator_available():
        pytest.skip("needs the extra microcontroller")
    deployment = compile(network(), "loihi1")
    assert "spikes at every step" in str(deployment.network)
    fast = run(deployment, given(), record="spikes")
    found = parity(None, network(), deployment, given())
    assert [difference.different for difference in found.between("float", "integers")] == [0, 0]
    other = run(deployment, given()[:, :1] if engine == "lava" else given(), record="spikes", engine=engine)
    for name, raster in other.rasters.items():
        np.testing.assert_array_equal(raster, fast.rasters[name][:, : raster.shape[1]])


def test_the_bias_is_paid_for_and_calibration_keeps_the_spikes() -> None:
    steps, batch, _ = given().shape
    deployment = compile(network(), "loihi1", calibration=observe(network(), given()))
    kept = [deployment.rounding[name].kept_calibrated for name in ("a", "b", "a.bias")]
    assert kept == [1.0, 1.0, 1.0]
    record = run(deployment, given(), record="spikes")
    assert record.rasters["a.bias"].sum() == steps * batch
