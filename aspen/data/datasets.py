"""Data sets: values and labels, split into training, validation and test data by a fixed seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aspen._arrays import Array
from aspen.data.encoders import Encoder, RateEncoder
from aspen.errors import InputError, MissingDependencyError

_SEEDS = {"train": 1, "validation": 2, "test": 3}


@dataclass(frozen=True, eq=False)
class Samples:
    """Part of a data set: ``values`` (n, *shape) float32 and ``labels`` (n,) int64."""

    values: Array
    labels: Array

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training, validation and test samples with the encoder that turns them into spikes.

    Args:
        name: short name.
        train, validation, test: disjoint samples. Settings are chosen on ``validation``; ``test`` is for the end.
        encoder: turns values into spikes.
        classes: number of classes.
    """

    name: str
    train: Samples
    validation: Samples
    test: Samples
    encoder: Encoder
    classes: int

    def part(self, name: str) -> Samples:
        """The samples called ``train``, ``validation`` or ``test``."""
        if name not in _SEEDS:
            raise InputError(f"part: found {name!r}, allowed are {', '.join(_SEEDS)}; choose one of these")
        samples: Samples = getattr(self, name)
        return samples

    def spikes(self, part: str) -> Array:
        """(time, n, *shape) uint8: a part encoded once, always with the same seed."""
        if part not in self._encoded:
            self._encoded[part] = self.encoder.encode(self.part(part).values, _SEEDS[part])
        return self._encoded[part]

    @cached_property
    def _encoded(self) -> dict[str, Array]:
        return {}


def digits(seed: int = 0, steps: int = 25) -> Dataset:
    """scikit-learn's handwritten digits: 1797 real images of 8 x 8 pixels, which ship with that package.

    Split by ``seed`` into 60 % training, 20 % validation and 20 % test samples, each with the same mix of digits;
    flattened to 64 values in 0 to 1 and rate coded over ``steps`` time steps.

    Raises:
        MissingDependencyError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise MissingDependencyError(
            "scikit-learn: not installed, needed for the digits; pip install 'aspen-snn[train]'"
        ) from error
    images, labels = load_digits(return_X_y=True)
    values, labels = (images / 16).astype(np.float32), labels.astype(np.int64)
    kept, test, kept_labels, test_labels = train_test_split(
        values, labels, test_size=0.2, stratify=labels, random_state=seed
    )
    train, validation, train_labels, validation_labels = train_test_split(
        kept, kept_labels, test_size=0.25, stratify=kept_labels, random_state=seed
    )
    return Dataset(
        "digits",
        Samples(train, train_labels),
        Samples(validation, validation_labels),
        Samples(test, test_labels),
        RateEncoder(steps),
        classes=10,
    )


DATASETS: dict[str, Callable[[], Dataset]] = {"digits": digits}
"""Name -> loader, for the command line."""
