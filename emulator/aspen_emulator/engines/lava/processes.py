"""ASPEN's own Lava processes: a source, delay lines, and LIF neurons whose thresholds can be turned while they run.

Only the worker process imports this module, after :func:`aspen_emulator.engines.lava.shim.import_lava`.

Lava's stock ``LIF`` keeps one threshold for the whole population and ignores it once it runs. :class:`DialLif` holds a
Var of thresholds, one per neuron, and reads it anew at every step. What a step computes is
:func:`aspen_emulator.engines.lif.lif_step`, for every reset.

Input and output do not pass through Lava's channels, which would need a process each: the source reads, and the
neurons write, memory that all processes of a run share since before they were forked.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from aspen._base.arrays import Array
from aspen.network.neurons import Neuron
from aspen_emulator.engines.lif import LifState, lif_step


class Source(AbstractProcess):
    """Emits the rows of an array, one per step, over and over.

    Args:
        data: (rows, n), spikes (zeros and ones) or analog values, in shared memory: what is written into it later is
            emitted later.
        name: for Lava's messages.
    """

    def __init__(self, *, data: Array, name: str) -> None:
        super().__init__(data=data, name=name)
        self.s_out = OutPort(shape=data.shape[1:])


@implements(proc=Source, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt", "fixed_pt")
class PySpikeSource(PyLoihiProcessModel):
    """CPU model of :class:`Source` for spikes."""

    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, bool, precision=1)

    def run_spk(self) -> None:
        """One time step."""
        data = self.proc_params["data"]
        self.s_out.send(data[(self.time_step - 1) % len(data)])


@implements(proc=Source, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyAnalogSource(PySpikeSource):
    """CPU model of :class:`Source` for analog values: messages have the type of the port that sends them."""

    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.float64)


class DelayLine(AbstractProcess):
    """Emits what it received some steps before, and zeros at first.

    Args:
        n: number of values.
        steps: 1 and more.
        name: for Lava's messages.
    """

    def __init__(self, *, n: int, steps: int, name: str) -> None:
        super().__init__(n=n, steps=steps, name=name)
        self.s_in = InPort(shape=(n,))
        self.s_out = OutPort(shape=(n,))


@implements(proc=DelayLine, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt", "fixed_pt")
class PyDelayLine(PyLoihiProcessModel):
    """CPU model of :class:`DelayLine` for spikes."""

    s_in: Any = LavaPyType(PyInPort.VEC_DENSE, bool, precision=1)
    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, bool, precision=1)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        steps = proc_params["steps"]
        self._held = deque([np.zeros(proc_params["n"])] * steps, maxlen=steps)

    def run_spk(self) -> None:
        """One time step."""
        self.s_out.send(self._held[0])
        self._held.append(self.s_in.recv())


@implements(proc=DelayLine, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyAnalogDelayLine(PyDelayLine):
    """CPU model of :class:`DelayLine` for analog values."""

    s_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.float64)


class DialLif(AbstractProcess):
    """A population of LIF neurons with thresholds that can be set while the runtime is alive.

    Vars:
        threshold: (n,) or (1,), in units of the membrane.
        first_step: (1,), the Lava step, counted from 0, at which the population starts from rest; silent before.
        u, v, owed: (n,), the state.

    Args:
        neuron: parameters, scalar or with n values each.
        threshold: initial value of the Var.
        drive_bias: (n,), added to the synaptic input at every step.
        depth: Lava steps by which the population is late; initial value of ``first_step``.
        period: steps after which the neurons start from rest again; 0: never.
        idle: steps at the end of every period in which they are silent.
        record: (rows, n) uint8 in shared memory; the spikes of Lava step ``t`` are written to row ``t % rows``.
        membranes: (rows, n) likewise, for the membranes that are compared with the thresholds; None: not recorded.
        current: (rows, n) in shared memory, a direct current; row ``t % rows`` acts at Lava step ``t + depth``.
        name: for Lava's messages.
    """

    def __init__(
        self,
        *,
        neuron: Neuron,
        threshold: Array,
        drive_bias: Array,
        depth: int,
        period: int,
        idle: int,
        record: Array,
        membranes: Array | None,
        current: Array | None,
        name: str,
    ) -> None:
        shared = {"record": record, "membranes": membranes, "current": current}
        fixed = {"neuron": neuron, "drive_bias": drive_bias}
        super().__init__(depth=depth, period=period, idle=idle, name=name, **fixed, **shared)
        shape = record.shape[1:]
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.u = Var(shape=shape, init=0)
        self.v = Var(shape=shape, init=0)
        self.owed = Var(shape=shape, init=0)
        self.threshold = Var(shape=threshold.shape, init=threshold)
        self.first_step = Var(shape=(1,), init=depth)


class _AbstractDialLifModel(PyLoihiProcessModel):
    """What the floating-point and the fixed-point model share: everything but the number formats."""

    u: Any
    v: Any
    owed: Any

    def run_spk(self) -> None:
        """One time step. Spikes are sent even when the step fails, or the next process would wait for ever."""
        record = self.proc_params["record"]
        spikes = np.zeros(record.shape[1:], bool)
        drive = self.a_in.recv()
        try:
            since_start = self.time_step - 1 - int(self.first_step[0])
            if since_start >= 0:
                spikes = self._advance(drive, since_start)
            record[(self.time_step - 1) % len(record)] = spikes
        finally:
            self.s_out.send(spikes)

    def _advance(self, drive: Array, since_start: int) -> Array:
        period, idle = self.proc_params["period"], self.proc_params["idle"]
        step = since_start % period if period else since_start
        if step == 0:
            self.u, self.v, self.owed = (np.zeros_like(values) for values in (self.u, self.v, self.owed))
        if period and step >= period - idle:
            return np.zeros(drive.shape, bool)
        state = LifState(self.u, self.v, self.owed)
        drive = drive + self.proc_params["drive_bias"]
        spikes, membrane = lif_step(state, drive, self.threshold, self.proc_params["neuron"], self._current())
        self.u, self.v, self.owed = state.u, state.v, state.owed
        if (rows := self.proc_params["membranes"]) is not None:
            rows[(self.time_step - 1) % len(rows)] = membrane
        return spikes

    def _current(self) -> Array | int:
        rows = self.proc_params["current"]
        return 0 if rows is None else rows[(self.time_step - 1 - self.proc_params["depth"]) % len(rows)]


@implements(proc=DialLif, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyDialLifFloat(_AbstractDialLifModel):
    """:class:`DialLif` in float64."""

    a_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, bool, precision=1)
    u: Any = LavaPyType(np.ndarray, np.float64)
    v: Any = LavaPyType(np.ndarray, np.float64)
    owed: Any = LavaPyType(np.ndarray, np.float64)
    threshold: Any = LavaPyType(np.ndarray, np.float64)
    first_step: Any = LavaPyType(np.ndarray, np.int64)


@implements(proc=DialLif, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyDialLifFixed(_AbstractDialLifModel):
    """:class:`DialLif` in Loihi's integers; 24 bits of state are held in int64."""

    a_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, bool, precision=1)
    u: Any = LavaPyType(np.ndarray, np.int64, precision=24)
    v: Any = LavaPyType(np.ndarray, np.int64, precision=24)
    owed: Any = LavaPyType(np.ndarray, np.int64, precision=24)
    threshold: Any = LavaPyType(np.ndarray, np.int64, precision=24)
    first_step: Any = LavaPyType(np.ndarray, np.int64)
