"""Windows of a stream, from spikes, from a sensor's values, or from HAPT's recordings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from aspen._base.arrays import Array
from aspen._base.labels import NO_LABEL, as_labels
from aspen.data import Dataset, hapt_recordings
from aspen.data.encoders import StoredEncoder
from aspen.errors import InputError
from aspen.network.network import Network

HAPT_RATE = 50.0
"""Samples in a second."""


@dataclass(frozen=True, eq=False)
class Source:
    """What a stream is fed with.

    Args:
        parts: (samples, *shape) each: sensor values or, without an encoder, spikes. A window does not reach over two.
        size: samples in a window.
        encoder: makes spikes or a current of the values of a window; None: they are spikes or a current already. One
            that draws at random draws anew for each window, by its number, so that a stream can go on where it was.
        labels: (windows,) classes, -1 where there is none.
        window_seconds: from window to window, where that is known.
    """

    parts: tuple[Array, ...]
    size: int
    encoder: StoredEncoder | None = None
    labels: Array | None = None
    window_seconds: float | None = None

    def __len__(self) -> int:
        return sum(len(part) // self.size for part in self.parts)

    def labelled(self, labels: object, classes: int) -> Source:
        """The same with labels, (windows,): from 0 to ``classes`` - 1, or -1 for none.

        Raises:
            InputError: they are something else.
        """
        checked = as_labels("labels", labels, len(self), classes, unknown=True, each="window")
        return replace(self, labels=checked)

    def windows(self, first: int = 0) -> Iterator[Array]:
        """Windows from number ``first`` on, as the network takes them: (steps, *input_shape)."""
        before = 0
        for part in self.parts:
            count = len(part) // self.size
            for number in range(min(max(first - before, 0), count), count):
                values = part[number * self.size : (number + 1) * self.size]
                yield self._encoded(values, before + number)
            before += count

    def _encoded(self, values: Array, number: int) -> Array:
        if self.encoder is None:
            return values
        return self.encoder.encode(values[None] if self.encoder.temporal else values, number)[:, 0]


def from_spikes(network: Network, spikes: Array, steps: int) -> Source:
    """Spikes or a current (time, *input_shape) or (time, 1, *input_shape), cut into windows.

    Raises:
        InputError: another shape, or less than a window.
    """
    shape = network.input.shape
    array = spikes[:, 0] if spikes.ndim == len(shape) + 2 and spikes.shape[1] == 1 else spikes
    if array.shape[1:] != shape or len(array) < steps:
        raise InputError(
            f"input: found shape {spikes.shape}, allowed is (time, {', '.join(map(str, shape))}) with {steps} steps, a "
            f"window, and more"
        )
    return Source((array,), steps)


def from_values(encoder: StoredEncoder, values: Array, steps: int) -> Source:
    """A sensor's values, (time, channels), or (samples, *shape) where the encoder takes one after the other.

    Raises:
        InputError: less than a window.
    """
    size = samples_for(encoder, values.shape[1:], steps)
    if len(values) < size:
        raise InputError(f"values: found {len(values)} samples, allowed are {size} and more, a window")
    return Source((values,), size, encoder)


def from_hapt(path: str | Path, encoder: StoredEncoder, steps: int, classes: int) -> Source:
    """HAPT's recordings of the accelerometer, one after the other, with the activities that are below ``classes``."""
    recordings = hapt_recordings(path)
    size = samples_for(encoder, recordings[0].values.shape[1:], steps)
    labels = []
    for recording in recordings:
        each = recording.labels[: len(recording) // size * size].reshape(-1, size)
        single = (each == each[:, :1]).all(axis=1) & (each[:, 0] < classes)
        labels.append(np.where(single, each[:, 0], NO_LABEL))
    parts = tuple(recording.values for recording in recordings)
    return Source(parts, size, encoder, np.concatenate(labels), size / HAPT_RATE)


def from_dataset(dataset: Dataset, part: str, steps: int) -> Source:
    """The samples of a data set, one after the other, each a window, with their classes; encoded as everywhere else.

    Raises:
        InputError: they become another number of steps than a window has.
    """
    spikes = dataset.spikes(part)
    found = len(spikes)
    if found != steps:
        raise InputError(
            f"{dataset.name}: found samples of {found} steps, allowed are those of a window, {steps}, which the "
            f"network was calibrated on; calibrate it on these data"
        )
    return Source(tuple(spikes.swapaxes(0, 1)), steps, labels=dataset.part(part).labels)


def samples_for(encoder: StoredEncoder, shape: tuple[int, ...], steps: int) -> int:
    """Samples that an encoder makes ``steps`` time steps of.

    Raises:
        InputError: it gives another number of steps.
    """
    stream, count, samples = encoder.stream(), 0, 0
    while count < steps and samples < MOST_SAMPLES:
        count += len(stream.step(np.zeros(shape, np.float32)))
        samples += 1
    if count != steps:
        raise InputError(f"encoder: found one that gives {count} steps, allowed is one that gives {steps}, a window")
    return samples


MOST_SAMPLES = 2**16
