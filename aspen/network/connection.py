"""What all kinds of connections share; :mod:`aspen.network.connections` has the kinds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from aspen._base.arrays import Array, Rebuilt, as_parameters, check_shape, frozen
from aspen._base.checks import as_integer, as_integers, as_name
from aspen._base.memory import MAX_NEURONS
from aspen.errors import NetworkError

if TYPE_CHECKING:
    from scipy.sparse import csr_array
    from typing_extensions import Self

MAX_DELAY = 63
"""Longest delay in time steps: Loihi's is 6 bit."""


class Connection(Rebuilt, ABC):
    """What all kinds share. A kind adds its parameters, and the methods that are abstract here.

    >>> from aspen.network import Dense
    >>> isinstance(Dense("input", "hidden", [[0.5]], delay=1), Connection)
    True

    Attributes:
        source: name of the population whose spikes are read.
        target: name of the population that is driven.
        weight: floats, or integers in a network compiled for a chip.
        bias: added to the target's synaptic current at every step; only with float weights.
        delay: time steps between a spike and its effect; 0 acts within the step, 1 reads the spikes of t-1.
        exponent: with integer weights only: the sum of the arriving weights is shifted left by this many
            bits (right when negative), as Lava's ``weight_exp``; -8 to 7.
    """

    kind: ClassVar[str]
    array_fields: ClassVar[tuple[str, ...]]
    value_fields: ClassVar[tuple[str, ...]]
    source: str
    target: str
    weight: Array
    bias: Array | None
    delay: int
    exponent: int

    def __post_init__(self) -> None:
        for end in ("source", "target"):
            object.__setattr__(self, end, as_name(f"connection's {end}", getattr(self, end), error=NetworkError))
        weight = as_parameters(f"{self.name}.weight", self.weight)
        kind = "int" if weight.dtype.kind in "iu" else "float"
        object.__setattr__(self, "weight", frozen(f"{self.name}.weight", weight, kind))
        self._check_weight()
        if self.bias is not None:
            if kind == "int":
                raise NetworkError(
                    f"{self.name}.bias: found a bias beside integer weights; put it into the target's bias mantissa"
                )
            object.__setattr__(self, "bias", frozen(f"{self.name}.bias", self.bias, "float"))
        self._set_integer("delay", 0, MAX_DELAY, " steps")
        self._set_integer("exponent", -8, 7 if kind == "int" else 0)

    def _set_integer(self, field: str, low: int, high: float, unit: str = "") -> None:
        value = as_integer(f"{self.name}.{field}", getattr(self, field), low, high, unit, NetworkError)
        object.__setattr__(self, field, value)

    def _set_integers(self, field: str, low: int, count: int, default: tuple[int, ...] = ()) -> None:
        """``count`` integers; the default where none are given."""
        given = getattr(self, field)
        unset = isinstance(given, (tuple, list)) and not given
        value = default if unset else as_integers(f"{self.name}.{field}", given, low, MAX_NEURONS, count, NetworkError)
        object.__setattr__(self, field, value)

    @property
    def name(self) -> str:
        """``source->target``: unique within a network."""
        return f"{self.source}->{self.target}"

    @property
    def is_integer(self) -> bool:
        """Whether the weights are a chip's integers."""
        return self.weight.dtype.kind == "i"

    @abstractmethod
    def _check_weight(self) -> None:
        """Raise unless the weight and the kind's own parameters fit each other; make these what they are to be."""

    @abstractmethod
    def _check_ends(self, source_shape: tuple[int, ...], target_shape: tuple[int, ...]) -> None:
        """Raise unless the synapses fit the two populations."""

    @property
    @abstractmethod
    def _n_biases(self) -> int:
        """How many numbers a bias has."""

    def check(self, source_shape: tuple[int, ...], target_shape: tuple[int, ...]) -> None:
        """Raise unless the connection fits the two populations."""
        self._check_ends(source_shape, target_shape)
        if self.bias is not None:
            check_shape(f"{self.name}.bias", self.bias, [(self._n_biases,)])

    @abstractmethod
    def accumulate(self, values: Array) -> Array:
        """Weighted sums, without bias and exponent: (batch, n_source) -> (batch, n_target), in the dtype of ``values``.

        ``values`` are floats; integer weights give exact sums as long as these stay below 2^24 (float32) or 2^53.
        """

    @property
    def n_synapses(self) -> int:
        """Synapses with a weight other than zero."""
        return int(np.count_nonzero(self.weight))

    @abstractmethod
    def synapses(self) -> csr_array:
        """The same map as a sparse matrix (n_target, n_source); weights of zero are no synapses and not stored."""

    def drive(self, spikes: Array) -> Array:
        """What the target receives, without the bias.

        Args:
            spikes: (batch, n_source), 0 or 1; or analog values, where the source takes a direct current.

        Returns:
            (batch, n_target): sums of the weights of arriving spikes; float64 for float weights,
            int64 with the exponent applied for integer weights.
        """
        total = self.accumulate(spikes.astype(np.float64))
        return self.scaled(total) if self.is_integer else total

    def scaled(self, total: Array) -> Array:
        """Sums of integer weights as int64, shifted by the exponent."""
        integers = total.astype(np.int64)
        return integers << self.exponent if self.exponent >= 0 else integers >> -self.exponent

    @cached_property
    def largest_sum(self) -> float:
        """Largest magnitude of a sum of weights: all sources of one target send 1, with the signs of the weights."""
        magnitudes = np.abs(self.weight.astype(np.float64))
        return float(magnitudes.reshape(len(magnitudes), -1).sum(axis=1).max(initial=0.0))

    def with_integers(self, weight: Array, exponent: int) -> Self:
        """The same connection with a chip's integer weights, and without the bias."""
        made: Self = replace(self, weight=weight, bias=None, exponent=exponent)  # type: ignore[type-var]
        return made

    def bias_currents(self) -> Array:
        """The bias for each target neuron: (n_target,), or a scalar 0."""
        return np.zeros((), np.int64) if self.bias is None else self.bias

    def fan_out(self) -> Array:
        """Synapses that a spike of each source neuron reaches: (n_source,) int64. Zero weights are no synapses."""
        return np.asarray(self.synapses().astype(bool).sum(axis=0), dtype=np.int64)
