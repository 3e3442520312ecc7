"""The knob in integers: at every setting the thresholds that the engines round to."""

from __future__ import annotations

import numpy as np
import pytest

from aspen.dial import DialProfile
from aspen.errors import ChipError, InputError
from aspen.network import Dense, FixedLif, Network, Population
from aspen_emulator.engines.inputs import thresholds_for
from aspen_hardware.c.dial import SETTINGS, UNIT, Factor, dialled, knob_at, mantissas_at, scale_range, scaled_at
from aspen_hardware.c.program import Program

MANTISSAS = np.array([1, 2, 77, 1023, 5000, 26000, 32768])


def network_of(mantissas: np.ndarray, reset: str = "zero") -> Network:
    neurons = FixedLif(mantissas, 410, reset=reset), FixedLif(100, 410)
    n = len(mantissas)
    layers = Population("input", (2,)), Population("hidden", (n,), neurons[0]), Population("output", (2,), neurons[1])
    weights = np.full((n, 2), 9), np.full((2, n), 9)
    return Network(layers, (Dense("input", "hidden", weights[0]), Dense("hidden", "output", weights[1])))


NETWORK = network_of(MANTISSAS)
PROFILE = DialProfile({"hidden": np.linspace(-0.0, 1.37, 7)}, {"hidden": np.array([0, 0, -0.3, 0.01, 0, 0.1, 0])})
FALLING = DialProfile({"hidden": -0.9, "output": 0.4}, {"hidden": 0.55}, low=-0.5, high=2.0)


@pytest.mark.parametrize("reset", ["zero", "subtract-synapse"])
def test_every_threshold_scale_gives_the_engines_thresholds(reset: str) -> None:
    network = network_of(MANTISSAS[:5], reset)
    low, high = scale_range(network)
    assert (low, high) == (2048, {"zero": 65535, "subtract-synapse": 26790}[reset])
    settings = np.arange(low, high + 1)
    wanted = thresholds_for(network, {"hidden": settings / UNIT}, len(settings), 1)["hidden"][:, 0] >> 6
    for each, mantissa in enumerate(MANTISSAS[:5]):
        np.testing.assert_array_equal(scaled_at(mantissa, settings), wanted[:, each])
    for beyond in {low - 1, high + 1} - {SETTINGS}:
        with pytest.raises(InputError, match="allow about"):
            thresholds_for(network, beyond / UNIT, 1, 1)


@pytest.mark.parametrize("profile", [PROFILE, FALLING])
def test_every_setting_of_a_dial_gives_the_engines_thresholds(profile: DialProfile) -> None:
    network = network_of(np.minimum(MANTISSAS, 20000)[2:]) if profile is FALLING else NETWORK
    for dial in dialled(network, profile, {}):
        neuron = network[dial.name].neuron
        assert isinstance(neuron, FixedLif)
        settings = np.random.default_rng(1).integers(0, SETTINGS, 150)
        settings[:2] = 0, SETTINGS - 1
        wanted = np.concatenate(
            [thresholds_for(network, profile.scale(knob_at(profile, int(s))), 1, 1)[dial.name][0] for s in settings]
        )
        for i, mantissa in enumerate(np.broadcast_to(neuron.threshold.reshape(-1), network[dial.name].size)):
            found = mantissas_at(*dial.factors[dial.classes[i]].fractions(), int(mantissa))
            for setting, index, change in dial.corrections:
                found[setting] += change * (index == i)
            np.testing.assert_array_equal(found[settings], wanted[:, min(i, wanted.shape[1] - 1)] >> 6)


def test_the_factor_is_as_exact_as_floats() -> None:
    factor = Factor.of(PROFILE, 0.21, 1.3)
    fractions, shifts = factor.fractions()
    found = fractions.astype(np.float64) * 2.0 ** (46 - 64 - shifts.astype(np.float64))
    exact = np.exp(0.21 + np.arange(SETTINGS) / (SETTINGS - 1) * 1.3)
    assert np.abs(found / exact - 1).max() < 1e-14


def test_neurons_that_the_dial_moves_alike_share_a_factor() -> None:
    profile = DialProfile({"hidden": np.array([0.1, 0.2, 0.1, 0.2, 0.1, 0.1, 0.1])})
    (dial,) = dialled(network_of(MANTISSAS[::-1] + 10), profile, {})
    assert len(dial.factors) == 2
    assert dial.classes.tolist() == [0, 1, 0, 1, 0, 0, 0]


def test_a_threshold_that_leaves_its_bits_on_the_dial_is_refused() -> None:
    with pytest.raises(ChipError, match="hidden: found thresholds of 32768 to 131072 between the dial's ends"):
        Program(NETWORK, DialProfile({"hidden": np.array([0.0] * 6 + [np.log(4) + 1e-9])}))
    with pytest.raises(ChipError, match="hidden: found thresholds of 0 to 1 between"):
        Program(NETWORK, DialProfile({"hidden": -1.0}))
    with pytest.raises(InputError, match="profile: found population 'nobody'"):
        Program(NETWORK, DialProfile({"nobody": 1.0}))
