"""What of a run fell on neurons that a knob had switched off: their thresholds were out of reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields

import numpy as np

from aspen._base.arrays import Array, Rebuilt
from aspen.network.connections import Connection


@dataclass(frozen=True, eq=False)
class Off(Rebuilt):
    """How many neurons were off, and what of a run's counts (:class:`aspen.network.record.Record`) fell on these.

    An engine goes on with a neuron that is off: its spikes arrive and it is updated, it only never fires. What a chip
    saves of that, its file says (:data:`aspen_hardware.chips.gating.GATING`). A name that is left out had no neuron off
    in the whole run.

    Args:
        neurons: population -> (steps, batch) int64: neurons that were off.
        active_updates, awake_updates: population -> (steps, batch) int64: what of these were updates of such neurons.
        synaptic_operations, multiply_accumulates: connection -> (steps, batch) int64: what of these reached neurons
            that were off at the step in which they are counted, that of the spike.
        who: population -> (steps or 1, batch or 1, n) bool: which neurons were off; empty where that was not kept.
        rows: connection -> (n_target + 1,) int64: spikes of its source that came while so many neurons of its target
            were off; the first, of none, is 0. Only where counts are sums over steps: of counts of each step, spikes
            and ``neurons`` say it (:func:`aspen.network.record.rows_by_off`).
    """

    neurons: Mapping[str, Array] = field(default_factory=dict)
    active_updates: Mapping[str, Array] = field(default_factory=dict)
    awake_updates: Mapping[str, Array] = field(default_factory=dict)
    synaptic_operations: Mapping[str, Array] = field(default_factory=dict)
    multiply_accumulates: Mapping[str, Array] = field(default_factory=dict)
    who: Mapping[str, Array] = field(default_factory=dict)
    rows: Mapping[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._close(*(each.name for each in fields(self)))

    def changed(self, steps: int, batch: int, change: Callable[[Mapping[str, Array]], dict[str, Array]]) -> Off:
        """The same of a part of the run, as ``change`` makes one of arrays (steps, batch, ...) by name."""
        whole = {name: np.broadcast_to(mask, (steps, batch, mask.shape[-1])) for name, mask in self.who.items()}
        parts = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "rows"} | {"who": whole}
        return Off(**{name: change(counts) for name, counts in parts.items()})


def neurons_off(who: Mapping[str, Array], steps: int, batch: int) -> dict[str, Array]:
    """Population -> (steps, batch) int64: how many neurons are off where ``who`` is true."""
    return {
        name: np.broadcast_to(np.count_nonzero(mask, axis=2), (steps, batch)).astype(np.int64)
        for name, mask in who.items()
    }


def patterns_of(mask: Array) -> tuple[Array, Array]:
    """The different rows of a mask (..., n): (p, n) bool, and (...) int64: which of them each is."""
    rows = mask.reshape(-1, mask.shape[-1])
    if len(rows) == 1:  # one knob: a stream turns it often, and sorting takes longer than all else
        return rows, np.zeros(mask.shape[:-1], np.int64)
    packed = np.packbits(rows, axis=1)
    _, first, which = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    return rows[first], which.astype(np.int64).reshape(mask.shape[:-1])


def fan_out_to(connection: Connection, patterns: Array) -> Array:
    """(p, n_source) int64: of each source's synapses, those that lead to the neurons of each pattern (p, n_target)."""
    reaches = connection.synapses().astype(bool).astype(np.int64)
    return np.ascontiguousarray((reaches.T @ patterns.T.astype(np.int64)).T)


def reached_off(connection: Connection, busy: Array, mask: Array) -> Array:
    """(steps, batch) int64: synapses from sources that are ``busy`` (steps, batch, n_source) to neurons that are off.

    ``mask``: (steps or 1, batch or 1, n_target) bool.
    """
    patterns, which = patterns_of(mask)
    found = np.zeros(busy.shape[:2], np.int64)
    which = np.broadcast_to(which, found.shape)
    for index, fan_out in enumerate(fan_out_to(connection, patterns)):
        here = which == index
        found[here] = busy[here].astype(np.int64) @ fan_out
    return found
