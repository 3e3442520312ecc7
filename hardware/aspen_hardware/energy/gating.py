"""What a chip does of a run in which a knob has switched neurons off: that is charged, and nothing else.

By what a chip's file says that can be gated (:data:`aspen_hardware.chips.gating.GATING`):

- ``none``: everything is done. What is off never fires, and that is all that is saved.
- ``neuron``: what reaches neurons that are off is not done, and these are not updated. Packets are sent as ever.
- ``core``: the same for neurons of a core whose neurons are all off, at the steps and in the samples where they are; to
  that core no packets are sent, and where the chip is powered by core, it draws what a core that is off draws. Of
  operations on neurons that are off, a record knows how many, and not on which they fell: where only some lie on cores
  that are off, these have the part of them that they have of the synapses.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np

from aspen._base.arrays import Array
from aspen.network.connections import Connection
from aspen.network.off import Off, neurons_off, patterns_of
from aspen.network.record import Record
from aspen_hardware.chips.description import Chip
from aspen_hardware.chips.gating import GATING
from aspen_hardware.energy.hops import Ways, sent_each, ways_on
from aspen_hardware.placing.cores import Core
from aspen_hardware.placing.placement import Placement

LESS = ("active_updates", "awake_updates", "synaptic_operations", "multiply_accumulates")
"""Counts of a record of which a part may not be done."""


def done(record: Record, chip: Chip, placement: Placement) -> Record:
    """The record with what the chip does alone; ``off`` is then what it leaves out.

    Args:
        record: of a run.
        chip: whose gating.
        placement: the network's cores.
    """
    left_out = record.off if chip.gates == "neuron" else _on_cores(record, placement) if chip.gates == "core" else Off()
    if not left_out.neurons:
        return replace(record, off=left_out)
    less: dict[str, Any] = {part: _less(getattr(record, part), getattr(left_out, part)) for part in LESS}
    return replace(record, **less, off=left_out)


def _less(counts: Mapping[str, Array], left_out: Mapping[str, Array]) -> dict[str, Array]:
    return {name: each - left_out[name] if name in left_out else each for name, each in counts.items()}


def updates_done(record: Record, name: str) -> int:
    """Updates of a population that a chip makes in a whole run, of a record as :func:`done` gives it."""
    return record.updates(name) - int(np.sum(record.off.neurons.get(name, 0)))


def cores_off(record: Record, placement: Placement) -> Array:
    """(steps or 1, batch or 1, cores) bool: cores whose neurons are all off; none where the record does not say which
    neurons were."""
    nobody = np.zeros((1, 1, 1), bool)

    def all_off(core: Core) -> Array:
        parts = [
            np.asarray(record.off.who[part.population][..., placement.members(part)].all(axis=2))
            if part.population in record.off.who
            else nobody[..., 0]
            for part in core.slices
        ]
        return reduce(np.logical_and, parts)

    return np.stack(np.broadcast_arrays(*map(all_off, placement.cores)), axis=-1)


def unsent(record: Record, chip: Chip, placement: Placement, ways: Ways) -> dict[tuple[str, str], int]:
    """Population and kind of event -> packets, or hops, that are not made as they would lead to a core that is off.

    Args:
        record: of a run, as it was recorded.
        chip: whose gating.
        placement: the network's cores.
        ways: what spikes come to where all cores are on.
    """
    found: dict[tuple[str, str], int] = defaultdict(int)
    if chip.gates != "core" or not record.off.who:
        return found
    patterns, which = patterns_of(cores_off(record, placement))
    for index in np.flatnonzero(patterns.any(axis=1)).tolist():
        here = np.broadcast_to(which == index, (record.steps, record.batch))
        others = ways_on(chip, record.network, placement, np.flatnonzero(patterns[index]).tolist())
        for name, events in ways.items():
            for event, each in events.items():
                whole, left = (sent_each(record, name, way) for way in (each, others[name][event]))
                found[name, event] += int((whole - left)[here].sum())
    return found


def cores_on(record: Record, chip: Chip, placement: Placement) -> float:
    """Cores in use that are on, on average over the run."""
    if chip.gates != "core" or not record.off.who:
        return placement.cores_used
    return placement.cores_used - float(cores_off(record, placement).mean(axis=(0, 1)).sum())


def _on_cores(record: Record, placement: Placement) -> Off:
    """What fell on neurons of cores that are off."""
    off, network, cores = record.off, record.network, cores_off(record, placement)
    homes = {name: _homes(network[name].size, placement, name) for name in off.who}
    gone = {name: cores[..., home] for name, home in homes.items() if cores[..., home].any()}

    def part(counts: Mapping[str, Array], target: Mapping[str, str], weights: Mapping[str, Array]) -> dict[str, Array]:
        """Of counts on neurons that are off: as much as those on cores that are off have of the weights."""
        found = {}
        for name, each in counts.items():
            if target[name] in gone:
                mine, all_ = (mask[target[name]] @ weights[name] for mask in (gone, off.who))
                found[name] = np.rint(each * (mine / np.maximum(all_, 1))).astype(np.int64)
        return found

    itself, each = {name: name for name in off.who}, {name: np.ones(network[name].size, np.int64) for name in off.who}
    targets = {connection.name: connection.target for connection in network.connections}
    fan_in = {c.name: _fan_in(c) for c in network.connections if c.target in gone}
    return Off(
        neurons=neurons_off(gone, record.steps, record.batch),
        active_updates=part(off.active_updates, itself, each),
        awake_updates=part(off.awake_updates, itself, each),
        synaptic_operations=part(off.synaptic_operations, targets, fan_in),
        multiply_accumulates=part(off.multiply_accumulates, targets, fan_in),
        who=gone,
    )


def _fan_in(connection: Connection) -> Array:
    """(n_target,) int64: synapses that lead to each neuron."""
    return np.asarray(connection.synapses().astype(bool).sum(axis=1), dtype=np.int64)


def _homes(size: int, placement: Placement, population: str) -> Array:
    """(n,): the core of each neuron."""
    home = np.zeros(size, np.int64)
    for index, part in placement.slices(population):
        home[placement.members(part)] = index
    return home


def told_off(record: Record, chip: Chip) -> Iterator[str]:
    """How many neurons were off, and at what price; nothing where none was.

    Args:
        record: of a run, as it was recorded.
        chip: whose gating.
    """
    off = record.off
    if not off.neurons:
        return
    mean = sum(int(counts.sum()) for counts in off.neurons.values()) / (record.steps * record.batch)
    yield f"{mean:,.4g} of {record.network.n_neurons:,} neurons off on average: {price_of_off(chip)}"
    if chip.gates == "core" and not off.who:
        yield "which neurons were off was not recorded: no core is taken to have been"


def price_of_off(chip: Chip) -> str:
    """What a neuron that is off costs on a chip, in words, and who says so."""
    said = chip.gating["source"] if chip.gating else chip.missing.get("gating", "its file says nothing")
    return f"{GATING[chip.gates]} ({said})"
