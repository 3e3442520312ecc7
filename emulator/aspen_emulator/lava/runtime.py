"""A network built from Lava processes, and the runtime that steps it.

Only the worker process imports this module, after :func:`aspen_emulator.lava.shim.import_lava`.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable, Mapping
from math import prod
from typing import Any

import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.dense.models import PyDenseModelBitAcc, PyDenseModelFloat
from lava.proc.dense.process import Dense

from aspen._arrays import Array
from aspen.connections import Connection
from aspen.errors import EngineError
from aspen.network import Network
from aspen_emulator.lava.plan import ThresholdChange
from aspen_emulator.lava.processes import DialLif, PyDialLifFixed, PyDialLifFloat, PySpikeSource, SpikeSource

REPORT_STEPS = 100
"""Steps between two reports of progress."""


def shared_bytes(shape: tuple[int, ...]) -> Array:
    """Zeros (uint8) in anonymous memory, shared with all processes forked later; it has no name that could leak."""
    return np.frombuffer(mmap.mmap(-1, prod(shape)), np.uint8).reshape(shape)


class LavaNetwork:
    """A network on Lava's runtime.

    Args:
        network: what to run; checked with :func:`aspen_emulator.lava.plan.check_network`.
        depths: population -> connections between it and the input.
        thresholds: population -> initial thresholds (n or 1,), in units of the membrane. Their number is fixed by this.
        rows: Lava steps that are remembered.
        period: steps after which every population starts from rest again; 0: never.

    Attributes:
        inputs: (rows, n) uint8: row ``t % rows`` is emitted at Lava step ``t``.
        records: population -> (rows, n) uint8: row ``t % rows`` holds the spikes of Lava step ``t``.
        steps: Lava steps done.
    """

    def __init__(
        self, network: Network, depths: Mapping[str, int], thresholds: Mapping[str, Array], rows: int, period: int
    ) -> None:
        self.network = network
        self.depths = depths
        self.inputs = shared_bytes((rows, network.input.size))
        self.records = {name: shared_bytes((rows, network[name].size)) for name in network.order}
        self.steps = 0
        self._source = SpikeSource(data=self.inputs, name=network.input.name)
        self._neurons = {name: self._neuron(name, thresholds[name], period) for name in network.order}
        self._dense = [self._connect(connection) for connection in network.connections]

    def _neuron(self, name: str, threshold: Array, period: int) -> Any:
        population = self.network[name]
        bias: Array | int = 0
        for connection in self.network.incoming(name):
            if connection.bias is not None:
                bias = bias + connection.bias.astype(np.float64)
        return DialLif(
            neuron=population.neuron,  # type: ignore[arg-type]  # only the input population has none
            threshold=threshold,
            drive_bias=np.asarray(bias),
            first_step=self.depths[name],
            period=period,
            record=self.records[name],
            name=name,
        )

    def _connect(self, connection: Connection) -> Any:
        if connection.is_integer:
            dense = Dense(
                weights=connection.weight, weight_exp=connection.exponent, num_weight_bits=8, name=connection.name
            )
        else:
            dense = Dense(weights=connection.weight.astype(np.float64), name=connection.name)
        source = self._source if connection.source == self.network.input.name else self._neurons[connection.source]
        source.s_out.connect(dense.s_in)
        dense.a_out.connect(self._neurons[connection.target].a_in)
        return dense

    def start(self) -> None:
        """Compile the processes and start the runtime.

        Models are named here, so that Lava need not search files for them. A run of no steps makes Lava's runtime
        take new values of Vars; before its first run it refuses them.
        """
        fixed = self.network.is_integer
        models = {self._source: PySpikeSource}
        models |= dict.fromkeys(self._neurons.values(), PyDialLifFixed if fixed else PyDialLifFloat)
        models |= dict.fromkeys(self._dense, PyDenseModelBitAcc if fixed else PyDenseModelFloat)
        tag = "fixed_pt" if fixed else "floating_pt"
        self._source.create_runtime(run_cfg=Loihi2SimCfg(select_tag=tag, exception_proc_model_map=models))
        self.advance(0)

    def advance(self, steps: int) -> None:
        """Run ``steps`` Lava steps."""
        self._source.run(RunSteps(num_steps=steps))
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

    def restart(self) -> None:
        """From the next step on, every population starts from rest; it is silent until new input can reach it."""
        for name, neuron in self._neurons.items():
            self._set(f"first step of {name}", neuron.first_step, np.array([self.steps + self.depths[name]]))

    def _set(self, what: str, var: Any, values: Array) -> None:
        if values.shape != var.shape:
            raise EngineError(f"{what}: found {values.shape} values, allowed is {var.shape}; start a new run")
        var.set(values)
        taken = var.get().astype(values.dtype)
        if not np.array_equal(taken, values):
            raise EngineError(f"{what}: set to {values}, but Lava kept {taken}; report this, and use engine='fast'")

    def stop(self) -> None:
        """End the runtime and all its processes."""
        self._source.stop()

    def errors(self) -> list[str]:
        """Tracebacks of processes of Lava that failed; Lava itself does not show them."""
        runtime = self._source.runtime
        infrastructure = getattr(runtime, "_messaging_infrastructure", None)
        failed = [actor.exception for actor in (infrastructure.actors if infrastructure else ())]
        return [str(exception[1]) for exception in failed if exception]
