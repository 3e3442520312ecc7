"""How long a battery lasts on a chip, through every way to ask, against the power that was measured on that chip.

Loihi: 29.5 mW before the embedded CPUs start, 96.3 mW after, 110.4 mW while a network of three cores ran (power logs of
Blouw et al. 2019). TrueNorth: 68 to 94 mW at 11.6 to 95.9 Hz, 64.6 mW at rest (Akopyan et al. 2015).
"""

from __future__ import annotations

import numpy as np
import pytest

from aspen.calibration.choosing import BatteryLife, Chooser
from aspen.calibration.storage import CalibrationTable
from aspen.control import Battery, Budget
from aspen.errors import InputError
from aspen.network.network import Network
from aspen.units import parse_battery
from aspen_emulator import run
from aspen_emulator.measuring.bench import Bench, measure
from aspen_emulator.measuring.tables import make_tables
from aspen_emulator.streaming.meter import Meter
from aspen_hardware import chip
from tests.networks import float_network, random_spikes

STEPS, SIZES = 8, (20, 20, 4)
CELL = parse_battery("100mAh@3.7V")
MEASURED = {"loihi1": (29.5e-3, 96.3e-3, 110.4e-3), "truenorth": (64.64e-3, 64.64e-3, 68e-3)}
"""Watts of the whole chip: at rest, at rest and ready to run, running."""


@pytest.fixture(params=MEASURED)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def network() -> Network:
    return float_network(1, SIZES, bias=False)


def table(name: str) -> CalibrationTable:
    spikes = random_spikes(0, STEPS, 60, SIZES[0], density=0.25)
    bench = Bench(network(), [spikes], run(network(), spikes).predictions, [chip(name)])
    (found,) = make_tables(bench, measure(bench, [1.0, 1.5, 2.0, 3.0]), "random spikes")
    return found


def test_a_charge_lasts_as_long_as_the_chip_draws_what_was_measured(name: str) -> None:
    _, ready, running = MEASURED[name]
    choice = Chooser(table(name)).on_battery(BatteryLife(CELL, 3600.0, rate=1.0))
    assert choice.lasts is not None
    assert CELL / running < choice.lasts == pytest.approx(CELL / ready, rel=0.01)
    with pytest.raises(InputError, match=r"battery: found .*, possible are"):
        Chooser(table(name)).on_battery(BatteryLife(CELL, 1.01 * CELL / ready, rate=1.0))


def test_a_stream_is_powered_by_the_whole_chip(name: str) -> None:
    meter = Meter.of(network(), chip(name), STEPS)
    assert meter.static_watts == pytest.approx(MEASURED[name][1], rel=0.001)
    small = Meter.of(float_network(1, (4, 4, 2), bias=False), chip(name), STEPS)
    assert small.static_watts == meter.static_watts


def test_a_battery_and_a_budget_below_the_power_of_the_chip_are_refused(name: str) -> None:
    meter, found = Meter.of(network(), chip(name), STEPS), table(name)
    ready = MEASURED[name][1]
    with pytest.raises(InputError, match="allowed is more than the static power of"):
        Budget(found, 0.99 * ready, meter.window_seconds, meter.worst_step, static_watts=meter.static_watts)
    Budget(found, 1.01 * ready, meter.window_seconds, meter.worst_step, static_watts=meter.static_watts)
    life = CELL / ready
    common = (meter.window_seconds, meter.worst_step)
    Battery(found, CELL, 0.99 * life, *common, static_watts=meter.static_watts)
    with pytest.raises(InputError, match=f"possible are {life / 3600:.3g} h with the network idle"):
        Battery(found, CELL, 1.01 * life, *common, static_watts=meter.static_watts)


def test_nobody_pays_by_the_core(name: str) -> None:
    points = table(name).points
    static = {point.static_nj for point in points}
    step = chip(name).usual_step
    assert step is not None
    assert len(static) == 1
    assert static.pop() == pytest.approx(1e9 * MEASURED[name][1] * step * STEPS, rel=0.001)
    assert all(point.total_nj == pytest.approx(point.static_nj, rel=1e-3) for point in points)
    assert np.ptp([point.total_nj or 0.0 for point in points]) > 0
