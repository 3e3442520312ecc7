"""What a sensor's raw integers stand for, and integer arithmetic that takes their place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from aspen._base.arrays import Array
from aspen._base.checks import as_number, shown
from aspen.errors import InputError

LOWEST, HIGHEST = -(2**15), 2**15 - 1
"""Raw integers: int16."""


@dataclass(frozen=True)
class Sensor:
    """The raw integers of a sensor, int16: one stands for the value ``raw * scale + offset``.

    >>> import numpy as np
    >>> Sensor(scale=1 / 16384).values(np.array([-16384, 8192]))  # an accelerometer of 2 g, in g
    array([-1. ,  0.5])

    Args:
        scale: value of one raw unit, above 0: what data sheets call sensitivity; one for all channels, or a tuple.
        offset: value at 0; one for all channels, or a tuple.

    Raises:
        InputError: a number is not finite or out of range, or there are none.
    """

    scale: float | tuple[float, ...] = 1.0
    offset: float | tuple[float, ...] = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", _checked("sensor's scale", self.scale, 1e-12))
        object.__setattr__(self, "offset", _checked("sensor's offset", self.offset, -1e12))

    def values(self, raw: Array) -> Array:
        """Float64 values of ``raw`` (..., channels)."""
        return np.asarray(raw, np.float64) * np.array(self.scale) + np.array(self.offset)

    def raw(self, values: Array) -> Array:
        """The int16 nearest to ``values`` (..., channels), clipped: what the sensor gives where it measures them."""
        found = np.rint((np.asarray(values, np.float64) - np.array(self.offset)) / np.array(self.scale))
        return np.clip(found, LOWEST, HIGHEST).astype(np.int16)

    def of_channels(self, channels: int) -> list[tuple[Fraction, Fraction]]:
        """Scale and offset of each channel, exactly.

        Raises:
            InputError: there are others than ``channels``.
        """
        return list(zip(*(_spread(name, getattr(self, name), channels) for name in ("scale", "offset")), strict=True))


def _checked(what: str, value: object, low: float) -> float | tuple[float, ...]:
    remedy = "give the value of one raw unit, and the value at 0"
    if not isinstance(value, (tuple, list)):
        return as_number(what, value, low, 1e12, remedy=remedy)
    if not value:
        raise InputError(f"{what}: found {shown(value)}, allowed is a number, or one for each channel; {remedy}")
    return tuple(as_number(what, each, low, 1e12, remedy=remedy) for each in value)


def _spread(name: str, value: float | tuple[float, ...], channels: int) -> list[Fraction]:
    numbers = value if isinstance(value, tuple) else (value,) * channels
    if len(numbers) != channels:
        raise InputError(
            f"sensor's {name}: found {len(numbers)} numbers, allowed is one, or one for each of the encoder's "
            f"{channels} channels; give as many"
        )
    return [Fraction(number) for number in numbers]


@dataclass(frozen=True)
class Line:
    """Straight lines in integers: ``(raw * factor + addend) >> shift``, rounded down, one for each channel.

    Factors have up to 31 bits. Before it is rounded down, a result is off by at most 2**(14 - shift).

    Args:
        factors, addends: one for each channel.
        shift: 1 and more.
    """

    factors: tuple[int, ...]
    addends: tuple[int, ...]
    shift: int

    @classmethod
    def nearest(cls, slopes: Sequence[Fraction], starts: Sequence[Fraction]) -> Line:
        """Lines ``raw * slope + start``, rounded to the nearest integer, halves up.

        Raises:
            InputError: a slope or start is too large for any shift.
        """
        steepest, highest = max(map(abs, slopes)), max(map(abs, starts))
        for shift in range(40, 0, -1):
            if steepest * 2**shift < 2**31 - 1 and highest * 2**shift < 2**61:
                factors = tuple(round(slope * 2**shift) for slope in slopes)
                return cls(factors, tuple(round((start + Fraction(1, 2)) * 2**shift) for start in starts), shift)
        raise InputError(
            f"sensor: found a raw unit that is worth {float(steepest):g} of the network's integers, or an offset of "
            f"{float(highest):g}, allowed is below 2**30; give scale and offset in the unit of the training data"
        )

    def __call__(self, raw: Array) -> Array:
        """int64, in the shape of ``raw`` (..., channels)."""
        return (raw.astype(np.int64) * np.array(self.factors) + np.array(self.addends)) >> self.shift
