"""The reference engine: one step after the other, in NumPy, short and obviously right.

Other engines are tested against it. :class:`Stepper` also serves streams, where the input arrives step by step.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import numpy as np

from aspen._arrays import Array
from aspen.network import Network
from aspen_emulator.lif import LifState, lif_step


class Stepper:
    """State of a network between two time steps, all zero at the start.

    Args:
        network: what to run, in floating point or integers.
        batch: samples that run side by side.
    """

    def __init__(self, network: Network, batch: int) -> None:
        self.network = network
        self.batch = batch
        self._history = 1 + max(connection.delay for connection in network.connections)
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
            spikes: (batch, *input_shape), 0 or 1.
            thresholds: population -> thresholds of this step, broadcastable to (batch, n).

        Returns:
            population (the input included) -> (batch, n) uint8 spikes of this step.
        """
        network = self.network
        now = {network.input.name: spikes.reshape(self.batch, -1).astype(np.uint8)}
        for name in network.order:
            neuron = network[name].neuron
            assert neuron is not None  # network.order leaves the input out
            drive = self._drive(name, now)
            now[name] = lif_step(self._states[name], drive, thresholds[name], neuron).astype(np.uint8)
        for name, spike in now.items():
            self._past[name].appendleft(spike)
        return now

    def _drive(self, name: str, now: Mapping[str, Array]) -> Array:
        drive: Array | int = 0
        for connection in self.network.incoming(name):
            source = (
                now[connection.source] if connection.delay == 0 else self._past[connection.source][connection.delay - 1]
            )
            drive = drive + connection.drive(source)
            if connection.bias is not None:
                drive = drive + connection.bias
        return np.asarray(drive)


def run_reference(network: Network, spikes: Array, thresholds: Mapping[str, Array]) -> dict[str, Array]:
    """Run all steps; see :func:`aspen_emulator.run`.

    Args:
        network: what to run.
        spikes: (steps, batch, *input_shape) uint8.
        thresholds: population -> (steps or 1, batch or 1, n or 1), in units of the membrane.

    Returns:
        population (the input included) -> (steps, batch, *shape) uint8.
    """
    steps, batch = spikes.shape[:2]
    stepper = Stepper(network, batch)
    rasters = {p.name: np.empty((steps, batch, p.size), np.uint8) for p in network.populations}
    for t in range(steps):
        now = stepper.step(spikes[t], {name: array[min(t, len(array) - 1)] for name, array in thresholds.items()})
        for name, spike in now.items():
            rasters[name][t] = spike
    return {name: raster.reshape(steps, batch, *network[name].shape) for name, raster in rasters.items()}
