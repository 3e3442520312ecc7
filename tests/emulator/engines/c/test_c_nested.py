"""Neurons that a dial switches off, in C: not touched, and with the answers of the other engines."""

from __future__ import annotations

import numpy as np
import pytest

from aspen.dial.profile import DialProfile
from aspen.errors import ChipError, InputError
from aspen.network import Dense, FixedLif, Lif, Network, Population, Sparse
from aspen_emulator import run, session
from aspen_hardware import chip, compile, to_c
from aspen_hardware.c.dial import knob_at
from aspen_hardware.c.nesting import nests_of
from aspen_hardware.c.program import Program
from aspen_hardware.compiling.off import gated
from tests.c_networks import check_knob, drawn, profile_for
from tests.emulator.engines.c.programs import needs_compiler
from tests.networks import float_network, random_spikes

UNTIL = np.array([np.inf, 0.5, 0.5, 0.25, 0.0, 1.0, 2.0, np.inf])
NESTED = DialProfile({"layer1": 0.3}, on_until={"layer1": UNTIL})
SEEDS = (9, 50)
"""Of random networks whose dial switches neurons off: packed, sparse and convolutional ones among them."""


@needs_compiler
@pytest.mark.parametrize("seed", SEEDS)
def test_a_dial_that_is_turned_at_every_step_gives_the_definitions_spikes_and_counts(seed: int) -> None:
    network = drawn(seed)
    profile = profile_for(network, seed)
    assert profile is not None
    assert profile.is_nested
    check_knob(network, seed)


@needs_compiler
def test_pairs_of_synapses_end_before_targets_that_are_off_to_the_last_that_a_byte_names() -> None:
    rng = np.random.default_rng(4)
    there = rng.random((256, 20)) < 0.06
    there[255, ::2], there[:, 3], there[:, 4] = True, False, np.arange(256) == 255
    rows, columns = np.nonzero(there)
    wide = Sparse("input", "wide", rng.choice([-3, 1, 5, 99], len(rows)), rows, columns, (256, 20))
    last = Dense("wide", "output", rng.integers(-40, 41, (3, 256)))
    layers = Population("input", (20,)), Population("wide", (256,), FixedLif(20, 1000))
    network = Network((*layers, Population("output", (3,), FixedLif(60, 1000))), (wide, last))
    profile = DialProfile({"wide": 0.0}, on_until={"wide": rng.permutation(np.linspace(0, 1.02, 256))})
    network, spikes = gated(network, chip("cortex-m")), random_spikes(2, 12, 2, 20, 0.5)
    assert Program(network, profile).connections[0].pairs
    counts = set()
    for knob in (0.0, 0.001, 0.3, 0.301, 0.7, 1.0):
        scale = profile.scale(knob_at(profile, round(knob * 65535)))
        found = run(network, spikes, scale, engine="c", record="spikes")
        wanted = run(network, spikes, scale, engine="reference", record="spikes")
        for name in network.names:
            np.testing.assert_array_equal(found.rasters[name], wanted.rasters[name])
        counts.add(256 - int(found.off.neurons["wide"][0, 0]) if found.off.neurons else 256)
    assert 256 in counts
    assert {count % 2 for count in counts} == {0, 1}
    assert wanted.spikes["wide"].sum() > 0


@needs_compiler
def test_a_session_switches_neurons_on_with_the_next_sample_alone() -> None:
    deployment, spikes = compile(float_network(1), "cortex-m4", profile=NESTED), random_spikes(1, 20, 1, 6, 0.8)
    with session(deployment, engine="c", profile=NESTED) as in_c, session(deployment, profile=NESTED) as fast:
        for knob, step in zip((0.1, 0.1, 0.6, 0.6), spikes, strict=False):
            in_c.knob = fast.knob = knob
            np.testing.assert_array_equal(in_c.step(step), fast.step(step))
        in_c.knob = 0.3
        with pytest.raises(InputError, match="switches 2 neurons of layer1 on within a sample, allowed in C"):
            in_c.step(spikes[4])
        in_c.knob = fast.knob = 0.8
        np.testing.assert_array_equal(in_c.step(spikes[4]), fast.step(spikes[4]))
        for each in (in_c, fast):
            each.reset()
            each.knob = 0.3
        for step in spikes[5:]:
            np.testing.assert_array_equal(in_c.step(step), fast.step(step))
            np.testing.assert_array_equal(in_c.rasters["layer1"], fast.rasters["layer1"])
        assert fast.rasters["layer1"].shape == (1, 8)


def test_how_many_are_on_is_what_the_profile_says_at_every_setting() -> None:
    network = compile(float_network(1), "cortex-m4", profile=NESTED).network
    until = np.array([0.1, 0.2, 1 / 3, 0.7, 0.1, 0.999, 1.0, np.inf], np.float32)
    for dtype in (np.float32, np.float64):
        profile = DialProfile({"layer1": 0.3}, low=0.05, on_until={"layer1": until.astype(dtype)})
        nest = nests_of(network, profile)["layer1"]
        edges = np.unique(np.clip(nest.starts[:, None] + [-1, 0, 1], 0, 65535))
        for setting in edges.tolist():
            on = np.isfinite(profile.scale(knob_at(profile, setting))["layer1"][0, 0])
            count = nest.counts[np.searchsorted(nest.starts, setting, "right") - 1]
            assert on.sum() == count
            assert on[nest.place[:count]].all()


def test_outputs_and_neurons_that_could_fire_are_refused_by_name() -> None:
    deployment = compile(float_network(1), "cortex-m4", profile=NESTED)
    outputs = DialProfile({"layer2": 0.1}, on_until={"layer2": 0.5})
    with pytest.raises(ChipError, match=r"switches neurons of the output layer2 off \(on_until\), allowed in C is one"):
        to_c(deployment, "/nonexistent", profile=outputs)
    keeping = Network(
        (
            Population("input", (4,)),
            Population("layer1", (8,), Lif(1.0, 1.0)),
            Population("layer2", (2,), Lif(1.0, 0.5)),
        ),
        (Dense("input", "layer1", np.ones((8, 4))), Dense("layer1", "layer2", np.ones((2, 8)))),
    )
    with pytest.raises(ChipError, match=r"out of reach.*in C they would not: compile for cortex-m"):
        to_c(compile(keeping, "loihi1", profile=NESTED), "/nonexistent", profile=NESTED)
