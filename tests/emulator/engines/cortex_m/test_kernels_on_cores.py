"""The kernels of the C program, in assembler and in plain C, on emulated cores and here: the definition's spikes."""

from __future__ import annotations

import numpy as np
import pytest

from aspen.network import Dense, FixedLif, Network, Population
from aspen_emulator import run
from aspen_hardware.c.program import Program
from tests.emulator.engines.cortex_m.needed import needs_emulator
from tests.emulator.engines.test_fast import assert_same

pytestmark = needs_emulator


def network() -> Network:
    """Packed rows of blocks of every width, set, added to, and of a past step; sparse rows in pairs, of odd lengths."""
    rng = np.random.default_rng(0)

    def weights(m: int, n: int, density: float = 1.0) -> np.ndarray:
        return rng.integers(-128, 128, (m, n)) * (rng.random((m, n)) < density)

    own = FixedLif(rng.integers(50, 90, 64), rng.integers(0, 3000, 64), bias_mantissa=rng.integers(-50, 50, 64))
    populations = (
        Population("in", (41,)),
        Population("a", (27,), FixedLif(80, 410)),
        Population("b", (64,), own),
        Population("out", (6,), FixedLif(80, 3000, reset="subtract")),
    )
    connections = (
        Dense("in", "a", weights(27, 41)),
        Dense("a", "a", weights(27, 27), delay=2),
        Dense("a", "b", weights(64, 27, 0.1)),
        Dense("b", "out", weights(6, 64)),
    )
    return Network(populations, connections)


def test_the_network_has_what_is_tested() -> None:
    found = {c.connection.name: c for c in Program(network()).connections}
    assert {name: c.form for name, c in found.items()} == {
        "in->a": "packed", "a->a": "packed", "a->b": "sparse", "b->out": "packed"
    }  # fmt: skip
    assert [found[name].sets for name in ("in->a", "a->a", "b->out")] == [True, False, True]
    assert found["a->a"].recalls
    assert found["a->b"].pairs


@pytest.mark.parametrize("engine", ["c", "cortex-m", "cortex-m0plus"])
def test_spikes_and_membranes_are_the_definitions(engine: str) -> None:
    given = (np.random.default_rng(1).random((10, 1, 41)) < 0.3).astype(np.uint8)
    given[4] = 0
    given[5] = 1
    wanted = run(network(), given, engine="reference", record="membranes")
    assert min(spikes.sum() for spikes in wanted.spikes.values()) > 10
    assert_same(run(network(), given, engine=engine, record="membranes"), wanted)
