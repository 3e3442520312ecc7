"""Augmentation of motion signals: what another person, or the sensor worn slightly differently, would have shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aspen._base.arrays import Array
from aspen.data.datasets import Samples
from aspen.data.encoders import check_integer, check_number
from aspen.errors import InputError


@dataclass(frozen=True)
class MotionAugmentation:
    """Windows of 3-axis signals, each turned, scaled and shifted in time at random.

    >>> samples = Samples(np.ones((2, 128, 6)), [0, 1])
    >>> new = MotionAugmentation(rotation=5.0)(samples, np.random.default_rng(0))
    >>> new.shape, bool((new == samples.values).all())
    ((2, 128, 6), False)

    Args:
        rotation: standard deviation in degrees of each component of a rotation vector, which turns all the 3-axis
            signals of a window alike (the sensor worn at another angle).
        scale: standard deviation of the logarithm of a factor on the ``moving`` channels (stronger or weaker motion).
        overlap: samples that a window shares with the next one in the data. A window is shifted by less than
            that where the next sample of the data set indeed goes on from it; 0 for none.
        moving: number of channels, from the first, that the factor applies to; the others hold gravity too.
    """

    rotation: float = 10.0
    scale: float = 0.1
    overlap: int = 64
    moving: int = 6

    def __post_init__(self) -> None:
        for field in ("rotation", "scale"):
            object.__setattr__(self, field, check_number(field, getattr(self, field), 0.0))
        for field in ("overlap", "moving"):
            object.__setattr__(self, field, check_integer(field, getattr(self, field), 0, 2**20))

    def __call__(self, samples: Samples, rng: np.random.Generator) -> Array:
        """New values (n, time, channels) float32; the samples stay as they are.

        Args:
            samples: values (n, time, channels), channels in triples of axes, in the order of recording.
            rng: draws everything.

        Raises:
            InputError: the channels are no triples.
        """
        values = samples.values
        if values.ndim != 3 or values.shape[2] % 3 or not values.shape[2]:
            raise InputError(
                f"values: found shape {values.shape}, allowed is (n, time, 3 x signals), axes side by side"
            )
        shifted = _shift(values, self.overlap, rng)
        vectors = shifted.reshape(len(values), -1, 3)
        turned = vectors @ self._rotations(len(values), rng).transpose(0, 2, 1)
        new = np.ascontiguousarray(turned.reshape(values.shape), np.float32)
        factor = np.exp(self.scale * rng.standard_normal(len(values))).astype(np.float32)
        new[..., : self.moving] *= factor[:, None, None]
        return new

    def _rotations(self, number: int, rng: np.random.Generator) -> Array:
        """(number, 3, 3) float32, from rotation vectors by Rodrigues' formula."""
        vectors = np.deg2rad(self.rotation) * rng.standard_normal((number, 3))
        angle = np.linalg.norm(vectors, axis=1)
        axis = vectors / np.maximum(angle, 1e-12)[:, None]
        cross = np.zeros((number, 3, 3))
        for row, column, part, sign in (
            (0, 1, 2, -1),
            (0, 2, 1, 1),
            (1, 0, 2, 1),
            (1, 2, 0, -1),
            (2, 0, 1, -1),
            (2, 1, 0, 1),
        ):
            cross[:, row, column] = sign * axis[:, part]
        sine, rest = np.sin(angle)[:, None, None], (1 - np.cos(angle))[:, None, None]
        return np.asarray((np.eye(3) + sine * cross + rest * (cross @ cross)).astype(np.float32))


def _shift(values: Array, overlap: int, rng: np.random.Generator) -> Array:
    """Each window from 0 to ``overlap`` - 1 samples later, where the next one in the data goes on from it."""
    amounts = rng.integers(0, max(overlap, 1), len(values))
    if not overlap or overlap >= values.shape[1]:
        return values
    goes_on = np.zeros(len(values), bool)
    goes_on[:-1] = (values[:-1, -overlap:] == values[1:, :overlap]).all(axis=(1, 2))
    shifted = values.copy()
    for by in range(1, overlap):
        windows = np.flatnonzero(goes_on & (amounts == by))
        shifted[windows, :-by] = values[windows, by:]
        shifted[windows, -by:] = values[windows + 1, overlap : overlap + by]
    return shifted
