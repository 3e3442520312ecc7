"""Where nothing spikes nothing but neurons is computed, and what is the same at every step is computed once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from aspen.network import Dense, FixedLif, Network, Population
from aspen_emulator.engines.cortex_m.cores import CORES
from aspen_hardware.c.program import Program
from tests.emulator.engines.cortex_m.needed import needs_emulator

if TYPE_CHECKING:
    from aspen_emulator.engines.cortex_m.counting import Meter

pytestmark = needs_emulator
NOWHERE = 0x50000000
"""Where no memory is."""


def network(inputs: int, synapses: float = 1.0, static: bool = False) -> Network:
    """Inputs to 16 neurons that never spike, and these to 8, by a share of all synapses."""
    rng = np.random.default_rng(1)
    silent, output = FixedLif(60000, 410), FixedLif(500, 410)
    first = rng.integers(1, 9, (16, inputs))
    second = np.where(np.arange(8 * 16).reshape(8, 16) < synapses * 8 * 16, 9, 0)
    populations = (
        Population("input", (inputs,), current=static, static=static),
        Population("hidden", (16,), silent),
        Population("output", (8,), output),
    )
    return Network(populations, (Dense("input", "hidden", first), Dense("hidden", "output", second)))


def started(net: Network) -> Meter:
    from aspen_emulator.engines.cortex_m.board import image_of
    from aspen_emulator.engines.cortex_m.counting import Meter
    from aspen_emulator.engines.cortex_m.machine import Machine

    core = CORES["cortex-m4"]
    meter = Meter(Machine(image_of(Program(net), core), core, 4096))
    meter.call("network_set_threshold_scale", 4096)
    return meter


def taken(meter: Meter, function: str, *arguments: int) -> int:
    """Instructions of a call."""
    _, parts = meter.call(function, *arguments)
    return sum(count.total for count in parts.values())


def test_without_events_the_number_of_inputs_and_their_weights_cost_nothing() -> None:
    few, many = (taken(started(network(n)), "network_step_events", NOWHERE, 0) for n in (8, 800))
    assert abs(few - many) < 16  # how the linker laid it out
    full, sparse = (taken(started(network(8, share)), "network_step_events", NOWHERE, 0) for share in (1.0, 0.03))
    assert abs(full - sparse) < 64  # of 128 synapses, half an instruction each at the very least


def test_a_step_costs_what_its_events_cost() -> None:
    from aspen_emulator.engines.cortex_m.machine import EXCHANGE

    meter = started(network(800))
    meter._machine.write(EXCHANGE, np.arange(100, dtype="<u2").tobytes())
    costs = [taken(meter, "network_step_events", EXCHANGE, n) for n in (0, 50, 100)]
    assert costs[0] + 50 * 16 / 4 < costs[1] < costs[2]
    assert costs[2] - costs[1] == pytest.approx(costs[1] - costs[0], rel=0.2)


def test_a_static_input_is_read_and_added_up_in_the_first_step_alone() -> None:
    from aspen_emulator.engines.cortex_m.machine import EXCHANGE

    meter = started(network(800, static=True))
    meter._machine.write(EXCHANGE, np.arange(800, dtype="<i2").tobytes())
    for _ in range(2):
        first = taken(meter, "network_step", EXCHANGE)
        later = taken(meter, "network_step", NOWHERE)  # reading there would end the program
        assert first > later + 800 * 16
        assert later < 100 * 24  # neurons
        meter.call("network_reset")
