"""One chunk of samples and steps: its input made ready, its parts run on all threads, its results kept."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np

from aspen._base.arrays import Array
from aspen_emulator.engines.fast.core import kernels as core
from aspen_emulator.engines.fast.core.arrays import Counts, Job, State
from aspen_emulator.engines.fast.off import SwitchedOff
from aspen_emulator.engines.fast.outside import analog_drive, product
from aspen_emulator.engines.fast.parts import Part
from aspen_emulator.engines.fast.plan import Plan

WORTH_THREADS = 500_000
"""Neuron updates below which starting threads takes longer than they save."""
BLOCKS = 4
"""Parts of a chunk's samples for each thread: the last ones to finish wait for less."""


def threads() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Chunk:
    """A chunk of a run.

    Args:
        plan: of the network.
        spikes: the whole input, (steps, batch, *shape).
        dials: settings of the thresholds side by side.
        time, samples: which part of the input.
    """

    def __init__(self, plan: Plan, spikes: Array, dials: int, time: slice, samples: slice) -> None:
        self.plan, self.spikes, self.dials, self.time, self.samples = plan, spikes, dials, time, samples
        self.steps, self.batch = time.stop - time.start, samples.stop - samples.start
        self.rows = self.batch * dials
        own = np.asarray(spikes[time, samples]).reshape(self.steps, self.batch, -1)
        self.analog = plan.input.is_analog
        self.given = np.zeros((self.steps, self.batch, 0), np.uint8)
        self.current = np.zeros((self.steps, self.batch, 0), plan.state_type)
        if plan.input.neuron is not None:
            self.current = np.ascontiguousarray(plan.direct_current(own))
        elif not self.analog:
            ready = own.dtype == np.uint8 and own.flags.c_contiguous and own.flags.writeable
            self.given = own if ready else np.array(own, np.uint8, order="C")  # one type of array, one machine code

    @cached_property
    def density(self) -> float:
        """Share of the input's neurons that spike."""
        return np.count_nonzero(self.given.view(bool)) / self.given.size if self.given.size else 0.0

    def run(
        self,
        pool: ThreadPoolExecutor | None,
        parts: list[Part],
        outside: set[str],
        state: State,
        counts: Counts,
        thresholds: tuple[Array, Array],
        switched: SwitchedOff,
        rasters: Mapping[str, Array],
        membranes: Mapping[str, Array],
    ) -> None:
        """Run all parts; ``rasters`` and ``membranes`` (dials, steps, batch, *shape) of the whole run are filled in."""
        needed = {name for part in parts for name in part.loads}
        needed |= {c.source for c in self.plan.connections if c.name in outside}
        needed |= set(rasters)
        spikes, spikes_at = self._room([name for name in needed if name in self.plan.order], np.uint8)
        seen, seen_at = self._room(list(membranes), self.plan.state_type)
        if self.analog:
            self._count_values(counts, switched)
        off = switched.job(self.time, self.samples)
        for part in parts:
            sums, sums_at = self._outside(part, outside, spikes, spikes_at)
            job = Job(
                todo=np.array([self.plan.slots.index(name) for name in part.todo], np.int64),
                loads=self._loads(part, part is parts[0]),
                given=self.given,
                current=self.current,
                outside=sums,
                outside_at=sums_at,
                thresholds=thresholds[0],
                thresholds_at=thresholds[1],
                rasters=spikes,
                rasters_at=spikes_at,
                membranes=seen,
                membranes_at=seen_at,
                **off,
            )
            self._advance(pool, state, job, counts)
        self._keep(rasters, spikes, spikes_at)
        self._keep(membranes, seen, seen_at)

    def _room(self, names: list[str], kind: type) -> tuple[Array, Array]:
        places, size = np.full(len(self.plan.slots), -1, np.int64), 0
        for name in names:
            places[self.plan.slots.index(name)] = size
            size += self.steps * self.rows * self.plan.populations[name].size
        return np.empty(size, kind), places

    def _view(self, flat: Array, places: Array, name: str) -> Array:
        """(steps, rows, n) of one population."""
        first, n = places[self.plan.slots.index(name)], self.plan.populations[name].size
        return flat[first : first + self.steps * self.rows * n].reshape(self.steps, self.rows, n)

    def _keep(self, into: Mapping[str, Array], flat: Array, places: Array) -> None:
        for name, whole in into.items():
            values = self._view(flat, places, name).reshape(self.steps, self.batch, self.dials, -1)
            for dial in range(self.dials):
                whole[dial, self.time, self.samples] = self.plan.natural(name, values[:, :, dial])

    def _loads(self, part: Part, first: bool) -> Array:
        rows = [(self.plan.slots.index(name), first and name == self.plan.input.name) for name in part.loads]
        return np.array(rows, np.int64).reshape(-1, 2)

    def _outside(self, part: Part, outside: set[str], spikes: Array, spikes_at: Array) -> tuple[Array, Array]:
        """The sums of connections into ``part`` that the core does not add up, and where they are.

        In the type of the state, which holds them: another one would be another machine code.
        """
        table = np.full((len(self.plan.connections), 5), -1, np.int64)
        pieces, first = [np.zeros(0, self.plan.state_type)], 0
        for index, connection in enumerate(self.plan.connections):
            if connection.name not in outside or connection.target not in part.todo:
                continue
            from_input = connection.source == self.plan.input.name and self.plan.input.neuron is None
            if connection.name in self.plan.weighing:
                sums = analog_drive(self.plan, connection, self.spikes, self.time, self.samples)
            else:
                source = self.given if from_input else self._view(spikes, spikes_at, connection.source)
                sums = product(self.plan, connection, source)
            table[index] = first, from_input, self.batch if from_input else self.rows, *self.plan.scaling(connection)
            pieces.append(sums.ravel().astype(self.plan.state_type, copy=False))
            first += sums.size
        return (pieces[1] if len(pieces) == 2 else np.concatenate(pieces)), table

    def _count_values(self, counts: Counts, switched: SwitchedOff) -> None:
        """Multiply-accumulates: what the values other than zero of an analog input reach."""
        busy = (np.asarray(self.spikes[self.time, self.samples]) != 0).reshape(self.steps, self.batch, -1)
        for index, connection in enumerate(self.plan.connections):
            if connection.name in self.plan.weighing:
                reached = busy.astype(np.int64) @ self.plan.fan_out[connection.name]
                counts.operations[0, index, self.time, self.samples] = reached
                for dial in range(self.dials if switched.any else 0):
                    lost = switched.reached(connection.name, busy, dial, self.time, self.samples)
                    counts.off_operations[dial, index, self.time, self.samples] = lost

    def _advance(self, pool: ThreadPoolExecutor | None, state: State, job: Job, counts: Counts) -> None:
        origin = (self.time.start, self.time.start, self.samples.start)

        def block(bounds: tuple[int, int]) -> None:
            core.advance(self.plan.tables, state, job, counts, origin, self.steps, bounds, self.dials)

        blocks = min(self.batch, BLOCKS * threads())
        if blocks == 1 or pool is None or self.steps * state.v.size < WORTH_THREADS:
            block((0, self.batch))
            return
        edges = [self.batch * i // blocks for i in range(blocks + 1)]
        list(pool.map(block, [(edges[i], edges[i + 1]) for i in range(blocks)]))
