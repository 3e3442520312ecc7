"""Clock cycles of the C program on a microcontroller, from what a run did.

The program (:func:`aspen_hardware.to_c`) takes, by the figures of the chip file's ``[program]``:

- each step ``step``, and ``input`` for every input that it looks at; a spike among them ``input_spike``, a value other
  than zero (of an analog input, or a current) ``input_value``;
- each step and population ``population``, for every neuron ``neuron``, for one whose net input is not zero
  ``active_neuron`` more, for one that spikes ``spike`` more, for one of the output ``output`` more;
- for a spike, and each connection that it goes through, ``row``, and for each of the row's weights ``dense_weight``
  (zeros too), ``sparse_weight`` or ``convolution_weight`` (those that are there);
- each step and neuron whose past a connection with a delay looks through, ``past``.

The figures are fitted to programs in an emulator (``benchmarks/cycles.py``). All costs are linear in the counts of a
:class:`aspen.network.record.Record`, so that a stream can add them up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from aspen._base.arrays import Rebuilt
from aspen.network.connection import Connection
from aspen.network.connections import Conv
from aspen.network.network import Network
from aspen.network.record import Record
from aspen_hardware.chips.description import Chip
from aspen_hardware.chips.programs import PROGRAM


@dataclass(frozen=True, eq=False)
class Cycles(Rebuilt):
    """Clock cycles of single events; costs that events of one place share are summed.

    Args:
        step: a step of one sample in which nothing arrives.
        neurons: population with neurons -> the part of ``step`` that updates it.
        spike: population -> a spike, with the way to its connections and the weights of their dense rows.
        rows: connection -> the part of its source's ``spike`` that goes through it.
        active: population with neurons -> more for a neuron whose net input is not zero.
        operation: connection -> a synaptic operation; a multiply-accumulate where its source is an analog input.
    """

    step: float
    neurons: Mapping[str, float]
    spike: Mapping[str, float]
    rows: Mapping[str, float]
    active: Mapping[str, float]
    operation: Mapping[str, float]

    def __post_init__(self) -> None:
        self._close("neurons", "spike", "rows", "active", "operation")

    def of(self, record: Record) -> float:
        """Of a whole run."""
        operations = {**record.synaptic_operations, **record.multiply_accumulates}
        counted = (
            (self.spike, record.spikes),
            (self.active, record.active_updates),
            (self.operation, operations),
        )
        events = sum(each[name] * int(counts[name].sum()) for each, counts in counted for name in counts)
        return self.step * record.steps * record.batch + events


def cycles_of(network: Network, chip: Chip) -> Cycles:
    """What the events of ``network`` take on ``chip``, whose file has ``[program]``."""
    figures = chip.section("program")
    return _known_cycles(network, tuple(figures[key].value for key in PROGRAM))


@lru_cache(maxsize=64)
def _known_cycles(network: Network, values: tuple[float, ...]) -> Cycles:
    return cycles_by(network, dict(zip(PROGRAM, values, strict=True)))


def cycles_by(network: Network, figures: Mapping[str, float]) -> Cycles:
    """What the events of ``network`` take by these figures, :data:`aspen_hardware.chips.programs.PROGRAM`."""
    given, summed = network.input, network.summed
    neurons = {
        name: figures["population"]
        + network[name].size * (figures["neuron"] + (figures["output"] if name == network.output else 0.0))
        for name in network.order
    }
    past = sum(network[c.source].size for c in summed if c.delay) * figures["past"]
    rows = {c.name: 0.0 for c in network.connections}
    rows |= {c.name: _row(network, c, figures) for c in summed if not network[c.source].is_analog}
    spike = dict.fromkeys(network.order, figures["spike"])
    spike[given.name] = 0.0 if given.is_analog else figures["input_spike"]
    for connection in network.connections:
        spike[connection.source] += rows[connection.name]
    return Cycles(
        step=figures["step"] + given.size * figures["input"] + past + sum(neurons.values()),
        neurons=neurons,
        spike=spike,
        rows=rows,
        active=dict.fromkeys(network.order, figures["active_neuron"]),
        operation={
            **dict.fromkeys(rows, 0.0),
            **{c.name: _operation(network, c, figures) for c in summed},
        },
    )


def is_dense(network: Network, connection: Connection) -> bool:
    """Whether the program keeps a connection as a full matrix, which takes less flash than its synapses one by one.

    This is what :mod:`aspen_hardware.c.connections` does where weights have 8 bits, said of networks in floating point
    too.
    """
    targets, sources = network[connection.target].size, network[connection.source].size
    synapses = connection.n_synapses
    index, start = _bytes(targets - 1), _bytes(synapses)
    return targets * sources <= synapses * (1 + index) + (sources + 1) * start


def _bytes(largest: int) -> int:
    return 1 if largest < 2**8 else 2 if largest < 2**16 else 4


def _row(network: Network, connection: Connection, figures: Mapping[str, float]) -> float:
    """What one spike takes there, but for what its synaptic operations take."""
    if isinstance(connection, Conv) or not is_dense(network, connection):
        return figures["row"]
    return figures["row"] + network[connection.target].size * figures["dense_weight"]


def _operation(network: Network, connection: Connection, figures: Mapping[str, float]) -> float:
    if network[connection.source].is_analog:
        return _value(network, connection, figures)
    if isinstance(connection, Conv):
        return figures["convolution_weight"]
    return 0.0 if is_dense(network, connection) else figures["sparse_weight"]


def _value(network: Network, connection: Connection, figures: Mapping[str, float]) -> float:
    """What a multiply-accumulate takes: its value's row, shared by the synapses that it has on average."""
    fan_out = connection.fan_out()
    each = float(fan_out[fan_out > 0].mean()) if fan_out.any() else 1.0
    row = figures["input_value"] + _row(network, connection, figures)
    if isinstance(connection, Conv):
        return row / each + figures["convolution_weight"]
    return row / each + (0.0 if is_dense(network, connection) else figures["sparse_weight"])


def most_cycles(network: Network, cycles: Cycles) -> float:
    """Of a step in which every input and every neuron spikes, and each has input."""
    total = cycles.step + sum(network[name].size * each for name, each in cycles.spike.items())
    total += sum(network[name].size * each for name, each in cycles.active.items())
    return total + sum(float(np.sum(c.fan_out())) * cycles.operation[c.name] for c in network.connections)
