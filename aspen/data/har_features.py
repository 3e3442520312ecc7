"""Features of body motion for human activity: 21 channels from nine, each from the samples so far only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aspen._base.arrays import Array
from aspen.data.encoders import EncoderStream, StoredEncoder, check_number, check_numbers
from aspen.errors import InputError

SIGNALS = 9


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
        resolution = np.repeat([self.acceleration, self.rotation], 3)
        gravity = np.array(self.gravity, np.float64)
        last: list[Array] = []

        def advance(sample: Array) -> Array:
            if sample.ndim < 1 or sample.shape[-1] != SIGNALS:
                raise InputError(
                    f"sample: found shape {sample.shape}, allowed are {SIGNALS} channels on the last axis: body "
                    f"acceleration, angular velocity and total acceleration, three axes each"
                )
            body = np.ascontiguousarray(sample[..., :6], np.float64)
            change = body - (last[0] if last else body)
            last[:] = [body]
            parts = [
                np.arcsinh(body / resolution) / 1.5,
                (sample[..., 6:].astype(np.float64) - body[..., :3] - gravity) / 0.4,
                _envelope(body, 0.4 * resolution),
                _envelope(change, 0.2 * resolution),
            ]
            return np.concatenate(parts, axis=-1).astype(np.float32)[None]

        return EncoderStream(advance, last.clear)


def _envelope(values: Array, floor: Array) -> Array:
    """Logarithm of the magnitude above a floor; -0.7 at rest."""
    return np.asarray(np.log(np.hypot(values, floor) / floor) / 1.5 - 0.7)
