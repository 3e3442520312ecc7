"""Streams: one time step at a time with as little as possible around the compiled core."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

import numba
import numpy as np

from aspen._base.arrays import Array
from aspen.network.network import Network
from aspen.network.off import neurons_off
from aspen_emulator.engines.fast.core import kernels as core
from aspen_emulator.engines.fast.core.arrays import Counts, Job
from aspen_emulator.engines.fast.dials import Dialled
from aspen_emulator.engines.fast.off import SwitchedOff
from aspen_emulator.engines.fast.parts import Chooser
from aspen_emulator.engines.fast.plan import plan_of

_NOW = slice(0, 1)


class StepEvents(NamedTuple):
    """Counts of one step, as integers.

    ``spikes``: population -> spikes; ``active``, ``awake``: population -> active and awake updates, 0 for an input
    without neurons; see :class:`aspen.network.record.Record`.
    ``operations``: connection -> synaptic operations, multiply-accumulates where its source is an analog input.
    ``off``: population -> neurons that were off; ``off_active``, ``off_awake``, ``off_operations``: what of the counts
    fell on these; empty where none was off (:class:`aspen.network.off.Off`).
    ``off_rows``: connection -> how many neurons of its target were off in a sample, and the spikes of its source there.
    """

    spikes: dict[str, int]
    active: dict[str, int]
    awake: dict[str, int]
    operations: dict[str, int]
    off: dict[str, int]
    off_active: dict[str, int]
    off_awake: dict[str, int]
    off_operations: dict[str, int]
    off_rows: dict[str, list[tuple[int, int]]]


class FastStepper:
    """As :class:`aspen_emulator.engines.reference.Stepper`, for streams with the least delay.

    Args:
        network: what to run, in floating point or integers.
        batch: samples that run side by side.
    """

    def __init__(self, network: Network, batch: int) -> None:
        self.batch = batch
        self.plan = plan_of(network)
        chooser = Chooser(self.plan)
        self._analog = [c for c in self.plan.connections if c.name in self.plan.weighing]
        self._output = network.output
        slots, sizes = len(self.plan.slots), {name: self.plan.populations[name].size for name in self.plan.slots}
        starts = np.cumsum([0, *(batch * sizes[name] for name in self.plan.order)]).tolist()
        self._places = [(n, starts[i], starts[i + 1], (batch, sizes[n])) for i, n in enumerate(self.plan.order)]
        self._turned = [name for name in self.plan.order if not self.plan.as_is[name]]
        self._input = self.plan.input.name if self.plan.input.neuron is None else None
        rasters_at, membranes_at = np.full((2, slots), -1, np.int64)
        for name, start, _, _ in self._places:
            rasters_at[self.plan.slots.index(name)] = start
        membranes_at[self.plan.slots.index(self._output)] = 0
        (part,) = chooser.parts(chooser.chosen(0.0) & {c.name for c in self._analog})
        self._spiking = self.plan.input.neuron is None and not chooser.analog
        self._counts = Counts.zeros(1, slots, len(self.plan.connections), 1, batch, off=True)
        self._spikes = self._counts.spikes[0, :, 0]
        thresholds = {name: np.ones((1, 1, 1), self.plan.state_type) for name in self.plan.order}
        self._dialled: object = None
        self._switch_off(thresholds)
        flat, places = Dialled.of(self.plan, [thresholds]).chunk(self.plan, _NOW, slice(0, batch))
        self._job = Job(
            todo=np.array([self.plan.slots.index(name) for name in part.todo], np.int64),
            loads=np.array([(0, 1)] if self._spiking else [], np.int64).reshape(-1, 2),
            given=np.zeros((1, batch, sizes[self.plan.input.name] if self._spiking else 0), np.uint8),
            current=np.zeros(
                (1, batch, sizes[self.plan.slots[0]] if self.plan.input.neuron else 0), self.plan.state_type
            ),
            outside=np.zeros(sum(batch * sizes[c.target] for c in self._analog), self.plan.state_type),
            outside_at=self._outside_at(sizes),
            thresholds=flat,
            thresholds_at=places,
            rasters=np.zeros(starts[-1], np.uint8),
            rasters_at=rasters_at,
            membranes=np.zeros(batch * sizes[self._output], self.plan.state_type),
            membranes_at=membranes_at,
            **self._off.job(_NOW, slice(0, batch)),
        )
        self.reset()
        arguments = self._arguments()
        self._advance = core.advance.compile(tuple(numba.typeof(each) for each in arguments))

    def _outside_at(self, sizes: Mapping[str, int]) -> Array:
        table, first = np.full((len(self.plan.connections), 5), -1, np.int64), 0
        for connection in self._analog:
            table[self.plan.position[connection.name]] = first, True, self.batch, *self.plan.scaling(connection)
            first += self.batch * sizes[connection.target]
        return table

    def reset(self) -> None:
        """Back to the state at the start of a sample."""
        self._clock = 0
        self._state = self.plan.state(self.batch)
        self._past: deque[Array] = deque(maxlen=1 + max((c.delay for c in self._analog), default=0))

    def step(self, spikes: Array, thresholds: Mapping[str, Array]) -> dict[str, Array]:
        """One time step; see :meth:`aspen_emulator.engines.reference.Stepper.step`.

        The thresholds of a mapping are read once: give another mapping, rather than other numbers in the same one.
        """
        if thresholds is not self._dialled:
            self._dial(thresholds)
        given = spikes.reshape(self.batch, -1)
        if self._spiking:
            self._job.given[0] = given
        elif self.plan.input.neuron is not None:
            self._job.current[:] = self.plan.direct_current(given[None])
        else:
            self._weigh(given)
        self._advance(*self._arguments())
        self._clock += 1
        flat = self._job.rasters.copy()  # what is given out stays as it is
        now = {} if self._input is None else {self._input: given}
        for name, start, stop, shape in self._places:
            now[name] = flat[start:stop].reshape(shape)
        for name in self._turned:
            now[name] = self.plan.natural(name, now[name]).reshape(self.batch, -1)
        return now

    @property
    def membranes(self) -> dict[str, Array]:
        """Output population -> (batch, n), the last step's membranes as they were compared with the thresholds."""
        if not self._clock:
            return {}
        values = self.plan.natural(self._output, self._job.membranes.reshape(self.batch, -1))
        kind = np.float64 if self.plan.state_type is np.float64 else np.int64
        return {self._output: values.reshape(self.batch, -1).astype(kind)}

    def counted(self) -> dict[str, int]:
        """Spikes of each population in the last step, all samples together; of an analog input none."""
        totals = self._spikes[:, 0] if self.batch == 1 else self._spikes.sum(axis=1)
        return dict(zip(self.plan.slots, totals.tolist(), strict=True))

    def events(self) -> StepEvents:
        """All counts of the last step, all samples together."""
        spikes, active, awake, operations = (each[0, :, 0].sum(axis=1).tolist() for each in self._counts[:4])
        return StepEvents(
            dict(zip(self.plan.slots, spikes, strict=True)),
            dict(zip(self.plan.slots, active, strict=True)),
            dict(zip(self.plan.slots, awake, strict=True)),
            {c.name: n for c, n in zip(self.plan.connections, operations, strict=True)},
            *self._events_off(),
            self._rows_off(),
        )

    def _rows_off(self) -> dict[str, list[tuple[int, int]]]:
        """As the last of :class:`StepEvents`."""
        off, spikes = self._many_off, dict(zip(self.plan.slots, self._spikes, strict=True))
        return {
            c.name: [pair for pair in zip(off[c.target], spikes[c.source].tolist(), strict=True) if pair[0]]
            for c in self.plan.summed
            if c.target in off and c.name not in self.plan.weighing
        }

    def _events_off(self) -> tuple[dict[str, int], dict[str, int], dict[str, int], dict[str, int]]:
        """As those of neurons that are off of :class:`StepEvents`, but for rows."""
        if not self._off.any:
            return {}, {}, {}, {}
        who = self._off.who[0]
        active, awake, operations = (each[0, :, 0].sum(axis=1).tolist() for each in self._counts[4:])
        slots, connections = self.plan.slots, self.plan.connections
        return (
            {name: sum(counts) for name, counts in self._many_off.items()},
            {name: n for name, n in zip(slots, active, strict=True) if name in who},
            {name: n for name, n in zip(slots, awake, strict=True) if name in who},
            {c.name: n for c, n in zip(connections, operations, strict=True) if c.target in who},
        )

    def _arguments(self) -> tuple[object, ...]:
        return self.plan.tables, self._state, self._job, self._counts, (self._clock, 0, 0), 1, (0, self.batch), 1

    def _dial(self, thresholds: Mapping[str, Array]) -> None:
        shaped = {name: np.atleast_2d(array)[None] for name, array in thresholds.items()}
        flat, places = Dialled.of(self.plan, [shaped]).chunk(self.plan, _NOW, slice(0, self.batch))
        self._switch_off(shaped)
        for counts in self._counts[4:]:
            counts[:] = 0  # the core writes where somebody is off
        off = self._off.job(_NOW, slice(0, self.batch))
        self._job = self._job._replace(thresholds=flat, thresholds_at=places, **off)
        self._dialled = thresholds

    def _switch_off(self, thresholds: Mapping[str, Array]) -> None:
        """See who is off, and how many: the same at every step until the knob is turned."""
        self._off = SwitchedOff(self.plan, [thresholds])
        who = self._off.who[0]
        self._many_off = {name: counts[0].tolist() for name, counts in neurons_off(who, 1, self.batch).items()}

    def _weigh(self, values: Array) -> None:
        self._past.appendleft(np.asarray(values, np.float64))
        busy = (values != 0).astype(np.int64)
        for connection in self._analog:
            position = self.plan.position[connection.name]
            self._counts.operations[0, position, 0] = busy @ self.plan.fan_out[connection.name]
            lost = self._off.reached(connection.name, busy[None], 0, _NOW, slice(0, self.batch))
            self._counts.off_operations[0, position, 0] = lost
            first = self._job.outside_at[position, 0]
            size = self.batch * self.plan.populations[connection.target].size
            drive = self._job.outside[first : first + size]
            drive[:] = 0
            if len(self._past) > connection.delay:
                sums = connection.accumulate(self._past[connection.delay])
                drive[:] = sums[:, self.plan.orders[connection.target]].ravel()
