"""Runs of the fast engine: chunks of samples and time, threads, and what is kept of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from aspen._base.arrays import Array
from aspen.network.network import Network
from aspen.network.off import Off, neurons_off
from aspen.network.record import Record, kept_membranes
from aspen_emulator.engines.fast.chunk import Chunk, threads
from aspen_emulator.engines.fast.core.arrays import Counts, State
from aspen_emulator.engines.fast.dials import Dialled
from aspen_emulator.engines.fast.off import SwitchedOff
from aspen_emulator.engines.fast.parts import Chooser
from aspen_emulator.engines.fast.plan import plan_of

CHUNK_BYTES = 2**28
"""Memory for what is held at once beside input and record; larger runs are run in chunks of samples and time."""
LEAST_STEPS = 32
"""Time steps of a chunk, as long as a single sample fits."""


def run_fast(network: Network, spikes: Array, thresholds: Mapping[str, Array], record: str = "counts") -> Record:
    """Run all steps; arguments and results as :func:`aspen_emulator.engines.reference.run_reference`."""
    return run_dials(network, spikes, [thresholds], record)[0]


def run_dials(
    network: Network, spikes: Array, thresholds: Sequence[Mapping[str, Array]], record: str = "counts"
) -> list[Record]:
    """Run several settings of the thresholds in one go, which share all that does not depend on them.

    Args:
        network: what to run.
        spikes: (steps, batch, *input_shape) uint8, a memory-mapped file too; or the current, where the input takes one.
        thresholds: for each setting: population -> (steps or 1, batch or 1, n or 1), in units of the membrane.
        record: one of :data:`aspen.network.record.RECORDS`.

    Returns:
        The records of the settings; each is what a run with this setting alone gives.
    """
    return _Run(network, spikes, thresholds, record).records()


class _Run:
    def __init__(self, network: Network, spikes: Array, thresholds: Sequence[Mapping[str, Array]], record: str) -> None:
        self.network, self.plan, self.spikes = network, plan_of(network), spikes
        self.dials, (self.steps, self.batch) = len(thresholds), spikes.shape[:2]
        self.dialled, self.switched = Dialled.of(self.plan, thresholds), SwitchedOff(self.plan, thresholds)
        self.chooser = Chooser(self.plan)
        shape = (self.steps, self.batch)
        self.counts = Counts.zeros(
            self.dials, len(self.plan.slots), len(self.plan.connections), *shape, self.switched.any
        )
        with_spikes = record != "counts"
        wide = {name: (self.dials, *shape, *self.plan.populations[name].shape) for name in self.plan.slots}
        kept = network.order if with_spikes else [network.output]
        self.with_spikes = with_spikes
        self.rasters = {name: np.empty(wide[name], np.uint8) for name in kept}
        kind = np.int64 if network.is_integer else np.float64
        self.membranes = {name: np.empty(wide[name], kind) for name in kept_membranes(network, record)}

    def records(self) -> list[Record]:
        """Run everything."""
        with ThreadPoolExecutor(threads()) as pool:  # threads start when they are given work
            for samples in self._sample_chunks():
                state = self.plan.state((samples.stop - samples.start) * self.dials)
                for time in self._time_chunks(samples):
                    self._run_chunk(pool, state, time, samples)
        return [self._record(dial) for dial in range(self.dials)]

    def _step_bytes(self) -> int:
        kept = sum(self.plan.populations[name].size for name in self.rasters)
        kept += sum(8 * self.plan.populations[name].size for name in self.membranes)
        return self.plan.input.size * self.spikes.itemsize + self.dials * (kept + 8 * self.chooser.widest)

    def _sample_chunks(self) -> Iterator[slice]:
        own = self.dials * self.plan.state_bytes + min(self.steps, LEAST_STEPS) * self._step_bytes()
        most = max(1, CHUNK_BYTES // 2 // own)
        start, size = 0, min(most, self.chooser.first_samples(self.batch))
        while start < self.batch:
            yield slice(start, min(start + size, self.batch))
            start, size = start + size, most

    def _time_chunks(self, samples: slice) -> Iterator[slice]:
        most = max(1, CHUNK_BYTES // 2 // (self._step_bytes() * (samples.stop - samples.start)))
        for start in range(0, self.steps, most):
            yield slice(start, min(start + most, self.steps))

    def _run_chunk(self, pool: ThreadPoolExecutor, state: State, time: slice, samples: slice) -> None:
        chunk = Chunk(self.plan, self.spikes, self.dials, time, samples)
        chosen = self.chooser.chosen(chunk.density if self.chooser.looks_at_input else 0.0)
        thresholds = self.dialled.chunk(self.plan, time, samples)
        chunk.run(
            pool, self.chooser.parts(chosen), chosen, state, self.counts, thresholds, self.switched,
            self.rasters, self.membranes,
        )  # fmt: skip
        self.chooser.learn(self.counts.spikes[:, :, time, samples])

    def _record(self, dial: int) -> Record:
        plan, given = self.plan, self.plan.input
        operations = {c.name: self._operations(dial, i) for i, c in enumerate(plan.connections)}
        weighing = self.network.weighing
        rasters = {name: values[dial] for name, values in self.rasters.items()} if self.with_spikes else {}
        if self.with_spikes and given.neuron is None:
            rasters = {given.name: np.asarray(self.spikes), **rasters}
        return Record(
            network=self.network,
            output=self.rasters[self.network.output][dial],
            spikes={name: self.counts.spikes[self._dial_of(name, dial), q] for q, name in enumerate(plan.slots)},
            synaptic_operations={name: count for name, count in operations.items() if name not in weighing},
            active_updates=self._updates(self.counts.active[dial]),
            awake_updates=self._updates(self.counts.awake[dial]),
            rasters=rasters,
            engine="fast",
            multiply_accumulates={name: count for name, count in operations.items() if name in weighing},
            membranes={name: values[dial] for name, values in self.membranes.items()},
            off=self._off(dial),
        )

    def _off(self, dial: int) -> Off:
        who = self.switched.who[dial]
        if not who:
            return Off()
        active, awake = ({n: c for n, c in self._updates(counts[dial]).items() if n in who}
                         for counts in (self.counts.off_active, self.counts.off_awake))  # fmt: skip
        reached = self.counts.off_operations[dial]
        lost = {c.name: reached[i] for i, c in enumerate(self.plan.connections) if c.target in who}
        weighing = self.network.weighing
        return Off(
            neurons=neurons_off(who, self.steps, self.batch),
            active_updates=active,
            awake_updates=awake,
            synaptic_operations={name: count for name, count in lost.items() if name not in weighing},
            multiply_accumulates={name: count for name, count in lost.items() if name in weighing},
            who=who,
        )

    def _updates(self, counts: Array) -> dict[str, Array]:
        """Counts (slots, steps, batch) by population with neurons."""
        return {name: counts[q] for q, name in enumerate(self.plan.slots) if name in self.plan.order}

    def _dial_of(self, source: str, dial: int) -> int:
        """What the input alone decides is counted once."""
        return 0 if source == self.plan.input.name and self.plan.input.neuron is None else dial

    def _operations(self, dial: int, connection: int) -> Array:
        return self.counts.operations[self._dial_of(self.plan.connections[connection].source, dial), connection]
