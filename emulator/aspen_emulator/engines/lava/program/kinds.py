"""Processes that every run configuration runs as they are meant.

Lava chooses a process's model by the tags of the user's run configuration, which say nothing of this network's numbers.
Each process here has a single model, without a tag: it is taken whatever the configuration asks for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.dense.models import PyDenseModelBitAcc, PyDenseModelFloat
from lava.proc.dense.process import Dense
from lava.proc.sparse.models import PySparseModelBitAcc, PySparseModelFloat
from lava.proc.sparse.process import Sparse

from aspen._base.arrays import Array
from aspen.network.network import Network
from aspen_emulator.engines.inputs import check_input
from aspen_emulator.engines.lava.processes import (
    DelayLine,
    DialLif,
    PyAnalogDelayLine,
    PyDelayLine,
    PyDialLifFixed,
    PyDialLifFloat,
)


def _alone(process: type, model: type) -> tuple[type, type]:
    """A kind of ``process`` that has no model but one like ``model``, and this model."""
    here = {"__module__": __name__}
    kind = type(f"{process.__name__}On{model.__name__}", (process,), here)
    return kind, type(f"{model.__name__}Alone", (model,), {**here, "implements_process": kind, "tags": []})


FloatLif, FloatLifModel = _alone(DialLif, PyDialLifFloat)
FixedLif, FixedLifModel = _alone(DialLif, PyDialLifFixed)
SpikeLine, SpikeLineModel = _alone(DelayLine, PyDelayLine)
ValueLine, ValueLineModel = _alone(DelayLine, PyAnalogDelayLine)
FloatDense, FloatDenseModel = _alone(Dense, PyDenseModelFloat)
FixedDense, FixedDenseModel = _alone(Dense, PyDenseModelBitAcc)
FloatSparse, FloatSparseModel = _alone(Sparse, PySparseModelFloat)
FixedSparse, FixedSparseModel = _alone(Sparse, PySparseModelBitAcc)
ALONE: dict[type, type] = {
    PyDialLifFloat: FloatLif,
    PyDialLifFixed: FixedLif,
    PyDelayLine: SpikeLine,
    PyAnalogDelayLine: ValueLine,
    PyDenseModelFloat: FloatDense,
    PyDenseModelBitAcc: FixedDense,
    PySparseModelFloat: FloatSparse,
    PySparseModelBitAcc: FixedSparse,
}
"""CPU model -> the process that has none but this one. Lava finds the models among the names of this module."""


def make_alone(model: type, kind: type, arguments: dict[str, Any]) -> Any:
    """The process of a recipe (:data:`aspen_emulator.engines.lava.stock.Make`)."""
    return ALONE[model](**arguments)


class _Inlet(AbstractProcess):
    """Hands on what comes in, checked, in the same step.

    Vars:
        begin: as that of :class:`~aspen_emulator.engines.lava.processes.DialLif`.

    Args:
        network: whose input it is.
        period: steps from one sample to the next; 0: there is one.
        idle: steps at the end of a period in which nothing is handed on.
        name: for Lava's messages.
    """

    def __init__(self, *, network: Network, period: int, idle: int, name: str) -> None:
        super().__init__(network=network, period=period, idle=idle, name=name)
        self.s_in = InPort(shape=(network.input.size,))
        self.s_out = OutPort(shape=(network.input.size,))
        self.begin = Var(shape=(1,), init=0)


class SpikeInlet(_Inlet):
    """For spikes."""


class ValueInlet(_Inlet):
    """For analog values and direct currents."""


class _AbstractInletModel(PyLoihiProcessModel):
    begin: Any
    _first = 0

    def run_spk(self) -> None:
        """One time step. Something is sent even when the step fails, or the next process would wait for ever."""
        values = self.s_in.recv()
        sent = np.zeros(values.shape)
        try:
            if self._listens():
                sent = self._checked(values)
        finally:
            self.s_out.send(sent)

    def _listens(self) -> bool:
        now, period = self.time_step - 1, self.proc_params["period"]
        if self.begin[0] >= 0:
            self._first = now + int(self.begin[0])
            self.begin = np.full(1, -1)
        return not period or (now - self._first) % period < period - self.proc_params["idle"]

    def _checked(self, values: Array) -> Array:
        """Many processes send floats: whole numbers among them are taken where integers are wanted."""
        network: Network = self.proc_params["network"]
        wanted = not network.input.current or network.is_integer
        if (
            wanted
            and values.dtype.kind == "f"
            and np.isfinite(values).all()
            and np.array_equal(values, np.rint(values))
        ):
            values = values.astype(np.int64)
        return check_input(network, values.reshape(1, 1, *network.input.shape)).reshape(-1)


@implements(proc=SpikeInlet, protocol=LoihiProtocol)
@requires(CPU)
class PySpikeInlet(_AbstractInletModel):
    """CPU model of :class:`SpikeInlet`; what comes in keeps the type in which it was sent, but for bool."""

    s_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, bool, precision=1)
    begin: Any = LavaPyType(np.ndarray, np.int64)


@implements(proc=ValueInlet, protocol=LoihiProtocol)
@requires(CPU)
class PyValueInlet(_AbstractInletModel):
    """CPU model of :class:`ValueInlet`, likewise."""

    s_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.float64)
    begin: Any = LavaPyType(np.ndarray, np.int64)
