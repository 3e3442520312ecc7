"""What a run costs on a chip, from its counts and the chip's published figures.

``E = sum(e_i * n_i) + P_static * t``: marginal energies of counted events, and static power over the time taken.
The two parts are never merged without both being shown.

Counted for the whole run (all samples):

- synaptic operations of each connection, by true fan-out;
- neuron updates at every step, active (the neuron's input in the step is not zero) and inactive;
- spikes fired by each population on the chip;
- spike packets: one for each spike and core that it reaches. Distance between cores is not modelled.

Time is ``steps * samples * step_time``: samples run one after the other. Static power is that of the cores in use
(``statics.core``), or, where the chip's file has no such figure, of the chips in use (``statics.chip``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import reduce
from math import isfinite
from operator import add
from typing import Any

import numpy as np

from aspen._arrays import Array
from aspen.errors import InputError
from aspen.record import Record
from aspen_hardware.chips import Chip, Range
from aspen_hardware.placement import Placement, place

NOT_COVERED = (
    "encoding the input, reading out the result, and the host computer",
    "loading weights, configuring the chip, and resetting it between samples",
)
WORDS = {
    "synaptic_operation": "synaptic operations",
    "neuron_update_active": "active neuron updates",
    "neuron_update_inactive": "inactive neuron updates",
    "spike": "spikes fired",
    "spike_packet": "spike packets",
}
"""Kinds of event that are counted; keys of a chip's energies."""


@dataclass(frozen=True)
class Entry:
    """One kind of event in one place.

    Args:
        where: population or connection.
        event: key of :data:`WORDS`.
        count: events in the whole run.
        joules: their energy; ``None`` where the chip's file has no figure.
    """

    where: str
    event: str
    count: int
    joules: Range | None


@dataclass(frozen=True)
class Parts:
    """Dynamic and static energy and their sum, in joules; ``None`` where unknown."""

    dynamic: Range | None
    static: Range | None

    @property
    def total(self) -> Range | None:
        """Dynamic and static; ``None`` unless both are known."""
        return None if self.dynamic is None or self.static is None else self.dynamic + self.static


@dataclass(frozen=True)
class EnergyReport:
    """Energy of a run. ``low`` and ``high`` of a range add up the lowest and highest published figures.

    Args:
        chip: name of the chip.
        samples, steps: inferences, and time steps of each.
        seconds: time of the whole run; ``None`` where the step time is unknown.
        cores_used: cores that the network takes.
        synapses: weights other than zero in the network.
        entries: dynamic energy by place and kind of event, whole run.
        static: static energy of the whole run; ``None`` where unknown.
        missing: what has no figure, and why; it is not in the sums.
        not_covered: what the model leaves out.
    """

    chip: str
    samples: int
    steps: int
    seconds: float | None
    cores_used: int
    synapses: int
    entries: tuple[Entry, ...]
    static: Range | None
    missing: tuple[str, ...]
    not_covered: tuple[str, ...]

    @property
    def dynamic(self) -> Range | None:
        """Dynamic energy of the whole run in joules: all events with a figure; ``None`` where no event has one."""
        known = [entry.joules for entry in self.entries if entry.joules is not None]
        return reduce(add, known) if known else None

    @property
    def total(self) -> Range | None:
        """Dynamic and static energy of the whole run in joules; ``None`` unless both are known."""
        return Parts(self.dynamic, self.static).total

    @property
    def per_inference(self) -> Parts:
        """Mean over the samples, in joules."""
        return Parts(*(None if part is None else part.times(1 / self.samples) for part in (self.dynamic, self.static)))

    def count(self, event: str) -> int:
        """Events of one kind in the whole run."""
        return sum(entry.count for entry in self.entries if entry.event == event)

    @property
    def operations_per_synapse(self) -> float:
        """Synaptic operations per synapse and inference: spiking pays only where this is small."""
        return self.count("synaptic_operation") / max(self.synapses, 1) / self.samples

    def __str__(self) -> str:
        time = "unknown time" if self.seconds is None else f"{self.seconds:.6g} s"
        head = f"Energy on {self.chip}: {self.samples} samples of {self.steps} steps, {time}, {self.cores_used} cores"
        parts = self.per_inference
        lines = [head, f"{'per inference':<42}{'typical':>12}{'low':>12}{'high':>12}"]
        lines += [_row(name, getattr(parts, name)) for name in ("dynamic", "static", "total")]
        lines += [f"{'whole run':<42}{'typical':>12}{'low':>12}{'high':>12}{'count':>16}"]
        lines += [_row(f"{e.where}: {WORDS[e.event]}", e.joules) + f"{e.count:>16,}" for e in self.entries]
        lines += [f"{self.operations_per_synapse:.3g} synaptic operations per synapse and inference"]
        lines += [f"no figure for {text}" for text in self.missing]
        return "\n".join([*lines, *(f"not covered: {text}" for text in self.not_covered)])

    def to_dict(self) -> dict[str, Any]:
        """As plain values that JSON can hold; energies in joules, of the whole run and per inference."""
        whole, each = Parts(self.dynamic, self.static), self.per_inference
        return {
            **asdict(self),
            "whole_run_j": {part: _plain(getattr(whole, part)) for part in ("dynamic", "static", "total")},
            "per_inference_j": {part: _plain(getattr(each, part)) for part in ("dynamic", "static", "total")},
            "operations_per_synapse": self.operations_per_synapse,
        }


def energy_model(
    record: Record, chip: Chip, placement: Placement | None = None, *, step_time: float | None = None
) -> EnergyReport:
    """What ``record``'s run costs on ``chip``.

    Args:
        record: counts of a run.
        chip: where the figures come from.
        placement: the network's cores; default: :func:`aspen_hardware.place`.
        step_time: length of a time step in seconds; default: the chip's.

    Raises:
        InputError: the record is empty, the placement is another network's or chip's, or the step time is not > 0.
        ChipError: no placement was given and the network cannot be placed.
    """
    if record.steps == 0 or record.batch == 0:
        raise InputError(f"record: found {record.steps} steps of {record.batch} samples, allowed is at least one")
    if step_time is not None and not (step_time > 0 and isfinite(step_time)):
        raise InputError(f"step_time: found {step_time}, allowed are finite seconds above 0; give e.g. 1e-3")
    placement = place(record.network, chip) if placement is None else placement
    _check_placement(record, chip, placement)
    seconds_per_step = chip.step_time if step_time is None else step_time
    seconds = None if seconds_per_step is None else seconds_per_step * record.steps * record.batch
    reached = {name: placement.destinations(record.network, name) for name in record.network.names}
    entries = tuple(_entries(record, chip, reached))
    static, why = _static(chip, placement, seconds)
    return EnergyReport(
        chip=chip.name,
        samples=record.batch,
        steps=record.steps,
        seconds=seconds,
        cores_used=placement.cores_used,
        synapses=record.network.n_synapses,
        entries=entries,
        static=static,
        missing=(*_missing(entries, chip), *why),
        not_covered=tuple(_not_covered(record, chip, reached)),
    )


def _check_placement(record: Record, chip: Chip, placement: Placement) -> None:
    placed = {name: sum(core.neurons for core in placement.of(name)) for name in record.network.order}
    sizes = {name: record.network[name].size for name in record.network.order}
    if placement.chip != chip.name or placed != sizes:
        raise InputError(
            f"placement: found neurons {placed} on {placement.chip}, allowed is {sizes} on {chip.name}; "
            f"place the record's network on this chip"
        )


def _entries(record: Record, chip: Chip, reached: Mapping[str, Array]) -> Iterator[Entry]:
    for where, event, count in _events(record, reached):
        figure = chip.energies.get(event)
        yield Entry(where, event, count, None if figure is None else figure.si.times(count))


def _events(record: Record, reached: Mapping[str, Array]) -> Iterator[tuple[str, str, int]]:
    """Place, kind and number of all events of the run. ``reached``: cores that each neuron's spikes go to."""
    for name, operations in record.synaptic_operations.items():
        yield name, "synaptic_operation", int(operations.sum())
    for name in record.network.order:
        active = int(record.active_updates[name].sum())
        yield name, "neuron_update_active", active
        yield name, "neuron_update_inactive", record.updates(name) - active
        yield name, "spike", int(record.spikes[name].sum())
    for name, cores in reached.items():
        if name in record.rasters:
            spikes = record.rasters[name].reshape(-1, cores.size).sum(axis=0, dtype=np.int64)
            yield name, "spike_packet", int(spikes @ cores)
        else:
            yield name, "spike_packet", int(record.spikes[name].sum()) * int(cores.max())


def _static(chip: Chip, placement: Placement, seconds: float | None) -> tuple[Range | None, list[str]]:
    powers = chip.statics
    why = [] if powers else [f"static energy: {chip.missing['statics.core']}"]
    if seconds is None:
        why.append(f"time: {chip.missing['step_time']}")
    if why or seconds is None:
        return None, why
    if "core" in powers:
        return powers["core"].si.times(placement.cores_used * seconds), []
    return powers["chip"].si.times(placement.chips_used * seconds), []


def _missing(entries: tuple[Entry, ...], chip: Chip) -> Iterator[str]:
    for event in WORDS:
        count = sum(entry.count for entry in entries if entry.event == event)
        if event not in chip.energies:
            yield f"{count:,} {WORDS[event]}: {chip.missing[f'energies.{event}']}"


def _not_covered(record: Record, chip: Chip, reached: Mapping[str, Array]) -> Iterator[str]:
    yield from NOT_COVERED
    if any(key.startswith("hop_") for key in chip.energies):
        yield "hops from tile to tile: the placement does not say how far apart cores are"
    if "core" in chip.statics:
        yield "static power of the cores not in use"
    uneven = [name for name, cores in reached.items() if name not in record.rasters and np.ptp(cores) > 0]
    if uneven:
        yield (
            f"which neurons of {', '.join(uneven)} spiked was not recorded: each spike is taken to reach as many "
            f"cores as the farthest-reaching one"
        )
    yield from chip.not_covered


def _plain(energy: Range | None) -> dict[str, float] | None:
    return None if energy is None else asdict(energy)


def _row(name: str, energy: Range | None) -> str:
    if energy is None:
        return f"  {name:<40}{'unknown':>12}{'':>24}"
    return f"  {name:<40}" + "".join(f"{format_joules(x):>12}" for x in (energy.typical, energy.low, energy.high))


def format_joules(joules: float) -> str:
    """An energy with three digits and the unit that suits it, from pJ to J."""
    for unit, factor in (("J", 1.0), ("mJ", 1e-3), ("uJ", 1e-6), ("nJ", 1e-9)):
        if joules >= factor:
            return f"{joules / factor:.3g} {unit}"
    return f"{joules / 1e-12:.3g} pJ"
