"""The samples of a data set as a training sees them: made, encoded, and in batches."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from aspen._base.arrays import Array, as_array
from aspen.data import Dataset, MotionAugmentation, Samples
from aspen.data.encoders import StoredEncoder
from aspen.errors import InputError

VALIDATION_SAMPLES = 512
"""Validation samples that are tried after each epoch and at the export; the same ones each time."""


class Encoding:
    """The encoded training samples of one epoch after the other, those of the next made while one is in use.

    Ahead of time are only the library's own encoders and augmentation, which draw from what they are given alone; what
    a user wrote may draw from torch's generator, as the training does at that time.

    Args:
        data: what to learn.
    """

    def __init__(self, data: Dataset) -> None:
        own = data.augment is None or isinstance(data.augment, MotionAugmentation)
        self._data, self._ahead = data, own and isinstance(data.encoder, StoredEncoder) and _is_random(data)
        self._coming: tuple[int, Future[Array]] | None = None

    def whole(self, seed: int, following: int | None) -> Array:
        """All samples for ``seed``, (time, n, *shape); those for the seed ``following`` are begun."""
        coming, self._coming = self._coming, None
        made = coming[1].result() if coming is not None and coming[0] == seed else _training_inputs(self._data, seed)
        if self._ahead and following is not None:
            with _without_waiting() as pool:
                self._coming = following, pool.submit(_training_inputs, self._data, following)
        return made


@contextmanager
def _without_waiting() -> Iterator[ThreadPoolExecutor]:
    """A thread that ends by itself when its work is done."""
    pool = ThreadPoolExecutor(1, "aspen-encoding")
    try:
        yield pool
    finally:
        pool.shutdown(wait=False)


def encoded_batches(
    data: Dataset,
    parts: Sequence[Array],
    seed: int | None = None,
    encoding: Encoding | None = None,
    following: int | None = None,
) -> Generator[Array, None, None]:
    """The training samples of each part in turn, (time, samples, *shape), made and encoded anew where that is random.

    Where they are too many to be kept at once, each part is encoded by itself, while the one before it is in use.

    Args:
        data: what to learn.
        parts: numbers of samples.
        seed: of what is random; ``None``: the samples as :meth:`aspen.data.Dataset.spikes` has them, never augmented.
        encoding, following: what makes the next epoch's samples ahead of time, and the seed of these.

    Raises:
        InputError: what ``augment`` returned is no value for each sample.
    """
    if data.keeps("train"):
        whole = data.spikes("train") if seed is None else (encoding or Encoding(data)).whole(seed, following)
        yield from (_taken(whole, part) for part in parts)
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


def _taken(whole: Array, part: Array) -> Array:
    """Some samples of (time, n, *shape): by ``take``, which is faster, but copies what is not contiguous whole."""
    return whole.take(part, axis=1) if whole.flags.c_contiguous else whole[:, part]


def _training_inputs(data: Dataset, seed: int) -> Array:
    if not _is_random(data):
        return data.spikes("train")
    return data.encoder.encode(_made(data, data.train, seed), seed=seed)


def _is_random(data: Dataset) -> bool:
    """Whether each epoch has samples of its own."""
    return data.augment is not None or bool(getattr(data.encoder, "random", True))


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


def validation_samples(data: Dataset) -> tuple[Array, Array]:
    """(time, n, *shape) and (n,): encoded samples and labels of at most :data:`VALIDATION_SAMPLES`, always the same."""
    chosen = np.random.default_rng(0).permutation(len(data.validation))[:VALIDATION_SAMPLES]
    some = data.validation.select(chosen)
    inputs = data.spikes("validation")[:, chosen] if data.keeps("validation") else data.encode(some.values, 0)
    return inputs, some.labels


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
