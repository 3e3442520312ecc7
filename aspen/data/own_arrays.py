"""A user's own arrays as a data set: split, encoded, and able to say how."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from aspen._base.checks import as_integer, as_number
from aspen.data.choosing import encoder_for
from aspen.data.class_table import ClassTable
from aspen.data.collecting import Given, collect, is_collectable
from aspen.data.datasets import Dataset, Samples, split_stratified, split_subjects
from aspen.data.encoders import Encoder
from aspen.errors import InputError

HELD_OUT = 0.2
"""Fraction of the samples, or of the subjects, that is for validation, and as much for the test."""
Part = float | tuple[Any, ...] | Any


def arrays(
    values: object,
    labels: object = None,
    subjects: object = None,
    *,
    validation: Part = HELD_OUT,
    test: Part = HELD_OUT,
    encoder: str | Encoder | None = None,
    seed: int = 0,
    name: str = "own data",
    class_names: Sequence[str] | None = None,
    channels: Sequence[str] = (),
) -> Dataset:
    """Your own arrays as a data set, split into training, validation and test samples.

    The samples come first: (n, time, channels) of signals, (n, features), (n, height, width) or (n, channels, height,
    width) of images, (n, time, *shape) of spikes. The same arrays with the same seed are always split alike. Subjects
    are never divided: a network is tested on people that it has not seen. Where there are none, each part has the same
    mix of classes.

    >>> X, y = np.random.default_rng(0).random((50, 20, 3)), ["walk", "run"] * 25
    >>> data = arrays(X, y)
    >>> print(data)
    own data: 30 training, 10 validation and 10 test samples of (20, 3), 2 classes (run, walk); drawn by seed 0, with \
the same mix of classes; encoder delta: signals (n, time, channels); for images encoder="rate"
    >>> data.spikes("train").shape  # (time, n, ON and OFF)
    (20, 30, 6)

    Args:
        values: (n, *shape) numbers: an array, lists or a tensor; or values and labels together as a tuple, a PyTorch
            data set or a ``DataLoader`` of (values, labels), which is read once, in the order of its data set.
        labels: (n,) classes: whole numbers, or names. What does not count from 0 without a gap is numbered in order,
            and keeps its name in ``class_names`` of the data set.
        subjects: (n,) who or what each sample is from: numbers, or names.
        validation, test: the fraction of the samples, or of the subjects, that is held out; or samples that are apart
            already, as (values, labels), a data set or a loader.
        encoder: one of :data:`aspen.data.ENCODERS` by name, ``"none"`` for values that reach the network as a current
            as they are, or an encoder; it is fitted on the training samples. ``None``: spikes as they are, ``delta``
            for signals, ``rate`` for the rest.
        seed: of the split.
        name: of the data, in files and messages.
        class_names: names of the classes, which say how many there are; labels then number them from 0, or are names
            among them.
        channels: names of the values' last axis.

    Raises:
        InputError: arrays that do not fit together, NaN, a single class, a class or too few subjects for all parts.
    """
    given = collect("data", values, labels, subjects)
    apart = {
        part: collect(part, held) for part, held in (("validation", validation), ("test", test)) if not _is_number(held)
    }
    table = ClassTable.of(given.labels, class_names)
    samples = _samples("labels", given, table)
    parts = {part: _samples(f"{part} labels", each, table) for part, each in apart.items()}
    _check_shapes(samples, parts)
    fractions = {part: held for part, held in (("test", test), ("validation", validation)) if part not in parts}
    seed = as_integer("seed", seed, 0, 2**32 - 1)
    split, how = _split(samples, _as_fractions(fractions), seed, table)
    split |= parts
    chosen, why = encoder_for(split["train"].values, encoder)
    kind = getattr(chosen, "kind", type(chosen).__name__)
    apart_too = f"{' and '.join(parts)} given" if parts else ""
    told = "; ".join(part for part in (how, apart_too, f"encoder {kind}: {why}") if part)
    return Dataset(
        name, split["train"], split["validation"], split["test"], chosen, table.classes, table.names, tuple(channels),
        told=told, provenance=_provenance(split["train"], seed),
    )  # fmt: skip


def as_dataset(data: Any) -> Any:
    """What :func:`aspen.fit` is given as a data set: (X, y), (X, y, subjects), PyTorch's data sets and loaders too.

    >>> as_dataset((np.eye(10).repeat(2, axis=0), [0, 1] * 10)).encoder.kind
    'rate'

    Returns:
        a data set; anything else that it does not know as it is, for whoever checks it.
    """
    return arrays(data) if not isinstance(data, Dataset) and is_collectable(data) else data


def fingerprint(samples: Samples) -> str:
    """16 digits that tell samples, in this order, from others."""
    digest = hashlib.sha256(repr((samples.values.shape, samples.values.dtype.str)).encode())
    for array in (samples.values, samples.labels):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


def _is_number(held: object) -> bool:
    return isinstance(held, (int, float, np.number)) and not isinstance(held, bool)


def _samples(what: str, given: Given, table: ClassTable) -> Samples:
    return Samples(given.values, table.numbers(what, given.labels), given.subjects)


def _check_shapes(samples: Samples, parts: dict[str, Samples]) -> None:
    for part, held in parts.items():
        if held.values.shape[1:] != samples.values.shape[1:]:
            raise InputError(
                f"{part}: found samples of shape {held.values.shape[1:]}, allowed is {samples.values.shape[1:]}, as in "
                f"the training data"
            )


def _as_fractions(fractions: dict[str, Any]) -> dict[str, float]:
    checked = {part: as_number(part, value, 0.0, 1.0, above=True) for part, value in fractions.items()}
    if sum(checked.values()) >= 1:
        raise InputError(
            f"{' and '.join(checked)}: found fractions that sum up to {sum(checked.values()):g}, allowed is less than "
            f"1, as some must be left to train on; 0.2 each is usual"
        )
    return checked


def _split(
    samples: Samples, fractions: dict[str, float], seed: int, table: ClassTable
) -> tuple[dict[str, Samples], str]:
    """The parts, and how they were drawn."""
    if not fractions:
        return {"train": samples}, ""
    if samples.subjects is not None:
        return _split_by_subject(samples, fractions, seed)
    counts = np.bincount(samples.labels, minlength=table.classes)
    for number in np.flatnonzero((counts > 0) & (counts <= len(fractions))):
        raise InputError(
            f"labels: found {counts[number]} of class {table.name(int(number))}, allowed are {len(fractions) + 1} and "
            f"more, one for training and each of {' and '.join(fractions)}; record more, or leave the class out"
        )
    left, split, rest = samples, dict[str, Samples](), 1.0
    for part, fraction in fractions.items():
        left, split[part] = split_stratified(left, fraction / rest, seed)
        rest -= fraction
    return {"train": left, **split}, f"drawn by seed {seed}, with the same mix of classes"


def _split_by_subject(samples: Samples, fractions: dict[str, float], seed: int) -> tuple[dict[str, Samples], str]:
    people = len(set([] if samples.subjects is None else samples.subjects.tolist()))
    if people <= len(fractions):
        raise InputError(
            f"subjects: found {people}, allowed are {len(fractions) + 1} and more, one for training and each of "
            f"{' and '.join(fractions)}; give the parts apart, or leave out subjects to mix them"
        )
    counts = {part: max(round(fraction * people), 1) for part, fraction in fractions.items()}
    while sum(counts.values()) >= people:  # of few subjects, rounding up must leave one
        counts[max(counts, key=lambda part: counts[part])] -= 1
    left, split = samples, dict[str, Samples]()
    for part, count in counts.items():
        left, split[part] = split_subjects(left, count, seed)
    kept = people - sum(counts.values())
    held = " and ".join(f"{count} for {part}" for part, count in counts.items())
    return {"train": left, **split}, f"by subject, drawn by seed {seed}: {kept} to train on, {held}"


def _provenance(train: Samples, seed: int) -> dict[str, object]:
    """What a network says of the samples that it was trained on."""
    shape = [int(size) for size in train.values.shape]
    return {"fingerprint": fingerprint(train), "shape": shape, "split_seed": seed}
