"""The honest baseline: what an int8 ANN of the network's shape costs on the same 45 nm design.

The ANN has the network's synapses as int8 weights and its neurons as int8 activations, and runs on the design at the
head of ``chips/generic-45nm.toml``: weights in one SRAM, state in another, accesses of 64 bit, of the same sizes in
each scenario. Every synapse with a weight other than zero (in a convolution every edge) is one multiply-accumulate per
evaluation. One fetch of each operand takes::

    weight              1 byte, 1/8 access of the weight SRAM
    activation          1 byte, 1/8 access of the state SRAM
    partial sum         32 bit read and written, 2 x 1/2 access of the state SRAM;
                        and for each target neuron once more, to be read and cleared

What is fetched once and then stays in a register, and what for each multiply-accumulate, is the dataflow (terms of
Chen, Emer and Sze, ISCA 2016)::

    "ideal"             a weight once per evaluation, an activation once per connection, a sum never: each operand
                        moves once, which no dataflow undercuts
    "output-stationary" weight and activation each time, a sum never: target by target
    "weight-stationary" a weight once per evaluation, activation and sum each time
    "input-stationary"  an activation once per connection, weight and sum each time: source by source, as the spiking
                        design must, since its spikes come in no order

``"ideal"`` is the default: a baseline held back would flatter the spikes. A weight of a dense layer is used once per
evaluation, so that only convolutions gain by keeping it.

Besides, whatever the dataflow: inputs and the activations of every neuron that has synapses are written once, 1/8
access of the state SRAM; to get 8 bits again, an int32 multiplication and two additions (bias, comparison with zero)
for every neuron. An int8 multiplication and an int32 addition make a multiply-accumulate. Not counted on either side:
how the input is encoded, the calculation of addresses (an addition for each operation, 0.1 pJ: Lemaire et al., ICONIP
2022), biases, scales, thresholds and decays.

``density`` is the share of a population's activations other than zero. Zeros are then skipped and take nothing: as in a
compressed format, whose indices are left out too. Behind ReLUs about half of them are zero (44 % on average over the
convolutions that Albericio et al., ISCA 2016, looked at).

Energies: M. Horowitz, ISSCC 2014. That memory traffic and data reuse must be in the ANN's account, and that spikes
compete only where there are few per synapse and inference (0.15 to 1.38, for IF neurons, depending on the ANN's
implementation): M. Dampfhoffer et al., IEEE TETCI 7(3), 2023. That the same holds against a quantised ANN (spike rates
below about 6 %): Z. Yan et al., arXiv:2409.08290. The formulas are for this design and taken from neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from operator import add
from types import MappingProxyType
from typing import Any

import numpy as np

from aspen._base.checks import as_integer, as_name, as_number
from aspen._base.names import unknown_name
from aspen._base.tables import Table, Tabled
from aspen.errors import ChipError, InputError
from aspen.network.connections import Connection
from aspen.network.given import as_network
from aspen.network.layered import LayerCounts
from aspen.network.network import Network
from aspen_hardware.chips.description import Chip
from aspen_hardware.chips.description import chip as read_chip
from aspen_hardware.chips.ranges import ByScenario
from aspen_hardware.energy.text import HEAD, row

DESIGN = "generic-45nm"
RELU_DENSITY = 0.5
"""About the share of activations other than zero behind a ReLU; rather too low, which favours the ANN."""


@dataclass(frozen=True)
class Dataflow:
    """Which operands stay in registers: fetched once, not for every multiply-accumulate."""

    weights: bool = False
    activations: bool = False
    sums: bool = False


DATAFLOWS: Mapping[str, Dataflow] = MappingProxyType(
    {
        "ideal": Dataflow(weights=True, activations=True, sums=True),
        "output-stationary": Dataflow(sums=True),
        "weight-stationary": Dataflow(weights=True),
        "input-stationary": Dataflow(activations=True),
    }
)
"""See the head of this module."""

_BUFFERS = {
    "small": ("sram_8kb_64bit_access", "sram_8kb_64bit_access"),
    "middle": ("sram_32kb_64bit_access", "sram_8kb_64bit_access"),
    "large": ("sram_1mb_64bit_access", "sram_32kb_64bit_access"),
}
"""Scenario -> the weights' SRAM and the state's."""
_WEIGHT_BYTES = {"small": 8 * 1024, "middle": 32 * 1024, "large": 1024 * 1024}
_ARITHMETIC = ("multiply_int8", "add_int32", "multiply_int32")
_NEEDED = sorted({*_ARITHMETIC, *(memory for pair in _BUFFERS.values() for memory in pair)})
Density = float | Mapping[str, float]
"""Of all populations, or by name; of those that are not named 1."""


@dataclass(frozen=True)
class AnnPart:
    """One kind of work of the ANN: ``count`` per inference, and its energy per inference in joules."""

    what: str
    count: int
    joules: ByScenario


@dataclass(frozen=True)
class AnnCost(Tabled):
    """Dynamic energy of one inference of the int8 ANN.

    Args:
        chip: whose figures these are.
        frames: evaluations of the ANN for one inference.
        dataflow: a key of :data:`DATAFLOWS`.
        density: population -> share of its activations other than zero, of those where zeros are skipped.
        synapses: weights other than zero, those of a convolution for each place.
        neurons: neurons with synapses; computed, and their activations written, once per evaluation.
        weights: bytes that the weights take in their SRAM, those of a convolution once.
        parts: the energy, by kind of work.
        synaptic_operation: joules of one synaptic operation of a spiking network on the same design.
        host: synapses of a first layer that a host computes where the network spikes
            (:class:`aspen.network.host.HostLayer`); among ``synapses``.
    """

    chip: str
    frames: int
    dataflow: str
    density: Mapping[str, float]
    synapses: int
    neurons: int
    weights: int
    parts: tuple[AnnPart, ...]
    synaptic_operation: ByScenario
    host: int = 0

    @property
    def multiply_accumulates(self) -> int:
        """Per inference; those with an activation of zero are not counted where zeros are skipped."""
        return next(part.count for part in self.parts if part.what == "multiply-accumulates")

    @property
    def energy(self) -> ByScenario:
        """Of one inference in joules, by buffer sizes."""
        return reduce(add, (part.joules for part in self.parts))

    @property
    def how(self) -> str:
        """How often it is evaluated, in which order, and whether zeros are skipped, in words."""
        zeros = ", zeros skipped" if self.density else ""
        return f"{_times(self.frames)} per inference, {self.dataflow}{zeros}"

    def _shown(self) -> Iterator[str | Table]:
        yield f"int8 ANN of the same shape on {self.chip}, {self.how}"
        yield from self.zeros
        if self.host:
            yield f"{self.host:,} synapses of its first layer are a host's where the network spikes, and are free there"
        yield self._fit()
        rows = [(*row(part.what, part.joules), f"{part.count:,}") for part in self.parts if part.count]
        each = [("sum by multiply-accumulate", 1 / n)] if (n := self.multiply_accumulates) else []
        sums = [row(name, self.energy.times(share)) for name, share in [("sum", 1.0), *each]]
        yield Table((*HEAD, "count"), [("per inference",), *rows, *sums])

    @property
    def zeros(self) -> Iterator[str]:
        """What share of the activations is not zero, in words, where zeros are skipped."""
        if self.density:
            shares = ", ".join(f"{share:.0%} of {name}" for name, share in self.density.items())
            yield f"zeros are skipped; not zero: {shares}"

    @property
    def fitting(self) -> tuple[str, ...]:
        """Scenarios whose SRAM has room for the weights; in the others they are taken to have."""
        return tuple(name for name in self.energy.of if self.weights <= _WEIGHT_BYTES[name])

    def _fit(self) -> str:
        return f"{self.weights:,} bytes of weights fit the memory of: {', '.join(self.fitting) or 'no scenario'}"

    def to_dict(self) -> dict[str, Any]:
        """As plain values that JSON can hold; energies in joules per inference."""
        return {
            **asdict(self),
            "density": dict(self.density),
            "parts": [{**asdict(part), "joules": asdict(part.joules.range)} for part in self.parts],
            "synaptic_operation": asdict(self.synaptic_operation.range),
            "multiply_accumulates": self.multiply_accumulates,
            "fitting": list(self.fitting),
            "energy": asdict(self.energy.range),
        }


def ann_baseline(
    network: Network,
    *,
    frames: int = 1,
    chip: Chip | None = None,
    dataflow: str = "ideal",
    density: Density = 1.0,
) -> AnnCost:
    """What an int8 ANN of the network's shape costs for one inference, by the account at the head of this module.

    ``frames=1``: the ANN is evaluated once on what the network sees over all its steps; right where the steps only
    spell out one still input, as in a rate code. Where their order means something (speech, motion), one evaluation of
    this shape cannot do the network's task and is the least an ANN may cost; ``frames=steps`` evaluates it for each
    step anew. A connection with a delay counts once per evaluation too. The ANN's accuracy is not looked at, and inputs
    that exist only because of a spike encoding are inputs of the ANN too.

    >>> from aspen import Dense, Lif, Network, Population
    >>> populations = Population("input", (2,)), Population("output", (2,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", [[1.2, 0.1], [0.1, 1.2]]),))
    >>> ann = ann_baseline(network)
    >>> ann.synapses, f"{ann.energy.typical * 1e12:.1f} pJ"
    (4, '25.3 pJ')

    Args:
        network: whose synapses and neurons are taken.
        frames: evaluations for one inference, 1 or more.
        chip: with the measurements and the synaptic operation of generic-45nm; default: that.
        dataflow: a key of :data:`DATAFLOWS`.
        density: share of the activations other than zero, 0 to 1; of all populations, or by name.

    Raises:
        InputError: something given is not allowed, or all weights are zero.
        ChipError: the chip's file does not have the figures.
    """
    as_network(network)
    frames = as_integer("frames", frames, 1, remedy="give 1, or the number of steps")
    as_name("dataflow", dataflow, list(DATAFLOWS))
    shares = _shares(network, density)
    layers = _layers(network)
    synapses = sum(connection.n_synapses for connection in layers)
    if synapses == 0:
        raise InputError("network: found no weight other than zero, allowed is at least one; train the network first")
    design = read_chip(DESIGN) if chip is None else chip
    counts, host = _counts(network, DATAFLOWS[dataflow], shares), network.input.host
    cost = _cost(
        design,
        counts,
        frames,
        dataflow=dataflow,
        density={name: share for name, share in shares.items() if share < 1},
        synapses=synapses,
        weights=sum(int(np.count_nonzero(connection.weight)) for connection in layers),
    )
    return cost if host is None else replace(cost, host=host.multiply_accumulates)


def ann_of_layers(counts: LayerCounts) -> AnnCost:
    """The same for a model of which only counts by layer are known: evaluated once, every operand moved once.

    Raises:
        InputError: it has no weight other than zero.
    """
    synapses = sum(layer.synapses for layer in counts.synapses)
    if synapses == 0:
        raise InputError("model: found no weight other than zero, allowed is at least one; train the model first")
    neurons = sum(layer.neurons for layer in counts.neurons) + sum(s.targets for s in counts.synapses if s.last)
    each: dict[str, float] = {
        "inputs": counts.inputs,
        "macs": synapses,
        "weights": sum(min(layer.weights, layer.synapses) for layer in counts.synapses),
        "activations": sum(layer.sources for layer in counts.synapses),
        "sums": 0,
        "neurons": neurons,
        "written": neurons,
    }
    stored = sum(layer.weights for layer in counts.synapses)
    return _cost(read_chip(DESIGN), each, 1, dataflow="ideal", density={}, synapses=synapses, weights=stored)


def _cost(
    design: Chip,
    counts: Mapping[str, float],
    frames: int,
    *,
    dataflow: str,
    density: Mapping[str, float],
    synapses: int,
    weights: int,
) -> AnnCost:
    return AnnCost(
        chip=design.name,
        frames=frames,
        dataflow=dataflow,
        density=density,
        synapses=synapses,
        neurons=round(counts["neurons"]),
        weights=weights,
        parts=tuple(_parts(_prices(design), counts, frames)),
        synaptic_operation=design.energies["synaptic_operation"],
    )


def _shares(network: Network, density: Density) -> dict[str, float]:
    """Population, or input of a host's layer -> share of its activations other than zero."""
    names = list(dict.fromkeys([given_to(network), *network.names]))
    given = density if isinstance(density, Mapping) else dict.fromkeys(names, density)
    for name in given:
        if name not in names:
            raise InputError(unknown_name("density", name, names))
    shares = {name: as_number(f"density of {name}", share, 0, 1) for name, share in given.items()}
    return {name: shares.get(name, 1.0) for name in names}


def given_to(network: Network) -> str:
    """What the ANN is given: the network's input or, where a host computes the first layer, that layer's."""
    host = network.input.host
    return network.input.name if host is None else host.connection.source


def _layers(network: Network) -> list[Connection]:
    """All that an ANN computes: the connections, and a first layer that is a host's where the network spikes."""
    host = network.input.host
    return [*network.summed, *([] if host is None else [host.connection])]


def _counts(network: Network, flow: Dataflow, shares: Mapping[str, float]) -> dict[str, float]:
    """How often an evaluation does what, in means where zeros are skipped."""
    layers, given = _layers(network), given_to(network)
    each = [_of_connection(connection, flow, shares[connection.source]) for connection in layers]
    targets = {connection.target for connection in layers}
    computed = [name for name in network.order if name in targets]
    neurons = sum(network[name].size for name in computed)
    return {
        "inputs": 0 if given in computed else _read(layers, given) * shares[given],
        **{what: sum(counts[what] for counts in each) for what in ("macs", "weights", "activations")},
        "sums": sum(counts["sums"] for counts in each) + (0 if flow.sums else neurons),
        "neurons": neurons,
        "written": sum(network[name].size * shares[name] for name in computed),
    }


def _read(layers: Sequence[Connection], population: str) -> int:
    """Neurons of a population that some connection reads."""
    fan_out = sum(connection.fan_out() for connection in layers if connection.source == population)
    return int(np.count_nonzero(fan_out))


def _of_connection(connection: Connection, flow: Dataflow, share: float) -> dict[str, float]:
    """Multiply-accumulates, and fetches of weights, activations and sums."""
    macs = connection.n_synapses * share
    stored, sources = np.count_nonzero(connection.weight), np.count_nonzero(connection.fan_out())
    return {
        "macs": macs,
        "weights": min(int(stored), macs) if flow.weights else macs,
        "activations": int(sources) * share if flow.activations else macs,
        "sums": 0 if flow.sums else macs,
    }


def _prices(chip: Chip) -> dict[str, ByScenario]:
    """Joules of the arithmetic, and of one 64-bit access of the two memories, by scenario."""
    figures = {key: figure.si for key, figure in chip.section("measurements").items()}
    missing = [f"measurements.{key}" for key in _NEEDED if key not in figures]
    missing += [] if "synaptic_operation" in chip.energies else ["energies.synaptic_operation"]
    missing += [f"scenario {name} among {', '.join(_BUFFERS)}" for name in chip.scenarios if name not in _BUFFERS]
    if missing:
        raise ChipError(
            f"{chip.name}: found no {', '.join(missing)}, allowed is a chip with the figures of {DESIGN}; "
            f"leave the chip out, or add them to your file"
        )

    def priced(keys: Mapping[str, str]) -> ByScenario:
        return ByScenario({name: figures[key] for name, key in keys.items()}, chip.usual)

    return {
        **{key: priced(dict.fromkeys(chip.scenarios, key)) for key in _ARITHMETIC},
        "weight": priced({name: _BUFFERS[name][0] for name in chip.scenarios}),
        "state": priced({name: _BUFFERS[name][1] for name in chip.scenarios}),
    }


def _parts(prices: Mapping[str, ByScenario], counts: Mapping[str, float], frames: int) -> Iterator[AnnPart]:
    """The table of accesses and arithmetic at the head of this module."""
    byte, word = 1 / 8, 1 / 2
    accumulate = prices["multiply_int8"] + prices["add_int32"]
    requantise = prices["multiply_int32"] + prices["add_int32"].times(2)
    for what, count, each in (
        ("inputs written", counts["inputs"], prices["state"].times(byte)),
        ("multiply-accumulates", counts["macs"], accumulate),
        ("weights fetched", counts["weights"], prices["weight"].times(byte)),
        ("activations read", counts["activations"], prices["state"].times(byte)),
        ("partial sums read and written", counts["sums"], prices["state"].times(2 * word)),
        ("sums brought to 8 bits", counts["neurons"], requantise),
        ("activations written", counts["written"], prices["state"].times(byte)),
    ):
        whole = round(count * frames)
        yield AnnPart(what, whole, each.times(whole))


def _times(frames: int) -> str:
    return "once" if frames == 1 else f"{frames} times"
