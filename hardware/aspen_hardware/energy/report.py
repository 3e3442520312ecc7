"""What a run cost: the entries of an energy report, their sums, and the report as text, picture and plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aspen._base.tables import Table, Tabled
from aspen.units import parse_battery
from aspen_hardware.chips.ranges import ByScenario, Range, within
from aspen_hardware.energy.costs import Parts, summed

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Entry:
    """One kind of event in one place.

    Args:
        where: population or connection.
        event: key of :data:`aspen_hardware.energy.costs.WORDS`.
        count: events in the whole run; where scenarios count differently, by the usual one.
        joules: their energy; ``None`` where no scenario has a figure.
        counts: scenario -> events in the whole run, where scenarios count differently.
        elsewhere: scenarios that have this energy in another entry's, or in the static energy.
        unpriced: scenarios that have no figure for it; one without a name where the chip has no scenarios.
    """

    where: str
    event: str
    count: int
    joules: ByScenario | None
    counts: Mapping[str, int] = field(default_factory=dict)
    elsewhere: tuple[str, ...] = ()
    unpriced: tuple[str, ...] = ()


@dataclass(frozen=True)
class EnergyReport(Tabled):
    """Energy of a run.

    >>> import numpy as np
    >>> from aspen import Dense, Lif, Network, Population
    >>> from aspen_emulator import run
    >>> from aspen_hardware import chip, energy_model
    >>> populations = Population("input", (2,)), Population("output", (2,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", [[1.2, 0.1], [0.1, 1.2]]),))
    >>> report = energy_model(run(network, np.ones((8, 1, 2), np.uint8)), chip("loihi1"))
    >>> report.count("synaptic_operation"), report.in_use
    (32, '1 core in use')
    >>> report.total.typical > report.dynamic.typical
    True

    Args:
        chip: name of the chip.
        samples, steps: inferences, and time steps of each.
        seconds: time of the whole run; ``None`` where unknown.
        cores_used: cores that the network takes; 0 where it was not placed.
        synapses: weights other than zero in the network.
        entries: dynamic energy by place and kind of event, whole run.
        static: static energy of the whole run; ``None`` where unknown.
        missing: what has no figure, and why; it is not in the sums.
        elsewhere: what has its energy in another entry's or in the static energy, and where.
        chips_used: chips that the network takes; all of them are in the sums.
        not_covered: what the model leaves out.
        timing: what decides the time: one of :data:`aspen_hardware.energy.costs.TIMES`.
        first_layer: connections from the input, whose events the input alone decides, not the dial.
        assumed: on what the figures rest, for people to read.
        share: the share of the static energy that falls on the cores in use of a chip that is powered as a whole, were
            it laid on all cores evenly: no battery sees it, and it is in no total.
        cycles: clock cycles of the whole run, on a microcontroller; ``None`` elsewhere.
    """

    chip: str
    samples: int
    steps: int
    seconds: Range | ByScenario | None
    cores_used: int
    synapses: int
    entries: tuple[Entry, ...]
    static: Range | ByScenario | None
    missing: tuple[str, ...]
    not_covered: tuple[str, ...]
    timing: str = "step"
    first_layer: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    share: Range | ByScenario | None = None
    elsewhere: tuple[str, ...] = ()
    chips_used: int = 1
    cycles: Range | None = None

    @property
    def in_use(self) -> str:
        """Cores, and where there are several, chips; of counts by layer no core is known."""
        if not self.cores_used:
            return "not placed" if self.chips_used == 1 else f"not placed, {self.chips_used} chips for its neurons"
        cores = f"{self.cores_used} core{'s' if self.cores_used > 1 else ''}"
        return f"{cores} in use" if self.chips_used == 1 else f"{cores} of {self.chips_used} chips in use"

    @property
    def input_energy(self) -> ByScenario | None:
        """Dynamic energy of the first layer's synapses in the whole run: the same at every setting of a dial."""
        return summed(entry.joules for entry in self.entries if entry.where in self.first_layer)

    @property
    def dynamic(self) -> ByScenario | None:
        """Dynamic energy of the whole run in joules: all events with a figure; ``None`` where no event has one."""
        return summed(entry.joules for entry in self.entries)

    @property
    def total(self) -> ByScenario | None:
        """Dynamic and static energy of the whole run in joules; ``None`` unless both are known."""
        return Parts(self.dynamic, self.static).total

    @property
    def per_inference(self) -> Parts:
        """Mean over the samples, in joules."""
        each, dynamic, static = 1 / self.samples, self.dynamic, self.static
        return Parts(None if dynamic is None else dynamic.times(each), None if static is None else static.times(each))

    @property
    def power(self) -> ByScenario | None:
        """Watts on average, where steps come in real time and the total is known; else ``None``."""
        if self.total is None or self.seconds is None or self.timing == "work":
            return None
        lasting = self.seconds
        return ByScenario(
            {name: each.times(1 / within(lasting, name).typical) for name, each in self.total.of.items()},
            self.total.usual,
        )

    def lasts(self, battery: str) -> Range | None:
        """Seconds that a battery lasts at :attr:`power`; ``None`` where that is unknown.

        Args:
            battery: such as ``225mAh@3V`` or ``2kJ``: what it gives at the chip's pins.

        Raises:
            InputError: it is no charge at a voltage, and no energy.
        """
        joules, watts = parse_battery(battery), self.power
        if watts is None or not watts.low > 0:
            return None
        return Range(joules / watts.high, joules / watts.typical, joules / watts.low)

    def count(self, event: str) -> int:
        """Events of one kind in the whole run."""
        return sum(entry.count for entry in self.entries if entry.event == event)

    @property
    def operations_per_synapse(self) -> float:
        """Synaptic operations per synapse and inference: spiking pays only where this is small."""
        return self.count("synaptic_operation") / max(self.synapses, 1) / self.samples

    def _shown(self) -> Iterator[str | Table]:
        from aspen_hardware.energy.text import shown

        return shown(self)

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw the energy of an inference: total with its parts, and dynamic by kind of event.

        Args:
            path: a ``.png``, ``.pdf`` or ``.svg`` file to write as well.

        Returns:
            the figure, which a notebook shows.

        Raises:
            InputError: the chip has no figure for any event, so that there is nothing to draw, or the suffix is another
                one, or the file cannot be written.
            MissingDependencyError: matplotlib is not installed.
        """
        from aspen_hardware.energy.plot import draw

        return draw(self, path)

    def to_dict(self) -> dict[str, Any]:
        """As plain values that JSON can hold; energies in joules, of the whole run and per inference."""
        whole, each = Parts(self.dynamic, self.static), self.per_inference
        return {
            **asdict(self),
            **{part: _plain(getattr(self, part)) for part in ("seconds", "static", "share", "cycles")},
            "power_w": _plain(self.power),
            "entries": [_plain_entry(entry) for entry in self.entries],
            "whole_run_j": {part: _plain(getattr(whole, part)) for part in ("dynamic", "static", "total")},
            "per_inference_j": {part: _plain(getattr(each, part)) for part in ("dynamic", "static", "total")},
            "operations_per_synapse": self.operations_per_synapse,
        }


def _plain(energy: Range | ByScenario | None) -> dict[str, float] | None:
    return None if energy is None else {"low": energy.low, "typical": energy.typical, "high": energy.high}


def _plain_entry(entry: Entry) -> dict[str, Any]:
    by_scenario = {} if entry.joules is None else {name: asdict(value) for name, value in entry.joules.of.items()}
    return {**asdict(entry), "joules": _plain(entry.joules), "by_scenario": by_scenario, "counts": dict(entry.counts)}
