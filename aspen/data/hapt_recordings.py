"""UCI HAPT: continuous recordings of activities and the transitions between postures, as a device would see them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aspen._base.arrays import Array
from aspen.data.datasets import Dataset, Samples, split_subjects
from aspen.data.encoders import StoredEncoder, check_integer
from aspen.data.sources import Source
from aspen.data.temporal import DeltaEncoder
from aspen.errors import FileFormatError, InputError

HAPT_PAGE = (
    "https://archive.ics.uci.edu/dataset/341/smartphone+based+recognition+of+human+activities+and+postural+transitions"
)
HAPT_CLASSES = (
    "walking", "walking upstairs", "walking downstairs", "sitting", "standing", "laying", "stand to sit",
    "sit to stand", "sit to lie", "lie to sit", "stand to lie", "lie to stand",
)  # fmt: skip
SIGNALS = {"acc": ("total_acc_x", "total_acc_y", "total_acc_z"), "gyro": ("body_gyro_x", "body_gyro_y", "body_gyro_z")}
"""Kind of file -> its channels, named as UCI HAR names the same signals."""
UNLABELLED = -1


@dataclass(frozen=True, eq=False)
class Recording:
    """One continuous recording at 50 Hz.

    >>> recording = Recording(1, 1, np.zeros((150, 3), np.float32), np.repeat([4, UNLABELLED], [100, 50]))
    >>> len(recording), HAPT_CLASSES[recording.labels[0]]
    (150, 'standing')

    Args:
        experiment, subject: its numbers.
        values: (time, channels) float32: acceleration in g, then angular velocity in rad/s where it was asked for.
        labels: (time,) int64: an index into :data:`HAPT_CLASSES`, -1 where nothing is labelled.
    """

    experiment: int
    subject: int
    values: Array
    labels: Array

    def __len__(self) -> int:
        return len(self.labels)


def hapt_recordings(path: str | Path, signals: Sequence[str] = ("acc",)) -> tuple[Recording, ...]:
    """All recordings of a HAPT folder or zip: ``acc_expNN_userNN.txt`` (and ``gyro_...``) beside ``labels.txt``.

    ``labels.txt`` may speak of recordings that are not there.

    Args:
        path: the folder ``RawData``, one that holds it, or the zip as published.
        signals: ``("acc",)``, ``("gyro",)`` or both.

    Raises:
        InputError: no such path or signal.
        FileFormatError: a file is missing or damaged; the message says where to get the data.
    """
    if not signals or any(name not in SIGNALS for name in signals):
        raise InputError(f"signals: found {tuple(signals)}, allowed are {' and '.join(SIGNALS)}")
    source = Source(path, "labels.txt", HAPT_PAGE)
    rows = source.numbers("labels.txt", 5, integer=True)
    found = [re.fullmatch(rf"{signals[0]}_exp(\d{{1,4}})_user(\d{{1,4}})\.txt", name) for name in source.names]
    numbers = [(match[1], match[2]) for match in found if match]
    if not numbers:
        raise FileFormatError(
            f"{path}: found no {signals[0]}_expNN_userNN.txt beside labels.txt, expected HAPT's raw data; get it from "
            f"{HAPT_PAGE}"
        )
    return tuple(_read(source, experiment, user, rows, signals) for experiment, user in numbers)


def _read(source: Source, experiment: str, user: str, rows: Array, signals: Sequence[str]) -> Recording:
    parts = [source.numbers(f"{signal}_exp{experiment}_user{user}.txt", 3) for signal in signals]
    if len({len(part) for part in parts}) > 1:
        raise FileFormatError(
            f"{source.path}: experiment {experiment}: found {[len(part) for part in parts]} samples in its files, "
            f"expected as many in each; get the data from {HAPT_PAGE}"
        )
    labels = np.full(len(parts[0]), UNLABELLED, np.int64)
    for _, _, activity, first, last in rows[(rows[:, 0] == int(experiment)) & (rows[:, 1] == int(user))]:
        if not (1 <= activity <= len(HAPT_CLASSES) and 1 <= first <= last <= len(labels)):
            raise FileFormatError(
                f"{source.path}: labels.txt, experiment {experiment}: found activity {activity} from sample {first} to "
                f"{last}, expected activities 1 to 12 within 1 to {len(labels)}; get the data from {HAPT_PAGE}"
            )
        labels[first - 1 : last] = activity - 1
    return Recording(int(experiment), int(user), np.concatenate(parts, axis=1), labels)


def windows(recordings: Sequence[Recording], size: int = 128, every: int = 64) -> Samples:
    """Windows of ``size`` samples, one every ``every``, of recordings; those that hold one activity throughout.

    >>> recording = Recording(1, 1, np.zeros((300, 3), np.float32), np.repeat([4, 5], [200, 100]))
    >>> windows([recording], size=64, every=32).labels  # windows that hold both activities are left out
    array([4, 4, 4, 4, 4, 5])

    Args:
        recordings: labelled at each sample.
        size: samples in a window.
        every: samples from one window to the next.

    Raises:
        InputError: sizes below 1, or no recording holds such a window.
    """
    check_integer("size", size, 1)
    check_integer("every", every, 1)
    values, labels, subjects = [], [], []
    for recording in recordings:
        for start in range(0, len(recording) - size + 1, every):
            label = recording.labels[start]
            if label != UNLABELLED and (recording.labels[start : start + size] == label).all():
                values.append(recording.values[start : start + size])
                labels.append(label)
                subjects.append(recording.subject)
    if not values:
        raise InputError(
            f"size: found no window of {size} samples with one activity throughout, allowed are shorter ones; "
            f"UCI HAR has 128"
        )
    return Samples(np.stack(values), np.array(labels, np.int64), np.array(subjects, np.int64))


def hapt(
    path: str | Path,
    *,
    seed: int = 0,
    encoder: StoredEncoder | None = None,
    signals: Sequence[str] = ("acc",),
    validation_subjects: int | Sequence[int] = 1,
    test_subjects: int | Sequence[int] = 2,
) -> Dataset:
    """Windows of 128 samples, half overlapping, of HAPT's recordings: the six activities, split by person.

    The transitions between postures are too short for such windows and are left out; :func:`hapt_recordings` has them.

    Args:
        path, signals: see :func:`hapt_recordings`.
        seed: draws test and validation subjects.
        encoder: is fitted on the training samples; default :class:`DeltaEncoder`.
        validation_subjects, test_subjects: how many, or which.

    Raises:
        InputError: no such path, or an impossible split.
        FileFormatError: a file is missing or damaged; the message says where to get the data.
    """
    samples = windows(hapt_recordings(path, signals))
    samples = samples.select(samples.labels < 6)
    kept, test = split_subjects(samples, test_subjects, seed)
    train, validation = split_subjects(kept, validation_subjects, seed)
    chosen = (encoder or DeltaEncoder()).fit(train.values)
    channels = tuple(name for signal in signals for name in SIGNALS[signal])
    return Dataset("hapt", train, validation, test, chosen, 6, HAPT_CLASSES[:6], channels)
