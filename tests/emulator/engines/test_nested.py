"""Neurons that a dial switches off: silent in every engine, in floats and in integers, and back when it turns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from aspen.dial.profile import DialProfile
from aspen.errors import ChipError
from aspen.network.network import Network
from aspen.network.neurons import FixedLif
from aspen_emulator import run, session, sweep
from aspen_hardware import compile, to_c
from tests.networks import fixed_network, float_network, random_spikes, resets, seeds

UNTIL = np.array([np.inf, 0.5, 0.5, 0.25, 0.0, 1.0, 2.0, np.inf])
NESTED = DialProfile({"layer1": 0.3}, on_until={"layer1": UNTIL})
OFF = UNTIL < 0.6


def severed(network: Network) -> Network:
    """The same network, whose neurons that are off at 0.6 reach nobody."""
    weight = network.connections[1].weight.copy()
    weight[:, OFF] = 0
    cut = replace(network.connections[1], weight=weight)  # type: ignore[type-var]
    return replace(network, connections=(network.connections[0], cut, *network.summed[2:]))


@settings(max_examples=20, deadline=None)
@given(seeds, resets)
def test_who_is_off_is_as_if_not_there(seed: int, reset: str) -> None:
    spikes = random_spikes(seed, 10, 3, 6)
    for network in (float_network(seed, reset=reset), fixed_network(seed, reset=reset)):
        slow = NESTED if network.is_integer is False else replace(NESTED, slopes={"layer1": 0.0})
        scale = slow.scale(0.6)
        found = [run(network, spikes, scale, engine=engine, record="spikes") for engine in ("reference", "fast")]
        others = {"layer1": np.where(np.isinf(scale["layer1"]), 1.0, scale["layer1"])}
        alone = run(severed(network), spikes, others, engine="reference", record="spikes")
        for record in found:
            np.testing.assert_array_equal(record.rasters["layer1"], found[0].rasters["layer1"])
            np.testing.assert_array_equal(record.rasters["layer2"], found[0].rasters["layer2"])
        assert not found[0].rasters["layer1"][..., OFF].any()
        np.testing.assert_array_equal(found[0].rasters["layer1"][..., ~OFF], alone.rasters["layer1"][..., ~OFF])
        np.testing.assert_array_equal(found[0].rasters["layer2"], alone.rasters["layer2"])


def test_a_session_switches_them_off_and_on() -> None:
    spikes = random_spikes(1, 30, 2, 6, 0.8)
    for network in (float_network(1), compile(float_network(1), "loihi1", profile=NESTED)):
        knobs = np.repeat([0.0, 1.0, 0.0], 10)
        table = np.concatenate([NESTED.scale(knob)["layer1"] for knob in knobs])
        whole = run(network, spikes, {"layer1": table}, record="spikes").rasters["layer1"]
        with session(network, profile=NESTED, batch=2) as running:
            for step, knob, wanted in zip(spikes, knobs, whole, strict=True):
                running.knob = float(knob)
                running.step(step)
                np.testing.assert_array_equal(running.rasters["layer1"], wanted)
        assert whole[10:20][..., OFF].sum() == 0
        assert whole[:10][..., OFF].sum() > 0 < whole[20:][..., OFF].sum()


def test_in_integers_their_threshold_is_the_largest_that_there_is() -> None:
    deployment = compile(float_network(1), "loihi1", profile=NESTED)
    with session(deployment, profile=NESTED, knob=1.0) as running:
        thresholds = running.thresholds["layer1"].reshape(-1)
    assert (thresholds[OFF] == FixedLif.MAX_THRESHOLD << FixedLif.SHIFT).all()
    assert (thresholds[~OFF] < FixedLif.MAX_THRESHOLD << FixedLif.SHIFT).all()


def test_compiling_says_who_is_not_proven_to_be_out_of_reach() -> None:
    network = float_network(1)
    assert not [w for w in compile(network, "loihi1", profile=NESTED).warnings if "proven" in w]
    populations = tuple(
        p if p.neuron is None else replace(p, neuron=replace(p.neuron, beta=np.ones(()))) for p in network.populations
    )
    keeping = replace(network, populations=populations)  # what never leaks grows without a bound
    warnings = [w for w in compile(keeping, "loihi1", profile=NESTED).warnings if "proven" in w]
    assert len(warnings) == 1
    assert warnings[0].startswith("layer1: 4 of 4 neurons that the dial switches off are not proven to be out of reach")
    assert not [w for w in compile(keeping, "loihi1", profile=DialProfile({"layer1": 0.3})).warnings if "proven" in w]


def test_a_sweep_turns_them_off_and_c_refuses_them_by_name() -> None:
    deployment = compile(float_network(1), "loihi1", profile=NESTED)
    spikes = random_spikes(1, 20, 6, 6, 0.8)
    accurate, frugal = sweep(deployment, spikes, np.zeros(6, np.int64), [0.0, 1.0], profile=NESTED)
    assert accurate.hidden_spikes > frugal.hidden_spikes
    with pytest.raises(
        ChipError, match=r"a dial that switches neurons off \(on_until\), allowed in C is one that moves"
    ):
        to_c(deployment, "/nonexistent", profile=NESTED)
