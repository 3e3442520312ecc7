"""Which neurons tell the next layer most: those that a dial leaves on longest."""

from __future__ import annotations

from contextlib import closing
from math import ceil

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn

from aspen._base.arrays import Array
from aspen.data import Dataset
from aspen.models.layers import hidden_layers
from aspen.models.spikes import count_spikes
from aspen.training.framed import Runner
from aspen.training.inputs import as_frames, encoded_batches

MOST_CHOSEN = 512
"""Neurons of a layer that are chosen one by one; there is little left to tell by then."""
SAMPLES, PARTS = 1024, 8
"""So many training samples are asked what the neurons tell, each in so many parts of its time: what a neuron says of a
motion is often when it fires, not how often."""
NOTHING = 1e-9
"""Of a neuron that repeats what others say, so much of its variance may be left by rounding."""


def most_telling(rates: Array, weights: csr_array) -> list[int]:
    """Neurons in the order in which they tell the next layer what it needs.

    Each next one is that which, beside all before it, leaves least unexplained of what all of them send on: orthogonal
    least squares (Chen, Billings & Luo, International Journal of Control 50, 1989), with the mean variance of a
    neuron's contribution as a ridge, so that loud ones come before soft ones that say the same. A neuron that
    repeats what others say comes late, however loud it is.

    >>> loud, alike, other = [0, 0, 0.9, 0.9], [0, 0, 0.8, 0.8], [0, 0.5, 0, 0.5]
    >>> most_telling(np.array([loud, alike, other]).T, csr_array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    [0, 2]

    Args:
        rates: (moments, n), spikes of each neuron per time step.
        weights: (targets, n), what a spike adds to the neurons that it reaches.

    Returns:
        at most :data:`MOST_CHOSEN` numbers, without those of neurons that add nothing.
    """
    varied = rates - rates.mean(axis=0)
    values = varied * _sent_on(weights)
    own = np.square(values).sum(axis=0)
    left, told = own.copy(), values.T @ (varied @ weights.T)
    parts = np.empty((min(MOST_CHOSEN, left.size), left.size))
    chosen: list[int] = []
    while len(chosen) < len(parts):
        more = left > NOTHING * own
        gains = np.where(more, np.square(told).sum(axis=1) / np.where(more, left + own.mean(), 1.0), 0.0)
        best = int(gains.argmax())
        if gains[best] <= 0:
            break
        before = parts[: len(chosen)]
        part = (values.T @ values[:, best] - before.T @ before[:, best]) / np.sqrt(left[best])
        told -= np.outer(part, told[best] / np.sqrt(left[best]))
        left -= np.square(part)
        left[best] = 0.0
        parts[len(chosen)] = part
        chosen.append(best)
    return chosen


def order_of(weights: csr_array, rates: Array | None = None) -> list[int]:
    """All neurons, the most important one first: those that are :func:`most_telling`, where there are ``rates``, then
    those with the largest outgoing weights."""
    first = [] if rates is None else most_telling(rates, weights)
    by_weight = np.argsort(-_sent_on(weights), kind="stable")
    return [*first, *by_weight[~np.isin(by_weight, first)].tolist()]


def _sent_on(weights: csr_array) -> Array:
    """(n,): the sum of the magnitudes of each neuron's outgoing weights, (targets, n)."""
    return np.asarray(abs(weights).sum(axis=0)).reshape(-1)


def rates_of(model: nn.Module, runner: Runner, data: Dataset, batch_size: int) -> dict[str, Array]:
    """Hidden layer -> (moments, *shape): spikes per time step, float64, in each of the :data:`PARTS` of
    :data:`SAMPLES` training samples.

    The model's mode is as before.
    """
    chosen = np.random.default_rng(0).permutation(len(data.train))[:SAMPLES]
    parts = np.array_split(chosen, ceil(len(chosen) / batch_size))
    hidden, like, was_training = hidden_layers(model), next(model.parameters()), model.training
    found: dict[str, list[Array]] = {name: [] for name in hidden}
    model.eval()
    try:
        with torch.no_grad(), closing(encoded_batches(data, parts)) as batches:
            for part, encoded in zip(parts, batches, strict=True):
                with count_spikes(hidden) as spikes:
                    runner(as_frames(encoded, like))
                for name, steps in spikes.items():
                    found[name].append(_rates(steps, len(part)))
    finally:
        model.train(was_training)
    return {name: np.concatenate(rates) for name, rates in found.items()}


def _rates(steps: list[Tensor], batch: int) -> Array:
    """(parts x batch, *shape), of the spikes of all steps as :func:`count_spikes` has them."""
    whole = steps[0].reshape(-1, batch, *steps[0].shape[1:]) if len(steps) == 1 else torch.stack(steps)
    parts = torch.tensor_split(whole.double(), min(PARTS, len(whole)))
    return torch.cat([part.mean(dim=0) for part in parts]).cpu().numpy()
