"""Small checks on arrays, shared by the descriptions of networks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

import numpy as np

from aspen._base.brief import Brief
from aspen.errors import InputError, NetworkError

Array = np.ndarray[Any, np.dtype[Any]]
LARGEST = float(np.finfo(np.float32).max)
"""Largest magnitude in a network in floating point, that of float32: in float64 then no sum or product overflows."""


class Rebuilt(Brief):
    """Base of data classes of read-only arrays and mappings: copies and unpickled instances are made anew from the
    arguments, as NumPy's own copies could be written to, and read-only mappings cannot be copied."""

    def _close(self, *names: str) -> None:
        """Make arrays among the arguments read-only, and mappings read-only copies, which whoever gave them cannot
        change either, with their arrays."""
        for name in names:
            given = getattr(self, name)
            closed = read_only(given)
            if isinstance(given, Mapping):
                closed = MappingProxyType({key: read_only(value) for key, value in given.items()})
            object.__setattr__(self, name, closed)

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        itself: Any = self
        values = [getattr(self, each.name) for each in fields(itself) if each.init]
        return type(self), tuple(dict(value) if isinstance(value, MappingProxyType) else value for value in values)


def read_only(value: Any) -> Any:
    """An array as a view that cannot be written to, while whoever made it can go on filling it; others as they are."""
    if not isinstance(value, np.ndarray):
        return value
    view = value.view()
    view.flags.writeable = False
    return view


def as_array(what: str, values: object, remedy: str = "pass an array of numbers") -> Array:
    """``values`` as an array of real numbers: an array, nested lists, or tensors on any device.

    Args:
        what: their name in messages.
        values: the numbers; what is an array already is not copied.
        remedy: how to mend what is refused, for the message.

    Raises:
        InputError: text, objects, complex numbers, lists of different lengths, or a tensor without values.
    """
    if isinstance(values, (list, tuple)) and values and hasattr(values[0], "detach"):
        values = [_from_tensor(what, value) for value in values]
    try:
        array = np.asarray(_from_tensor(what, values))
    except (TypeError, ValueError) as error:  # lists of different lengths
        reason = str(error).split(". ")[0]
        raise InputError(f"{what}: found {type(values).__name__} that is no array ({reason}); {remedy}") from error
    if array.dtype.kind not in "fiub":
        raise InputError(f"{what}: found values of type {array.dtype}, allowed are real numbers; {remedy}")
    return array


def _from_tensor(what: str, values: Any) -> Any:
    """A tensor's values as NumPy takes them, without importing torch; anything else as it is."""
    if not hasattr(values, "detach"):
        return values
    if values.is_meta:
        raise InputError(f"{what}: found a tensor on the device 'meta', which holds no values; pass one that does")
    held = values.detach().cpu()
    return (held.float() if str(held.dtype) == "torch.bfloat16" else held).numpy()  # NumPy has no bfloat16


def as_parameters(what: str, values: object) -> Array:
    """As :func:`as_array`, for parts of a network: what is refused is a NetworkError."""
    try:
        return as_array(what, values, "convert them first")
    except InputError as error:
        raise NetworkError(str(error)) from error


def frozen(what: str, values: object, kind: str, infinite: bool = False) -> Array:
    """A read-only copy of ``values`` as a float (``kind="float"``) or int32 (``kind="int"``) array; finite, and floats
    within :data:`LARGEST`.

    ``infinite`` allows infinity, but not NaN, among floats.

    float32 stays float32 (it is what the network was trained in); every other real type becomes float64.
    """
    array = as_parameters(what, values)
    if kind == "int":
        array = _as_int32(what, array)
    else:
        array = np.array(array, dtype=np.float32 if array.dtype == np.float32 else np.float64)
        if np.isnan(array).any() or not (infinite or np.isfinite(array).all()):
            raise NetworkError(
                f"{what}: found NaN or infinity, allowed are finite numbers; look for a diverged training"
            )
        _check_magnitude(what, array)
    array.flags.writeable = False
    return array


def _check_magnitude(what: str, array: Array) -> None:
    largest = float(np.abs(array).max(initial=0.0, where=np.isfinite(array)))
    if largest > LARGEST:
        raise NetworkError(
            f"{what}: found magnitudes up to {largest:.3g}, allowed are those of float32, up to {LARGEST:.3g}; look "
            f"for a diverged training"
        )


def _as_int32(what: str, array: Array) -> Array:
    if array.dtype.kind == "f" and not np.array_equal(array, np.rint(array)):
        raise NetworkError(f"{what}: found fractions, allowed are integers; compile the network for a chip")
    limits = np.iinfo(np.int32)
    if array.size and (array.min().item() < limits.min or array.max().item() > limits.max):
        raise NetworkError(f"{what}: found values beyond 32 bits, allowed is {limits.min}..{limits.max}")
    return array.astype(np.int32)


def check_range(what: str, array: Array, low: float, high: float, unit: str = "") -> None:
    """Raise unless all of ``array`` lies in ``[low, high]``."""
    if array.size == 0 or (array.min() >= low and array.max() <= high):
        return
    found = f"{array.min():g}" if array.min() == array.max() else f"{array.min():g} to {array.max():g}"
    raise NetworkError(f"{what}: found {found}{unit}, allowed is {low:g} to {high:g}{unit}; correct the value")


def check_shape(what: str, array: Array, allowed: Iterable[tuple[int, ...]]) -> None:
    """Raise unless ``array`` has one of the shapes in ``allowed``."""
    shapes = list(allowed)
    if array.shape not in shapes:
        listed = " or ".join(str(shape) for shape in shapes)
        raise NetworkError(f"{what}: found shape {array.shape}, allowed is {listed}; reshape the array")
