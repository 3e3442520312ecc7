"""The arithmetic of :func:`aspen_emulator.engines.lif.lif_step`, for integers and floats.

What differs between the two are the small operations (``decay``, ``wrap``, ``clip``, ``shift_right``, ``by_synapse``).
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba.extending import overload

from aspen_emulator.engines.fast.core.columns import LIMIT


def decay(x: Any, keep: Any) -> Any:
    """What is left of ``x`` after a step."""


def wrap(x: Any) -> Any:
    """``x`` in 24 bits, wrapped around once; floats as they are."""


def clip(x: Any) -> Any:
    """``x`` in 24 bits, clipped; floats as they are."""


def shift_right(total: Any, bits: Any) -> Any:
    """An integer sum of weights without its lowest bits, rounded down; floats as they are."""


def by_synapse(threshold: Any) -> Any:
    """What a synapse subtracts: an integer threshold in its 8 bits; floats as they are."""


@overload(decay)
def _decay(x: Any, keep: Any) -> Any:
    def plain(x: Any, keep: Any) -> Any:
        return keep * x

    def wide(x: Any, keep: Any) -> Any:
        kept = abs(x) * keep >> 12
        return -kept if x < 0 else kept

    def narrow(x: Any, keep: Any) -> Any:  # a product has 36 bits: taken apart, and told to stay in 32 at every step
        size = np.int32(abs(x))
        high = np.int32(np.int32(size >> 12) * keep)
        low = np.int32(np.int32(size & 4095) * keep)
        kept = np.int32(high + np.int32(low >> 12))
        return np.int32(-kept) if x < 0 else kept

    return plain if isinstance(x, numba.types.Float) else wide if x == numba.int64 else narrow


@overload(wrap)
def _wrap(x: Any) -> Any:
    kind = np.int64 if x == numba.int64 else np.int32
    limit, turn, none = kind(LIMIT), kind(2 * LIMIT), kind(0)

    def plain(x: Any) -> Any:
        return x

    def integer(x: Any) -> Any:
        return kind(kind(x - (turn if x > limit else none)) + (turn if x <= -limit else none))

    return plain if isinstance(x, numba.types.Float) else integer


@overload(clip)
def _clip(x: Any) -> Any:
    kind = np.int64 if x == numba.int64 else np.int32
    low, high = kind(1 - LIMIT), kind(LIMIT - 1)

    def plain(x: Any) -> Any:
        return x

    def integer(x: Any) -> Any:
        return min(max(x, low), high)

    return plain if isinstance(x, numba.types.Float) else integer


@overload(shift_right)
def _shift_right(total: Any, bits: Any) -> Any:
    def plain(total: Any, bits: Any) -> Any:
        return total

    def integer(total: Any, bits: Any) -> Any:
        return total >> bits

    return plain if isinstance(total, numba.types.Float) else integer


@overload(by_synapse)
def _by_synapse(threshold: Any) -> Any:
    kind = np.int64 if threshold == numba.int64 else np.int32

    def plain(threshold: Any) -> Any:
        return threshold

    def integer(threshold: Any) -> Any:
        bits = kind(5)  # a threshold has 6 bits below its mantissa: of up to 8 bits, this rounds nothing
        for more in range(14, 21):
            bits += kind(threshold >= kind(1) << kind(more))
        return kind(kind(kind(threshold + (kind(1) << bits)) >> bits >> kind(1)) << bits << kind(1))

    return plain if isinstance(threshold, numba.types.Float) else integer
