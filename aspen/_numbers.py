"""Checks on single numbers, whatever type they come in."""

from __future__ import annotations

from math import inf, nan
from numbers import Integral, Real

import numpy as np

from aspen.errors import InputError

LARGEST = 1e18
"""Of quantities in SI units: none is beyond it, and no sum or product of a few of them overflows."""


def real(what: str, value: object, low: float = -LARGEST, high: float = LARGEST, *, above: bool = False) -> float:
    """``value`` as Python's float, whatever type of real number it is: NumPy's too.

    Args:
        what: name of the value, for the message.
        value: to be checked.
        low, high: what is allowed, both included.
        above: ``low`` itself is not allowed.

    Raises:
        InputError: it is no number (NaN is none), or out of range.
    """
    number = as_float(value)
    if not low <= number <= high or (above and number == low):
        raise InputError(
            f"{what}: found {shown(value)}, allowed is a number {'above' if above else 'from'} {low:g} to {high:g}"
        )
    return number


def flag(what: str, value: object) -> bool:
    """``value`` as Python's bool: NumPy's is one too.

    Raises:
        InputError: it is no truth value.
    """
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise InputError(f"{what}: found {shown(value)}, allowed is True or False")


def whole(what: str, value: object, low: int = 0, high: int = 2**63 - 1) -> int:
    """``value`` as Python's int, whatever type of integer it is.

    Raises:
        InputError: it is no integer, or out of range.
    """
    if isinstance(value, Integral) and not isinstance(value, bool) and low <= int(value) <= high:
        return int(value)
    raise InputError(f"{what}: found {shown(value)}, allowed is a whole number from {low} to {high}")


def as_float(value: object) -> float:
    """Any real number as a float; NaN for what is none, infinity for what no float holds."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return nan
    try:
        return float(value)
    except OverflowError:
        return -inf if value < 0 else inf


def shown(value: object) -> str:
    """A value in a message: on one line, and short."""
    if isinstance(value, Real) and not isinstance(value, Integral):
        return str(value)
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python does not print integers of thousands of digits
        return "an integer beyond all bounds"
    return text if len(text) <= 60 else f"{text[:57]}..."
