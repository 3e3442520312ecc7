"""Analog input as graded spikes: integers of a few bits, as Loihi 2 carries them (32 bits at most)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aspen._base.arrays import Array
from aspen._base.checks import as_integer, as_number
from aspen.errors import InputError

LARGEST_CURRENT = 4096
"""Largest magnitude of a current in integers that are no graded spikes: bias mantissas of 13 bits."""


@dataclass(frozen=True)
class GradedInput:
    """The range of an analog input, and how its values become integers: ``round(value * scale)``, clipped to ``bits``
    bits with a sign.

    >>> GradedInput(peak=2.0, bits=8).encode(np.array([0.5, -2.0, 9.0]))
    array([  32, -127,  127], dtype=int32)

    Args:
        peak: largest magnitude that is kept, in units of the current: that of the training data. Larger ones are
            clipped.
        bits: of an integer, its sign included; 2 to 16.

    Raises:
        InputError: the peak is no finite number above 0, or there are too few or too many bits.
    """

    peak: float
    bits: int = 8

    def __post_init__(self) -> None:
        remedy = "give the largest magnitude in the training data, and 2 to 16 bits"
        object.__setattr__(self, "peak", as_number("graded input: peak", self.peak, 0, above=True, remedy=remedy))
        object.__setattr__(self, "bits", as_integer("graded input: bits", self.bits, 2, 16, remedy=remedy))

    @property
    def largest(self) -> int:
        """The largest integer."""
        return int(2 ** (self.bits - 1) - 1)

    @property
    def scale(self) -> float:
        """Integers in one unit of the current."""
        return self.largest / self.peak

    def encode(self, current: Array) -> Array:
        """Integers, int32, in the shape of ``current``.

        Raises:
            InputError: NaN or infinity.
        """
        values = np.asarray(current, np.float64)
        if not np.isfinite(values).all():
            raise InputError("current: found NaN or infinity, allowed are finite values; clean the data")
        return np.clip(np.rint(values * self.scale), -self.largest, self.largest).astype(np.int32)
