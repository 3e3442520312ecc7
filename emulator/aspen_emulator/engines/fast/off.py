"""Neurons that are off at several settings of the dial, as the compiled core counts what falls on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from aspen._base.arrays import Array
from aspen.network.off import fan_out_to, patterns_of
from aspen_emulator.engines.fast.plan import Plan
from aspen_emulator.engines.lif import switched_off

_LARGEST = 64
"""Patterns of neurons whose fan-out a plan keeps for each connection, as a stream comes back to its knobs."""


class SwitchedOff:
    """Which neurons are off at each setting, and what a spike reaches of them.

    Settings, steps and samples with the same neurons off have the same pattern, of which everything is known once.

    Args:
        plan: of the network.
        thresholds: for each setting: population -> (steps or 1, batch or 1, n or 1).

    Attributes:
        who: for each setting: population -> (steps or 1, batch or 1, n) bool, where any is off.
    """

    def __init__(self, plan: Plan, thresholds: Sequence[Mapping[str, Array]]) -> None:
        self._plan = plan
        self.who = [switched_off(plan.populations, each) for each in thresholds]
        self._which: dict[str, Array] = {}
        self._patterns: dict[str, Array] = {}
        for name in {name for each in self.who for name in each}:
            nobody = np.zeros((1, 1, plan.populations[name].size), bool)
            masks = np.stack(np.broadcast_arrays(*(each.get(name, nobody) for each in self.who)))
            self._patterns[name], which = patterns_of(masks)
            some = np.asarray(self._patterns[name].any(axis=1))
            self._which[name] = np.where(some[which], which, -1)

    @property
    def any(self) -> bool:
        """Whether any neuron is off at any setting."""
        return bool(self._which)

    def fan_out(self, connection: str) -> Array | None:
        """(p, n_source), in the core's order: synapses to the neurons that are off; None where none of its targets is.

        Args:
            connection: its name.
        """
        found = self._plan.connections[self._plan.position[connection]]
        patterns = self._patterns.get(found.target)
        return None if patterns is None else np.stack([self._known(connection, pattern) for pattern in patterns])

    def _known(self, name: str, pattern: Array) -> Array:
        key, known = (name, pattern.tobytes()), self._plan.fan_out_off
        if key not in known:
            connection = self._plan.connections[self._plan.position[name]]
            if len(known) >= _LARGEST * len(self._plan.connections):
                known.clear()
            known[key] = fan_out_to(connection, pattern[None])[0, self._plan.orders[connection.source]]
        return known[key]

    def reached(self, connection: str, busy: Array, setting: int, time: slice, samples: slice) -> Array | int:
        """(steps, batch) int64: what values other than zero reach of neurons that are off; 0 where none is.

        Args:
            connection: its name.
            busy: (steps, batch, n_source) bool, in the core's order, of these steps and samples.
            setting: of the dial.
            time, samples: which part of the run it is.
        """
        fan_out = self.fan_out(connection)
        if fan_out is None:
            return 0
        target = self._plan.connections[self._plan.position[connection]].target
        which = np.broadcast_to(_part(self._which[target], time, samples)[setting], busy.shape[:2])
        everywhere = busy.astype(np.int64) @ fan_out.T  # (steps, batch, p)
        chosen = np.take_along_axis(everywhere, np.maximum(which, 0)[..., None], axis=2)[..., 0]
        return np.where(which < 0, 0, chosen)

    def job(self, time: slice, samples: slice) -> dict[str, Array]:
        """The fields of :class:`aspen_emulator.engines.fast.core.arrays.Job` for a part of the run."""
        plan = self._plan
        at, fan_at = np.full((len(plan.slots), 5), -1, np.int64), np.full((len(plan.connections) + 1, 2), -1, np.int64)
        fan_at[-1] = 0 if self.any else -1
        which: list[Array] = [np.zeros(1, np.int64)]
        words: list[Array] = [np.zeros(1, np.uint64)]
        fan: list[Array] = [np.zeros(1, np.int64)]
        for name, patterns in self._patterns.items():
            slot, table = plan.slots.index(name), _part(self._which[name], time, samples)
            strides = [int(np.prod(table.shape[i + 1 :])) if table.shape[i] > 1 else 0 for i in range(3)]
            at[slot] = sum(map(len, which)), *strides, sum(map(len, words))
            which.append(np.ascontiguousarray(table).ravel())
            words.append(_words(patterns[:, plan.orders[name]], plan.padded[name]))
        for index, connection in enumerate(plan.connections):
            reached = self.fan_out(connection.name)
            if reached is not None:
                fan_at[index] = sum(map(len, fan)), plan.slots.index(connection.target)
                fan.append(reached.ravel())
        return {
            "off": np.concatenate(which), "off_at": at, "off_words": np.concatenate(words),
            "off_fan": np.concatenate(fan), "off_fan_at": fan_at,
        }  # fmt: skip


def _part(table: Array, time: slice, samples: slice) -> Array:
    """Of a table (settings, steps or 1, batch or 1) the steps and samples of a chunk."""
    table = table if table.shape[1] == 1 else table[:, time]
    return table if table.shape[2] == 1 else table[:, :, samples]


def _words(patterns: Array, padded: int) -> Array:
    """A bit for each neuron, in words of 64: pattern after pattern."""
    wide = np.zeros((len(patterns), padded), bool)
    wide[:, : patterns.shape[1]] = patterns
    return np.packbits(wide, axis=1, bitorder="little").view(np.uint64).ravel()
