"""The samples of a data set as a training sees them: made, encoded, and in batches."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from aspen._base.arrays import Array, as_array
from aspen.data import Dataset, Samples
from aspen.errors import InputError

SOME = 512
"""Validation samples that are looked at where there are too many to encode all."""


def encoded_batches(data: Dataset, parts: Sequence[Array], seed: int | None = None) -> Generator[Array, None, None]:
    """The training samples of each part in turn, (time, samples, *shape), made and encoded anew where that is random.

    Where they are too many to be kept at once, each part is encoded by itself, while the one before it is in use.

    Args:
        data: what to learn.
        parts: numbers of samples.
        seed: of what is random; ``None``: the samples as :meth:`aspen.data.Dataset.spikes` has them, never augmented.

    Raises:
        InputError: what ``augment`` returned is no value for each sample.
    """
    if data.keeps("train"):
        whole = data.spikes("train") if seed is None else _training_inputs(data, seed)
        yield from (whole[:, part] for part in parts)
        return
    entropy = 0 if seed is None else seed + 1

    def encode(number: int) -> Array:
        one = int(np.random.default_rng([entropy, number, *parts[number][:1].tolist()]).integers(2**31))
        samples = data.train.select(parts[number])
        return data.encode(samples.values if seed is None else _made(data, samples, one), one)

    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(encode, 0)
        for number in range(len(parts)):
            encoded = coming.result()
            if number + 1 < len(parts):
                coming = ahead.submit(encode, number + 1)
            yield encoded


def _training_inputs(data: Dataset, seed: int) -> Array:
    if data.augment is None and not getattr(data.encoder, "random", True):
        return data.spikes("train")
    return data.encoder.encode(_made(data, data.train, seed), seed=seed)


def _made(data: Dataset, samples: Samples, seed: int) -> Array:
    """The values of ``samples``, augmented where the data are."""
    if data.augment is None:
        return samples.values
    made = as_array("augment", data.augment(samples, np.random.default_rng(seed)), "return values alone")
    if made.ndim == 0 or len(made) != len(samples):
        raise InputError(
            f"augment: found values of shape {made.shape} for {len(samples)} samples, allowed is one for each; "
            f"return as many"
        )
    return made


def some_validation(data: Dataset) -> Array:
    """Encoded validation samples, (time, n, *shape): all, or the first where they are too many to be kept at once."""
    if data.keeps("validation"):
        return data.spikes("validation")
    return data.encode(data.validation.values[:SOME], 0)


def as_frames(encoded: Array, like: Tensor) -> Tensor:
    """Encoded samples, (time, n, *shape), as a tensor of the type of ``like``, where that is."""
    return torch.from_numpy(np.ascontiguousarray(encoded)).to(like.device, like.dtype)


def telling(encoded: Array) -> Array:
    """Two samples of (time, n, *shape): those with most values of a current, else those with most spikes.

    Of zeros the export learns nothing, and zeros and ones alone do not tell a current from spikes.
    """
    values, spikes = np.zeros((2, encoded.shape[1]), np.int64)
    for step in encoded.reshape(*encoded.shape[:2], -1):
        spikes += np.count_nonzero(step, axis=1)
        values += np.count_nonzero((step != 0) & (step != 1), axis=1)
    return encoded[:, np.lexsort((-spikes, -values))[:2]]
