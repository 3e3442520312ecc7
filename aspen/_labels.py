"""Labels: one class for each sample, checked and as integers, wherever they come from."""

from __future__ import annotations

import numpy as np

from aspen._arrays import Array, as_array
from aspen.errors import InputError


def as_labels(what: str, values: object, samples: int | None = None, classes: int | None = None) -> Array:
    """Labels as every part of ASPEN takes them.

    Args:
        what: their name in messages.
        values: (n,) whole numbers from 0: an array, a list or a tensor on any device, of integers or of floats.
        samples: how many there are; ``None`` for any number.
        classes: how many classes there are; ``None`` for any number.

    Returns:
        (n,) int64.

    Raises:
        InputError: text, fractions, NaN, one-hot rows, another number of labels, or one that is not 0 to classes - 1.
    """
    array = as_array(what, values, "number the classes, as np.unique(labels, return_inverse=True)[1] does")
    if array.ndim != 1:
        remedy = "take labels.argmax(axis=1)" if array.ndim == 2 and array.shape[1] > 1 else "take labels.reshape(-1)"
        raise InputError(f"{what}: found shape {array.shape}, allowed is one class for each sample, (n,); {remedy}")
    if samples is not None and len(array) != samples:
        raise InputError(f"{what}: found {len(array)} for {samples} samples, allowed is one for each; pass as many")
    if array.dtype.kind == "f" and not np.array_equal(array, np.rint(array)):
        wrong = array[array != np.rint(array)][0]
        raise InputError(f"{what}: found {wrong:g}, allowed are whole numbers from 0; number the classes")
    _check_classes(what, array, classes)
    return array.astype(np.int64, copy=False)


def _check_classes(what: str, labels: Array, classes: int | None) -> None:
    if not len(labels):
        return
    top = 2**31 if classes is None else classes
    low, high = labels.min(), labels.max()
    if low < 0 or high >= top:
        allowed = "from 0" if classes is None else f"0 to {classes - 1}"
        raise InputError(f"{what}: found labels {low:g} to {high:g}, allowed are {allowed}; renumber the classes")
