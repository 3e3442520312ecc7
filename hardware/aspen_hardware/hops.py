"""How far spike packets travel between tiles of cores.

Assumed, as placement does not optimise it: cores are taken in the order of the placement, four to a tile and tiles in
rows of eight (Loihi has 32 tiles of 4 cores, Davies et al. 2018; the shape of the mesh is not in the sources used), on
the first chip as far as it goes. Packets go along the row first. Input packets come from outside and are not counted.
"""

from __future__ import annotations

import numpy as np

from aspen._arrays import Array
from aspen.network import Network
from aspen_hardware.costs import CORES_PER_TILE
from aspen_hardware.placement import Placement

TILES_IN_A_ROW = 8


def hops(network: Network, population: str, placement: Placement) -> tuple[Array, Array]:
    """Tiles crossed by all packets of one spike of each neuron, east-west and north-south: twice (n,) int64.

    Args:
        network: what is placed.
        population: one that is on the chip.
        placement: its cores.
    """
    tiles = np.arange(placement.cores_used) // CORES_PER_TILE
    column, row = tiles % TILES_IN_A_ROW, tiles // TILES_IN_A_ROW
    home = np.zeros(network[population].size, np.int64)
    for index, part in placement.slices(population):
        home[placement.members(part)] = index
    east_west = np.zeros(home.size, np.int64)
    north_south = np.zeros(home.size, np.int64)
    for index, packets in placement.reached_by(network, population):
        east_west += packets * np.abs(column[home] - column[index])
        north_south += packets * np.abs(row[home] - row[index])
    return east_west, north_south
