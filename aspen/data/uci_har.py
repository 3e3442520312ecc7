"""UCI HAR: six activities of thirty people, from a phone's accelerometer and gyroscope at the waist."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np

from aspen._base.arrays import Array
from aspen.data.datasets import Dataset, Samples, split_subjects
from aspen.data.encoders import StoredEncoder
from aspen.data.sources import Source
from aspen.data.temporal import DeltaEncoder
from aspen.errors import FileFormatError, InputError

HAR_PAGE = "https://archive.ics.uci.edu/dataset/240/human+activity+recognition+using+smartphones"
HAR_CHANNELS = tuple(f"{signal}_{axis}" for signal in ("body_acc", "body_gyro", "total_acc") for axis in "xyz")
"""Body acceleration (g), angular velocity (rad/s), total acceleration (g); 50 Hz."""
HAR_CLASSES = ("walking", "walking upstairs", "walking downstairs", "sitting", "standing", "laying")
STEPS = 128


def har(
    path: str | Path,
    *,
    seed: int = 0,
    encoder: StoredEncoder | None = None,
    channels: Sequence[str] = HAR_CHANNELS,
    validation_subjects: int | Sequence[int] = 4,
    without_subjects: Collection[int] = (),
    augment: Callable[[Samples, np.random.Generator], Array] | None = None,
) -> Dataset:
    """UCI HAR (Anguita et al. 2013): windows of 128 samples at 50 Hz, half overlapping.

    The publisher's split by person, 21 to train and 9 to test, is kept; the validation samples are those of some
    training subjects. Values are (n, 128, channels).

    Args:
        path: the folder ``UCI HAR Dataset``, the folder that holds it, or the zip as published.
        seed: draws the validation subjects.
        encoder: is fitted on the training samples; default :class:`DeltaEncoder`.
        channels: which of :data:`HAR_CHANNELS`, in this order.
        validation_subjects: how many of the training subjects, or which.
        without_subjects: leave these people's samples out, of all parts. HAPT was recorded with the same people: a
            network that is to be judged on some of its recordings must not have trained on their windows.
        augment: as in :class:`Dataset`, e.g. :class:`MotionAugmentation`.

    Raises:
        InputError: no such path or channel, or an impossible split.
        FileFormatError: a file is missing or damaged; the message says where to get the data.
    """
    unknown = [name for name in channels if name not in HAR_CHANNELS]
    if unknown or not channels or len(set(channels)) != len(channels):
        raise InputError(
            f"channels: found {tuple(channels)}, allowed are some, each once, of {', '.join(HAR_CHANNELS)}"
        )
    source = Source(path, "train/y_train.txt", HAR_PAGE)
    train, test = (_read(source, part, channels) for part in ("train", "test"))
    assert train.subjects is not None  # _read gives them
    assert test.subjects is not None
    both = np.intersect1d(train.subjects, test.subjects)
    if len(both):
        raise FileFormatError(
            f"{path}: found subject {both[0]} in training and test, expected disjoint ones; get the data from "
            f"{HAR_PAGE}"
        )
    train, test = (_without(part, without_subjects) for part in (train, test))
    train, validation = split_subjects(train, validation_subjects, seed)
    chosen = (encoder or DeltaEncoder()).fit(train.values)
    return Dataset("har", train, validation, test, chosen, len(HAR_CLASSES), HAR_CLASSES, tuple(channels), augment)


def _read(source: Source, part: str, channels: Sequence[str]) -> Samples:
    labels = _column(source, f"{part}/y_{part}.txt", len(HAR_CLASSES))
    subjects = _column(source, f"{part}/subject_{part}.txt", 30)
    values = np.empty((len(labels), STEPS, len(channels)), np.float32)
    for i, name in enumerate(channels):
        file = f"{part}/Inertial Signals/{name}_{part}.txt"
        signal = source.numbers(file, STEPS)
        _check_rows(source, file, len(signal), len(labels))
        values[:, :, i] = signal
    _check_rows(source, f"{part}/subject_{part}.txt", len(subjects), len(labels))
    return Samples(values, labels - 1, subjects)


def _column(source: Source, file: str, largest: int) -> Array:
    numbers = source.numbers(file, 1, integer=True)[:, 0]
    if numbers.min() < 1 or numbers.max() > largest:
        raise FileFormatError(
            f"{source.path}: {file}: found {numbers.min()} to {numbers.max()}, expected 1 to {largest}; get the data "
            f"from {source.publisher}"
        )
    return numbers


def _check_rows(source: Source, file: str, found: int, wanted: int) -> None:
    if found != wanted:
        raise FileFormatError(
            f"{source.path}: {file}: found {found} rows, expected {wanted}, one for each label; get the data from "
            f"{source.publisher}"
        )


def _without(samples: Samples, subjects: Collection[int]) -> Samples:
    assert samples.subjects is not None
    kept = samples.select(~np.isin(samples.subjects, list(subjects)))
    if not len(kept):
        raise InputError(
            f"without_subjects: found {sorted(subjects)}, which leaves no sample of a part; leave fewer out"
        )
    return kept
