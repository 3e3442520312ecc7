"""The samples of a data set as a training sees them: made, encoded, and in batches."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from aspen._base.arrays import Array, as_array
from aspen.data import Dataset
from aspen.errors import InputError


def training_inputs(data: Dataset, seed: int) -> Array:
    """The training samples, (time, n, *shape): made and encoded anew only where that is random.

    Raises:
        InputError: what ``augment`` returned is no value for each sample.
    """
    encoder, augment = data.encoder, data.augment
    if augment is not None:
        made = as_array("augment", augment(data.train, np.random.default_rng(seed)), "return values alone")
        if made.ndim == 0 or len(made) != len(data.train):
            raise InputError(
                f"augment: found values of shape {made.shape} for {len(data.train)} samples, allowed is one for each; "
                f"return as many"
            )
        return encoder.encode(made, seed=seed)
    if getattr(encoder, "random", True):
        return encoder.encode(data.train.values, seed=seed)
    return data.spikes("train")


def batch_of(inputs: Array, samples: Array | slice, like: Tensor) -> Tensor:
    """Some of the encoded ``inputs``, (time, n, *shape), as a tensor of the type of ``like``, where that is."""
    return torch.from_numpy(np.ascontiguousarray(inputs[:, samples])).to(like.device, like.dtype)


def telling(encoded: Array) -> Array:
    """Two samples of (time, n, *shape): those with most values of a current, else those with most spikes.

    Of zeros the export learns nothing, and zeros and ones alone do not tell a current from spikes.
    """
    values, spikes = np.zeros((2, encoded.shape[1]), np.int64)
    for step in encoded.reshape(*encoded.shape[:2], -1):
        spikes += np.count_nonzero(step, axis=1)
        values += np.count_nonzero((step != 0) & (step != 1), axis=1)
    return encoded[:, np.lexsort((-spikes, -values))[:2]]
