"""A network of Lava's stock processes only: what runs on Loihi, and on Lava's bit-accurate CPU models.

Only the worker process imports this module, after :func:`aspen_emulator.engines.lava.shim.import_lava`. All that is
known of Intel's extension stands in :func:`_to_chip` and :func:`_from_chip`; it could not be run here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2HwCfg, Loihi2SimCfg
from lava.proc.io.sink import PyReceiveModelFixed
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import PySendModelFixed
from lava.proc.io.source import RingBuffer as Source

from aspen._base.arrays import Array
from aspen.network.network import Network
from aspen_emulator.engines.lava.graph import failures
from aspen_emulator.engines.lava.stock import StockGraph, run_sample


class StockNetwork:
    """A network on Lava's runtime, from stock processes.

    Args:
        network: integers; what :func:`aspen_emulator.engines.lava.loihi.check_stock` takes.
        rows: (lava steps, n) uint8: the input of the whole run.
        mantissas: population -> threshold.
        simulate: on the CPU models instead of the chip.
    """

    def __init__(self, network: Network, rows: Array, mantissas: Mapping[str, int], simulate: bool) -> None:
        self.network = network
        self._simulate = simulate
        self._models: dict[Any, Any] = {}
        self._graph = StockGraph(network, mantissas, self._make)
        source = self._make(PySendModelFixed, Source, {"data": np.ascontiguousarray(rows.T, dtype=np.int32)})
        spikes = source.s_out if simulate else _to_chip(source, network.input.size)
        spikes.connect(self._graph.entries)
        self._sinks = {name: self._sink(name, len(rows)) for name in network.order}
        self._any = next(iter(self._graph.neurons.values()))

    def _make(self, model: type, kind: type, arguments: dict[str, Any]) -> Any:
        """A process, and note the model to run it on: Lava need not search files for it then."""
        process = kind(**arguments)
        self._models[process] = model
        return process

    def _sink(self, name: str, steps: int) -> Any:
        n = self.network[name].size
        sink = self._make(PyReceiveModelFixed, Sink, {"shape": (n,), "buffer": steps})
        spikes = self._graph.neurons[name].s_out
        (spikes if self._simulate else _from_chip(spikes, n)).connect(sink.a_in)
        return sink

    def start(self) -> None:
        """Compile the processes, load them, and start the runtime. A run of no steps makes it take values of Vars."""
        tag = "fixed_pt"
        if self._simulate:
            config = Loihi2SimCfg(select_tag=tag, exception_proc_model_map=self._models)
        else:
            config = Loihi2HwCfg(select_tag=tag)
        self._any.create_runtime(run_cfg=config)
        self.advance(0)

    def advance(self, steps: int) -> None:
        """Run ``steps`` Lava steps."""
        self._any.run(RunSteps(num_steps=steps))

    def rest(self, name: str) -> None:
        """Set current and membrane of population ``name`` to zero."""
        self._graph.rest(name)

    def rasters(self) -> dict[str, Array]:
        """Population -> (lava steps, n) uint8: spikes so far."""
        return {name: sink.data.get().T.astype(np.uint8) for name, sink in self._sinks.items()}

    def stop(self) -> None:
        """End the runtime and all its processes."""
        self._any.stop()

    def errors(self) -> list[str]:
        """Tracebacks of processes of Lava that failed; Lava itself does not show them."""
        return failures(self._any.runtime)


def run_samples(lava: StockNetwork, depths: Mapping[str, int], steps: int, batch: int) -> dict[str, Array]:
    """Run ``batch`` samples of ``steps`` steps, one after the other; population -> (steps, batch, n)."""
    period = steps + max(depths.values())
    lava.start()
    for _ in range(batch):
        run_sample(depths, steps, lava.advance, lava.rest)
    rasters = {name: rows.reshape(batch, period, -1) for name, rows in lava.rasters().items()}
    lava.stop()
    return {name: rows[:, depths[name] :][:, :steps].swapaxes(0, 1).copy() for name, rows in rasters.items()}


def padded(spikes: Array, latency: int) -> Array:
    """Samples (steps, batch, *shape) in a row, each followed by ``latency`` silent steps: (lava steps, n)."""
    steps, batch = spikes.shape[:2]
    samples = spikes.swapaxes(0, 1).reshape(batch, steps, -1)
    silence = np.zeros((batch, latency, samples.shape[2]), samples.dtype)
    return np.concatenate([samples, silence], axis=1).reshape(batch * (steps + latency), -1)


def _to_chip(source: Any, n: int) -> Any:
    """The port from which the chip gets the spikes of ``source``, which runs on the host."""
    from lava.proc.embedded_io.spike import PyToNxAdapter

    adapter = PyToNxAdapter(shape=(n,))
    source.s_out.connect(adapter.inp)
    return adapter.out


def _from_chip(spikes: Any, n: int) -> Any:
    """The port at which the host gets what the port ``spikes`` sends on the chip."""
    from lava.proc.embedded_io.spike import NxToPyAdapter

    adapter = NxToPyAdapter(shape=(n,))
    spikes.connect(adapter.inp)
    return adapter.out
