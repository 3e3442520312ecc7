"""Connections between populations. Each kind is one class; :data:`CONNECTION_KINDS` lists them by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from aspen._arrays import Array, check_range, check_shape, frozen
from aspen.errors import NetworkError

MAX_DELAY = 63
"""Longest delay in time steps: Loihi's is 6 bit."""


@dataclass(frozen=True, eq=False)
class Dense:
    """All-to-all synapses, as in ``torch.nn.Linear``.

    Args:
        source: name of the population whose spikes are read.
        target: name of the population that is driven.
        weight: (n_target, n_source); floats, or integers in a network compiled for a chip.
        bias: (n_target,), added to the target's synaptic current at every step; only with float weights.
        delay: time steps between a spike and its effect; 0 acts within the step, 1 reads the spikes of t-1.
        exponent: with integer weights only: the sum of the arriving weights is shifted left by this many
            bits (right when negative), as Lava's ``weight_exp``; -8 to 7.
    """

    kind: ClassVar[str] = "dense"
    array_fields: ClassVar[tuple[str, ...]] = ("weight", "bias")
    value_fields: ClassVar[tuple[str, ...]] = ("source", "target", "delay", "exponent")

    source: str
    target: str
    weight: Array
    bias: Array | None = None
    delay: int = 0
    exponent: int = 0

    if TYPE_CHECKING:

        def __init__(
            self,
            source: str,
            target: str,
            weight: ArrayLike,
            bias: ArrayLike | None = None,
            delay: int = 0,
            exponent: int = 0,
        ) -> None: ...

    def __post_init__(self) -> None:
        kind = "int" if np.asarray(self.weight).dtype.kind in "iu" else "float"
        object.__setattr__(self, "weight", frozen(f"{self.name}.weight", self.weight, kind))
        if self.weight.ndim != 2:
            raise NetworkError(f"{self.name}.weight: found shape {self.weight.shape}, allowed is (n_target, n_source)")
        if self.bias is not None:
            if kind == "int":
                raise NetworkError(
                    f"{self.name}.bias: found a bias beside integer weights; put it into the target's bias mantissa"
                )
            object.__setattr__(self, "bias", frozen(f"{self.name}.bias", self.bias, "float"))
            check_shape(f"{self.name}.bias", self.bias, [(self.weight.shape[0],)])
        check_range(f"{self.name}.delay", np.asarray(self.delay), 0, MAX_DELAY, " steps")
        check_range(f"{self.name}.exponent", np.asarray(self.exponent), -8, 7 if kind == "int" else 0)

    @property
    def name(self) -> str:
        """``source->target``: unique within a network."""
        return f"{self.source}->{self.target}"

    @property
    def is_integer(self) -> bool:
        """Whether the weights are a chip's integers."""
        return self.weight.dtype.kind == "i"

    def check(self, source_shape: tuple[int, ...], target_shape: tuple[int, ...]) -> None:
        """Raise unless the weights fit the two populations."""
        n_source, n_target = int(np.prod(source_shape)), int(np.prod(target_shape))
        check_shape(f"{self.name}.weight", self.weight, [(n_target, n_source)])

    def drive(self, spikes: Array) -> Array:
        """What the target receives, without the bias.

        Args:
            spikes: (batch, n_source), 0 or 1.

        Returns:
            (batch, n_target): sums of the weights of arriving spikes; float64 for float weights,
            int64 with the exponent applied for integer weights.
        """
        if not self.is_integer:
            return spikes.astype(np.float64) @ self.weight.T.astype(np.float64)
        total = spikes.astype(np.int64) @ self.weight.T.astype(np.int64)
        return total << self.exponent if self.exponent >= 0 else total >> -self.exponent

    def fan_out(self) -> Array:
        """Synapses that a spike of each source neuron reaches: (n_source,) int64. Zero weights are no synapses."""
        return np.count_nonzero(self.weight, axis=0)


Connection = Dense
CONNECTION_KINDS: dict[str, type[Dense]] = {Dense.kind: Dense}
