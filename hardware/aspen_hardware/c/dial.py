"""The knob in integers: which thresholds the program has at each of its settings, and that these are the engines'.

Without a dial a setting is a threshold scale in units of 1/4096, and ``(mantissa * setting + 2048) >> 12`` is exactly
what the engines round to.

A learned dial multiplies a threshold by ``exp(offset + knob * slope)``. The program finds that factor as
``top * 2**-y``: ``y`` grows by the same amount with each setting away from the one with the highest threshold, and
``2**-y`` is a product of at most 24 table entries and a series of two terms, all in 64 bits. At every one of the 65,536
settings the result is compared here with what the engines get from floating point. Where it differs (a product that
ends within about 1e-10 of a half), the difference goes into a table of corrections.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal

import numpy as np

from aspen._base.arrays import Array
from aspen.dial.path import AnyDial
from aspen.dial.profile import DialProfile
from aspen.errors import ChipError
from aspen.network.network import Network
from aspen.network.neurons import FixedLif

SETTINGS = 2**16
"""Settings of a dial: 0 is its lowest knob, 65535 its highest."""
UNIT = 4096
"""Settings in a threshold scale of 1."""
TABLE_BITS = 24
_EXACT = Context(prec=60)
_LN2 = _EXACT.ln(Decimal(2))
_ONE = Decimal(2**64)
LN2 = int(_LN2 * _ONE)
POWERS = tuple(int(_EXACT.power(Decimal(2), -_EXACT.power(Decimal(2), -i)) * _ONE) for i in range(1, TABLE_BITS + 1))
"""2**-(2**-i) for i from 1, in units of 2**-64."""


def knob_at(profile: AnyDial, setting: int) -> float:
    """The knob that a setting of the program, 0 to 65535, stands for."""
    return min(profile.low + (profile.high - profile.low) * setting / (SETTINGS - 1), profile.high)


def knobs_of(profile: AnyDial) -> Array:
    """(65536,) float64: :func:`knob_at` of every setting."""
    return np.minimum(profile.low + (profile.high - profile.low) * np.arange(SETTINGS) / (SETTINGS - 1), profile.high)


def scale_range(network: Network) -> tuple[int, int]:
    """Lowest and highest setting of the threshold scale at which every threshold is from 1 to the largest that its
    neurons may have."""
    neurons = [_neuron(network, name) for name in network.dialled]
    if not neurons:
        return 0, SETTINGS - 1
    low = min(int(neuron.threshold.min()) for neuron in neurons)
    most = min(
        ((neuron.largest_threshold + 1) * UNIT - UNIT // 2 - 1) // int(neuron.threshold.max()) for neuron in neurons
    )
    return -(-UNIT // 2 // low), min(most, SETTINGS - 1)


def scaled_at(mantissa: Array, setting: int) -> Array:
    """Mantissas at a setting of the threshold scale, as the program computes them."""
    return (mantissa.astype(np.int64) * setting + UNIT // 2) >> 12


@dataclass(frozen=True)
class Factor:
    """One offset and slope of a dial, as the program keeps them.

    Args:
        top: the highest factor, as a fraction from 1/2 to 1 in units of 2**-64.
        shift: ``46 -`` the power of two that goes with ``top``.
        slope: what a setting adds to ``y``, in units of 2**-74.
        rising: whether thresholds rise with the setting.
    """

    top: int
    shift: int
    slope: int
    rising: bool

    @classmethod
    def of(cls, profile: DialProfile, offset: float, slope: float) -> Factor:
        """For a neuron with this offset and slope."""
        rising = slope > 0
        knob = Decimal(profile.high if rising else profile.low)
        value = _EXACT.exp(Decimal(offset) + knob * Decimal(slope))
        power = int((_EXACT.ln(value) / _LN2).to_integral_value("ROUND_FLOOR")) + 1
        top = min(int(value / _EXACT.power(Decimal(2), power) * _ONE), 2**64 - 1)
        step = abs(Decimal(slope)) * (Decimal(profile.high) - Decimal(profile.low)) / (SETTINGS - 1) / _LN2
        return cls(top, 46 - power, int((step * 2**74).to_integral_value()), rising)

    def fractions(self) -> tuple[Array, Array]:
        """Twice (65536,) uint64: ``top * 2**-y`` but for whole powers, and the shift with these, at each setting."""
        away = np.arange(SETTINGS, dtype=np.uint64)
        away = away[::-1] if self.rising else away
        low = np.uint64(self.slope & 0xFFFFFFFF) * away
        high = np.uint64(self.slope >> 32) * away + (low >> np.uint64(32))
        rest = ((high & np.uint64(2**42 - 1)) << np.uint64(22)) | ((low & np.uint64(0xFFFFFFFF)) >> np.uint64(10))
        value = np.full(SETTINGS, self.top, np.uint64)
        for i, power in enumerate(POWERS):
            bit = (rest >> np.uint64(63 - i)) & np.uint64(1)
            value = np.where(bit == 1, high_product(value, np.uint64(power)), value)
        small = high_product(rest & np.uint64(2 ** (64 - TABLE_BITS) - 1), np.uint64(LN2))
        square = high_product(small, small) >> np.uint64(1)
        value = value - high_product(value, small) + high_product(value, square)
        return value, np.uint64(self.shift) + (high >> np.uint64(42))


def high_product(a: Array, b: Array | np.uint64) -> Array:
    """The upper 64 bits of products of 64 bits each, as the program's ``high_product``."""
    half, mask = np.uint64(32), np.uint64(0xFFFFFFFF)
    a_low, a_high, b_low, b_high = a & mask, a >> half, b & mask, b >> half
    middle = a_high * b_low + ((a_low * b_low) >> half)
    other = a_low * b_high + (middle & mask)
    return np.asarray(a_high * b_high + (middle >> half) + (other >> half))


def mantissas_at(fractions: Array, shifts: Array, mantissa: int) -> Array:
    """(65536,) int64: the mantissa at each setting, as the program computes it."""
    product = high_product(fractions, np.uint64(mantissa << 46))
    return (((product >> (shifts - np.uint64(1))) + np.uint64(1)) >> np.uint64(1)).astype(np.int64)


@dataclass(frozen=True)
class Dialled:
    """A population with its dial.

    Args:
        name: the population.
        factors: its different offsets and slopes.
        classes: (n,) which of these each neuron has.
        corrections: (k, 3) setting, neuron, and what is added to its mantissa there; sorted.
    """

    name: str
    factors: tuple[Factor, ...]
    classes: Array
    corrections: Array


def dialled(network: Network, profile: DialProfile, last_on: Mapping[str, Array]) -> list[Dialled]:
    """Every population that a dial moves.

    Args:
        network: in integers.
        profile: its dial.
        last_on: population -> (n,) the last setting at which each neuron is on; left out where all always are.

    Raises:
        ChipError: the threshold of a neuron that is on leaves 17 bits somewhere between the dial's ends, or is 0 there.
    """
    return [_dialled(network, profile, name, last_on.get(name)) for name in network.order if name in profile.slopes]


def last_settings(profile: DialProfile, until: Array) -> Array:
    """The last setting at which neurons are on whose ``on_until`` is this, as the profile compares knobs with it."""
    return np.searchsorted(knobs_of(profile).astype(until.dtype), until, "right") - 1


def _dialled(network: Network, profile: DialProfile, name: str, last_on: Array | None) -> Dialled:
    n = network[name].size
    last = np.full(n, SETTINGS - 1) if last_on is None else last_on
    given = [part.get(name, np.zeros(())).astype(np.float64) for part in (profile.offsets, profile.slopes)]
    pairs = np.stack([np.broadcast_to(values.reshape(-1), n) for values in given], axis=1)
    found, classes = np.unique(pairs, axis=0, return_inverse=True)
    classes, mantissas = classes.reshape(-1), np.broadcast_to(_neuron(network, name).threshold.reshape(-1), n)
    factors = tuple(Factor.of(profile, float(offset), float(slope)) for offset, slope in found)
    corrections = [
        correction
        for number, (factor, pair) in enumerate(zip(factors, found, strict=True))
        for correction in _corrections(
            network, profile, name, factor, pair, np.where(classes == number, mantissas, 0), last
        )
    ]
    table = np.array(sorted(corrections), np.int64).reshape(-1, 3)
    return Dialled(name, factors, classes, table)


def _corrections(
    network: Network, profile: DialProfile, name: str, factor: Factor, pair: Array, mantissas: Array, last: Array
) -> Iterator[tuple[int, int, int]]:
    """Where the program's arithmetic and the engines' differ, for the neurons of one factor (others have 0 as their
    mantissa), each up to the last setting at which it is on."""
    neuron = _neuron(network, name)
    exact, (fractions, shifts) = np.exp(pair[0] + knobs_of(profile) * pair[1]), factor.fractions()
    for mantissa in np.unique(mantissas[mantissas > 0]):
        settings = int(last[mantissas == mantissa].max()) + 1
        wanted = neuron.rounded(mantissa * exact[:settings])
        if wanted.min() < 1 or wanted.max() > neuron.largest_threshold:
            raise ChipError(
                f"{name}: found thresholds of {wanted.min()} to {wanted.max()} between the dial's ends, allowed are 1 "
                f"to {neuron.largest_threshold}; compile with the dial (profile=), or save one with a smaller range"
            )
        differs = wanted - mantissas_at(fractions, shifts, int(mantissa))[:settings]
        for setting in np.flatnonzero(differs):
            for index in np.flatnonzero((mantissas == mantissa) & (last >= setting)):
                yield int(setting), int(index), int(differs[setting])


def _neuron(network: Network, name: str) -> FixedLif:
    neuron = network[name].neuron
    assert isinstance(neuron, FixedLif)  # to_c() refuses others
    return neuron
