"""Where spikes break even: a spiking run beside the int8 ANN of its shape, on the same 45 nm design."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from aspen._base.tables import Table, Tabled
from aspen.errors import InputError
from aspen.network.given import as_network
from aspen.network.network import Network
from aspen.network.record import Record
from aspen_hardware.chips.description import chip as read_chip
from aspen_hardware.chips.ranges import ByScenario, Range
from aspen_hardware.energy.baseline import DESIGN, AnnCost
from aspen_hardware.energy.costs import summed
from aspen_hardware.energy.model import energy_model
from aspen_hardware.energy.report import EnergyReport, Entry
from aspen_hardware.energy.text import HEAD, row

BY_SPIKES = ("synaptic_operation", "spike", "spike_packet", "hop_east_west", "hop_north_south")
"""Kinds of event that there are as many of as spikes."""


@dataclass(frozen=True)
class BreakEven(Tabled):
    """A spiking run beside the ANN, both on the same design, dynamic energy per inference in joules.

    ``rate`` and ``ratio`` compare like with like: in each scenario both networks have the same buffers.

    Args:
        ann: the baseline.
        steps, samples: of the run.
        synapses: joules of the run's synaptic operations.
        events: joules of what else its spikes cost: into the event queue and out of it, once for each population that
            they reach, the input's spikes too.
        others: joules of its neuron updates, and of analog input's multiply-accumulates where it has them.
        operations_per_synapse: the run's synaptic operations per synapse and inference.
        rate: operations per synapse and inference at which the spiking network, its neuron updates as in the run,
            costs what the ANN costs; 0 where the neuron updates alone cost as much or more.
        ratio: energy of the spiking network / energy of the ANN.
        missing: what the run's dynamic energy lacks; static energy and time are on neither side.
    """

    ann: AnnCost
    steps: int
    samples: int
    synapses: ByScenario
    events: ByScenario
    others: ByScenario
    operations_per_synapse: float
    rate: ByScenario
    ratio: ByScenario
    missing: tuple[str, ...]

    @property
    def spiking(self) -> ByScenario:
        """Joules of the spiking network per inference."""
        return self.synapses + self.events + self.others

    def _shown(self) -> Iterator[str | Table]:
        yield from self.ann._shown()
        yield from self._spending()
        yield f"spiking / ANN: {_three(self.ratio)}"
        each = f"synaptic operations per synapse and inference: {self.operations_per_synapse:.3g}"
        yield f"{each}; break-even: {self._even}"
        yield from (f"no figure for {text}" for text in self.missing)

    def _spending(self) -> Iterator[str | Table]:
        """What the spiking network spends."""
        yield f"spiking network on {self.ann.chip}: {self.steps} steps, mean of {self.samples} samples"
        parts = {
            "synaptic operations": self.synapses,
            "spikes through the event queue": self.events,
            "neuron updates and analog input": self.others,
            "sum": self.spiking,
        }
        yield Table(HEAD, [("per inference",), *(row(name, energy) for name, energy in parts.items())])

    @property
    def _even(self) -> str:
        return _three(self.rate) if self.rate.high > 0 else "none, as it costs more than the ANN without any spike"

    def to_dict(self) -> dict[str, Any]:
        """As plain values that JSON can hold; energies in joules per inference."""
        energies = ("synapses", "events", "others", "rate", "ratio", "spiking")
        return {
            **asdict(self),
            "ann": self.ann.to_dict(),
            **{name: asdict(getattr(self, name).range) for name in energies},
        }


@dataclass(frozen=True)
class Rivals(Tabled):
    """One spiking run beside several ANNs of its shape, on one design: each figure once.

    Args:
        all: the run beside each of them; one at least.
    """

    all: tuple[BreakEven, ...]

    def _shown(self) -> Iterator[str | Table]:
        first = self.all[0]
        yield from first.ann._shown()
        yield from first._spending()
        head = ("int8 ANN", *HEAD[1:], "spiking / ANN", "break-even")
        rows = [(*row(r.ann.how, r.ann.energy), _three(r.ratio), _three(r.rate)) for r in self.all]
        yield Table(head, rows)
        yield (
            f"break-even: synaptic operations per synapse and inference at which both cost the same, 0 where the "
            f"spiking network costs more without any spike; this run has {first.operations_per_synapse:.3g}"
        )
        yield from (line for rival in self.all for line in rival.ann.zeros)
        yield from (f"no figure for {text}" for text in first.missing)


def break_even(network: Network, run: Record | EnergyReport, ann: AnnCost) -> BreakEven:
    """Where spikes would pay on the same design: ``rate = (E_ann - E_others) / (E_spikes / operations)``.

    ``E_others`` are the run's neuron updates over all its steps (and an analog input's multiply-accumulates): what the
    network spends however few spikes there are. ``E_spikes / operations`` is what a synaptic operation costs with its
    part of the spike's way through the event queue, at the run's mean fan-out. At another rate other updates would be
    active, which is not followed (an inactive one costs some 30 % less).

    >>> import numpy as np
    >>> from aspen import Dense, Lif, Network, Population
    >>> from aspen_emulator import run
    >>> from aspen_hardware import ann_baseline
    >>> populations = Population("input", (2,)), Population("output", (2,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", [[1.2, 0.1], [0.1, 1.2]]),))
    >>> record = run(network, np.ones((8, 1, 2), np.uint8))  # 8 steps, 1 sample: every input spikes at every step
    >>> even = break_even(network, record, ann_baseline(network))
    >>> f"{even.ratio.typical:.0f} times the ANN's energy, at {even.operations_per_synapse:.0f} operations per synapse"
    "42 times the ANN's energy, at 8 operations per synapse"

    Args:
        network: what ran.
        run: its record, or the energy report of its run on the baseline's chip.
        ann: of the same network, see :func:`aspen_hardware.energy.baseline.ann_baseline`.

    Raises:
        InputError: the run or the baseline is of another network or another chip.
    """
    as_network(network)
    report = _report(run, ann)
    _check_alike(network, report, ann)
    each = 1 / report.samples

    def joules(wanted: Callable[[Entry], bool]) -> ByScenario:
        nothing = ann.synaptic_operation.times(0)
        return (summed(entry.joules for entry in report.entries if wanted(entry)) or nothing).times(each)

    synapses = joules(lambda entry: entry.event == "synaptic_operation")
    events = joules(lambda entry: entry.event in BY_SPIKES and entry.event != "synaptic_operation")
    others = joules(lambda entry: entry.event not in BY_SPIKES)
    operations = report.count("synaptic_operation") * each
    one = (synapses + events).times(1 / operations) if operations else ann.synaptic_operation
    return BreakEven(
        ann=ann,
        steps=report.steps,
        samples=report.samples,
        synapses=synapses,
        events=events,
        others=others,
        operations_per_synapse=report.operations_per_synapse,
        rate=_like_with_like(
            lambda a, o, s: max(a - o, 0.0) / s, ann.energy, others, one.times(ann.synapses - ann.host)
        ),
        ratio=_like_with_like(lambda s, a: s / a, synapses + events + others, ann.energy),
        missing=tuple(text for text in report.missing if not text.startswith(("static energy: ", "time: "))),
    )


def _check_alike(network: Network, report: EnergyReport, ann: AnnCost) -> None:
    updates = report.count("neuron_update_active") + report.count("neuron_update_inactive")
    found = (report.synapses, updates, ann.synapses - ann.host)
    wanted = (network.n_synapses, network.n_neurons * report.steps * report.samples, network.n_synapses)
    if report.chip != ann.chip or found != wanted:
        raise InputError(
            f"run on {report.chip} and baseline on {ann.chip}: found synapses of the run, neuron updates and synapses "
            f"of the baseline {found}, allowed are {wanted} on one chip; give a run and a baseline of this network"
        )


def _report(run: Record | EnergyReport, ann: AnnCost) -> EnergyReport:
    if isinstance(run, EnergyReport):
        return run
    if ann.chip != DESIGN:
        raise InputError(
            f"run: found a record beside a baseline on {ann.chip}, allowed is an energy report; "
            f"give energy_model(record, chip)"
        )
    return energy_model(run, read_chip(DESIGN))


def _like_with_like(function: Callable[..., float], *quantities: ByScenario) -> ByScenario:
    """The function of what the quantities are in one scenario, for each scenario."""
    found = {}
    for name in quantities[0].of:
        values = [
            function(*(getattr(quantity.of[name], bound) for quantity in quantities))
            for bound in ("low", "typical", "high")
        ]
        found[name] = Range(min(values), values[1], max(values))
    return ByScenario(found, quantities[0].usual)


def _three(numbers: ByScenario) -> str:
    return f"{numbers.typical:.3g} ({numbers.low:.3g} to {numbers.high:.3g})"
