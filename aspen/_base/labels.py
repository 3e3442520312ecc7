"""Labels: one class for each sample, checked and as integers, wherever they come from."""

from __future__ import annotations

import numpy as np

from aspen._base.arrays import Array, as_array
from aspen.errors import InputError

NO_LABEL = -1
"""Stands for a sample of an unknown class, where such samples are allowed."""


def as_labels(
    what: str,
    values: object,
    samples: int | None = None,
    classes: int | None = None,
    *,
    steps: int | None = None,
    unknown: bool = False,
    each: str = "sample",
) -> Array:
    """Labels as every part of ASPEN takes them.

    Args:
        what: their name in messages.
        values: (n,) whole numbers from 0: an array, a list or a tensor on any device, of integers or of floats.
        samples: how many there are; ``None`` for any number.
        classes: how many classes there are; ``None`` for any number.
        steps: time steps of the samples, where known: tells samples of which the batch came first.
        unknown: whether :data:`NO_LABEL` is allowed too.
        each: what each label is for, in messages.

    Returns:
        (n,) int64.

    Raises:
        InputError: text, fractions, NaN, one-hot rows, another number of labels, or one that is not 0 to classes - 1.
    """
    array = as_array(what, values, "number the classes, as np.unique(labels, return_inverse=True)[1] does")
    if array.ndim != 1:
        remedy = "take labels.argmax(axis=1)" if array.ndim == 2 and array.shape[1] > 1 else "take labels.reshape(-1)"
        raise InputError(f"{what}: found shape {array.shape}, allowed is one class for each {each}, (n,); {remedy}")
    if samples is not None and len(array) != samples:
        remedy = "pass as many"
        if len(array) == steps:
            remedy = (
                f"as these samples have {steps} time steps, it looks as if the batch came first: time does, so pass "
                f"np.swapaxes(spikes, 0, 1)"
            )
        raise InputError(f"{what}: found {len(array)} for {samples} {each}s, allowed is one for each; {remedy}")
    if array.dtype.kind == "f" and not np.array_equal(array, np.rint(array)):
        wrong = array[array != np.rint(array)][0]
        raise InputError(f"{what}: found {wrong:g}, allowed are whole numbers from 0; number the classes")
    _check_classes(what, array, classes, unknown)
    return array.astype(np.int64, copy=False)


def _check_classes(what: str, labels: Array, classes: int | None, unknown: bool) -> None:
    if not len(labels):
        return
    top = 2**31 if classes is None else classes
    low, high = labels.min(), labels.max()
    if low < (NO_LABEL if unknown else 0) or high >= top:
        allowed = "from 0" if classes is None else f"0 to {classes - 1}"
        allowed += f", or {NO_LABEL} for none" if unknown else ""
        raise InputError(f"{what}: found labels {low:g} to {high:g}, allowed are {allowed}; renumber the classes")
