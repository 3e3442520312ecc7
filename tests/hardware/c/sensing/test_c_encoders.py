"""Encoders in integers: what each does, how near it is to the one that it takes the place of, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aspen.data import (
    CurrentEncoder,
    DeltaEncoder,
    HarFeatures,
    LatencyEncoder,
    LevelEncoder,
    RateEncoder,
    SpikeEncoder,
    StaticEncoder,
    WindowEncoder,
)
from aspen.data.encoders import StoredEncoder
from aspen.errors import ChipError, InputError
from aspen.network import Dense, FixedLif, GradedInput, Network, Population
from aspen_hardware import Deployment, Sensor, sensor_encoder, to_c
from aspen_hardware.c.sensing.fixed import FixedDelta, FixedEncoder, FixedLatency, FixedLevels, xorshift32
from aspen_hardware.c.sensing.sensor import HIGHEST, LOWEST, Line

RNG = np.random.default_rng(3)
ACCELEROMETER = Sensor(scale=1 / 16384)
WALK = np.cumsum(RNG.normal(0, 0.03, (2, 160, 3)), axis=1)  # (batch, time, channels), in g
RAW = ACCELEROMETER.raw(WALK)


def network_for(inputs: int, current: bool = False, **given: object) -> Network:
    graded = GradedInput(peak=2.0, bits=12) if current else None
    layers = Population("in", (inputs,), current=current, graded=graded), Population("out", (2,), FixedLif(100, 400))
    return Network(layers, (Dense("in", "out", np.ones((2, inputs), int)),))


def fixed(encoder: StoredEncoder, inputs: int, sensor: Sensor = ACCELEROMETER) -> FixedEncoder:
    return sensor_encoder(encoder, sensor, network_for(inputs, encoder.gives == "current"))


def as_measured(encoder: StoredEncoder, sensor: Sensor = ACCELEROMETER, raw: np.ndarray = RAW) -> np.ndarray:
    """What the encoder in floating point makes of the values that the raw integers stand for."""
    return encoder.encode(sensor.values(raw))


@pytest.mark.parametrize("sensor", [ACCELEROMETER, Sensor((0.001, 0.002, 0.0005), (0.5, -0.25, 0.0))])
@pytest.mark.parametrize("every", [1, 4])
def test_levels_are_those_of_the_values(sensor: Sensor, every: int) -> None:
    raw = sensor.raw(WALK)
    encoder = LevelEncoder(CurrentEncoder(), levels=8, every=every).fit(sensor.values(raw))
    made = fixed(encoder, 24, sensor)
    assert isinstance(made, FixedLevels)
    found, wanted = (
        each.reshape(-1, 2, 3, 8).argmax(-1) for each in (made.encode(raw), as_measured(encoder, sensor, raw))
    )
    sums = raw.astype(int).reshape(2, -1, every, 3).sum(axis=2).swapaxes(0, 1)
    on_edge = (sums[..., None] == made.edges).any(axis=-1)
    np.testing.assert_array_equal(found[~on_edge], wanted[~on_edge])
    assert (found != wanted).mean() < 0.01  # float32 rounds four samples one way or the other


def test_levels_are_those_of_the_values_where_edges_lie_on_samples() -> None:
    """Quantiles of a sensor's samples are some of these: float32 rounds both, and neither lies above the other."""
    sensor, raw = Sensor(0.01, 3.0), np.arange(-500, 500, dtype=np.int16).reshape(1, -1, 1)
    edges = tuple(float(np.float32(value)) for value in sensor.values(raw)[0, 1::13, 0])
    encoder = LevelEncoder(CurrentEncoder(), levels=len(edges) + 1, every=1, edges=edges)
    np.testing.assert_array_equal(fixed(encoder, len(edges) + 1, sensor).encode(raw), as_measured(encoder, sensor, raw))


def test_levels_are_exact_where_a_sum_is_an_edge() -> None:
    encoder = LevelEncoder(CurrentEncoder(), levels=2, every=2, edges=(0.5,))
    found = fixed(encoder, 2, Sensor(0.25)).encode(np.array([[[2], [2], [2], [3], [3], [1]]], np.int16))
    assert found[:, 0].tolist() == [[1, 0], [0, 1], [1, 0]]  # a mean of 0.5 is not above 0.5
    found = fixed(replace(encoder, edges=(-0.6,)), 2, Sensor(0.25)).encode(
        np.array([[[-2], [-2], [-2], [-3]]], np.int16)
    )
    assert found[:, 0].tolist() == [[0, 1], [1, 0]]  # sums of -4 and -5, edge at -4.8


def test_levels_beyond_the_sensor_are_never_reached_or_always_left() -> None:
    encoder = LevelEncoder(CurrentEncoder(), levels=3, every=1, edges=(-9.0, 9.0))
    made = fixed(encoder, 3)
    assert isinstance(made, FixedLevels)
    assert made.edges.tolist() == [[LOWEST - 1, HIGHEST]]
    assert made.encode(np.array([[[LOWEST], [HIGHEST]]]))[:, 0].tolist() == [[0, 1, 0], [0, 1, 0]]


@pytest.mark.parametrize("from_first", [False, True])
def test_delta_spikes_as_the_values_do(from_first: bool) -> None:
    encoder = DeltaEncoder((0.05, 0.1, 0.02), from_first=from_first)
    np.testing.assert_array_equal(fixed(encoder, 6).encode(RAW), as_measured(encoder))


def test_delta_starts_where_the_value_is_0_and_catches_up_with_jumps() -> None:
    made = fixed(DeltaEncoder((1.0,)), 2, Sensor(scale=0.5, offset=2.0))
    assert isinstance(made, FixedDelta)
    assert made.references == (-4 * 2**14,)
    found = made.encode(np.array([[[0], [0], [0], [-4], [-4], [-4]]]))  # values 2, 2, 2, 0, 0, 0
    assert found[:, 0].tolist() == [[1, 0], [1, 0], [0, 0], [0, 1], [0, 1], [0, 0]]


def test_delta_from_end_to_end_of_the_sensor_does_not_overflow() -> None:
    made = fixed(DeltaEncoder((4.0,)), 2, Sensor(scale=1 / 16384, offset=4.0))  # 0 lies 65,536 units beyond its range
    found = made.encode(np.array([[[LOWEST]] * 3 + [[HIGHEST]] * 3]))
    assert found[:, 0, 0].tolist() == [0, 0, 0, 1, 0, 0]


@pytest.mark.parametrize("inner", [CurrentEncoder((0.1, 0.0, -0.2), (0.1, 0.25, 1.0)), CurrentEncoder()])
def test_values_are_those_of_the_graded_input(inner: CurrentEncoder) -> None:
    network = network_for(3, current=True)
    found = sensor_encoder(inner, ACCELEROMETER, network).encode(RAW)
    assert network.input.graded is not None
    np.testing.assert_array_equal(found, network.input.graded.encode(as_measured(inner)))
    assert np.abs(found).max() == 2047 if inner.offset else True  # some are cut


@pytest.mark.parametrize(("size", "every"), [(8, 4), (3, 5), (4, 4), (1, 2)])
def test_windows_show_what_the_values_would(size: int, every: int) -> None:
    delta = WindowEncoder(DeltaEncoder((0.05, 0.1, 0.02)), size, every)
    np.testing.assert_array_equal(fixed(delta, 6 * size).encode(RAW), as_measured(delta))
    current = WindowEncoder(CurrentEncoder(), size, every, flat=True)
    graded = network_for(3 * size, current=True).input.graded
    assert graded is not None
    np.testing.assert_array_equal(fixed(current, 3 * size).encode(RAW), graded.encode(as_measured(current)))


@pytest.mark.parametrize(("silent", "steps"), [(0.01, 7), (0.5, 3), (3.0, 2)])
def test_latency_is_that_of_the_values_at_every_raw_integer(silent: float, steps: int) -> None:
    encoder = LatencyEncoder(steps=steps, low=-1.0, high=1.5, clip=True, silent=silent)
    raw = np.arange(LOWEST, HIGHEST + 1).reshape(2, -1)
    np.testing.assert_array_equal(fixed(encoder, 2**15).encode(raw), as_measured(encoder, raw=raw))


def test_rates_are_the_values() -> None:
    made = fixed(RateEncoder(steps=20000), 3, Sensor(1 / 16))
    found = made.encode(np.array([[0, 4, 16]]))
    assert found[:, 0].mean(axis=0).round(2).tolist() == [0.0, 0.25, 1.0]
    np.testing.assert_array_equal(found, made.encode(np.array([[-5, 4, 99]])))  # cut to the range


def test_a_stream_of_rates_goes_on_with_its_random_numbers() -> None:
    stream = fixed(RateEncoder(steps=4), 3, Sensor(1 / 16)).stream()
    sample = np.array([8, 8, 8])
    first, second = stream.step(sample), stream.step(sample)
    assert (first != second).any()
    stream.reset()
    np.testing.assert_array_equal(stream.step(sample), first)


def test_random_numbers_are_those_that_were_published() -> None:
    assert xorshift32(2463534242) == 723471715


def test_a_static_value_is_given_at_every_step() -> None:
    found = fixed(StaticEncoder(steps=3), 2, Sensor(0.001)).encode(np.array([[1000, -500]]))
    assert found[:, 0].tolist() == [[1024, -512]] * 3  # 2047 / 2 of the graded input for each unit, halves up


def test_lines_round_halves_up_and_share_a_shift() -> None:
    line = Line.nearest([Fraction(1, 2), Fraction(30)], [Fraction(0), Fraction(-1)])
    assert line(np.array([[3, 1], [-3, -1], [-32768, 32767]])).tolist() == [[2, 29], [-1, -31], [-16384, 983009]]


def test_a_sensor_measures_what_it_can() -> None:
    sensor = Sensor(scale=(0.5, 2.0), offset=(1.0, 0.0))
    assert sensor.raw(np.array([[2.0, 1e9], [0.2, -1e9]])).tolist() == [[2, HIGHEST], [-2, LOWEST]]
    assert sensor.values(np.array([2, -2])).tolist() == [2.0, -4.0]


FITTED = DeltaEncoder((0.1,))


@pytest.mark.parametrize(
    ("encoder", "sensor", "inputs", "message"),
    [
        (LevelEncoder(HarFeatures(), 2, edges=(0.0,) * 20), ACCELEROMETER, 40, "found levels of 20 features, of 4"),
        (LevelEncoder(HarFeatures(), 2, 257, (0.0,) * 21), ACCELEROMETER, 42, "21 features, of 257 samples each"),
        (HarFeatures(), Sensor(0.01), 21, "found resolutions of 0.5 to 2 raw units"),
        (HarFeatures(), Sensor(1e-4, 5.0), 21, "zeros up to 50000, .*check its scale and offset"),
        (WindowEncoder(SpikeEncoder(), 2), ACCELEROMETER, 42, "found a window of spikes, allowed in C are"),
        (SpikeEncoder(), ACCELEROMETER, 2, "found spikes, allowed in C .*give them to the step function"),
        (DeltaEncoder(), ACCELEROMETER, 2, r"thresholds: found none, .*call fit"),
        (LevelEncoder(CurrentEncoder()), ACCELEROMETER, 2, r"edges: found none, .*call fit"),
        (FITTED, ACCELEROMETER, 4, "found 2 outputs, the network has 4 inputs"),
        (
            FITTED,
            Sensor((1.0, 2.0)),
            2,
            "scale: found 2 numbers, allowed is one, or one for each of the encoder's 1 channels",
        ),
        (FITTED, Sensor(1e-7), 2, r"one of 1e\+06 raw units in channel 0, .*check the sensor's scale"),
        (FITTED, Sensor(1e6), 2, "one of 0 raw units in channel 0"),
        (FITTED, Sensor(0.01, 1000.0), 2, "a value of 0 at -100000 raw units in channel 0, .*from_first=True"),
        (CurrentEncoder(), Sensor(1e9), 2, r"worth 1.0\d*e\+12 of the network's integers"),
        (LatencyEncoder(), Sensor((1.0, 2.0)), 2, "channels of several scales, allowed for latency is one"),
        (RateEncoder(steps=2**17), ACCELEROMETER, 2, "found 131072 steps, allowed in C are 65535"),
        (FITTED, 0.1, 2, "sensor: found 0.1, allowed is a Sensor"),
        ("delta", ACCELEROMETER, 2, "encoder: found 'delta', allowed is one of aspen.data"),
    ],
)
def test_what_integers_cannot_do_is_refused(encoder: StoredEncoder, sensor: Sensor, inputs: int, message: str) -> None:
    current = getattr(encoder, "gives", "spikes") == "current"
    with pytest.raises(InputError, match=message):
        sensor_encoder(encoder, sensor, network_for(inputs, current))


@pytest.mark.parametrize("given", [None, "net.aspen", 7])
def test_an_encoder_for_what_is_no_network_is_refused(given: Any) -> None:
    with pytest.raises(InputError, match=r"network: found \w+, allowed is aspen.Network"):
        sensor_encoder(FITTED, ACCELEROMETER, given)


def test_an_encoder_for_another_kind_of_input_is_refused() -> None:
    with pytest.raises(InputError, match="found delta, which gives spikes, the network takes current"):
        sensor_encoder(FITTED, ACCELEROMETER, network_for(2, current=True))
    biased = Population("in", (2,), FixedLif(100, 400), current=True), Population("out", (2,), FixedLif(100, 400))
    network = Network(biased, (Dense("in", "out", np.ones((2, 2), int)),))
    with pytest.raises(InputError, match=r"in: found currents that a host computes, .*such as cortex-m"):
        sensor_encoder(CurrentEncoder(), ACCELEROMETER, network)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), (), ("a",)])
def test_a_scale_that_is_none_is_refused(scale: float) -> None:
    with pytest.raises(InputError, match="sensor's scale"):
        Sensor(scale)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (np.zeros((2, 3)), r"raw: found shape \(2, 3\), allowed is \(batch, time, channels\)"),
        (np.full((1, 4, 3), 0.5), "found others than int16"),
        (np.full((1, 4, 3), 2**15), "found others than int16"),
        (np.zeros((1, 4, 2)), "allowed is .3. or .batch, 3. for 3 channels"),
        (np.zeros((1, 3, 3)), "found 3 samples, too few for one time step"),
    ],
)
def test_raw_samples_that_are_none_are_refused(raw: np.ndarray, message: str) -> None:
    encoder = LevelEncoder(CurrentEncoder(), levels=2, every=4, edges=(0.0,) * 3)
    with pytest.raises(InputError, match=message):
        fixed(encoder, 6).encode(raw)


def test_inputs_of_several_axes_keep_them() -> None:
    layers = Population("in", (1, 2, 3)), Population("out", (2,), FixedLif(100, 400))
    image = Network(layers, (Dense("in", "out", np.ones((2, 6), int)),))
    raw = RNG.integers(0, 17, (4, 1, 2, 3))
    found = sensor_encoder(LatencyEncoder(steps=5), Sensor(1 / 16), image).encode(raw)
    np.testing.assert_array_equal(found, as_measured(LatencyEncoder(steps=5), Sensor(1 / 16), raw))
    window = WindowEncoder(DeltaEncoder((0.05,)), 3, 2, flat=False)
    layers = Population("in", (2, 3)), layers[1]
    shown = sensor_encoder(window, ACCELEROMETER, Network(layers, image.connections)).encode(RAW[..., :1])
    np.testing.assert_array_equal(shown, as_measured(window, raw=RAW[..., :1]))


def test_one_sample_of_a_stream_needs_no_batch() -> None:
    made = fixed(DeltaEncoder((0.05, 0.1, 0.02)), 6)
    stream = made.stream()
    rows = np.concatenate([stream.step(sample) for sample in RAW[0]])
    np.testing.assert_array_equal(rows, made.encode(RAW[:1])[:, 0])


def test_the_encoder_is_written_beside_the_network_and_replaced_with_it(tmp_path: Path) -> None:
    deployed, folder = Deployment(network_for(6), "cortex-m", {}), tmp_path / "made"
    encoder = DeltaEncoder((0.05, 0.1, 0.02))
    for _ in range(2):
        to_c(deployed, folder, "wrist", encoder=encoder, sensor=ACCELEROMETER)
    names = ["README.md", "example.c", "wrist.c", "wrist.h", "wrist_encoder.c", "wrist_encoder.h"]
    assert sorted(path.name for path in folder.iterdir()) == names
    page, head = (folder / "README.md").read_text(), (folder / "wrist_encoder.h").read_text()
    assert "## From the sensor" in page
    assert "It takes 20 bytes of RAM, and 12 bytes of flash" in page
    assert "raw * 6.103515625e-05 + 0.0." in head
    to_c(deployed, folder, "wrist")
    assert sorted(path.name for path in folder.iterdir()) == names[:4]
    (folder / "wrist_other.c").write_text("")
    with pytest.raises(InputError, match="found a folder with other files"):
        to_c(deployed, folder, "wrist")


@pytest.mark.parametrize("given", [{"sensor": ACCELEROMETER}, {"encoder": FITTED}])
def test_a_sensor_or_an_encoder_alone_is_refused(given: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="allowed are both or neither"):
        to_c(Deployment(network_for(2), "cortex-m", {}), tmp_path / "made", **given)  # type: ignore[arg-type]


def test_latency_needs_no_more_than_a_table() -> None:
    made = fixed(LatencyEncoder(steps=4), 3, Sensor(1 / 16))
    assert isinstance(made, FixedLatency)
    assert len(made.least) == 4


def test_memory_is_asked_for_with_what_the_encoder_takes(tmp_path: Path) -> None:
    """Windows of a signal take more RAM than any part has, though the network would fit."""
    encoder, network = WindowEncoder(CurrentEncoder(), 4000, 1), network_for(12000, current=True)
    deployed = Deployment(network, "cortex-m0plus", {})
    assert to_c(deployed, tmp_path / "alone").ram < 32_000
    with pytest.raises(ChipError, match=r"network: .* of RAM"):
        to_c(deployed, tmp_path / "made", encoder=encoder, sensor=ACCELEROMETER)
