"""Dial profiles: one knob value for thresholds that move each in its own way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aspen.dial.profile import DialProfile, folded_offsets, load_profile, save_profile
from aspen.errors import FileFormatError, InputError
from aspen.network.connections import Connection, Conv, Dense, Sparse
from aspen.network.network import Lif, Network, Population, load_network
from aspen.storage.container import read_container, write_container
from aspen_emulator import run, session
from aspen_hardware import compile, load_deployment
from tests.networks import float_network, random_spikes

NETWORK = float_network(1, bias=False)
SPIKES = random_spikes(0, 20, 8, 6)


def profile() -> DialProfile:
    rng = np.random.default_rng(0)
    return DialProfile({"layer1": rng.normal(1, 0.3, NETWORK["layer1"].shape), "layer2": -0.25}, {"layer1": -0.2})


def test_the_scale_is_the_exponential_of_a_line() -> None:
    made = profile()
    for knob in (0.0, 0.3, 1.0):
        expected = np.exp(-0.2 + knob * made.slopes["layer1"]).reshape(1, 1, -1)
        np.testing.assert_allclose(made.scale(knob)["layer1"], expected)
        np.testing.assert_allclose(made.scale(knob)["layer2"], [[[np.exp(-0.25 * knob)]]])


@pytest.mark.parametrize("fixed", [False, True])
def test_engines_and_sessions_take_a_factor_for_each_neuron(fixed: bool) -> None:
    target = compile(NETWORK, "loihi1") if fixed else NETWORK
    scale = profile().scale(0.8)
    records = [run(target, SPIKES, scale, engine=engine, record="spikes") for engine in ("reference", "fast")]
    for name, raster in records[0].rasters.items():
        np.testing.assert_array_equal(raster, records[1].rasters[name])
    with session(target, scale, batch=8) as live:
        stepped = np.stack([live.step(step) for step in SPIKES])
    np.testing.assert_array_equal(stepped, records[0].output)
    assert records[0].hidden_spikes.sum() < run(target, SPIKES).hidden_spikes.sum()


def test_factors_may_differ_by_step_sample_and_neuron() -> None:
    n = NETWORK["layer1"].size
    factors = np.random.default_rng(1).uniform(0.5, 2, (20, 8, n))
    whole = run(NETWORK, SPIKES, {"layer1": factors}, record="spikes").rasters["layer1"]
    for k in range(8):
        alone = run(NETWORK, SPIKES[:, k : k + 1], {"layer1": factors[:, k : k + 1]}, record="spikes")
        np.testing.assert_array_equal(whole[:, k : k + 1], alone.rasters["layer1"])
    with pytest.raises(InputError, match=r"threshold_scale of layer1: found shape \(20, 8, 3\), allowed is a number"):
        run(NETWORK, SPIKES, {"layer1": factors[:, :, :3]})


def test_offsets_fold_into_the_thresholds() -> None:
    folded, rest = profile().folded(NETWORK)
    one, two = run(NETWORK, SPIKES, profile().scale(0.5)), run(folded, SPIKES, rest.scale(0.5))
    np.testing.assert_array_equal(one.output, two.output)
    assert not rest.offsets


def test_a_network_says_which_offsets_are_in_it(tmp_path: Path) -> None:
    once, _ = profile().folded(NETWORK)
    once.save(tmp_path / "net.aspen")
    noted = folded_offsets(load_network(tmp_path / "net.aspen"))
    assert {name: values.tolist() for name, values in noted.items()} == {"layer1": -0.2}
    more = np.linspace(0, 1, NETWORK["layer1"].size)
    twice, _ = DialProfile({"layer1": 1.0, "layer2": 1.0}, {"layer1": more, "layer2": 0.5}).folded(once)
    noted = folded_offsets(twice)
    np.testing.assert_allclose(noted["layer1"], more - 0.2)
    assert noted["layer2"] == 0.5
    assert folded_offsets(NETWORK) == {}
    for wrong in ({"other": 1.0}, {"layer1": [1.0]}, {"layer1": "x"}, [1.0]):
        with pytest.raises(InputError, match=r"provenance: found .* as the offsets of a dial"):
            folded_offsets(replace(NETWORK, provenance={"dial_offsets": wrong}))


def varied(kind: str) -> tuple[Network, str]:
    """A network with biases everywhere, in which one population is folded in the way that ``kind`` asks for."""
    rng = np.random.default_rng(5)
    current = kind == "current"
    first = Lif(rng.uniform(0.5, 1, 6), 0.5, bias=0.125) if current else None
    shape = (1, 6) if kind == "conv" else (6,)
    weight, bias = rng.integers(-2, 4, (4, 6)) / 4, rng.integers(-2, 3, 4) / 8
    second: Connection = Dense("input", "layer1", weight, bias)
    if kind == "sparse":
        second = Sparse.from_matrix("input", "layer1", weight, bias)
    if kind == "conv":
        second = Conv("input", "layer1", rng.integers(-1, 4, (2, 1, 5)) / 4, (1, 6), bias[:2])
    lif = Lif(rng.uniform(0.5, 1, (2, 2)), 0.5, bias=rng.integers(-1, 2, (2, 2)) / 8)
    populations = (
        Population("input", shape, first, current),
        Population("layer1", (2, 2), lif),
        Population("out", (3,), Lif(0.7, 0.5)),
    )
    last = Dense("layer1", "out", rng.integers(-2, 4, (3, 4)) / 4, [0.125, 0.0, -0.125])
    readout = "membrane" if kind in ("read out", "behind") else "spikes"
    made = Network(populations, (second, last), output="out", readout=readout)
    return made, {"current": "input", "read out": "out"}.get(kind, "layer1")


@pytest.mark.parametrize("kind", ["dense", "sparse", "conv", "current", "read out", "behind"])
def test_a_folded_network_does_the_same_and_stores_thresholds_only_where_it_must(kind: str) -> None:
    network, name = varied(kind)
    n = network[name].size
    powers = np.log(2.0) * np.resize([1.0, -1.0, 2.0], n).reshape(network[name].shape)  # exact when divided by
    steep = DialProfile({name: np.full(network[name].shape, 0.3)}, {name: powers}, low=-1.0, high=3.0)
    folded, rest = steep.folded(network)
    assert (rest.low, rest.high, dict(rest.offsets)) == (-1.0, 3.0, {})
    spikes = random_spikes(2, 25, 4, 6).reshape(25, 4, *network.input.shape)
    for knob in (-1.0, 0.0, 3.0):
        one = run(network, spikes, steep.scale(knob), record="membranes")
        two = run(folded, spikes, rest.scale(knob), record="membranes")
        for population in network.names:
            np.testing.assert_array_equal(one.rasters[population], two.rasters[population])
        np.testing.assert_array_equal(one.membranes["out"], two.membranes["out"])
        assert one.rasters["layer1"].any()
    before, after = network[name].neuron, folded[name].neuron
    stored = kind in ("conv", "current", "read out")
    assert isinstance(before, Lif)
    assert isinstance(after, Lif)
    np.testing.assert_allclose(after.threshold, before.threshold * (np.exp(powers) if stored else 1))
    assert all(
        (a is b) == (stored or a.target != name) for a, b in zip(network.connections, folded.connections, strict=True)
    )


def test_the_range_of_a_dial_may_be_any(tmp_path: Path) -> None:
    wide = DialProfile({"layer1": 0.5, "layer2": -1.0}, {"layer2": 0.25}, low=-2.0, high=1.5)
    assert wide.largest_factor == pytest.approx(np.exp(0.25 + 2.0))
    for knob in (-2.0, -0.5, 1.5):
        scale = wide.scale(knob)
        np.testing.assert_allclose(scale["layer1"], [[[np.exp(0.5 * knob)]]])
        np.testing.assert_allclose(scale["layer2"], [[[np.exp(0.25 - knob)]]])
    for knob in (-2.01, 1.51):
        with pytest.raises(InputError, match=f"knob: found {knob}, allowed is a number from -2 to 1.5"):
            wide.scale(knob)
    NETWORK.save(tmp_path / "net.aspen")
    save_profile(wide, tmp_path / "net.aspen")
    back = load_profile(tmp_path / "net.aspen")
    assert (back.low, back.high) == (-2.0, 1.5)
    assert back.scale(1.5) == wide.scale(1.5)


def test_the_uniform_profile_is_the_plain_knob() -> None:
    uniform = DialProfile.uniform(NETWORK, 0.5, 2.0)
    for knob, scale in ((0.0, 0.5), (0.5, 1.0), (1.0, 2.0)):
        np.testing.assert_allclose(uniform.scale(knob)["layer1"], [[[scale]]])
    assert list(uniform.slopes) == NETWORK.hidden


@pytest.mark.parametrize(("slope", "offset"), [(3.0, 0.0), (-3.0, 3.0), (0.1, 0.0)])
def test_integers_leave_room_for_the_largest_factor_of_the_dial(slope: float, offset: float) -> None:
    steep = DialProfile({"layer1": slope, "layer2": 0.5}, {"layer1": offset})
    assert steep.largest_factor == pytest.approx(max(np.exp(3.0) if abs(slope) == 3 else 0, np.exp(0.5)))
    deployment = compile(NETWORK, "loihi1", profile=steep)
    needed = max(steep.largest_factor, 4.0)  # the default of max_threshold_scale
    assert all(needed <= entry.largest_scale for entry in deployment.rounding.values())
    for knob in (0.0, 1.0):
        run(deployment, SPIKES, steep.scale(knob))


def test_a_profile_is_saved_with_the_network(tmp_path: Path) -> None:
    path = tmp_path / "net.aspen"
    NETWORK.save(path)
    save_profile(profile(), path)
    back = load_profile(path)
    assert (back.low, back.high) == (0.0, 1.0)
    for field in ("slopes", "offsets"):
        for name, values in getattr(profile(), field).items():
            np.testing.assert_array_equal(getattr(back, field)[name], values)
    container = read_container(path)
    container.put("dial", {"low": 0.0}, {})
    write_container(container, path)
    with pytest.raises(FileFormatError, match="the dial profile is malformed"):
        load_profile(path)
    NETWORK.save(path)
    with pytest.raises(FileFormatError, match="found no dial, allowed is a file with one: `aspen train` makes one"):
        load_profile(path)
    with pytest.raises(FileFormatError, match="deployment"):
        load_deployment(path, "loihi1")


@pytest.mark.parametrize("kept", ["held", "gate"])
def test_a_dial_of_thresholds_that_none_may_move_is_refused_before_anything_is_compiled(kept: str) -> None:
    first, hidden, *others = NETWORK.populations
    network = replace(NETWORK, populations=(first, replace(hidden, **{kept: True}), *others))
    message = (
        rf"profile: found population '{hidden.name}', whose thresholds no dial moves, allowed are {others[0].name}"
    )
    with pytest.raises(InputError, match=message):
        compile(network, "cortex-m", profile=DialProfile({hidden.name: 0.5}))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DialProfile({}), "found slopes of .. and offsets"),
        (lambda: DialProfile({"a": 1.0}, {"b": 1.0}), "allowed are slopes of one population and more"),
        (lambda: DialProfile({"a": 1.0}, low=1.0), "found the range 1.0 to 1.0, allowed is low < high"),
        (lambda: DialProfile({"a": 30.0}), r"factor beyond exp\(20\) for a at knob 1"),
        (lambda: DialProfile.uniform(NETWORK, 2.0, 1.0), "allowed is 0 < low < high"),
        (lambda: profile().scale(1.5), "knob: found 1.5, allowed is a number from 0 to 1"),
        (lambda: profile().scale(float("nan")), "knob: found nan"),
        (lambda: DialProfile({"x": 1.0}).check(NETWORK), "found population 'x'"),
        (lambda: DialProfile({"layer1": [1.0, 2.0]}).check(NETWORK), r"found slopes of shape \(2,\) for layer1"),
    ],
)
def test_bad_profiles_are_refused(make: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()  # type: ignore[operator]
