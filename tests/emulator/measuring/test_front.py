"""A knob along the front: measured, and the same wherever it is turned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aspen._base.arrays import Array
from aspen.calibration.early import scores_over_time
from aspen.calibration.table import CalibrationTable
from aspen.control.budget import Budget
from aspen.control.fixed import FixedBudget
from aspen.dial.profile import DialProfile
from aspen.errors import InputError
from aspen.network.network import Dense, Lif, Network, Population
from aspen_emulator import calibrate, run, session, stream, sweep
from aspen_emulator.measuring.bench import Bench, dial_knobs, measure
from aspen_emulator.measuring.early import cut_short, ended_early, energy_early
from aspen_emulator.streaming.meter import Meter
from aspen_hardware import chip, compile, energy_model
from aspen_hardware.compiling.deployment import Deployment

DIAL = DialProfile({"hidden": 1.2})
STEPS, SAMPLES, CLASSES = 12, 300, 3


def noisy(readout: str = "spikes") -> tuple[Network, Array, Array]:
    """A network whose answer gets surer with time, with samples and labels."""
    rng = np.random.default_rng(0)
    lif = Lif(threshold=1.0, beta=0.9)
    layers = Population("input", (9,)), Population("hidden", (18,), lif), Population("output", (CLASSES,), lif)
    group = np.repeat(np.eye(CLASSES), 3, axis=1)  # three inputs and six hidden neurons for each class
    first = 0.7 * np.repeat(group, 6, axis=0) + rng.normal(0, 0.05, (18, 9))
    last = 0.5 * np.repeat(np.eye(CLASSES), 6, axis=1)
    network = Network(layers, (Dense("input", "hidden", first), Dense("hidden", "output", last)), readout=readout)
    labels = rng.integers(0, CLASSES, SAMPLES)
    rate = 0.12 + 0.25 * group[labels]
    return network, (rng.random((STEPS, SAMPLES, 9)) < rate).astype(np.uint8), labels


@pytest.fixture(scope="module")
def measured() -> tuple[Deployment, Array, Array, CalibrationTable]:
    network, spikes, labels = noisy()
    deployment = compile(network, "loihi1", profile=DIAL)
    return deployment, spikes, labels, calibrate(deployment, spikes, labels, profile=DIAL, front=True, dynamic=True)


def test_each_stop_costs_and_gives_what_its_knob_does(
    measured: tuple[Deployment, Array, Array, CalibrationTable],
) -> None:
    deployment, spikes, labels, table = measured
    assert len(table.points) > 4
    assert table.early is not None
    path = table.along(deployment.network, DIAL)
    bench = Bench(deployment, [spikes], labels, [chip("loihi1")], profile=path)
    again = measure(bench, [point.knob for point in table.points], early=table.early)
    for stop, found in zip(table.points, again.points["loihi1"], strict=True):  # a dial's 0.1 is setting 6554 of 65535
        assert found.accuracy == pytest.approx(stop.accuracy, abs=0.011)
        assert found.dynamic_nj == pytest.approx(stop.dynamic_nj, rel=0.02)
    assert again.taken == pytest.approx([each.steps for each in table.early_points], rel=0.02)
    assert again.taken == sorted(again.taken)


def test_a_stream_a_session_and_a_run_stand_at_the_same_thresholds(
    measured: tuple[Deployment, Array, Array, CalibrationTable],
) -> None:
    deployment, spikes, _, table = measured
    assert table.early is not None
    path, knob = table.along(deployment.network, DIAL), table.points[len(table.points) // 2].knob
    record = run(deployment, spikes[:, :20], path.scale(knob))
    taken = table.early.stops(scores_over_time(record), knob)
    short = cut_short(record, taken)
    for engine in ("fast", "reference"):
        with stream(deployment, table, knob=knob, profile=DIAL, engine=engine) as running:
            windows = list(running.run(spikes[:, :20].swapaxes(0, 1)))
            assert running.report().dynamic is not None
        assert [window.steps for window in windows] == taken.tolist()
        assert [window.prediction for window in windows] == short.predictions.tolist()
        assert [window.hidden_spikes for window in windows] == short.hidden_spikes.tolist()
        assert not any(window.alarm for window in windows)
    report = energy_early(record, taken, chip("loihi1"), deployment.placement, time="step")
    assert report.samples == 20
    assert report.per_inference.dynamic is not None
    assert report.per_inference.dynamic.typical == pytest.approx(np.mean([window.dynamic for window in windows]))
    assert any("inferences end early" in line for line in report.assumed)
    with session(deployment, profile=path, knob=knob) as live:
        assert live.knob == knob
        live.step(spikes[0, :1])
        live.knob = 1.0
        np.testing.assert_array_equal(live.threshold_scale["hidden"], path.scale(1.0)["hidden"])  # type: ignore[index,call-overload]
    with pytest.raises(InputError, match="profile: found none for the table front@loihi1"):
        stream(deployment, table, knob=0.5)


def test_controllers_turn_the_knob_of_a_front(measured: tuple[Deployment, Array, Array, CalibrationTable]) -> None:
    deployment, spikes, labels, table = measured
    windows = spikes.swapaxes(0, 1)
    middle = table.dynamic_nj(0.6)
    budgeted = f"{middle}nJ/window"
    with stream(deployment, table, budget=budgeted, dynamic=True, profile=DIAL, window_seconds=4.0) as running:
        done = list(running.run(windows))
        assert running.skipped == 0
        spent = [window.dynamic for window in done]
        assert np.mean(spent[100:]) * 1e9 == pytest.approx(middle, rel=0.05)
        right = np.mean([w.prediction == label for w, label in zip(done, labels, strict=True)])
        assert right > table.cheapest.accuracy
    assert all(0.0 <= window.knob <= 1.0 for window in done)
    meter = Meter.of(deployment, chip("loihi1"), STEPS)
    budget = Budget(table, middle * 1e-9 / meter.window_seconds, meter.window_seconds, meter.worst_step)
    fixed = FixedBudget(budget, profile=table.along(deployment.network, DIAL))
    assert (fixed.numbers.low, fixed.numbers.high, fixed.numbers.first) == (0, 65535, 0)
    with pytest.raises(InputError, match="allowed is with its path"):
        FixedBudget(budget, profile=DIAL)


@pytest.mark.parametrize("readout", ["spikes", "membrane", "membrane-last", "membrane-max"])
def test_a_run_that_is_cut_short_answers_as_it_stood(readout: str) -> None:
    network, spikes, labels = noisy(readout)
    record = run(network, spikes[:, :50], record="membranes")
    taken = np.random.default_rng(1).integers(1, STEPS + 1, 50)
    short = cut_short(record, taken)
    scores = scores_over_time(record)[taken - 1, np.arange(50)]
    np.testing.assert_allclose(short.scores, scores)
    for name, counts in short.spikes.items():
        for sample, steps in enumerate(taken):
            assert counts[:, sample].sum() == record.spikes[name][:steps, sample].sum()
    assert len(labels) == SAMPLES


@pytest.mark.parametrize("knobs", [0.4, [0.1, 0.4, 0.9]])
def test_what_was_off_is_cut_short_too(knobs: float | list[float]) -> None:
    """As many runs, each of as many steps: one after the other, and beside each other."""
    network, spikes, _ = noisy()
    nested = DialProfile({"hidden": 0.5}, on_until={"hidden": np.repeat([0.2, 0.5, np.inf], 6)})
    deployment = compile(network, "cortex-m4", profile=nested)
    each = np.resize(knobs, 3)
    scale = nested.scale(each[0]) if isinstance(knobs, float) else {
        "hidden": np.concatenate([nested.scale(knob)["hidden"] for knob in each], axis=1)
    }  # fmt: skip
    record, taken = run(deployment, spikes[:, :3], scale), np.array([3, 12, 7])
    alone = [run(deployment, spikes[:steps, k, None], nested.scale(each[k])) for k, steps in enumerate(taken)]
    ended, short, on = ended_early(record, taken), cut_short(record, taken), chip("cortex-m4")
    for name in ("neurons", "active_updates", "awake_updates", "synaptic_operations"):
        for where, counts in getattr(record.off, name).items():
            wanted = [getattr(one.off, name)[where].sum() for one in alone if where in getattr(one.off, name)]
            assert getattr(ended.off, name)[where].sum() == getattr(short.off, name)[where].sum() == sum(wanted)
            assert counts.sum() > sum(wanted) > 0
    spent = [energy_model(one, on, step_time=0.01).dynamic for one in alone]
    found = energy_model(ended, on, step_time=0.01).dynamic
    assert found is not None
    assert found.typical == pytest.approx(sum(one.typical for one in spent if one is not None))


def test_the_dial_alone_and_what_does_not_go_together() -> None:
    network, spikes, labels = noisy()
    with pytest.raises(InputError, match="max_loss: found it beside front"):
        calibrate(network, spikes, labels, front=True, max_loss=0.01)
    with pytest.raises(InputError, match="dynamic: found True without front"):
        calibrate(network, spikes, labels, dynamic=True)
    with pytest.raises(InputError, match="found 2 samples, allowed are 200"):
        calibrate(network, spikes[:, :2], labels[:2], max_loss=0.005, progress=pytest.fail)  # before any knob
    table = calibrate(network, spikes, labels, (1.0, 1.5), front=True)  # on no chip, threshold scales
    assert (table.chip, table.turns, table.has_energy) == (None, "scale", False)
    path = table.along(network)
    points = sweep(network, spikes, labels, [0.0, 1.0], profile=path)  # type: ignore[arg-type]
    assert points[0].hidden_spikes >= points[1].hidden_spikes


def test_knobs_at_which_neurons_go_off_are_measured() -> None:
    nested = DialProfile({"hidden": 0.5}, on_until={"hidden": np.repeat([0.25, 0.5, np.inf], 6)})
    knobs = dial_knobs(nested)
    assert len(knobs) == 13
    for end in (0.25, 0.5):
        after = min(knob for knob in knobs if knob > end)
        assert after - end < 2e-5
        assert np.isinf(nested.scale(after)["hidden"]).sum() > np.isinf(nested.scale(end)["hidden"]).sum()
    each = replace(nested, on_until={"hidden": np.linspace(0, 1, 18)})
    assert dial_knobs(each) == dial_knobs(None) == dial_knobs(DIAL)
