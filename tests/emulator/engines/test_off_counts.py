"""What falls on neurons that are off is counted, and alike by all engines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from aspen.dial.profile import DialProfile
from aspen.errors import InputError
from aspen.network.off import Off
from aspen.network.record import Record, check_counts, part_of, rows_by_off
from aspen_emulator import run, session
from aspen_emulator.engines.fast import run_dials
from aspen_emulator.engines.inputs import check_input, thresholds_for
from aspen_emulator.engines.replay import record_from_rasters
from aspen_emulator.streaming.counting import Events, Tally
from tests.emulator.engines.fast_networks import INPUTS, input_for, network_for
from tests.emulator.engines.off_networks import PARTS, gated, nested_scales, same
from tests.networks import fixed_network, float_network, random_spikes, seeds


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_the_reference_the_fast_engine_and_a_replay_count_alike(seed: int) -> None:
    network = gated(network_for(seed, integer=bool(seed % 5), kind=INPUTS[seed % len(INPUTS)]), seed)
    steps, batch = 6, 3
    spikes = check_input(network, input_for(seed, network, steps, batch))
    scales = [nested_scales(seed + more, network, steps, batch) for more in range(2)]
    dials = [thresholds_for(network, scale, steps, batch) for scale in scales]
    for scale, dial, fast in zip(scales, dials, run_dials(network, spikes, dials), strict=True):
        record = run(network, input_for(seed, network, steps, batch), scale, engine="reference", record="spikes")
        same(fast.off, record.off)
        current = spikes if network.input.neuron is not None else None
        same(record_from_rasters(network, record.rasters, "again", thresholds=dial, current=current).off, record.off)
        check_counts(record)


@pytest.mark.parametrize("make", [float_network, fixed_network])
def test_a_session_counts_the_same_step_by_step(make: type) -> None:
    network, steps, batch = make(3), 8, 2
    spikes = random_spikes(3, steps, batch, 6, 0.7)
    out = np.random.default_rng(3).random((steps, batch, 8)) < 0.4
    out[5, 1] = False  # nobody, where somebody was the step before
    scale = {"layer1": np.where(out, np.inf, 1.0)}
    whole = run(network, spikes, scale, engine="reference")
    wanted = whole.off
    assert all(getattr(wanted, part) for part in PARTS[:-1])
    with session(network, batch=batch) as running:
        for step, given_ in enumerate(spikes):
            running.threshold_scale = {"layer1": scale["layer1"][None, step]}
            running.step(given_)
            events = running.events
            assert events is not None
            found = events.off, events.off_active, events.off_awake, events.off_operations
            for counts, part in zip(found, PARTS, strict=False):
                everyone = {name: int(each[step].sum()) for name, each in getattr(wanted, part).items()}
                assert {name: counts.get(name, 0) for name in everyone} == everyone
            assert set(events.off_rows) <= set(wanted.synaptic_operations)
            for connection in network.summed:
                rows = np.zeros(network[connection.target].size + 1, np.int64)
                for off, count in events.off_rows.get(connection.name, []):
                    rows[off] += count
                now = part_of(whole, lambda counts, now=step: {n: c[[now]] for n, c in counts.items()}, {}, {})
                np.testing.assert_array_equal(rows, rows_by_off(now, connection))


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_a_stream_adds_up_what_fell_on_them(engine: str) -> None:
    """Windows at knobs of their own, as totals: those of the runs; and what was before is taken up again."""
    network, total = float_network(4), Events.none(float_network(4))
    profile = DialProfile({"layer1": 0.3}, on_until={"layer1": np.array([np.inf, 0.5, 0.5, 0.2, 0.0, 1.0, 0.1, 0.9])})
    spikes = random_spikes(4, 12, 1, 6, 0.7)
    records = []
    with session(network, profile=profile, engine=engine) as running:
        tally = Tally(running)
        for knob in (0.0, 0.6, 0.3):
            running.knob = knob
            running.reset()
            tally.start()
            for step in spikes:
                running.step(step)
                tally.step(len(spikes))
            total.add(tally.window)
            records.append(run(network, spikes, profile.scale(knob), engine="reference"))
    again = Events.from_dict(total.to_dict(), network).record(network)
    for connection in network.summed:
        rows = np.sum([rows_by_off(record, connection) for record in records], axis=0)
        np.testing.assert_array_equal(rows_by_off(again, connection), rows)
        assert rows.any() == (connection.target == "layer1")
    for part in PARTS[:-1]:
        names = {name for record in records for name in getattr(record.off, part)}
        wanted = {name: sum(int(getattr(r.off, part).get(name, np.zeros(1)).sum()) for r in records) for name in names}
        assert {name: int(counts.sum()) for name, counts in getattr(again.off, part).items()} == wanted
    check_counts(again)
    more = replace(again.off, rows={"input->layer1": np.full(9, 10**6)})
    with pytest.raises(InputError, match="found rows of input->layer1 by how many neurons were off"):
        check_counts(replace(again, off=more))
    before = {part: counts for part, counts in total.to_dict().items() if not part.startswith("off")}
    assert not Events.from_dict(before, network).record(network).off.neurons


def test_nobody_is_off_where_thresholds_only_move() -> None:
    for network in (float_network(1), fixed_network(1)):
        for engine in ("reference", "fast"):
            same(run(network, random_spikes(1, 5, 2, 6), 1.5, engine=engine).off, Off())


@pytest.mark.parametrize(
    ("part", "name", "value", "found"),
    [
        ("neurons", "layer1", 9, "neurons of layer1 that were off: 9 to 9"),
        ("neurons", "input", 1, "neurons of input that were off, allowed are those of layer1, layer2"),
        ("active_updates", "layer1", 8, "active_updates of layer1 on neurons that were off beyond the count itself"),
        ("synaptic_operations", "input->layer1", -1, "synaptic_operations of input->layer1 on neurons that were off"),
    ],
)
def test_more_than_there_is_cannot_have_fallen_on_them(part: str, name: str, value: int, found: str) -> None:
    record = run(float_network(1), random_spikes(1, 5, 2, 6, 0.2))
    wrong: Record = replace(record, off=Off(**{part: {name: np.full((5, 2), value)}}))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=found):
        check_counts(wrong)
