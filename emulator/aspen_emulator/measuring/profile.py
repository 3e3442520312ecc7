"""What a snnTorch model does on some input, and what that costs: the profile itself, as table and plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aspen._base.arrays import Rebuilt
from aspen._base.tables import Table, Tabled
from aspen.network.layered import LayerCounts
from aspen.units import format_energy
from aspen_hardware.energy.baseline import AnnCost
from aspen_hardware.energy.costs import WORDS
from aspen_hardware.energy.report import EnergyReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from aspen_hardware.chips.ranges import ByScenario, Range


@dataclass(frozen=True, eq=False)
class Profile(Rebuilt, Tabled):
    """What :func:`aspen_emulator.profile` found.

    >>> import torch
    >>> from aspen.models import DenseNet
    >>> from aspen_emulator import profile
    >>> report = profile(DenseNet((64, 32, 10)), torch.ones(5, 1, 64), chips=["loihi1"])
    >>> report.counts.updates, [*report.energy]  # of 32 + 10 neurons in 5 steps
    (210, ['loihi1'])

    Args:
        model: name of its class.
        counts: by layer, of all steps and samples.
        exact: whether they are those of the exported network, event by event; otherwise they are of PyTorch's layers.
        why: why the model was not counted as a network, empty where it was.
        notes: what is not counted, or not exactly; of a model that was exported, what the export says of it.
        energy: chip -> what the run costs there.
        unpriced: chip -> why it has no price of this run.
        ann: an int8 ANN of the same shape; ``None`` where all weights are zero.
        neurobench: the metrics of NeuroBench, by their names, from PyTorch's layers.
    """

    model: str
    counts: LayerCounts
    exact: bool
    why: str
    notes: tuple[str, ...]
    energy: Mapping[str, EnergyReport]
    unpriced: Mapping[str, str]
    ann: AnnCost | None
    neurobench: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._close("energy", "unpriced", "neurobench")

    @property
    def dead(self) -> tuple[str, ...]:
        """Layers of which no neuron fired on this input."""
        return tuple(layer.name for layer in self.counts.neurons if layer.dead == layer.neurons)

    @property
    def saturated(self) -> tuple[str, ...]:
        """Layers all of whose neurons fired at every step of every sample."""
        return tuple(layer.name for layer in self.counts.neurons if layer.saturated == layer.neurons)

    def _shown(self) -> Iterator[str | Table]:
        counted = "as the exported network runs" if self.exact else "as PyTorch runs it, layer by layer"
        samples = "1 sample" if self.counts.samples == 1 else f"{self.counts.samples} samples"
        yield f"Profile of {self.model}: {samples} of {self.counts.steps} steps, counted {counted}"
        yield self._neuron_table()
        yield self._synapse_table()
        if self.energy or self.ann:
            yield self._energy_table()
        yield from self._remarks()

    def _mean(self, count: int) -> str:
        return f"{count / self.counts.samples:,.1f}"

    def _neuron_table(self) -> Table:
        rows = [
            (
                layer.name, f"{layer.neurons:,}", self._mean(layer.spikes), f"{layer.rate:.1%}",
                self._mean(layer.updates), self._mean(layer.active), f"{layer.dead:,}", f"{layer.saturated:,}",
            )
            for layer in self.counts.neurons
        ]  # fmt: skip
        head = ("neurons, per inference", "neurons", "spikes", "rate", "updates", "active", "dead", "saturated")
        return Table(head, rows)

    def _synapse_table(self) -> Table:
        rows = [
            (
                layer.name, f"{layer.synapses:,}", self._mean(layer.operations),
                self._mean(layer.multiply_accumulates),
            )
            for layer in self.counts.synapses
        ]  # fmt: skip
        head = ("synapses, per inference", "synapses", "synaptic operations", "multiply-accumulates")
        return Table(head, rows)

    def _energy_table(self) -> Table:
        head = ("energy per inference", "total", "low to high", "static", "dynamic", "low to high")
        rows = [self._energy_row(name, report) for name, report in self.energy.items()]
        if self.ann is not None:
            rows.append((f"int8 ANN, {self.ann.chip}", "-", "", "-", *_both(self.ann.energy)))
        return Table(head, rows)

    def _energy_row(self, name: str, report: EnergyReport) -> tuple[str, ...]:
        parts = report.per_inference
        return (name, *_both(parts.total), _both(parts.static)[0], *_both(parts.dynamic))

    def _remarks(self) -> Iterator[str]:
        if self.energy:
            known = next(
                (name for name, each in self.energy.items() if each.total is not None), next(iter(self.energy))
            )
            yield f"total is what a battery sees; print(report.energy[{known!r}]) has its parts"
            if any(report.cycles is not None and report.timing == "work" for report in self.energy.values()):
                yield "microcontrollers as fast as their work allows, without sleep, which step_time= counts"
            yield f"counts in floating point, priced {'as if placed' if self.exact else 'without a place'} on each chip"
        yield from (f"{name}: no neuron fired on this input" for name in self.dead)
        yield from (f"{name}: every neuron fired at every step" for name in self.saturated)
        if self.why:
            yield f"not counted as a network: {self.why}"
        yield from self.notes
        for name, report in self.energy.items():
            left_out = _left_out(report)
            if left_out:
                yield f"without a figure on {name}, and in no sum: {left_out}"
        yield from (f"no price: {why if name in why else f'{name}: {why}'}" for name, why in self.unpriced.items())

    def to_dict(self) -> dict[str, Any]:
        """As plain values that JSON can hold; counts of the whole run, energies in joules."""
        return {
            "model": self.model,
            "exact": self.exact,
            "why": self.why,
            "notes": list(self.notes),
            "counts": {
                **asdict(self.counts),
                "spikes": self.counts.spikes,
                "synaptic_operations": self.counts.operations,
                "multiply_accumulates": self.counts.multiply_accumulates,
                "updates": self.counts.updates,
            },
            "dead": list(self.dead),
            "saturated": list(self.saturated),
            "energy": {name: report.to_dict() for name, report in self.energy.items()},
            "unpriced": dict(self.unpriced),
            "ann": None if self.ann is None else self.ann.to_dict(),
            "neurobench": dict(self.neurobench),
        }

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw rates, operations by layer, and energy by chip.

        Args:
            path: a ``.png``, ``.pdf`` or ``.svg`` file; ``None``: no file is written.

        Raises:
            InputError: the suffix is another one, or the file cannot be written.
            MissingDependencyError: matplotlib is not installed.
        """
        from aspen_emulator.measuring.profile_plot import draw

        return draw(self, path)


def _left_out(report: EnergyReport) -> str:
    """Kinds of event that happened and have no figure in some scenario."""
    events = dict.fromkeys(entry.event for entry in report.entries if entry.count and entry.unpriced)
    return ", ".join(f"{report.count(event) / report.samples:,.1f} {WORDS[event]}" for event in events)


def _both(energy: ByScenario | Range | None) -> tuple[str, str]:
    """Typical, and the range where there is one."""
    if energy is None:
        return "unknown", ""
    low, high = format_energy(energy.low), format_energy(energy.high)
    return format_energy(energy.typical), "" if low == high else f"{low} to {high}"
