"""What one event of each kind costs at each place, in joules: the same figures that price a run, before it runs.

The sum of prices times counts is the typical dynamic energy of :func:`aspen_hardware.energy_model` for a run of which
it was not recorded which neurons spiked: each spike then counts as much as that of any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aspen._base.arrays import Array, Rebuilt
from aspen.errors import InputError
from aspen.network.network import Network
from aspen.training.recipes import Joules
from aspen_hardware.chips.description import Chip
from aspen_hardware.chips.parts import runs_programs
from aspen_hardware.chips.ranges import ByScenario
from aspen_hardware.energy.costs import WORDS, price
from aspen_hardware.energy.crossbar import Crossbar
from aspen_hardware.energy.hops import ways_on
from aspen_hardware.energy.microcontroller import cycle, wake_up
from aspen_hardware.energy.program import cycles_of
from aspen_hardware.placing.placement import Placement
from aspen_hardware.placing.resets import compartments_of


@dataclass(frozen=True, eq=False)
class Prices(Rebuilt):
    """Joules of single events (typical figures).

    Args:
        idle_step: a time step of one sample in which nothing happens: all neurons are updated without input, a crossbar
            lets them leak, and all values of an analog input are sent, as which were zero is not known.
        spike: population -> a spike: fired, sent to all cores that it reaches, and let through their crossbars.
        active, awake: population with neurons -> what an active, or an awake, update costs more than an inactive one:
            which of them costs anything is the chip's definition (:class:`aspen.network.record.Record`).
        operation: connection -> a synaptic operation; a multiply-accumulate where its source is an analog input.
        off_neuron: population with neurons -> what a neuron that is off saves in a step (:mod:`aspen.network.off`);
            all that begins so is 0 on chips that leave no single neurons out.
        off_active, off_awake, off_operation: what such events save where they fall on one.
        off_row: connection -> (n_target + 1,): what a spike saves beside, by how many neurons of the target are off;
            empty where no row costs anything beside its operations.
    """

    idle_step: float
    spike: Mapping[str, float]
    active: Mapping[str, float]
    awake: Mapping[str, float]
    operation: Mapping[str, float]
    off_neuron: Mapping[str, float]
    off_active: Mapping[str, float]
    off_awake: Mapping[str, float]
    off_operation: Mapping[str, float]
    off_row: Mapping[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._close("spike", "active", "awake", "operation", "off_neuron", "off_active", "off_awake", "off_operation")
        self._close("off_row")


def prices(network: Network, chip: Chip, placement: Placement) -> Prices:
    """What the events of ``network`` cost on ``chip``.

    Args:
        network: what is to run.
        chip: where the figures come from.
        placement: the network's cores.

    Raises:
        InputError: the chip's file has no energies, or the placement is of another network or chip.
    """
    if not chip.energies:
        reasons = dict.fromkeys(why for event in WORDS for why in chip.unpriced(event).values())
        raise InputError(
            f"{chip.name}: found no energies in joules ({'; '.join(reasons)}), allowed is a chip whose file has them; "
            f"use e.g. loihi1"
        )
    placement.check(network, chip)
    if runs_programs(chip):
        return _prices_of_program(network, chip)
    inactive = _typical(chip, "neuron_update_inactive")
    each = compartments_of(network, chip)
    more = {name: each[name] * (_typical(chip, "neuron_update_active") - inactive) for name in network.order}
    nothing = dict.fromkeys(network.order, 0.0)
    by_input = chip.scenarios[chip.usual].active == "input"
    sent = {name: _all_sent(chip, ways) for name, ways in ways_on(chip, network, placement).items()}
    analog = {name: joules for name, joules in sent.items() if network[name].is_analog}
    crossed, leaking = _crossbars(network, chip, placement)
    active, awake = (more, nothing) if by_input else (nothing, more)
    operation = {c.name: _typical(chip, _operation(network, c.source), c.kind) for c in network.connections}
    left_out = float(chip.gates == "neuron")
    return Prices(
        idle_step=sum(network[name].size * each[name] for name in network.order) * inactive
        + leaking
        + sum(network[name].size * joules for name, joules in analog.items()),
        spike={
            name: crossed.get(name, 0.0)
            + (0.0 if name in analog else sent[name])
            + (_typical(chip, "spike") if name in more else 0.0)
            for name in network.names
        },
        active=active,
        awake=awake,
        operation=operation,
        off_neuron={name: left_out * each[name] * inactive for name in network.order},
        off_active={name: left_out * joules for name, joules in active.items()},
        off_awake={name: left_out * joules for name, joules in awake.items()},
        off_operation={name: left_out * joules for name, joules in operation.items()},
    )


def _prices_of_program(network: Network, chip: Chip) -> Prices:
    """Of clock cycles; the core wakes for each step."""
    each, joules = cycles_of(network, chip), cycle(chip).typical

    def priced(cycles: Mapping[str, float]) -> dict[str, float]:
        return {name: count * joules for name, count in cycles.items()}

    return Prices(
        idle_step=each.step * joules + wake_up(chip).typical,
        spike=priced(each.spike),
        active=priced(each.active),
        awake=dict.fromkeys(network.order, 0.0),
        operation=priced(each.operation),
        off_neuron=priced(each.off_neuron),
        off_active=priced(each.active),
        off_awake=dict.fromkeys(network.order, 0.0),
        off_operation=priced(each.off_operation),
        off_row={name: cycles * joules for name, cycles in each.off_row.items()},
    )


def training_prices(chip: Chip) -> Joules:
    """What events cost on ``chip`` wherever they happen, as a training takes them.

    >>> from aspen.training.recipes import Recipe
    >>> from aspen_hardware import chip
    >>> Recipe("frugal", spike_price=0.1, cost="energy", joules=training_prices(chip("loihi1"))).joules.operation
    2.36e-11

    Typical figures: a spike as it is fired and sent to one core, an active update at every step. Where cores lie, what
    is static, and that updates without input cost less, a training does not know.

    Raises:
        InputError: the chip's file has no energy of a synaptic operation or of a neuron's update.
    """
    needed = ("synaptic_operation", "neuron_update_active")
    lacking = [event for event in needed if price_in_run(chip, event) is None]
    if lacking:
        raise InputError(
            f"{chip.name}: found no energy of {' and of '.join(WORDS[event] for event in lacking)}, allowed is a chip "
            f"whose file has both; use e.g. loihi1, or aspen.training.recipes.Joules with figures of your own"
        )
    spike = _typical(chip, "spike") + _typical(chip, "spike_packet")
    return Joules(spike, _typical(chip, "synaptic_operation"), _typical(chip, "neuron_update_active"))


def price_in_run(chip: Chip, event: str, connection: str = "dense") -> ByScenario | None:
    """Joules of one event of a run; ``None`` where no scenario has a figure, and for synaptic operations on a crossbar:
    its own operations have their energy. See :func:`aspen_hardware.energy.costs.price`."""
    if event == "synaptic_operation" and Crossbar.of(chip) is not None:
        return None
    return price(chip, event, connection)


def _typical(chip: Chip, event: str, connection: str = "dense") -> float:
    found = price_in_run(chip, event, connection)
    return 0.0 if found is None else found.typical


def _all_sent(chip: Chip, ways: Mapping[str, Array]) -> float:
    """Joules of what one spike comes to on its way, as that of any neuron of its population."""
    return sum(int(each.max()) * _typical(chip, event) for event, each in ways.items())


def _crossbars(network: Network, chip: Chip, placement: Placement) -> tuple[dict[str, float], float]:
    """Population -> joules that a spike costs in crossbars; and those of leaks in a step."""
    crossbar = Crossbar.of(chip)
    if crossbar is None:
        return {}, 0.0
    each = crossbar.operations_per_spike * _typical(chip, "crossbar_operation")
    driven = crossbar.driven(network, placement)
    leaks = crossbar.leaks(network, placement) * _typical(chip, "leak_operation")
    return {name: int(rows.max()) * each for name, rows in driven.items()}, leaks


def _operation(network: Network, source: str) -> str:
    return "multiply_accumulate" if network[source].is_analog else "synaptic_operation"
