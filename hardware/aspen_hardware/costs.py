"""Joules of counted events, static power, and the time that work takes, from a chip's published figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from math import isfinite
from operator import add

import numpy as np

from aspen._arrays import Array
from aspen.errors import InputError
from aspen.record import Record
from aspen_hardware.chips import Chip, Range
from aspen_hardware.placement import Placement

WORDS = {
    "synaptic_operation": "synaptic operations",
    "multiply_accumulate": "multiply-accumulates of analog input",
    "neuron_update_active": "active neuron updates",
    "neuron_update_inactive": "inactive neuron updates",
    "spike": "spikes fired",
    "spike_packet": "spike packets",
    "hop_east_west": "hops between tiles, east-west",
    "hop_north_south": "hops between tiles, north-south",
}
"""Kinds of event that are counted; keys of a chip's energies."""


@dataclass(frozen=True)
class Parts:
    """Dynamic and static energy and their sum, in joules; ``None`` where unknown."""

    dynamic: Range | None
    static: Range | None

    @property
    def total(self) -> Range | None:
        """Dynamic and static; ``None`` unless both are known."""
        return None if self.dynamic is None or self.static is None else self.dynamic + self.static


def energy_of_counts(
    counts: Mapping[str, float],
    chip: Chip,
    seconds: float | None = None,
    *,
    cores: int = 1,
    chips: int = 1,
    clock: float | None = None,
) -> Parts:
    """``E = sum(e_i * n_i) + P_static * t`` for counts from anywhere.

    Args:
        counts: kind of event (a key of :data:`WORDS`) -> how many. Kinds without a figure on the chip add nothing.
        chip: where the figures come from.
        seconds: time taken; ``None``: unknown, and so is the static energy.
        cores, chips: in use; a chip whose file has static power per core counts cores, another one chips.
        clock: in MHz, for chips whose power rises with it; default: the file's.

    Returns:
        in joules. Dynamic is ``None`` where no kind has a figure.

    Raises:
        InputError: an unknown kind, a negative count, or a clock that is not above 0.
    """
    for kind, count in counts.items():
        if kind not in WORDS or not count >= 0:
            raise InputError(f"counts: found {kind}: {count}, allowed are numbers from 0 of {', '.join(WORDS)}")
    known = [chip.energies[kind].si.times(count) for kind, count in counts.items() if kind in chip.energies]
    power = static_power(chip, cores, chips, clock)
    static = None if power is None or seconds is None else power.times(seconds)
    return Parts(reduce(add, known) if known else None, static)


def static_power(chip: Chip, cores: int = 1, chips: int = 1, clock: float | None = None) -> Range | None:
    """Watts that are spent whatever the network does; ``None`` where the chip's file has no figure.

    Args:
        chip: where the figures come from.
        cores, chips: in use.
        clock: in MHz; default: the file's.

    Raises:
        InputError: the clock is not above 0, or the chip's power does not depend on one.
    """
    figures = chip.statics
    if clock is not None and ("per_megahertz" not in figures or not (clock > 0 and isfinite(clock))):
        allowed = "a finite number of MHz above 0" if "per_megahertz" in figures else "none: no power per MHz is known"
        raise InputError(f"clock of {chip.name}: found {clock}, allowed is {allowed}")
    if "core" in figures:
        return figures["core"].si.times(cores)
    if "chip" not in figures:
        return None
    power = figures["chip"].si.times(chips)
    if "per_megahertz" in figures:
        power = power + figures["per_megahertz"].si.times(chips * float(clock or chip.clock or 0.0))
    return power


SPEEDS = (
    "synaptic_operation",
    "neuron_update_active",
    "neuron_update_inactive",
    "barrier_one_tile",
    "barrier_32_tiles",
)
"""What a chip's ``[speeds]`` must say for its fastest step to be known."""
CORES_PER_TILE = 4
"""On Loihi (Davies et al. 2018)."""


def work_seconds(record: Record, chip: Chip, placement: Placement) -> float | None:
    """Time of the whole run where each step takes only as long as its work; ``None`` where no speeds are published.

    Cores work side by side; a population's work is taken to be spread evenly over its cores; the slowest core ends the
    step, and a barrier follows: the published one of a single tile, or of 32 tiles where more than one is in use.
    Times of a step are counted from synaptic operations that arrive in it and from neuron updates.
    """
    speeds = chip.section("speeds")
    if any(key not in speeds for key in SPEEDS):
        return None
    times = {key: speeds[key].si.typical for key in SPEEDS}
    slowest: Array = np.zeros((record.steps, record.batch))
    for name in record.network.order:
        cores = len(placement.of(name))
        arriving = sum(
            (record.synaptic_operations.get(c.name, 0) + record.multiply_accumulates.get(c.name, 0))
            for c in record.network.incoming(name)
        )
        active = record.active_updates[name]
        inactive = record.network[name].size - active
        busy = arriving * times["synaptic_operation"] + active * times["neuron_update_active"]
        slowest = np.maximum(slowest, (busy + inactive * times["neuron_update_inactive"]) / max(cores, 1))
    tiles = -(-placement.cores_used // CORES_PER_TILE)
    barrier = times["barrier_one_tile"] if tiles == 1 else times["barrier_32_tiles"]
    return float(slowest.sum()) + barrier * slowest.size
