"""Floats to Loihi's integers: pure functions, one for each number format.

Loihi's formats as Lava 0.10 models them: 8-bit weights (a matrix with both signs gives its last bit to the sign, so
only even weights survive), 12-bit decays, 17-bit threshold mantissas, 13-bit bias mantissas with a 3-bit exponent.
"""

from __future__ import annotations

import numpy as np

from aspen._base.arrays import Array
from aspen.network.neurons import FixedLif

WEIGHT_LIMIT = 255
WEIGHT_EXPONENTS = range(-8, 8)
STATE_LIMIT = FixedLif.STATE_LIMIT
BIAS_LIMIT = 4095 << 7
"""Largest bias in state units: a 13-bit mantissa shifted by a 3-bit exponent."""


def weight_limit(weight: Array) -> int:
    """Largest magnitude that weights of this matrix may have: 255 with one sign, 254 (even ones only) with both."""
    return WEIGHT_LIMIT - 1 if _mixed(weight) else WEIGHT_LIMIT


def _mixed(weight: Array) -> bool:
    return bool((weight > 0).any() and (weight < 0).any())


def quantize_weight(weight: Array, scale: float) -> Array:
    """Nearest integers to ``weight * scale`` that Loihi can store: even ones where the matrix has both signs."""
    step = weight_step(weight)
    low, high = weight_range(weight)
    return np.clip(step * np.rint(weight.astype(np.float64) * scale / step), low, high).astype(np.int32)


def weight_step(weight: Array) -> int:
    """Distance of the integers that weights of this matrix may have."""
    return 2 if _mixed(weight) else 1


def weight_range(weight: Array) -> tuple[int, int]:
    """Lowest and highest integer that weights of this matrix may have without a sign that it has not yet."""
    limit = weight_limit(weight)
    return -limit if (weight < 0).any() else 0, limit if (weight > 0).any() else 0


def quantize_voltage_decay(beta: Array) -> Array:
    """``dv`` with ``(4096 - dv) / 4096`` nearest to ``beta``; 0 to 4095 (a ``beta`` of 0 keeps 1/4096)."""
    return np.clip(np.rint(4096 * (1 - beta.astype(np.float64))), 0, 4095).astype(np.int32)


def quantize_current_decay(alpha: Array) -> Array:
    """``du`` with ``(4095 - du) / 4096`` nearest to ``alpha``; 4095 forgets the current at once."""
    return np.clip(np.rint(4096 * (1 - alpha.astype(np.float64))) - 1, 0, 4095).astype(np.int32)


def quantize_threshold(threshold: Array, scale: float) -> Array:
    """Nearest mantissas to ``threshold * scale``, at least 1; the highest there is for infinity (never fires).

    ``scale``: mantissa units per unit of the membrane.
    """
    mantissa = np.maximum(np.rint(threshold.astype(np.float64) * scale), 1)
    return np.where(np.isinf(threshold), FixedLif.MAX_THRESHOLD, mantissa).astype(np.int32)


def quantize_bias(bias: Array, scale: float, fixed: int | None = None) -> tuple[Array, int]:
    """Mantissas (13 bit) and one exponent (3 bit, or the ``fixed`` one) for ``bias * scale``, in state units."""
    wanted = bias.astype(np.float64) * scale
    largest = float(np.abs(wanted).max(initial=0.0))
    exponent = int(np.ceil(np.log2(largest / 4095))) if largest > 4095 else 0
    exponent = exponent if fixed is None else fixed
    return np.rint(wanted / 2**exponent).astype(np.int32), exponent


def choose_exponent(
    mantissa_per_unit: float,
    threshold: float,
    bias: float,
    headroom: float,
    largest_state: float,
    largest_mantissa: int = FixedLif.MAX_THRESHOLD,
) -> int:
    """The largest weight exponent at which thresholds and biases fit and, where possible, currents and membranes do.

    A larger exponent means finer thresholds, biases and decays.

    Args:
        mantissa_per_unit: integer weight units per unit of the membrane.
        threshold: largest threshold of the population, in units of the membrane.
        bias: largest magnitude of a bias, in units of the membrane.
        headroom: the largest ``threshold_scale`` that must stay in range.
        largest_state: worst-case magnitude of current and membrane with exponent 0, in state units. It lowers the
            exponent no further than 0: below, bits of every sum would be lost to guard against an input that may
            never come.
        largest_mantissa: that a threshold may have.

    Returns:
        the exponent; one below the chip's lowest where nothing fits.
    """

    def fits(exponent: int) -> bool:
        units = mantissa_per_unit * 2.0**exponent
        return threshold * units * headroom <= largest_mantissa and bias * units * 2**FixedLif.SHIFT <= BIAS_LIMIT

    exponent = max(filter(fits, WEIGHT_EXPONENTS), default=WEIGHT_EXPONENTS[0] - 1)
    while exponent > 0 and largest_state * 2.0**exponent >= STATE_LIMIT:
        exponent -= 1
    return exponent
