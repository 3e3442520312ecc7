"""Data sets: values and labels, split into training, validation and test data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from aspen._base.arrays import Array, as_array
from aspen._base.brief import Brief
from aspen._base.checks import as_name
from aspen._base.labels import as_labels
from aspen._base.names import printable
from aspen.data.encoders import Encoder, StoredEncoder
from aspen.errors import InputError

KEPT = 2**30
"""Bytes of an encoded part that are kept at once."""
_CHUNK = 256
_SEEDS = {"train": 1, "validation": 2, "test": 3}


@dataclass(frozen=True, eq=False)
class Samples(Brief):
    """Part of a data set. Lists, and tensors on any device, become arrays.

    >>> samples = Samples(np.zeros((4, 9)), labels=[0, 1, 1, 0], subjects=[1, 1, 2, 2])
    >>> len(samples), samples.select(samples.labels == 1).subjects
    (4, array([1, 2]))

    Args:
        values: (n, *shape) float32; of signals over time (n, time, channels).
        labels: (n,) whole numbers from 0, kept as int64.
        subjects: (n,) int64: who each sample is from; ``None`` where that is not known.

    Raises:
        InputError: values that are no numbers, labels that name no classes, or not as many of each.
    """

    values: Array
    labels: Array
    subjects: Array | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", as_labels("labels", self.labels))
        for name in ("values", "subjects"):
            given = getattr(self, name)
            if given is None and name == "subjects":
                continue
            array = as_array(name, given)
            if array.ndim == 0 or len(array) != len(self.labels):
                found = "one number" if array.ndim == 0 else len(array)
                raise InputError(f"{name}: found {found} beside {len(self.labels)} labels, allowed are as many")
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, chosen: Array) -> Samples:
        """The samples at ``chosen``: a mask (n,), or indices."""
        subjects = None if self.subjects is None else self.subjects[chosen]
        return Samples(self.values[chosen], self.labels[chosen], subjects)


@dataclass(frozen=True, eq=False)
class Dataset(Brief):
    """Training, validation and test samples with the encoder that turns them into spikes or a current.

    >>> from aspen.data import RateEncoder
    >>> part = Samples(np.eye(4), [0, 1, 2, 3])
    >>> data = Dataset("four", part, part, part, RateEncoder(steps=5), classes=4)
    >>> data.spikes("train").shape, data.input_shape  # (time, n, *shape)
    ((5, 4, 4), (4,))

    Args:
        name: short name.
        train, validation, test: disjoint samples. Settings are chosen on ``validation``; ``test`` is for the end.
        encoder: turns values into spikes or a current.
        classes: number of classes.
        class_names: their names, or empty.
        channels: names of the values' last axis, or empty.
        augment: makes new training values from the samples and a random generator, anew in each epoch; ``None``: the
            training sees the values as they are. Nothing else is ever augmented.
        told: how the samples were split and why they are encoded like this, where there was something to decide.
        provenance: what an exported network is to say of the samples that it was trained on: plain values.
    """

    name: str
    train: Samples
    validation: Samples
    test: Samples
    encoder: Encoder
    classes: int
    class_names: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    augment: Callable[[Samples, np.random.Generator], Array] | None = None
    told: str = ""
    provenance: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        """One line: name, samples, classes, and what there was to decide."""
        sizes = f"{len(self.train)} training, {len(self.validation)} validation and {len(self.test)} test samples"
        names = ", ".join(map(printable, self.class_names))
        listed = f" ({names if len(names) <= 80 else f'{names[:77]}...'})" if names else ""
        kind = getattr(self.encoder, "kind", type(self.encoder).__name__)
        return (
            f"{self.name}: {sizes} of {self.train.values.shape[1:]}, {self.classes} classes{listed}; "
            f"{self.told or f'encoder {kind}'}"
        )

    def part(self, name: str) -> Samples:
        """The samples called ``train``, ``validation`` or ``test``."""
        samples: Samples = getattr(self, as_name("part", name, _SEEDS))
        return samples

    def spikes(self, part: str) -> Array:
        """(time, n, *shape): a part encoded once, always with the same seed; uint8 spikes, or a float32 current."""
        samples = self.part(part)
        if part not in self._encoded:
            self._encoded[part] = self.encode(samples.values, _SEEDS[part])
        return self._encoded[part]

    def encode(self, values: Array, seed: int) -> Array:
        """(time, n, *shape): what the encoder makes of values (n, *shape).

        Raises:
            InputError: no array, other spikes than 0 and 1, or another number of samples, as where an encoder gives the
                batch first.
        """
        encoded = self.encoder.encode(values, seed)
        if not isinstance(encoded, np.ndarray):
            raise InputError(
                f"{self.name}: found an encoder that gives {type(encoded).__name__}, allowed is an array (time, "
                f"{len(values)}, *shape); correct the encoder"
            )
        if encoded.ndim < 2 or encoded.shape[1] != len(values):
            first = encoded.ndim > 1 and encoded.shape[0] == len(values)
            remedy = "it looks as if the batch came first: swap its axes 0 and 1" if first else "correct the encoder"
            raise InputError(
                f"{self.name}: found an encoder that gives {encoded.shape} for a batch of {len(values)}, allowed is "
                f"(time, {len(values)}, *shape); {remedy}"
            )
        if getattr(self.encoder, "gives", None) == "spikes" and not _are_spikes(encoded):
            raise InputError(
                f"{self.name}: found an encoder that gives other values than 0 and 1, allowed are spikes; correct it, "
                f"or say that it gives a current: gives = 'current'"
            )
        return encoded

    def with_encoder(self, encoder: StoredEncoder) -> Dataset:
        """The same samples with another encoder, fitted on the training samples."""
        return replace(self, encoder=encoder.fit(self.train.values), told="")

    @cached_property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one encoded time step of one sample: what the network's input population needs."""
        return self._encoded_sample.shape[2:]

    @cached_property
    def input_peak(self) -> float:
        """Largest magnitude in the encoded training data, as :meth:`aspen.Network.with_input_peak` wants it."""
        if self.keeps("train"):
            return float(np.abs(self.spikes("train")).max())
        values, seed = self.train.values, _SEEDS["train"]
        chunks = (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))
        return max(float(np.abs(self.encode(chunk, seed)).max()) for chunk in chunks)

    def keeps(self, part: str) -> bool:
        """Whether a part, encoded, is small enough to be kept at once; what is not is encoded where it is needed."""
        return self._encoded_sample.nbytes * len(self.part(part)) <= KEPT

    @cached_property
    def _encoded_sample(self) -> Array:
        """(time, 1, *shape): what one sample becomes, for its size alone."""
        return self.encode(self.train.values[:1], 0)

    @cached_property
    def _encoded(self) -> dict[str, Array]:
        return {}


def _are_spikes(encoded: Array) -> bool:
    if encoded.dtype.kind in "bu":
        return bool(encoded.max(initial=0) <= 1)
    return bool(((encoded == 0) | (encoded == 1)).all())


def split_subjects(samples: Samples, held_out: int | Sequence[int], seed: int = 0) -> tuple[Samples, Samples]:
    """Hold out all samples of some subjects, so that a network is judged on people that it has not seen.

    >>> samples = Samples(np.zeros((6, 2)), [0, 1] * 3, subjects=[1, 1, 2, 2, 3, 3])
    >>> kept, held = split_subjects(samples, held_out=[2])
    >>> kept.subjects, held.subjects
    (array([1, 1, 3, 3]), array([2, 2]))

    Args:
        samples: with ``subjects``.
        held_out: how many subjects, drawn by ``seed``; or which.
        seed: of the draw.

    Returns:
        (kept, held out).

    Raises:
        InputError: the samples have no subjects, there are too few, one is not among them, or a class would be missing
            from the kept samples.
    """
    if samples.subjects is None:
        raise InputError(
            "subjects: found none, allowed is a split by subject of samples that have them; split at random"
        )
    known = np.unique(samples.subjects)
    if isinstance(held_out, (int, np.integer)):
        if not 1 <= held_out < len(known):
            raise InputError(
                f"held_out: found {held_out} of {len(known)} subjects, allowed are 1 to {len(known) - 1}; one at least "
                f"must be left to train on"
            )
        chosen = np.random.default_rng(seed).choice(known, int(held_out), replace=False)
    else:
        chosen = np.unique(np.asarray(held_out, np.int64))
        unknown = np.setdiff1d(chosen, known)
        if len(unknown) or not 1 <= len(chosen) < len(known):
            raise InputError(
                f"held_out: found subjects {chosen.tolist()}, allowed are some, not all, of {known.tolist()}"
            )
    out = np.isin(samples.subjects, chosen)
    kept, held = samples.select(~out), samples.select(out)
    _check_classes(kept, held, f"subjects {sorted(int(c) for c in chosen)} hold all samples")
    return kept, held


def split_stratified(samples: Samples, fraction: float, seed: int = 0) -> tuple[Samples, Samples]:
    """Hold out a fraction of the samples of each class, at random by ``seed``; at least one, and never all.

    >>> kept, held = split_stratified(Samples(np.zeros((10, 2)), [0] * 5 + [1] * 5), 0.4)
    >>> len(kept), held.labels
    (6, array([0, 0, 1, 1]))

    Args:
        samples: what to split.
        fraction: of each class, between 0 and 1.
        seed: of the draw.

    Returns:
        (kept, held out).

    Raises:
        InputError: the fraction is not between 0 and 1, or a class has a single sample.
    """
    if not 0 < fraction < 1:
        raise InputError(f"fraction: found {fraction}, allowed is between 0 and 1; 0.2 is usual")
    rng = np.random.default_rng(seed)
    out = np.zeros(len(samples), bool)
    for label in np.unique(samples.labels):
        members = rng.permutation(np.flatnonzero(samples.labels == label))
        if len(members) < 2:
            raise InputError(f"labels: found one sample of class {label}, allowed are 2 and more; leave the class out")
        out[members[: min(max(round(fraction * len(members)), 1), len(members) - 1)]] = True
    return samples.select(~out), samples.select(out)


def _check_classes(kept: Samples, held: Samples, why: str) -> None:
    missing = np.setdiff1d(held.labels, kept.labels)
    if len(missing):
        raise InputError(
            f"split: found class {int(missing[0])} without training samples ({why}), allowed is a split that leaves "
            f"some of every class; hold out fewer or other subjects"
        )
