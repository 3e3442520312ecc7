"""The encoder for a user's values: by name, as an object, or the one that suits, with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from aspen._base.arrays import Array
from aspen._base.checks import shown
from aspen._base.names import unknown_name
from aspen.data.datasets import Dataset
from aspen.data.encoder_values import ENCODERS
from aspen.data.encoders import Encoder, StoredEncoder
from aspen.data.levels import LevelEncoder
from aspen.data.temporal import CurrentEncoder, DeltaEncoder, WindowEncoder
from aspen.errors import InputError

AS_THEY_ARE = "none"
"""Name for values that reach the network as a current, neither shifted nor scaled."""
_NESTED: dict[str, Callable[[], StoredEncoder]] = {
    "levels": lambda: LevelEncoder(CurrentEncoder()),
    "window": lambda: WindowEncoder(DeltaEncoder()),
}
FITTED_ON = 2**28
"""Bytes of values that an encoder is fitted on; of more it sees evenly spaced samples."""
UNLIKE = 20.0
"""From this ratio of the features' ranges on, the smallest spikes less than once in 25 steps."""


def encoder_names() -> tuple[str, ...]:
    """What :func:`encoder_for` and the command line take as names."""
    return (*ENCODERS, AS_THEY_ARE)


def encoder_for(values: Array, asked: str | Encoder | None = None) -> tuple[Encoder, str]:
    """An encoder, fitted on training values where it is one of ASPEN's, and why it is this one.

    Args:
        values: (n, *shape), of the training samples.
        asked: one of :func:`encoder_names`, an encoder, or ``None`` for :func:`suited`.

    Raises:
        InputError: no such name, or the encoder does not take these values.
    """
    if asked is None:
        asked, why = suited(values)
    elif isinstance(asked, str):
        why = "as asked for"
    elif isinstance(asked, type) or not callable(getattr(asked, "encode", None)):
        raise InputError(
            f"encoder: found {shown(asked)}, allowed are {', '.join(encoder_names())}, or an encoder such as "
            f"RateEncoder(steps=50)"
        )
    else:
        fitted = asked.fit(fitted_on(values)) if isinstance(asked, StoredEncoder) else asked
        return fitted, "as given"
    if asked == AS_THEY_ARE:
        return CurrentEncoder(), why
    if asked not in ENCODERS:
        raise InputError(unknown_name("encoder", asked, encoder_names()))
    encoder = _NESTED.get(asked, ENCODERS[asked])()
    _check_axes(encoder, values)
    return encoder.fit(fitted_on(values)), why


def encoded_by(dataset: Dataset, name: str) -> Dataset:
    """A data set with the encoder called ``name``, one of :func:`encoder_names`, fitted on its training samples."""
    return replace(dataset, encoder=encoder_for(dataset.train.values, name)[0], told="")


def suited(values: Array) -> tuple[str, str]:
    """The name of the encoder that suits values (n, *shape), and what they were taken for.

    What is zeros and ones over time is spikes already; a signal is (n, time, channels); anything else, features and
    images, has no time, which rate coding gives it.

    >>> import numpy as np
    >>> suited(np.zeros((5, 64, 3), np.float32) + 0.5)
    ('delta', 'signals (n, time, channels); for images encoder="rate"')

    Raises:
        InputError: floats with more axes than an image has.
    """
    if values.ndim > 2 and values.shape[1] > 1 and are_spikes(values):
        return "spikes", "zeros and ones over time (n, time, *shape), spikes already"
    if values.ndim == 2:
        return "rate", f"features (n, features){_unlike(values)}; for signals of one channel pass X[..., None]"
    if values.ndim == 3 and values.dtype.kind == "f":
        return "delta", 'signals (n, time, channels); for images encoder="rate"'
    if values.ndim <= 4:
        return "rate", "images (n, *shape)"
    raise InputError(
        f"X: found values of shape {values.shape}, which may be videos or volumes; say how to encode them: encoder="
        f'"rate" where there is no time, "{AS_THEY_ARE}" for (n, time, *shape) as a current'
    )


def fitted_on(values: Array) -> Array:
    """The samples that an encoder is fitted on: all, or evenly spaced ones of what may lie on a disk."""
    return values[:: -(-values.nbytes // FITTED_ON) or 1]


def _unlike(values: Array) -> str:
    """What to say where one range for all features leaves little of some."""
    spans = np.ptp(fitted_on(values).astype(np.float64), axis=0)
    spans = spans[spans > 0]
    ratio = spans.max() / spans.min() if spans.size else 1.0
    return f", whose ranges differ {ratio:.3g} times, which one range for all hides: scale X" if ratio > UNLIKE else ""


def are_spikes(values: Array) -> bool:
    """Whether values are zeros and ones alone, sample by sample, so that what is needed for it stays small."""
    return all(bool(((sample == 0) | (sample == 1)).all()) for sample in values)


def _check_axes(encoder: StoredEncoder, values: Array) -> None:
    """Say of an encoder of signals what it is for, before it speaks of axes."""
    if encoder.temporal and values.ndim < 3:
        raise InputError(
            f"encoder: found {encoder.kind}, which is for signals, beside values of shape {values.shape}, allowed is "
            f'(n, time, channels); of one channel pass X[..., None], and for features encoder="rate"'
        )
