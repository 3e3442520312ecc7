"""A knob that leaves out time steps: measured, and the same wherever it is turned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aspen._base.arrays import Array
from aspen.calibration.early import scores_over_time
from aspen.calibration.front import lever_table, levers_of
from aspen.calibration.table import CalibrationTable
from aspen.dial.path import KnobPath, seen
from aspen.errors import InputError
from aspen.network.network import Network
from aspen_emulator import calibrate, cycles, run, session, stream
from aspen_emulator.measuring.bench import Bench, measure
from aspen_emulator.measuring.early import cut_short, energy_early
from aspen_emulator.measuring.tables import checked_every, make_front, make_tables
from aspen_hardware import chip, compile
from aspen_hardware.compiling.deployment import Deployment
from tests.emulator.measuring.test_front import DIAL, noisy
from tests.emulator.measuring.test_front import STEPS as MOMENTS

Measured = tuple[Deployment, Array, Array, CalibrationTable]
STEPS = 2 * MOMENTS


def slow() -> tuple[Network, Array, Array]:
    """A network with samples that change at every second time step alone, and labels."""
    network, spikes, labels = noisy()
    return network, np.repeat(spikes, 2, axis=0), labels


@pytest.fixture(scope="module")
def measured() -> Measured:
    network, spikes, labels = slow()
    deployment = compile(network, "loihi1", profile=DIAL)
    table = calibrate(
        deployment, spikes, labels, (0.0, 0.1, 0.3, 0.6, 1.0), profile=DIAL, front=True, dynamic=True, every=(2, 4)
    )
    return deployment, spikes, labels, table


def test_each_stop_costs_and_gives_what_its_knob_does(measured: Measured) -> None:
    deployment, spikes, labels, table = measured
    assert table.early is not None
    assert set(table.every) > {1}
    path = table.along(deployment.network, DIAL)
    assert [path.every_at(point.knob) for point in table.points] == list(table.every)
    bench = Bench(deployment, [spikes], labels, [chip("loihi1")], profile=path)
    again = measure(bench, [point.knob for point in table.points], early=table.early)
    for stop, found in zip(table.points, again.points["loihi1"], strict=True):
        assert found.accuracy == pytest.approx(stop.accuracy, abs=0.011)
        assert found.dynamic_nj == pytest.approx(stop.dynamic_nj, rel=0.02)
    assert again.taken == pytest.approx([each.steps for each in table.early_points], rel=0.02)
    assert "every n-th step" in str(table)


def test_a_stream_and_a_run_take_the_same_steps(measured: Measured) -> None:
    deployment, spikes, _, table = measured
    assert table.early is not None
    path, some = table.along(deployment.network, DIAL), spikes[:, :20]
    knob = next(point.knob for point, every in zip(table.points, table.every, strict=True) if every > 1)
    every = path.every_at(knob)
    record = run(deployment, seen(some, every), path.scale(knob))
    taken = table.early.stops(scores_over_time(record), knob, every)
    assert taken.max() <= STEPS // every
    for engine in ("fast", "reference"):
        with stream(deployment, table, knob=knob, profile=DIAL, engine=engine) as running:
            windows = list(running.run(some.swapaxes(0, 1)))
        assert [window.steps for window in windows] == taken.tolist()
        assert [window.prediction for window in windows] == cut_short(record, taken).predictions.tolist()
    wanted = energy_early(record, taken, chip("loihi1")).dynamic
    assert wanted is not None
    assert sum(window.dynamic for window in windows) == pytest.approx(wanted.typical)


def test_a_window_lasts_as_long_with_fewer_steps() -> None:
    network, spikes, labels = slow()
    deployment = compile(network, "cortex-m4", profile=DIAL)
    path = KnobPath(DIAL, (0.0, 0.5, 1.0), (0.0, 0.0, 0.0), every=(1, 3, 5))
    bench = Bench(deployment, [spikes], labels, [chip("cortex-m4")], profile=path, step_time=0.01)
    points = measure(bench, (0.0, 0.5, 1.0)).points["cortex-m4"]
    assert [point.static_nj for point in points] == pytest.approx([points[0].static_nj] * 3, rel=0.02)
    dynamic = [point.dynamic_nj or 0.0 for point in points]
    assert dynamic[0] > 2.2 * dynamic[1] > 2.2 * dynamic[2] > 0


def test_without_an_early_end_fewer_steps_are_a_lever_too() -> None:
    network, spikes, labels = slow()
    bench = Bench(compile(network, "loihi1", profile=DIAL), [spikes], labels, [chip("loihi1")], profile=DIAL)
    found = measure(bench, (0.0, 0.5, 1.0))
    (table,) = make_tables(bench, found, "samples")
    front, tried = make_front(bench, found, table, early=False, dynamic=True, reach=1.0, every=(1, 2))
    assert front.early is None
    assert tried.every == (1, 1, 1, 2, 2, 2)
    assert tried.steps == [STEPS] * 3 + [STEPS // 2] * 3
    assert front.whole_steps == tuple(STEPS // every for every in front.every)
    levers = levers_of(tried, DIAL.low, dynamic=True, near=1.0)
    assert [lever.name for lever in levers] == ["dial alone", "fewer steps alone", "both"]
    assert tried.every[levers[1].cheapest] == 2
    assert tried.points[levers[1].cheapest].knob == DIAL.low
    assert levers[2].range >= max(lever.range for lever in levers)
    assert "fewer steps alone" in str(lever_table(tried, levers))


def test_what_cannot_leave_out_steps_says_so(measured: Measured) -> None:
    deployment, spikes, labels, table = measured
    path = table.along(deployment.network, DIAL)
    with pytest.raises(InputError, match=r"one time step of \d runs, allowed where steps are given one by one"):
        session(deployment, profile=path)
    with session(deployment, profile=replace(path, every=()), knob=1.0) as running:
        assert running.knob == 1.0
    with pytest.raises(InputError, match="found \\(1, 2\\) without front"):
        calibrate(deployment, spikes, labels, profile=DIAL, every=(2,))
    with pytest.raises(InputError, match="every: found 25, allowed is up to the 24 time steps"):
        checked_every((2, 25), STEPS)
    with pytest.raises(InputError, match="found 25 for inputs of 24 time steps"):
        seen(spikes, 25)
    assert checked_every((3, 2, 3), STEPS) == (1, 2, 3)


def test_cycles_are_those_of_the_steps_that_run() -> None:
    pytest.importorskip("unicorn")
    network, spikes, _ = slow()
    deployment = compile(network, "cortex-m4", profile=DIAL)
    path = KnobPath(DIAL, (0.0, 1.0), (0.0, 0.0), every=(1, 3))
    counted = {knob: cycles(deployment, spikes[:, :2], profile=path, knob=knob) for knob in (0.0, 1.0)}
    alone = cycles(deployment, seen(spikes, 3)[:, :2], profile=DIAL)
    assert counted[1.0].per_inference == alone.per_inference
    assert np.isclose(counted[1.0].steps * 3, counted[0.0].steps)
