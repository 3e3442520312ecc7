"""Depths, delay lines and the schedule of a run: worked out without Lava."""

from __future__ import annotations

import numpy as np

from aspen.network.connections import Connection
from aspen.network.network import Dense
from aspen_emulator.engines.lava.layout import check_network, waiting_steps
from aspen_emulator.engines.lava.schedule import make_schedule
from tests.emulator.lava.test_lava_engine import chain, own_thresholds
from tests.emulator.lava.test_lava_networks import echo, network_of


def test_the_plan_pauses_only_where_thresholds_change() -> None:
    network = chain()
    thresholds = own_thresholds(network)
    assert make_schedule(network, 10, 3, thresholds).changes == []
    thresholds["out"] = np.ones((10, 3, 1))
    thresholds["out"][4:] = 2.0  # back to 1 where the next sample starts
    schedule = make_schedule(network, 10, 3, thresholds)
    assert [(c.step, c.name, float(c.values[0])) for c in schedule.changes] == [
        (2 + 4, "out", 2.0),
        (2 + 10, "out", 1.0),
        (2 + 14, "out", 2.0),
        (2 + 20, "out", 1.0),
        (2 + 24, "out", 2.0),
    ]
    assert (schedule.total, schedule.period, schedule.depths) == (32, 10, {"in": 0, "hidden": 1, "out": 2})


def test_depths_leave_every_connection_a_step_and_the_rest_to_delay_lines() -> None:
    network = echo({"a": 0, "b": 2}, a=1)
    depths = check_network(network)
    assert depths == {"in": 0, "a": 1, "b": 0}
    assert [waiting_steps(c, depths) for c in network.connections] == [0, 1, 0]
    schedule = make_schedule(
        network, 10, 3, own_thresholds(network) | {"a": np.arange(1.0, 31.0).reshape(3, 10, 1).swapaxes(0, 1)}
    )
    assert (schedule.period, schedule.idle, schedule.total) == (12, 2, 3 * 12 - 2 + 1)
    assert [c.step for c in schedule.changes] == [1 + 12 * k + t for k in range(3) for t in range(10)][1:]


def test_skips_wait_for_the_longest_way() -> None:
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("in", "a", "b", "c"), (1,))
    ends = [("in", "a", 0), ("a", "b", 0), ("b", "c", 1), ("in", "c", 3), ("in", "b", 0), ("c", "a", 2)]
    connections: list[Connection] = [Dense(s, t, [[1.0]], delay=delay) for s, t, delay in ends]
    network = network_of(False, shapes, connections)
    depths = check_network(network)
    assert depths == {"in": 0, "a": 1, "b": 2, "c": 2}
    assert [waiting_steps(connection, depths) for connection in connections] == [0, 0, 0, 4, 1, 0]
