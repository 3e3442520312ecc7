"""Features of motion in integers: as near to those in floating point as their tables say, and what comes after them."""

from __future__ import annotations

import numpy as np
import pytest

from aspen.data import HarFeatures, LevelEncoder, WindowEncoder
from aspen_hardware import Sensor
from aspen_hardware.c.sensing.features import FixedFeatures, exp2_by_table, log2_by_table
from aspen_hardware.c.sensing.sensor import HIGHEST, LOWEST
from tests.hardware.c.sensing.test_c_encoders import as_measured, fixed, network_for

SENSOR = Sensor((1 / 8192,) * 3 + (0.001,) * 3 + (1 / 4096,) * 3, (0.0, 0.01, -0.02, 0.0, 0.1, 0.0, 0.0, 0.0, 0.0))
RNG = np.random.default_rng(8)
MOTION = np.concatenate([RNG.normal(0, spread, (2, 40, 9)) for spread in (0.003, 0.1, 2.0)], axis=1)
RAW = SENSOR.raw(MOTION + np.array([0.0] * 6 + [0.9, 0.1, 0.2]))
RAW[0, -3:] = [[LOWEST] * 9, [HIGHEST] * 9, [0] * 9]


def test_tables_are_as_near_as_they_say() -> None:
    values = np.concatenate([2 ** np.arange(54), RNG.integers(1, 2**53, 500), np.arange(1, 300)])
    assert np.abs(log2_by_table(values) / 2**16 - np.log2(values.astype(float))).max() < 3e-5
    logs = RNG.integers(12 * 2**16, 27 * 2**16, 500)
    assert np.abs(exp2_by_table(logs) / 2 ** (logs / 2**16) - 1).max() < 3e-4  # of integers from 4096 on
    assert exp2_by_table(np.array([0, 2**16, 30 * 2**16])).tolist() == [1, 2, 2**30]


def test_features_are_those_of_the_values() -> None:
    features, last, found = FixedFeatures.of(HarFeatures(), SENSOR), None, []
    for sample in RAW.swapaxes(0, 1).astype(np.int64):
        integers, last = features(sample, last)
        assert np.abs(integers).max() < 2**23  # sums of 256 have 32 bits
        found.append(integers * [float(slope) for slope, _ in features.lines] + [float(b) for _, b in features.lines])
    wanted = as_measured(HarFeatures(), SENSOR, RAW)
    assert np.abs(np.stack(found) - wanted).max() < 1e-4
    assert np.ptp(wanted, axis=(0, 1)).min() > 1


def test_levels_of_features_are_those_of_the_values() -> None:
    encoder = LevelEncoder(HarFeatures(), levels=8, every=4).fit(SENSOR.values(RAW))
    found = fixed(encoder, 168, SENSOR).encode(RAW)
    different = (found != as_measured(encoder, SENSOR, RAW)).any(axis=-1).mean()
    assert different < 0.2  # of 21 levels at a time; edges were fitted to these very means
    assert found.sum(axis=-1).tolist() == [[21, 21]] * 30
    apart = LevelEncoder(HarFeatures(), 8, 4, tuple(edge + 1e-3 for edge in encoder.edges))
    np.testing.assert_array_equal(fixed(apart, 168, SENSOR).encode(RAW), as_measured(apart, SENSOR, RAW))


@pytest.mark.parametrize("encoder", [HarFeatures(), WindowEncoder(HarFeatures(), 8, 4)])
def test_values_of_features_are_those_of_the_graded_input(encoder: HarFeatures | WindowEncoder) -> None:
    inputs = 21 if isinstance(encoder, HarFeatures) else 168
    graded = network_for(inputs, current=True).input.graded
    assert graded is not None
    found, wanted = fixed(encoder, inputs, SENSOR).encode(RAW), graded.encode(as_measured(encoder, SENSOR, RAW))
    assert np.abs(found - wanted).max() <= 1
    assert (found != wanted).mean() < 0.03
