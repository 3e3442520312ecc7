"""The ``lava`` engine: networks on the real Lava runtime (its CPU process models), with thresholds that can be turned.

Everything here works without importing Lava; it runs in a process of its own
(:mod:`aspen_emulator.engines.lava.isolation`). Lava must be installed
(:func:`aspen_emulator.engines.lava.shim.require_lava` says how).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np

from aspen._base.arrays import Array
from aspen.errors import EngineError, InputError
from aspen.network.network import Network
from aspen.network.record import Record, kept_membranes
from aspen_emulator.engines.inputs import check_input
from aspen_emulator.engines.lava.isolation import SHUTDOWN_SECONDS, LavaWorker, Progress
from aspen_emulator.engines.lava.layout import check_network
from aspen_emulator.engines.lava.schedule import (
    Schedule,
    Setup,
    check_names,
    default_timeout,
    make_schedule,
    per_neuron,
    thresholds_at,
)
from aspen_emulator.engines.replay import record_from_rasters


def run_lava(
    network: Network,
    spikes: Array,
    thresholds: Mapping[str, Array],
    record: str = "counts",
    *,
    timeout: float | None = None,
    progress: Progress | None = None,
) -> Record:
    """Run a network on Lava. The state starts at zero for every sample; samples run one after the other.

    Lava's delay of one step per connection is taken out of the result: it is aligned as in snnTorch. Where thresholds
    change, the run pauses, sets them, and reads them back. Integers give the spikes of the other engines to the bit;
    in floating point Lava adds up weights in an order of its own, which may round a membrane to the other side of its
    threshold.

    Args:
        network: any, but every cycle needs delays of one step per connection in it, and integer weights must be those
            that Lava takes (even where signs are mixed).
        spikes: (steps, batch, *input_shape), 0 and 1; or the current, where the input takes one.
        thresholds: population -> (steps or 1, batch or 1, n or 1), scaled, in units of the membrane
            (in a chip's integers: ``mantissa << 6``).
        record: one of :data:`aspen.network.record.RECORDS`.
        timeout: seconds for the run, the start of the runtime included (the worker process has a minute of its own to
            start); default: 60, and 0.05 for each step and process.
        progress: called now and then with the Lava steps done and their total.

    Raises:
        InputError: spikes, thresholds or timeout are not allowed.
        EngineError: the network cannot run on Lava, the run failed, or it took longer than ``timeout``.
        MissingDependencyError: Lava is not installed.
    """
    return run_checked(network, check_input(network, spikes), thresholds, record, timeout=timeout, progress=progress)


def run_checked(
    network: Network,
    spikes: Array,
    thresholds: Mapping[str, Array],
    record: str = "counts",
    *,
    timeout: float | None = None,
    progress: Progress | None = None,
) -> Record:
    """:func:`run_lava` on input that :func:`aspen_emulator.engines.inputs.check_input` has seen."""
    job = _Job.of(network, spikes, thresholds, timeout)  # refuses before a process is started
    with LavaWorker() as worker:
        return job.run_on(worker, record, progress)


def run_on(
    worker: LavaWorker,
    network: Network,
    spikes: Array,
    thresholds: Mapping[str, Array],
    record: str = "counts",
    *,
    timeout: float | None = None,
    progress: Progress | None = None,
) -> Record:
    """:func:`run_lava` on a worker that is already there, which saves its start of half a second."""
    job = _Job.of(network, check_input(network, spikes), thresholds, timeout)
    return job.run_on(worker, record, progress)


@dataclass(frozen=True, eq=False)
class _Job:
    """A run that is checked and planned, and has to be done.

    Args:
        network: what runs.
        spikes: (steps, batch, *input_shape), checked.
        thresholds: population -> (steps or 1, batch or 1, n or 1).
        schedule: when samples begin, and thresholds change.
        timeout: seconds.
    """

    network: Network
    spikes: Array
    thresholds: Mapping[str, Array]
    schedule: Schedule
    timeout: float

    @classmethod
    def of(cls, network: Network, spikes: Array, thresholds: Mapping[str, Array], timeout: float | None) -> _Job:
        steps, batch = spikes.shape[:2]
        schedule = make_schedule(network, steps, batch, thresholds)
        values = sum(change.values.size for change in schedule.changes)
        default = default_timeout(network, schedule.total, len(schedule.changes), values)
        return cls(network, spikes, thresholds, schedule, check_timeout(timeout, default))

    def run_on(self, worker: LavaWorker, record: str, progress: Progress | None) -> Record:
        network, checked = self.network, self.spikes
        steps, batch = checked.shape[:2]
        asked = (network, checked, self.schedule, kept_membranes(network, record))
        rasters, membranes = worker.request("run", *asked, timeout=self.timeout, progress=progress)
        if network.input.neuron is None:
            rasters[network.input.name] = checked
        shaped = {p.name: rasters[p.name].reshape(steps, batch, *p.shape) for p in network.populations}
        kept = {name: values.reshape(steps, batch, *network[name].shape) for name, values in membranes.items()}
        return record_from_rasters(network, shaped, "lava", record, kept, self.thresholds, checked)


def check_timeout(timeout: float | None, default: float) -> float:
    """``timeout`` in seconds, or the default; raises InputError unless it is finite and above 0."""
    if timeout is None:
        return default
    if not (timeout > 0 and math.isfinite(timeout)):
        raise InputError(f"timeout: found {timeout}, allowed are finite seconds above 0; leave it out for a default")
    return float(timeout)


class LavaSession:
    """One sample on Lava, step by step, with thresholds that can be turned between steps; use it in a ``with`` block.

    Lava takes one time step per connection: input given at step t reaches a population ``depths[name]`` steps later,
    and the output at step ``t + latency``. Until then a population is silent. Thresholds given at a step act on all
    populations in that Lava step.

    Args:
        network: what :func:`run_lava` takes.
        timeout: seconds that each call may take; default: 60 and a little more for large networks.

    Attributes:
        network: what runs.
        depths: population -> Lava steps by which it is late.
        membranes: population -> (*shape): of the output, as compared with the thresholds in the last step, where the
            network's read-out is on membranes.

    Raises:
        EngineError: the network cannot run on Lava, or the runtime does not start.
        MissingDependencyError: Lava is not installed.
    """

    def __init__(self, network: Network, timeout: float | None = None) -> None:
        self.network = network
        self.depths = check_network(network)
        self._timeout = check_timeout(timeout, default_timeout(network, 1, 1, 2 * network.n_neurons))
        self._thresholds = thresholds_at(network, 1.0)
        self.membranes: dict[str, Array] = {}
        self._worker: LavaWorker | None = LavaWorker()
        self._request("open", network, Setup(self.depths, self._thresholds, kept_membranes(network, "counts")))

    @property
    def latency(self) -> int:
        """Lava steps between an input and the output it causes: the depth of the output population."""
        return self.depths[self.network.output]

    def step(self, spikes: Array, thresholds: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """One Lava step.

        Args:
            spikes: (*input_shape), 0 and 1; or the current, where the input takes one.
            thresholds: population -> (n or 1,), scaled, in units of the membrane; they stay until changed again.
                Populations left out keep theirs; at the start: the network's own.

        Returns:
            population (the input included) -> (*shape) uint8: the spikes of this Lava step; an input of analog values
            as it is given.

        Raises:
            InputError: spikes or thresholds are not allowed; nothing has happened.
            EngineError: the step failed or timed out, and the session is closed; or it was closed before.
        """
        return self.step_checked(check_input(self.network, np.asarray(spikes)[None, None])[0, 0], thresholds)

    def step_checked(self, checked: Array, thresholds: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """:meth:`step` on input that :func:`aspen_emulator.engines.inputs.check_input` has seen."""
        check_names(self.network, thresholds or {}, complete=False)
        wanted = {name: per_neuron(self.network, name, array) for name, array in (thresholds or {}).items()}
        changed = {name: a for name, a in wanted.items() if not np.array_equal(a, self._thresholds[name])}
        rasters, membranes = self._request("step", checked.reshape(-1), changed)
        self._thresholds |= changed
        self.membranes = {name: values.reshape(self.network[name].shape) for name, values in membranes.items()}
        if self.network.input.neuron is None:
            rasters[self.network.input.name] = checked
        return {p.name: rasters[p.name].reshape(p.shape) for p in self.network.populations}

    def reset(self) -> None:
        """Begin a new sample: state at zero, spikes on their way are lost; thresholds stay as they are."""
        self._request("restart")

    def _request(self, command: str, *arguments: object) -> Any:
        if self._worker is None:
            raise EngineError(f"lava session: cannot {command}, as it is closed; open a new session")
        try:
            return self._worker.request(command, *arguments, timeout=self._timeout)
        except BaseException:
            self._worker = None  # the worker has closed itself
            raise

    def close(self) -> None:
        """End the runtime and all its processes; may be called twice."""
        worker, self._worker = self._worker, None
        if worker is None:
            return
        with worker, suppress(EngineError):  # the worker is ended with all its processes, stopped or not
            worker.request("stop", timeout=SHUTDOWN_SECONDS)

    def __enter__(self) -> LavaSession:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
