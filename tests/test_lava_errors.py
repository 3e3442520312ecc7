"""What Lava cannot run as it is, and arguments that are not allowed, are refused before a process is started."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aspen.errors import EngineError, InputError
from aspen.network import Dense, FixedLif, Lif, Network, Population
from aspen_emulator.lava.engine import LavaSession, run_lava
from aspen_emulator.lava.plan import check_network
from aspen_emulator.lava.shim import lava_available
from tests.test_lava_engine import chain, own_thresholds

pytestmark = [
    pytest.mark.lava,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not lava_available(), reason="lava-nc is not installed"),
]

Array = np.ndarray[Any, np.dtype[Any]]


def two(weight: Array, neuron: Lif | FixedLif, **options: Any) -> Network:
    return Network(
        [Population("in", (2,)), Population("a", (2,), neuron)], [Dense("in", "a", np.asarray(weight), **options)]
    )


FLOAT = Lif(threshold=1.0, beta=0.5)
FIXED = FixedLif(threshold=10, voltage_decay=100)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (two([[1, -2], [2, 2]], FIXED), "in->a: found the odd weight 1, allowed on Lava are even integers"),
        (two([[-256, 256], [2, 2]], FIXED), "found weights from -256 to 256, .*from -256 to 254 where signs are mixed"),
        (two([[0, 256], [2, 2]], FIXED), "from 0 to 255 where signs are excitatory"),
        (two([[-256, 0], [-2, -2]], FIXED), "from -255 to 0 where signs are inhibitory"),
        (two(np.ones((2, 2)), FLOAT, delay=1), "in->a: found a delay .*use engine='fast'"),
        (
            Network(
                [Population("in", (2,)), Population("a", (2,), FLOAT)],
                [Dense("in", "a", np.ones((2, 2))), Dense("a", "a", np.ones((2, 2)), delay=1)],
            ),
            "a->a: found a recurrent connection .*not yet on Lava",
        ),
        (
            Network(
                [Population("in", (2,)), Population("a", (2,), FLOAT), Population("b", (2,), FLOAT)],
                [Dense("in", "a", np.ones((2, 2))), Dense("a", "b", np.ones((2, 2))), Dense("in", "b", np.eye(2))],
            ),
            "b: found input from depths .*skip connections are not yet on Lava",
        ),
    ],
)
def test_networks_that_lava_would_change_are_refused(network: Network, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        run_lava(network, np.zeros((2, 1, 2), np.uint8), own_thresholds(network))
    with pytest.raises(EngineError, match=message):
        LavaSession(network)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"thresholds": {"hidden": np.ones((1, 1, 1))}}, "correct 'out'"),
        (
            {"thresholds": {"hidden": np.ones((1, 1, 3)), "out": np.ones((1, 1, 1))}},
            "thresholds of hidden: found shape",
        ),
        ({"thresholds": {"hidden": np.ones((1, 1)), "out": np.ones((1, 1, 1))}}, "thresholds of hidden: found shape"),
        ({"thresholds": {"hidden": np.full((1, 1, 1), np.nan), "out": np.ones((1, 1, 1))}}, "finite numbers"),
        ({"network": chain(fixed=True)}, "found float64 values, allowed are integers"),
        ({"spikes": np.full((2, 1, 3), 2)}, "spikes: found values from 2"),
        ({"spikes": np.zeros((2, 1, 4), int)}, "spikes: found shape"),
        ({"timeout": 0}, "timeout: found 0, allowed are finite seconds above 0"),
        ({"timeout": float("nan")}, "timeout: found nan"),
    ],
)
def test_bad_arguments_are_refused(change: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {
        "network": chain(),
        "spikes": np.zeros((2, 1, 3), np.uint8),
        "thresholds": own_thresholds(chain()),
        "timeout": 60,
    }
    with pytest.raises(InputError, match=message):
        run_lava(**(good | change))


def test_sums_beyond_32_bits_are_refused() -> None:
    weight = np.full((1, 70_000), 255)
    network = Network(
        [Population("in", (70_000,)), Population("a", (1,), FIXED)], [Dense("in", "a", weight, exponent=7)]
    )
    with pytest.raises(EngineError, match="in->a: found sums up to 2284800000"):
        check_network(network)
