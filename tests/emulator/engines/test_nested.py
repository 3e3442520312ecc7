"""Neurons that a dial switches off: silent in every engine, in floats and in integers, and back when it turns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import given, settings

from aspen.dial.profile import DialProfile
from aspen.network.files import network_from_section, network_to_section
from aspen.network.network import Dense, Network, Population
from aspen.network.neurons import FixedLif
from aspen_emulator import run, session, sweep
from aspen_hardware import compile, load_deployment, store_deployment
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


@settings(max_examples=15, deadline=None)
@given(seeds, resets)
def test_where_a_chip_leaves_them_out_they_never_fire_in_any_engine(seed: int, reset: str) -> None:
    network = fixed_network(seed, reset=reset, extreme=True)
    leaving_out = replace(
        network,
        populations=tuple(
            p if p.neuron is None else replace(p, neuron=replace(p.neuron, gated=True)) for p in network.populations
        ),
    )
    spikes = random_spikes(seed, 12, 3, 6, 0.9)
    scale = {"layer1": np.where(OFF, np.inf, 1.0)[None, None]}
    records = [run(leaving_out, spikes, scale, engine=engine, record="membranes") for engine in ("reference", "fast")]
    for record in records:
        assert not record.rasters["layer1"][..., OFF].any()
        np.testing.assert_array_equal(record.rasters["layer2"], records[0].rasters["layer2"])
        for name, membranes in record.membranes.items():
            np.testing.assert_array_equal(membranes, records[0].membranes[name])


def test_only_out_of_reach_where_the_chip_leaves_them_out() -> None:
    """A membrane at its largest is above the largest threshold that Loihi stores."""
    network = Network(
        (Population("input", (1,)), Population("layer1", (1,), FixedLif(1000, 0, bias_mantissa=4095, bias_exponent=7))),
        (Dense("input", "layer1", [[255]], exponent=7),),
    )
    off = {"layer1": np.full((1, 1, 1), np.inf)}
    spikes = np.ones((40, 1, 1), np.uint8)
    assert run(network, spikes, off).output.any()
    left_out = compile(network, "cortex-m4").network
    assert left_out["layer1"].neuron.gated  # type: ignore[union-attr]
    assert not run(left_out, spikes, off).output.any()
    assert run(left_out, spikes, {"layer1": 131.0}).output.any()


def gated(network: Network) -> set[bool]:
    return {p.neuron.gated for p in network.populations if isinstance(p.neuron, FixedLif)}


def test_each_chip_has_its_own_neurons_that_are_off_in_files_too(tmp_path: Path) -> None:
    path = tmp_path / "net.aspen"
    float_network(1).save(path)
    for name, wanted in (("loihi1", {False}), ("cortex-m4", {True})):
        made = compile(float_network(1), name, profile=NESTED)
        assert gated(made.network) == wanted
        store_deployment(made, path)
        assert gated(load_deployment(path, name).network) == wanted
    loihi = load_deployment(path, "loihi1").network
    assert compile(loihi, "loihi1").network is loihi
    assert gated(compile(loihi, "cortex-m4").network) == {True}


def test_files_from_before_have_neurons_that_no_chip_leaves_out() -> None:
    header, tensors = network_to_section(compile(float_network(1), "cortex-m4").network)
    for population in header["populations"]:
        if population["neuron"] is not None:
            del population["neuron"]["gated"]
    assert gated(network_from_section(header, tensors)) == {False}


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
    assert not [w for w in compile(keeping, "cortex-m4", profile=NESTED).warnings if "proven" in w]


def test_a_sweep_turns_them_off() -> None:
    deployment = compile(float_network(1), "loihi1", profile=NESTED)
    spikes = random_spikes(1, 20, 6, 6, 0.8)
    accurate, frugal = sweep(deployment, spikes, np.zeros(6, np.int64), [0.0, 1.0], profile=NESTED)
    assert accurate.hidden_spikes > frugal.hidden_spikes
