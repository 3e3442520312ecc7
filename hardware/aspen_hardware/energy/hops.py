"""How many packets a spike sends, and how far they travel between tiles of cores.

Assumed, as placement does not optimise it: cores are taken in the order of the placement, four to a tile and tiles in
rows of eight, on the first chip as far as it goes. Loihi has 32 tiles of four cores (Davies et al. 2018); eight to a
row, in four rows, is the mesh of SANA-FE's model of it (Boyle et al. 2025, ``arch/loihi.yaml``). Packets go along the
row first.

Packets of the input come from outside: from a host over the chip's off-chip interfaces, or from its embedded processors
(Davies et al. 2018, "Chip overview"). At which tiles they enter the mesh is not in the sources. Each is taken to come
the longest way to its core that the mesh has, so that no place of entry would cost more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from aspen._base.arrays import Array
from aspen.network.network import Network
from aspen.network.record import Record
from aspen_hardware.chips.description import Chip
from aspen_hardware.energy.crossbar import spikes_times
from aspen_hardware.energy.working import CORES_PER_TILE
from aspen_hardware.placing.placement import Placement

TILES_IN_A_ROW = 8
HOPS = ("hop_east_west", "hop_north_south")
Ways = Mapping[str, Mapping[str, Array]]
"""Population -> kind of event -> (n,) int64: how many of them a spike of each neuron comes to."""


def has_mesh(chip: Chip) -> bool:
    """Whether the chip's file prices hops."""
    return any(event in chip.energies for event in HOPS)


def ways_on(chip: Chip, network: Network, placement: Placement, off: Collection[int] = ()) -> Ways:
    """How many packets, and hops where the chip prices them, a spike of each neuron comes to; no knob changes it.

    Args:
        chip: whose events.
        network: what is placed.
        placement: its cores.
        off: indices of cores to which none are sent.
    """
    found = {name: {"spike_packet": _packets(network, name, placement, off)} for name in network.names}
    for name in network.names if has_mesh(chip) else ():
        found[name] |= dict(zip(HOPS, hops(network, name, placement, off), strict=True))
    return found


def _packets(network: Network, population: str, placement: Placement, off: Collection[int]) -> Array:
    """(n,) int64: packets of a spike of each neuron."""
    found = np.zeros(network[population].size, np.int64)
    for index, packets in placement.reached_by(network, population):
        found += 0 if index in off else packets
    return found


def hops(network: Network, population: str, placement: Placement, off: Collection[int] = ()) -> tuple[Array, Array]:
    """Tiles crossed by all packets of one spike of each neuron, east-west and north-south: twice (n,) int64.

    Args:
        network: what is placed.
        population: whose spikes; those of an input without neurons come the longest way.
        placement: where the others are.
        off: indices of cores to which none are sent.
    """
    tiles = np.arange(placement.cores_used) // CORES_PER_TILE
    column, row = tiles % TILES_IN_A_ROW, tiles // TILES_IN_A_ROW
    outside = network[population].neuron is None
    home = np.zeros(network[population].size, np.int64) if outside else _homes(network, population, placement)
    east_west = np.zeros(home.size, np.int64)
    north_south = np.zeros(home.size, np.int64)
    for index, packets in placement.reached_by(network, population):
        if index in off:
            continue
        if outside:
            east_west += packets * _longest(column[index], TILES_IN_A_ROW)
            north_south += packets * _longest(row[index], _rows(placement))
        else:
            east_west += packets * np.abs(column[home] - column[index])
            north_south += packets * np.abs(row[home] - row[index])
    return east_west, north_south


def sent(record: Record, population: str, each: Array) -> int:
    """Packets or hops of a population in a whole run; see :func:`sent_each`."""
    return int(sent_each(record, population, each).sum())


def sent_each(record: Record, population: str, each: Array) -> Array:
    """Packets or hops of a population, from what a spike of each neuron comes to: (steps, batch) int64, as the record's
    counts.

    Values of an analog input that are not zero are packets, too. Where it was not recorded which neurons spiked, each
    spike counts as that of any; which values were not zero, all count so.

    Args:
        record: of the run.
        population: whose spikes.
        each: (n,) for a spike of each neuron.
    """
    if not record.network[population].is_analog:
        return spikes_times(record, population, each)
    if population not in record.rasters:
        shape = record.spikes[population].shape
        return np.full(shape, record.updates(population) // int(np.prod(shape)) * int(each.max()), np.int64)
    busy = record.rasters[population].reshape(record.steps, record.batch, each.size) != 0
    return np.asarray(busy @ each)


def _homes(network: Network, population: str, placement: Placement) -> Array:
    """(n,): the core of each neuron."""
    home = np.zeros(network[population].size, np.int64)
    for index, part in placement.slices(population):
        home[placement.members(part)] = index
    return home


def _rows(placement: Placement) -> int:
    """Rows of tiles: of the whole chip, or more where the network takes more."""
    cores = max(placement.limits.cores or 0, placement.cores_used)
    return -(-cores // (CORES_PER_TILE * TILES_IN_A_ROW))


def _longest(place: int, tiles: int) -> int:
    """Steps to ``place`` from the farther end of a line of so many tiles."""
    return max(place, tiles - 1 - place)
