"""A network laid out for the compiled core: made once for each network and kept as long as the network is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from aspen._base.arrays import Array
from aspen.network.connections import Connection, Conv
from aspen.network.network import Network, Population
from aspen.network.neurons import FixedLif, Lif, Neuron
from aspen.network.reset import ResetSynapse
from aspen_emulator.engines.fast.connections import Synapses, common_bits, largest_signed_sum, synapses_of
from aspen_emulator.engines.fast.core import columns as core
from aspen_emulator.engines.fast.core.arrays import State, Tables
from aspen_emulator.engines.fast.windows import Windows, windows_of

RESETS = {
    "zero": core.ZERO,
    "none": core.NONE,
    "none-rectified": core.NONE_RECTIFIED,
    "subtract": core.SUBTRACT,
    "subtract-delayed": core.SUBTRACT_DELAYED,
    "zero-delayed": core.ZERO_DELAYED,
    "subtract-synapse": core.SUBTRACT_SYNAPSE,
    "subtract-guarded": core.SUBTRACT_GUARDED,
}
NEVER = 2**30
"""A threshold that no 24-bit membrane reaches."""
MAX_CURRENT = 2**30
"""Currents up to this fit 32 bits, with a membrane, a bias, a direct current and a reset."""


@dataclass(frozen=True)
class Group:
    """Sums that are shifted together: ``first`` place among all sums, then ``down`` bits right, times ``factor``."""

    first: int
    down: int
    factor: int
    members: tuple[str, ...]


class Plan:
    """Tables of a network, and where each population and connection stands in them.

    Attributes:
        slots: names of the populations in the order of the tables; the input comes first.
        connections: in the order of the tables: by target; last those by which neurons reset themselves.
        summed: the others.
        tables: for the compiled core.
        fan_out_off: connection and neurons that are off -> (n_source,) synapses to these; kept for settings to come.
    """

    def __init__(self, network: Network) -> None:
        self.populations = {p.name: p for p in network.populations}
        self.input, self.weighing, self.is_integer = network.input, network.weighing, network.is_integer
        self.incoming = {name: network.incoming(name) for name in network.names}
        self.slots = [network.input.name, *(name for name in network.order if name != network.input.name)]
        self.order = network.order
        self.orders = {name: _order(network, name) for name in self.slots}
        self.as_is = {name: bool((np.diff(order) == 1).all()) for name, order in self.orders.items()}
        self.summed: list[Connection] = [c for name in self.slots for c in self.incoming[name]]
        self.connections = [*self.summed, *(c for c in network.connections if isinstance(c, ResetSynapse))]
        self.position = {connection.name: c for c, connection in enumerate(self.connections)}
        synapses = {c.name: synapses_of(c, self.orders[c.source], self.orders[c.target]) for c in self.connections}
        self.fan_out = {name: each.fan_out for name, each in synapses.items()}
        self.padded = {name: -(-self.populations[name].size // core.PAD) * core.PAD for name in self.slots}
        self.common_bits = self._common_bits()
        self.state_type = _state_type(network)
        self.sum_type = self._sum_type()
        self.tables = self._tables(network, synapses)
        self.fan_out_off: dict[tuple[str, bytes], Array] = {}
        self._matrices: dict[str, Array] = {}

    def _members(self, name: str) -> list[list[Connection]]:
        """The connections into a population, those together that are summed together."""
        members: dict[object, list[Connection]] = {}
        for connection in self.incoming[name]:
            # a sum is rounded when it is shifted right: each connection's own
            key = connection.exponent if connection.exponent >= 0 else connection.name
            members.setdefault(key, []).append(connection)
        return list(members.values())

    def _groups(self) -> tuple[list[Group], int]:
        groups, first = [], 0
        for name in self.slots:
            for together in self._members(name):
                down, factor = self.scaling(together[0])
                groups.append(Group(first, down, factor, tuple(c.name for c in together)))
                first += self.padded[name] + core.PAD  # windows add zeros to some sums behind their own
        return groups, first

    def _common_bits(self) -> dict[str, int]:
        """For each connection the lowest bits that the core leaves out of its weights, and of all summed with it: they
        are zero. Chips whose weights of both signs are even have one, which is a bit more for sums in few bits."""
        bits = dict.fromkeys(self.position, 0)
        for together in (members for name in self.slots for members in self._members(name)):
            if self.is_integer and not any(c.name in self.weighing for c in together):
                bits |= dict.fromkeys((c.name for c in together), common_bits(together))
        return bits

    def scaling(self, connection: Connection) -> tuple[int, int]:
        """(bits right, factor): what makes a sum of the core's weights a drive in units of the membrane."""
        if not connection.is_integer:
            return 0, 1
        exponent = connection.exponent + self.common_bits[connection.name]
        return max(-exponent, 0), 2 ** (max(exponent, 0) + FixedLif.SHIFT)

    def _sum_type(self) -> type[Any]:
        """The smallest type that holds every sum of weights of spikes; on the way there it may wrap around."""
        if self.state_type is not np.int32:
            return self.state_type
        added = (
            sum(largest_signed_sum(c) / 2 ** self.common_bits[c.name] for c in together)
            for name in self.slots
            for together in self._members(name)
        )
        return np.int16 if max(added) < 2**15 else np.int32

    def _tables(self, network: Network, synapses: dict[str, Synapses]) -> Tables:
        groups, room = self._groups()
        sums_of = {name: group.first for group in groups for name in group.members}
        conns, weights, index, fan, at_once = self._connection_tables(synapses, sums_of)
        outs = {n: [self.position[c.name] for c in self.connections if c.source == n] for n in self.slots}
        pops = np.zeros((len(self.slots), 20), np.int64)
        at = lists = lens = bits = out = group = into = 0
        for row, name in zip(pops, self.slots, strict=True):
            population, incoming = self.populations[name], self.incoming[name]
            ring = 1 + max((c.delay for c in self.summed if c.source == name), default=0)
            own = sum(g.members[0] in {c.name for c in incoming} for g in groups)
            slot = population.size + core.BEYOND
            row[[core.N, core.PADDED, core.LIST, core.SLOT, core.RING, core.LENS, core.BITS]] = (
                population.size, self.padded[name], lists, slot, ring, lens, bits,
            )  # fmt: skip
            row[[core.IN, core.IN_END, core.GROUP, core.GROUP_END]] = into, into + len(incoming), group, group + own
            row[[core.OUT, core.OUT_END]] = out, out + len(outs[name])
            if population.neuron is not None:
                row[core.AT] = at
                at += self.padded[name]
                self._describe(row, population, population.neuron, incoming)
            lists, lens, bits = lists + ring * slot, lens + ring, bits + ring * (self.padded[name] // core.PAD)
            into, group, out = into + len(incoming), group + own, out + len(outs[name])
        self.room, self.list_room, self.ring_room, self.bit_room = at, lists + core.BEYOND, lens, bits + 1
        ends = (room, max(self.padded.values()), at_once)
        return Tables(
            pops=pops,
            conns=conns,
            groups=np.array([*((g.first, g.down, g.factor) for g in groups), ends], np.int64),
            outs=np.array([c for name in self.slots for c in outs[name]], np.int64),
            weights=weights,
            places=index,
            fan=fan,
            **self._parameters(network),
        )

    def _describe(self, row: Array, population: Population, neuron: Neuron, incoming: list[Connection]) -> None:
        row[core.RESET] = RESETS[neuron.reset]
        row[core.MEMORY] = bool((_keep(neuron)[0] != 0).any())
        row[core.BIASED] = any(c.bias is not None for c in incoming)
        row[core.UNIFORM] = not row[core.BIASED] and all((p == p.flat[0]).all() for p in (*_keep(neuron), neuron.bias))
        row[core.WRAPS] = self.is_integer and not row[core.MEMORY] and (row[core.BIASED] or self._drives_far(incoming))
        row[core.SHARED] = all(c.source == self.input.name for c in incoming) and not (self.input.neuron)

    def _drives_far(self, incoming: list[Connection]) -> bool:
        """Whether a drive may be beyond 24 bits; each sum that is shifted right may be rounded down."""
        sums = (c.largest_sum * self.populations[c.source].peak * 2.0**c.exponent + 1 for c in incoming)
        return sum(sums) * 2**FixedLif.SHIFT >= core.LIMIT

    def _connection_tables(
        self, synapses: dict[str, Synapses], sums_of: dict[str, int]
    ) -> tuple[Array, Array, Array, Array, int]:
        conns = np.zeros((len(self.connections), 15), np.int64)
        weights: list[Array] = [_whole_lines(np.zeros(self._room_of_zeros(synapses), self.sum_type))]
        at_once, summed = 0, set()
        index: list[Array] = [np.zeros(1, np.int64)]
        fan: list[Array] = [np.zeros(1, np.int64)]
        for row, connection in zip(conns, self.connections, strict=True):
            own = synapses[connection.name]
            row[[core.SOURCE, core.DELAY, core.KIND]] = (
                self.slots.index(connection.source), connection.delay, own.kind,
            )  # fmt: skip
            row[[core.WEIGHTS, core.INDEX, core.FAN]] = [sum(map(len, part)) for part in (weights, index, fan)]
            row[core.SUMS] = sums_of.get(connection.name, 0)  # a reset is not summed
            row[core.RUNS] = row[core.INDEX] + len(own.index[0])
            row[core.FROM_INPUT] = connection.source == self.input.name and not self.input.neuron
            row[core.FAN_ALL] = own.fan_out[0] if (own.fan_out == own.fan_out[0]).all() else -1
            placed = self._as_added(connection, own.weights)
            if own.kind == core.DENSE:
                row[core.STRIDE] = self.padded[connection.target]
                placed = np.pad(placed, ((0, 0), (0, row[core.STRIDE] - placed.shape[1])))
            weights.append(_whole_lines(placed.ravel()))
            index += own.index
            row[core.FRESH] = row[core.SUMS] not in summed
            summed.add(row[core.SUMS])
            if own.kind == core.ROWS:
                windows = self._windows(connection)
                row[core.LEAST], row[core.WINDOWS] = windows.least, sum(map(len, index))
                row[core.WINDOW_ROWS] = sum(map(len, weights))
                weights.append(_whole_lines(self._as_added(connection, windows.weights).ravel()))
                index.append(windows.index)
                at_once = max(at_once, windows.longest + 2 * core.BEYOND)
            if row[core.FAN_ALL] < 0:
                fan.append(own.fan_out)
        tables = np.concatenate(index)
        if tables.max() < 2**31:
            tables = tables.astype(np.int32)
        return conns, _from_a_line_on(np.concatenate(weights)), tables, np.concatenate(fan).astype(np.int32), at_once

    def _as_added(self, connection: Connection, weights: Array) -> Array:
        """Weights as the core adds them up."""
        placed = (weights >> self.common_bits[connection.name]) if self.is_integer else weights
        return placed.astype(self.sum_type)

    def _windows(self, connection: Connection) -> Windows:
        assert isinstance(connection, Conv)  # others have no short rows
        channels_last = bool((np.diff(self.orders[connection.source]) != 1).any())
        return windows_of(connection, channels_last, self.sum_type)

    @staticmethod
    def _room_of_zeros(synapses: dict[str, Synapses]) -> int:
        """Zeros before the weights: as many as the longest row that goes without another to be added beside it."""
        return max(core.PAD, *(each.longest for each in synapses.values()))

    def _parameters(self, network: Network) -> dict[str, Array]:
        made: dict[str, Array] = {
            key: np.zeros(self.room, self.state_type) for key in ("keep_u", "keep_v", "bias", "drive_bias")
        }
        for slot, name in enumerate(self.slots):
            neuron = self.populations[name].neuron
            if neuron is None:
                continue
            at, order = self.tables_at(slot, name), self.orders[name]
            for key, values in zip(("keep_u", "keep_v", "bias"), (*_keep(neuron), neuron.bias), strict=True):
                made[key][at : at + len(order)] = values if values.ndim == 0 else values.reshape(-1)[order]
            made["drive_bias"][at : at + len(order)] = network.drive_bias(name)[order]
        biased = (made["bias"] != 0) | (made["drive_bias"] != 0)
        return made | {"biased": np.packbits(biased, bitorder="little").view(np.uint64)}

    def tables_at(self, slot: int, name: str) -> int:
        """The first neuron of a population in the arrays over all neurons."""
        before = [other for other in self.slots[:slot] if self.populations[other].neuron is not None]
        return sum(self.padded[other] for other in before)

    def exact_type(self, connection: Connection) -> type[Any]:
        """The smallest float that holds every sum of the connection's weights exactly; float64 for float weights."""
        return np.float32 if self.is_integer and connection.largest_sum < 2**24 else np.float64

    def matrix(self, connection: Connection) -> Array:
        """The weights of a dense connection for a matrix product, (n_source, n_target) in the core's order."""
        if connection.name not in self._matrices:
            row = self.tables.conns[self.position[connection.name]]
            sources, targets = (self.populations[name].size for name in (connection.source, connection.target))
            size = sources * row[core.STRIDE]
            weights = self.tables.weights[row[core.WEIGHTS] :][:size].reshape(sources, -1)[:, :targets]
            self._matrices[connection.name] = np.ascontiguousarray(weights, self.exact_type(connection))
        return self._matrices[connection.name]

    def direct_current(self, values: Array) -> Array:
        """A direct current (steps, batch, n) as the core adds it to the membranes."""
        neuron = self.input.neuron
        assert neuron is not None  # other currents are weighed
        if isinstance(neuron, FixedLif):
            exponents = neuron.bias_exponent.astype(np.int64)
            values = values.astype(np.int64) << (exponents if exponents.ndim == 0 else exponents.reshape(-1))
        return values[..., self.orders[self.input.name]].astype(self.state_type)

    def state(self, rows: int) -> State:
        """The state at rest."""
        u, v, owed = (np.zeros((rows, self.room), self.state_type) for _ in range(3))
        lists, lens = np.zeros((rows, self.list_room), np.int32), np.zeros((rows, self.ring_room), np.int32)
        return State(u, v, owed, lists, lens, np.zeros((rows, self.bit_room), np.uint64))

    @cached_property
    def state_bytes(self) -> int:
        """Bytes of the state of one row."""
        return 3 * self.room * np.dtype(self.state_type).itemsize + 4 * (
            self.list_room + self.ring_room + 2 * self.bit_room
        )

    def natural(self, name: str, values: Array) -> Array:
        """Values (..., n) in the core's order as (..., *shape) in the network's."""
        shape = self.populations[name].shape
        if self.as_is[name]:
            return values.reshape(*values.shape[:-1], *shape)
        channels_last = values.reshape(*values.shape[:-1], *shape[1:], shape[0])
        return np.moveaxis(channels_last, -1, values.ndim - 1)


def _whole_lines(values: Array) -> Array:
    """Flat values, with zeros behind them up to the end of a cache line."""
    line = core.CACHE_LINE // values.itemsize
    return np.pad(values, (0, -len(values) % line))


def _from_a_line_on(values: Array) -> Array:
    """A copy whose first byte is that of a cache line, so that no load of one needs two."""
    room = np.empty(len(values) + core.CACHE_LINE // values.itemsize, values.dtype)
    first = -room.ctypes.data % core.CACHE_LINE // values.itemsize
    placed = room[first : first + len(values)]
    placed[:] = values
    return placed


def _state_type(network: Network) -> type[Any]:
    """The smallest type that holds every state without loss.

    The core adds up weights of spikes. Analog values are weighed outside of it; it shifts what comes of them.
    """
    if not network.is_integer:
        return np.float64
    into = {name: network.incoming(name) for name in network.order}
    given = max(sum(c.largest_sum * network[c.source].peak for c in incoming) for incoming in into.values())
    wide = given >= 2**31 or max(network.largest_current(name) for name in into) > MAX_CURRENT
    return np.int64 if wide else np.int32


def _keep(neuron: Neuron) -> tuple[Array, Array]:
    """What current and membrane keep of themselves at each step."""
    if isinstance(neuron, Lif):
        return neuron.alpha, neuron.beta
    return 4095 - neuron.current_decay, 4096 - neuron.voltage_decay


def _order(network: Network, name: str) -> Array:
    """The network's index of each neuron in the core's order: channels last, where a convolution writes channels."""
    size, shape = network[name].size, network[name].shape
    if any(isinstance(c, Conv) and c.weight.shape[0] > c.groups for c in network.incoming(name)):
        return np.arange(size).reshape(shape[0], -1).T.ravel()
    return np.arange(size)


_PLANS: WeakKeyDictionary[Network, Plan] = WeakKeyDictionary()


def plan_of(network: Network) -> Plan:
    """The plan of a network; the same one whenever it is asked for."""
    plan = _PLANS.get(network)
    if plan is None:
        plan = _PLANS[network] = Plan(network)
    return plan
