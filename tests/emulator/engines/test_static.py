"""A static input: the host computes the first layer once per inference, and every engine adds the biases it writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aspen._base.arrays import Array
from aspen.errors import AspenError, ChipError, InputError, NetworkError
from aspen.network import Conv, Dense, FixedLif, HostLayer, Lif, Network, Population, Sparse, load_network
from aspen_emulator import observe, run, session
from aspen_hardware import Deployment, chip, compile, energy_model, place
from aspen_hardware.placing.rules import check
from tests.hardware.energy.recount import simulate, written_by_host
from tests.hardware.placing.networks import APART
from tests.networks import static_network as static

STEPS = 12


def values(samples: int = 4, shape: tuple[int, ...] = (6,), seed: int = 0) -> Array:
    return np.round(np.random.default_rng(seed).random((samples, *shape)) * 16) / 16


def on_loihi1(network: Network) -> Deployment:
    return compile(network.with_input_peak(1.0), "loihi1")


CASES = [(reset, recurrent) for reset in ("zero", "subtract-delayed") for recurrent in (False, True)]


@pytest.mark.parametrize(("reset", "recurrent"), CASES)
def test_engines_and_sessions_agree_on_what_the_host_wrote(reset: str, recurrent: bool) -> None:
    deployment = on_loihi1(static(reset, recurrent))
    fed = deployment.network.input
    assert (fed.name, fed.shape, fed.given_shape) == ("hidden", (5,), (6,))
    assert (fed.host.multiply_accumulates, fed.host.bias_writes) == (30, 5)  # type: ignore[union-attr]
    fast = run(deployment, values(), 1.25, steps=STEPS, record="membranes")
    reference = run(deployment, values(), 1.25, steps=STEPS, record="membranes", engine="reference")
    frames = np.repeat(values()[None], STEPS, axis=0)
    for other in (reference, run(deployment, frames, 1.25, record="membranes")):
        for field in ("rasters", "spikes", "synaptic_operations", "active_updates", "awake_updates", "membranes"):
            for name, counts in getattr(fast, field).items():
                np.testing.assert_array_equal(counts, getattr(other, field)[name])
    assert fast.spikes["hidden"].sum() > 20
    with session(deployment, 1.25, batch=4) as running:
        out = np.stack([running.step(values()) for _ in range(STEPS)])
    np.testing.assert_array_equal(out, fast.output)


def test_integers_are_those_of_the_definition() -> None:
    network = static(recurrent=True).with_input_peak(1.0)
    host = compile(network, "loihi1").network.input.host
    first, back = network.connections[0], network.connections[2]
    total = values() @ first.weight.T + first.bias + back.bias + 0.0625
    assert host is not None
    np.testing.assert_array_equal(host.encode(values()), np.rint(total * host.scale))
    np.testing.assert_array_equal(np.abs(host.encode(100 * values())).max() // 4095, 1)  # clipped to 13 bits
    most = np.abs(first.weight).sum(axis=1) + np.abs(first.bias + back.bias + 0.0625)
    assert 2000 < most.max() * host.scale <= 4095  # the bound fills the mantissas


def test_spikes_stay_and_calibration_says_how_many() -> None:
    network = static("subtract-delayed")
    deployment = compile(network, "loihi1", calibration=observe(network, values(32), steps=20))
    kept = deployment.rounding["hidden"].kept_calibrated
    assert kept is not None
    assert kept > 0.98
    told = str(deployment)
    assert "computes and writes 30 multiply-accumulates of the first layer and 5 biases, in steps of" in told
    floats = run(network, values(20, seed=1), steps=20, record="spikes").rasters["hidden"]
    integers = run(deployment, values(20, seed=1), steps=20, record="spikes").rasters["hidden"]
    assert (floats != integers).sum() < 0.03 * floats.sum()
    again = compile(static(recurrent=True), "loihi1", calibration=observe(static(recurrent=True), values(8), steps=9))
    assert (again.rounding["hidden"].kept_calibrated or 0) > 0.9


@given(
    reset=st.sampled_from(["zero", "subtract-delayed", "none"]),
    recurrent=st.booleans(),
    seed=st.integers(0, 2**16),
    beta=st.sampled_from([0.0, 0.5, 0.95]),
)
@settings(max_examples=15)
def test_every_count_is_that_of_plain_loops(reset: str, recurrent: bool, seed: int, beta: float) -> None:
    deployment = on_loihi1(static(reset, recurrent, seed, beta))
    host = deployment.network.input.host
    assert host is not None
    x = values(2, seed=seed)
    written = written_by_host(deployment.network, x)
    np.testing.assert_array_equal(host.encode(x), written)
    counts = simulate(deployment.network, np.broadcast_to(written, (5, 2, 5)))
    for engine in ("fast", "reference"):
        record = run(deployment, x, steps=5, engine=engine)
        found = (record.spikes, record.synaptic_operations, record.active_updates, record.awake_updates)
        for one, wanted in zip(found, (counts.spikes, counts.operations, counts.active, counts.awake), strict=True):
            for name, count in one.items():
                np.testing.assert_array_equal(count, wanted[name])
        assert record.multiply_accumulates == {}  # none on the chip


def test_no_axons_enter_and_the_hosts_part_is_named() -> None:
    deployment = on_loihi1(static())
    core = place(deployment.network, APART).of("hidden")[0]
    assert (core.input_axons, core.synapses) == (0, 0)
    assert not [finding for finding in check(static(), chip("loihi1")) if finding.level == "error"]
    report = energy_model(run(deployment, values(), steps=STEPS), chip("loihi1"))
    assert any(
        line.endswith("120 multiply-accumulates, and 20 biases written to the chip") for line in report.not_covered
    )
    assert report.first_layer == ()
    assert compile(static().with_input_peak(1.0), "loihi2").network.input.is_analog  # graded spikes, as before


def test_it_is_kept_in_the_file(tmp_path: Path) -> None:
    conv = Conv("input", "hidden", np.round(np.random.default_rng(0).normal(0, 8, (2, 1, 3, 3))) / 16, (1, 6, 6))
    lif = Lif(threshold=1.0, beta=0.9)
    size = conv.output_shape
    layers = Population("input", (1, 6, 6), current=True, static=True), Population("hidden", size, lif)
    out = Sparse("hidden", "output", np.ones(3), [0, 1, 1], [0, 5, 9], (2, np.prod(size)))
    network = Network((*layers, Population("output", (2,), lif)), (conv, out))
    deployment = on_loihi1(network)
    deployment.network.save(tmp_path / "net.aspen")
    loaded = load_network(tmp_path / "net.aspen")
    x = values(3, (1, 6, 6))
    expected = run(deployment, x, steps=STEPS, record="spikes")
    assert expected.spikes["hidden"].sum() > 0
    found = run(loaded, x, steps=STEPS, record="spikes")
    np.testing.assert_array_equal(found.rasters["hidden"], expected.rasters["hidden"])


def test_what_is_not_static_or_no_bias_can_stand_for_is_refused() -> None:
    deployment, frames = on_loihi1(static()), np.repeat(values()[None], STEPS, axis=0)
    frames[3, 0, 0] += 0.5
    for network in (deployment, static()):
        with pytest.raises(InputError, match="other values at other steps, allowed are the same at all"):
            run(network, frames)
        with pytest.raises(InputError, match=r"the input is static: say for how many steps, as in run\(network"):
            run(network, values())
    with pytest.raises(InputError, match="steps: found 0"):
        run(deployment, values(), steps=0)
    with session(deployment) as running:
        running.step(values(1))
        with pytest.raises(InputError, match=r"other values than at the first step.*reset\(\)"):
            running.step(values(1, seed=1))
        running.reset()
        running.step(values(1, seed=1))
    with pytest.raises(InputError, match="found NaN or infinity"):
        run(deployment, np.full((1, 6), np.nan), steps=3)
    with pytest.raises(
        ChipError, match="found a static input, which becomes biases, allowed with netx is one of spikes"
    ):
        compile(static().with_input_peak(1.0), "loihi1", netx=True)
    with pytest.raises(ChipError, match=r"static input whose range is not known.*with_input_peak"):
        compile(static(), "loihi1")
    hidden = replace(static()["hidden"], neuron=Lif(threshold=1.0, beta=0.9, alpha=0.5))
    synaptic = replace(static(), populations=(static().input, hidden, static()["output"]))
    with pytest.raises(ChipError, match="hidden: found a static input into a synaptic current that decays"):
        on_loihi1(synaptic)
    skip = Dense("input", "output", np.ones((3, 6)))
    with pytest.raises(ChipError, match=r"found a static input into hidden \(delay 0\), output \(delay 0\)"):
        on_loihi1(replace(static(), connections=(*static().connections, skip)))


def test_a_host_layer_that_fits_no_population_is_refused() -> None:
    host = HostLayer(Dense("input", "hidden", np.ones((2, 3))), (3,), np.zeros(2), 1.0)
    neuron = FixedLif(threshold=100, voltage_decay=10)
    assert Population("hidden", (2,), neuron, True, static=True, host=host).given_shape == (3,)
    wrong: list[tuple[type[AspenError], str, dict[str, object]]] = [
        (NetworkError, "allowed where the input is a static current", {"static": False}),
        (NetworkError, "found a host layer of hidden", {"name": "other"}),
        (NetworkError, "shape", {"shape": (4,)}),
    ]
    for error, message, other in wrong:
        parts = {"name": "hidden", "shape": (2,), "static": True} | other
        with pytest.raises(error, match=message):
            Population(neuron=neuron, current=True, host=host, **parts)  # type: ignore[arg-type]
    for bad in ({"bias": np.zeros(2)}, {"delay": 1}):
        with pytest.raises(NetworkError, match="allowed are weights in floating point"):
            HostLayer(Dense("input", "hidden", np.ones((2, 3)), **bad), (3,), np.zeros(2), 1.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("reset", ["zero", "subtract-delayed"])
def test_lava_adds_the_biases_that_the_host_wrote(reset: str) -> None:
    deployment = on_loihi1(static(reset))
    expected = run(deployment, values(2), steps=6, record="spikes")
    found = run(deployment, values(2), steps=6, record="spikes", engine="lava")
    assert expected.spikes["output"].sum() > 0
    for field in ("rasters", "spikes", "active_updates", "awake_updates"):
        for name, counts in getattr(expected, field).items():
            np.testing.assert_array_equal(getattr(found, field)[name], counts)
