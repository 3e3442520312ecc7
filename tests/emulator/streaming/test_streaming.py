"""Streams are counted exactly, on every engine; what a controller decides is done; state goes on to the bit."""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aspen.calibration.early import EarlyStop
from aspen.calibration.storage import CalibrationTable
from aspen.control import Battery, Budget, Decision, Manual, Spent
from aspen.dial.profile import DialProfile
from aspen.network.network import Dense, Lif, Network, Population
from aspen_emulator import run, session
from aspen_emulator.measuring.bench import Bench, measure
from aspen_emulator.measuring.early import ended_early
from aspen_emulator.measuring.tables import make_tables
from aspen_emulator.streaming import Events, Meter, Stream
from aspen_emulator.streaming.watch import Watch
from aspen_hardware import Chip, chip, energy_model
from tests.control_tables import made_table
from tests.networks import fixed_network, float_network, random_spikes

STEPS = 8
Array = np.ndarray[Any, np.dtype[Any]]


def loihi() -> Chip:
    return chip("loihi1")


def recurrent() -> Network:
    """With a delay and a loop."""
    network = float_network(3)
    rng = np.random.default_rng(1)
    weight = np.round(rng.normal(0, 0.3, (8, 8)) * 256) / 256
    loop = Dense("layer1", "layer1", weight, delay=1)
    skip = Dense("input", "layer2", np.round(rng.normal(0, 0.5, (4, 6)) * 256) / 256, delay=2)
    return replace(network, connections=(*network.connections, loop, skip))


def windows_of(spikes: Array) -> Array:
    """(steps, windows, n) as (windows, steps, n)."""
    return spikes.swapaxes(0, 1)


@pytest.mark.parametrize("engine", ["fast", "reference"])
@pytest.mark.parametrize("make", [lambda: float_network(1), lambda: fixed_network(2), recurrent])
def test_a_stream_counts_and_costs_what_a_run_does(make: Callable[[], Network], engine: str) -> None:
    network, spikes = make(), random_spikes(0, STEPS, 12, 6)
    meter = Meter.of(network, loihi(), STEPS)
    with Stream(network, meter, Manual(0.7), engine=engine) as stream:
        found = list(stream.run(windows_of(spikes)))
    record = run(network, spikes, 0.7)
    assert [w.prediction for w in found] == record.predictions.tolist()
    assert [w.hidden_spikes for w in found] == record.hidden_spikes.tolist()
    assert [w.operations for w in found] == record.total_synaptic_operations.tolist()
    for name in network.names:
        assert stream.totals.spikes[name] == record.spikes[name].sum()
    for name in network.order:
        assert stream.totals.active[name] == record.active_updates[name].sum()
        assert stream.totals.awake[name] == record.awake_updates[name].sum()
    for name, operations in record.synaptic_operations.items():
        assert stream.totals.operations[name] == operations.sum()
    wanted = energy_model(record, loihi(), time="step")
    assert wanted.dynamic is not None
    assert wanted.static is not None
    assert stream.dynamic == pytest.approx(wanted.dynamic.typical, rel=1e-9)
    assert stream.static == pytest.approx(wanted.static.typical, rel=1e-9)
    reported = stream.report().dynamic
    assert reported is not None
    assert (reported.low, reported.high) == pytest.approx((wanted.dynamic.low, wanted.dynamic.high), rel=1e-12)
    assert sum(w.dynamic for w in found) == pytest.approx(stream.dynamic, rel=1e-12)


@pytest.mark.lava
@pytest.mark.timeout(120)
def test_a_stream_on_lava_counts_the_same() -> None:
    pytest.importorskip("lava")
    network, spikes = fixed_network(4), random_spikes(1, STEPS, 3, 6)
    meter = Meter.of(network, loihi(), STEPS)
    with Stream(network, meter, _Turning(), engine="lava") as stream:
        on_lava = [replace(w, dynamic=0.0) for w in stream.run(windows_of(spikes))]
        totals = stream.totals
    with Stream(network, meter, _Turning()) as stream:
        assert [replace(w, dynamic=0.0) for w in stream.run(windows_of(spikes))] == on_lava
        assert stream.totals == totals


class _Turning(Manual):
    """Another knob in each window, and every third one skipped."""

    def __init__(self) -> None:
        super().__init__(0.5)

    @property
    def decision(self) -> Decision:
        return Decision(0.5 + 0.25 * self._count, self._count % 3 != 2)


def test_an_analog_input_is_counted_in_multiply_accumulates() -> None:
    network = Network(
        (Population("input", (3,), current=True), Population("out", (2,), Lif(1.0, 0.9))),
        (Dense("input", "out", np.array([[1.0, 0.0, 0.5], [0.5, 1.0, 0.0]])),),
    )
    values = np.random.default_rng(0).normal(size=(STEPS, 5, 3))
    values[:, :, 1] = 0
    record = run(network, values)
    with Stream(network, Meter.of(network, loihi(), STEPS), Manual(1.0)) as stream:
        found = list(stream.run(values.swapaxes(0, 1)))
    assert stream.totals.operations == {name: n.sum() for name, n in record.multiply_accumulates.items()}
    assert {w.input_spikes for w in found} == {0}
    assert [w.prediction for w in found] == record.predictions.tolist()


def test_skipped_windows_cost_static_power_only_and_keep_the_answer() -> None:
    network, spikes = float_network(1), random_spikes(0, STEPS, 9, 6)
    meter = Meter.of(network, loihi(), STEPS)
    with Stream(network, meter, _Turning()) as stream:
        found = list(stream.run(windows_of(spikes)))
    assert [w.ran for w in found] == [True, True, False] * 3
    for before, skipped in zip(found[1::3], found[2::3], strict=True):
        assert (skipped.dynamic, skipped.steps, skipped.hidden_spikes, skipped.margin) == (0.0, 0, 0, None)
        assert skipped.static == before.static > 0
        assert skipped.prediction == before.prediction
    assert (stream.windows, stream.skipped, stream.totals.steps) == (9, 3, 6 * STEPS)
    whole = run(network, spikes[:, [0, 1]], np.array([[0.5, 0.75]]))
    assert [w.hidden_spikes for w in found[:2]] == whole.hidden_spikes.tolist()


def test_a_dial_profile_is_turned() -> None:
    network, spikes = float_network(1), random_spikes(0, STEPS, 4, 6)
    profile = DialProfile({"layer1": np.linspace(0.5, 2.0, 8)})
    meter = Meter.of(network, loihi(), STEPS)
    with Stream(network, meter, Manual(0.6), profile=profile) as stream:
        found = list(stream.run(windows_of(spikes)))
    assert [w.hidden_spikes for w in found] == run(network, spikes, profile.scale(0.6)).hidden_spikes.tolist()


def test_inferences_end_early_as_they_do_in_a_sweep() -> None:
    network, spikes = float_network(2), random_spikes(3, STEPS, 20, 6)
    stop = EarlyStop(2.0, 0.0, (1.0,), (0.2,), "spikes", STEPS, 0.01)
    record = run(network, spikes)
    scores = record.output.cumsum(axis=0, dtype=np.int64).reshape(STEPS, 20, -1)
    taken = stop.stops(scores, 1.0)
    assert 1 <= taken.min() < taken.max()
    with Stream(network, Meter.of(network, loihi(), STEPS), Manual(1.0), early=stop) as stream:
        found = list(stream.run(windows_of(spikes)))
    assert [w.steps for w in found] == taken.tolist()
    assert [w.prediction for w in found] == scores[taken - 1, np.arange(20)].argmax(axis=1).tolist()
    wanted = energy_model(ended_early(record, taken), loihi())
    assert wanted.dynamic is not None
    assert stream.dynamic == pytest.approx(wanted.dynamic.typical, rel=1e-9)


def test_two_streams_can_use_one_early_end_side_by_side() -> None:
    network, spikes = float_network(2), random_spikes(3, STEPS, 4, 6)
    stop = EarlyStop(2.0, 0.0, (1.0,), (0.2,), "spikes", STEPS, 0.01)
    meter = Meter.of(network, loihi(), STEPS)
    with Stream(network, meter, Manual(1.0), early=stop) as stream:
        alone = list(stream.run(windows_of(spikes)))
    found = []
    with (
        Stream(network, meter, Manual(1.0), early=stop) as one,
        Stream(network, meter, Manual(1.0), early=stop) as silent,
    ):
        for step in (step for window in windows_of(spikes) for step in window):
            found.append(one.step(step))
            silent.step(np.zeros_like(step))
    assert len({window.steps for window in alone}) > 1
    assert [window for window in found if window is not None] == alone


class _Limited(Manual):
    def __init__(self, limit: float) -> None:
        super().__init__(1.0)
        self.limit = limit

    @property
    def decision(self) -> Decision:
        return Decision(1.0, True, self.limit)


@settings(max_examples=15, deadline=None)
@given(st.floats(0.0, 3e-8))
def test_no_window_takes_more_than_its_limit(limit: float) -> None:
    network, spikes = float_network(1), random_spikes(5, STEPS, 10, 6, density=1.0)
    meter = Meter.of(network, loihi(), STEPS)
    with Stream(network, meter, _Limited(limit)) as stream:
        found = list(stream.run(windows_of(spikes)))
    assert all(w.dynamic <= limit for w in found)
    assert all(w.cut == (w.steps < STEPS) for w in found)
    assert stream.cut == sum(w.cut for w in found)


def test_no_step_costs_more_than_the_worst_one() -> None:
    network = recurrent()
    meter = Meter.of(network, loihi(), 1)
    with Stream(network, meter, Manual(0.01)) as stream:
        found = list(stream.run(np.ones((20, 1, 6), np.uint8)))
    assert 0.3 * meter.worst_step < max(w.dynamic for w in found) <= meter.worst_step


def bench(network: Network) -> tuple[CalibrationTable, Array]:
    spikes = random_spikes(7, STEPS, 40, 6)
    labels = run(network, spikes).predictions
    measuring = Bench(network, [spikes], labels, [loihi()])
    (table,) = make_tables(measuring, measure(measuring, [0.5, 1.0, 1.5, 2.5, 4.0]), "random spikes")
    return table, spikes


def controllers(table: CalibrationTable, meter: Meter, share: float = 0.8) -> dict[str, Any]:
    watts = share * table.best.dynamic_nj * 1e-9 / meter.window_seconds  # type: ignore[operator]
    static = meter.static_watts
    budget = Budget(table, watts + static, meter.window_seconds, meter.worst_step, static_watts=static)
    capacity = (watts + static) * 60 * meter.window_seconds
    battery = Battery(
        table, capacity, 60 * meter.window_seconds, meter.window_seconds, meter.worst_step, static_watts=static
    )
    return {"budget": budget, "battery": battery, "manual": Manual(1.2, 0.5)}


@pytest.mark.parametrize("name", ["budget", "battery", "manual"])
@pytest.mark.parametrize("stop", [0, 1, 17, 40])
def test_stopped_and_resumed_is_as_uninterrupted(name: str, stop: int) -> None:
    network = float_network(6)
    table, spikes = bench(network)
    meter = Meter.of(network, loihi(), STEPS)
    windows = windows_of(spikes)

    def opened() -> Stream:
        return Stream(network, meter, controllers(table, meter)[name], table=table)

    with opened() as whole, opened() as first, opened() as second:
        wanted = list(whole.run(windows))
        found = list(first.run(windows[:stop]))
        second.load_state_dict(json.loads(json.dumps(first.state_dict())))
        found += list(second.run(windows[stop:]))
        assert found == wanted
        assert second.state_dict() == whole.state_dict()


def test_many_steps_take_constant_memory_and_the_account_does_not_drift() -> None:
    network = fixed_network(8)
    table, _ = bench(float_network(6))
    meter = Meter.of(network, loihi(), STEPS)
    spikes = random_spikes(9, STEPS, 250, 6)
    counted, joules, memory = Events.none(network), 0.0, []
    with Stream(network, meter, controllers(table, meter, 0.3)["budget"], table=table) as stream:
        for turn in range(14):
            if turn == 8:  # before, only what Python and NumPy keep for later fills up, at a third of the time untraced
                tracemalloc.start()
            found = list(stream.run(windows_of(spikes)))
            joules += sum(w.dynamic for w in found)
            counted.add(recounted(network, spikes, found))
            del found
            gc.collect()  # Python's lists of free tuples too, which fill up to thousands
            memory.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    assert stream.totals == counted
    assert 0 < stream.skipped < stream.windows == 3500
    assert stream.dynamic == pytest.approx(joules, rel=1e-12)
    assert max(memory[10:]) - memory[9] < 20_000


def recounted(network: Network, spikes: Array, found: list[Any]) -> Events:
    """What a run counts of the windows (steps, windows, n) that a stream has run."""
    ran = [i for i, window in enumerate(found) if window.steps]
    knobs = np.array([[found[i].knob for i in ran]])
    record = run(network, spikes[:, ran], knobs)
    return _events(ended_early(record, np.array([found[i].steps for i in ran])))


def _events(record: Any) -> Events:
    return Events(
        record.steps * record.batch,
        {name: int(n.sum()) for name, n in record.spikes.items()},
        {name: int(n.sum()) for name, n in record.active_updates.items()},
        {name: int(n.sum()) for name, n in record.awake_updates.items()},
        {name: int(n.sum()) for name, n in record.synaptic_operations.items()},
    )


def test_unusual_input_is_reported() -> None:
    network = float_network(6)
    table, _ = bench(network)
    meter = Meter.of(network, loihi(), STEPS)
    usual, dense = random_spikes(11, STEPS, 20, 6, density=0.4), np.ones((STEPS, 5, 6), np.uint8)
    points = [
        replace(p, synaptic_operations=1.1 * p.synaptic_operations / 30, hidden_synaptic_operations=0.1)
        for p in table.points
    ]
    quiet = replace(table, points=tuple(points))
    with Stream(network, meter, Manual(1.0), table=table) as stream:
        assert not any(w.alarm for w in stream.run(windows_of(usual)))
    with Stream(network, meter, Manual(1.0), table=quiet) as stream:
        found = list(stream.run(windows_of(dense)))
    assert all(w.alarm == "input denser than calibrated and more activity than calibrated" for w in found)
    assert stream.alarms == 5


@pytest.mark.parametrize(
    ("given", "behind", "alarm"),
    [
        (24, 0, ""),
        (25, 0, "input denser than calibrated"),
        (24, 96, ""),
        (24, 97, "more activity than calibrated"),
        (25, 97, "input denser than calibrated and more activity than calibrated"),
    ],
)
def test_a_window_is_unusual_beyond_3_times_the_calibrated_operations(given: int, behind: int, alarm: str) -> None:
    """At the knob of the one point: 8 operations of the input and 32 behind it in 8 steps."""
    network = float_network(1)
    point = replace(made_table().best, knob=1.0, synaptic_operations=40.0, hidden_synaptic_operations=32.0)
    watch = Watch(made_table("scale", points=(point,), steps=STEPS), Meter.of(network, loihi(), STEPS))
    first, second = network.connections
    events = Events.none(network)
    events.steps = STEPS
    events.operations |= {first.name: given, second.name: behind}
    assert watch(1.0, events) == alarm
    assert watch.mean == pytest.approx(1 + 0.1 * (min(behind / 32, 3.0) - 1))


def test_a_while_of_more_activity_is_unusual_where_no_window_is() -> None:
    network = float_network(1)
    point = replace(made_table().best, knob=1.0, synaptic_operations=40.0, hidden_synaptic_operations=32.0)
    watch = Watch(made_table("scale", points=(point,), steps=STEPS), Meter.of(network, loihi(), STEPS))
    events = Events.none(network)
    events.steps = STEPS
    events.operations |= {network.connections[1].name: 64}  # twice the usual: 1.75 is reached after 14 windows
    found = [watch(1.0, events) for _ in range(20)]
    assert found == [""] * 13 + ["more activity than calibrated for a while"] * 7


def test_sessions_say_what_a_step_counted() -> None:
    network = float_network(1)
    with session(network) as fast, session(network, engine="reference") as reference:
        given = np.ones((1, 6), np.uint8)
        fast.step(given)
        reference.step(given)
        assert reference.events is None
        assert fast.events is not None
        for name in network.names:
            np.testing.assert_array_equal(fast.rasters[name], reference.rasters[name])
            assert fast.events.spikes[name] == reference.rasters[name].sum()
        assert fast.depths == reference.depths == dict.fromkeys(network.names, 0)


def test_a_controller_hears_what_a_window_cost() -> None:
    class Listening(Manual):
        heard: list[Spent]

        def update(self, spent: Spent) -> Decision:
            self.heard.append(spent)
            return super().update(spent)

    controller = Listening(1.0)
    controller.heard = []
    network = float_network(1)
    with Stream(network, Meter.of(network, loihi(), STEPS, 0.02), controller) as stream:
        found = list(stream.run(windows_of(random_spikes(0, STEPS, 3, 6))))
    assert [s.dynamic for s in controller.heard] == [w.dynamic for w in found]
    assert [s.seconds for s in controller.heard] == pytest.approx([STEPS * 0.02] * 3)
    assert [s.margin for s in controller.heard] == [w.margin for w in found]


def test_the_margin_is_the_calibrated_confidence_where_there_is_one() -> None:
    network = float_network(6)
    spikes = random_spikes(7, STEPS, 40, 6)
    measuring = Bench(network, [spikes], run(network, spikes).predictions, [loihi()])
    (table,) = make_tables(measuring, measure(measuring, [0.5, 1.0]), "random spikes", max_loss=0.2)
    assert table.early is not None
    with Stream(network, Meter.of(network, loihi(), STEPS), Manual(1.0), table=table) as stream:
        found = list(stream.run(windows_of(spikes)))
    wanted = 1 - table.early.doubt(run(network, spikes).scores, STEPS)
    assert [w.margin for w in found] == pytest.approx(wanted.tolist())
