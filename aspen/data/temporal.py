"""Encoders of signals over time: changes as ON and OFF spikes, direct current, spikes as they are, and windows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from aspen._base.arrays import Array
from aspen._base.checks import as_flag
from aspen.data.encoders import (
    EncoderStream,
    StoredEncoder,
    as_values,
    check_channels,
    check_integer,
    check_number,
    check_numbers,
)
from aspen.errors import InputError


def check_series(values: Array) -> Array:
    """Training values of a temporal encoder as float32 (n, time, channels).

    Raises:
        InputError: another number of axes, an empty one, or NaN.
    """
    array = as_values("values", values)
    if array.ndim != 3 or 0 in array.shape:
        raise InputError(f"values: found shape {array.shape}, allowed is (n, time, channels) without an empty axis")
    return array


def _given(values: object) -> bool:
    """Whether there is anything else than an empty tuple."""
    return not (isinstance(values, tuple) and not values)


@dataclass(frozen=True)
class DeltaEncoder(StoredEncoder):
    """Send-on-delta: each channel spikes when its value has moved by the channel's threshold.

    Each channel keeps a reference. At each step, with d = value - reference: d >= threshold gives an ON spike and
    raises the reference by the threshold; d <= -threshold gives an OFF spike and lowers it; so a jump of several
    thresholds is caught up with over as many steps. C channels give 2 C spikes: all ON first, then all OFF.
    This follows the level; ``snntorch.spikegen.delta`` compares neighbouring values only, and lets slow changes pass.

    >>> signal = np.array([[[0.0], [0.6], [1.2], [0.1]]])  # (batch, time, channels)
    >>> DeltaEncoder(thresholds=(0.5,)).encode(signal)[:, 0]  # (time, ON and OFF)
    array([[0, 0],
           [1, 0],
           [1, 0],
           [0, 1]], dtype=uint8)

    Args:
        thresholds: one for each channel, above 0, in the signal's unit. Empty: not fitted yet.
        sensitivity: ``fit`` sets each threshold to this many standard deviations of the channel.
        from_first: the reference starts at the first value instead of 0. With 0 the first steps spell out where the
            signal stands (gravity's direction, for an accelerometer).
    """

    thresholds: tuple[float, ...] = ()
    sensitivity: float = 0.25
    from_first: bool = False
    kind: ClassVar[str] = "delta"
    temporal: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._set(
            sensitivity=check_number("sensitivity", self.sensitivity, 0.0, above=True),
            from_first=as_flag("from_first", self.from_first),
        )
        if _given(self.thresholds):
            self._set(thresholds=check_numbers("thresholds", self.thresholds, 0.0, above=True))

    def fit(self, values: Array) -> DeltaEncoder:
        """Thresholds from the standard deviation of each channel of ``values`` (n, time, channels).

        Raises:
            InputError: wrong shape, NaN, or a channel that never changes.
        """
        deviation = check_series(values).std(axis=(0, 1), dtype=np.float64)
        if (deviation == 0).any():
            raise InputError(
                f"values: found channel {int(np.argmin(deviation))} constant, allowed are channels that change; "
                f"leave it out"
            )
        return replace(self, thresholds=tuple(float(self.sensitivity * d) for d in deviation))

    def stream(self, seed: int = 0) -> EncoderStream:
        if not self.thresholds:
            raise InputError("thresholds: found none, allowed is one for each channel; call fit(training values) first")
        threshold = np.array(self.thresholds, np.float32)
        reference: list[Array] = []

        def advance(sample: Array) -> Array:
            check_channels("thresholds", sample, self.thresholds)
            if not reference:
                reference.append(sample.copy() if self.from_first else np.zeros_like(sample))
            distance = sample - reference[0]
            on, off = distance >= threshold, distance <= -threshold
            reference[0] = reference[0] + threshold * on - threshold * off
            return np.concatenate([on, off], axis=-1).astype(np.uint8)[None]

        return EncoderStream(advance, reference.clear)


@dataclass(frozen=True)
class CurrentEncoder(StoredEncoder):
    """Direct current: the value itself, shifted and scaled for each channel: (value - offset) / scale.

    >>> values = np.array([[[1.0, 10.0], [3.0, 30.0]]])  # (batch, time, channels)
    >>> CurrentEncoder().fit(values).encode(values)[:, 0]  # (time, channels): mean 0, deviation 1
    array([[-1., -1.],
           [ 1.,  1.]], dtype=float32)

    Args:
        offset, scale: one for each channel (the last axis); both empty: the value as it is.
    """

    offset: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    kind: ClassVar[str] = "current"
    gives: ClassVar[str] = "current"
    temporal: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not _given(self.offset) and not _given(self.scale):
            return
        self._set(
            offset=check_numbers("offset", self.offset), scale=check_numbers("scale", self.scale, 0.0, above=True)
        )
        if len(self.offset) != len(self.scale):
            raise InputError(
                f"scale: found {len(self.scale)} numbers beside {len(self.offset)} of offset; give as many"
            )

    def fit(self, values: Array) -> CurrentEncoder:
        """Mean and deviation of each channel of ``values`` (n, time, channels); a constant one is not scaled.

        Raises:
            InputError: wrong shape or NaN.
        """
        array = check_series(values)
        mean, deviation = array.mean(axis=(0, 1), dtype=np.float64), array.std(axis=(0, 1), dtype=np.float64)
        deviation[deviation == 0] = 1.0
        return CurrentEncoder(tuple(map(float, mean)), tuple(map(float, deviation)))

    def stream(self, seed: int = 0) -> EncoderStream:
        offset, scale = np.array(self.offset, np.float32), np.array(self.scale, np.float32)

        def advance(sample: Array) -> Array:
            if not self.offset:
                return sample[None].copy()
            check_channels("offset and scale", sample, self.offset)
            return np.asarray((sample - offset) / scale)[None]

        return EncoderStream(advance, lambda: None)


@dataclass(frozen=True)
class SpikeEncoder(StoredEncoder):
    """Data that consists of spikes already, such as events: (batch, time, *shape) of 0 and 1, passed on as they are.

    >>> SpikeEncoder().encode(np.ones((2, 10, 700), np.uint8)).shape  # (time, batch, *shape)
    (10, 2, 700)
    """

    kind: ClassVar[str] = "spikes"
    temporal: ClassVar[bool] = True

    def stream(self, seed: int = 0) -> EncoderStream:
        def advance(sample: Array) -> Array:
            return _as_spikes(sample)[None]

        return EncoderStream(advance, lambda: None)

    def encode(self, values: Array, seed: int = 0) -> Array:
        """(time, batch, *shape) uint8 for ``values`` (batch, time, *shape)."""
        array = np.asarray(values)
        if array.ndim < 3 or 0 in array.shape:
            raise InputError(f"values: found shape {array.shape}, allowed is (batch, time, *shape), no axis empty")
        return np.ascontiguousarray(np.moveaxis(_as_spikes(array), 1, 0))


def _as_spikes(values: Array) -> Array:
    if not ((values == 0) | (values == 1)).all():
        raise InputError("values: found others than 0 and 1, allowed are spikes; use another encoder for this data")
    return values.astype(np.uint8)


@dataclass(frozen=True)
class WindowEncoder(StoredEncoder):
    """Every ``every`` samples one time step that shows the last ``size`` samples, encoded by another encoder.

    On a chip these are delayed axons, or a convolution over time with a stride. The first step comes with sample
    number ``size``: a signal of T samples gives 1 + (T - size) // every steps. Without a gap or an overlap, every
    sample is shown once (``every`` = ``size``); with an overlap each is shown ``size / every`` times.

    >>> signal = np.arange(8.0).reshape(1, 8, 1)  # (batch, time, channels)
    >>> WindowEncoder(CurrentEncoder(), size=4, every=2).encode(signal)[:, 0]
    array([[0., 1., 2., 3.],
           [2., 3., 4., 5.],
           [4., 5., 6., 7.]], dtype=float32)

    Args:
        inner: encodes each sample; temporal, one step for each sample, no window itself.
        size: samples in a window.
        every: samples from one window to the next.
        flat: give one axis, channels times samples, all samples of a channel together; otherwise (channels, samples).
    """

    inner: StoredEncoder
    size: int = 8
    every: int = 4
    flat: bool = True
    kind: ClassVar[str] = "window"
    temporal: ClassVar[bool] = True

    def __post_init__(self) -> None:
        inner = self.inner
        if not isinstance(inner, StoredEncoder) or isinstance(inner, WindowEncoder) or not inner.temporal:
            raise InputError(f"inner: found {inner!r}, allowed is an encoder of signals over time, not a window")
        self._set(
            size=check_integer("size", self.size, 1, 4096),
            every=check_integer("every", self.every, 1, 4096),
            flat=as_flag("flat", self.flat),
        )

    @property
    def gives(self) -> str:  # type: ignore[override]
        """What the inner encoder gives."""
        return self.inner.gives

    @property
    def random(self) -> bool:  # type: ignore[override]
        """Whether the inner encoder is."""
        return self.inner.random

    def fit(self, values: Array) -> WindowEncoder:
        return replace(self, inner=self.inner.fit(values))

    def stream(self, seed: int = 0) -> EncoderStream:
        inner = self.inner.stream(seed)
        recent: list[Array] = []
        wait = [0]

        def restart() -> None:
            inner.reset()
            recent.clear()
            wait[0] = 0

        def advance(sample: Array) -> Array:
            recent.extend(inner.step(sample))
            del recent[: -self.size]
            due = len(recent) == self.size and wait[0] == 0
            if len(recent) == self.size:
                wait[0] = (wait[0] + 1) % self.every
            window = np.stack(recent, axis=-1) if due else np.zeros((*recent[0].shape, self.size), recent[0].dtype)
            if self.flat:
                window = window.reshape(*window.shape[:-2], -1)
            return window[None] if due else window[None][:0]

        return EncoderStream(advance, restart)

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind, "inner": self.inner.to_dict(), "size": self.size, "every": self.every, "flat": self.flat
        }  # fmt: skip
