"""Streams that are opened for a goal: as when their meter and controller are made by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from aspen._base.arrays import Array
from aspen.calibration.table import CalibrationTable
from aspen.control import AccuracyFloor, Battery, Budget, Controller, Manual, ended_early
from aspen.dial.profile import DialProfile
from aspen.errors import InputError
from aspen.network.network import Dense, Lif, Network, Population
from aspen_emulator import calibrate, run, stream
from aspen_emulator.streaming import Meter, Stream
from aspen_hardware import chip, compile, place
from tests.emulator.streaming.test_streaming import STEPS, windows_of
from tests.networks import float_network, random_spikes


@cache
def made() -> tuple[Network, CalibrationTable, Array]:
    network, spikes = float_network(6), random_spikes(7, STEPS, 40, 6)
    labels = run(network, spikes).predictions
    return network, calibrate(network, spikes, labels, [0.5, 1, 1.5, 2.5, 4], on="loihi1", max_loss=0.2), spikes


def budget(table: CalibrationTable, meter: Meter, joules: float, count_static: bool) -> Budget:
    return Budget(
        table, joules / meter.window_seconds, meter.window_seconds, meter.worst_step,
        static_watts=meter.static_watts, count_static=count_static,
    )  # fmt: skip


def battery(table: CalibrationTable, meter: Meter) -> Battery:
    return Battery(table, 1000.0, 7200.0, meter.window_seconds, meter.worst_step, static_watts=meter.static_watts)


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize(
    ("goal", "by_hand"),
    [
        ({"budget": "8nJ/window", "dynamic": True}, lambda table, meter: budget(table, meter, 8e-9, False)),
        ({"budget": "60mJ/window"}, lambda table, meter: budget(table, meter, 0.06, True)),
        ({"battery": "1kJ", "hours": 2}, battery),
        ({"confidence": 0.4}, lambda table, meter: AccuracyFloor(table, 0.4)),
        ({"knob": 1.5}, lambda table, meter: Manual(1.5)),
    ],
)
def test_each_goal_has_its_controller(
    goal: dict[str, Any], by_hand: Callable[[CalibrationTable, Meter], Controller], early: bool
) -> None:
    network, table, spikes = made()
    meter = Meter.of(network, chip("loihi1"), STEPS, 0.5 / STEPS)
    controller = by_hand(ended_early(table) if early else table, meter)
    with Stream(network, meter, controller, early=table.early if early else None, table=table) as opened:
        wanted, state = list(opened.run(windows_of(spikes))), opened.state_dict()
    with stream(network, table, **goal, early=early, window_seconds=0.5) as running:
        assert (list(running.run(windows_of(spikes))), running.state_dict()) == (wanted, state)


def test_the_meter_has_the_cores_that_the_dial_needs() -> None:
    spikes = random_spikes(7, STEPS, 10, 6)
    populations = (
        Population("input", (6,)),
        Population("hidden", (12,), Lif(1.0, 0.5)),
        Population("out", (2,), Lif(1.0, 0.5)),
    )
    weights = np.random.default_rng(0).normal(0.3, 0.5, (12, 6))
    network = Network(
        populations, (Dense("input", "hidden", weights), Dense("hidden", "out", weights[:2].repeat(2, 1)))
    )
    profile = DialProfile({"hidden": np.linspace(0.1, 0.8, 12)})  # more thresholds than a core stores
    table = calibrate(network, spikes, run(network, spikes).predictions, [0.0, 1.0], on="loihi1", profile=profile)
    with stream(network, table, profile=profile, knob=0.0) as running:
        needed = place(network, chip("loihi1"), profile).cores_used
        assert running.meter.placement.cores_used == needed > place(network, chip("loihi1")).cores_used


def test_the_chip_is_that_of_the_deployment_and_the_steps_are_its_own() -> None:
    network, table, _ = made()
    deployment = compile(network, "loihi1")
    with stream(deployment, table, knob=1.0) as running:
        assert (running.meter.chip, running.meter.step_time) == (chip("loihi1"), chip("loihi1").step_time)


def test_a_learned_dial_is_turned_by_its_knob() -> None:
    network, _, spikes = made()
    profile = DialProfile.uniform(network)
    dialled = calibrate(network, spikes, run(network, spikes).predictions, on="loihi1", profile=profile)
    with stream(network, dialled, knob=0.5, profile=profile) as running:
        assert running.knob == 0.5


ONE_GOAL = 'allowed is one of budget="2uJ/window", battery="100mAh@3.7V" with hours, confidence=0.85 and knob=0.5'


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, f"goal: found none, {ONE_GOAL}"),
        ({"budget": "2uJ/window", "knob": 1.0}, f"goal: found budget and knob, {ONE_GOAL}"),
        ({"battery": "5kJ"}, "battery: found it or hours alone"),
        ({"knob": 1.0, "hours": 2}, "battery: found it or hours alone"),
        ({"battery": "5kJ", "hours": "2h"}, "hours: found '2h'"),
        ({"battery": "5kJ", "hours": 2, "dynamic": True}, "dynamic: found True beside battery"),
        ({"budget": "2uJ"}, "budget: found '2uJ', allowed is an energy per window or hour"),
        ({"budget": 2e-6}, "budget: found 2e-06, allowed is a text with a unit"),
        ({"knob": 1.0, "window_seconds": "1s"}, "window_seconds: found '1s'"),
        ({"knob": 1.0, "on": "truenorth"}, "table: found one of loihi1, allowed for this stream is one of truenorth"),
        ({"knob": 1.0, "profile": DialProfile.uniform(float_network(6))}, "profile: found one for the table scale@"),
    ],
)  # fmt: skip
def test_what_is_no_goal_is_refused(options: dict[str, Any], message: str) -> None:
    network, table, _ = made()
    with pytest.raises(InputError) as caught:
        stream(network, table, **options)
    assert message in str(caught.value)


def test_a_table_for_something_else_is_refused() -> None:
    network, table, spikes = made()
    labels = run(network, spikes).predictions
    with pytest.raises(InputError, match="profile: found none for the table profile@loihi1"):
        stream(network, replace(table, dial="profile"), knob=0.5)
    with pytest.raises(InputError, match="table: found one of no chip, allowed for this stream is one of a chip"):
        stream(network, calibrate(network, spikes, labels, [1.0]), knob=0.5)
    with pytest.raises(InputError, match="found no early stop"):
        stream(network, replace(table, early=None, early_points=()), knob=1.0, early=True)
    with pytest.raises(InputError, match=r"table: found .*, allowed is a CalibrationTable"):
        stream(network, "net.aspen", knob=1.0)  # type: ignore[arg-type]
