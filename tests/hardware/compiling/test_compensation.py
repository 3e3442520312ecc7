"""Weights rounded so that their errors cancel: better on inputs that spike together, and always what Loihi stores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aspen.network.network import Conv, Dense, Lif, Network, Population, Sparse
from aspen_emulator import observe
from aspen_hardware.compiling import compensation
from aspen_hardware.compiling.compensation import Compensator
from aspen_hardware.compiling.formats import quantize_weight, weight_limit
from tests.networks import Array, random_spikes, seeds


def correlated(rng: np.random.Generator, n: int) -> Array:
    """Moments of ``n`` inputs that spike together, and of some that never do."""
    traces = rng.random((200, 3)) @ rng.random((3, n)) + 0.2 * rng.random((200, n))
    traces[:, rng.random(n) < 0.1] = 0
    return traces.T @ traces / len(traces)


def membrane_error(weight: Array, integers: Array, scale: float, moments: Array) -> float:
    """Mean square of what the rounding changes in the membranes."""
    error = integers - weight * scale
    return float(np.einsum("ij,jk,ik->", error, moments, error))


@settings(max_examples=40)
@given(seeds, st.sampled_from([-1, 0, 1]), st.sampled_from([1.0, 2.0]))
@example(106421, 0, 2.0)  # where weights are cut off, compensation alone is further away
def test_membranes_are_nearer_and_the_weights_are_those_that_loihi_stores(seed: int, sign: int, clip: float) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.normal(0, 1, (6, 30)) if sign == 0 else sign * rng.random((6, 30))
    weight[rng.random((6, 30)) < 0.2] = 0
    moments = correlated(rng, 30)
    scale = clip * weight_limit(weight) / np.abs(weight).max()
    made = Compensator(lambda connection: moments).quantize(Dense("a", "b", weight), scale)
    nearest = quantize_weight(weight, scale)
    assert membrane_error(weight, made, scale, moments) < membrane_error(weight, nearest, scale, moments)
    assert (made[weight == 0] == 0).all()
    assert np.abs(made).max() <= weight_limit(weight)
    assert sign == 0 or (sign * made >= 0).all()
    assert sign != 0 or (made % 2 == 0).all()


def test_errors_are_far_smaller_where_inputs_spike_together() -> None:
    rng = np.random.default_rng(1)
    weight, moments = rng.normal(0, 1, (20, 60)), correlated(rng, 60)
    made = Compensator(lambda connection: moments).quantize(Dense("a", "b", weight), 60.0)
    nearest = quantize_weight(weight, 60.0)
    assert membrane_error(weight, made, 60, moments) < 0.2 * membrane_error(weight, nearest, 60, moments)


@pytest.mark.parametrize("moments", [np.diag(np.arange(5.0)), np.zeros((5, 5))])
def test_inputs_that_have_nothing_in_common_are_rounded_one_by_one(moments: Array) -> None:
    weight = np.random.default_rng(0).normal(0, 1, (4, 5))
    made = Compensator(lambda connection: moments).quantize(Dense("a", "b", weight), 50.0)
    np.testing.assert_array_equal(made, quantize_weight(weight, 50.0))


def test_all_other_connections_are_rounded_to_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    weight = rng.normal(0, 1, (4, 6))
    conv = Conv("a", "b", rng.normal(0, 1, (2, 1, 3)), (1, 8))
    monkeypatch.setattr(compensation, "LARGEST", 5)

    def never(connection: Dense) -> Array:
        raise AssertionError(f"moments of {connection.name} were asked for")

    for connection in (conv, Sparse.from_matrix("a", "b", weight), Dense("a", "b", weight)):
        made = Compensator(never).quantize(connection, 60.0)
        np.testing.assert_array_equal(made, quantize_weight(connection.weight, 60.0))


def test_moments_are_asked_for_once() -> None:
    asked = []

    def moments(connection: Dense) -> Array:
        asked.append(connection.name)
        return np.eye(6)

    compensator, dense = Compensator(moments), Dense("a", "b", np.ones((2, 6)))
    for scale in (10.0, 20.0):
        assert (compensator.quantize(dense, scale) == scale).all()
    assert asked == ["a->b"]


def test_moments_are_those_of_currents_and_membranes_without_reset() -> None:
    """By hand: one input spikes at step 0, the other at step 1; alpha 1/2, beta 1/4, three steps, one sample of two."""
    populations = (Population("input", (2,)), Population("out", (1,), Lif(1.0, 0.25, alpha=0.5)))
    network = Network(populations, (Dense("input", "out", np.ones((1, 2))),))
    spikes = np.zeros((3, 2, 2), np.uint8)
    spikes[0, 0, 0] = spikes[1, 0, 1] = 1
    early, late = np.array([1, 0.75, 0.4375]), np.array([0, 1, 0.75])
    expected = np.array([[early @ early, early @ late], [early @ late, late @ late]]) / 6
    np.testing.assert_allclose(observe(network, spikes).moments(network.connections[0]), expected)
    silent = observe(network, random_spikes(0, 3, 2, 2) * 0).moments(network.connections[0])
    np.testing.assert_array_equal(silent, 0)
