"""Joules of counted events, static energy, and the time that a run takes, from a chip's published figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from math import inf
from operator import add

import numpy as np

from aspen._base.checks import as_float, as_integer, as_name, as_quantity, shown
from aspen.errors import InputError
from aspen.network.record import Record
from aspen.units import format_duration
from aspen_hardware.chips.description import Chip
from aspen_hardware.chips.parts import parts_of
from aspen_hardware.chips.ranges import ByScenario, Range, in_each
from aspen_hardware.energy import cycles
from aspen_hardware.energy.crossbar import Crossbar
from aspen_hardware.energy.working import step_work
from aspen_hardware.placing.placement import Placement

WORDS = {
    "synaptic_operation": "synaptic operations",
    "multiply_accumulate": "multiply-accumulates of analog input",
    "neuron_update_active": "active neuron updates",
    "neuron_update_inactive": "inactive neuron updates",
    "spike": "spikes fired",
    "spike_packet": "spike packets",
    "hop_east_west": "hops between tiles, east-west",
    "hop_north_south": "hops between tiles, north-south",
    "crossbar_operation": "operations of the crossbar, for spikes",
    "leak_operation": "operations of the crossbar, for leaks",
    "program_step": "steps of the program, with its look at the input",
    "clock_cycle": "clock cycles of the program",
    "wake_up": "wake-ups",
}
"""Kinds of event that are counted; keys of a chip's energies."""

PRICED_AS = {"crossbar_operation": "synaptic_operation"}
"""Kinds of event that have the energy of another one in a chip's file."""
TIMES = ("measured", "step", "work")
"""What decides how long a step takes; see :func:`run_seconds`."""


@dataclass(frozen=True)
class Parts:
    """Dynamic and static energy and their sum, in joules; ``None`` where unknown."""

    dynamic: ByScenario | None
    static: Range | ByScenario | None

    @property
    def total(self) -> ByScenario | None:
        """Dynamic and static; ``None`` unless both are known."""
        return None if self.dynamic is None or self.static is None else self.dynamic + self.static


def summed(quantities: Iterable[ByScenario | None]) -> ByScenario | None:
    """The sum of those that are known, scenario by scenario; ``None`` where none is."""
    known = [quantity for quantity in quantities if quantity is not None]
    return reduce(add, known) if known else None


def energy_of_counts(
    counts: Mapping[str, float],
    chip: Chip,
    seconds: float | Range | None = None,
    *,
    cores: int = 1,
    chips: int = 1,
    clock: float | None = None,
) -> Parts:
    """``E = sum(e_i * n_i) + P_static * t`` for counts from anywhere.

    >>> from aspen_hardware import chip
    >>> parts = energy_of_counts({"synaptic_operation": 1e6, "neuron_update_active": 2e4}, chip("loihi1"))
    >>> f"{parts.dynamic.typical * 1e6:.1f} uJ"
    '25.2 uJ'
    >>> parts.static is None  # no time was given
    True

    Args:
        counts: kind of event (a key of :data:`WORDS`) -> how many. Kinds without a figure on the chip add nothing.
        chip: where the figures come from.
        seconds: time taken; ``None``: unknown, and so is the static energy.
        cores, chips: in use; see :func:`static_power`.
        clock: in MHz, for chips whose power rises with it; default: the file's.

    Returns:
        in joules. Dynamic is ``None`` where no kind has a figure.

    Raises:
        InputError: an unknown kind, a count that is no number from 0, a time below 0, cores or chips that are no whole
            numbers, or a clock that is not above 0.
    """
    for kind, count in counts.items():
        as_name("kind of event", kind, list(WORDS))
        as_quantity(f"counts: {kind}", count, 0)
    for bound in () if seconds is None else _three(seconds) if isinstance(seconds, Range) else (seconds,):
        as_quantity("seconds", bound, 0)
    as_integer("cores", cores, 0)
    as_integer("chips", chips, 1)
    figures = {kind: price(chip, kind) for kind in counts}
    dynamic = summed(None if each is None else each.times(counts[kind]) for kind, each in figures.items())
    power = static_power(chip, cores, chips, clock)
    return Parts(dynamic, None if power is None or seconds is None else power.times(seconds))


def price(chip: Chip, event: str, connection: str = "dense") -> ByScenario | None:
    """Joules of one event, see :meth:`aspen_hardware.chips.description.Chip.energy`; a crossbar's operation for a
    spike is the synaptic operation that its chip's file prices."""
    return chip.energy(PRICED_AS.get(event, event), connection)


def megahertz(chip: Chip, clock: float | None = None) -> float | None:
    """The clock in MHz: the one given, or the file's; ``None`` where neither is known.

    Raises:
        InputError: the clock is not above 0, or the chip's power does not depend on one.
    """
    clocked = "per_megahertz" in chip.power
    if clock is not None and not (clocked and 0 < as_float(clock) < inf):
        allowed = "a finite number of MHz above 0" if clocked else "none: no power per MHz is known"
        raise InputError(
            f"clock of {chip.name}: found {shown(clock)}, allowed is {allowed}; correct it or leave it out"
        )
    return chip.clock if clock is None else clock


def static_power(
    chip: Chip, cores: float = 1, chips: int = 1, clock: float | None = None, ram: int | None = None
) -> Range | ByScenario | None:
    """Watts that are drawn whatever the network does, while the chip is on; ``None`` where the file has no figure.

    A chip that is powered as a whole, or gated, draws its whole power however few cores are in use; one that is powered
    by core draws that of the cores in use, and what cores draw that are off. Its pins and its clock come on top. One
    that sleeps draws what each of its parts draws asleep.

    Args:
        chip: where the figures come from.
        cores, chips: in use.
        clock: in MHz; default: the file's.
        ram: bytes that stay powered in a part that sleeps; default: all.

    Raises:
        InputError: the clock is not above 0, or the chip's power does not depend on one.
    """
    figures, hertz = chip.power, megahertz(chip, clock)
    if not chip.powered:
        return None
    if chip.powered["rule"] == "sleep":
        return ByScenario({name: part.asleep(ram) for name, part in parts_of(chip).items()}, chip.usual)
    if chip.powered["rule"] == "core":
        others = max((chip.limits.cores or 0) * chips - cores, 0)
        power = figures["core"].si.times(cores) + figures["off"].si.times(others)
    else:
        power = figures["chip"].si.times(chips)
    if "io" in figures:
        power = power + figures["io"].si.times(chips)
    if "per_megahertz" in figures:
        power = power + figures["per_megahertz"].si.times(chips * (hertz or 0.0))
    return power


def static_energy(
    chip: Chip,
    placement: Placement,
    seconds: Range | ByScenario,
    busy: Range | ByScenario | None,
    clock: float | None = None,
    cores: float | None = None,
) -> Range | ByScenario | None:
    """Joules of static power over a run; ``None`` where the file has no figure, or a gated chip's work has no time.

    Args:
        chip: where the figures come from.
        placement: the cores in use.
        seconds: time of the run.
        busy: time in which the chip works, by the published times of operations; the rest a gated chip is off.
        clock: in MHz; default: the file's.
        cores: that are on, on average; default: all that are in use.

    Raises:
        InputError: as :func:`static_power`.
    """
    on = placement.cores_used if cores is None else cores
    power = static_power(chip, on, placement.chips_used, clock)
    if power is None or isinstance(power, ByScenario) or chip.powered["rule"] != "gated":
        return None if power is None else in_each(lambda lasting, watts: lasting.times(watts), seconds, power)
    if busy is None:
        return None
    off = chip.power["off"].si.times(placement.chips_used)

    def gated(lasting: Range, working: Range) -> Range:
        on = Range(*(min(w, s) for w, s in zip(_three(working), _three(lasting), strict=True)))
        waiting = Range(*(s - o for s, o in zip(_three(lasting), _three(on), strict=True)))
        return power.times(on) + off.times(waiting)

    return in_each(gated, seconds, busy)


def _three(values: Range) -> tuple[float, float, float]:
    return values.low, values.typical, values.high


def run_seconds(
    record: Record,
    chip: Chip,
    placement: Placement,
    step_time: float | None,
    time: str | None,
    clock: float | None = None,
) -> tuple[Range | ByScenario | None, str]:
    """Time of the whole run, all samples one after the other, and which of :data:`TIMES` decided it.

    ``"measured"``: each step as long as one was measured on the chip, with the shortest and longest measured as its
    range. ``"step"``: the step time, as in real time. ``"work"``: as long as the operations take by their published
    times (:func:`busy_seconds`), and up to what was measured where that is longer.

    Args:
        record, chip, placement: of the run.
        step_time: seconds of a step, instead of the chip's.
        time: one of :data:`TIMES`; default: ``"step"`` where a step time is given, else ``"measured"`` where the chip's
            file has a measurement, else ``"step"``.
        clock: in MHz; default: the file's.

    Raises:
        InputError: the step time or the clock is not above 0, the time is not allowed, or the chip's
            file has no figures for it.
        ChipError: the chip takes one form of network only, this one has another, and its work decides.
    """
    if step_time is not None:
        check_step_time(step_time)
    measured, steps = chip.measured_step, record.steps * record.batch
    usual = "step" if step_time is not None or measured is None else "measured"
    chosen = usual if time is None else time
    if chosen not in TIMES or (chosen != "step" and step_time is not None):
        raise InputError(
            f"time: found {time!r} with step_time={step_time}, allowed is step, or measured or work without a step time"
        )
    if chosen == "measured":
        if measured is None:
            raise InputError(
                f"time: found 'measured' on {chip.name}, whose file has no measured step, allowed is step; give a "
                f"step_time"
            )
        return measured.times(steps), chosen
    if chosen == "work":
        work = busy_seconds(record, chip, placement, clock)
        if work is None:
            raise InputError(
                f"time: found 'work' on {chip.name}, whose file has no times of operations ({_no_times(chip)}), "
                f"allowed is step; give a step_time"
            )
        longest = 0.0 if measured is None else measured.high * steps
        return in_each(lambda least: Range(least.low, least.typical, max(least.high, longest)), work), chosen
    each = chip.step_time if step_time is None else step_time
    return None if each is None else Range.exactly(each).times(steps), chosen


def check_step_time(seconds: object) -> None:
    """Raise InputError unless it is a number of seconds above 0, and finite."""
    if not 0 < as_float(seconds) < inf:
        raise InputError(f"step_time: found {shown(seconds)}, allowed are finite seconds above 0; give e.g. 1e-3")


def _no_times(chip: Chip) -> str:
    """The keys that the file lacks for a time of operations, for a message."""
    if Crossbar.of(chip) is not None:
        return "clock"
    keys = [f"scenarios.{name}.speeds.{key}" for name in chip.scenarios or ["NAME"] for key in SPEEDS]
    return ", ".join(key for key in keys if key not in chip.figures)


def busy_seconds(
    record: Record, chip: Chip, placement: Placement, clock: float | None = None
) -> Range | ByScenario | None:
    """Time in which the chip works during a run: its clock cycles (:mod:`aspen_hardware.energy.cycles`) where its
    file has figures of these, else the times of its operations (:func:`work_seconds`); ``None`` where it has neither.

    Raises:
        InputError: as :func:`megahertz`.
        ChipError: as :func:`aspen_hardware.energy.cycles.work`.
    """
    clocked = cycles.work(record, chip)
    if clocked is not None:
        return Range.exactly(clocked.seconds * record.steps * record.batch)
    return work_seconds(record, chip, placement, clock)


SPEEDS = (
    "synaptic_operation",
    "neuron_update_active",
    "neuron_update_inactive",
    "barrier_one_tile",
    "barrier_32_tiles",
)
"""What a scenario's speeds must say for its fastest step to be known."""


def work_seconds(record: Record, chip: Chip, placement: Placement, clock: float | None = None) -> ByScenario | None:
    """Time of the whole run where each step takes only as long as its work; ``None`` where no speeds are published.

    Cores work side by side; a population's work is taken to be spread evenly over its neurons, and a core that holds
    several populations does the work of one after the other; the slowest core ends the step, and a barrier follows: the
    published one of a single tile, or of 32 tiles where more than one is in use. Times of a step are counted from
    synaptic operations that arrive in it, neuron updates, spikes fired, and packets in and out; a spike is taken to
    reach all cores of the populations that it is sent to. A crossbar takes the cycles of its operations
    (:meth:`aspen_hardware.energy.crossbar.Crossbar.cycles`) at its ``clock`` in MHz, by default the file's.
    """
    crossbar, hertz = Crossbar.of(chip), megahertz(chip, clock)
    if crossbar is not None:
        if hertz is None:
            return None
        each = float(crossbar.cycles(record, placement).sum()) / (hertz * 1e6)
        return ByScenario({name: Range.exactly(each) for name in chip.scenarios}, chip.usual)
    speeds = {name: chip.section(f"scenarios.{name}.speeds") for name in chip.scenarios}
    if not speeds or any(key not in figures for figures in speeds.values() for key in SPEEDS):
        return None
    times = {name: step_work(record, chip, name, figures, placement) for name, figures in speeds.items()}
    return ByScenario({name: Range.exactly(each) for name, each in times.items()}, chip.usual)


def late_steps(
    record: Record,
    chip: Chip,
    placement: Placement,
    seconds: Range | ByScenario | None,
    clock: float | None = None,
) -> str:
    """Which steps of a crossbar have more work than time: a message, empty where there are none or no times are known.

    Args:
        record, chip, placement: of the run.
        seconds: time of the run.
        clock: in MHz; default: the file's.
    """
    crossbar, hertz = Crossbar.of(chip), megahertz(chip, clock)
    if crossbar is None or hertz is None or seconds is None:
        return ""
    busy, steps = crossbar.cycles(record, placement), record.steps * record.batch
    needed = busy / (steps / busy.size) / (hertz * 1e6)  # of each step, or on average where counted together
    each = seconds.typical / steps
    late = int(np.count_nonzero(needed > each * (1 + 1e-9)))
    if not late:
        return ""
    which = f"{late} of {steps} steps last" if busy.size == steps else "steps last, on average,"
    return (
        f"{which} longer than {format_duration(each)}: their events take up to {format_duration(needed.max())} at "
        f"{hertz:g} MHz; give a longer step time or a faster clock"
    )
