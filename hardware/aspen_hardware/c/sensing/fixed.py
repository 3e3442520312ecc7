"""Encoders in integers: what the C program does with a sensor's raw samples, defined here, bit for bit.

Where they can differ from the encoder that the network was trained with:

- levels: only where a mean is an edge, to float32's rounding: here sums of integers are compared with integers, and
  what is an edge does not lie above it;
- latency: nowhere, as the bounds come from that encoder itself;
- delta: thresholds, and where the references start, are rounded to 1/16384 of a raw unit: a reference is off by at most
  (n + 1) / 32768 raw units after a channel spiked n times more one way than the other;
- current and static: by one, where the value lies within 2**(14 - shift) of a half between two integers (see
  :class:`aspen_hardware.c.sensing.sensor.Line`), some 1e-5, and where float32 rounds there;
- features of motion: they are off by some 2e-5 (:mod:`aspen_hardware.c.sensing.features`); levels of them where a mean
  lies as near to an edge;
- rate: chances are rounded to 1/65536, and the random numbers are those of xorshift32.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from aspen._base.arrays import Array, as_array
from aspen.data.encoders import EncoderStream
from aspen.errors import InputError
from aspen_hardware.c.sensing.features import FEATURES, FixedFeatures
from aspen_hardware.c.sensing.sensor import HIGHEST, LOWEST, Line

UNIT = 2**14
"""Of a delta encoder's references and thresholds in a raw unit."""
SEED = 2463534242
"""Of xorshift32 (Marsaglia, Journal of Statistical Software 8(14), 2003)."""
Advance = Callable[[Array], Array]


@dataclass(frozen=True)
class FixedEncoder(ABC):
    """An encoder of raw integers, int16.

    Attributes:
        kind: of the encoder whose place it takes.
        gives: ``spikes``, or ``values``: the integers that the network takes.
        temporal: a sample is one moment of a signal; otherwise it is all that an inference sees.

    Args:
        channels: raw integers in a sample.
        shape: of the network's input; empty: ``(outputs,)``.
    """

    kind: ClassVar[str] = ""
    gives: ClassVar[str] = "spikes"
    temporal: ClassVar[bool] = True

    channels: int
    shape: tuple[int, ...] = field(default=(), kw_only=True)

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Inputs of the network."""

    @abstractmethod
    def start(self) -> Advance:
        """With no samples so far: a function from raw samples, int64 (batch, channels), to the steps that are due,
        (k, batch, outputs)."""

    def stream(self) -> EncoderStream:
        """A fresh stream, whose samples are (channels) or (batch, channels), integers of 16 bits.

        Raises:
            InputError: on a sample that is none of these.
        """
        state = [self.start()]

        def restart() -> None:
            state[0] = self.start()

        def advance(sample: Array) -> Array:
            found = state[0](_as_raw(sample, self.channels).reshape(-1, self.channels))
            return found if sample.ndim == 2 else found[:, 0]

        return EncoderStream(advance, restart)

    def encode(self, raw: Array) -> Array:
        """(steps, batch, *shape) of ``raw`` (batch, time, channels); (batch, channels) unless temporal. The
        channels may have several axes.

        Raises:
            InputError: another shape, no integers of 16 bits, or too few for a step.
        """
        array, axes = as_array("raw", raw), 3 if self.temporal else 2
        if array.ndim < axes or 0 in array.shape:
            wanted = "(batch, time, channels)" if self.temporal else "(batch, channels)"
            raise InputError(f"raw: found shape {array.shape}, allowed is {wanted}; reshape it")
        array, stream = array.reshape(*array.shape[: axes - 1], -1), self.stream()
        samples = np.moveaxis(array, 1, 0) if self.temporal else array[None]
        steps = np.concatenate([stream.step(sample) for sample in samples])
        if not len(steps):
            raise InputError(f"raw: found {array.shape[1]} samples, too few for one time step; give longer signals")
        return steps.reshape(*steps.shape[:2], *(self.shape or (self.outputs,)))


def _as_raw(sample: Array, channels: int) -> Array:
    found = sample.astype(np.int64)
    if sample.shape[-1:] != (channels,) or sample.ndim > 2:
        raise InputError(
            f"sample: found shape {sample.shape}, allowed is ({channels}) or (batch, {channels}) for {channels} "
            f"channels; reshape it"
        )
    if (found != sample).any() or found.min() < LOWEST or found.max() > HIGHEST:
        raise InputError("sample: found others than int16, allowed are a sensor's raw integers; see Sensor.raw")
    return found


def _taking(inner: FixedFeatures | None) -> Advance:
    """What is encoded of each sample: its raw integers, or features of them."""
    last: list[Array | None] = [None]

    def taken(raw: Array) -> Array:
        if inner is None:
            return raw
        found, last[0] = inner(raw, last[0])
        return found

    return taken


@dataclass(frozen=True)
class FixedDelta(FixedEncoder):
    """See :class:`aspen.data.DeltaEncoder`.

    Args:
        thresholds: in units of 1/:data:`UNIT`, one for each channel.
        references: where they start, in the same units; empty: at the first sample.
    """

    kind: ClassVar[str] = "delta"
    thresholds: tuple[int, ...]
    references: tuple[int, ...] = ()

    @property
    def outputs(self) -> int:
        return 2 * self.channels

    def start(self) -> Advance:
        threshold, state = np.array(self.thresholds, np.int64), list[Array]()

        def advance(raw: Array) -> Array:
            value = raw * UNIT
            reference = state.pop() if state else np.array(self.references) if self.references else value
            on, off = value - reference >= threshold, value - reference <= -threshold
            state.append(reference + threshold * on - threshold * off)
            return np.concatenate([on, off], axis=-1).astype(np.uint8)[None]

        return advance


@dataclass(frozen=True, eq=False)
class FixedLevels(FixedEncoder):
    """See :class:`aspen.data.LevelEncoder`.

    Args:
        edges: (channels, levels - 1) integers: the sum of ``every`` samples lies above so many of its channel's.
        every: samples in a step.
        inner: makes the channels of the raw integers; default: they are these.
    """

    kind: ClassVar[str] = "levels"
    edges: Array
    every: int
    inner: FixedFeatures | None = None

    @property
    def levels(self) -> int:
        """Lines of a channel."""
        return self.edges.shape[1] + 1

    @property
    def outputs(self) -> int:
        return len(self.edges) * self.levels

    def start(self) -> Advance:
        recent, taken = list[Array](), _taking(self.inner)

        def advance(raw: Array) -> Array:
            recent.append(taken(raw))
            if len(recent) < self.every:
                return np.zeros((0, len(raw), self.outputs), np.uint8)
            level = (np.sum(recent, axis=0)[..., None] > self.edges).sum(axis=-1)
            recent.clear()
            return (level[..., None] == np.arange(self.levels)).astype(np.uint8).reshape(1, len(raw), -1)

        return advance


@dataclass(frozen=True)
class FixedCurrent(FixedEncoder):
    """See :class:`aspen.data.CurrentEncoder`: the integers of a graded input.

    Args:
        line: from raw integers to these.
        largest: magnitude beyond which they are cut.
        inner: makes the channels of the raw integers; default: they are these.
    """

    kind: ClassVar[str] = "current"
    gives: ClassVar[str] = "values"
    line: Line
    largest: int
    inner: FixedFeatures | None = None

    @property
    def outputs(self) -> int:
        return self.channels if self.inner is None else FEATURES

    def start(self) -> Advance:
        taken = _taking(self.inner)
        return lambda raw: np.clip(self.line(taken(raw)), -self.largest, self.largest)[None]


@dataclass(frozen=True)
class FixedWindow(FixedEncoder):
    """See :class:`aspen.data.WindowEncoder`.

    Args:
        inner: encodes each sample, one step for each.
        size: samples in a step.
        every: samples from one step to the next.
    """

    kind: ClassVar[str] = "window"
    inner: FixedDelta | FixedCurrent
    size: int
    every: int

    @property
    def gives(self) -> str:  # type: ignore[override]
        """What the inner encoder gives."""
        return self.inner.gives

    @property
    def outputs(self) -> int:
        return self.inner.outputs * self.size

    def start(self) -> Advance:
        inner, recent, wait = self.inner.start(), list[Array](), [0]

        def advance(raw: Array) -> Array:
            recent.extend(inner(raw))
            del recent[: -self.size]
            if len(recent) < self.size:
                return np.zeros((0, len(raw), self.outputs), recent[0].dtype)
            due, wait[0] = wait[0] == 0, (wait[0] + 1) % self.every
            return np.stack(recent, axis=-1).reshape(1, len(raw), -1)[: int(due)]

        return advance


@dataclass(frozen=True)
class FixedLatency(FixedEncoder):
    """See :class:`aspen.data.LatencyEncoder`.

    Args:
        least: for each step the least raw integer that has spiked by its end; it falls.
    """

    kind: ClassVar[str] = "latency"
    temporal: ClassVar[bool] = False
    least: tuple[int, ...]

    @property
    def steps(self) -> int:
        """Time steps of a sample."""
        return len(self.least)

    @property
    def outputs(self) -> int:
        return self.channels

    def start(self) -> Advance:
        least = np.array(self.least)
        before = np.concatenate([[HIGHEST + 1], least[:-1]])

        def advance(raw: Array) -> Array:
            return ((raw >= least[:, None, None]) & (raw < before[:, None, None])).astype(np.uint8)

        return advance


@dataclass(frozen=True)
class FixedRate(FixedEncoder):
    """See :class:`aspen.data.RateEncoder`; all samples of a batch get the same random numbers.

    Args:
        line: from raw integers to chances in units of 1/65536.
        steps: time steps of a sample.
    """

    kind: ClassVar[str] = "rate"
    temporal: ClassVar[bool] = False
    line: Line
    steps: int

    @property
    def outputs(self) -> int:
        return self.channels

    def start(self) -> Advance:
        state = [SEED]

        def advance(raw: Array) -> Array:
            chance = np.clip(self.line(raw), 0, 2**16)
            numbers = np.empty(self.steps * self.channels, np.int64)
            for place in range(len(numbers)):
                state[0] = xorshift32(state[0])
                numbers[place] = state[0] >> 16
            return (numbers.reshape(self.steps, 1, self.channels) < chance).astype(np.uint8)

        return advance


@dataclass(frozen=True)
class FixedStatic(FixedEncoder):
    """See :class:`aspen.data.StaticEncoder`.

    Args:
        inner: makes the integers.
        steps: at which they are given.
    """

    kind: ClassVar[str] = "static"
    gives: ClassVar[str] = "values"
    temporal: ClassVar[bool] = False
    inner: FixedCurrent
    steps: int

    @property
    def outputs(self) -> int:
        return self.channels

    def start(self) -> Advance:
        inner = self.inner.start()
        return lambda raw: np.repeat(inner(raw), self.steps, axis=0)


def xorshift32(state: int) -> int:
    """The next of its 2**32 - 1 states."""
    state ^= state << 13 & 0xFFFFFFFF
    state ^= state >> 17
    return state ^ (state << 5 & 0xFFFFFFFF)
