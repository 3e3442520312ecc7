"""Analog input as integers: the network does the same, and its currents do not wrap around."""

from __future__ import annotations

import numpy as np
import pytest

from aspen.errors import InputError, NetworkError
from aspen.network import Dense, Lif, Network, Population
from aspen_emulator import run
from aspen_hardware import compile
from aspen_hardware.graded import GradedInput, grade_input


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


def test_the_graded_network_does_the_same_in_floating_point() -> None:
    network, values = analog(), currents()
    graded_network, graded = grade_input(network, float(np.abs(values).max()), bits=16)
    one = run(network, values, record="spikes")
    two = run(graded_network, graded.encode(values).astype(np.float64), record="spikes")
    differ = np.mean(one.rasters["hidden"] != two.rasters["hidden"])
    assert one.spikes["hidden"].sum() > 200
    assert differ < 2e-3


@pytest.mark.parametrize("bits", [6, 8])
def test_few_bits_keep_the_spikes_in_integers(bits: int) -> None:
    network, values = analog(), currents()
    graded_network, graded = grade_input(network, float(np.abs(values).max()), bits)
    deployment = compile(graded_network, "loihi2", input_peak=graded.largest)
    whole = run(network, values, record="spikes").rasters["hidden"]
    found = run(deployment, graded.encode(values), record="spikes").rasters["hidden"]
    assert np.mean(whole != found) < 0.04
    assert np.count_nonzero(found) == pytest.approx(np.count_nonzero(whole), rel=0.05)
    record = run(deployment, graded.encode(values))
    reached = np.count_nonzero(graded.encode(values)) * 30  # no weight rounds to zero here
    assert record.multiply_accumulates["input->hidden"].sum() <= reached
    assert not record.spikes["input"].any()  # values are no spikes


def test_the_peak_makes_room_for_the_current() -> None:
    graded_network, graded = grade_input(analog(0.02), 4.0)
    exponents = [
        compile(graded_network, "loihi2", input_peak=peak).network.connections[0].exponent
        for peak in (1, graded.largest)
    ]
    assert exponents[1] < exponents[0]


def test_values_are_rounded_and_clipped() -> None:
    graded = GradedInput(10.0, 4)
    np.testing.assert_array_equal(graded.encode(np.array([0.0, 0.26, -0.31, 9.0, -9.0])), [0, 3, -3, 7, -7])
    assert graded.encode(np.zeros(2, np.float32)).dtype == np.int32
    with pytest.raises(InputError, match="current: found NaN or infinity"):
        graded.encode(np.array([np.nan]))


def test_what_cannot_be_graded_is_refused() -> None:
    spiking = Network((Population("input", (2,)), Population("output", (1,), Lif(1.0, 0.5))),
                      (Dense("input", "output", np.ones((1, 2))),))  # fmt: skip
    with pytest.raises(NetworkError, match="found a network that takes spikes or is in integers"):
        grade_input(spiking, 1.0)
    for peak, bits in ((0.0, 8), (float("nan"), 8), (1.0, 1), (1.0, 17)):
        with pytest.raises(InputError, match=f"found peak={peak} and bits={bits}"):
            grade_input(analog(), peak, bits)
