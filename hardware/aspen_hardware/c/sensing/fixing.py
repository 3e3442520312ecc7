"""From an encoder of values to one of a sensor's raw integers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np

from aspen._base.checks import shown
from aspen.data.encoders import LatencyEncoder, RateEncoder, ScaledEncoder, StoredEncoder
from aspen.data.har_features import SIGNALS, HarFeatures
from aspen.data.levels import LevelEncoder
from aspen.data.static import StaticEncoder
from aspen.data.temporal import CurrentEncoder, DeltaEncoder, WindowEncoder
from aspen.errors import InputError
from aspen.network.given import as_network
from aspen.network.network import Network
from aspen_hardware.c.sensing.features import FEATURES, FixedFeatures
from aspen_hardware.c.sensing.fixed import (
    UNIT,
    FixedCurrent,
    FixedDelta,
    FixedEncoder,
    FixedLatency,
    FixedLevels,
    FixedRate,
    FixedStatic,
    FixedWindow,
)
from aspen_hardware.c.sensing.sensor import HIGHEST, LOWEST, Line, Sensor

_FARTHEST = 2**16
"""Raw units of a delta encoder: no value of a sensor moves as far, and no reference may start farther out."""
_MOST_OF_FEATURES = 256
"""Samples of a step: sums of so many have 32 bits."""
_MOST_STEPS = 2**16 - 1


def sensor_encoder(encoder: StoredEncoder, sensor: Sensor, network: Network) -> FixedEncoder:
    """The encoder in integers: what the C program does with a sensor's raw samples, in Python, to the bit.

    >>> import numpy as np
    >>> from aspen.data import DeltaEncoder
    >>> from aspen.network import Dense, FixedLif, Network, Population
    >>> populations = Population("input", (2,)), Population("output", (2,), FixedLif(threshold=9, voltage_decay=400))
    >>> network = Network(populations, (Dense("input", "output", np.array([[12, 2], [2, 12]])),))
    >>> fixed = sensor_encoder(DeltaEncoder(thresholds=(0.5,)), Sensor(scale=0.001), network)
    >>> raw = np.array([[[0], [600], [1200], [100]]], np.int16)  # (batch, time, channels): 0, 0.6, 1.2 and 0.1
    >>> fixed.encode(raw)[:, 0]  # (time, ON and OFF)
    array([[0, 0],
           [1, 0],
           [1, 0],
           [0, 1]], dtype=uint8)

    Args:
        encoder: fitted; of the values that the raw integers stand for.
        sensor: what they stand for.
        network: what takes the result, in a chip's integers.

    Raises:
        InputError: the encoder needs more than integers can do, is not fitted, or does not fit the network.
    """
    if not isinstance(encoder, StoredEncoder):
        raise InputError(f"encoder: found {shown(encoder)}, allowed is one of aspen.data; see aspen.data.load_encoder")
    if not isinstance(sensor, Sensor):
        raise InputError(f"sensor: found {shown(sensor)}, allowed is a Sensor; give e.g. Sensor(scale=1 / 16384)")
    if encoder.kind not in _FIXING:
        raise InputError(
            f"encoder: found {encoder.kind}, allowed in C are {', '.join(_FIXING)}; "
            f"{_REMEDIES.get(encoder.kind, _OTHERS)}"
        )
    _check_input(encoder, as_network(network))
    fixed = _FIXING[encoder.kind](encoder, sensor, network)
    if fixed.outputs != network.input.size:
        raise InputError(
            f"encoder: found {fixed.outputs} outputs, the network has {network.input.size} inputs; use the encoder "
            f"that it was trained with"
        )
    return replace(fixed, shape=network.input.shape)


_REMEDIES = {
    "spikes": "spikes need none: give them to the step function",
}
_OTHERS = "encode the values yourself, and give them to the step function"


def _check_input(encoder: StoredEncoder, network: Network) -> None:
    given = network.input
    wanted = "current" if given.current else "spikes"
    if encoder.gives != wanted:
        raise InputError(f"encoder: found {encoder.kind}, which gives {encoder.gives}, the network takes {wanted}")
    if given.current and given.graded is None:
        raise InputError(
            f"{given.name}: found currents that a host computes, allowed with an encoder in C are spikes and graded "
            f"values; compile for a chip with graded spikes, such as cortex-m"
        )


def _exact(number: float) -> Fraction:
    """A setting as the encoder uses it: float32."""
    return Fraction(float(np.float32(number)))


def _delta(encoder: DeltaEncoder, sensor: Sensor, network: Network) -> FixedDelta:
    if not encoder.thresholds:
        raise InputError("thresholds: found none, allowed is one for each channel; call fit(training values) first")
    scales = sensor.of_channels(len(encoder.thresholds))
    found = [round(_exact(t) / scale * UNIT) for t, (scale, _) in zip(encoder.thresholds, scales, strict=True)]
    zeros = [round(-offset / scale * UNIT) for scale, offset in scales]
    for channel, threshold in enumerate(found):
        if not 0 < threshold <= _FARTHEST * UNIT:
            raise InputError(
                f"thresholds: found one of {threshold / UNIT:g} raw units in channel {channel}, allowed are up to "
                f"{_FARTHEST}, as the sensor moves no farther, and not below 1/{UNIT}; check the sensor's scale"
            )
        if not encoder.from_first and abs(zeros[channel]) > _FARTHEST * UNIT:
            raise InputError(
                f"sensor: found a value of 0 at {zeros[channel] // UNIT} raw units in channel {channel}, allowed is up "
                f"to {_FARTHEST} away, as references start there; use DeltaEncoder(from_first=True)"
            )
    return FixedDelta(len(found), tuple(found), () if encoder.from_first else tuple(zeros))


def _levels(encoder: LevelEncoder, sensor: Sensor, network: Network) -> FixedLevels:
    inner, bounds = encoder.inner, encoder.levels - 1
    if not encoder.edges:
        raise InputError("edges: found none, allowed are those of each channel; call fit(training values) first")
    rows = len(encoder.edges) // bounds
    if isinstance(inner, HarFeatures):
        return _levels_of_features(encoder, FixedFeatures.of(inner, sensor), rows)
    if not isinstance(inner, CurrentEncoder):
        raise InputError(
            f"encoder: found levels of {inner.kind}, allowed in C are levels of current and of har-features; train "
            f"with LevelEncoder(CurrentEncoder())"
        )
    scales, of_inner = sensor.of_channels(rows), _inner_lines(inner, rows)
    edges = np.empty((rows, bounds), np.int64)
    for place, edge in enumerate(encoder.edges):
        highest = _highest(_exact(edge), encoder.every, *scales[place // bounds], *of_inner[place // bounds])
        least, most = encoder.every * LOWEST, encoder.every * HIGHEST
        edges[place // bounds, place % bounds] = min(max(highest, least - 1), most)  # beyond, none or all lie above
    return FixedLevels(rows, edges, encoder.every)


def _levels_of_features(encoder: LevelEncoder, features: FixedFeatures, rows: int) -> FixedLevels:
    if rows != FEATURES or encoder.every > _MOST_OF_FEATURES:
        raise InputError(
            f"encoder: found levels of {rows} features, of {encoder.every} samples each, allowed in C are {FEATURES} "
            f"of up to {_MOST_OF_FEATURES}; fit it again"
        )
    bounds, most = encoder.levels - 1, 2**31 - 1
    edges = np.empty((rows, bounds), np.int64)
    for place, edge in enumerate(encoder.edges):
        slope, start = features.lines[place // bounds]
        highest = floor(encoder.every * (_exact(edge) - start) / slope)
        edges[place // bounds, place % bounds] = min(max(highest, -most), most)  # no sum is as large
    return FixedLevels(SIGNALS, edges, encoder.every, features)


def _highest(edge: Fraction, every: int, scale: Fraction, offset: Fraction, zero: Fraction, deviation: Fraction) -> int:
    """The highest sum of ``every`` raw integers that does not lie above an edge.

    Edges are quantiles, so many of them are values of the sensor, rounded to float32: what lies beside a whole sum by
    no more than that rounding is taken as that sum.
    """
    exact = every * (edge * deviation + zero - offset) / scale
    rounding = every * (abs(edge * deviation) + abs(zero) + abs(offset)) / scale * Fraction(2) ** -22
    return floor(exact + min(rounding, Fraction(1, 4)))


def _inner_lines(inner: CurrentEncoder, channels: int) -> list[tuple[Fraction, Fraction]]:
    """Offset and scale of each channel of an encoder of currents."""
    if not inner.offset:
        return [(Fraction(0), Fraction(1))] * channels
    if len(inner.offset) != channels:
        raise InputError(f"encoder: found {len(inner.offset)} channels inside of one of {channels}; fit it again")
    return [(_exact(zero), _exact(scale)) for zero, scale in zip(inner.offset, inner.scale, strict=True)]


def _values(channels: int, inner: CurrentEncoder, sensor: Sensor, network: Network) -> FixedCurrent:
    graded = network.input.graded
    assert graded is not None  # _check_input says so
    unit, slopes, starts = Fraction(graded.scale), [], []
    pairs = zip(sensor.of_channels(channels), _inner_lines(inner, channels), strict=True)
    for (scale, offset), (zero, deviation) in pairs:
        slopes.append(scale / deviation * unit)
        starts.append((offset - zero) / deviation * unit)
    return FixedCurrent(channels, Line.nearest(slopes, starts), graded.largest)


def _features(encoder: HarFeatures, sensor: Sensor, network: Network) -> FixedCurrent:
    graded, features = network.input.graded, FixedFeatures.of(encoder, sensor)
    assert graded is not None  # _check_input says so
    unit = Fraction(graded.scale)
    line = Line.nearest([slope * unit for slope, _ in features.lines], [start * unit for _, start in features.lines])
    return FixedCurrent(SIGNALS, line, graded.largest, features)


def _current(encoder: CurrentEncoder, sensor: Sensor, network: Network) -> FixedCurrent:
    return _values(len(encoder.offset) or network.input.size, encoder, sensor, network)


def _static(encoder: StaticEncoder, sensor: Sensor, network: Network) -> FixedStatic:
    inner = _values(network.input.size, CurrentEncoder(), sensor, network)
    return FixedStatic(network.input.size, inner, _steps(encoder.steps))


def _window(encoder: WindowEncoder, sensor: Sensor, network: Network) -> FixedWindow:
    inner, size = encoder.inner, encoder.size
    if isinstance(inner, DeltaEncoder):
        fixed: FixedDelta | FixedCurrent = _delta(inner, sensor, network)
    elif isinstance(inner, CurrentEncoder):
        fixed = _values(len(inner.offset) or max(network.input.size // size, 1), inner, sensor, network)
    elif isinstance(inner, HarFeatures):
        fixed = _features(inner, sensor, network)
    else:
        raise InputError(
            f"encoder: found a window of {inner.kind}, allowed in C are windows of delta, current and har-features; "
            f"train with one"
        )
    return FixedWindow(fixed.channels, fixed, size, encoder.every)


def _steps(steps: int) -> int:
    if steps > _MOST_STEPS:
        raise InputError(f"encoder: found {steps} steps, allowed in C are {_MOST_STEPS}; use fewer")
    return steps


def _latency(encoder: LatencyEncoder, sensor: Sensor, network: Network) -> FixedLatency:
    if len(set(sensor.of_channels(network.input.size))) > 1:
        raise InputError("sensor: found channels of several scales, allowed for latency is one; scale the values alike")
    one = Sensor(*(each[0] if isinstance(each, tuple) else each for each in (sensor.scale, sensor.offset)))
    raw = np.arange(LOWEST, HIGHEST + 1)
    clipping = replace(encoder, clip=True)
    values = one.values(raw[:, None])[:, 0]
    unit = clipping.scaled(values)
    when = np.rint((1 - unit) * (encoder.steps - 1)).astype(np.int64)  # falls as raw rises
    least = LOWEST + np.searchsorted(-when, -np.arange(_steps(encoder.steps)))
    silent = LOWEST + int(np.count_nonzero(unit < np.float32(encoder.silent)))
    return FixedLatency(network.input.size, tuple(np.maximum(least, silent).tolist()))


def _rate(encoder: RateEncoder, sensor: Sensor, network: Network) -> FixedRate:
    n = network.input.size
    return FixedRate(n, _chances(encoder, sensor.of_channels(n)), _steps(encoder.steps))


def _chances(encoder: ScaledEncoder, scales: list[tuple[Fraction, Fraction]]) -> Line:
    low, width = _exact(encoder.low), _exact(encoder.high - encoder.low)
    slopes = [scale / width * 2**16 for scale, _ in scales]
    return Line.nearest(slopes, [(offset - low) / width * 2**16 for _, offset in scales])


_FIXING: dict[str, Callable[[Any, Sensor, Network], FixedEncoder]] = {
    "levels": _levels,
    "delta": _delta,
    "current": _current,
    "har-features": _features,
    "window": _window,
    "latency": _latency,
    "rate": _rate,
    "static": _static,
}
"""Kind of an encoder -> what makes it one of integers."""
SENSOR_KINDS = tuple(_FIXING)
"""Kinds of the encoders that C has."""
