"""ASPEN's own Lava processes: a source, delay lines, and LIF neurons whose thresholds can be turned while they run.

Only the worker process imports this module, after :func:`aspen_emulator.engines.lava.shim.import_lava`.

Lava's stock ``LIF`` keeps one threshold for the whole population and ignores it once it runs. :class:`DialLif` holds a
Var of thresholds, one per neuron, and reads it anew at every step. What a step computes is
:func:`aspen_emulator.engines.lif.lif_step`, for every reset.

In the engine input and output do not pass through Lava's channels, which would need a process each: the source reads,
and the neurons write, memory that all processes of a run share since before they were forked.
"""

from __future__ import annotations

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
    """CPU model of :class:`Source` for values: messages have the type of the port that sends them."""

    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.float64)


class DelayLine(AbstractProcess):
    """Emits what it received some steps before, and zeros at first.

    Vars:
        held: (steps, n), what is on its way.

    Args:
        n: number of values.
        steps: 1 and more.
        name: for Lava's messages.
    """

    def __init__(self, *, n: int, steps: int, name: str) -> None:
        super().__init__(name=name)
        self.s_in = InPort(shape=(n,))
        self.s_out = OutPort(shape=(n,))
        self.held = Var(shape=(steps, n), init=0)


@implements(proc=DelayLine, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt", "fixed_pt")
class PyDelayLine(PyLoihiProcessModel):
    """CPU model of :class:`DelayLine` for spikes."""

    s_in: Any = LavaPyType(PyInPort.VEC_DENSE, bool, precision=1)
    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, bool, precision=1)
    held: Any = LavaPyType(np.ndarray, np.float64)

    def run_spk(self) -> None:
        """One time step."""
        place = (self.time_step - 1) % len(self.held)
        self.s_out.send(self.held[place])
        self.held[place] = self.s_in.recv()


@implements(proc=DelayLine, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyAnalogDelayLine(PyDelayLine):
    """CPU model of :class:`DelayLine` for values."""

    s_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.float64)


class DialLif(AbstractProcess):
    """A population of LIF neurons with thresholds that can be set while the runtime is alive.

    Vars:
        threshold: (n,) or (1,), in units of the membrane.
        begin: (1,), steps until the input of a new sample comes in; the population starts from rest when it can be
            reached by it, and is silent until then. -1: the sample has begun.
        u, v, owed: (n,), the state.

    Ports: ``a_in`` synaptic input, ``current_in`` direct current (zero where it is not connected), ``s_out`` spikes,
    all (n,).

    Args:
        neuron: parameters, scalar or with n values each.
        threshold: initial value of the Var.
        drive_bias: (n,), added to the synaptic input at every step.
        depth: Lava steps by which the population is late.
        period: steps after which the neurons start from rest again; 0: never.
        idle: steps at the end of every period in which they are silent.
        record: (rows, n) uint8 in shared memory; the spikes of Lava step ``t`` are written to row ``t % rows``. None:
            not recorded.
        membranes: (rows, n) likewise, for the membranes that are compared with the thresholds.
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
        record: Array | None,
        membranes: Array | None,
        name: str,
    ) -> None:
        shared = {"record": record, "membranes": membranes}
        fixed = {"neuron": neuron, "drive_bias": drive_bias}
        super().__init__(depth=depth, period=period, idle=idle, name=name, **fixed, **shared)
        shape = drive_bias.shape
        self.a_in = InPort(shape=shape)
        self.current_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.u = Var(shape=shape, init=0)
        self.v = Var(shape=shape, init=0)
        self.owed = Var(shape=shape, init=0)
        self.threshold = Var(shape=threshold.shape, init=threshold)
        self.begin = Var(shape=(1,), init=0)


class _AbstractDialLifModel(PyLoihiProcessModel):
    """What the floating-point and the fixed-point model share: everything but the number formats."""

    u: Any
    v: Any
    owed: Any
    begin: Any
    _first = 0

    def run_spk(self) -> None:
        """One time step. Spikes are sent even when the step fails, or the next process would wait for ever."""
        drive, current = self.a_in.recv(), self._current()
        spikes = np.zeros(drive.shape, bool)
        try:
            if (step := self._step()) is not None:
                spikes = self._advance(drive, current, restart=step == 0)
            self._note("record", spikes)
        finally:
            self.s_out.send(spikes)

    def _current(self) -> Array | int:
        return self.current_in.recv().astype(self.v.dtype) if self.current_in.csp_ports else 0

    def _step(self) -> int | None:
        """The step of the sample, counted from 0; None where the neurons are silent."""
        now, params = self.time_step - 1, self.proc_params
        if self.begin[0] >= 0:
            self._first = now + int(self.begin[0]) + params["depth"]
            self.begin = np.full(1, -1)
        step = now - self._first
        if step >= 0 and params["period"]:
            step %= params["period"]
            return step if step < params["period"] - params["idle"] else None
        return step if step >= 0 else None

    def _advance(self, drive: Array, current: Array | int, restart: bool) -> Array:
        if restart:
            self.u, self.v, self.owed = (np.zeros_like(values) for values in (self.u, self.v, self.owed))
        state = LifState(self.u, self.v, self.owed)
        drive = drive + self.proc_params["drive_bias"]
        spikes, membrane = lif_step(state, drive, self.threshold, self.proc_params["neuron"], current)
        self.u, self.v, self.owed = state.u, state.v, state.owed
        self._note("membranes", membrane)
        return spikes

    def _note(self, what: str, values: Array) -> None:
        rows = self.proc_params[what]
        if rows is not None:
            rows[(self.time_step - 1) % len(rows)] = values


@implements(proc=DialLif, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyDialLifFloat(_AbstractDialLifModel):
    """:class:`DialLif` in float64."""

    a_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    current_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, bool, precision=1)
    u: Any = LavaPyType(np.ndarray, np.float64)
    v: Any = LavaPyType(np.ndarray, np.float64)
    owed: Any = LavaPyType(np.ndarray, np.float64)
    threshold: Any = LavaPyType(np.ndarray, np.float64)
    begin: Any = LavaPyType(np.ndarray, np.int64)


@implements(proc=DialLif, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyDialLifFixed(_AbstractDialLifModel):
    """:class:`DialLif` in Loihi's integers; 24 bits of state are held in int64."""

    a_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    current_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, bool, precision=1)
    u: Any = LavaPyType(np.ndarray, np.int64, precision=24)
    v: Any = LavaPyType(np.ndarray, np.int64, precision=24)
    owed: Any = LavaPyType(np.ndarray, np.int64, precision=24)
    threshold: Any = LavaPyType(np.ndarray, np.int64, precision=24)
    begin: Any = LavaPyType(np.ndarray, np.int64)
