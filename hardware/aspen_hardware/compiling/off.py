"""Neurons that a dial switches off, on a chip: left out where it can do so, else given the largest threshold.

Then it is to be shown that they are out of reach.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from aspen._base.arrays import Array
from aspen.dial.profile import DialProfile
from aspen.network.network import Network
from aspen.network.neurons import FixedLif
from aspen_hardware.chips.description import Chip


def gated(network: Network, chip: Chip) -> Network:
    """A network in integers whose neurons, switched off, are what they are on ``chip``."""
    wanted = chip.gates == "neuron"
    populations = tuple(
        replace(p, neuron=replace(p.neuron, gated=wanted))
        if isinstance(p.neuron, FixedLif) and p.neuron.gated != wanted
        else p
        for p in network.populations
    )
    same = all(new is old for new, old in zip(populations, network.populations, strict=True))
    return network if same else replace(network, populations=populations)


def within_reach(network: Network, profile: DialProfile) -> Iterator[str]:
    """What is not proven of neurons that are off, one message for each population. Nothing where they are left out.

    Args:
        network: in integers.
        profile: its dial.
    """
    for name, until in profile.on_until.items():
        neuron = network[name].neuron
        assert isinstance(neuron, FixedLif)  # of a network in integers
        goes_off = np.broadcast_to(until < profile.high, network[name].shape).reshape(-1)
        reached = (
            np.minimum(_highest(network, name, neuron), FixedLif.STATE_LIMIT - 1)
            > neuron.off_threshold << FixedLif.SHIFT
        )
        count = int((goes_off & reached).sum())
        if count:
            yield (
                f"{name}: {count} of {int(goes_off.sum())} neurons that the dial switches off are not proven to be out "
                f"of reach: if all that excites one spiked at every step, its membrane would pass the largest "
                f"threshold that the chip stores, and it would fire, on all engines alike"
            )


def _highest(network: Network, name: str, neuron: FixedLif) -> Array:
    """(n,): the highest membrane where all that excites a neuron spikes at every step, and nothing resets it."""
    drive = np.zeros(network[name].size)
    for connection in network.incoming(name):
        source = network[connection.source]
        weights = connection.synapses().astype(np.float64)
        up = abs(weights) if source.is_analog else weights.maximum(0)
        drive = drive + np.asarray(up.sum(axis=1)).ravel() * source.peak * 2.0**connection.exponent
    decays = (np.ravel(part).astype(np.float64) for part in (neuron.current_decay, neuron.voltage_decay))
    current, voltage = decays
    pushed = drive * 2**FixedLif.SHIFT * 4096 / (1 + current) + np.maximum(np.ravel(neuron.bias), 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        highest: Array = np.where(pushed > 0, pushed * 4096 / voltage, 0.0)
    return highest
