"""What a run costs on a chip, from its counts and the chip's published figures.

``E = sum(e_i * n_i) + P_static * t``: marginal energies of counted events, and static power over the time taken.
The two parts are never merged without both being shown.

Counted for the whole run (all samples):

- synaptic operations of each connection, by true fan-out, and the multiply-accumulates of an analog input;
- neuron updates at every step, active (the neuron's input in the step is not zero) and inactive;
- spikes fired by each population on the chip;
- spike packets: one for each spike and core that it reaches;
- hops of packets between tiles of cores (:mod:`aspen_hardware.hops`).

Samples run one after the other. Time is ``steps * samples * step_time``, or, with ``time="work"``, what the work takes
by the chip's published times of operations. Static power is that of the cores in use (``statics.core``), or, where the
chip's file has no such figure, of the chips in use (``statics.chip``, and ``statics.per_megahertz`` of their clock).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import reduce
from math import isfinite
from operator import add
from pathlib import Path
from typing import Any

import numpy as np

from aspen._arrays import Array
from aspen.control.units import format_energy
from aspen.errors import InputError
from aspen.record import Record
from aspen_hardware.chips import Chip, Range
from aspen_hardware.costs import WORDS, Parts, static_power, work_seconds
from aspen_hardware.hops import hops
from aspen_hardware.placement import Placement, place

NOT_COVERED = (
    "encoding the input, reading out the result, and the host computer",
    "loading weights, configuring the chip, and resetting it between samples",
)
_RARE = ("multiply_accumulate", "hop_east_west", "hop_north_south")
"""Kinds of event that most runs do not have: missing figures for them are named only where there are some."""


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
class EnergyReport:
    """Energy of a run. ``low`` and ``high`` of a range add up the lowest and highest published figures.

    Args:
        chip: name of the chip.
        samples, steps: inferences, and time steps of each.
        seconds: time of the whole run; ``None`` where the step time is unknown.
        timing: what decides the time: ``"step"`` or ``"work"``.
        cores_used: cores that the network takes.
        synapses: weights other than zero in the network.
        entries: dynamic energy by place and kind of event, whole run.
        static: static energy of the whole run; ``None`` where unknown.
        missing: what has no figure, and why; it is not in the sums.
        not_covered: what the model leaves out.
        first_layer: connections from the input, whose events the input alone decides, not the dial.
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
    timing: str = "step"
    first_layer: tuple[str, ...] = ()

    @property
    def input_energy(self) -> Range | None:
        """Dynamic energy of the first layer's synapses in the whole run: the same at every setting of a dial."""
        known = [e.joules for e in self.entries if e.where in self.first_layer and e.joules is not None]
        return reduce(add, known) if known else None

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
        time += ", as fast as the work allows" if self.timing == "work" else ""
        head = f"Energy on {self.chip}: {self.samples} samples of {self.steps} steps, {time}, {self.cores_used} cores"
        parts, first = self.per_inference, self.input_energy
        events = {f"{e.where}: {WORDS[e.event]}": e for e in self.entries if e.count}
        wide = max([40, *map(len, events)])
        columns = f"{'typical':>12}{'low':>12}{'high':>12}"
        lines = [head, f"{'per inference':<{wide + 2}}{columns}"]
        lines += [_row(name, getattr(parts, name), wide) for name in ("dynamic", "static", "total")]
        lines += [_row("of dynamic: the input's synapses", first.times(1 / self.samples), wide)] if first else []
        lines += [f"{'whole run':<{wide + 2}}{columns}{'count':>16}"]
        lines += [_row(name, e.joules, wide) + f"{e.count:>16,}" for name, e in events.items()]
        lines += [f"{self.operations_per_synapse:.3g} synaptic operations per synapse and inference"]
        lines += [f"no figure for {text}" for text in self.missing]
        return "\n".join([*lines, *(f"not covered: {text}" for text in self.not_covered)])

    def plot(self, path: str | Path) -> None:
        """Draw the energy of an inference: dynamic, stacked by kind of event; static beside it, never merged.

        Args:
            path: a ``.png``, ``.pdf`` or ``.svg`` file.

        Raises:
            InputError: the chip has no figure for any event, so that there is nothing to draw, or the suffix is another
                one, or the file cannot be written.
            MissingDependencyError: matplotlib is not installed.
        """
        from aspen_hardware.energy_plot import draw

        draw(self, path)

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
    record: Record,
    chip: Chip,
    placement: Placement | None = None,
    *,
    step_time: float | None = None,
    time: str = "step",
    clock: float | None = None,
) -> EnergyReport:
    """What ``record``'s run costs on ``chip``.

    Args:
        record: counts of a run.
        chip: where the figures come from.
        placement: the network's cores; default: :func:`aspen_hardware.place`.
        step_time: length of a time step in seconds; default: the chip's.
        time: ``"step"``: each step takes the step time, as in real time; ``"work"``: as long as its work takes
            (:func:`aspen_hardware.costs.work_seconds`), and then nothing is spent.
        clock: in MHz, for chips whose power rises with it; default: the chip's.

    Raises:
        InputError: the record is empty, the placement is another network's or chip's, the step time or clock is not
            above 0, or the chip's file has no times of operations.
        ChipError: no placement was given and the network cannot be placed.
    """
    if not isinstance(record, Record):
        raise InputError(
            f"record: found {type(record).__name__}, allowed is the aspen.Record of a run; run the network first: "
            f"energy_model(aspen_emulator.run(network, spikes), chip)"
        )
    if record.steps == 0 or record.batch == 0:
        raise InputError(f"record: found {record.steps} steps of {record.batch} samples, allowed is at least one")
    if step_time is not None and not (step_time > 0 and isfinite(step_time)):
        raise InputError(f"step_time: found {step_time}, allowed are finite seconds above 0; give e.g. 1e-3")
    placement = place(record.network, chip) if placement is None else placement
    _check_placement(record, chip, placement)
    seconds = _seconds(record, chip, placement, step_time, time)
    reached = {name: placement.destinations(record.network, name) for name in record.network.names}
    entries = tuple(_entries(record, chip, reached, placement))
    static, why = _static(chip, placement, seconds, clock)
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
        timing=time,
        first_layer=tuple(c.name for c in record.network.connections if c.source == record.network.input.name),
    )


def _seconds(record: Record, chip: Chip, placement: Placement, step_time: float | None, time: str) -> float | None:
    if time not in ("step", "work") or (time == "work" and step_time is not None):
        raise InputError(
            f"time: found {time!r} with step_time={step_time}, allowed is step, or work without a step time"
        )
    if time == "work":
        seconds = work_seconds(record, chip, placement)
        if seconds is None:
            raise InputError(
                f"time: found 'work' on {chip.name}, whose file has no times of operations, allowed is step; give a "
                f"step_time"
            )
        return seconds
    each = chip.step_time if step_time is None else step_time
    return None if each is None else each * record.steps * record.batch


def _check_placement(record: Record, chip: Chip, placement: Placement) -> None:
    placed = {name: sum(core.neurons for core in placement.of(name)) for name in record.network.order}
    sizes = {name: record.network[name].size for name in record.network.order}
    if placement.chip != chip.name or placed != sizes:
        raise InputError(
            f"placement: found neurons {placed} on {placement.chip}, allowed is {sizes} on {chip.name}; "
            f"place the record's network on this chip"
        )


def _entries(record: Record, chip: Chip, reached: Mapping[str, Array], placement: Placement) -> Iterator[Entry]:
    for where, event, count in (*_events(record, reached), *_hops(record, chip, placement)):
        figure = chip.energies.get(event)
        yield Entry(where, event, count, None if figure is None else figure.si.times(count))


def _events(record: Record, reached: Mapping[str, Array]) -> Iterator[tuple[str, str, int]]:
    """Place, kind and number of all events of the run. ``reached``: cores that each neuron's spikes go to."""
    for name, operations in record.synaptic_operations.items():
        yield name, "synaptic_operation", int(operations.sum())
    for name, operations in record.multiply_accumulates.items():
        yield name, "multiply_accumulate", int(operations.sum())
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


def _hops(record: Record, chip: Chip, placement: Placement) -> Iterator[tuple[str, str, int]]:
    """Hops of the packets between the chip's own cores; none where the chip has no such energies."""
    if not any(key.startswith("hop_") for key in chip.energies):
        return
    for name in record.network.order:
        for event, far in zip(("hop_east_west", "hop_north_south"), hops(record.network, name, placement), strict=True):
            if name in record.rasters:
                count = int(record.rasters[name].reshape(-1, far.size).sum(axis=0, dtype=np.int64) @ far)
            else:
                count = int(record.spikes[name].sum()) * int(far.max())
            if far.any():
                yield name, event, count


def _static(
    chip: Chip, placement: Placement, seconds: float | None, clock: float | None
) -> tuple[Range | None, list[str]]:
    power = static_power(chip, placement.cores_used, placement.chips_used, clock)
    why = [] if power else [f"static energy: {chip.missing['statics.core']}"]
    if seconds is None:
        why.append(f"time: {chip.missing['step_time']}")
    if power is None or seconds is None:
        return None, why
    return power.times(seconds), []


def _missing(entries: tuple[Entry, ...], chip: Chip) -> Iterator[str]:
    for event in WORDS:
        count = sum(entry.count for entry in entries if entry.event == event)
        if event not in chip.energies and (count or event not in _RARE):
            why = chip.missing.get(f"energies.{event}", "the chip's file has no figure for it")
            yield f"{count:,} {WORDS[event]}: {why}"


def _not_covered(record: Record, chip: Chip, reached: Mapping[str, Array]) -> Iterator[str]:
    yield from NOT_COVERED
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


def _row(name: str, energy: Range | None, wide: int) -> str:
    if energy is None:
        return f"  {name:<{wide}}{'unknown':>12}{'':>24}"
    return f"  {name:<{wide}}" + "".join(f"{format_energy(x):>12}" for x in (energy.typical, energy.low, energy.high))
