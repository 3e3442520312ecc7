"""How large the integers of a population can become: from this follow the types that hold them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aspen.network.connection import Connection
from aspen.network.graded import LARGEST_CURRENT
from aspen.network.network import Network
from aspen.network.neurons import RECTIFIED, FixedLif

LIMIT = FixedLif.STATE_LIMIT
SIMPLE_RESETS = ("zero", "zero-delayed", "subtract", "none", RECTIFIED)
"""Resets that never push a membrane below what its input alone would make of it."""


@dataclass(frozen=True)
class Bounds:
    """Largest magnitudes in one population.

    Args:
        total: of a sum of arriving weights, before the exponent.
        current: of a current before it wraps around, in units of the membrane.
        kept: of a current after that.
        membrane: of a membrane that is stored.
        clips: whether a membrane may leave 24 bits, and is clipped.
    """

    total: int
    current: int
    kept: int
    membrane: int
    clips: bool

    @property
    def wide(self) -> bool:
        """Whether sums and currents need 64 bits."""
        return max(self.total, self.current) >= 2**30

    @property
    def wraps(self) -> bool:
        """Whether a current may leave 24 bits, and wraps around."""
        return self.current >= LIMIT

    @property
    def short(self) -> bool:
        """Whether 16 bits hold currents and membranes."""
        return max(self.kept, self.membrane) < 2**15


def bounds(network: Network, name: str) -> Bounds:
    """Of population ``name``: all sources send the largest values that they can, with the signs of the weights."""
    population = network[name]
    neuron = population.neuron
    assert isinstance(neuron, FixedLif)  # as to_c() saw to
    incoming = network.incoming(name)
    sums = [_largest_sum(network, connection) for connection in incoming]
    drive = sum(_shifted(total, c.exponent) for total, c in zip(sums, incoming, strict=True)) << FixedLif.SHIFT
    current, kept = _current(network, name, neuron, drive)
    given = kept + int(np.abs(neuron.bias).max()) + _direct(network, name, neuron)
    slowest = int(neuron.voltage_decay.min())
    highest = given * 4096 // slowest + 1 if slowest and neuron.reset in SIMPLE_RESETS else LIMIT
    clips = highest >= LIMIT
    most = 2 * LIMIT if neuron.reset == "subtract-guarded" else LIMIT
    return Bounds(max(sums, default=0), current, kept, most if clips else highest, clips)


def _current(network: Network, name: str, neuron: FixedLif, drive: int) -> tuple[int, int]:
    """Before and after it wraps around."""
    fastest = int(neuron.current_decay.min())
    highest = drive * 4096 // (1 + fastest) + 1 if fastest < 4095 else drive
    if highest < LIMIT:
        return highest, highest
    kept = int(network.largest_current(name)) + 1
    return kept + drive, kept


def _largest_sum(network: Network, connection: Connection) -> int:
    return int(connection.largest_sum) * network[connection.source].peak


def _shifted(total: int, exponent: int) -> int:
    """Shifting right rounds down: a magnitude of 1 more."""
    return total << exponent if exponent >= 0 else (total >> -exponent) + 1


def _direct(network: Network, name: str, neuron: FixedLif) -> int:
    """Of a current that is given to the neurons themselves."""
    population = network[name]
    return largest_value(network) << int(neuron.bias_exponent.max()) if population.current else 0


def largest_value(network: Network) -> int:
    """The largest magnitude of an input value; 1 where the input is spikes."""
    return LARGEST_CURRENT if network.input.current and network.input.neuron else network.input.peak
