"""Clock cycles of a time step on a chip that works a network off neuron by neuron, as SynSense's Xylo does.

The model is Rockpool's (``rockpool.devices.xylo.syns63300.cycles_model``), its figures are those of the chip's file
(``[cycles]``). In every step the chip goes

- over its input channels: ``input_channel`` each, and for one that has events (how many does not matter)
  ``input_synapse`` for every hidden neuron that any input reaches: the weights of the input are a full matrix;
- over its hidden neurons, for what spiked in the step before: ``hidden_visit`` each, and for one that spiked
  ``hidden_synapse`` for every recurrent synapse (these are stored sparsely), and where it reaches an output
  ``output_source`` and for every output ``output_synapse``;
- over its hidden neurons again, to update them: ``hidden_neuron`` each, ``spike`` and ``spike_check`` for one that
  spikes, ``alias_source`` and ``alias_target`` for one whose spikes are also those of another neuron;
- over its outputs: ``output_neuron`` each, whether they spike or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from aspen.errors import ChipError, InputError
from aspen.network.network import Network
from aspen.network.record import Record
from aspen.units import format_duration
from aspen_hardware.chips.description import Chip

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class Shape:
    """What of a network decides how many cycles a step takes.

    Args:
        inputs, hidden, outputs: input channels, hidden and output neurons.
        input_targets: hidden neurons that any input reaches.
        synapses: weights other than zero among the hidden neurons.
        output_sources: hidden neurons that reach any output.
        aliases: hidden neurons whose spikes are also those of another one, as Rockpool maps residual blocks; networks
            of ASPEN have none.
    """

    inputs: int
    hidden: int
    outputs: int
    input_targets: int
    synapses: int
    output_sources: int
    aliases: int = 0


def step_cycles(shape: Shape, cycles: Mapping[str, float], inputs: float = 1.0, hidden: float = 1.0) -> float:
    """Mean cycles of a time step.

    Args:
        shape: of the network.
        cycles: the chip's figures, by the names at the top of this module.
        inputs: probability that an input channel has events in a step.
        hidden: probability that a hidden neuron spikes in a step. Both at 1 give the longest step that there can be.

    Raises:
        InputError: a probability is not within 0 and 1.
    """
    for name, probability in (("inputs", inputs), ("hidden", hidden)):
        if not 0 <= probability <= 1:
            raise InputError(f"{name}: found {probability}, allowed are 0 to 1; give the probability of a spike")
    channel = cycles["input_channel"] + inputs * shape.input_targets * cycles["input_synapse"]
    delivery = cycles["hidden_visit"] + hidden * shape.synapses / shape.hidden * cycles["hidden_synapse"]
    reading = hidden * (cycles["output_source"] + shape.outputs * cycles["output_synapse"])
    update = cycles["hidden_neuron"] + _spiking(hidden, shape.aliases / shape.hidden, cycles)
    return (
        shape.inputs * channel
        + shape.hidden * (delivery + update)
        + shape.output_sources * reading
        + shape.outputs * cycles["output_neuron"]
    )


def _spiking(spiking: float, aliased: float, cycles: Mapping[str, float]) -> float:
    """Cycles that spikes add to the update of a hidden neuron; ``aliased``: the share of neurons with an alias."""
    return (
        max(spiking, aliased**2) * cycles["spike_check"]
        + spiking * cycles["spike"]
        + max(spiking * aliased, aliased**2) * cycles["alias_target"]
        + max(spiking, aliased) * aliased * cycles["alias_source"]
    )


def shape_of(network: Network) -> Shape:
    """The shape of a network of the form input, hidden neurons (connected among each other as one likes), outputs.

    Raises:
        ChipError: the network has another form: an input that takes a current, none hidden, an input that drives the
            output, or an output that drives anything.
    """
    if network.input.current:
        raise ChipError(f"{network.input.name}: found an input that takes a current, allowed is one that takes spikes")
    if not network.hidden:
        raise ChipError("network: found no hidden population, allowed is input, hidden and output; add one")
    for connection in network.connections:
        ends = (connection.source, connection.target)
        if ends == (network.input.name, network.output) or network.output == connection.source:
            raise ChipError(
                f"{connection.name}: found a connection from {'the output' if network.output in ends[:1] else 'input'} "
                f"to {connection.target}, allowed are input to hidden, hidden to hidden and hidden to output"
            )
    driven = {name: _matrices(network, [network.input.name], [name]) for name in network.hidden}
    reading = {name: _matrices(network, [name], [network.output]) for name in network.hidden}
    return Shape(
        inputs=network.input.size,
        hidden=sum(network[name].size for name in network.hidden),
        outputs=network[network.output].size,
        input_targets=sum(_reached(matrices, axis=1) for matrices in driven.values()),
        synapses=sum(int(m.count_nonzero()) for m in _matrices(network, network.hidden, network.hidden)),
        output_sources=sum(_reached(matrices, axis=0) for matrices in reading.values()),
    )


def _matrices(network: Network, sources: Iterable[str], targets: Iterable[str]) -> list[csr_array]:
    """The synapses (target, source) of every connection from one of ``sources`` to one of ``targets``."""
    return [c.synapses() for c in network.connections if c.source in sources and c.target in targets]


def _reached(matrices: list[csr_array], axis: int) -> int:
    """Rows (``axis`` 1) or columns (0) that have a synapse in any of the matrices."""
    return int(np.count_nonzero(sum(abs(matrix).sum(axis=axis) for matrix in matrices)))


@dataclass(frozen=True)
class Work:
    """Clock cycles of the time steps of a run.

    Args:
        cycles: mean of a step.
        most: of a step in which every input and every neuron spikes.
        clock: in Hz.
    """

    cycles: float
    most: float
    clock: float

    @property
    def seconds(self) -> float:
        """Mean time of a step that takes no longer than its work."""
        return self.cycles / self.clock

    def late(self, step: float) -> str:
        """A message where the mean step has more work than fits into ``step`` seconds; else empty."""
        if self.seconds <= step * (1 + 1e-9):
            return ""
        return (
            f"steps last, on average, longer than {format_duration(step)}: their {self.cycles:,.0f} clock cycles take "
            f"{format_duration(self.seconds)} at {self.clock / 1e6:g} MHz; give a longer step time"
        )

    def told(self, step: float) -> str:
        """What of a step of so many seconds the chip is busy for."""
        mean, most = (
            f"{100 * cycles / self.clock / step:.3g} % of a step ({cycles:,.0f} clock cycles)"
            for cycles in (self.cycles, self.most)
        )
        return f"at {self.clock / 1e6:g} MHz the chip is busy for {mean}, where everything spikes for {most}"


def work(record: Record, chip: Chip) -> Work | None:
    """The cycles that a run takes; ``None`` where the chip's file has no figures of cycles.

    Args:
        record: a run, of which the mean probabilities of a spike are used.
        chip: with ``cycles``, a ``clock``, and in ``shape`` the largest network that fits.

    Raises:
        ChipError: the network has another form than the chip's, or does not fit.
    """
    cycles = {key: figure.value for key, figure in chip.section("cycles").items()}
    if not cycles or chip.clock is None:
        return None
    network, steps = record.network, record.steps * record.batch
    neurons = sum(network[name].size for name in network.hidden)
    _check_fits(Shape(network.input.size, neurons, network[network.output].size, 0, 0, 0), chip)
    shape = shape_of(network)
    _check_fits(shape, chip)
    inputs = int(record.spikes[network.input.name].sum()) / (shape.inputs * steps)
    hidden = sum(int(record.spikes[name].sum()) for name in network.hidden) / (shape.hidden * steps)
    return Work(step_cycles(shape, cycles, inputs, hidden), step_cycles(shape, cycles), chip.clock * 1e6)


def _check_fits(shape: Shape, chip: Chip) -> None:
    limits = chip.section("shape")
    for field in fields(shape):
        found = getattr(shape, field.name)
        if field.name in limits and found > limits[field.name].value:
            what = field.name.replace("_", " ")
            raise ChipError(
                f"network: found {found:,} {what}, allowed on {chip.name} are {limits[field.name].value:,.0f}; use a "
                f"smaller network"
            )
