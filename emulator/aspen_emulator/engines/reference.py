"""The reference engine: one step after the other, in NumPy, short and obviously right.

Other engines are tested against it. :class:`Stepper` also serves streams, where the input arrives step by step.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import numpy as np

from aspen._base.arrays import Array
from aspen._base.progress import followed
from aspen.network.network import Network
from aspen.network.neurons import FixedLif
from aspen.network.record import Record, counted_record, kept_membranes
from aspen_emulator.engines.lif import LifState, count_updates, lif_step, overflows, switched_off


class Stepper:
    """State of a network between two time steps, all zero at the start.

    Args:
        network: what to run, in floating point or integers.
        batch: samples that run side by side.
        watch: count in :attr:`overflows` what leaves 24 bits, in integer networks.

    Attributes:
        overflows: population -> (currents that wrapped around, membranes that were clipped) since the start.
        membranes: population -> (batch, n) of the last step, as they were compared with the thresholds.
        updates: population -> (4, batch): active and awake updates of the last step, and those of neurons that are off.
    """

    def __init__(self, network: Network, batch: int, watch: bool = False) -> None:
        self.network = network
        self.batch = batch
        self.overflows = dict.fromkeys(network.order, (0, 0)) if watch else {}
        self.membranes: dict[str, Array] = {}
        self.updates: dict[str, Array] = {}
        self._bias = {name: network.drive_bias(name) for name in network.order}
        self._history = 1 + max(connection.delay for connection in network.summed)
        self.reset()

    def reset(self) -> None:
        """Back to the state at the start of a sample."""
        self._states = {
            p.name: LifState.zeros(self.batch, p.size, p.neuron)
            for p in self.network.populations
            if p.neuron is not None
        }
        silent = {p.name: np.zeros((self.batch, p.size), np.uint8) for p in self.network.populations}
        self._past = {name: deque([zeros] * self._history, maxlen=self._history) for name, zeros in silent.items()}

    def step(self, spikes: Array, thresholds: Mapping[str, Array]) -> dict[str, Array]:
        """One time step.

        Args:
            spikes: (batch, *input_shape), 0 or 1; or the current, where the input takes one.
            thresholds: population -> thresholds of this step, broadcastable to (batch, n).

        Returns:
            population (the input included) -> (batch, n) uint8 spikes of this step.
        """
        network = self.network
        given, off = spikes.reshape(self.batch, -1), switched_off(network, thresholds)
        now = {} if network.input.neuron else {network.input.name: given}
        for name in network.order:
            neuron = network[name].neuron
            assert neuron is not None  # network.order leaves the input out
            state, arriving, bias = self._states[name], self._arriving(name, now), self._bias[name]
            drive, current = arriving + bias, given if network[name].current else 0
            if name in self.overflows and isinstance(neuron, FixedLif):
                wrapped, clipped = overflows(state, drive, neuron, current)
                self.overflows[name] = (self.overflows[name][0] + wrapped, self.overflows[name][1] + clipped)
            self.updates[name] = count_updates(state, arriving, neuron, bias, current, off.get(name))
            spike, self.membranes[name] = lif_step(state, drive, thresholds[name], neuron, current)
            now[name] = spike.astype(np.uint8)
        for name, spike in now.items():
            self._past[name].appendleft(spike)
        return now

    def _arriving(self, name: str, now: Mapping[str, Array]) -> Array:
        """(batch, n): the net synaptic input, without biases."""
        total: Array = np.zeros((), np.int64 if self.network.is_integer else np.float64)
        for connection in self.network.incoming(name):
            source = (
                now[connection.source] if connection.delay == 0 else self._past[connection.source][connection.delay - 1]
            )
            total = total + connection.drive(source)
        return np.broadcast_to(total, (self.batch, self.network[name].size))


def run_reference(network: Network, spikes: Array, thresholds: Mapping[str, Array], record: str = "counts") -> Record:
    """Run all steps; see :func:`aspen_emulator.run`.

    Args:
        network: what to run.
        spikes: (steps, batch, *input_shape) uint8; or the current, where the input takes one.
        thresholds: population -> (steps or 1, batch or 1, n or 1), in units of the membrane.
        record: one of :data:`aspen.network.record.RECORDS`.
    """
    steps, batch = spikes.shape[:2]
    stepper = Stepper(network, batch)
    rasters: dict[str, list[Array]] = {population.name: [] for population in network.populations}
    membranes: dict[str, list[Array]] = {name: [] for name in kept_membranes(network, record)}
    updates: dict[str, list[Array]] = {name: [] for name in network.order}
    for t in followed(range(steps), steps, "reference", "steps"):
        now = stepper.step(spikes[t], {name: array[min(t, len(array) - 1)] for name, array in thresholds.items()})
        for name, spike in now.items():
            rasters[name].append(spike.reshape(batch, *network[name].shape))
        for name, kept in membranes.items():
            kept.append(stepper.membranes[name].reshape(batch, *network[name].shape))
        for name, counts in stepper.updates.items():
            updates[name].append(counts)
    return counted_record(
        network,
        {name: np.stack(values) for name, values in rasters.items()},
        {name: np.stack(counts, axis=1) for name, counts in updates.items()},
        "reference",
        record,
        {name: np.stack(values) for name, values in membranes.items()},
        switched_off(network, thresholds),
    )
