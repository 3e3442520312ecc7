"""Samples as users hold them: arrays, lists, tensors, PyTorch's data sets and loaders. Nothing here imports torch."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from aspen._base.arrays import Array, as_array
from aspen._base.memory import check_memory
from aspen.data.encoders import LARGEST
from aspen.errors import InputError, one_line

BATCH = 256
"""Samples of a PyTorch data set that are read at once."""
_EQUAL = "give samples of one shape: cut or pad recordings to one length"
_PAIRS = "let it give (values, label) pairs"
_OF_A_DATASET = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, OSError)
"""What somebody's data set raises where its samples cannot be put together."""


@dataclass(frozen=True, eq=False)
class Given:
    """Samples that are arrays now; labels are still whatever names the classes.

    Args:
        values: (n, *shape), numbers: float32, or 8-bit integers as they came.
        labels: (n,) integers, or names.
        subjects: (n,) int64, or ``None``.
    """

    values: Array
    labels: Array
    subjects: Array | None = None

    def __len__(self) -> int:
        return len(self.labels)


def collect(what: str, values: object, labels: object = None, subjects: object = None) -> Given:
    """Samples from what a user has.

    Args:
        what: what they are for, in messages: data, validation, test.
        values: (n, *shape), with ``labels``; or all of it as (values, labels), (values, labels, subjects), a PyTorch
            data set or a ``DataLoader``.
        labels: (n,) classes: numbers, or names.
        subjects: (n,) who each sample is from: numbers, or names.

    Raises:
        InputError: they are no such samples, NaN, of different shapes, too many for the memory, or not as many of each.
    """
    if labels is None:
        values, labels, subjects = _parts(what, values, subjects)
    array, classes = _as_values(what, values), as_classes(f"{what}: labels", labels)
    if len(array) != len(classes):
        second = array.ndim > 1 and array.shape[1] == len(classes)
        remedy = "samples come first: pass np.moveaxis(X, 1, 0)" if second else "give one label for each sample"
        raise InputError(f"{what}: found {len(array)} samples beside {len(classes)} labels; {remedy}")
    if not len(array):
        raise InputError(f"{what}: found no samples, allowed is one and more; check what was read")
    return Given(array, classes, None if subjects is None else _as_subjects(what, subjects, len(array)))


def is_collectable(data: object) -> bool:
    """Whether :func:`collect` takes it without separate labels."""
    return isinstance(data, (tuple, list)) or _torch_data(data) is not None


def as_classes(what: str, labels: object) -> Array:
    """Labels as a row of numbers or of text.

    Raises:
        InputError: they are neither, or no row.
    """
    array = np.asarray(labels) if not hasattr(labels, "detach") else as_array(what, labels)
    if array.dtype.kind == "O" and all(isinstance(label, str) for label in array.ravel()):
        array = array.astype(str)
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    if array.dtype.kind != "U":
        array = as_array(what, array, "give whole numbers, or names as text")
    if array.ndim == 2 and array.shape[1] == 1:
        return array[:, 0]
    if array.ndim != 1:
        remedy = "pass labels.argmax(axis=1)" if array.ndim == 2 else "give one for each sample"
        raise InputError(f"{what}: found shape {array.shape}, allowed is one class for each sample, (n,); {remedy}")
    return array


def _parts(what: str, data: Any, subjects: object) -> tuple[object, object, object]:
    """Values, labels and subjects of what holds them together."""
    loader = _torch_data(data)
    if loader is not None:
        values, labels = _read(what, loader)
        return values, labels, subjects
    whole = isinstance(data, (tuple, list)) and len(data) == 2 + (len(data) == 3 and subjects is None)
    if whole and data[1] is not None:
        return data[0], data[1], data[2] if len(data) == 3 else subjects
    raise InputError(
        f"{what}: found {type(data).__name__} without labels, allowed are values with labels, (X, y), (X, y, "
        f"subjects), a torch data set and a DataLoader; give the labels too"
    )


def _torch_data(data: object) -> Any:
    """A ``DataLoader`` that gives all of ``data`` in its own order, or ``None`` where it is nothing of PyTorch's."""
    torch = sys.modules.get("torch")  # whoever has something of PyTorch's has imported it
    if torch is None:
        return None
    kinds: Any = torch.utils.data
    if isinstance(data, kinds.Dataset):
        return kinds.DataLoader(data, batch_size=BATCH)
    if not isinstance(data, kinds.DataLoader):
        return None
    if isinstance(data.sampler, kinds.RandomSampler) and not data.sampler.replacement:  # the split is drawn by a seed
        return kinds.DataLoader(data.dataset, batch_size=data.batch_size, collate_fn=data.collate_fn)
    if getattr(data.sampler, "replacement", False):
        raise InputError(
            "data: found a DataLoader that draws samples with replacement, allowed is each sample once, as it may be "
            "in one part only; pass its dataset"
        )
    return data


def _read(what: str, loader: Any) -> tuple[Array, Array]:
    """All batches of a loader, put together."""
    values, labels, size = list[Array](), list[Array](), 0
    for batch in _batches(what, loader):
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            found = f"{len(batch)} parts" if isinstance(batch, (tuple, list)) else type(batch).__name__
            raise InputError(f"{what}: found batches of {found}, allowed are (values, labels); {_PAIRS}")
        values.append(as_array(f"{what}: values", batch[0]))
        labels.append(as_classes(f"{what}: labels", batch[1]))
        size += 2 * values[-1].nbytes  # once more where they are put together
        check_memory(
            f"{what}: its samples",
            size,
            "give fewer, or write them to X.npy and pass numpy.load('X.npy', mmap_mode='r')",
        )
    if not values:
        raise InputError(f"{what}: found a {type(loader.dataset).__name__} without samples; check what it reads")
    try:
        return np.concatenate(values), np.concatenate(labels)
    except ValueError as error:
        raise InputError(f"{what}: found batches of other shapes ({one_line(error)}); {_EQUAL}") from error


def _batches(what: str, loader: Any) -> Iterator[Any]:
    try:
        yield from loader
    except _OF_A_DATASET as error:
        if isinstance(error, InputError):
            raise
        name = type(loader.dataset).__name__
        raise InputError(f"{what}: found a {name} that cannot be read ({one_line(error)}); {_PAIRS}") from error


def _as_values(what: str, values: object) -> Array:
    array = as_array(f"{what}: values", values, _EQUAL)
    if array.ndim < 2 or 0 in array.shape[1:]:
        remedy = "for one value in each pass X.reshape(-1, 1)" if array.ndim == 1 else "samples come first"
        raise InputError(f"{what}: found values of shape {array.shape}, allowed is (samples, *shape); {remedy}")
    if array.dtype == bool:
        return array.view(np.uint8)
    if array.dtype.itemsize == 1:
        return array
    _check_finite(what, array)
    return array.astype(np.float32, copy=False)


def _check_finite(what: str, array: Array) -> None:
    """Raise on NaN, infinity and what float32 does not hold, and say in which samples."""
    wrong = [number for number, sample in enumerate(array) if not (np.abs(sample) <= LARGEST).all()]
    if wrong:
        raise InputError(
            f"{what}: found NaN, infinity or numbers beyond {LARGEST:g} in {len(wrong)} of {len(array)} samples, first "
            f"in number {wrong[0]}, allowed are finite numbers; fill the gaps, or leave these samples out"
        )


def _as_subjects(what: str, subjects: object, samples: int) -> Array:
    array = as_classes(f"{what}: subjects", subjects)
    if len(array) != samples:
        raise InputError(f"{what}: found {len(array)} subjects beside {samples} samples, allowed is one for each")
    if array.dtype.kind not in "iub":
        return np.unique(array, return_inverse=True)[1].astype(np.int64)
    return array.astype(np.int64)
