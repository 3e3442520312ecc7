"""Whether a chip has room for a dial: its cores store few different thresholds."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

import numpy as np

from aspen._base.arrays import Array
from aspen.dial.profile import DialProfile
from aspen.network.network import Network
from aspen_hardware.chips.description import Chip


def dial_columns(network: Network, profile: DialProfile, name: str) -> Array:
    """(n, 4): what the thresholds of a population are at any knob: two neurons with the same row always share them."""
    neuron, shape = network[name].neuron, network[name].shape
    zero = np.zeros(())
    parts = [zero if neuron is None else neuron.threshold]
    parts += [profile.slopes.get(name, zero), profile.offsets.get(name, zero)]
    parts += [np.minimum(profile.on_until.get(name, np.full((), np.inf)), profile.high)]
    return np.stack([np.broadcast_to(part, shape).astype(np.float64).reshape(-1) for part in parts], axis=1)


def dial_classes(network: Network, profile: DialProfile, name: str) -> Array:
    """(n,): a number for each neuron of a population, the same for those whose thresholds are always the same.

    So many thresholds a chip must store for the population while the knob is turned.
    """
    columns = dial_columns(network, profile, name)
    return np.asarray(np.unique(columns, axis=0, return_inverse=True)[1]).reshape(-1)


def dial_findings(network: Network, profile: DialProfile, chip: Chip) -> Iterator[str]:
    """What is wrong with a dial on a chip, one message for each population."""
    allowed = chip.limits.threshold_configurations_per_core
    if allowed is None:
        return
    for name in network.order:
        needed = int(dial_classes(network, profile, name).max()) + 1
        if needed > allowed:
            yield (
                f"{name}: found {needed} thresholds that the dial moves differently, {chip.name} stores {allowed} per "
                f"core; it would take {ceil(needed / allowed)} cores and more; train the dial with groups={allowed}"
            )
