"""Streams on the fast engine: the reference's spikes, membranes and counts at every step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aspen.network import Network
from aspen_emulator import session
from aspen_emulator.fast import FastStepper
from aspen_emulator.inputs import thresholds_for
from aspen_emulator.reference import Stepper
from tests.fast_networks import Array, convolutional, dial_for, mixed, spikes_for
from tests.networks import seeds
from tests.test_fast import analog_network, current_network

STEPS, BATCH = 9, 3


def assert_same_stream(network: Network, values: Array, dial: dict[str, Array]) -> None:
    fast, reference = FastStepper(network, values.shape[1]), Stepper(network, values.shape[1])
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


@settings(max_examples=60)
@given(seeds, st.booleans(), st.booleans())
def test_any_network(seed: int, integer: bool, extreme: bool) -> None:
    network = (convolutional if seed % 3 == 0 else mixed)(seed, integer, extreme)
    assert_same_stream(network, spikes_for(seed, network, STEPS, BATCH), dial_for(seed, network, STEPS, BATCH))


@settings(max_examples=20)
@given(seeds, st.booleans(), st.booleans())
def test_a_current_into_neurons(seed: int, integer: bool, loop: bool) -> None:
    network = current_network(seed, integer, loop)
    current = np.random.default_rng(seed).integers(-900, 900, (STEPS, BATCH, *network.input.shape))
    assert_same_stream(network, current if integer else current / 64, dial_for(seed, network, STEPS, BATCH))


@settings(max_examples=20)
@given(seeds)
def test_analog_values(seed: int) -> None:
    network = analog_network(seed)
    values = np.random.default_rng(seed).integers(-64, 64, (STEPS, BATCH, 4)) / 32
    assert_same_stream(network, values, dial_for(seed, network, STEPS, BATCH))


def test_steps_given_out_stay_as_they_were() -> None:
    network = mixed(4, integer=True)
    spikes, dial = spikes_for(4, network, STEPS, BATCH), dial_for(4, network, 1, BATCH)
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
    spikes = spikes_for(4, network, STEPS, BATCH)
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
def test_analog_values_are_no_spikes(engine: str) -> None:
    network = analog_network(1)
    with session(network, engine=engine, batch=BATCH) as live:
        live.step(np.full((BATCH, 4), 2.5))
        assert live.spikes["in"] == 0
