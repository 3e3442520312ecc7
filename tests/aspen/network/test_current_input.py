"""Networks whose input population has neurons of its own, which a current drives, with and without anything else."""

from __future__ import annotations

import numpy as np
import pytest

from aspen.dial.profile import DialProfile
from aspen.errors import ChipError
from aspen.network.network import Dense, Lif, Network, Population
from aspen_emulator import run, session, sweep
from aspen_hardware import compile

CURRENT = np.random.default_rng(0).uniform(-0.2, 0.6, (30, 3, 4))
NEURON = Lif(np.array([0.5, 0.6, 0.7, 0.8]), 0.75, reset="zero")
INPUT = Population("in", (4,), NEURON, current=True)
OUTPUT = Population("o", (2,), Lif(1.0, 0.5, reset="zero"))
FEEDING = Network((INPUT, OUTPUT), (Dense("in", "o", np.arange(8.0).reshape(2, 4) / 8),))
ALONE = Network((INPUT, OUTPUT), (Dense("o", "o", np.ones((2, 2)), delay=1),), output="in")


@pytest.mark.parametrize("network", [FEEDING, ALONE], ids=["feeding others", "nothing behind it"])
def test_it_runs_in_floats_alike_in_every_engine(network: Network) -> None:
    records = [run(network, CURRENT, engine=engine, record="spikes") for engine in ("reference", "fast")]
    assert records[0].rasters["in"].sum() > 50
    for name in ("in", "o"):
        np.testing.assert_array_equal(records[0].rasters[name], records[1].rasters[name])
    with session(network, batch=3) as live:
        np.testing.assert_array_equal(np.stack([live.step(step) for step in CURRENT]), records[0].output)
    assert sweep(network, CURRENT, np.zeros(3, np.int64), (1.0,))[0].accuracy >= 0


@pytest.mark.parametrize("network", [FEEDING, ALONE], ids=["feeding others", "nothing behind it"])
@pytest.mark.parametrize("chip", ["loihi1", "loihi2"])
def test_compile_says_what_neurons_without_weights_lack(network: Network, chip: str) -> None:
    with pytest.raises(ChipError, match=r"in: found neurons that a current alone drives, allowed .* one to one"):
        compile(network, chip)


def test_a_dial_leaves_the_unit_of_neurons_that_take_a_current() -> None:
    """Their neurons would be scaled one by one, and what comes in with them would not."""
    weights = np.diag([0.1, 0.2, 0.3, 0.4])
    recurrent = Network(FEEDING.populations, (*FEEDING.connections, Dense("in", "in", weights, delay=1)))
    profile = DialProfile({"in": np.array([0.1, 0.2, 0.3, 0.4])})
    for options in ({"profile": profile}, {"threshold_groups": 2}):
        assert compile(recurrent, "loihi2", **options).rounding["in"].largest_factor == 1.0  # type: ignore[arg-type]
