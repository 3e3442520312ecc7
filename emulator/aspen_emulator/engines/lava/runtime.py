"""A network built from Lava processes, and the runtime that steps it.

Only the worker process imports this module, after :func:`aspen_emulator.engines.lava.shim.import_lava`.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable
from math import prod
from typing import Any

import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from numpy.typing import DTypeLike

from aspen._base.arrays import Array
from aspen.errors import EngineError
from aspen.network.connections import Connection
from aspen.network.network import Network
from aspen_emulator.engines.lava.layout import longest_delay, waiting_steps
from aspen_emulator.engines.lava.processes import (
    DelayLine,
    DialLif,
    PyAnalogDelayLine,
    PyAnalogSource,
    PyDelayLine,
    PyDialLifFixed,
    PyDialLifFloat,
    PySpikeSource,
    Source,
)
from aspen_emulator.engines.lava.schedule import Setup, ThresholdChange
from aspen_emulator.engines.lava.stock import stock_process

REPORT_STEPS = 100
"""Steps between two reports of progress."""


def shared_zeros(shape: tuple[int, ...], dtype: DTypeLike = np.uint8) -> Array:
    """Zeros in anonymous memory, shared with all processes forked later; it has no name that could leak."""
    size = prod(shape) * np.dtype(dtype).itemsize
    return np.frombuffer(mmap.mmap(-1, size), dtype).reshape(shape)


class LavaNetwork:
    """A network on Lava's runtime.

    Args:
        network: what to run.
        setup: thresholds to begin with, and what is remembered.

    Attributes:
        inputs: (rows, n), and as many rows more as the input is late; row ``t % rows`` acts on step ``t`` of the input.
        records: population -> (rows, n) uint8: row ``t % rows`` holds the spikes of Lava step ``t``.
        membranes: watched population -> (rows, n): the membranes that were compared with the thresholds, likewise.
        steps: Lava steps done.
    """

    def __init__(self, network: Network, setup: Setup) -> None:
        self.network = network
        self.setup = setup
        self.depths = setup.depths
        numbers = np.int64 if network.is_integer else np.float64
        given = numbers if network.input.current else np.uint8
        self.inputs = shared_zeros((setup.rows + self.depths[network.input.name], network.input.size), given)
        self.records = {name: shared_zeros((setup.rows, network[name].size)) for name in network.order}
        self.membranes = {name: shared_zeros((setup.rows, network[name].size), numbers) for name in setup.watched}
        self.steps = 0
        self._models: dict[Any, Any] = {}
        self._sources: dict[str, Any] = {}
        if network.input.neuron is None:
            model = PyAnalogSource if network.input.is_analog else PySpikeSource
            self._sources[network.input.name] = self._on(model, Source(data=self.inputs, name=network.input.name))
        self._neurons = {name: self._neuron(name) for name in network.order}
        self._sources |= self._neurons
        self._late: dict[tuple[str, int], Any] = {}
        for connection in network.connections:
            self._connect(connection)
        self._any = next(iter(self._neurons.values()))

    def _on(self, model: type, process: Any) -> Any:
        """Note the model to run ``process`` on: Lava need not search files for it then."""
        self._models[process] = model
        return process

    def _neuron(self, name: str) -> Any:
        population = self.network[name]
        neurons = DialLif(
            neuron=population.neuron,  # type: ignore[arg-type]  # network.order leaves the input out that has none
            threshold=self.setup.thresholds[name],
            drive_bias=self.network.drive_bias(name),
            depth=self.depths[name],
            period=self.setup.period,
            idle=self.setup.idle,
            record=self.records[name],
            membranes=self.membranes.get(name),
            current=self.inputs if population.current else None,
            name=name,
        )
        return self._on(PyDialLifFixed if self.network.is_integer else PyDialLifFloat, neurons)

    def _connect(self, connection: Connection) -> None:
        process = self._on(*stock_process(connection, self._carries_analog(connection.source)))
        self._delayed(connection.source, waiting_steps(connection, self.depths)).s_out.connect(process.s_in)
        process.a_out.connect(self._neurons[connection.target].a_in)

    def _carries_analog(self, name: str) -> bool:
        return name == self.network.input.name and self.network.input.is_analog

    def _delayed(self, name: str, steps: int) -> Any:
        """The process that emits the spikes of population ``name`` ``steps`` steps late; one for all who need it."""
        if steps == 0:
            return self._sources[name]
        if (name, steps) not in self._late:
            line = DelayLine(n=self.network[name].size, steps=steps, name=f"{name}, {steps} steps late")
            self._late[name, steps] = self._on(PyAnalogDelayLine if self._carries_analog(name) else PyDelayLine, line)
            self._sources[name].s_out.connect(line.s_in)
        return self._late[name, steps]

    def start(self) -> None:
        """Compile the processes and start the runtime.

        A run of no steps makes Lava's runtime take new values of Vars; before its first run it refuses them.
        """
        tag = "fixed_pt" if self.network.is_integer else "floating_pt"
        self._any.create_runtime(run_cfg=Loihi2SimCfg(select_tag=tag, exception_proc_model_map=self._models))
        self.advance(0)

    def advance(self, steps: int) -> None:
        """Run ``steps`` Lava steps."""
        self._any.run(RunSteps(num_steps=steps))
        self.steps += steps

    def run_until(
        self, total: int, changes: Iterable[ThresholdChange], report: Callable[[int, int], None] | None
    ) -> None:
        """Run until ``total`` Lava steps are done, in one go unless thresholds change or progress is reported.

        Args:
            total: Lava steps.
            changes: thresholds to set on the way.
            report: called with the steps done and ``total``.
        """
        due: dict[int, list[ThresholdChange]] = {}
        for change in changes:
            due.setdefault(change.step, []).append(change)
        reports = range(REPORT_STEPS, total, REPORT_STEPS) if report else ()
        for stop in sorted({*due, *reports, total}):
            self.advance(stop - self.steps)
            for change in due.get(stop, ()):
                self.set_threshold(change.name, change.values)
            if report:
                report(stop, total)

    def set_threshold(self, name: str, values: Array) -> None:
        """Set the thresholds of population ``name``, (n or 1,) as many as at the start, and read them back.

        Raises:
            EngineError: Lava did not take the values.
        """
        self._set(f"threshold of {name}", self._neurons[name].threshold, values)

    def feed(self, values: Array) -> None:
        """Give the input (n,) of the next step."""
        self.inputs[self.steps % len(self.inputs)] = values

    def restart(self) -> None:
        """From the next step on, every population starts from rest; it is silent until new input can reach it.

        What is on its way arrives meanwhile, in as many idle steps as the longest delay has.
        """
        idle = longest_delay(self.network)
        self.inputs[:] = 0
        for name, neuron in self._neurons.items():
            start = self.steps + idle + self.depths[name]
            self._set(f"first step of {name}", neuron.first_step, np.array([start]))
        self.advance(idle)

    def _set(self, what: str, var: Any, values: Array) -> None:
        if values.shape != var.shape:
            raise EngineError(f"{what}: found {values.shape} values, allowed is {var.shape}; start a new run")
        var.set(values)
        taken = var.get().astype(values.dtype)
        if not np.array_equal(taken, values):
            raise EngineError(f"{what}: set to {values}, but Lava kept {taken}; report this, and use engine='fast'")

    def stop(self) -> None:
        """End the runtime and all its processes."""
        self._any.stop()

    def errors(self) -> list[str]:
        """Tracebacks of processes of Lava that failed; Lava itself does not show them."""
        runtime = self._any.runtime
        infrastructure = getattr(runtime, "_messaging_infrastructure", None)
        failed = [actor.exception for actor in (infrastructure.actors if infrastructure else ())]
        return [str(exception[1]) for exception in failed if exception]
