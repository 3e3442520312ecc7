"""The LIF step against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from aspen.network.network import Dense, FixedLif, Lif, Network, Population
from aspen_emulator.engines.lif import LifState, lif_step, overflows, scaled_threshold
from aspen_emulator.engines.reference import Stepper


def run_one(
    neuron: Lif | FixedLif, drives: list[float], scales: list[float] | None = None
) -> tuple[list[int], list[float]]:
    """Spikes and membranes of one neuron, step by step."""
    state = LifState.zeros(1, 1, neuron)
    spikes, membranes = [], []
    for drive, scale in zip(drives, scales or [1.0] * len(drives), strict=True):
        dtype = np.int64 if isinstance(neuron, FixedLif) else np.float64
        spike, _ = lif_step(state, np.array([[drive]], dtype), scaled_threshold(neuron, np.array([[scale]])), neuron)
        spikes.append(int(spike[0, 0]))
        membranes.append(state.v[0, 0].item())
    return spikes, membranes


@pytest.mark.parametrize(
    ("reset", "spikes", "membranes"),
    [
        ("zero", [0, 1, 0, 1], [1.0, 0.0, 1.0, 0.0]),
        ("subtract", [0, 1, 1, 1], [1.0, 0.5, 0.25, 0.125]),
        ("subtract-delayed", [0, 1, 0, 1], [1.0, 1.5, 0.75, 1.375]),
        ("none", [0, 1, 1, 1], [1.0, 1.5, 1.75, 1.875]),
    ],
)
def test_each_reset_by_hand(reset: str, spikes: list[int], membranes: list[float]) -> None:
    neuron = Lif(threshold=1.0, beta=0.5, reset=reset)
    assert run_one(neuron, [1.0] * 4) == (spikes, [pytest.approx(v) for v in membranes])


def test_a_membrane_equal_to_the_threshold_does_not_fire() -> None:
    assert run_one(Lif(threshold=1.0, beta=0.0), [1.0, np.nextafter(1.0, 2.0)])[0] == [0, 1]


def test_guarded_subtraction_fires_only_above_twice_the_threshold_while_the_membrane_is_left_above_it() -> None:
    spikes, membranes = run_one(Lif(threshold=1.0, beta=1.0, reset="subtract-guarded"), [2.5, 0.25, 0.5])
    # 2.5 fires and leaves 1.5 > 1; 1.75 - 1 = 0.75 does not fire and gets its subtraction back: 1.75; 2.25 - 1 fires
    assert (spikes, membranes) == ([1, 0, 1], [1.5, 1.75, 1.25])


def test_delayed_subtraction_takes_the_threshold_under_which_the_spike_was_fired() -> None:
    spikes, membranes = run_one(Lif(threshold=1.0, beta=1.0, reset="subtract-delayed"), [3.0, 0.0], [2.0, 0.5])
    assert (spikes, membranes) == ([1, 1], [3.0, 1.0])  # 3 - 2 (not 3 - 0.5), and 1 > 0.5 fires


def test_current_decays_before_the_input_arrives() -> None:
    assert run_one(Lif(threshold=10.0, beta=0.0, alpha=0.5), [1.0, 1.0, 0.0])[1] == [1.0, 1.5, 0.75]


def test_integer_decay_is_sign_magnitude() -> None:
    neuron = FixedLif(threshold=1000, voltage_decay=2048)
    # drive 1 -> 64; half of 64 is 32; and the same below zero, where a plain shift would round away from zero
    assert run_one(neuron, [1, 0, 0, 0, 0, 0, 0, 0])[1] == [64, 32, 16, 8, 4, 2, 1, 0]
    assert run_one(neuron, [-1, 0, 0, 0, 0, 0, 0, 0])[1] == [-64, -32, -16, -8, -4, -2, -1, 0]


def test_current_wraps_at_24_bits_and_membrane_saturates() -> None:
    keep = FixedLif(threshold=131071, voltage_decay=0, current_decay=4095)
    wrapped = run_one(keep, [2**17 + 1])[1]
    assert wrapped == [-(2**23) + 64]
    assert run_one(keep, [2**17])[1] == [
        0
    ]  # 2^23 itself does not wrap; it saturates, fires (2^23-1 > 131071 << 6), resets
    assert run_one(keep, [-(2**17) + 1, -(2**17) + 1])[1] == [-(2**23) + 64, -(2**23) + 1]


def test_bias_is_mantissa_shifted_by_exponent() -> None:
    neuron = FixedLif(threshold=1000, voltage_decay=0, bias_mantissa=-3, bias_exponent=4)
    assert run_one(neuron, [0, 0])[1] == [-48, -96]


def test_scaled_mantissas_are_rounded_to_the_nearest_integer_halves_up() -> None:
    neuron = FixedLif(threshold=[1, 2, 3, 5], voltage_decay=0)
    assert (scaled_threshold(neuron, np.array([[0.5]])) >> 6).tolist() == [[1, 1, 2, 3]]


def test_overflows_are_counted_before_they_happen() -> None:
    neuron = FixedLif(threshold=131071, voltage_decay=0)
    state = LifState.zeros(1, 4, neuron)
    drive = np.array([[2**17 + 1, 2**17, -(2**17), 5]], np.int64)  # wraps, just fits, wraps, small
    assert overflows(state, drive, neuron) == (2, 2)
    lif_step(state, drive, scaled_threshold(neuron, np.ones((1, 1))), neuron)
    assert overflows(state, np.zeros((1, 4), np.int64), neuron) == (0, 0)


def test_a_stepper_adds_up_what_leaves_24_bits() -> None:
    """Neuron 0's current wraps around at each of four steps, and pulls its membrane down; neuron 1 has just room."""
    weight = 255 * np.array([[1, 1, 1, 1, 1], [-1, -1, -1, -1, 0]])
    populations = (Population("in", (5,)), Population("out", (2,), FixedLif(131071, voltage_decay=0)))
    stepper = Stepper(Network(populations, (Dense("in", "out", weight, exponent=7),)), 1, watch=True)
    for found in ((1, 0), (2, 2), (3, 4), (4, 6)):  # from the second step on both membranes are clipped
        stepper.step(np.ones((1, 5), np.uint8), {"out": np.full((1, 1), 2**23)})
        assert stepper.overflows["out"] == found


def test_late_reset_to_zero_discards_the_step_after_the_spike() -> None:
    spikes, membranes = run_one(Lif(threshold=1.0, beta=0.5, reset="zero-delayed"), [2.0, 9.0, 0.5, 1.0])
    assert (spikes, membranes) == ([1, 0, 0, 1], [2.0, 0.0, 0.5, 1.25])
