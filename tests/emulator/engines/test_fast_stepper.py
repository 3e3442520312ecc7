"""Streams on the fast engine: the reference's spikes, membranes and counts at every step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aspen.network.network import Network
from aspen_emulator import session
from aspen_emulator.engines.fast import FastStepper
from aspen_emulator.engines.inputs import thresholds_for
from aspen_emulator.engines.reference import Stepper, run_reference
from tests.emulator.engines.fast_networks import INPUTS, Array, dial_for, input_for, mixed, network_for
from tests.networks import seeds

STEPS, BATCH = 9, 3


def assert_same_stream(network: Network, values: Array, dial: dict[str, Array]) -> None:
    fast, reference = FastStepper(network, values.shape[1]), Stepper(network, values.shape[1])
    record = run_reference(network, values, dial)
    operations = {**record.synaptic_operations, **record.multiply_accumulates}
    for _ in range(2):  # the second time after a reset
        fast.reset()
        reference.reset()
        for t in range(len(values)):
            thresholds = {name: array[min(t, len(array) - 1)] for name, array in dial.items()}
            found, wanted = fast.step(values[t], thresholds), reference.step(values[t], thresholds)
            assert list(found) == list(wanted)
            for name in wanted:
                np.testing.assert_array_equal(found[name], wanted[name])
            output = network.output
            np.testing.assert_array_equal(fast.membranes[output], reference.membranes[output])
            assert fast.membranes[output].dtype == reference.membranes[output].dtype
            events = fast.events()
            assert fast.counted() == events.spikes == {n: count[t].sum() for n, count in record.spikes.items()}
            assert events.operations == {name: count[t].sum() for name, count in operations.items()}
            off = record.off
            for found_off, wanted_off in (
                (events.off, off.neurons), (events.off_active, off.active_updates),
                (events.off_awake, off.awake_updates),
                (events.off_operations, {**off.synaptic_operations, **off.multiply_accumulates}),
            ):  # fmt: skip
                here = {name: count[t].sum() for name, count in wanted_off.items() if count[t].any()}
                assert {name: count for name, count in found_off.items() if count} == here
            for field in ("active", "awake"):
                found_updates = {name: getattr(events, field)[name] for name in network.order}
                wanted_updates = getattr(record, f"{field}_updates").items()
                assert found_updates == {name: count[t].sum() for name, count in wanted_updates}


@settings(max_examples=100)
@given(seeds, st.booleans(), st.booleans(), st.sampled_from(INPUTS))
def test_any_network(seed: int, integer: bool, extreme: bool, kind: str) -> None:
    network = network_for(seed, integer, extreme, kind)
    assert_same_stream(network, input_for(seed, network, STEPS, BATCH), dial_for(seed, network, STEPS, BATCH))


def test_steps_given_out_stay_as_they_were() -> None:
    network = mixed(4, integer=True)
    spikes, dial = input_for(4, network, STEPS, BATCH), dial_for(4, network, 1, BATCH)
    stepper, thresholds = FastStepper(network, BATCH), {name: array[0] for name, array in dial.items()}
    kept, copies = [], []
    for step in spikes:
        kept.append(stepper.step(step, thresholds))
        copies.append({name: raster.copy() for name, raster in kept[-1].items()})
    for now, copy in zip(kept, copies, strict=True):
        for name, raster in copy.items():
            np.testing.assert_array_equal(now[name], raster)


@pytest.mark.parametrize("engine", ["fast", "reference"])
@pytest.mark.parametrize("kind", [np.uint8, np.bool_, np.int64])
def test_a_session_counts_the_spikes(engine: str, kind: type) -> None:
    network = mixed(4, integer=True)
    spikes = input_for(4, network, STEPS, BATCH)
    expected = dict.fromkeys(network.names, 0)
    stepper = Stepper(network, BATCH)
    dial = {name: array[0] for name, array in thresholds_for(network, 1.0, 1, BATCH).items()}
    with session(network, engine=engine, batch=BATCH) as live:
        for step in spikes:
            live.step(step.astype(kind))
            for name, raster in stepper.step(step, dial).items():
                expected[name] += int(raster.sum())
        assert live.spikes == expected


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_a_reset_begins_counts_and_state_anew_and_leaves_the_knob(engine: str) -> None:
    network = mixed(4, integer=True)
    first, second = (input_for(seed, network, STEPS, BATCH) for seed in (4, 5))
    with session(network, 1.25, engine=engine, batch=BATCH) as live, session(
        network, 1.25, engine=engine, batch=BATCH
    ) as fresh:  # fmt: skip
        for step in first:
            live.step(step)
        assert sum(live.spikes.values()) > 0
        live.reset()
        assert live.spikes == dict.fromkeys(network.names, 0)
        assert live.threshold_scale == 1.25
        for step in second:
            np.testing.assert_array_equal(live.step(step), fresh.step(step))
        assert live.spikes == fresh.spikes


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_analog_values_are_no_spikes(engine: str) -> None:
    network = mixed(1, integer=False, kind="values")
    with session(network, engine=engine, batch=BATCH) as live:
        live.step(np.full((BATCH, *network.input.shape), 2.5))
        assert live.spikes["input"] == 0
