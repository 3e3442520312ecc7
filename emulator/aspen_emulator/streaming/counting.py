"""Exact counts of a session while it runs: as :class:`aspen.Record` has them, but as running totals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aspen._base.arrays import Array
from aspen._base.checks import shown
from aspen.errors import InputError
from aspen.network.connection import Connection
from aspen.network.network import Network
from aspen.network.off import Off, fan_out_to
from aspen.network.record import Record
from aspen_emulator.engines.lif import switched_off
from aspen_emulator.engines.replay import Follower
from aspen_emulator.engines.sessions import Session


@dataclass
class Events:
    """Counts, as Python's integers, which have no end.

    Args:
        steps: time steps.
        spikes: population -> spikes.
        active, awake: population with neurons -> active and awake updates; see :class:`aspen.network.record.Record`.
        operations: connection -> synaptic operations; multiply-accumulates where its source is an analog input.
        off: population with neurons -> neurons that were off, summed over steps: each was updated all the same.
        off_active, off_awake, off_operations: what of these counts fell on such neurons
            (:class:`aspen.network.off.Off`).
        off_rows: connection -> n_target + 1 counts: spikes of its source that came while so many neurons of its target
            were off; the first, of none, is 0.
    """

    steps: int = 0
    spikes: dict[str, int] = field(default_factory=dict)
    active: dict[str, int] = field(default_factory=dict)
    awake: dict[str, int] = field(default_factory=dict)
    operations: dict[str, int] = field(default_factory=dict)
    off: dict[str, int] = field(default_factory=dict)
    off_active: dict[str, int] = field(default_factory=dict)
    off_awake: dict[str, int] = field(default_factory=dict)
    off_operations: dict[str, int] = field(default_factory=dict)
    off_rows: dict[str, list[int]] = field(default_factory=dict)

    @classmethod
    def none(cls, network: Network) -> Events:
        """All at 0."""
        names = [connection.name for connection in network.connections]
        of_neurons = network.order, network.order, names
        groups = network.names, *of_neurons, network.order, *of_neurons  # in the order of _PARTS
        rows = {
            c.name: [0] * (network[c.target].size + 1)
            for c in network.summed
            if network[c.target].is_dialled and not network[c.source].is_analog
        }
        found = cls(off_rows=rows)
        for part, group in zip(_PARTS, groups, strict=True):
            setattr(found, part, dict.fromkeys(group, 0))
        return found

    def add(self, other: Events) -> None:
        """Add another's counts."""
        self.steps += other.steps
        for part in _PARTS:
            mine = getattr(self, part)
            for name, count in getattr(other, part).items():
                mine[name] += count
        for name, counts in other.off_rows.items():
            self.off_rows[name] = [a + b for a, b in zip(self.off_rows[name], counts, strict=True)]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        rows = {name: list(counts) for name, counts in self.off_rows.items()}
        return {"steps": self.steps, **{part: dict(getattr(self, part)) for part in _PARTS}, "off_rows": rows}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], network: Network) -> Events:
        """What :meth:`to_dict` gave.

        Raises:
            InputError: it is not of this network.
        """
        if not isinstance(values, Mapping):
            raise InputError(f"state: found totals={shown(values)}, allowed is a mapping; use what state_dict() gave")
        found = cls.none(network)
        for part in _PARTS:
            wanted = getattr(found, part)
            counts = values.get(part, wanted if part.startswith("off") else None)  # states from before have none
            if (
                not isinstance(counts, Mapping)
                or set(counts) != set(wanted)
                or not all(map(_is_count, counts.values()))
            ):
                raise InputError(f"state: found {part} of another network, allowed are counts of {', '.join(wanted)}")
            wanted.update(counts)
        found.off_rows = _rows_from(values.get("off_rows", found.off_rows), found.off_rows)
        if not _is_count(values.get("steps")):
            raise InputError(f"state: found steps={shown(values.get('steps'))}, allowed is a whole number from 0")
        found.steps = int(values["steps"])
        return found

    def hidden_spikes(self, network: Network) -> int:
        """Spikes of all hidden populations."""
        return sum(self.spikes[name] for name in network.hidden)

    def input_operations(self, network: Network) -> int:
        """Operations that the input alone decides: of the connections from it."""
        return sum(self.operations[c.name] for c in network.input_connections)

    def record(self, network: Network) -> Record:
        """As one sample, for :func:`aspen_hardware.energy_model`; the output's spikes are left out."""
        shape = (self.steps, 1, *network[network.output].shape)

        def as_arrays(counts: Mapping[str, int]) -> dict[str, Array]:
            return {name: np.array([[count]], np.int64) for name, count in counts.items()}

        def by_source(counts: Mapping[str, int], weighing: bool) -> dict[str, Array]:
            return as_arrays({name: n for name, n in counts.items() if (name in network.weighing) == weighing})

        ever = {name for name, count in self.off.items() if count}
        targets = {connection.name: connection.target for connection in network.connections}
        lost = {name: n for name, n in self.off_operations.items() if targets[name] in ever}
        return Record(
            network=network,
            output=np.broadcast_to(np.zeros((), np.uint8), shape),
            spikes=as_arrays(self.spikes),
            synaptic_operations=by_source(self.operations, weighing=False),
            active_updates=as_arrays(self.active),
            awake_updates=as_arrays(self.awake),
            multiply_accumulates=by_source(self.operations, weighing=True),
            off=Off(
                neurons=as_arrays({name: self.off[name] for name in ever}),
                active_updates=as_arrays({name: self.off_active[name] for name in ever}),
                awake_updates=as_arrays({name: self.off_awake[name] for name in ever}),
                synaptic_operations=by_source(lost, weighing=False),
                multiply_accumulates=by_source(lost, weighing=True),
                rows={name: np.array(n, np.int64) for name, n in self.off_rows.items() if targets[name] in ever},
            ),
        )


_PARTS = ("spikes", "active", "awake", "operations", "off", "off_active", "off_awake", "off_operations")


def _rows_from(rows: Any, none: Mapping[str, list[int]]) -> dict[str, list[int]]:
    """Counts of rows by how many neurons were off, as a state has them."""
    known = isinstance(rows, Mapping) and set(rows) == set(none)
    fits = known and all(isinstance(n, list) and len(n) == len(none[name]) and all(map(_is_count, n))
                         for name, n in rows.items())  # fmt: skip
    if not fits:
        raise InputError(f"state: found off_rows of another network, allowed are counts of {', '.join(none)}")
    return {name: list(counts) for name, counts in rows.items()}


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


class Tally:
    """Counts the steps of a session, window by window.

    On Lava a population is some steps late: what it does is counted for the step of the input that it belongs to, and
    what it does after the last one, as zeros flush the results out, is not counted. So a whole window has the same
    counts on every engine.

    Args:
        session: what runs; one sample.
    """

    def __init__(self, session: Session) -> None:
        self._session, self._network = session, session.network
        self._past = 1 + max(c.delay for c in self._network.connections) + max(session.depths.values())
        self._fan_out = {c.name: c.fan_out() for c in self._network.connections}
        self._kind = np.int64 if self._network.is_integer else np.float64
        self._seen: object = None
        self.start()

    def start(self) -> None:
        """Begin a window; the session is at a reset."""
        self.window = Events.none(self._network)
        self._history: dict[str, list[Array]] = {name: [] for name in self._network.names}
        self._given: list[Array] = []
        self._followers = {name: Follower(self._network, name, 1) for name in self._network.order}
        self._clock = 0

    def step(self, last: int) -> None:
        """Count the step that the session has just made.

        Args:
            last: number of steps of the window.
        """
        self.window.steps = min(self.window.steps + 1, last)
        events = self._session.events
        if events is None:
            self._note()
            self._count_rasters(last)
            self._clock += 1
            return
        window = self.window
        for name, count in events.spikes.items():
            window.spikes[name] += count
        for name in window.active:
            window.active[name] += events.active[name]
            window.awake[name] += events.awake[name]
        for name, count in events.operations.items():
            window.operations[name] += count
        for part in _PARTS[4:] if events.off else ():
            counts = getattr(window, part)
            for name, count in getattr(events, part).items():
                counts[name] += count
        for name, pairs in events.off_rows.items():
            for off, count in pairs:
                window.off_rows[name][off] += count

    def _look(self) -> None:
        """See who is off, and what a spike reaches of these, where the thresholds are others than before."""
        if self._session.thresholds is self._seen:
            return
        self._seen = self._session.thresholds
        self._who = switched_off(self._network, self._seen)
        self._fan_out_off = {
            c.name: fan_out_to(c, self._who[c.target])[0] for c in self._network.connections if c.target in self._who
        }

    def _note(self) -> None:
        """Keep what the session was given and has shown, as far back as it is needed."""
        self._given.append(np.asarray(self._session.given, self._kind).reshape(1, -1))
        for name, raster in self._session.rasters.items():
            self._history[name].append(raster)
        for kept in (self._given, *self._history.values()):
            del kept[: -self._past]

    def _count_rasters(self, last: int) -> None:
        network, window, rasters, depths = self._network, self.window, self._session.rasters, self._session.depths
        self._look()
        for name in network.names:
            when = self._clock - depths[name]
            if not 0 <= when < last:
                continue
            busy = rasters[name] != 0
            if name != network.input.name or not network.input.is_analog:
                window.spikes[name] += int(np.count_nonzero(busy))
            for connection in network.outgoing(name):
                window.operations[connection.name] += int((busy @ self._fan_out[connection.name]).sum())
                if connection.name in self._fan_out_off:
                    self._count_row(connection, int(np.count_nonzero(busy)))
                    window.off_operations[connection.name] += int((busy @ self._fan_out_off[connection.name]).sum())
        for name in network.order:
            when = self._clock - depths[name]
            if 0 <= when < last:
                counts = self._updates(name, when).tolist()
                for part, count in zip((window.active, window.awake, window.off_active, window.off_awake), counts,
                                       strict=True):  # fmt: skip
                    part[name] += count
                window.off[name] += int(np.count_nonzero(self._who.get(name, 0)))

    def _count_row(self, connection: Connection, spikes: int) -> None:
        if connection.name in self.window.off_rows:
            off = int(np.count_nonzero(self._who[connection.target]))
            self.window.off_rows[connection.name][off] += spikes * (off > 0)

    def _updates(self, name: str, when: int) -> Array:
        """(4,): active and awake updates of a population at step ``when`` of the window, and those of neurons that are
        off."""
        spikes, late = self._history[name][-1], self._session.depths[name]
        current = self._given[-1 - late] if self._network[name].current else 0
        arriving, thresholds = self._arriving(name, when), self._session.thresholds[name]
        return self._followers[name].step(arriving, spikes, thresholds, current, self._who.get(name))[:, 0]

    def _arriving(self, name: str, when: int) -> Array:
        """(1, n): a population's net synaptic input at step ``when`` of the window, connection biases left out."""
        total: Array = np.zeros((1, self._network[name].size), self._kind)
        for connection in self._network.incoming(name):
            emitted = when - connection.delay
            if emitted >= 0:
                ago = self._clock - (emitted + self._session.depths[connection.source])
                total = total + connection.drive(self._history[connection.source][-1 - ago])
        return total
