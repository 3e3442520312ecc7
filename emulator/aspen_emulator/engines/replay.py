"""Records of engines that show spikes only: what their neurons held follows from these and the neuron's equations."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aspen._base.arrays import Array
from aspen.errors import InputError
from aspen.network.network import Network
from aspen.network.record import Record, counted_record
from aspen_emulator.engines.inputs import thresholds_for
from aspen_emulator.engines.lif import LifState, count_updates, follow_step, switched_off


class Follower:
    """The neurons of one population, followed through time by spikes that are known; at rest at the start.

    Args:
        network: what runs.
        name: the population.
        batch: samples side by side.
    """

    def __init__(self, network: Network, name: str, batch: int) -> None:
        population = network[name]
        assert population.neuron is not None  # whatever has none is not updated
        self._neuron, self._bias = population.neuron, network.drive_bias(name)
        self._state = LifState.zeros(batch, population.size, self._neuron)

    def step(
        self, arriving: Array, spikes: Array, threshold: Array, current: Array | int = 0, off: Array | None = None
    ) -> Array:
        """One time step.

        Args:
            arriving: (batch, n) net synaptic input, connection biases left out.
            spikes: (batch, n), 0 or 1: those that the neurons fire in this step.
            threshold: broadcastable to (batch, n), in units of the membrane: what a reset subtracts.
            current: (batch, n) direct current, or 0.
            off: (batch or 1, n) bool: which neurons are off; default: none.

        Returns:
            (4, batch) int64: active and awake updates, and of both those of neurons that are off.
        """
        counts = count_updates(self._state, arriving, self._neuron, self._bias, current, off)
        follow_step(self._state, arriving + self._bias, spikes != 0, threshold, self._neuron, current)
        return counts


def record_from_rasters(
    network: Network,
    rasters: Mapping[str, Array],
    engine: str,
    record: str = "counts",
    membranes: Mapping[str, Array] | None = None,
    thresholds: Mapping[str, Array] | None = None,
    current: Array | None = None,
) -> Record:
    """Count everything from the spikes of all populations.

    Args:
        network: what ran.
        rasters: population (the input included) -> (steps, batch, *shape) uint8; an analog input's values.
        engine: name of the engine.
        record: one of :data:`aspen.network.record.RECORDS`.
        membranes: population -> (steps, batch, *shape), those that are to be kept.
        thresholds: population -> (steps or 1, batch or 1, n or 1), in units of the membrane; default: the network's.
        current: (steps, batch, *shape): what the input population is given, where it has neurons.

    Raises:
        InputError: a population's spikes or membranes are missing, have another shape, or hold anything but 0 and 1.
    """
    _check_rasters(network, rasters, {} if membranes is None else membranes)
    dialled = thresholds_for(network, 1.0, 1, 1) if thresholds is None else thresholds
    flat = {name: raster.reshape(*raster.shape[:2], -1) for name, raster in rasters.items()}
    direct = None if current is None else current.reshape(*current.shape[:2], -1)
    off = switched_off(network, dialled)
    updates = {
        name: _updates(network, name, flat, dialled[name], direct if network[name].current else None, off.get(name))
        for name in network.order
    }
    return counted_record(network, rasters, updates, engine, record, membranes, off)


def _check_rasters(network: Network, rasters: Mapping[str, Array], membranes: Mapping[str, Array]) -> None:
    names = [population.name for population in network.populations]
    for what, given, wanted in (("spikes", rasters, names), ("membranes", membranes, [*membranes])):
        lacking = [name for name in wanted if name not in given or name not in names]
        if lacking:
            raise InputError(
                f"{what}: found those of {', '.join(given)}, allowed is each of {', '.join(names)}; correct "
                f"{', '.join(lacking)}"
            )
        for name in wanted:
            shape = (*rasters[network.input.name].shape[:2], *network[name].shape)
            if given[name].shape != shape:
                raise InputError(
                    f"{what} of {name}: found {given[name].shape}, allowed is (steps, batch, *shape), here {shape}"
                )
    for name in names:
        spikes = rasters[name]
        if not network[name].is_analog and ((spikes != 0) & (spikes != 1)).any():
            raise InputError(f"spikes of {name}: found other values than 0 and 1, allowed is a 1 for a spike")


def _updates(
    network: Network,
    name: str,
    flat: Mapping[str, Array],
    threshold: Array,
    current: Array | None,
    off: Array | None,
) -> Array:
    """(4, steps, batch): active and awake updates of a population, and those of neurons that are off."""
    arriving = _arriving(network, name, flat)
    steps, batch = arriving.shape[:2]
    follower = Follower(network, name, batch)
    found = np.empty((4, steps, batch), np.int64)
    for t in range(steps):
        own, who = threshold[min(t, len(threshold) - 1)], None if off is None else off[min(t, len(off) - 1)]
        found[:, t] = follower.step(arriving[t], flat[name][t], own, 0 if current is None else current[t], who)
    return found


def _arriving(network: Network, name: str, flat: Mapping[str, Array]) -> Array:
    """(steps, batch, n): the net synaptic input of a population, connection biases left out."""
    total: Array = np.zeros(flat[name].shape, np.int64 if network.is_integer else np.float64)
    for connection in network.incoming(name):
        source = flat[connection.source]
        steps, batch = source.shape[:2]
        delayed = np.zeros_like(source)
        delayed[connection.delay :] = source[: max(steps - connection.delay, 0)]
        total = total + connection.drive(delayed.reshape(steps * batch, -1)).reshape(steps, batch, -1)
    return total
