"""What the events of a stream cost, as :func:`aspen_hardware.energy_model` says, ready to be used at every step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from aspen._base.arrays import Array, Rebuilt
from aspen._base.checks import as_integer, shown
from aspen.dial.path import AnyDial, dial_of
from aspen.errors import InputError
from aspen.network.network import Network
from aspen_emulator.engines.run import network_of
from aspen_emulator.streaming.counting import Events
from aspen_hardware.chips.description import Chip
from aspen_hardware.compiling.deployment import Deployment
from aspen_hardware.energy.costs import check_step_time, static_power
from aspen_hardware.energy.model import energy_model
from aspen_hardware.energy.prices import prices
from aspen_hardware.energy.report import EnergyReport
from aspen_hardware.placing.memory import kept_ram
from aspen_hardware.placing.placement import Placement, place


@dataclass(frozen=True, eq=False)
class Meter(Rebuilt):
    """Prices of a network's events on a chip, in joules (typical figures).

    Args:
        network: what runs.
        chip: whose joules.
        placement: the network's cores.
        window: time steps of an inference.
        step_time: seconds from one step of the stream to the next.
        idle_step: a step in which nothing happens: all neurons are updated without input.
        spike: population -> a spike.
        active, awake: population -> what an active, or an awake, update costs more than an inactive one: which of them
            costs anything is the chip's definition (:class:`aspen.network.record.Record`).
        operation: connection -> an operation.
        off_neuron, off_active, off_awake, off_operation: what is saved of these by neurons that are off.
        off_row: connection -> (n_target + 1,): what a spike saves beside, by how many neurons of its target are off.
        static_watts: static power.
    """

    network: Network
    chip: Chip
    placement: Placement
    window: int
    step_time: float
    idle_step: float
    spike: Mapping[str, float]
    active: Mapping[str, float]
    awake: Mapping[str, float]
    operation: Mapping[str, float]
    off_neuron: Mapping[str, float]
    off_active: Mapping[str, float]
    off_awake: Mapping[str, float]
    off_operation: Mapping[str, float]
    static_watts: float
    off_row: Mapping[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._close("spike", "active", "awake", "operation", "off_neuron", "off_active", "off_awake", "off_operation")
        self._close("off_row")

    @classmethod
    def of(
        cls,
        program: Network | Deployment,
        chip: Chip,
        window: int,
        step_time: float | None = None,
        placement: Placement | None = None,
        profile: AnyDial | None = None,
    ) -> Meter:
        """Look the prices up; see :func:`aspen_hardware.energy.prices.prices`.

        Args:
            program: a deployment, or a network in floating point.
            chip: whose joules.
            window: time steps of an inference.
            step_time: seconds from one step of the stream to the next; default: the chip's.
            placement: the network's cores; default: :func:`aspen_hardware.place`.
            profile: the dial that turns it, whose thresholds need room on the cores.

        Raises:
            InputError: the chip has no published energies, or is gated, so that its static energy depends on
                what it does, or a length is not allowed.
        """
        if not isinstance(chip, Chip):
            raise InputError(f"chip: found {shown(chip)}, allowed is a Chip; look it up: aspen_hardware.chip(name)")
        if chip.powered.get("rule") == "gated":
            raise InputError(
                f"{chip.name}: found a gated chip, allowed for a stream is one that is powered as a whole or by core, "
                f"as how long a gated one is on depends on the events of each step; price single runs with aspen report"
            )
        network, seconds = network_of(program), chip.step_time if step_time is None else step_time
        window = as_integer("window", window, 1, unit=" steps")
        if seconds is None:
            raise InputError(
                f"{chip.name}: found no length of a time step in its file, allowed is one; say how long a window is, "
                f"window_seconds (--window-time), or a step, step_time"
            )
        check_step_time(seconds)
        placement = place(network, chip, dial_of(profile)) if placement is None else placement
        found = prices(network, chip, placement)
        power = static_power(chip, placement.cores_used, placement.chips_used, ram=kept_ram(network))
        if power is None:
            raise InputError(
                f"{chip.name}: found no static power in its file ({chip.missing['power']}), allowed is a chip with "
                f"one; use e.g. loihi1"
            )
        return cls(
            network=network,
            chip=chip,
            placement=placement,
            window=window,
            step_time=seconds,
            idle_step=found.idle_step,
            spike=found.spike,
            active=found.active,
            awake=found.awake,
            operation=found.operation,
            off_neuron=found.off_neuron,
            off_active=found.off_active,
            off_awake=found.off_awake,
            off_operation=found.off_operation,
            static_watts=power.typical,
            off_row=found.off_row,
        )

    @property
    def window_seconds(self) -> float:
        """From window to window."""
        return self.window * self.step_time

    def joules(self, events: Events) -> float:
        """Dynamic energy of events."""
        total = events.steps * self.idle_step
        total += sum(self.spike[name] * count for name, count in events.spikes.items())
        total += sum(self.active[name] * count for name, count in events.active.items())
        total += sum(self.awake[name] * count for name, count in events.awake.items())
        total += sum(self.operation[name] * count for name, count in events.operations.items())
        return total - self._saved(events)

    def _saved(self, events: Events) -> float:
        """What neurons that are off save."""
        if not any(events.off.values()):
            return 0.0
        parts = (
            (self.off_neuron, events.off),
            (self.off_active, events.off_active),
            (self.off_awake, events.off_awake),
            (self.off_operation, events.off_operations),
        )
        saved = sum(each[name] * count for each, counts in parts for name, count in counts.items() if count)
        rows = (float(each @ events.off_rows[name]) for name, each in self.off_row.items() if name in events.off_rows)
        return saved + sum(rows)

    @cached_property
    def worst_step(self) -> float:
        """Dynamic energy of a step in which every neuron, the input's too, spikes: none can cost more."""
        network = self.network
        return self.joules(
            Events(
                1,
                {name: network[name].size for name in network.names},
                {name: network[name].size for name in network.order},
                {name: network[name].size for name in network.order},
                {c.name: int(np.sum(c.fan_out())) for c in network.connections},
            )
        )

    def report(self, events: Events) -> EnergyReport:
        """The energy model's account of all steps that ran.

        Raises:
            InputError: there were none.
        """
        return energy_model(events.record(self.network), self.chip, self.placement, step_time=self.step_time)
