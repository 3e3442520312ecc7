"""Encoders: values in, spikes out. They need NumPy only, so that a deployed network can use them too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from aspen._arrays import Array
from aspen.errors import InputError


class Encoder(Protocol):
    """Turns values (batch, *shape) into uint8 spikes (time, batch, *shape); the same seed gives the same spikes."""

    def encode(self, values: Array, seed: int) -> Array: ...


@dataclass(frozen=True)
class RateEncoder:
    """Rate coding: at each step a value between 0 and 1 is the probability of a spike (as ``snntorch.spikegen.rate``).

    Args:
        steps: time steps for each value.
    """

    steps: int = 25

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise InputError(f"steps: found {self.steps}, allowed is 1 and more; 25 is usual")

    def encode(self, values: Array, seed: int) -> Array:
        """Spikes (steps, batch, *shape) uint8 for ``values`` (batch, *shape) in 0 to 1.

        Raises:
            InputError: a value is NaN or outside 0 to 1.
        """
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            raise InputError("values: found NaN or values outside 0 to 1, allowed is 0 to 1; scale the data first")
        rng = np.random.default_rng(seed)
        return (rng.random((self.steps, *values.shape), dtype=np.float32) < values).astype(np.uint8)
