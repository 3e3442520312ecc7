"""Features of body motion for human activity: 21 channels from nine, each from the samples so far only."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from aspen._base.arrays import Array
from aspen.data.encoders import (
    TOGETHER,
    EncoderStream,
    StoredEncoder,
    as_values,
    check_encoded,
    check_number,
    check_numbers,
)
from aspen.errors import InputError

SIGNALS, CHANNELS = 9, 21


@dataclass(frozen=True)
class HarFeatures(StoredEncoder):
    """21 channels of direct current from body acceleration, angular velocity and total acceleration (3 axes each).

    With x one of the six body channels, d its resolution (``acceleration`` or ``rotation``):

    - 6: asinh(x / d) / 1.5, so that micro-motions and strides are both visible;
    - 3: (total - body acceleration - ``gravity``) / 0.4, where gravity points;
    - 6: envelope(x, 0.4 d); 6: envelope(x_t - x_(t-1), 0.2 d), 0 change at the first sample;
      envelope(y, e) = log(sqrt(y^2 + e^2) / e) / 1.5 - 0.7.

    Each is computed on the host, beside the network, and costs energy there. Put into a :class:`WindowEncoder` of
    size 8, every 4, they are 168 inputs for each time step.

    >>> windows = np.zeros((2, 128, 9))  # (batch, time, channels), at rest
    >>> HarFeatures().encode(windows).shape
    (128, 2, 21)

    Args:
        acceleration: d of body acceleration in g.
        rotation: d of angular velocity in rad/s.
        gravity: mean of gravity's three components in g.
    """

    acceleration: float = 0.005
    rotation: float = 0.02
    gravity: tuple[float, ...] = (0.8, 0.0, 0.0)
    kind: ClassVar[str] = "har-features"
    gives: ClassVar[str] = "current"
    temporal: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._set(
            acceleration=check_number("acceleration", self.acceleration, 0.0, above=True),
            rotation=check_number("rotation", self.rotation, 0.0, above=True),
            gravity=check_numbers("gravity", self.gravity),
        )
        if len(self.gravity) != 3:
            raise InputError(f"gravity: found {len(self.gravity)} numbers, allowed are 3, one for each axis")

    def stream(self, seed: int = 0) -> EncoderStream:
        last: list[Array] = []

        def advance(sample: Array) -> Array:
            channels = _channels_first(sample)
            change = channels[:6] - (last[0] if last else channels[:6])
            last[:] = [channels[:6]]
            return np.moveaxis(self._features(channels, change), 0, -1)[None]

        return EncoderStream(advance, last.clear)

    def _over_time(self, values: Array, stream: EncoderStream) -> Array:
        """Of a few samples all times at once, with the same operations as one time after the other; where somebody's
        stream is another one, as that has it."""
        if type(self).stream is not HarFeatures.stream:
            return super()._over_time(values, stream)
        times, *shape = values.shape[1:-1]
        check_encoded(4 * CHANNELS * times * len(values) * prod(shape))
        made = np.empty((times, len(values), *shape, CHANNELS), np.float32)
        for start in range(0, len(values), TOGETHER):
            channels = _channels_first(as_values("sample", values[start : start + TOGETHER]).swapaxes(0, 1))
            change = np.zeros_like(channels[:6])
            np.subtract(channels[:6, 1:], channels[:6, :-1], out=change[:, 1:])
            made[:, start : start + TOGETHER] = np.moveaxis(self._features(channels, change), 0, -1)
        return made

    def _features(self, channels: Array, change: Array) -> Array:
        """(21, *shape) float32 of the channels (9, *shape), and of what the first six (6, *shape) changed by."""
        body, total = channels[:6], channels[6:]
        along = [-1, *[1] * (channels.ndim - 1)]
        resolution = np.repeat([self.acceleration, self.rotation], 3).reshape(along)
        made = np.empty((CHANNELS, *channels.shape[1:]), np.float32)
        made[:6] = np.arcsinh(body / resolution) / 1.5
        made[6:9] = (total - body[:3] - np.array(self.gravity, np.float64).reshape(along)) / 0.4
        made[9:15] = _envelope(body, 0.4 * resolution)
        made[15:] = _envelope(change, 0.2 * resolution)
        return made


def _channels_first(sample: Array) -> Array:
    """(9, *shape) float64 of a sample (*shape, 9): numbers that belong to a channel then meet rows of values."""
    if sample.ndim < 1 or sample.shape[-1] != SIGNALS:
        raise InputError(
            f"sample: found shape {sample.shape}, allowed are {SIGNALS} channels on the last axis: body "
            f"acceleration, angular velocity and total acceleration, three axes each"
        )
    return np.ascontiguousarray(np.moveaxis(sample, -1, 0), np.float64)


def _envelope(values: Array, floor: Array) -> Array:
    """Logarithm of the magnitude above a floor; -0.7 at rest."""
    return np.asarray(np.log(np.sqrt(values * values + floor * floor) / floor) / 1.5 - 0.7)
