"""The honest baseline: an int8 ANN of the network's shape on the same 45 nm design, and where spikes break even.

The ANN has the network's synapses as int8 weights and its neurons as int8 activations. Every synapse with a weight
other than zero (in a convolution every edge) is one multiply-accumulate per evaluation, whatever its input: no credit
for activations of zero, and none for weights that a convolution could keep. It runs on the design at the head of
``chips/generic-45nm.toml``: weights in one SRAM, state in another, accesses of 64 bit. What is accessed how often::

    weight              1 byte, 1/8 access of the weight SRAM, for every multiply-accumulate
    partial_sums="register": target by target, so that each 32-bit sum stays in a register
        activation      1 byte, 1/8 access of the state SRAM, for every multiply-accumulate
        partial sum     none
    partial_sums="memory": source by source, as the spiking design must, since its spikes come in no order
        activation      1 byte, 1/8 access, once for every source neuron of a connection, for all its synapses
        partial sum     32 bit read and written, 2 x 1/2 access, for every multiply-accumulate;
                        read and cleared, 2 x 1/2 access, once for every target neuron
    activation out      1 byte, 1/8 access of the state SRAM, once for every neuron that has synapses

Arithmetic: an int8 multiplication and an int32 addition for each multiply-accumulate; to get 8 bits again an int32
multiplication and two additions (bias, comparison with zero) for every neuron. Biases and scales are not fetched, as
the design's neuron update fetches no threshold and no decay. Buffers: typical weights in 32 KB and state in 8 KB, low
both in 8 KB, high 1 MB and 32 KB: the same as in the chip file's energies of spiking.

``"register"`` is the ANN at its best on this design and the default: a baseline held back would flatter the spikes.

Sources: energies from M. Horowitz, ISSCC 2014. That memory traffic and data reuse must be in the ANN's account, and
that spikes compete only where there are few per synapse and inference (0.15 to 1.38, for IF neurons, depending on the
ANN's implementation): M. Dampfhoffer et al., IEEE TETCI 7(3), 2023. That the same holds against a quantised ANN (spike
rates below about 6 %): Z. Yan et al., arXiv:2409.08290. The formulas are for this design and taken from neither.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from aspen._names import unknown_name
from aspen._targets import as_network
from aspen.control.units import format_energy
from aspen.errors import ChipError, InputError
from aspen.network import Network
from aspen.record import Record
from aspen_hardware.chips import Chip
from aspen_hardware.chips import chip as read_chip
from aspen_hardware.energy import EnergyReport, energy_model
from aspen_hardware.ranges import NOTHING, Range

PARTIAL_SUMS = ("register", "memory")
"""Where the ANN's partial sums are while they grow; see the head of this module."""
DESIGN = "generic-45nm"
_WEIGHT_SRAM = ("sram_8kb_64bit_access", "sram_32kb_64bit_access", "sram_1mb_64bit_access")
_STATE_SRAM = ("sram_8kb_64bit_access", "sram_8kb_64bit_access", "sram_32kb_64bit_access")
_ARITHMETIC = ("multiply_int8", "add_int32", "multiply_int32")
_NEEDED = sorted({*_WEIGHT_SRAM, *_STATE_SRAM, *_ARITHMETIC})


@dataclass(frozen=True)
class AnnPart:
    """One kind of work of the ANN: ``count`` per inference, and its energy per inference in joules."""

    what: str
    count: int
    joules: Range


@dataclass(frozen=True)
class AnnCost:
    """Dynamic energy of one inference of the int8 ANN.

    Args:
        chip: whose figures these are.
        frames: evaluations of the ANN for one inference.
        partial_sums: one of :data:`PARTIAL_SUMS`.
        synapses: weights other than zero.
        neurons: neurons with synapses; computed, and their activations written, once per evaluation.
        parts: the energy, by kind of work.
        synaptic_operation: joules of one synaptic operation of a spiking network on the same design.
    """

    chip: str
    frames: int
    partial_sums: str
    synapses: int
    neurons: int
    parts: tuple[AnnPart, ...]
    synaptic_operation: Range

    @property
    def multiply_accumulates(self) -> int:
        """Per inference."""
        return self.synapses * self.frames

    @property
    def energy(self) -> Range:
        """Of one inference in joules, by buffer sizes."""
        return reduce(add, (part.joules for part in self.parts))

    def __str__(self) -> str:
        head = (
            f"int8 ANN of the same shape on {self.chip}, {_times(self.frames)} per inference, partial sums in "
            f"{'a register' if self.partial_sums == 'register' else 'memory'}"
        )
        lines = [head, f"{'per inference':<42}{'typical':>12}{'low':>12}{'high':>12}{'count':>16}"]
        lines += [_row(part.what, part.joules) + f"{part.count:>16,}" for part in self.parts if part.count]
        each = self.energy.times(1 / self.multiply_accumulates)
        return "\n".join([*lines, _row("sum", self.energy), _row("sum by multiply-accumulate", each)])

    def to_dict(self) -> dict[str, Any]:
        """As plain values that JSON can hold; energies in joules per inference."""
        return {
            **asdict(self),
            "multiply_accumulates": self.multiply_accumulates,
            "energy": asdict(self.energy),
        }


def ann_baseline(
    network: Network, *, frames: int = 1, chip: Chip | None = None, partial_sums: str = "register"
) -> AnnCost:
    """What an int8 ANN of the network's shape costs for one inference, by the account at the head of this module.

    ``frames=1``: the ANN is evaluated once on what the network sees over all its steps; right where the steps only
    spell out one still input, as in a rate code. Where their order means something (speech, motion), one evaluation of
    this shape cannot do the network's task and is the least an ANN may cost; ``frames=steps`` evaluates it for each
    step anew. A connection with a delay counts once per evaluation too. The ANN's accuracy is not looked at, and inputs
    that exist only because of a spike encoding are inputs of the ANN too.

    Args:
        network: whose synapses and neurons are taken.
        frames: evaluations for one inference, 1 or more.
        chip: with the measurements and the synaptic operation of generic-45nm; default: that.
        partial_sums: one of :data:`PARTIAL_SUMS`.

    Raises:
        InputError: frames or partial_sums are not allowed, or all weights are zero.
        ChipError: the chip's file does not have the figures.
    """
    as_network(network)
    if isinstance(frames, bool) or not isinstance(frames, int | np.integer) or frames < 1:
        raise InputError(f"frames: found {frames!r}, allowed are whole numbers from 1; give 1, or the number of steps")
    if partial_sums not in PARTIAL_SUMS:
        raise InputError(unknown_name("partial_sums", partial_sums, PARTIAL_SUMS))
    synapses = network.n_synapses
    if synapses == 0:
        raise InputError("network: found no weight other than zero, allowed is at least one; train the network first")
    design = read_chip(DESIGN) if chip is None else chip
    neurons = sum(network[name].size for name in network.order if network.incoming(name))
    sources = sum(int(np.count_nonzero(connection.fan_out())) for connection in network.connections)
    return AnnCost(
        chip=design.name,
        frames=int(frames),
        partial_sums=partial_sums,
        synapses=synapses,
        neurons=neurons,
        parts=_parts(_prices(design), int(frames), synapses, neurons, sources, partial_sums == "register"),
        synaptic_operation=design.energies["synaptic_operation"].range,
    )


def _prices(chip: Chip) -> dict[str, Range]:
    """Joules of the arithmetic, and of one 64-bit access of the two memories by their sizes."""
    figures = {key: figure.si for key, figure in chip.section("measurements").items()}
    missing = [f"measurements.{key}" for key in _NEEDED if key not in figures]
    missing += [] if "synaptic_operation" in chip.energies else ["energies.synaptic_operation"]
    if missing:
        raise ChipError(
            f"{chip.name}: found no {', '.join(missing)}, allowed is a chip with the figures of {DESIGN}; "
            f"leave the chip out, or add them to your file"
        )
    prices = {key: figures[key] for key in _ARITHMETIC}
    for memory, sizes in (("weight", _WEIGHT_SRAM), ("state", _STATE_SRAM)):
        low, typical, high = (figures[key] for key in sizes)
        prices[memory] = Range(low.low, typical.typical, high.high)
    return prices


def _parts(
    prices: dict[str, Range], frames: int, synapses: int, neurons: int, sources: int, register: bool
) -> tuple[AnnPart, ...]:
    """The table of accesses and arithmetic at the head of this module."""
    byte, word = 1 / 8, 1 / 2
    accumulate = prices["multiply_int8"] + prices["add_int32"]
    requantise = prices["multiply_int32"] + prices["add_int32"].times(2)
    summed = synapses + neurons
    rows = (
        ("multiply-accumulates", synapses, accumulate),
        ("weights fetched", synapses, prices["weight"].times(byte)),
        ("activations read", synapses if register else sources, prices["state"].times(byte)),
        ("partial sums read and written", 0 if register else summed, prices["state"].times(2 * word)),
        ("sums brought to 8 bits", neurons, requantise),
        ("activations written", neurons, prices["state"].times(byte)),
    )
    return tuple(AnnPart(what, count * frames, each.times(count * frames)) for what, count, each in rows)


@dataclass(frozen=True)
class BreakEven:
    """A spiking run beside the ANN, both on the same design, dynamic energy per inference in joules.

    Low and high of ``rate`` and ``ratio`` compare like with like: both networks with the same buffers.

    Args:
        ann: the baseline.
        steps, samples: of the run.
        synapses: joules of the run's synaptic operations.
        others: joules of its neuron updates, and of analog input's multiply-accumulates where it has them.
        operations_per_synapse: the run's synaptic operations per synapse and inference.
        rate: operations per synapse and inference at which the spiking network, its neuron updates as in the run,
            costs what the ANN costs; 0 where the neuron updates alone cost as much or more.
        ratio: energy of the spiking network / energy of the ANN.
        missing: what the run's energy lacks.
    """

    ann: AnnCost
    steps: int
    samples: int
    synapses: Range
    others: Range
    operations_per_synapse: float
    rate: Range
    ratio: Range
    missing: tuple[str, ...]

    @property
    def spiking(self) -> Range:
        """Joules of the spiking network per inference."""
        return self.synapses + self.others

    def __str__(self) -> str:
        none = "none, as it costs more than the ANN without any synaptic operation"
        even = _three(self.rate) if self.rate.high > 0 else none
        lines = [
            str(self.ann),
            f"spiking network on {self.ann.chip}: {self.steps} steps, mean of {self.samples} samples",
            _row("synaptic operations", self.synapses),
            _row("neuron updates and analog input", self.others),
            _row("sum", self.spiking),
            f"spiking / ANN: {_three(self.ratio)}",
            f"synaptic operations per synapse and inference: {self.operations_per_synapse:.3g}; break-even: {even}",
        ]
        return "\n".join([*lines, *(f"no figure for {text}" for text in self.missing)])

    def to_dict(self) -> dict[str, Any]:
        """As plain values that JSON can hold; energies in joules per inference."""
        return {**asdict(self), "ann": self.ann.to_dict(), "spiking": asdict(self.spiking)}


def break_even(network: Network, run: Record | EnergyReport, ann: AnnCost) -> BreakEven:
    """Where spikes would pay on the same design: ``rate = (E_ann - E_others) / (synapses * e_synaptic_operation)``.

    ``E_others`` are the run's neuron updates over all its steps (and an analog input's multiply-accumulates): what the
    network spends however few of its synapses are reached. At another rate other updates would be active, which is not
    followed (an inactive one costs some 30 % less).

    Args:
        network: what ran.
        run: its record, or the energy report of its run on the baseline's chip.
        ann: of the same network, see :func:`ann_baseline`.

    Raises:
        InputError: the run or the baseline is of another network or another chip.
    """
    as_network(network)
    report = _report(run, ann)
    updates = report.count("neuron_update_active") + report.count("neuron_update_inactive")
    found = (report.synapses, updates, ann.synapses)
    wanted = (network.n_synapses, network.n_neurons * report.steps * report.samples, network.n_synapses)
    if report.chip != ann.chip or found != wanted:
        raise InputError(
            f"run on {report.chip} and baseline on {ann.chip}: found synapses of the run, neuron updates and synapses "
            f"of the baseline {found}, allowed are {wanted} on one chip; give a run and a baseline of this network"
        )
    each = 1 / report.samples
    parts = {True: NOTHING, False: NOTHING}
    for entry in report.entries:
        if entry.joules is not None:
            parts[entry.event == "synaptic_operation"] += entry.joules.range
    synapses, others = parts[True].times(each), parts[False].times(each)
    one_each = ann.synaptic_operation.times(ann.synapses)
    return BreakEven(
        ann=ann,
        steps=report.steps,
        samples=report.samples,
        synapses=synapses,
        others=others,
        operations_per_synapse=report.operations_per_synapse,
        rate=_by_size(lambda a, o, s: max(a - o, 0.0) / s, ann.energy, others, one_each),
        ratio=_by_size(lambda s, a: s / a, synapses + others, ann.energy),
        missing=report.missing,
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


def _by_size(function: Callable[..., float], *ranges: Range) -> Range:
    """The function of the ranges' values at the same buffer sizes; low and high are its own lowest and highest."""
    low, typical, high = (function(*(getattr(r, size) for r in ranges)) for size in ("low", "typical", "high"))
    return Range(min(low, typical, high), typical, max(low, typical, high))


def _times(frames: int) -> str:
    return "once" if frames == 1 else f"{frames} times"


def _three(numbers: Range) -> str:
    return f"{numbers.typical:.3g} ({numbers.low:.3g} to {numbers.high:.3g})"


def _row(name: str, energy: Range) -> str:
    values = "".join(f"{format_energy(x):>12}" for x in (energy.typical, energy.low, energy.high))
    return f"  {name:<40}{values}"
