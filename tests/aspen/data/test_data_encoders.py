"""Encoders: what they give, that streams agree with batches, and that they are fitted on training data only."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from snntorch import spikegen

from aspen.data import (
    CurrentEncoder,
    Dataset,
    DeltaEncoder,
    HarFeatures,
    LatencyEncoder,
    LevelEncoder,
    RateEncoder,
    Samples,
    SpikeEncoder,
    StoredEncoder,
    WindowEncoder,
)
from aspen.data.encoders import TOGETHER, EncoderStream
from aspen.errors import InputError

TEMPORAL = [
    DeltaEncoder(),
    DeltaEncoder(sensitivity=0.6, from_first=True),
    CurrentEncoder(),
    HarFeatures(),
    WindowEncoder(DeltaEncoder(), 8, 4),
    WindowEncoder(HarFeatures(), 5, 7, flat=False),
    WindowEncoder(CurrentEncoder(), 3, 3),
    LevelEncoder(HarFeatures(), 8, 4),
    LevelEncoder(CurrentEncoder(), 2, 1),
]


def signals(seed: int = 0, n: int = 4, steps: int = 40) -> Any:
    """(n, steps, 9) float32: slow and fast changes, as of a moving body."""
    rng = np.random.default_rng(seed)
    return (np.cumsum(rng.normal(0, 0.05, (n, steps, 9)), axis=1) + rng.normal(0, 0.02, (n, steps, 9))).astype("f4")


@pytest.mark.parametrize("encoder", TEMPORAL, ids=str)
def test_a_stream_gives_sample_by_sample_what_a_batch_gives(encoder: StoredEncoder) -> None:
    values = signals(1, 5, 43)
    fitted = encoder.fit(signals(0))
    batch = fitted.encode(values)
    stream = fitted.stream()
    for i, series in enumerate(values):
        steps = [stream.step(sample) for sample in series]
        np.testing.assert_array_equal(np.concatenate(steps), batch[:, i])
        assert steps[0].dtype == batch.dtype == (np.uint8 if fitted.gives == "spikes" else np.float32)
        stream.reset()


@given(st.integers(0, 2**32), st.floats(0.02, 2), st.booleans(), st.integers(1, 9), st.integers(1, 9))
def test_streams_of_random_signals_agree_with_batches(
    seed: int, sensitivity: float, from_first: bool, size: int, every: int
) -> None:
    values = signals(seed, 3, 30)
    encoder = WindowEncoder(DeltaEncoder((), sensitivity, from_first), size, every).fit(values)
    stream = encoder.stream()
    side_by_side = np.concatenate([stream.step(values[:, t]) for t in range(30)])
    np.testing.assert_array_equal(side_by_side, encoder.encode(values))
    assert len(side_by_side) == 1 + (30 - size) // every


@pytest.mark.parametrize("encoder", [RateEncoder(7), LatencyEncoder(7), RateEncoder(7, -1.0, 2.0, True)], ids=str)
def test_a_stream_of_single_values_gives_what_a_batch_of_one_gives(encoder: StoredEncoder) -> None:
    values = np.random.default_rng(0).random((3, 5), np.float32)
    for value in values:
        stream = encoder.stream(seed=11)
        first = stream.step(value)
        np.testing.assert_array_equal(first, encoder.encode(value[None], 11)[:, 0])
        stream.step(value)
        stream.reset()
        np.testing.assert_array_equal(stream.step(value), first)


def test_delta_spikes_when_the_value_has_moved_by_the_threshold() -> None:
    signal = np.array([0.0, 0.5, 0.9, 2.5, 2.5, 2.5, 1.0, -0.1])[None, :, None]
    spikes = DeltaEncoder((1.0,)).encode(signal)[:, 0]
    np.testing.assert_array_equal(spikes[:, 0], [0, 0, 0, 1, 1, 0, 0, 0])
    np.testing.assert_array_equal(spikes[:, 1], [0, 0, 0, 0, 0, 0, 1, 1])
    from_first = DeltaEncoder((1.0,), from_first=True).encode(signal + 5)[:, 0]
    np.testing.assert_array_equal(from_first, spikes)


def test_the_spikes_of_delta_follow_the_signal_within_a_threshold() -> None:
    values = np.sin(np.linspace(0, 9, 400))[None, :, None] * [0.3, 2.0]
    encoder = DeltaEncoder((0.05, 0.1))
    spikes = encoder.encode(values)[:, 0].astype(float)
    followed = np.cumsum(spikes[:, :2] - spikes[:, 2:], axis=0) * encoder.thresholds
    assert (np.abs(followed - values[0]) < np.array(encoder.thresholds) * 1.001).all()


def test_thresholds_are_fitted_to_each_channel() -> None:
    values = signals()
    wide = values * np.arange(1, 10, dtype=np.float32)
    fitted = DeltaEncoder(sensitivity=0.5).fit(wide)
    np.testing.assert_allclose(fitted.thresholds, 0.5 * wide.std(axis=(0, 1)), rtol=1e-5)
    with pytest.raises(InputError, match="found channel 2 constant"):
        DeltaEncoder().fit(values * [1, 1, 0, 1, 1, 1, 1, 1, 1])


def test_latency_is_what_snntorch_gives() -> None:
    values = np.random.default_rng(3).random((6, 11), np.float32)
    values[0, :3] = [0.0, 0.005, 1.0]
    wanted = spikegen.latency(
        torch.from_numpy(values), num_steps=9, threshold=0.01, clip=True, normalize=True, linear=True
    )
    spikes = LatencyEncoder(9).encode(values)
    np.testing.assert_array_equal(spikes, wanted.numpy())
    assert spikes[:, 0, 0].sum() == 0
    assert spikes[0, 0, 2] == 1


@pytest.mark.parametrize("kind", [RateEncoder, LatencyEncoder])
def test_a_fitted_range_is_that_of_the_training_data_and_clips(kind: type) -> None:
    fitted = kind(4).fit(np.array([[-2.0, 6.0], [0.0, 2.0]]))
    assert (fitted.low, fitted.high) == (-2.0, 6.0)
    np.testing.assert_allclose(fitted.scaled(np.array([-9.0, 0.0, 2.0, 6.0, 7.0])), [0, 0.25, 0.5, 1, 1])
    with pytest.raises(InputError, match=r"found NaN or values outside -2 to 6"):
        fitted.encode(np.array([np.nan]))
    with pytest.raises(InputError, match="found none or all alike"):
        kind(4).fit(np.ones(3))


def test_current_is_standardised_with_the_training_data() -> None:
    values = signals() * 3 + 1
    values[:, :, 4] = 2.0
    current = CurrentEncoder().fit(values).encode(values)
    expected = [0 if c == 4 else 1 for c in range(9)]
    np.testing.assert_allclose(current.std(axis=(0, 1)), expected, atol=1e-4)
    np.testing.assert_allclose(current.mean(axis=(0, 1)), 0, atol=1e-4)
    np.testing.assert_array_equal(CurrentEncoder().encode(values), values.transpose(1, 0, 2))


def test_har_features_are_the_formulas() -> None:
    x = signals(5, 2, 6).astype(np.float64)
    features = HarFeatures().encode(x.astype(np.float32))
    assert features.shape == (6, 2, 21)
    x = x.transpose(1, 0, 2)
    d = np.array([0.005] * 3 + [0.02] * 3)
    change = np.diff(x[..., :6], axis=0, prepend=x[:1, ..., :6])
    wanted = [
        np.arcsinh(x[..., :6] / d) / 1.5,
        (x[..., 6:] - x[..., :3] - [0.8, 0, 0]) / 0.4,
        np.log(np.sqrt(x[..., :6] ** 2 + (0.4 * d) ** 2) / (0.4 * d)) / 1.5 - 0.7,
        np.log(np.sqrt(change**2 + (0.2 * d) ** 2) / (0.2 * d)) / 1.5 - 0.7,
    ]
    np.testing.assert_allclose(features, np.concatenate(wanted, axis=-1), rtol=1e-4, atol=1e-4)
    windowed = WindowEncoder(HarFeatures(), 8, 4).encode(signals(0, 2, 128))
    assert windowed.shape == (31, 2, 168)


def test_levels_give_one_spike_per_channel_on_the_line_of_its_mean() -> None:
    values = np.array([[[0.0, 5.0], [1.0, 7.0], [2.0, 1.0], [4.0, 1.0], [9.0, 9.0]]], np.float32)
    spikes = LevelEncoder(CurrentEncoder(), 3, 2, (0.4, 2.0, 1.0, 5.0)).encode(values)
    assert spikes.dtype == np.uint8
    np.testing.assert_array_equal(
        spikes[:, 0], [[0, 1, 0, 0, 0, 1], [0, 0, 1, 1, 0, 0]]
    )  # the fifth sample is left over


def test_levels_are_fitted_to_be_busy_alike() -> None:
    encoder = LevelEncoder(CurrentEncoder(), 4, 2).fit(signals(0, 20, 40))
    busy = encoder.encode(signals(0, 20, 40)).mean(axis=(0, 1)).reshape(9, 4)
    np.testing.assert_allclose(busy, 0.25, atol=0.01)


def test_windows_show_the_last_samples_oldest_first() -> None:
    values = np.arange(24.0).reshape(1, 12, 2)
    windows = WindowEncoder(CurrentEncoder(), 4, 3, flat=False).encode(values)
    assert windows.shape == (3, 1, 2, 4)
    np.testing.assert_array_equal(windows[1, 0], values[0, 3:7].T)
    flat = WindowEncoder(CurrentEncoder(), 4, 3).encode(values)
    np.testing.assert_array_equal(flat, windows.reshape(3, 1, 8))


def test_spikes_pass_unchanged() -> None:
    values = np.random.default_rng(0).integers(0, 2, (3, 5, 2, 4))
    np.testing.assert_array_equal(SpikeEncoder().encode(values), values.transpose(1, 0, 2, 3))
    np.testing.assert_array_equal(SpikeEncoder().stream().step(values[0, 0]), values[0, :1])
    with pytest.raises(InputError, match="found others than 0 and 1"):
        SpikeEncoder().encode(values * 2)


def test_an_encoder_is_fitted_on_training_samples_only() -> None:
    values = signals(0, 30)
    values[10:] *= 100
    parts = [Samples(values[i : i + 10], np.zeros(10, np.int64)) for i in (0, 10, 20)]
    data = Dataset("three", *parts, SpikeEncoder(), 1).with_encoder(WindowEncoder(DeltaEncoder(), 4, 2))
    assert isinstance(data.encoder, WindowEncoder)
    assert data.encoder.inner == DeltaEncoder().fit(values[:10])
    assert data.input_shape == data.spikes("test").shape[2:] == (72,)


def test_what_cannot_be_encoded_is_refused() -> None:
    with pytest.raises(InputError, match=r"thresholds: found none, allowed is one for each channel; call fit"):
        DeltaEncoder().encode(signals())
    delta = DeltaEncoder((0.1, 0.2))
    with pytest.raises(InputError, match=r"found shape \(4, 9\), the encoder's thresholds are for 2 channels"):
        delta.encode(signals())
    with pytest.raises(InputError, match=r"values: found shape \(4, 2\), allowed is \(batch, time, channels\)"):
        delta.encode(np.zeros((4, 2)))
    with pytest.raises(InputError, match=r"found shape \(3, 4, 5\), allowed are 9 channels"):
        HarFeatures().stream().step(np.zeros((3, 4, 5)))
    with pytest.raises(InputError, match="found 5 time steps, the encoder needs more"):
        WindowEncoder(CurrentEncoder(), 6).encode(np.zeros((1, 5, 2)))
    stream = delta.stream()
    with pytest.raises(InputError, match="sample: found float64 values with NaN"):
        stream.step(np.array([0.1, np.nan]))
    stream.step(np.zeros(2))
    with pytest.raises(InputError, match=r"sample: found shape \(3, 2\), this stream has had \(2,\)"):
        stream.step(np.zeros((3, 2)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RateEncoder(2.5), "steps: found 2.5, allowed is an integer"),
        (lambda: RateEncoder(5, 1.0, 1.0), "high - low: found 0.0, allowed is a number above 0"),
        (lambda: LatencyEncoder(5, clip=1), "clip: found 1, allowed is true or false"),
        (lambda: LatencyEncoder(5, silent=-1.0), "silent: found -1.0, allowed is a number from 0"),
        (lambda: DeltaEncoder((0.1, 0.0)), "thresholds: found 0.0, allowed is a number above 0"),
        (lambda: DeltaEncoder([0.1]), r"thresholds: found \[0.1\], allowed is a tuple"),
        (lambda: DeltaEncoder((0.1, 10**400)), "thresholds: found 1000"),
        (lambda: DeltaEncoder(sensitivity=0), "sensitivity: found 0, allowed is a number above 0"),
        (lambda: DeltaEncoder(from_first=0), "from_first: found 0"),
        (lambda: CurrentEncoder((0.0,), (1.0, 1.0)), "scale: found 2 numbers beside 1"),
        (lambda: CurrentEncoder((0.0,)), r"scale: found \(\), allowed is a tuple"),
        (lambda: HarFeatures(gravity=(1.0,)), "gravity: found 1 numbers, allowed are 3"),
        (lambda: HarFeatures(acceleration=float("nan")), "acceleration: found nan"),
        (lambda: WindowEncoder(RateEncoder()), "inner: found RateEncoder"),
        (lambda: LevelEncoder(DeltaEncoder()), "inner: found DeltaEncoder"),
        (lambda: LevelEncoder(WindowEncoder(HarFeatures())), "without a window"),
        (lambda: LevelEncoder(HarFeatures(), 1), "levels: found 1, allowed is an integer from 2"),
        (lambda: LevelEncoder(HarFeatures(), 3, 4, (0.0, 1.0, 2.0)), "found 3 numbers, allowed are 2 for each channel"),
        (lambda: LevelEncoder(HarFeatures(), 3, 4, (1.0, 0.0)), "edges: found some that fall"),
        (lambda: LevelEncoder(CurrentEncoder()).stream(), "edges: found none"),
        (lambda: LevelEncoder(CurrentEncoder()).fit(np.zeros((1, 3, 2))), "fewer than 4 samples"),
        (lambda: LevelEncoder(CurrentEncoder(), 2, 1, (0.0,)).encode(np.zeros((1, 3, 2))), "found 2 channels"),
        (lambda: WindowEncoder(WindowEncoder(HarFeatures())), "not a window"),
        (lambda: WindowEncoder(HarFeatures(), 0), "size: found 0, allowed is an integer from 1"),
        (lambda: WindowEncoder(HarFeatures(), flat=1), "flat: found 1"),
    ],
)
def test_settings_that_are_not_allowed_are_refused(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_an_encoder_without_a_stream_cannot_be_made() -> None:
    kind = type("Half", (StoredEncoder,), {"kind": "half"})
    with pytest.raises(TypeError, match="stream"):
        kind()


@pytest.mark.parametrize(
    "encoder", [HarFeatures(), LevelEncoder(HarFeatures(), 8, 4), LevelEncoder(CurrentEncoder(), 3, 2)]
)
def test_a_batch_gives_what_each_of_its_samples_gives_alone(encoder: StoredEncoder) -> None:
    values = signals(3, 2 * TOGETHER + 1, 11)  # more than are encoded together, and some left over
    fitted = encoder.fit(values)
    alone = [fitted.encode(values[i : i + 1])[:, 0] for i in range(len(values))]
    np.testing.assert_array_equal(fitted.encode(values), np.stack(alone, axis=1))


def test_a_stream_of_ones_own_is_what_is_encoded() -> None:
    class Halved(HarFeatures):
        kind = "halved"

        def stream(self, seed: int = 0) -> EncoderStream:
            whole = super().stream(seed)
            return EncoderStream(lambda sample: whole.step(sample) / 2, whole.reset)

    values = signals(0, 2, 12)
    np.testing.assert_array_equal(Halved().encode(values), HarFeatures().encode(values) / 2)

    class Inverted(LevelEncoder):
        kind = "inverted"

        def stream(self, seed: int = 0) -> EncoderStream:
            whole = super().stream(seed)
            return EncoderStream(lambda sample: 1 - whole.step(sample), whole.reset)

    levels = LevelEncoder(HarFeatures(), 3, 4, tuple(np.linspace(-1, 1, 42)))
    inverted = Inverted(HarFeatures(), 3, 4, tuple(np.linspace(-1, 1, 42)))
    np.testing.assert_array_equal(inverted.encode(values), 1 - levels.encode(values))
