"""What a run costs on a chip, from its counts and the chip's published figures.

``E = sum(e_i * n_i) + P_static * t``: marginal energies of counted events, and static power over the time taken. Both
parts are always shown beside their total, which is what a battery sees.

Counted for the whole run (all samples):

- synaptic operations of each connection, by true fan-out, and the multiply-accumulates of an analog input;
- neuron updates at every step, active and inactive; which are active, the scenario says
  (:data:`aspen_hardware.chips.schema.ACTIVE`);
- spikes fired by each population on the chip;
- spike packets: one for each spike and core that it reaches;
- hops of packets between tiles of cores (:mod:`aspen_hardware.energy.hops`);
- of all these only what the chip does where neurons are off (:mod:`aspen_hardware.energy.gating`);
- on a chip whose cores are crossbars, their operations for spikes and leaks (:mod:`aspen_hardware.energy.crossbar`),
  which then have the energy of synaptic operations instead of those by fan-out.

Samples run one after the other. How long a step takes, :func:`aspen_hardware.energy.costs.run_seconds` says; what is
powered meanwhile, the chip's file (:data:`aspen_hardware.chips.schema.POWER_RULES`). A scenario is one source's
coherent set of
energies: low and high of a sum are those of the scenarios, each summed whole, never a mixture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from aspen._base.checks import shown
from aspen.errors import ChipError, InputError
from aspen.network.network import Network
from aspen.network.record import Record, check_counts
from aspen_hardware.chips.description import Chip
from aspen_hardware.chips.parts import runs_programs
from aspen_hardware.chips.ranges import ByScenario, Range
from aspen_hardware.energy.costs import (
    busy_seconds,
    late_steps,
    megahertz,
    run_seconds,
    static_energy,
)
from aspen_hardware.energy.crossbar import Crossbar
from aspen_hardware.energy.cycles import Work, work
from aspen_hardware.energy.entries import (
    NOT_COVERED,
    absent,
    assumed_figures,
    assumed_time,
    elsewhere,
    entry,
    hosts,
    unpriced,
)
from aspen_hardware.energy.gating import cores_on, done, told_off, unsent, updates_done
from aspen_hardware.energy.hops import HOPS, Ways, has_mesh, sent, ways_on
from aspen_hardware.energy.microcontroller import energy_of_program
from aspen_hardware.energy.prices import price_in_run
from aspen_hardware.energy.report import EnergyReport, Entry
from aspen_hardware.energy.working import active_counts
from aspen_hardware.placing.placement import Placement, place
from aspen_hardware.placing.resets import compartments_of


def energy_model(
    record: Record,
    chip: Chip,
    placement: Placement | None = None,
    *,
    step_time: float | None = None,
    time: str | None = None,
    clock: float | None = None,
    ways: Ways | None = None,
    cycles: float | Range | None = None,
    how: str = "measured",
) -> EnergyReport:
    """What ``record``'s run costs on ``chip``.

    >>> import numpy as np
    >>> from aspen import Dense, Lif, Network, Population
    >>> from aspen_emulator import run
    >>> from aspen_hardware import chip
    >>> populations = Population("input", (2,)), Population("output", (2,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", [[1.2, 0.1], [0.1, 1.2]]),))
    >>> report = energy_model(run(network, np.ones((8, 1, 2), np.uint8)), chip("loihi1"))
    >>> f"{report.dynamic.typical * 1e9:.2f} nJ"
    '2.61 nJ'

    Args:
        record: counts of a run.
        chip: where the figures come from.
        placement: the network's cores; default: :func:`aspen_hardware.place`.
        step_time: length of a time step in seconds, instead of the chip's.
        time: ``"measured"``, ``"step"`` or ``"work"``, see :func:`aspen_hardware.energy.costs.run_seconds`; default:
            ``"measured"`` where a step was measured on the chip, else ``"step"``.
        clock: in MHz, for chips whose power rises with it; default: the chip's.
        ways: what :func:`aspen_hardware.energy.hops.ways_on` says of this network, chip and placement, where several
            runs are priced; default: it is asked.
        cycles: on a microcontroller, clock cycles of the whole run as they were measured, or their range; default:
            those of :mod:`aspen_hardware.energy.program`.
        how: with ``cycles``: how they were measured, for the report.

    Raises:
        InputError: the record is empty, or its counts cannot be those of its network
            (:func:`aspen.network.record.check_counts`); the placement is of another; the step time or clock is not
            above 0, the chip's file has no figures for the time, or the cycles are no numbers from 0, or of a chip that
            is no microcontroller.
        ChipError: no placement was given and the network cannot be placed.
    """
    if not isinstance(record, Record):
        raise InputError(
            f"record: found {type(record).__name__}, allowed is the aspen.Record of a run; run the network first: "
            f"energy_model(aspen_emulator.run(network, spikes), chip)"
        )
    if record.steps == 0 or record.batch == 0:
        raise InputError(f"record: found {record.steps} steps of {record.batch} samples, allowed is at least one")
    if not isinstance(chip, Chip):
        raise InputError(
            f"chip: found {shown(chip)}, allowed is a Chip; read one: aspen_hardware.chip('loihi1'), or a path of yours"
        )
    check_counts(record)
    placement = place(record.network, chip) if placement is None else placement
    placement.check(record.network, chip)
    if runs_programs(chip):
        megahertz(chip, clock)
        return energy_of_program(record, chip, placement, step_time, time, cycles, how)
    if cycles is not None:
        raise InputError(
            f"cycles: found some on {chip.name}, allowed are those of a microcontroller such as cortex-m4; leave them "
            f"out"
        )
    recorded, record = record, done(record, chip, placement)
    seconds, timing = run_seconds(record, chip, placement, step_time, time, clock)
    ways = ways_on(chip, record.network, placement) if ways is None else ways
    clocked, unclocked = _clocked(record, chip)
    step = None if seconds is None else seconds.typical / (record.steps * record.batch)
    entries = tuple(_entries(record, chip, ways, placement, unsent(recorded, chip, placement, ways)))
    gated = chip.powered.get("rule") == "gated"  # otherwise nobody asks how long it works
    busy = busy_seconds(record, chip, placement, clock) if gated and not unclocked else None
    cores = cores_on(recorded, chip, placement)
    static = None if seconds is None else static_energy(chip, placement, seconds, busy, clock, cores)
    late = "" if timing == "work" else _late(record, chip, placement, seconds, clock, clocked)
    return EnergyReport(
        chip=chip.name,
        samples=record.batch,
        steps=record.steps,
        seconds=seconds,
        cores_used=placement.cores_used,
        chips_used=placement.chips_used,
        synapses=record.network.n_synapses,
        entries=entries,
        static=static,
        missing=(
            *absent(entries, chip, lambda event: unpriced(chip, event)),
            *unclocked,
            *_no_static(chip, seconds, static),
        ),
        elsewhere=tuple(absent(entries, chip, lambda event: elsewhere(chip, event))),
        not_covered=tuple(filter(None, (late, *_not_covered(record, chip, ways)))),
        timing=timing,
        first_layer=_first_layer(record.network, chip),
        assumed=(*told_off(recorded, chip), *_assumed(chip, timing, step_time, placement), *_paced(clocked, step)),
        share=_share(chip, placement, static),
    )


def _clocked(record: Record, chip: Chip) -> tuple[Work | None, list[str]]:
    """Clock cycles of a step where the chip's file has figures of them, and why they are not known where it has."""
    try:
        return work(record, chip), []
    except ChipError as error:
        return None, [f"the clock cycles of a step: {error}"]


def _late(
    record: Record,
    chip: Chip,
    placement: Placement,
    seconds: Range | ByScenario | None,
    clock: float | None,
    clocked: Work | None,
) -> str:
    if clocked is None or seconds is None:
        return late_steps(record, chip, placement, seconds, clock)
    return clocked.late(seconds.typical / (record.steps * record.batch))


def _paced(clocked: Work | None, step: float | None) -> list[str]:
    return [] if clocked is None or step is None else [clocked.told(step)]


def _entries(
    record: Record, chip: Chip, ways: Ways, placement: Placement, unsent: Mapping[tuple[str, str], int]
) -> Iterator[Entry]:
    crossbar = Crossbar.of(chip)
    for where, event, count, kind in _events(record, ways, unsent):
        figure = price_in_run(chip, event, kind)
        yield entry(chip, where, event, count, None if figure is None else figure.times(count))
    for where, event, count in crossbar.operations(record, placement) if crossbar is not None else ():
        figure = price_in_run(chip, event)
        yield entry(chip, where, event, count, None if figure is None else figure.times(count))
    for name in record.network.order:
        yield from _updates(record, chip, name)


def _updates(record: Record, chip: Chip, name: str) -> Iterator[Entry]:
    """A population's updates, by each scenario's definition of an active one. A neuron's compartments are updated
    alike."""
    each = compartments_of(record.network, chip)[name]
    updates = each * updates_done(record, name)
    usual = chip.scenarios[chip.usual].active if chip.usual else "input"
    definitions = {usual, *(s.active for s in chip.scenarios.values())}
    active = {d: each * int(active_counts(record, d)[name].sum()) for d in definitions}
    for event, counts in (
        ("neuron_update_active", active),
        ("neuron_update_inactive", {definition: updates - count for definition, count in active.items()}),
    ):
        by_scenario = {s: counts[scenario.active] for s, scenario in chip.scenarios.items()}
        figure = chip.energy(event)
        joules = None
        if figure is not None:
            joules = ByScenario({s: one.times(by_scenario[s]) for s, one in figure.of.items()}, figure.usual)
        yield entry(chip, name, event, counts[usual], joules, by_scenario if len(active) > 1 else None)


def _events(record: Record, ways: Ways, unsent: Mapping[tuple[str, str], int]) -> Iterator[tuple[str, str, int, str]]:
    """Place, kind, number and kind of connection of the run's events but updates."""
    kinds = {connection.name: connection.kind for connection in record.network.connections}
    for name, operations in record.synaptic_operations.items():
        yield name, "synaptic_operation", int(operations.sum()), kinds[name]
    for name, operations in record.multiply_accumulates.items():
        yield name, "multiply_accumulate", int(operations.sum()), kinds[name]
    for name in record.network.order:
        yield name, "spike", int(record.spikes[name].sum()), ""
    for name, events in ways.items():
        for event, each in events.items():
            if event not in HOPS or each.any():
                yield name, event, sent(record, name, each) - unsent.get((name, event), 0), ""


def _no_static(chip: Chip, seconds: Range | ByScenario | None, static: Range | ByScenario | None) -> Iterator[str]:
    """Why there is no static energy."""
    if not chip.powered:
        yield f"static energy: {chip.missing['power']}"
    elif seconds is not None and static is None:
        yield "static energy: the chip is gated, and how long its work takes is not known"
    if seconds is None:
        yield f"time: {chip.missing['step_time']}"


def _first_layer(network: Network, chip: Chip) -> tuple[str, ...]:
    """Connections from the input; on a chip with crossbars also the input, whose spikes make their operations."""
    name = network.input.name
    connections = tuple(c.name for c in network.input_connections)
    return connections if Crossbar.of(chip) is None else (*connections, name)


def _share(chip: Chip, placement: Placement, static: Range | ByScenario | None) -> Range | ByScenario | None:
    cores = chip.limits.cores
    if static is None or not cores or cores == 1 or chip.powered["rule"] != "whole":
        return None
    return static.times(placement.cores_used / (cores * placement.chips_used))


def _assumed(chip: Chip, timing: str, step_time: float | None, placement: Placement) -> Iterator[str]:
    yield from assumed_time(chip, timing, step_time)
    row = chip.section("crossbar").get("operations_per_spike")
    if row is not None:
        yield f"each spike makes the crossbar do {row.value:g} operations, whatever its fan-out ({row.source})"
    if placement.chips_used > 1:
        yield f"the network needs {placement.chips_used} chips, and nothing is spent between them"
    yield from assumed_figures(chip)
    if has_mesh(chip):
        yield "cores are used in the order of the placement, four to a tile, tiles in rows of eight"
        yield "packets of the input come the longest way that the mesh has to their cores: where they enter is unknown"


def _not_covered(record: Record, chip: Chip, ways: Ways) -> Iterator[str]:
    yield from NOT_COVERED
    yield from hosts(record)
    unknown = {name: events for name, events in ways.items() if name not in record.rasters}
    uneven = [name for name, events in unknown.items() if any(np.ptp(each) > 0 for each in events.values())]
    if uneven:
        yield (
            f"which neurons of {', '.join(uneven)} spiked was not recorded: each spike is taken to reach as many "
            f"cores as the farthest-reaching one, and to go as far"
        )
    yield from (
        f"which values of {name} were zero was not recorded: each is taken to be sent"
        for name in unknown
        if record.network[name].is_analog
    )
    yield from chip.not_covered
