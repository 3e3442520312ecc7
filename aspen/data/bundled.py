"""Data that needs no download: handwritten digits."""

from __future__ import annotations

import numpy as np

from aspen._base.packages import needed_for
from aspen.data.datasets import Dataset, Samples
from aspen.data.encoders import RateEncoder


def digits(seed: int = 0, steps: int = 25) -> Dataset:
    """scikit-learn's handwritten digits: 1797 real images of 8 x 8 pixels, which ship with that package.

    Split by ``seed`` into 60 % training, 20 % validation and 20 % test samples, each with the same mix of digits;
    flattened to 64 values in 0 to 1 and rate coded over ``steps`` time steps.

    >>> data = digits(steps=10)
    >>> data.train.values.shape, data.spikes("test").shape  # (samples, pixels), (time, samples, pixels)
    ((1077, 64), (10, 360, 64))

    Raises:
        MissingDependencyError: scikit-learn is not installed.
    """
    with needed_for("the digits"):
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
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
        class_names=tuple("0123456789"),
    )
