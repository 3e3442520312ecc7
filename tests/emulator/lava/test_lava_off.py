"""A dial that switches neurons off, on the real Lava runtime: spikes and counts of the reference."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from aspen.dial.profile import DialProfile
from aspen.network.network import Network
from aspen_emulator import run, session
from aspen_emulator.engines.inputs import thresholds_for
from aspen_emulator.engines.lava.shim import lava_available
from aspen_emulator.streaming.counting import Events, Tally
from aspen_hardware import compile
from tests.emulator.engines.off_networks import same
from tests.emulator.lava.test_lava_engine import RunLava, shared_worker
from tests.networks import float_network, random_spikes

pytestmark = [
    pytest.mark.lava,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not lava_available(), reason="lava-nc is not installed"),
]

UNTIL = {
    "layer1": np.array([np.inf, 0.5, 0.5, 0.25, 0.0, 1.0, 2.0, np.inf]),
    "layer2": np.array([0.7, 0.3, np.inf, 0.3, 0.5]),
}
NESTED = DialProfile({"layer1": 0.3, "layer2": 0.1}, on_until=UNTIL)
SIZES = (6, 8, 5, 3)


@pytest.fixture(scope="module")
def lava() -> Iterator[RunLava]:
    yield from shared_worker()


def programs() -> list[Network]:
    """In floating point, and in the integers of a chip that cannot leave neurons out and of one that can."""
    network = float_network(3, SIZES)
    return [network, *(compile(network, name, profile=NESTED).network for name in ("loihi1", "cortex-m4"))]


def test_a_knob_that_changes_between_samples_and_within_one(lava: RunLava) -> None:
    knobs = np.array([[0.0, 1.0, 0.6, 0.4]] * 5 + [[0.6, 1.0, 0.0, 0.8]] * 5)
    scales = [[NESTED.scale(float(knob)) for knob in row] for row in knobs]
    table = {
        name: np.stack([np.concatenate([scale[name][0] for scale in row]) for row in scales]) for name in scales[0][0]
    }
    for network in programs():
        spikes = random_spikes(2, *knobs.shape, 6, 0.7)
        wanted = run(network, spikes, table, engine="reference", record="membranes")
        found = lava(network, spikes, thresholds_for(network, table, *knobs.shape))
        for name in network.order:
            np.testing.assert_array_equal(found.rasters[name], wanted.rasters[name])
            np.testing.assert_array_equal(found.membranes[name], wanted.membranes[name])
            np.testing.assert_array_equal(found.awake_updates[name], wanted.awake_updates[name])
        same(found.off, wanted.off)
        assert 0 < found.off.neurons["layer1"].sum() < found.updates("layer1")
        assert not found.rasters["layer1"][found.off.who["layer1"]].any()
        assert found.off.synaptic_operations["layer1->layer2"].any()


def test_a_session_whose_knob_turns_between_windows() -> None:
    network = compile(float_network(3, SIZES), "loihi1", profile=NESTED).network
    windows = random_spikes(4, 6, 3, 6, 0.7)
    totals = []
    for engine in ("lava", "fast"):
        total = Events.none(network)
        with session(network, profile=NESTED, engine=engine) as running:
            tally, steps = Tally(running), len(windows)
            for window, knob in enumerate((0.0, 0.9, 0.4)):
                running.knob = knob
                running.reset()
                tally.start()
                for step in range(steps + running.latency):
                    inside = windows[min(step, steps - 1), window : window + 1]
                    running.step(inside if step < steps else np.zeros_like(inside))
                    tally.step(steps)
                total.add(tally.window)
        totals.append(total)
    assert totals[0].to_dict() == totals[1].to_dict()
    assert totals[0].off["layer1"] > 0 < totals[0].off_operations["layer1->layer2"]
