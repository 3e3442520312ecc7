"""Analog input as integers: the network does the same, and its currents do not wrap around."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aspen.errors import ChipError, InputError, NetworkError
from aspen.exchange.nir import load_nir, save_nir
from aspen.network.graded import GradedInput
from aspen.network.network import Dense, Lif, Network, Population, load_network
from aspen_emulator import run, session
from aspen_emulator.engines.inputs import thresholds_for
from aspen_emulator.engines.reference import Stepper
from aspen_hardware import compile, load_deployment, store_deployment
from tests.emulator.cli.test_cli import Aspen, aspen

__all__ = ["aspen"]


def analog(threshold: float = 1.0) -> Network:
    rng = np.random.default_rng(0)
    populations = (
        Population("input", (40,), current=True),
        Population("hidden", (30,), Lif(threshold, 0.8)),
        Population("output", (5,), Lif(1.0, 0.9)),
    )
    first = Dense("input", "hidden", rng.normal(0, 0.1, (30, 40)), bias=rng.normal(0, 0.1, 30) * threshold)
    return Network(populations, (first, Dense("hidden", "output", rng.normal(0, 0.3, (5, 30)))))


def currents(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1.0, (20, 16, 40)).astype(np.float32)


def peak() -> float:
    return float(np.abs(currents()).max())


def test_the_range_of_the_input_changes_nothing_in_floating_point() -> None:
    one = run(analog(), currents(), record="membranes")
    two = run(analog().with_input_peak(0.1), currents(), record="membranes")
    np.testing.assert_array_equal(one.membranes["hidden"], two.membranes["hidden"])


@pytest.mark.parametrize("bits", [6, 8])
def test_few_bits_keep_the_spikes_in_integers(bits: int) -> None:
    network, values = analog(), currents()
    deployment = compile(network.with_input_peak(peak(), bits), "loihi2")
    whole = run(network, values, record="spikes").rasters["hidden"]
    record = run(deployment, values, record="spikes")
    found = record.rasters["hidden"]
    assert np.count_nonzero(whole) > 200
    assert np.mean(whole != found) < 0.04
    assert np.count_nonzero(found) == pytest.approx(np.count_nonzero(whole), rel=0.05)
    graded = GradedInput(peak(), bits).encode(values)
    assert record.multiply_accumulates["input->hidden"].sum() <= np.count_nonzero(graded) * 30
    assert not record.spikes["input"].any()  # values are no spikes


def test_values_and_their_integers_are_the_same_input_to_every_engine_and_session() -> None:
    deployment, values = compile(analog().with_input_peak(peak()), "loihi2"), currents()[:, :3]
    graded = GradedInput(peak()).encode(values)
    whole = run(deployment, values, record="membranes")
    for engine, given in (("fast", graded), ("reference", values), ("reference", graded)):
        again = run(deployment, given, engine=engine, record="membranes")
        np.testing.assert_array_equal(again.membranes["output"], whole.membranes["output"])
        assert again.multiply_accumulates["input->hidden"].sum() == whole.multiply_accumulates["input->hidden"].sum()
    with session(deployment, batch=3) as running:
        np.testing.assert_array_equal([running.step(step) for step in values], whole.output)
    graded[3, 1, 2] = -128
    with pytest.raises(InputError, match="found values up to 128, allowed are graded spikes, up to 127; give the valu"):
        run(deployment, graded)


def test_the_range_makes_room_for_the_current() -> None:
    few, many = (compile(analog(0.02).with_input_peak(4.0, bits), "loihi2") for bits in (2, 12))
    assert many.network.connections[0].exponent < few.network.connections[0].exponent


@pytest.mark.parametrize("bits", [2, 4, 6])
@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_values_up_to_the_peak_in_either_sign_stay_within_24_bits(bits: int, alpha: float) -> None:
    """Values that follow the signs of a neuron's weights, for long: what is reported is reached, and wraps nowhere."""
    weight = np.random.default_rng(2).normal(0, 1, (8, 20))
    populations = (Population("input", (20,), current=True), Population("out", (8,), Lif(0.05, 0.0, alpha)))
    network = Network(populations, (Dense("input", "out", weight),)).with_input_peak(2.0, bits)
    deployment = compile(network, "loihi2")
    (entry,) = deployment.rounding.values()
    neuron, (stored,) = deployment.network["out"].neuron, deployment.network.connections
    current = GradedInput(2.0, bits).largest * np.abs(stored.weight).sum(axis=1) * 2.0 ** (stored.exponent + 6)
    assert entry.worst_case_current == pytest.approx(current.max() / (1 - alpha) / 2**23)
    assert entry.worst_case_current <= 1
    assert neuron.threshold.max() * 4 <= 2**17
    aligned = np.broadcast_to(2.0 * np.sign(weight)[None], (40, 8, 20))  # sample k drives neuron k
    assert run(deployment, aligned).output[:, range(8), range(8)].all()
    assert not run(deployment, -aligned).output[:, range(8), range(8)].any()


@pytest.mark.parametrize("bits", range(2, 17))
def test_the_worst_case_is_the_largest_value_with_the_signs_of_the_weights(bits: int) -> None:
    """It is said how large the current then is; where that is below 24 bits, it does not wrap around, else it does."""
    deployment = compile(analog(0.02).with_input_peak(4.0, bits), "loihi2")
    network, said = deployment.network, deployment.rounding["hidden"].worst_case_current
    first, largest = network.connections[0], 2 ** (bits - 1) - 1
    stepper = Stepper(network, 60, watch=True)
    aligned = largest * np.sign(np.concatenate([first.weight, -first.weight]))
    stepper.step(aligned, {name: array[0] for name, array in thresholds_for(network, 1.0, 1, 1).items()})
    sums = first.accumulate(aligned.astype(np.float64))
    assert said == np.abs(sums).max() * 2.0**first.exponent * 2**6 / 2**23
    assert (stepper.overflows["hidden"][0] > 0) == (said > 1)
    assert said < 1 or first.exponent <= 0


@pytest.mark.parametrize("sign", [-1, 1])
def test_spikes_behind_a_graded_input_help_with_one_sign_only(sign: int) -> None:
    network = analog()
    second = replace(network.connections[1], weight=sign * (network.connections[1].weight + 0.1))
    network = replace(network, connections=(network.connections[0], second))
    deployment = compile(network.with_input_peak(4.0, 16), "loihi2")
    stored = deployment.network.connections[1]
    helping = (sign * stored.weight).clip(0).sum(axis=1).max()
    assert helping > (-sign * stored.weight).clip(0).sum(axis=1).max()
    assert deployment.rounding["output"].worst_case_current == helping * 2.0**stored.exponent * 2**6 / 2**23


def test_the_range_is_kept_in_the_file_and_with_the_integers(tmp_path: Path) -> None:
    network, path = analog().with_input_peak(3.5, 6), tmp_path / "net.aspen"
    network.save(path)
    store_deployment(compile(network, "loihi2"), path)
    assert load_network(path).input.graded == GradedInput(3.5, 6)
    assert "takes a current up to 3.5, in 6 bits on a chip" in str(load_network(path))
    stored = load_deployment(path, "loihi2")
    np.testing.assert_array_equal(run(stored, currents()).output, run(compile(network, "loihi2"), currents()).output)


def test_the_range_goes_through_nir(tmp_path: Path) -> None:
    pytest.importorskip("nir")
    save_nir(analog().with_input_peak(3.5, 6), tmp_path / "net.nir")
    assert load_nir(tmp_path / "net.nir").input.graded == GradedInput(3.5, 6)


def test_a_chip_must_know_the_range(aspen: Aspen, tmp_path: Path) -> None:
    with pytest.raises(ChipError, match=r"range is not known.*network.with_input_peak\(4.0\).*--input-peak 4"):
        compile(analog(), "loihi2")
    path, source = tmp_path / "net.aspen", tmp_path / "x.npy"
    analog().save(path)
    np.save(source, currents())
    run_it = ("run", path, "--chip", "loihi2", "--input", source, "--output", tmp_path / "y.npy")
    code, _, err = aspen(*run_it)
    assert (code, "range is not known" in err) == (1, True)
    code, _, err = aspen("compile", path, "--input-peak", "2", "--chip", "loihi1")
    assert (code, "loihi1 allows spikes of 1; encode the data as spikes, give the same values" in err) == (1, True)
    code, _, err = aspen("compile", path, "--chip", "loihi2", "--input-bits", "6")
    assert (code, "found --input-bits alone" in err) == (2, True)
    assert aspen("compile", path, "--chip", "loihi2", "--input-peak", peak(), "--input-bits", "6")[0] == 0
    assert aspen(*run_it)[0] == 0
    expected = run(compile(analog().with_input_peak(peak(), 6), "loihi2"), currents())
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), expected.output)


def test_values_are_rounded_and_clipped() -> None:
    graded = GradedInput(0.7, 4)
    np.testing.assert_array_equal(graded.encode(np.array([0.0, 0.26, -0.31, 9.0, -9.0])), [0, 3, -3, 7, -7])
    assert graded.encode(np.zeros(2, np.float32)).dtype == np.int32
    with pytest.raises(InputError, match="current: found NaN or infinity"):
        graded.encode(np.array([np.nan]))


def test_what_cannot_be_graded_is_refused() -> None:
    spiking = Network((Population("input", (2,)), Population("output", (1,), Lif(1.0, 0.5))),
                      (Dense("input", "output", np.ones((1, 2))),))  # fmt: skip
    for network in (spiking, compile(analog().with_input_peak(1.0), "loihi2").network):
        with pytest.raises(NetworkError, match="found a network that takes spikes or is in integers"):
            network.with_input_peak(1.0)
    with pytest.raises(NetworkError, match="input: found the range of an analog input"):
        Population("input", (2,), graded=GradedInput(1.0))
    for size, bits in ((0.0, 8), (float("nan"), 8), (1.0, 1), (1.0, 17)):
        with pytest.raises(InputError, match=r"graded input: (peak|bits): found .*, allowed is"):
            GradedInput(size, bits)
