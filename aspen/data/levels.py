"""Population code: each channel has a line of input neurons, one for each level, of which one spikes at each step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from aspen._base.arrays import Array
from aspen.data.encoders import (
    TOGETHER,
    EncoderStream,
    StoredEncoder,
    check_encoded,
    check_integer,
    check_numbers,
)
from aspen.errors import InputError


@dataclass(frozen=True)
class LevelEncoder(StoredEncoder):
    """Every ``every`` samples one time step, in which each channel spikes once: on the line of the level it is at.

    The level is that of the mean of the last ``every`` samples, after another encoder. Lines have receptive fields that
    do not overlap (a population code, as in Ponulak & Kasinski, Acta Neurobiol. Exp. 71, 2011): C channels of L levels
    are C x L inputs, channel by channel, and always C spikes a step, however the signal moves. The first step comes
    with sample number ``every``; T samples give T // every steps. At a step, level l of a channel is the number of its
    ``edges`` that its mean lies above.

    >>> from aspen.data import CurrentEncoder
    >>> signal = np.arange(8.0).reshape(1, 8, 1)  # (batch, time, channels)
    >>> LevelEncoder(CurrentEncoder(), levels=4, every=2).fit(signal).encode(signal)[:, 0]
    array([[1, 0, 0, 0],
           [0, 1, 0, 0],
           [0, 0, 1, 0],
           [0, 0, 0, 1]], dtype=uint8)

    Args:
        inner: gives a current for each sample; temporal, one step for each sample, no window.
        levels: lines of each channel, 2 and more.
        every: samples in a step.
        edges: (channels x (levels - 1)) values, rising within each channel, channel by channel. Empty: not fitted yet.
    """

    inner: StoredEncoder
    levels: int = 8
    every: int = 4
    edges: tuple[float, ...] = ()
    kind: ClassVar[str] = "levels"
    temporal: ClassVar[bool] = True

    def __post_init__(self) -> None:
        inner = self.inner
        usable = isinstance(inner, StoredEncoder) and inner.temporal and inner.gives == "current"
        if not usable or isinstance(inner, LevelEncoder) or inner.kind == "window":
            raise InputError(f"inner: found {inner!r}, allowed is an encoder of signals as a current, without a window")
        self._set(
            levels=check_integer("levels", self.levels, 2, 256), every=check_integer("every", self.every, 1, 4096)
        )
        if isinstance(self.edges, tuple) and not self.edges:
            return
        self._set(edges=check_numbers("edges", self.edges))
        if len(self.edges) % (self.levels - 1):
            raise InputError(
                f"edges: found {len(self.edges)} numbers, allowed are {self.levels - 1} for each channel, as there are "
                f"{self.levels} levels"
            )
        if (np.diff(self._table) < 0).any():
            raise InputError("edges: found some that fall, allowed are values that rise within each channel")

    @property
    def _table(self) -> Array:
        """(channels, levels - 1)."""
        return np.array(self.edges, np.float32).reshape(-1, self.levels - 1)

    @property
    def random(self) -> bool:  # type: ignore[override]
        """Whether the inner encoder is."""
        return self.inner.random

    def fit(self, values: Array) -> LevelEncoder:
        """Edges at the quantiles of each channel of ``values`` (n, time, channels), so that all lines are busy alike.

        Raises:
            InputError: wrong shape or NaN, or fewer samples than one step takes.
        """
        inner = self.inner.fit(values)
        means = _means(inner.encode(values), self.every)
        if not len(means):
            raise InputError(f"values: found signals of fewer than {self.every} samples, allowed is one step or more")
        quantiles = np.quantile(means.reshape(-1, means.shape[-1]), np.arange(1, self.levels) / self.levels, axis=0)
        return replace(self, inner=inner, edges=tuple(float(edge) for edge in quantiles.T.reshape(-1)))

    def stream(self, seed: int = 0) -> EncoderStream:
        if not self.edges:
            raise InputError("edges: found none, allowed are those of each channel; call fit(training values) first")
        inner = self.inner.stream(seed)
        table = self._table
        recent: list[Array] = []

        def restart() -> None:
            inner.reset()
            recent.clear()

        def advance(sample: Array) -> Array:
            recent.extend(inner.step(sample))
            current = recent[0]
            if current.shape[-1] != len(table):
                recent.clear()
            _check_channels(current, table)
            if len(recent) < self.every:
                return np.zeros((0, *current.shape[:-1], table.size + len(table)), np.uint8)
            levels = _levels(_means(np.stack(recent), self.every), table)
            recent.clear()
            return levels

        return EncoderStream(advance, restart)

    def _over_time(self, values: Array, stream: EncoderStream) -> Array:
        """Of a few samples all times at once; not where what is drawn for a sample depends on those beside it, or where
        somebody's stream is another one."""
        if self.inner.random or type(self).stream is not LevelEncoder.stream:
            return super()._over_time(values, stream)
        table, made = self._table, None
        for start in range(0, len(values), TOGETHER):
            current = self.inner._over_time(values[start : start + TOGETHER], self.inner.stream())
            _check_channels(current, table)
            levels = _levels(_means(current, self.every), table)
            if made is None:
                check_encoded(levels[:, :1].nbytes * len(values))
                made = np.empty((len(levels), len(values), *levels.shape[2:]), np.uint8)
            made[:, start : start + TOGETHER] = levels
        return np.asarray(made)

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind, "inner": self.inner.to_dict(), "levels": self.levels, "every": self.every,
            "edges": list(self.edges),
        }  # fmt: skip


def _check_channels(current: Array, table: Array) -> None:
    if current.shape[-1] != len(table):
        raise InputError(f"sample: found {current.shape[-1]} channels, this encoder has edges for {len(table)}")


def _means(current: Array, every: int) -> Array:
    """(steps, ..., channels): means of ``every`` samples after the other, of (time, ..., channels)."""
    steps = len(current) // every
    parts = current[: steps * every].reshape(steps, every, *current.shape[1:])
    total = parts[:, 0].astype(np.float32)
    for number in range(1, every):  # one order of summation, however many samples come at once
        total = total + parts[:, number]
    return np.asarray(total / np.float32(every))


def _levels(means: Array, table: Array) -> Array:
    """One-hot levels (steps, ..., channels x levels) uint8."""
    level = np.zeros(means.shape, np.uint8)
    for edge in table.T:
        level += means > edge
    lines = np.eye(table.shape[1] + 1, dtype=np.uint8)
    return lines.take(level, axis=0).reshape(*means.shape[:-1], -1)
