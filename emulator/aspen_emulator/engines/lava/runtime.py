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
from aspen.network.network import Network
from aspen_emulator.engines.lava.graph import Graph, failures
from aspen_emulator.engines.lava.layout import longest_delay
from aspen_emulator.engines.lava.processes import PyAnalogSource, PySpikeSource, Source
from aspen_emulator.engines.lava.schedule import Setup, ThresholdChange

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
        inputs: (rows, n): row ``t % rows`` is the input of Lava step ``t``.
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
        self.inputs = shared_zeros((setup.rows, network.input.size), given)
        self.records = {name: shared_zeros((setup.rows, network[name].size)) for name in network.order}
        self.membranes = {name: shared_zeros((setup.rows, network[name].size), numbers) for name in setup.watched}
        self.steps = 0
        self._models: dict[Any, Any] = {}
        model = PyAnalogSource if network.input.current else PySpikeSource
        source = self._make(model, Source, {"data": self.inputs, "name": network.input.name})
        self._graph = Graph(network, setup, self._make, source, self.records, self.membranes)
        self._any = source

    def _make(self, model: type, kind: type, arguments: dict[str, Any]) -> Any:
        """A process, and note the model to run it on: Lava need not search files for it then."""
        process = kind(**arguments)
        self._models[process] = model
        return process

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
        self._graph.set_threshold(name, values)

    def feed(self, values: Array) -> None:
        """Give the input (n,) of the next step."""
        self.inputs[self.steps % len(self.inputs)] = values

    def restart(self) -> None:
        """From the next step on, every population starts from rest; it is silent until new input can reach it.

        What is on its way arrives meanwhile, in as many idle steps as the longest delay has.
        """
        idle = longest_delay(self.network)
        self.inputs[:] = 0
        self._graph.begin(idle)
        self.advance(idle)

    def stop(self) -> None:
        """End the runtime and all its processes."""
        self._any.stop()

    def errors(self) -> list[str]:
        """Tracebacks of processes of Lava that failed; Lava itself does not show them."""
        return failures(self._any.runtime)
