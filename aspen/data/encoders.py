"""Encoders: values in, spikes or a current out. They need NumPy only, so that a deployed network can use them too.

An encoder is a frozen set of plain settings. ``fit`` learns those that depend on the data, from training data only;
``stream`` encodes one sample after the other as a sensor delivers them; ``encode`` does the same for a whole batch and
gives the same result. ``to_dict`` and :func:`aspen.data.encoder_from_dict` keep the settings with a network.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import inf
from typing import Any, ClassVar, Protocol

import numpy as np

from aspen._base.arrays import Array, as_array
from aspen._base.checks import as_flag, as_integer, as_number, shown
from aspen._base.memory import check_memory
from aspen.errors import InputError

LARGEST = 1e15
SMALLEST = 1e-15
"""Range of the magnitudes of settings and values, 0 beside it: the arithmetic then stays within float32."""
TOGETHER = 64
"""Samples whose times are encoded together, where that is faster than one time after the other: they fit the cache."""
_FEWER = "encode fewer samples at a time"


class Encoder(Protocol):
    """Turns values (batch, *shape) into (time, batch, *shape): uint8 spikes, or a float32 current.

    The same seed gives the same result. This is all that training asks of an encoder.

    >>> class Repeat:
    ...     def encode(self, values, seed):
    ...         return np.stack([values] * 5).astype(np.float32)
    >>> Repeat().encode(np.ones((2, 3)), seed=0).shape
    (5, 2, 3)
    """

    def encode(self, values: Array, seed: int) -> Array: ...


class EncoderStream:
    """An encoder at work on one stream of samples; it remembers what it needs of those before.

    >>> from aspen.data import DeltaEncoder
    >>> stream = DeltaEncoder(thresholds=(0.5,)).stream()
    >>> stream.step([0.6]), stream.step([0.6])  # one step for each sample: an ON spike, then none
    (array([[1, 0]], dtype=uint8), array([[0, 0]], dtype=uint8))

    Args:
        advance: takes a sample, returns the time steps that are due, (k, *shape) with k = 0, 1 or more.
        restart: forgets all samples so far.
    """

    def __init__(self, advance: Callable[[Array], Array], restart: Callable[[], None]) -> None:
        self._advance = advance
        self._restart = restart
        self._shape: tuple[int, ...] | None = None

    def step(self, sample: object) -> Array:
        """Encode the next sample.

        Args:
            sample: (*shape), or (batch, *shape) for several streams side by side; always the same shape.

        Returns:
            (k, *encoded shape): the time steps that this sample completes; k may be 0.

        Raises:
            InputError: NaN, infinity, or another shape than before.
        """
        array = np.ascontiguousarray(as_values("sample", sample))
        if self._shape is not None and array.shape != self._shape:
            raise InputError(
                f"sample: found shape {array.shape}, this stream has had {self._shape}; open another stream"
            )
        steps = self._advance(array)
        self._shape = array.shape
        return steps

    def reset(self) -> None:
        """Back to the state before the first sample."""
        self._restart()
        self._shape = None


def as_values(what: str, values: object) -> Array:
    """``values`` as float32.

    Raises:
        InputError: they are no real numbers, NaN, infinite or beyond :data:`LARGEST`.
    """
    array = np.asarray(values)
    if not _usable(array):
        raise InputError(
            f"{what}: found {array.dtype} values with NaN or beyond {LARGEST:g}, allowed are finite numbers; clean them"
        )
    return array.astype(np.float32)


def _usable(array: Array) -> bool:
    return array.dtype.kind in "fiub" and bool((np.abs(array.astype(np.float64)) <= LARGEST).all())


@dataclass(frozen=True)
class StoredEncoder(ABC):
    """Base of ASPEN's encoders: settings that can be saved, batches and streams that agree.

    >>> from aspen.data import RateEncoder, encoder_from_dict
    >>> encoder = RateEncoder(steps=10)
    >>> encoder_from_dict(encoder.to_dict()) == encoder, encoder.gives, encoder.temporal
    (True, 'spikes', False)

    Attributes:
        kind: name in a file.
        gives: ``"spikes"`` or ``"current"``.
        temporal: the values of a sample have a time axis, (batch, time, *shape), and a stream takes one time at a
            time; otherwise a stream takes a whole sample.
        random: the result depends on the seed.
    """

    kind: ClassVar[str] = ""
    gives: ClassVar[str] = "spikes"
    temporal: ClassVar[bool] = False
    random: ClassVar[bool] = False

    def _set(self, **settings: object) -> None:
        """Keep settings as they were checked."""
        for name, value in settings.items():
            object.__setattr__(self, name, value)

    def fit(self, values: Array) -> StoredEncoder:
        """The same encoder with the settings that depend on data, learned from training ``values`` (n, ...)."""
        return self

    @abstractmethod
    def stream(self, seed: int = 0) -> EncoderStream:
        """A fresh stream."""

    def encode(self, values: Array, seed: int = 0) -> Array:
        """(time, batch, *shape) for ``values`` (batch, *shape), or (batch, time, *shape) for a temporal encoder.

        Raises:
            InputError: the values are not allowed, or there are too few time steps for one step of the result.
        """
        array = as_array("values", values)
        stream = self.stream(seed)
        if not isinstance(stream, EncoderStream):
            raise InputError(
                f"encoder {self.kind}: found {shown(stream)} as its stream, allowed is EncoderStream(advance, restart)"
            )
        if not self.temporal:
            return stream.step(array)
        if array.ndim < 3 or 0 in array.shape:
            raise InputError(
                f"values: found shape {array.shape}, allowed is (batch, time, channels) without an empty axis; for one "
                f"recording add the batch: values[None]"
            )
        encoded = self._over_time(array, stream)
        if not len(encoded):
            raise InputError(
                f"values: found {array.shape[1]} time steps, the encoder needs more for its first result; "
                f"give longer samples"
            )
        return encoded

    def _over_time(self, values: Array, stream: EncoderStream) -> Array:
        """What a fresh ``stream`` makes of all times of ``values`` (batch, time, *shape), which have no empty axis."""
        steps, size = list[Array](), 0
        for t in range(values.shape[1]):
            steps.append(stream.step(values[:, t]))
            size += steps[-1].nbytes
            check_encoded(size)  # as much again when they are put together
        return np.concatenate(steps)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        values = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}
        return {"kind": self.kind, **values}


def check_encoded(size: int) -> None:
    """Raise InputError unless ``size`` bytes of what values become fit in memory."""
    check_memory("values: what they become", size, _FEWER)


def check_integer(what: str, value: object, low: int, high: int = 2**20) -> int:
    """``value`` as an int, or an InputError unless it is one from ``low`` to ``high``."""
    return as_integer(what, value, low, high)


def check_number(what: str, value: object, low: float = -inf, *, above: bool = False) -> float:
    """``value`` as a float, or an InputError unless it is a number that float32 can hold, at least ``low`` (with
    ``above``: more than that)."""
    try:
        number = as_number(what, value, low, LARGEST, above=above)
    except InputError:
        number = inf
    if not (number == 0 or SMALLEST <= abs(number) <= LARGEST):
        bound = "" if low == -inf else f" {'above' if above else 'from'} {low:g}"
        raise InputError(
            f"{what}: found {shown(value)}, allowed is a number{bound}, 0 or of size {SMALLEST:g} to {LARGEST:g}"
        )
    return number


def check_numbers(what: str, values: object, low: float = -inf, *, above: bool = False) -> tuple[float, ...]:
    """``values`` as floats, or an InputError unless it is a tuple of such numbers, one for each channel."""
    if not isinstance(values, tuple) or not values:
        raise InputError(f"{what}: found {shown(values)}, allowed is a tuple of numbers, one for each channel")
    return tuple(check_number(what, value, low, above=above) for value in values)


def check_channels(what: str, sample: Array, numbers: tuple[float, ...]) -> None:
    """Raise unless the last axis of ``sample`` has one entry for each of ``numbers``."""
    if sample.ndim < 1 or sample.shape[-1] != len(numbers):
        raise InputError(
            f"sample: found shape {sample.shape}, the encoder's {what} are for {len(numbers)} channels (the last "
            f"axis); fit the encoder on data of this kind"
        )


@dataclass(frozen=True)
class ScaledEncoder(StoredEncoder):
    """Base of encoders of values in a range.

    Args:
        steps: time steps for each value.
        low, high: the values that mean 0 and 1. A fitted range clips what lies outside; the default, 0 to 1, refuses.
    """

    steps: int = 25
    low: float = 0.0
    high: float = 1.0
    clip: bool = False

    def __post_init__(self) -> None:
        self._set(
            steps=check_integer("steps", self.steps, 1),
            low=check_number("low", self.low),
            high=check_number("high", self.high),
            clip=as_flag("clip", self.clip),
        )
        check_number("high - low", self.high - self.low, 0.0, above=True)

    def _fitted_range(self, values: Array) -> tuple[float, float]:
        array = as_values("values", values)
        if not array.size or array.min() == array.max():
            raise InputError("values: found none or all alike, allowed are values with a range; check the data")
        return float(array.min()), float(array.max())

    def scaled(self, values: Array) -> Array:
        """``values`` as float32 from 0 to 1.

        Raises:
            InputError: NaN, or values outside the range that are not to be clipped.
        """
        array = np.asarray(values)
        inside = not array.size or self.clip or (array.min() >= self.low and array.max() <= self.high)
        if not (_usable(array) and inside):
            raise InputError(
                f"values: found NaN or values outside {self.low:g} to {self.high:g}, allowed is {self.low:g} to "
                f"{self.high:g}; scale the data first, or fit the encoder on training data"
            )
        unit = (array.astype(np.float32) - np.float32(self.low)) / np.float32(self.high - self.low)
        return np.clip(unit, 0, 1)

    def encode(self, values: Array, seed: int = 0) -> Array:
        """Spikes (steps, batch, *shape) uint8 for ``values`` (batch, *shape).

        Raises:
            InputError: a value is NaN or out of range.
        """
        size = self.steps * np.asarray(values).size * np.dtype(np.float32).itemsize
        check_memory(f"values: {self.steps} steps of them", size, _FEWER)
        self.scaled(values)  # names the range where the stream would only speak of a number
        return self.stream(seed).step(values)


@dataclass(frozen=True)
class RateEncoder(ScaledEncoder):
    """Rate coding: at each step a value between 0 and 1 is the probability of a spike (as ``snntorch.spikegen.rate``).

    On a stream, each sample is a value of its own and gives ``steps`` time steps. The first one is encoded as it would
    be in a batch of one with the same seed; those after it go on with the same generator.

    >>> spikes = RateEncoder(steps=1000).encode(np.array([[0.0, 0.2, 1.0]]))
    >>> spikes.mean(axis=(0, 1)).round(1)
    array([0. , 0.2, 1. ])

    Args:
        steps: time steps for each value.
        low, high, clip: see :class:`ScaledEncoder`.
    """

    kind: ClassVar[str] = "rate"
    random: ClassVar[bool] = True

    def fit(self, values: Array) -> RateEncoder:
        """The range of the training values, over all of them; later values outside are clipped."""
        return RateEncoder(self.steps, *self._fitted_range(values), clip=True)

    def stream(self, seed: int = 0) -> EncoderStream:
        state = [np.random.default_rng(seed)]

        def restart() -> None:
            state[0] = np.random.default_rng(seed)

        def advance(values: Array) -> Array:
            unit = self.scaled(values)
            return (state[0].random((self.steps, *unit.shape), dtype=np.float32) < unit).astype(np.uint8)

        return EncoderStream(advance, restart)


@dataclass(frozen=True)
class LatencyEncoder(ScaledEncoder):
    """Latency coding: one spike for each value, the larger the earlier, linear in time.

    Value 1 spikes at step 0, value 0 would at the last step: step ``round((1 - value) * (steps - 1))``, halves to
    even. Values below ``silent`` do not spike. As ``snntorch.spikegen.latency(linear=True, normalize=True,
    clip=True, threshold=silent)``.

    >>> LatencyEncoder(steps=4).encode(np.array([[1.0, 0.4, 0.0]]))[:, 0]  # the larger the earlier; 0 is silent
    array([[1, 0, 0],
           [0, 0, 0],
           [0, 1, 0],
           [0, 0, 0]], dtype=uint8)

    Args:
        steps: time steps for each value.
        low, high, clip: see :class:`ScaledEncoder`.
        silent: values below this, after scaling, give no spike.
    """

    silent: float = 0.01
    kind: ClassVar[str] = "latency"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set(silent=check_number("silent", self.silent, 0.0))

    def fit(self, values: Array) -> LatencyEncoder:
        """The range of the training values, over all of them; later values outside are clipped."""
        return LatencyEncoder(self.steps, *self._fitted_range(values), clip=True, silent=self.silent)

    def stream(self, seed: int = 0) -> EncoderStream:
        def advance(values: Array) -> Array:
            unit = self.scaled(values)
            when = np.rint((1 - unit) * (self.steps - 1)).astype(np.int64)
            steps = np.arange(self.steps).reshape(-1, *[1] * unit.ndim)
            return ((when == steps) & (unit >= np.float32(self.silent))).astype(np.uint8)

        return EncoderStream(advance, lambda: None)
