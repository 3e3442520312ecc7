"""The Lava processes of a network, connected to each other.

Imported where Lava is: in the worker process (:mod:`aspen_emulator.engines.lava.runtime`), and in a user's own program
(:mod:`aspen_emulator.engines.lava.program`), after :func:`aspen_emulator.engines.lava.shim.import_lava`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from aspen._base.arrays import Array
from aspen.errors import EngineError
from aspen.network.connections import Connection
from aspen.network.network import Network
from aspen_emulator.engines.lava.layout import waiting_steps
from aspen_emulator.engines.lava.processes import (
    DelayLine,
    DialLif,
    PyAnalogDelayLine,
    PyDelayLine,
    PyDialLifFixed,
    PyDialLifFloat,
)
from aspen_emulator.engines.lava.schedule import Setup
from aspen_emulator.engines.lava.stock import Make, stock_connection


class Graph:
    """One process for each population and connection, and delay lines where connections need more than one Lava step.

    Args:
        network: what to build.
        setup: thresholds to begin with, depths, period.
        make: makes the processes.
        given: the process whose port ``s_out`` (n_input,) emits the input: spikes, analog values or a direct current.
        records: population -> shared memory for its spikes; those left out are not recorded.
        membranes: population -> shared memory for its membranes.

    Attributes:
        neurons: population -> process.
        processes: all of them, what emits the input included.
    """

    def __init__(
        self,
        network: Network,
        setup: Setup,
        make: Make,
        given: Any,
        records: Mapping[str, Array] | None = None,
        membranes: Mapping[str, Array] | None = None,
    ) -> None:
        self._network, self._setup, self._make = network, setup, make
        self._records, self._membranes = records or {}, membranes or {}
        self.processes: list[Any] = [given]
        self._clearable: list[Any] = []
        self._late: dict[tuple[Any, int], Any] = {}
        self.neurons = {name: self._neuron(name) for name in network.order}
        self._emitted = {name: neurons.s_out for name, neurons in self.neurons.items()}
        if network.input.neuron is None:
            self._emitted[network.input.name] = given.s_out
        else:
            late = self._delayed(given.s_out, setup.depths[network.input.name], values=True)
            late.connect(self.neurons[network.input.name].current_in)
        for connection in network.summed:
            self._connect(connection)

    def _made(self, model: type, kind: type, arguments: dict[str, Any]) -> Any:
        process = self._make(model, kind, arguments)
        self.processes.append(process)
        return process

    def _neuron(self, name: str) -> Any:
        arguments = {
            "neuron": self._network[name].neuron,
            "threshold": self._setup.thresholds[name],
            "drive_bias": self._network.drive_bias(name),
            "depth": self._setup.depths[name],
            "period": self._setup.period,
            "idle": self._setup.idle,
            "record": self._records.get(name),
            "membranes": self._membranes.get(name),
            "name": name,
        }
        return self._made(PyDialLifFixed if self._network.is_integer else PyDialLifFloat, DialLif, arguments)

    def _connect(self, connection: Connection) -> None:
        analog = self._network[connection.source].is_analog
        process = self._made(*stock_connection(connection, analog))
        waiting = waiting_steps(connection, self._setup.depths)
        self._delayed(self._emitted[connection.source], waiting, analog).connect(process.s_in)
        process.a_out.connect(self.neurons[connection.target].a_in)
        if connection.delay > self._setup.depths[connection.source]:
            self._clearable.append(process.a_buff)

    def _delayed(self, port: Any, steps: int, values: bool) -> Any:
        """A port that emits what ``port`` does ``steps`` steps late; one for all who need it."""
        if steps == 0:
            return port
        if (port, steps) not in self._late:
            n = port.shape[0]
            arguments = {"n": n, "steps": steps, "name": f"{port.process.name}, {steps} steps late"}
            line = self._made(PyAnalogDelayLine if values else PyDelayLine, DelayLine, arguments)
            port.connect(line.s_in)
            self._late[port, steps] = line.s_out
            self._clearable.append(line.held)
        return self._late[port, steps]

    def set_threshold(self, name: str, values: Array) -> None:
        """Set the thresholds of population ``name``, (n or 1,) as many as at the start, and read them back.

        Raises:
            EngineError: Lava did not take the values.
        """
        set_var(f"threshold of {name}", self.neurons[name].threshold, values)

    def begin(self, steps: int = 0) -> None:
        """In ``steps`` steps a new sample comes in: each population starts from rest when it can be reached by it.

        Populations are silent until then; what is on its way arrives before, where the longest delay is not more than
        ``steps``.
        """
        for process in self.processes:
            if hasattr(process, "begin"):
                set_var(f"begin of {process.name}", process.begin, np.array([steps]))

    def clear(self) -> None:
        """Forget what is on its way and could arrive in a sample that begins now: behind the longer delays."""
        for var in self._clearable:
            set_var(f"{var.name} of {var.process.name}", var, np.zeros(var.shape))


def set_var(what: str, var: Any, values: Array) -> None:
    """Give a Var of a runtime that is paused new values, and read them back.

    Raises:
        EngineError: Lava did not take them.
    """
    if values.shape != var.shape:
        raise EngineError(f"{what}: found {values.shape} values, allowed is {var.shape}; start a new run")
    var.set(values)
    taken = var.get().astype(values.dtype)
    if not np.array_equal(taken, values):
        raise EngineError(f"{what}: set to {values}, but Lava kept {taken}; report this, and use engine='fast'")


def failures(runtime: Any) -> list[str]:
    """Tracebacks of a runtime's processes that failed; Lava itself does not show them."""
    infrastructure = getattr(runtime, "_messaging_infrastructure", None)
    failed = [actor.exception for actor in (infrastructure.actors if infrastructure else ())]
    return [str(exception[1]) for exception in failed if exception]


def has_ended(runtime: Any) -> bool:
    """Whether a process of a runtime is gone: it was stopped, or failed."""
    actors = runtime._messaging_infrastructure.actors
    return any(actor._is_done or not actor.is_alive() for actor in actors)
