"""A second count of what a run does, by plain loops over neurons and synapses.

It takes from a network its numbers only (weights, geometry, delays, neuron parameters), and from a placement which
neurons sit on which core. How synapses are found, how a neuron steps and what is counted is written here once more,
so that a mistake would have to be made twice to go unseen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np

from aspen.network.network import Conv, Dense, Network, Population

Array = np.ndarray[Any, np.dtype[Any]]
Synapses = list[tuple[int, int, Any]]
"""(source, target, weight), the weight other than zero."""


def synapses_of(connection: Any) -> Synapses:
    """Every synapse of a connection, one by one."""
    if isinstance(connection, Dense):
        found = [(s, t, w) for t, row in enumerate(connection.weight.tolist()) for s, w in enumerate(row)]
    elif isinstance(connection, Conv):
        found = list(_edges(connection))
    elif connection.kind == "reset":
        found = [(n, n, w) for n, w in enumerate(connection.weight.tolist())]
    else:
        columns, rows = connection.columns.tolist(), connection.rows.tolist()
        found = list(zip(columns, rows, connection.weight.tolist(), strict=True))
    return [(s, t, w) for s, t, w in found if w != 0]


def _edges(conv: Conv) -> Iterator[tuple[int, int, Any]]:
    """Target by target and place by place of the kernel; places in the padding have no source."""
    size, kernel, per_group = conv.input_shape[1:], conv.weight.shape[2:], conv.weight.shape[1]
    along = zip(size, kernel, conv.stride, conv.padding, conv.dilation, strict=True)
    places = [range((n + 2 * p - d * (k - 1) - 1) // s + 1) for n, k, s, p, d in along]
    target = 0
    for channel_out in range(conv.weight.shape[0]):
        group = channel_out * conv.groups // conv.weight.shape[0]
        for place in product(*places):
            for channel, tap in product(range(per_group), product(*map(range, kernel))):
                geometry = zip(place, conv.stride, conv.padding, conv.dilation, tap, strict=True)
                at = [q * s - p + d * k for q, s, p, d, k in geometry]
                if all(0 <= a < n for a, n in zip(at, size, strict=True)):
                    source = group * per_group + channel
                    for a, n in zip(at, size, strict=True):
                        source = source * n + a
                    yield source, target, conv.weight[(channel_out, channel, *tap)].item()
            target += 1


@dataclass
class Neuron:
    """One neuron: its parameters, and its state at rest."""

    threshold: Any
    bias: Any
    reset: str
    keep_current: Any
    keep_membrane: Any
    exponent: int | None
    trained: Any = None
    never: Any = float("inf")
    u: Any = 0
    v: Any = 0
    owed: Any = 0
    compared: Any = 0

    def turn(self, off: bool) -> None:
        """Put the threshold out of reach, or back."""
        self.trained = self.threshold if self.trained is None else self.trained
        self.threshold = self.never if off else self.trained

    def net(self, arrived: Any) -> Any:
        """What synapses bring in a step, with that of the neuron onto itself, in units of the membrane."""
        scale = 1 if self.exponent is None else 64
        return scale * arrived - (self.owed if self.reset == "subtract-synapse" else 0)

    def step(self, drive: Any, current: Any) -> bool:
        """One time step in floating point, or, where there is a bias exponent, in 24-bit integers."""
        if self.exponent is None:
            self.u = self.keep_current * self.u + drive
            self.v = self.keep_membrane * self.v + self.u + self.bias + current
        else:
            self.u = _wrapped(_decayed(self.u, self.keep_current) + drive * 64)
            self.v = _decayed(self.v, self.keep_membrane) + self.u + self.bias + current * 2**self.exponent
        self.v = (0 if self.owed else self.v) if self.reset == "zero-delayed" else self.v - self.owed
        if self.exponent is not None:
            self.v = max(-(2**23 - 1), min(2**23 - 1, self.v))
        self.compared = self.v
        fired = bool(self.v > self.threshold)
        self.owed = self.threshold if fired and self.reset.endswith("-delayed") else 0
        if fired and self.reset == "subtract-synapse":
            self.owed = self.threshold if self.exponent is None else 64 * of_eight_bits(self.threshold // 64)
        if fired and self.reset == "zero":
            self.v = 0
        if fired and self.reset == "subtract":
            self.v -= self.threshold
        return fired


def of_eight_bits(mantissa: int) -> int:
    """The nearest of the numbers from 1 to 255 times a power of two, the larger one of two."""
    shift = 0
    while (mantissa >> shift) > 255:
        shift += 1
    return (mantissa + (1 << shift) // 2) // (1 << shift) * (1 << shift)


def _decayed(value: int, keep: int) -> int:
    size = abs(value) * keep // 4096
    return size if value > 0 else -size


def _wrapped(value: int) -> int:
    if value > 2**23:
        return value - 2**24
    return value + 2**24 if value <= -(2**23) else value


def neurons_of(population: Population) -> list[Neuron]:
    """The neurons of a population at rest."""
    lif: Any = population.neuron

    def each(values: Any) -> list[Any]:
        return list(np.broadcast_to(values, population.shape).reshape(-1).tolist())

    if population.neuron.kind == "lif":
        parts = (each(lif.threshold), each(lif.bias), each(lif.alpha), each(lif.beta))
        return [Neuron(t, b, lif.reset, alpha, beta, None) for t, b, alpha, beta in zip(*parts, strict=True)]
    exponents, mantissas = each(lif.bias_exponent), each(lif.bias_mantissa)
    largest = 2**17 if lif.gated else 32703 if lif.reset == "subtract-synapse" else 2**17 - 1
    return [
        Neuron(64 * t, m * 2**e, lif.reset, 4095 - du, 4096 - dv, e, never=64 * largest)
        for t, m, e, du, dv in zip(
            each(lif.threshold), mantissas, exponents, each(lif.current_decay), each(lif.voltage_decay), strict=True
        )
    ]


def written_by_host(network: Network, values: Array) -> Array:
    """(batch, n): the bias mantissas that a host writes for values (batch, *shape), weight by weight."""
    host: Any = network.input.host
    found = np.zeros((len(values), len(host.bias)), int)
    for sample, given in enumerate(values.reshape(len(values), -1).tolist()):
        totals = host.bias.tolist()
        for source, target, weight in synapses_of(host.connection):
            totals[target] += weight * given[source]
        found[sample] = [max(-4096, min(4095, round(total * host.scale))) for total in totals]
    return found


@dataclass
class Counts:
    """What a run did. Populations and connections by name; each array (steps, batch).

    ``rasters`` and ``membranes``, as they are compared with the thresholds, are (steps, batch, n). ``off``: neurons
    that were off; the others that begin so: what fell on them.
    """

    rasters: dict[str, Array]
    membranes: dict[str, Array]
    spikes: dict[str, Array]
    operations: dict[str, Array]
    multiplications: dict[str, Array]
    active: dict[str, Array]
    awake: dict[str, Array]
    off: dict[str, Array]
    off_operations: dict[str, Array]
    off_multiplications: dict[str, Array]
    off_active: dict[str, Array]
    off_awake: dict[str, Array]


def simulate(network: Network, given: Array, off: dict[str, Array] | None = None) -> Counts:
    """Run ``network`` on spikes or values (steps, batch, *shape), sample by sample and neuron by neuron.

    Populations are computed as they are listed, so a connection without delay must lead forward in that list. ``off``:
    population -> (steps, batch, n), which neurons are off.
    """
    steps, batch = given.shape[:2]
    nobody = {p.name: np.zeros((steps, batch, prod(p.shape)), bool) for p in network.populations}
    kinds = {c.name: synapses_of(c) for c in network.connections}
    counts = Counts(
        rasters={p.name: np.zeros((steps, batch, prod(p.shape)), given.dtype) for p in network.populations},
        membranes={p.name: np.zeros((steps, batch, prod(p.shape))) for p in network.populations if p.neuron},
        **{
            field: {part.name: np.zeros((steps, batch), int) for part in parts}
            for field, parts in (
                ("spikes", network.populations),
                ("operations", network.connections),
                ("multiplications", network.connections),
                ("active", network.populations),
                ("awake", network.populations),
                ("off", network.populations),
                ("off_operations", network.connections),
                ("off_multiplications", network.connections),
                ("off_active", network.populations),
                ("off_awake", network.populations),
            )
        },
    )
    for sample in range(batch):
        out = {name: mask[:, sample].tolist() for name, mask in (nobody | (off or {})).items()}
        _simulate(network, given[:, sample].reshape(steps, -1), kinds, counts, sample, out)
    return counts


def _simulate(
    network: Network,
    given: Array,
    kinds: dict[str, Synapses],
    counts: Counts,
    sample: int,
    off: dict[str, list[list[bool]]],
) -> None:
    neurons = {p.name: neurons_of(p) for p in network.populations if p.neuron is not None}
    past: dict[str, list[list[Any]]] = {p.name: [] for p in network.populations}
    for step in range(len(given)):
        for population in network.populations:
            name = population.name
            if population.neuron is None:
                past[name].append(given[step].tolist())
            else:
                inputs, biases = _arriving(network, name, kinds, past, step), _biases(network, name)
                drive = [arrived + bias for arrived, bias in zip(inputs, biases, strict=True)]
                currents = given[step].tolist() if population.current else [0] * len(drive)
                net = [n.net(x) for n, x in zip(neurons[name], inputs, strict=True)]
                out = off[name][step]
                counts.off[name][step, sample] = sum(out)
                counts.active[name][step, sample] = sum(x != 0 for x in net)
                counts.off_active[name][step, sample] = sum(x != 0 for x, gone in zip(net, out, strict=True) if gone)
                up = [awake(*each) for each in zip(neurons[name], net, biases, currents, strict=True)]
                counts.awake[name][step, sample] = sum(up)
                counts.off_awake[name][step, sample] = sum(x for x, gone in zip(up, out, strict=True) if gone)
                for neuron, gone in zip(neurons[name], out, strict=True):
                    neuron.turn(gone)
                fired = [n.step(x, y) for n, x, y in zip(neurons[name], drive, currents, strict=True)]
                past[name].append([int(f) for f in fired])
                counts.membranes[name][step, sample] = [n.compared for n in neurons[name]]
            counts.rasters[name][step, sample] = past[name][step]
    analog = {p.name for p in network.populations if p.neuron is None and p.current}
    for step in range(len(given)):
        for name, rows in past.items():
            counts.spikes[name][step, sample] = 0 if name in analog else sum(rows[step])
        for connection in network.connections:
            sent = past[connection.source][step]
            targets = [target for source, target, _ in kinds[connection.name] if sent[source] != 0]
            weighed = connection.source in analog
            kept = counts.multiplications if weighed else counts.operations
            kept[connection.name][step, sample] = len(targets)
            lost = counts.off_multiplications if weighed else counts.off_operations
            lost[connection.name][step, sample] = sum(off[connection.target][step][target] for target in targets)


def awake(neuron: Neuron, arrived: Any, connection_bias: Any, current: Any) -> bool:
    """Whether there is anything to do for a neuron in a step: input, what is left of the membrane, or a bias."""
    scale = 1 if neuron.exponent is None else 2**neuron.exponent
    bias = neuron.bias + current * scale
    return bool(arrived != 0 or neuron.v != 0 or bias != 0 or connection_bias != 0)


def _arriving(
    network: Network, name: str, kinds: dict[str, Synapses], past: dict[str, list[list[Any]]], step: int
) -> list[Any]:
    """What synapses bring to each neuron of a population in a step."""
    arrived = [0] * prod(network[name].shape)
    for connection in network.connections:
        if connection.target != name or step < connection.delay or connection.kind == "reset":
            continue
        sums, sent = [0] * len(arrived), past[connection.source][step - connection.delay]
        for source, target, weight in kinds[connection.name]:
            sums[target] += weight * sent[source]
        for target, total in enumerate(sums):
            arrived[target] += _shifted(total, connection.exponent)
    return arrived


def _shifted(total: Any, exponent: int) -> Any:
    if exponent == 0:
        return total
    return total * 2**exponent if exponent > 0 else total >> -exponent


def _biases(network: Network, name: str) -> list[Any]:
    """What connections add to the current of each neuron of a population at every step."""
    size = prod(network[name].shape)
    total = [0] * size
    for connection in network.connections:
        if connection.target == name and connection.bias is not None:
            values = connection.bias.tolist()
            total = [sum_ + values[target * len(values) // size] for target, sum_ in enumerate(total)]
    return total


# ---------------------------------------------------------------- on cores

Cores = list[list[tuple[str, int]]]
"""For each core, in the order of the placement: the neurons that sit there, by population and number."""


CORNERS = (0, 28, 96, 124)
"""A core of each corner tile of 8 x 4: from the farthest of them comes what is sent from outside."""


@dataclass
class Traffic:
    """Packets of each population, and the tiles that they cross."""

    packets: dict[str, int]
    east_west: dict[str, int]
    north_south: dict[str, int]


def traffic(network: Network, rasters: dict[str, Array], cores: Cores) -> Traffic:
    """Every packet sent on its way, tile by tile; a spike sends one to each core where it has a synapse."""
    found = Traffic(*({p.name: 0 for p in network.populations} for _ in range(3)))
    home = {neuron: core for core, members in enumerate(cores) for neuron in members}
    for population in network.populations:
        name = population.name
        reached = cores_reached(network, name, cores)
        for step, sample in np.ndindex(rasters[name].shape[:2]):
            for neuron, value in enumerate(rasters[name][step, sample].tolist()):
                for core in reached[neuron] if value != 0 else ():
                    starts = [home[name, neuron]] if (name, neuron) in home else CORNERS
                    found.packets[name] += 1
                    found.east_west[name] += max(way(start, core)[0] for start in starts)
                    found.north_south[name] += max(way(start, core)[1] for start in starts)
    return found


def cores_reached(network: Network, name: str, cores: Cores) -> list[set[int]]:
    """For each neuron of a population: the cores on which it has a synapse."""
    home = {neuron: core for core, members in enumerate(cores) for neuron in members}
    reached: list[set[int]] = [set() for _ in range(prod(network[name].shape))]
    for connection in network.connections:
        for source, target, _ in synapses_of(connection) if connection.source == name else ():
            reached[source].add(home[connection.target, target])
    return reached


def way(start: int, end: int) -> tuple[int, int]:
    """Tiles crossed between two cores, along the row first: four cores a tile, tiles in rows of eight."""
    (row, column), (last_row, last_column) = divmod(start // 4, 8), divmod(end // 4, 8)
    east_west = north_south = 0
    while column != last_column:
        column += 1 if last_column > column else -1
        east_west += 1
    while row != last_row:
        row += 1 if last_row > row else -1
        north_south += 1
    return east_west, north_south


def compartments(population: Population) -> int:
    """Loihi's compartments of each neuron: where it fires and is not set to zero, one more, and another for a current
    that the reset must not touch."""
    lif: Any = population.neuron
    keeps = lif.alpha if lif.kind == "lif" else lif.current_decay < 4095
    if lif.reset == "subtract-synapse":
        return 3 if np.any(keeps) else 2
    return 2 if lif.reset == "none" and np.all(np.isfinite(lif.threshold)) else 1


def core_contents(network: Network, cores: Cores) -> list[dict[str, int]]:
    """For each core: synapses, input axons (source neurons), output axons (neuron to core), different thresholds."""
    kinds = {c.name: synapses_of(c) for c in network.connections}
    reached = {p.name: cores_reached(network, p.name, cores) for p in network.populations}
    neurons = {p.name: neurons_of(p) for p in network.populations if p.neuron is not None}
    found = []
    for members in cores:
        arriving = [
            (connection.source, source)
            for connection in network.connections
            for source, target, _ in kinds[connection.name]
            if (connection.target, target) in members
        ]
        thresholds = {neurons[name][number].threshold for name, number in members}
        found.append(
            {
                "neurons": len(members),
                "compartments": sum(compartments(network[name]) for name, _ in members),
                "synapses": len(arriving),
                "input_axons": len(set(arriving)),
                "output_axons": sum(len(reached[name][number]) for name, number in members),
                "thresholds": len(thresholds),
            }
        )
    return found
