"""What a run costs on a microcontroller, which runs the C program and sleeps in between.

``E = cycles * e_cycle + wake-ups * e_wake + P_sleep * t``. The cycles are those of
:mod:`aspen_hardware.energy.program`, or were measured (in an emulator, or on a board). Where steps come in real time,
the core wakes for each of them. Waking takes the time in the chip's file, at the power of the running core. Power
asleep, with as much RAM kept as the program needs, is charged for the whole time. Where a run is as fast as its work
allows, the core neither sleeps nor wakes in it, and what it draws between two runs is in no sum.

Each scenario is a part, with energies, clock and power of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from aspen._base.checks import as_quantity
from aspen.errors import InputError
from aspen.network.record import Record
from aspen.units import format_duration, format_power
from aspen_hardware.chips.description import Chip
from aspen_hardware.chips.parts import Part, parts_of
from aspen_hardware.chips.ranges import NOTHING, ByScenario, Range, in_each
from aspen_hardware.energy.costs import run_seconds, static_power
from aspen_hardware.energy.entries import assumed_figures, assumed_time, hosts
from aspen_hardware.energy.gating import done, told_off, updates_done
from aspen_hardware.energy.program import Cycles, cycles_of, most_cycles
from aspen_hardware.energy.report import EnergyReport, Entry
from aspen_hardware.placing.memory import kept_ram
from aspen_hardware.placing.placement import Placement

PROGRAM = "program"
"""Where what no population or connection does alone is done."""
COUNTED = "the model fitted to an emulator"
"""How the cycles are known, where none were measured."""


def energy_of_program(
    record: Record,
    chip: Chip,
    placement: Placement,
    step_time: float | None,
    time: str | None,
    cycles: float | Range | None = None,
    how: str = "measured",
) -> EnergyReport:
    """The account of :func:`aspen_hardware.energy_model` for a chip whose file has ``[program]``.

    Args:
        record, chip, placement, step_time, time: as there.
        cycles: clock cycles of the whole run, where they were measured.
        how: in that case, how.
    """
    each, parts = cycles_of(record.network, chip), parts_of(chip)
    counted = spread(chip).times(each.of(record)) if cycles is None else _as_range(cycles)
    busy = ByScenario({name: counted.times(1 / part.clock) for name, part in parts.items()}, chip.usual)
    seconds, timing = _lasting(record, chip, placement, step_time, time, busy)
    wakings = 0 if timing == "work" else record.batch * record.steps
    entries = (
        *(_events(record, chip, each) if cycles is None else _whole(done(record, chip, placement), chip, counted)),
        Entry(PROGRAM, "wake_up", wakings, wake_up(chip).times(wakings), unpriced=_unknown_wake_ups(parts)),
    )
    power = static_power(chip, ram=kept_ram(record.network))
    assert power is not None  # the file's rule says so
    told = COUNTED if cycles is None else how
    return EnergyReport(
        chip=chip.name,
        samples=record.batch,
        steps=record.steps,
        seconds=seconds,
        cores_used=placement.cores_used,
        synapses=record.network.n_synapses,
        entries=entries,
        static=in_each(lambda lasting, watts: lasting.times(watts), seconds, power),
        missing=tuple(_missing(chip, parts)) if wakings else (),
        not_covered=(*_late(record, chip, busy, seconds), *hosts(record), *chip.not_covered),
        timing=timing,
        first_layer=(*(c.name for c in record.network.input_connections), record.network.input.name),
        assumed=tuple(_assumed(record, chip, each, counted, told, timing, step_time, busy, seconds)),
        cycles=counted,
    )


def cycle(chip: Chip) -> ByScenario:
    """Joules of a clock cycle while the core runs."""
    return ByScenario({name: part.cycle for name, part in parts_of(chip).items()}, chip.usual)


def wake_up(chip: Chip) -> ByScenario:
    """Joules of waking up: its time, at the power of the running core. Nothing where the time is unknown."""

    def joules(part: Part) -> Range:
        return NOTHING if part.wake_up is None else part.wake_up.times(part.clock).times(part.cycle)

    return ByScenario({name: joules(part) for name, part in parts_of(chip).items()}, chip.usual)


def spread(chip: Chip) -> Range:
    """Of the cycles of a program that are counted once: what the emulator's timing leaves open."""
    return chip.figures["program.spread"].si


def _as_range(cycles: float | Range) -> Range:
    ends = (cycles.low, cycles.typical, cycles.high) if isinstance(cycles, Range) else (cycles,) * 3
    return Range(*(as_quantity("cycles", end, 0) for end in ends))


def _lasting(
    record: Record, chip: Chip, placement: Placement, step_time: float | None, time: str | None, busy: ByScenario
) -> tuple[Range | ByScenario, str]:
    """Time of the run, and what decides it: the work, where no step time is given."""
    real = step_time is not None or chip.step_time is not None
    chosen = ("step" if real else "work") if time is None else time
    if chosen == "work" and step_time is None:
        return busy, chosen
    seconds, _ = run_seconds(record, chip, placement, step_time, chosen)
    if seconds is None:
        raise InputError(
            f"time: found 'step' on {chip.name} without a step_time, allowed is one ({chip.missing['step_time']}); "
            f"give a step_time in seconds"
        )
    return seconds, chosen


def _events(record: Record, chip: Chip, each: Cycles) -> Iterator[Entry]:
    """Joules by place and kind of event; all of them are clock cycles."""
    network, steps, joules = record.network, record.steps * record.batch, cycle(chip).times(spread(chip))
    frame = steps * (each.step - sum(each.neurons.values()))
    yield Entry(PROGRAM, "program_step", steps, joules.times(frame))
    operations, off = {**record.synaptic_operations, **record.multiply_accumulates}, record.off
    left_out = {**off.synaptic_operations, **off.multiply_accumulates}
    spikes = {name: int(counts.sum()) for name, counts in record.spikes.items()}
    ended = each.rows_saved(record)
    for connection in network.connections:
        name = connection.name
        event = "multiply_accumulate" if name in record.multiply_accumulates else "synaptic_operation"
        count, less = int(operations[name].sum()), int(np.sum(left_out.get(name, 0)))
        taken = count * each.operation[name] + spikes[connection.source] * each.rows[name]
        yield Entry(
            name, event, count - less, joules.times(taken - less * each.off_operation[name] - ended.get(name, 0.0))
        )
    for name in network.names:
        rows = sum(each.rows[connection.name] for connection in network.outgoing(name))
        if spikes[name] or name in network.order:
            yield Entry(name, "spike", spikes[name], joules.times(spikes[name] * max(each.spike[name] - rows, 0.0)))
    for name in network.order:
        out, out_active = (int(np.sum(counts.get(name, 0))) for counts in (off.neurons, off.active_updates))
        active, updates = int(record.active_updates[name].sum()) - out_active, record.updates(name) - out
        idle = (steps * each.neurons[name] - out * each.off_neuron[name]) / max(updates, 1)
        yield Entry(name, "neuron_update_active", active, joules.times(active * (idle + each.active[name])))
        yield Entry(name, "neuron_update_inactive", updates - active, joules.times((updates - active) * idle))


def _whole(record: Record, chip: Chip, cycles: Range) -> Iterator[Entry]:
    """The cycles as they were measured; what events took of them is not known. ``record``: what was done."""
    yield Entry(PROGRAM, "clock_cycle", round(cycles.typical), cycle(chip).times(cycles))
    within = tuple(chip.scenarios)
    operations = {**record.synaptic_operations, **record.multiply_accumulates}
    for name, counts in operations.items():
        event = "multiply_accumulate" if name in record.multiply_accumulates else "synaptic_operation"
        yield Entry(name, event, int(counts.sum()), None, elsewhere=within)
    for name in record.network.order:
        yield Entry(name, "spike", int(record.spikes[name].sum()), None, elsewhere=within)
        active = int(record.active_updates[name].sum())
        yield Entry(name, "neuron_update_active", active, None, elsewhere=within)
        yield Entry(name, "neuron_update_inactive", updates_done(record, name) - active, None, elsewhere=within)


def _unknown_wake_ups(parts: Mapping[str, Part]) -> tuple[str, ...]:
    return tuple(name for name, part in parts.items() if part.wake_up is None)


def _missing(chip: Chip, parts: Mapping[str, Part]) -> Iterator[str]:
    for name in _unknown_wake_ups(parts):
        yield f"wake-ups of {name}: {chip.missing[f'scenarios.{name}.wake_up']}"


def _late(record: Record, chip: Chip, busy: ByScenario, seconds: Range | ByScenario) -> Iterator[str]:
    """Whether a step of a part has, on average, more work than time."""
    steps = record.steps * record.batch
    for name, work in busy.of.items():
        allowed = seconds.of[name] if isinstance(seconds, ByScenario) else seconds
        if work.typical > allowed.typical * (1 + 1e-9):
            yield (
                f"steps last, on average, longer than {format_duration(allowed.typical / steps)}: their work takes "
                f"{format_duration(work.typical / steps)} on {name}; give a longer step time"
            )


def _assumed(
    record: Record,
    chip: Chip,
    each: Cycles,
    cycles: Range,
    how: str,
    timing: str,
    step_time: float | None,
    busy: ByScenario,
    seconds: Range | ByScenario,
) -> Iterator[str]:
    part, per, kept = parts_of(chip)[chip.usual], 1 / record.batch, kept_ram(record.network)
    asleep = format_power(part.asleep(kept).typical)
    ends = "" if cycles.low == cycles.high else f" ({cycles.low * per:,.0f} to {cycles.high * per:,.0f})"
    most = most_cycles(record.network, each)
    yield (
        f"{cycles.typical * per:,.0f} clock cycles an inference{ends}, by {how}; a step takes at most {most:,.0f}, "
        f"where everything spikes"
    )
    yield from told_off(record, chip)
    yield from assumed_time(chip, timing, step_time)
    if timing == "work":
        yield f"waking, and {asleep} asleep between inferences, are not counted; give the time of a step"
    else:
        share = busy.of[chip.usual].typical / seconds.typical
        yield (
            f"awake for {share:.2%} of the time at {part.clock / 1e6:g} MHz, and {asleep} asleep"
            f"{_kept(part, kept)}, charged for all of it"
        )
        yield "the core wakes for each step"
    yield from assumed_figures(chip)


def _kept(part: Part, ram: int) -> str:
    """How much of the RAM that is; empty where it is all."""
    if part.section is None or part.ram is None:
        return ""
    return f" with {part.sections(ram) * part.section:,} of {part.ram:,} bytes of RAM kept"
