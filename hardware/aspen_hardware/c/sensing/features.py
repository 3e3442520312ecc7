"""Features of body motion in integers: :class:`aspen.data.HarFeatures` by tables of logarithms, in Python and in C.

A feature is a straight line over an integer, so that whatever comes after it can take the integer: a logarithm to the
base 2 in units of 1/65536, or a difference of raw units in 1/64 of them. Body channels count in 1/1024 of a raw unit.
Tables are off by at most 1.2e-5 of a logarithm; the features then by about 2e-5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import log, log2

import numpy as np

from aspen._base.arrays import Array
from aspen.data.har_features import SIGNALS, HarFeatures
from aspen.errors import InputError
from aspen_hardware.c.sensing.sensor import Sensor
from aspen_hardware.c.text import Field, Table, filled

FINE = 2**10
COARSE = 2**6
"""Units of body channels, and of where gravity points, in a raw unit."""
ONE = 2**16
BODY, FEATURES = 6, 21
LOG_TABLE = np.array([round(log2(1 + i / 128) * ONE) for i in range(129)])
POWER_TABLE = np.array([round(2 ** (30 + i / 128)) for i in range(129)])
_MOST_OFFSET = 2**15
"""Raw units at which a body channel's 0 may lie."""

TEXT = """
/* Logarithm to the base 2, times 65536; x is not 0. */
static int32_t log2_of(uint64_t x)
{
    uint32_t whole = 63;
    for (uint32_t step = 32; step != 0; step >>= 1) {
        if (x >> (64u - step) == 0) {
            x <<= step;
            whole -= step;
        }
    }
    const uint32_t mantissa = (uint32_t)(x >> 40), at = (mantissa >> 16) - 128u;
    const uint32_t more = (logarithms[at + 1u] - logarithms[at]) * (mantissa & 0xFFFFu) >> 16;
    return (int32_t)((whole << 16) + logarithms[at] + more);
}

/* 2 to the power of x / 65536, rounded down; x is from 0 to 30 * 65536. */
static uint32_t exp2_of(int32_t x)
{
    const uint32_t whole = (uint32_t)x >> 16, at = ((uint32_t)x & 0xFFFFu) >> 9;
    const uint32_t more = (powers[at + 1u] - powers[at]) >> 8;
    return (powers[at] + (more * ((uint32_t)x & 0x1FFu) >> 1)) >> (30u - whole);
}

/* Motion on a logarithmic scale, where gravity points, and how much there is of motion and of its change. */
static void take_features(const int16_t *raw)
{
    for (uint32_t c = 0; c < 6u; c++) {
        const int32_t x = (int32_t)raw[c] * 1024 + offsets[c];
        const int32_t change = encoder.taken ? x - encoder.last[c] : 0;
        const uint64_t square = (uint64_t)((int64_t)x * x);
        const uint32_t size = (uint32_t)(x < 0 ? -x : x);
        const int32_t grown = log2_of(size + exp2_of(log2_of(square + squares[c]) >> 1)) - resolutions[c];
        encoder.features[c] = x < 0 ? -grown : grown;
        encoder.features[9u + c] = log2_of(square + floors[c]);
        encoder.features[15u + c] = log2_of((uint64_t)((int64_t)change * change) + change_floors[c]);
        encoder.last[c] = x;
    }
    for (uint32_t c = 0; c < 3u; c++) {
        encoder.features[6u + c] = raw[6u + c] * whole_units[c] - raw[c] * body_units[c];
    }
    encoder.taken = 1;
}
"""


@dataclass(frozen=True)
class FixedFeatures:
    """21 integers of each sample of nine channels.

    Args:
        offsets: of the body channels, in 1/:data:`FINE` of a raw unit.
        squares, floors, change_floors: of the resolutions, and of the floors of envelopes, in the same units squared.
        resolutions: logarithms of the resolutions.
        whole_units, body_units: 1/:data:`COARSE` of the coarser raw unit, in a raw unit of total and body acceleration.
        lines: (21) slope and start: the feature is ``integer * slope + start``.
    """

    offsets: tuple[int, ...]
    squares: tuple[int, ...]
    floors: tuple[int, ...]
    change_floors: tuple[int, ...]
    resolutions: tuple[int, ...]
    whole_units: tuple[int, ...]
    body_units: tuple[int, ...]
    lines: tuple[tuple[Fraction, Fraction], ...]

    @classmethod
    def of(cls, features: HarFeatures, sensor: Sensor) -> FixedFeatures:
        """Those of a sensor.

        Raises:
            InputError: the sensor has not nine channels, is too coarse, or its zeros lie too far out.
        """
        scales = sensor.of_channels(SIGNALS)
        resolution = [features.acceleration] * 3 + [features.rotation] * 3
        sizes = [float(d / scale) * FINE for d, (scale, _) in zip(map(Fraction, resolution), scales, strict=False)]
        zeros = [float(offset / scale) for scale, offset in scales[:BODY]]
        if min(sizes) < FINE or max(sizes) > 2**24 or max(map(abs, zeros)) > _MOST_OFFSET:
            raise InputError(
                f"sensor: found resolutions of {min(sizes) / FINE:g} to {max(sizes) / FINE:g} raw units, zeros up to "
                f"{max(map(abs, zeros)):g}, allowed are resolutions of 1 to {2**24 // FINE} and zeros up to "
                f"{_MOST_OFFSET}; check its scale and offset"
            )
        return cls(
            offsets=tuple(round(zero * FINE) for zero in zeros),
            squares=tuple(round(size**2) for size in sizes),
            floors=tuple(round((0.4 * size) ** 2) for size in sizes),
            change_floors=tuple(round((0.2 * size) ** 2) for size in sizes),
            resolutions=tuple(round(log2(size) * ONE) for size in sizes),
            **_gravity_units(scales),
            lines=_lines(features, scales, sizes),
        )

    def __call__(self, raw: Array, last: Array | None) -> tuple[Array, Array]:
        """(batch, 21) integers of raw samples (batch, 9), and what they are compared with next time."""
        x = raw[:, :BODY] * FINE + np.array(self.offsets)
        change = np.zeros_like(x) if last is None else x - last
        hypotenuse = exp2_by_table(log2_by_table(x * x + np.array(self.squares)) >> 1)
        grown = log2_by_table(np.abs(x) + hypotenuse) - np.array(self.resolutions)
        gravity = raw[:, BODY:] * np.array(self.whole_units) - raw[:, :3] * np.array(self.body_units)
        envelopes = (
            log2_by_table(x * x + np.array(self.floors)),
            log2_by_table(change * change + np.array(self.change_floors)),
        )
        return np.concatenate([np.where(x < 0, -grown, grown), gravity, *envelopes], axis=-1), x

    @property
    def tables(self) -> list[Table]:
        """In flash."""
        fine = f"1/{FINE} of a raw unit"
        rows: Sequence[tuple[str, str, Sequence[int] | Array, str]] = (
            ("uint32_t", "logarithms", LOG_TABLE, "of 1 to 2, times 65536"),
            ("uint32_t", "powers", POWER_TABLE, "of 2, times 2**30"),
            ("int32_t", "offsets", self.offsets, f"of body channels, in {fine}"),
            ("uint64_t", "squares", self.squares, f"of their resolutions, in {fine}"),
            ("uint64_t", "floors", self.floors, "of their envelopes, squared"),
            ("uint64_t", "change_floors", self.change_floors, "of the envelopes of their changes, squared"),
            ("int32_t", "resolutions", self.resolutions, "their logarithms, times 65536"),
            ("int32_t", "whole_units", self.whole_units, "of a raw unit of total acceleration"),
            ("int32_t", "body_units", self.body_units, "of a raw unit of body acceleration"),
        )
        return [Table(ctype, name, np.array(values), about) for ctype, name, values, about in rows]

    @property
    def fields(self) -> list[Field]:
        """In RAM."""
        return [
            Field("int32_t", "features", (FEATURES,), "of the sample"),
            Field("int32_t", "last", (BODY,), "body channels of the sample before"),
            Field("uint8_t", "taken", (), "whether there was one"),
        ]


def _gravity_units(scales: Sequence[tuple[Fraction, Fraction]]) -> dict[str, tuple[int, ...]]:
    whole, body = list[int](), list[int]()
    for axis in range(3):
        coarser = max(scales[BODY + axis][0], scales[axis][0])
        whole.append(round(scales[BODY + axis][0] / coarser * COARSE))
        body.append(round(scales[axis][0] / coarser * COARSE))
    return {"whole_units": tuple(whole), "body_units": tuple(body)}


def _lines(
    features: HarFeatures, scales: Sequence[tuple[Fraction, Fraction]], sizes: Sequence[float]
) -> tuple[tuple[Fraction, Fraction], ...]:
    grown, envelope = Fraction(log(2) / 1.5 / ONE), Fraction(log(2) / 1.5 / ONE / 2)
    found = [(grown, Fraction(0))] * BODY
    for axis in range(3):
        (whole, offset), (body, body_offset) = scales[BODY + axis], scales[axis]
        start = offset - body_offset - Fraction(features.gravity[axis])
        found.append((max(whole, body) / COARSE / Fraction(0.4), start / Fraction(0.4)))
    for share in (0.4, 0.2):
        found += [(envelope, Fraction(-log(share * size) / 1.5 - 0.7)) for size in sizes]
    return tuple(found)


def log2_by_table(values: Array) -> Array:
    """Logarithms to the base 2 of integers from 1 to 2**53, int64, in units of 1/65536."""
    whole = np.frexp(values.astype(np.float64))[1].astype(np.int64) - 1
    mantissa = np.where(whole > 23, values >> np.maximum(whole - 23, 0), values << np.maximum(23 - whole, 0))
    at = (mantissa >> 16) - 128
    return np.asarray((whole << 16) + LOG_TABLE[at] + ((LOG_TABLE[at + 1] - LOG_TABLE[at]) * (mantissa & 0xFFFF) >> 16))


def exp2_by_table(values: Array) -> Array:
    """2 to the power of ``values`` / 65536, from 0 to 30 * 65536, int64, rounded down."""
    at = (values & 0xFFFF) >> 9
    more = POWER_TABLE[at + 1] - POWER_TABLE[at] >> 8
    return np.asarray((POWER_TABLE[at] + (more * (values & 0x1FF) >> 1)) >> (30 - (values >> 16)))


def features_code() -> str:
    """The functions in C."""
    return filled(TEXT, {})
