"""A first layer that a host computes: a static input becomes the biases of a chip's neurons."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from aspen._base.arrays import Array, Rebuilt, check_shape, frozen
from aspen._base.checks import as_integers, as_number, shown
from aspen.errors import InputError, NetworkError
from aspen.network.connection import Connection

SMALLEST_MANTISSA, LARGEST_MANTISSA = -4096, 4095
"""Of a bias: 13 bits, the sign included."""


@dataclass(frozen=True, eq=False)
class HostLayer(Rebuilt):
    """The connection from a static input, computed once per inference by the host, which writes a bias mantissa to each
    neuron: ``clip(round(scale * (weights @ x + bias)), -4096, 4095)``. The chip adds it to the membrane at each step,
    shifted left by the neurons' ``bias_exponent``.

    >>> from aspen.network import Dense
    >>> layer = HostLayer(Dense("input", "hidden", [[0.5, -1.0], [2.0, 0.0]]), (2,), [0.0, 0.25], scale=100.0)
    >>> layer.encode(np.array([[1.0, 0.5]]))
    array([[  0, 225]])
    >>> layer.multiply_accumulates, layer.bias_writes
    (3, 2)

    Args:
        connection: from the input to the neurons, in floating point, without delay and bias.
        shape: of the input, without time and batch.
        bias: (n,) added to the current: all biases of the neurons.
        scale: mantissas in one unit of the membrane.

    Raises:
        NetworkError: the parts do not fit together.
    """

    connection: Connection
    shape: tuple[int, ...]
    bias: Array
    scale: float

    if TYPE_CHECKING:

        def __init__(self, connection: Connection, shape: tuple[int, ...], bias: ArrayLike, scale: float) -> None: ...

    def __post_init__(self) -> None:
        if not isinstance(self.connection, Connection):
            raise NetworkError(f"host layer: found {shown(self.connection)}, allowed is a connection; give a Dense")
        name = f"host layer {self.connection.name}"
        if self.connection.is_integer or self.connection.delay or self.connection.bias is not None:
            raise NetworkError(
                f"{name}: found integer weights, a delay or a bias of its own, allowed are weights in floating point; "
                f"give the bias apart"
            )
        object.__setattr__(self, "shape", as_integers(f"{name}: shape", self.shape, low=1, error=NetworkError))
        object.__setattr__(self, "bias", frozen(f"{name}: bias", self.bias, "float"))
        scale = as_number(f"{name}: scale", self.scale, 0, above=True, remedy="compile again", error=NetworkError)
        object.__setattr__(self, "scale", scale)

    def check(self, name: str, shape: tuple[int, ...]) -> None:
        """Raise unless the layer drives population ``name`` of this ``shape``."""
        if self.connection.target != name:
            raise NetworkError(f"{name}: found a host layer of {self.connection.target}, allowed is its own; rename it")
        self.connection.check(self.shape, shape)
        check_shape(f"{name}: bias of the host layer", self.bias, [(prod(shape),)])

    @property
    def multiply_accumulates(self) -> int:
        """What the host computes for one inference: weights other than zero, whatever the values."""
        return self.connection.n_synapses

    @property
    def bias_writes(self) -> int:
        """Biases that the host writes for one inference: one for each neuron."""
        return len(self.bias)

    def current(self, values: Array) -> Array:
        """(batch, n) float64: the current of each neuron, for values (batch, \\*shape)."""
        return self.connection.drive(values.reshape(len(values), -1)) + self.bias

    def encode(self, values: Array) -> Array:
        """(batch, n) int64: the bias mantissa of each neuron, for values (batch, \\*shape).

        Raises:
            InputError: NaN or infinity.
        """
        given = np.asarray(values, np.float64)
        if not np.isfinite(given).all():
            raise InputError("current: found NaN or infinity, allowed are finite values; clean the data")
        wanted = np.rint(self.current(given) * self.scale)
        return np.clip(wanted, SMALLEST_MANTISSA, LARGEST_MANTISSA).astype(np.int64)

    def scaled(self, scale: float) -> HostLayer:
        """The same layer with another scale."""
        return replace(self, scale=scale)
