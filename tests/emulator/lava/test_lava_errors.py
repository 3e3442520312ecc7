"""What Lava cannot run as it is, and arguments that are not allowed, are refused before a process is started."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aspen.errors import EngineError, InputError
from aspen.network.network import Conv, Dense, FixedLif, Lif, Network, Population, Sparse
from aspen_emulator.engines.lava.engine import LavaSession, run_lava
from aspen_emulator.engines.lava.layout import check_network
from aspen_emulator.engines.lava.shim import lava_available
from tests.emulator.lava.test_lava_engine import chain, own_thresholds

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


def sparse(weight: list[int]) -> Network:
    return Network(
        [Population("in", (2,)), Population("a", (2,), FIXED)],
        [Sparse("in", "a", np.array(weight), [0, 1], [1, 1], (2, 2))],
    )


def loop(*ends: tuple[str, str, int]) -> Network:
    """Input -> a, b and c; connections between these with delays."""
    populations = [Population("in", (2,)), *(Population(name, (1,), FLOAT) for name in "abc")]
    connections = [Dense("in", name, np.ones((1, 2))) for name in "abc"]
    return Network(populations, connections + [Dense(s, t, [[1.0]], delay=delay) for s, t, delay in ends])


FLOAT = Lif(threshold=1.0, beta=0.5)
FIXED = FixedLif(threshold=10, voltage_decay=100)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (two([[1, -2], [2, 2]], FIXED), "in->a: found the odd weight 1, allowed on Lava are even integers"),
        (two([[-256, 256], [2, 2]], FIXED), "found weights from -256 to 256, .*from -256 to 254 where signs are mixed"),
        (two([[0, 256], [2, 2]], FIXED), "from 0 to 255 where signs are excitatory"),
        (two([[-256, 0], [-2, -2]], FIXED), "from -255 to 0 where signs are inhibitory"),
        (sparse([3, -2]), "in->a: found the odd weight 3, allowed on Lava are even integers"),
        (sparse([4, -3]), "in->a: found the odd weight -3, allowed on Lava are even integers"),
        (sparse([3, 300]), "in->a: found weights from 0 to 300, allowed on Lava are integers from 0 to 255"),
        (
            Network(
                [Population("in", (1, 2)), Population("a", (1, 2), FIXED)],
                [Conv("in", "a", [[[1, -1]]], (1, 2), padding=(1,), stride=(2,))],
            ),
            "in->a: found the odd weight 1, allowed on Lava are even integers",
        ),
        (
            loop(("a", "b", 0), ("b", "c", 1), ("c", "a", 1)),
            "a->b->c->a: found a cycle of 3 connections with a delay of 2 steps in all, allowed on Lava are 3 "
            "and more, .*lengthen a delay, or use engine='fast'",
        ),
        (loop(("a", "b", 0), ("b", "a", 1), ("b", "c", 0)), "found a cycle of 2 connections with a delay of 1 steps"),
        (
            Network(
                [Population("in", (2,), current=True), Population("a", (2,), FIXED)],
                [Dense("in", "a", [[2, 2], [2, 2]])],
            ),
            "in: found an input of analog values in an integer network, allowed on Lava are spikes, or a current",
        ),
    ],
)
def test_networks_that_lava_would_change_are_refused(network: Network, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        run_lava(network, np.zeros((2, 1, *network.input.shape), np.uint8), own_thresholds(network))
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
        ({"thresholds": {"hidden": np.full((1, 1, 1), np.nan), "out": np.ones((1, 1, 1))}}, "allowed are numbers"),
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
    synapses = Sparse("in", "a", weight[0], np.zeros(70_000, int), np.arange(70_000), (1, 70_000), exponent=7)
    with pytest.raises(EngineError, match="in->a: found sums up to 2284800000"):
        check_network(Network(network.populations, [synapses]))
