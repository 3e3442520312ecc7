"""Checks on single values: what is no integer, number or name is refused by name, and never made into one.

NumPy's scalars are welcome; they become Python's own, which JSON can hold.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from inspect import signature
from math import inf, nan
from numbers import Integral, Real
from os import PathLike, fspath
from pathlib import Path

import numpy as np

from aspen._base.names import unknown_name
from aspen.errors import AspenError, InputError

LARGEST = 1e18
"""Of quantities in SI units: none is beyond it, and no sum or product of a few of them overflows."""


def shown(value: object, most: int = 60) -> str:
    """``value`` for a message: on one line, not longer than ``most`` characters."""
    if isinstance(value, Real) and not isinstance(value, Integral):
        return str(value)  # NumPy's repr names the type
    try:
        text = " ".join(repr(value).split())
    except RecursionError:
        text = type(value).__name__
    except ValueError:  # an integer of more digits than Python writes out
        text = f"an integer of {int(value).bit_length()} bits" if isinstance(value, int) else type(value).__name__
    return text if len(text) <= most else f"{text[: most - 3]}..."


def check_takes(what: str, function: Callable[..., object], *names: str) -> None:
    """Refuse a function of somebody's that cannot be called with so many arguments in a row.

    Raises:
        InputError: it takes others; one whose signature Python does not know is let through.
    """
    try:
        found = signature(function)
    except (TypeError, ValueError):
        return
    try:
        found.bind(*names)
    except TypeError:
        raise InputError(f"{what}: found a function of {found}, allowed is one of ({', '.join(names)})") from None


def as_integer(
    what: str,
    value: object,
    low: float = -inf,
    high: float = inf,
    unit: str = "",
    error: type[AspenError] = InputError,
    remedy: str = "correct the value",
) -> int:
    """``value`` as an int from ``low`` to ``high``; booleans, floats, text and arrays are no integers.

    Raises:
        error: it is something else; the message names it ``what``.
    """
    if isinstance(value, Integral) and not isinstance(value, bool) and low <= int(value) <= high:
        return int(value)
    raise error(f"{what}: found {shown(value)}{unit}, allowed is an integer{_range(low, high)}{unit}; {remedy}")


def as_number(
    what: str,
    value: object,
    low: float = -inf,
    high: float = inf,
    *,
    above: bool = False,
    unit: str = "",
    error: type[AspenError] = InputError,
    remedy: str = "correct the value",
) -> float:
    """``value`` as a finite float from ``low`` (with ``above``: from more than that) to ``high``.

    Raises:
        error: it is something else, or an integer beyond what floats hold; the message names it ``what``.
    """
    number = as_float(value)
    if low <= number <= high and abs(number) < inf and not (above and number == low):
        return number
    allowed = ("a number" if -inf < low <= high < inf else "a finite number") + _range(low, high)
    allowed = allowed.replace("from", "above", 1) if above else allowed
    raise error(f"{what}: found {shown(value)}{unit}, allowed is {allowed}{unit}; {remedy}")


def as_quantity(
    what: str, value: object, low: float = -LARGEST, high: float = LARGEST, *, above: bool = False
) -> float:
    """As :func:`as_number`, of quantities in SI units: at most :data:`LARGEST`."""
    return as_number(what, value, low, high, above=above)


def as_float(value: object) -> float:
    """Any real number as a float; NaN for what is none, infinity for what no float holds."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return nan
    try:
        return float(value)
    except OverflowError:
        return -inf if value < 0 else inf


def _range(low: float, high: float) -> str:
    if high == inf:
        return "" if low == -inf else f" from {_bound(low)}"
    return f" up to {_bound(high)}" if low == -inf else f" from {_bound(low)} to {_bound(high)}"


def _bound(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


def as_integers(
    what: str,
    values: object,
    low: float = -inf,
    high: float = inf,
    count: int | None = None,
    error: type[AspenError] = InputError,
    remedy: str = "correct the values",
) -> tuple[int, ...]:
    """``values`` as a tuple of ints, such as a shape; lists and one-dimensional integer arrays are welcome.

    Args:
        what: its name in messages.
        values: the integers.
        low, high: their range.
        count: how many are allowed; default: any number.
        error: what is raised.
        remedy: how to mend it.
    """
    listed = _listed(values)
    if listed is None or (count is not None and len(listed) != count):
        number = "" if count is None else f"{count} "
        raise error(f"{what}: found {shown(values)}, allowed are {number}integers{_range(low, high)}; {remedy}")
    return tuple(as_integer(what, value, low, high, error=error, remedy=remedy) for value in listed)


def as_numbers(
    what: str, values: object, low: float = -inf, high: float = inf, error: type[AspenError] = InputError
) -> tuple[float, ...]:
    """``values`` as a tuple of finite floats; lists and one-dimensional arrays are welcome."""
    listed = _listed(values)
    if listed is None:
        raise error(f"{what}: found {shown(values)}, allowed are numbers in a tuple; correct the values")
    return tuple(as_number(what, value, low, high, error=error) for value in listed)


def _listed(values: object) -> list[object] | None:
    """The entries of a list, a tuple or a one-dimensional array; None of anything else, such as text."""
    if isinstance(values, np.ndarray):
        return list(values) if values.ndim == 1 else None
    return list(values) if isinstance(values, (list, tuple)) else None


def as_flag(what: str, value: object, error: type[AspenError] = InputError) -> bool:
    """``value`` as a bool; numbers and text are none."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise error(f"{what}: found {shown(value)}, allowed is true or false; correct the value")


def as_path(value: object) -> Path:
    """``value`` as the path of a file or a folder: text, or what the system takes for a path."""
    if isinstance(value, (str, PathLike)):
        path = fspath(value)
        if isinstance(path, str) and "\0" not in path:
            return Path(path)
    raise InputError(f"path: found {shown(value)}, allowed is text or a pathlib.Path; name the file or the folder")


def as_name(what: str, value: object, allowed: Collection[str] = (), error: type[AspenError] = InputError) -> str:
    """``value`` as text on one line that is not empty and has no control characters, or one of ``allowed``."""
    if isinstance(value, str) and value and (value in allowed if allowed else value.isprintable()):
        return value
    if not allowed:
        wanted = (
            "text without control characters; correct it" if isinstance(value, str) and value else "a name; give it one"
        )
        raise error(f"{what}: found {shown(value)}, allowed is {wanted}")
    if not isinstance(value, str):
        raise error(f"{what}: found {shown(value)}, allowed are {', '.join(allowed)}; choose one of these")
    raise error(unknown_name(what, value, allowed))
