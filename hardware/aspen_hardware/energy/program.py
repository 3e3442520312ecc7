"""Clock cycles of the C program on a microcontroller, from what a run did.

The program (:func:`aspen_hardware.to_c`) takes, by the figures of the chip file's ``[program]``:

- each step ``step``, and ``input`` for every input that it looks at (``analog_input`` for one that is a value); a spike
  among them ``input_spike``, a value other than zero ``input_value``;
- each step and population ``population``, for every pass of the loop over its neurons ``turn``, for every neuron
  ``neuron``; more, ``own`` for each parameter of which a neuron has one of its own, ``current`` for one whose synaptic
  current decays, ``owed`` for one that remembers a reset to be made, ``cleared`` for one whose sum is cleared,
  ``wrapped`` for one whose current and ``clipped`` for one whose membrane may leave 24 bits (not if it is reset to
  zero: what spikes needs no clipping then), ``output`` for one of the output;
- for a neuron that spikes ``spike``;
- each step and connection with packed rows, ``packed_sums`` for every word of its rows: the sums of a block of targets
  stay in registers over all spikes, and are stored once;
- for a spike there, ``packed_row`` for every block and ``packed_word`` for every word of four weights;
- for a spike or a value elsewhere, and each connection that it goes through, ``row`` (also where packed rows list it
  again after a delay), and for each of the row's weights ``loose_weight`` (of a full matrix, zeros too),
  ``value_weight`` (where values are multiplied), ``sparse_weight``, ``paired_weight`` (two to a word) or
  ``convolution_weight`` (those that are there); ``convolution_place`` for every place of a kernel;
- each step and connection ``analog_source`` for every value that it looks at, zeros too;
- each step and neuron whose past a connection with a delay looks through, ``past``.

Loops end before neurons that are off (:class:`aspen.network.off.Off`): these save their part of the loop over neurons,
and an operation that falls on one saves what it takes, or its part of a dense row. Where loops end takes time too, in a
population of which all are off about as much as ``step``, and as much as ``row`` for a sparse row: less is saved.

The figures are fitted to programs in an emulator (``benchmarks/cycles.py``). All costs are linear in the counts of a
:class:`aspen.network.record.Record`, so that a stream can add them up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import numpy as np

from aspen._base.arrays import Array, Rebuilt
from aspen.network.connection import Connection
from aspen.network.connections import Conv
from aspen.network.network import Network
from aspen.network.neurons import BY_SYNAPSE, Lif, Neuron
from aspen.network.record import Record, rows_by_off
from aspen_hardware.c.connections import MOST_EXTRA, PACKED_GAIN
from aspen_hardware.c.kernels import MOST_PAIRED
from aspen_hardware.c.packing import PER_WORD, padded, parts
from aspen_hardware.c.program import Program
from aspen_hardware.c.ranges import SIMPLE_RESETS, bounds
from aspen_hardware.c.walking import at_once
from aspen_hardware.chips.description import Chip
from aspen_hardware.chips.programs import PROGRAM
from aspen_hardware.placing.resets import remembers

OWING = ("subtract-delayed", BY_SYNAPSE, "subtract-guarded")
"""Resets of which a part is made in the next step."""
MOST_FORGETFUL = 0.5
"""Membranes that keep no more of themselves stay below twice what arrives in a step: that fits, most likely."""


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
        off_neuron: population with neurons -> what a neuron that is off saves of a ``step``.
        off_operation: connection -> what an operation saves that falls on one.
        off_row: connection -> (n_target + 1,): what a spike saves beside its operations, by how many neurons of the
            target are off.
    """

    step: float
    neurons: Mapping[str, float]
    spike: Mapping[str, float]
    rows: Mapping[str, float]
    active: Mapping[str, float]
    operation: Mapping[str, float]
    off_neuron: Mapping[str, float]
    off_operation: Mapping[str, float]
    off_row: Mapping[str, Array]

    def __post_init__(self) -> None:
        self._close("neurons", "spike", "rows", "active", "operation", "off_neuron", "off_operation", "off_row")

    def of(self, record: Record) -> float:
        """Of a whole run."""
        operations = {**record.synaptic_operations, **record.multiply_accumulates}
        counted = (
            (self.spike, record.spikes),
            (self.active, record.active_updates),
            (self.operation, operations),
        )
        off = record.off
        saved = (
            (self.off_neuron, off.neurons),
            (self.active, off.active_updates),
            (self.off_operation, {**off.synaptic_operations, **off.multiply_accumulates}),
        )
        events, less = (
            sum(each[name] * int(counts[name].sum()) for each, counts in parts for name in counts)
            for parts in (counted, saved)
        )
        return self.step * record.steps * record.batch + events - less - sum(self.rows_saved(record).values())

    def rows_saved(self, record: Record) -> dict[str, float]:
        """Connection -> what its rows save that end before neurons that are off, beside their operations."""
        ending = [c for c in record.network.connections if c.target in record.off.neurons and c.name in self.off_row]
        return {c.name: float(rows_by_off(record, c) @ self.off_row[c.name]) for c in ending}


def cycles_of(network: Network, chip: Chip) -> Cycles:
    """What the events of ``network`` take on ``chip``, whose file has ``[program]``."""
    figures = chip.section("program")
    return _known_cycles(network, tuple(figures[key].value for key in PROGRAM))


@lru_cache(maxsize=64)
def _known_cycles(network: Network, values: tuple[float, ...]) -> Cycles:
    return cycles_by(network, dict(zip(PROGRAM, values, strict=True)))


def cycles_by(network: Network, figures: Mapping[str, float]) -> Cycles:
    """What the events of ``network`` take by these figures, :data:`aspen_hardware.chips.programs.PROGRAM`."""
    given, forms = network.input, forms_of(network)
    connections = {c.name: c for c in network.summed if c.name in forms}
    neurons = {name: _population(network, name, forms, figures) for name in network.order}
    values = sum(network[c.source].size for c in connections.values() if network[c.source].is_analog)
    past = sum(network[c.source].size for c in connections.values() if c.delay) * figures["past"]
    rows = {c.name: 0.0 for c in network.connections}
    for name, connection in connections.items():
        if not network[connection.source].is_analog:
            rows[name] = _row(network, connection, forms[name], figures)
    spike = dict.fromkeys(network.order, figures["spike"])
    spike[given.name] = 0.0 if given.is_analog else spike.get(given.name, figures["input_spike"])
    for connection in network.connections:
        spike[connection.source] += rows[connection.name]
    operation = {name: _operation(network, c, forms[name], figures) for name, c in connections.items()}
    looked_at = given.size * figures["analog_input" if given.current else "input"]
    return Cycles(
        step=figures["step"] + looked_at + values * figures["analog_source"] + past + sum(neurons.values()),
        neurons=neurons,
        spike=spike,
        rows=rows,
        active=dict.fromkeys(network.order, figures["active_neuron"]),
        operation={name: operation.get(name, 0.0) for name in rows},
        off_neuron={
            name: max(0.0, each - figures["population"] - figures["step"]) / network[name].size
            for name, each in neurons.items()
        },
        off_operation={name: _saved(network, connections[name], forms[name], figures) if name in forms else 0.0
                       for name in rows},
        off_row={name: _rows_saved(network, c, forms[name], figures) for name, c in connections.items()
                 if not network[c.source].is_analog},
    )  # fmt: skip


@lru_cache(maxsize=64)
def forms_of(network: Network) -> Mapping[str, str]:
    """Connection that adds anything up -> how the program keeps it: ``packed``, ``dense``, ``sparse`` or ``conv``.

    In integers that is what the program does. In floating point, what it does with the integers that compiling makes:
    weights that fill 8 bits, with a sign where both are there.
    """
    if network.is_integer:
        return MappingProxyType({stored.connection.name: stored.form for stored in Program(network).connections})
    return MappingProxyType({c.name: _form(network, c) for c in network.summed if c.n_synapses})


def _form(network: Network, connection: Connection) -> str:
    if isinstance(connection, Conv):
        return "conv"
    targets, sources = network[connection.target].size, network[connection.source].size
    synapses, full = connection.n_synapses, targets * sources
    sparse = synapses * (1 + _bytes(targets - 1)) + (sources + 1) * _bytes(synapses)
    signs = [float(np.abs(connection.weight[side]).max(initial=0)) for side in
             (connection.weight > 0, connection.weight < 0)]  # fmt: skip
    fits = connection.largest_sum * 127 < 2**15 * max(signs) and not network[connection.source].is_analog
    extra = sources * (padded(targets) - targets)
    packs = all(signs) and fits and targets > 2 and extra <= max(MOST_EXTRA, full // 16)
    if packs and full <= PACKED_GAIN * sparse:
        return "packed"
    return "dense" if full <= sparse else "sparse"


def _bytes(largest: int) -> int:
    return 1 if largest < 2**8 else 2 if largest < 2**16 else 4


def _row(network: Network, connection: Connection, form: str, figures: Mapping[str, float]) -> float:
    """What one spike or value takes there, but for what its synaptic operations take."""
    row = figures["row"]
    weights = _weights(network, connection, form, figures)
    if form == "packed":
        return weights + (row if connection.delay else 0.0)
    if isinstance(connection, Conv):
        return row + float(np.prod(connection.weight.shape[2:])) * figures["convolution_place"]
    return row + weights


def _weights(network: Network, connection: Connection, form: str, figures: Mapping[str, float]) -> float:
    """What the weights of a dense row take, zeros too; 0 for other rows, whose synaptic operations take it."""
    targets = network[connection.target].size
    if form == "packed":
        blocks = sum(count for _, _, count in parts(targets))
        return blocks * figures["packed_row"] + padded(targets) // PER_WORD * figures["packed_word"]
    each = figures["value_weight" if network[connection.source].is_analog else "loose_weight"]
    return targets * each if form == "dense" else 0.0


def _operation(network: Network, connection: Connection, form: str, figures: Mapping[str, float]) -> float:
    each = _one_by_one(network, connection, form, figures)
    if not network[connection.source].is_analog:
        return each
    # a multiply-accumulate has its part of its value's row
    return each + (figures["input_value"] + _row(network, connection, form, figures)) / _reached(connection)


def _one_by_one(network: Network, connection: Connection, form: str, figures: Mapping[str, float]) -> float:
    """What a weight takes of a row that lists them; 0 for dense rows."""
    analog, targets = network[connection.source].is_analog, network[connection.target].size
    sparse = "paired_weight" if not analog and 1 < targets <= MOST_PAIRED else "sparse_weight"
    return {"conv": figures["convolution_weight"], "sparse": figures[sparse]}.get(form, 0.0)


def _reached(connection: Connection) -> float:
    """Synapses of a source that has any, on average."""
    fan_out = connection.fan_out()
    return float(fan_out[fan_out > 0].mean()) if fan_out.any() else 1.0


def _saved(network: Network, connection: Connection, form: str, figures: Mapping[str, float]) -> float:
    """What an operation saves that falls on a neuron that is off: its weight; of a value's dense row, its part."""
    each = _one_by_one(network, connection, form, figures)
    if not network[connection.source].is_analog:
        return each
    return each + _weights(network, connection, form, figures) / _reached(connection)


def _rows_saved(network: Network, connection: Connection, form: str, figures: Mapping[str, float]) -> Array:
    """(n_target + 1,): what a spike's row saves, beside its operations, where so many of its targets are off: of a
    dense row its last weights, zeros too, of a packed one its last blocks."""
    n = network[connection.target].size
    on, whole = np.arange(n, -1, -1), _weights(network, connection, form, figures)
    if form != "packed":
        return whole * (n - on) / n
    left = np.zeros(n + 1)
    for width, begin, blocks in parts(n):
        due = np.clip(-(-(on - PER_WORD * begin) // (PER_WORD * width)), 0, blocks)
        left += due * (figures["packed_row"] + width * figures["packed_word"])
    return whole - left


def _population(network: Network, name: str, forms: Mapping[str, str], figures: Mapping[str, float]) -> float:
    """What a step takes for a population: its update where no neuron spikes, and the sums that packed rows set."""
    size, incoming = network[name].size, [c for c in network.incoming(name) if c.name in forms]
    cycles = figures["population"] + size / at_once(size) * figures["turn"] + size * _neuron(network, name, figures)
    packed = [connection for connection in incoming if forms[connection.name] == "packed"]
    cycles += len(packed) * padded(size) // PER_WORD * figures["packed_sums"]
    return cycles + (size * figures["cleared"] if incoming and not packed else 0.0)


def _neuron(network: Network, name: str, figures: Mapping[str, float]) -> float:
    """What an update takes, of a neuron that does not spike."""
    neuron = network[name].neuron
    assert neuron is not None  # it is in the network's order
    remembering = remembers(neuron) and bool(network.incoming(name))
    biases = [neuron.bias, *(c.bias for c in network.incoming(name) if c.bias is not None)]
    own = sum(_differ(values) for values in [neuron.threshold, *_kept(neuron, remembering)])
    own += any(_differ(values) for values in biases)
    cycles = figures["neuron"] + own * figures["own"] + (figures["current"] if remembering else 0.0)
    cycles += figures["owed"] if neuron.reset in OWING else 0.0
    wraps, clips = _limits(network, name, neuron)
    late = neuron.reset == "zero" and (name != network.output or network.readout == "spikes")
    cycles += figures["wrapped"] if wraps else 0.0
    cycles += figures["clipped"] if clips and not late else 0.0
    return cycles + (figures["output"] if name == network.output else 0.0)


def _limits(network: Network, name: str, neuron: Neuron) -> tuple[bool, bool]:
    """Whether the program looks if a current, and if a membrane, has left 24 bits. In floating point, whether it most
    likely will: compiling takes weights so large that what spikes bring just fits, and values bring more."""
    if not isinstance(neuron, Lif):
        found = bounds(network, name)
        return found.wraps, found.clips
    wraps = any(network[connection.source].is_analog for connection in network.incoming(name))
    return wraps, wraps or neuron.reset not in SIMPLE_RESETS or float(neuron.beta.max()) > MOST_FORGETFUL


def _differ(values: Array) -> bool:
    return bool((values != values.flat[0]).any())


def _kept(neuron: Neuron, remembering: bool) -> list[Array]:
    if isinstance(neuron, Lif):
        return [neuron.beta, *([neuron.alpha] if remembering else [])]
    return [neuron.voltage_decay, *([neuron.current_decay] if remembering else [])]


def most_cycles(network: Network, cycles: Cycles) -> float:
    """Of a step in which every input and every neuron spikes, and each has input."""
    total = cycles.step + sum(network[name].size * each for name, each in cycles.spike.items())
    total += sum(network[name].size * each for name, each in cycles.active.items())
    return total + sum(float(np.sum(c.fan_out())) * cycles.operation[c.name] for c in network.connections)
