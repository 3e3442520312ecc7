"""What counts by layer cost on a chip, where there is no network that could be placed on it.

Priced is what each event costs wherever it happens: synaptic operations, multiply-accumulates, neuron updates, spikes.
What depends on which core holds which neuron (packets and their hops, a crossbar's operations, the power of cores in
use) is not priced, and said not to be. A chip that is powered as a whole draws its static power whatever it holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from aspen.errors import ChipError
from aspen.network.layered import LayerCounts, NeuronCounts
from aspen_hardware.chips.description import Chip
from aspen_hardware.chips.parts import runs_programs
from aspen_hardware.chips.ranges import ByScenario, Range
from aspen_hardware.energy.costs import check_step_time, price, static_power
from aspen_hardware.energy.crossbar import Crossbar
from aspen_hardware.energy.entries import (
    NOT_COVERED,
    absent,
    assumed_figures,
    assumed_time,
    elsewhere,
    entry,
    unpriced,
)
from aspen_hardware.energy.report import EnergyReport, Entry

_UNPLACED = (
    "packets between cores, and how far they go: which cores a spike reaches is known of a network that is placed",
    "whether the layers fit the chip and its number formats, and what their resets take there",
)


def energy_of_layers(counts: LayerCounts, chip: Chip, *, step_time: float | None = None) -> EnergyReport:
    """What a run of which only counts by layer are known costs on ``chip``.

    Where a scenario prices awake updates (:class:`aspen.network.record.Record`) and these were not counted, every
    update is taken to be awake: in floating point a membrane decays for hundreds of steps without being zero.

    >>> from aspen.network.layered import LayerCounts, NeuronCounts, SynapseCounts
    >>> from aspen_hardware import chip
    >>> synapses = SynapseCounts("fc", "dense", 1000, 0, 500, 500, 50, 10)
    >>> counts = LayerCounts(25, 1, 50, (NeuronCounts("lif", 10, 40, 250, 200, 0, 0),), (synapses,))
    >>> report = energy_of_layers(counts, chip("loihi1"))
    >>> f"{report.dynamic.typical * 1e9:.1f} nJ", report.in_use
    ('42.4 nJ', 'not placed')

    Args:
        counts: of the run.
        chip: where the figures come from.
        step_time: seconds of a step; default: as measured on the chip, else its tick of real time.

    Returns:
        a report with ``cores_used=0``; ``chips_used`` are as many as have room for the neurons.

    Raises:
        ChipError: the chip prices the operations of a crossbar, which only a placement tells, or the clock cycles of a
            program, which depend on the network.
        InputError: the step time is not above 0.
    """
    if Crossbar.of(chip) is not None:
        raise ChipError(
            f"{chip.name}: found counts by layer alone, allowed is a network that can be placed, as a spike costs a "
            f"whole row of each crossbar that it reaches; export the model, or choose another chip"
        )
    if runs_programs(chip):
        raise ChipError(
            f"{chip.name}: found counts by layer alone, allowed is a network, as a program's clock cycles depend on "
            f"the rows of weights that spikes go through; export the model, or choose another chip"
        )
    seconds, timing = _lasting(counts, chip, step_time)
    entries = tuple(_entries(counts, chip))
    chips = _least_chips(counts, chip)
    whole = chip.powered.get("rule") == "whole"
    power = static_power(chip, chips=chips) if whole else None
    return EnergyReport(
        chip=chip.name,
        samples=counts.samples,
        steps=counts.steps,
        seconds=seconds,
        cores_used=0,
        chips_used=chips,
        synapses=sum(layer.synapses for layer in counts.synapses),
        entries=entries,
        static=None if power is None or seconds is None else power.times(seconds),
        missing=(*absent(entries, chip, lambda event: unpriced(chip, event)), *_no_static(chip, seconds)),
        elsewhere=tuple(absent(entries, chip, lambda event: elsewhere(chip, event))),
        not_covered=(*_UNPLACED, *NOT_COVERED, *chip.not_covered),
        timing=timing,
        assumed=(*_assumed(counts, chip, chips), *assumed_time(chip, timing, step_time), *assumed_figures(chip)),
    )


def _lasting(counts: LayerCounts, chip: Chip, step_time: float | None) -> tuple[Range | None, str]:
    """Time of the run, and what decides it, as :func:`aspen_hardware.energy.costs.run_seconds` has it."""
    steps = counts.steps * counts.samples
    if step_time is not None:
        check_step_time(step_time)
        return Range.exactly(step_time).times(steps), "step"
    if chip.measured_step is not None:
        return chip.measured_step.times(steps), "measured"
    return None if chip.step_time is None else Range.exactly(chip.step_time).times(steps), "step"


def _least_chips(counts: LayerCounts, chip: Chip) -> int:
    """Chips that have room for so many neurons; 1 where their room is not known."""
    room = (chip.limits.cores or 0) * (chip.limits.neurons_per_core or 0)
    neurons = sum(layer.neurons for layer in counts.neurons)
    return max(1, ceil(neurons / room)) if room else 1


def _entries(counts: LayerCounts, chip: Chip) -> Iterator[Entry]:
    for synapses in counts.synapses:
        for event, count in (
            ("synaptic_operation", synapses.operations),
            ("multiply_accumulate", synapses.multiply_accumulates),
        ):
            each = price(chip, event, synapses.kind)
            yield entry(chip, synapses.name, event, count, None if each is None else each.times(count))
    for layer in counts.neurons:
        each = price(chip, "spike")
        yield entry(chip, layer.name, "spike", layer.spikes, None if each is None else each.times(layer.spikes))
        yield from _updates(layer, chip)


def _updates(layer: NeuronCounts, chip: Chip) -> Iterator[Entry]:
    """Active and inactive updates, each scenario by its own definition."""
    awake = layer.updates if layer.awake is None else layer.awake
    active = {name: layer.active if s.active == "input" else awake for name, s in chip.scenarios.items()}
    usual = active.get(chip.usual, layer.active)
    idle = {name: layer.updates - count for name, count in active.items()}
    for event, counts, count in (
        ("neuron_update_active", active, usual),
        ("neuron_update_inactive", idle, layer.updates - usual),
    ):
        figure = price(chip, event)
        joules = None
        if figure is not None:
            joules = ByScenario({name: each.times(counts[name]) for name, each in figure.of.items()}, figure.usual)
        yield entry(chip, layer.name, event, count, joules, counts if len(set(counts.values())) > 1 else None)


def _no_static(chip: Chip, seconds: Range | None) -> Iterator[str]:
    if not chip.powered:
        yield f"static energy: {chip.missing['power']}"
    elif chip.powered["rule"] != "whole":
        yield "static energy: the chip is not powered as a whole, and what is in use a placement tells"
    if seconds is None:
        yield f"time: {chip.missing['step_time']}"


def _assumed(counts: LayerCounts, chip: Chip, chips: int) -> Iterator[str]:
    yield "counts are of floating point in PyTorch, layer by layer"
    if any(layer.awake is None for layer in counts.neurons) and any(
        scenario.active != "input" for scenario in chip.scenarios.values()
    ):
        yield "every neuron is taken to be awake at every step, where a scenario prices that"
    if chips > 1:
        yield f"{chips} chips have room for the neurons, and nothing is spent between them"
