"""Augmented motion signals: turned, scaled and shifted, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from aspen.data import MotionAugmentation
from aspen.data.datasets import Samples
from aspen.errors import InputError


def recording(windows: int, steps: int = 16) -> Samples:
    """Half overlapping windows of one long signal of nine channels, and one window of another."""
    rng = np.random.default_rng(3)
    long = rng.normal(size=(steps // 2 * (windows + 1), 9)).astype(np.float32)
    parts = [long[i * steps // 2 : i * steps // 2 + steps] for i in range(windows)]
    parts.append(rng.normal(size=(steps, 9)).astype(np.float32))
    return Samples(np.stack(parts), np.zeros(windows + 1, np.int64))


def test_a_turned_window_keeps_lengths_and_angles_between_its_signals() -> None:
    samples = recording(5)
    new = MotionAugmentation(rotation=40.0, scale=0.0, overlap=0)(samples, np.random.default_rng(0))
    before, after = (v.reshape(6, 16, 3, 3) for v in (samples.values, new))
    products = [np.einsum("ntia,ntja->ntij", v, v) for v in (before, after)]
    np.testing.assert_allclose(*products, atol=1e-4)
    assert np.abs(after - before).max() > 0.1
    volumes = [np.linalg.det(v.astype(np.float64)) for v in (before, after)]
    np.testing.assert_allclose(*volumes, atol=1e-4)  # turned, not mirrored


def test_the_factor_acts_on_the_moving_channels_of_a_whole_window() -> None:
    samples = recording(4)
    new = MotionAugmentation(rotation=0.0, scale=0.3, overlap=0)(samples, np.random.default_rng(0))
    ratio = new / samples.values
    np.testing.assert_allclose(ratio[..., 6:], 1.0, atol=1e-6)
    factors = ratio[:, 0, 0]
    np.testing.assert_allclose(ratio[..., :6], factors[:, None, None] * np.ones((1, 16, 6)), rtol=1e-4)
    assert len(np.unique(factors)) == 5


def test_windows_move_along_the_recording_where_the_next_one_goes_on() -> None:
    samples = recording(30)
    new = MotionAugmentation(rotation=0.0, scale=0.0, overlap=8)(samples, np.random.default_rng(1))
    joined = np.concatenate([samples.values[0], *(window[8:] for window in samples.values[1:30])])
    by = []
    for number in range(29):
        found = [
            k for k in range(8) if np.allclose(joined[number * 8 + k : number * 8 + k + 16], new[number], atol=1e-6)
        ]
        assert len(found) == 1
        by += found
    assert set(by) == set(range(8))
    np.testing.assert_allclose(new[29:], samples.values[29:], atol=1e-6)  # nothing goes on from the last two


def test_the_same_seed_gives_the_same_values_and_leaves_the_samples_alone() -> None:
    samples = recording(3)
    kept = samples.values.copy()
    one, two, other = (MotionAugmentation(overlap=8)(samples, np.random.default_rng(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)
    np.testing.assert_array_equal(samples.values, kept)
    assert one.dtype == np.float32


def test_channels_that_are_no_triples_are_refused() -> None:
    with pytest.raises(InputError, match=r"found shape \(1, 4, 2\), allowed is \(n, time, 3 x signals\)"):
        MotionAugmentation()(Samples(np.zeros((1, 4, 2), np.float32), np.zeros(1, np.int64)), np.random.default_rng(0))
    with pytest.raises(InputError, match="rotation: found -1"):
        MotionAugmentation(rotation=-1.0)
