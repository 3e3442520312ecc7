"""Values that are given to the network unchanged at every time step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aspen._base.arrays import Array
from aspen.data.encoders import EncoderStream, StoredEncoder, as_values, check_integer


@dataclass(frozen=True)
class StaticEncoder(StoredEncoder):
    """The values themselves as a current, the same at each of ``steps`` time steps: for models that repeat their input.

    >>> StaticEncoder(steps=3).encode(np.array([[0.5, -1.0]]))[:, 0]
    array([[ 0.5, -1. ],
           [ 0.5, -1. ],
           [ 0.5, -1. ]], dtype=float32)

    Args:
        steps: time steps for each sample: as many as the model takes.
    """

    steps: int = 25
    kind: ClassVar[str] = "static"
    gives: ClassVar[str] = "current"

    def __post_init__(self) -> None:
        self._set(steps=check_integer("steps", self.steps, 1))

    def stream(self, seed: int = 0) -> EncoderStream:
        def advance(values: Array) -> Array:
            return np.repeat(as_values("values", values)[None], self.steps, axis=0)

        return EncoderStream(advance, lambda: None)
