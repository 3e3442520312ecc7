"""Analog input as graded spikes: integers of a few bits, as Loihi 2 carries them (32 bits at most)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from aspen._arrays import Array
from aspen.connections import Connection
from aspen.errors import InputError, NetworkError
from aspen.network import Network


@dataclass(frozen=True)
class GradedInput:
    """How a current becomes integers: ``round(value * scale)``, clipped to ``bits`` bits with a sign.

    Args:
        scale: integers in one unit of the current.
        bits: of an integer, its sign included.
    """

    scale: float
    bits: int = 8

    @property
    def largest(self) -> int:
        """The largest integer."""
        return int(2 ** (self.bits - 1) - 1)

    def encode(self, current: Array) -> Array:
        """Integers, int32, in the shape of ``current``.

        Raises:
            InputError: NaN or infinity.
        """
        values = np.asarray(current, np.float64)
        if not np.isfinite(values).all():
            raise InputError("current: found NaN or infinity, allowed are finite values; clean the data")
        return np.clip(np.rint(values * self.scale), -self.largest, self.largest).astype(np.int32)


def grade_input(network: Network, peak: float, bits: int = 8) -> tuple[Network, GradedInput]:
    """The network for an input in integers: its first weights are divided by the scale, so it does the same.

    Compile what is returned with ``input_peak=graded.largest``, so that currents are kept from wrapping around, and run
    the result on ``graded.encode(current)``.

    Args:
        network: in floating point, with an analog input.
        peak: largest magnitude of the input that is to be kept, of training data; larger ones are clipped.
        bits: of an integer, its sign included; 2 to 16.

    Raises:
        NetworkError: the network takes spikes, or is in integers.
        InputError: peak or bits are not allowed.
    """
    given = network.input
    if network.is_integer or not given.current or given.neuron is not None:
        raise NetworkError(
            "graded input: found a network that takes spikes or is in integers, allowed is one in floating point "
            "with an analog input; compile it as it is"
        )
    if not (np.isfinite(peak) and peak > 0) or not 2 <= bits <= 16:
        raise InputError(f"graded input: found peak={peak} and bits={bits}, allowed is a peak above 0 and 2 to 16 bits")
    graded = GradedInput((2 ** (bits - 1) - 1) / peak, bits)
    connections = tuple(_scaled(c, graded.scale) if c.source == given.name else c for c in network.connections)
    return replace(network, connections=connections), graded


def _scaled(connection: Connection, scale: float) -> Connection:
    """A connection with its weights divided; its bias is no product with the input and stays."""
    return replace(connection, weight=connection.weight.astype(np.float64) / scale)  # type: ignore[type-var]
