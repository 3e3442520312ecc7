"""What is worked out before Lava starts: when samples begin, and when thresholds change.

A population is ``depth`` Lava steps late (:mod:`aspen_emulator.engines.lava.layout`). The samples of a batch run one
after the other, so that step ``t`` of sample ``k`` happens at Lava step ``depth + k * period + t``. A period has as
many steps as a sample and, at its end, as many idle ones as the longest delay: then no neuron fires, and what is still
on its way arrives where it is ignored, before the next sample begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aspen._base.arrays import Array
from aspen.dial.scale import ThresholdScale
from aspen.errors import InputError
from aspen.network.network import Network
from aspen.network.neurons import FixedLif
from aspen_emulator.engines.inputs import thresholds_for
from aspen_emulator.engines.lava.layout import check_network, longest_delay, synapse_count

START_SECONDS = 60.0
STEP_SECONDS = 0.05
VALUE_SECONDS = 0.001
SYNAPSE_SECONDS = 1e-7


@dataclass(frozen=True)
class ThresholdChange:
    """At Lava step ``step`` population ``name`` gets the thresholds ``values``, (n or 1,), in units of the membrane."""

    step: int
    name: str
    values: Array


@dataclass(frozen=True)
class Schedule:
    """A run of all samples, one after the other.

    Args:
        depths: population -> Lava steps by which it is late.
        period: Lava steps from one sample to the next.
        idle: how many of them, at the end, are silent.
        total: Lava steps of the whole run.
        initial: population -> its first thresholds (n or 1,), in units of the membrane.
        changes: later thresholds, sorted by step.
    """

    depths: dict[str, int]
    period: int
    idle: int
    total: int
    initial: dict[str, Array]
    changes: list[ThresholdChange]


@dataclass(frozen=True)
class Setup:
    """How a network is put on Lava's runtime.

    Args:
        depths: population -> Lava steps by which it is late, from
            :func:`aspen_emulator.engines.lava.layout.check_network`.
        thresholds: population -> initial thresholds (n or 1,), in units of the membrane. Their number is fixed by this.
        watched: populations whose membranes are remembered.
        rows: Lava steps that are remembered.
        period: steps after which every population starts from rest again; 0: never.
        idle: steps at the end of every period in which no neuron fires.
    """

    depths: Mapping[str, int]
    thresholds: Mapping[str, Array]
    watched: Sequence[str] = ()
    rows: int = 1
    period: int = 0
    idle: int = 0


def make_schedule(network: Network, steps: int, batch: int, thresholds: Mapping[str, Array]) -> Schedule:
    """Schedule a run of ``batch`` samples of ``steps`` steps.

    Args:
        network: what to run.
        steps: time steps of a sample.
        batch: samples.
        thresholds: population -> (steps or 1, batch or 1, n or 1), in units of the membrane.

    Raises:
        EngineError: the network cannot run on Lava.
        InputError: the thresholds do not fit the network.
    """
    depths = check_network(network)
    check_names(network, thresholds, complete=True)
    idle = longest_delay(network)
    period = steps + idle
    initial, changes = {}, []
    for name in network.order:
        table = _over_run(network, name, thresholds[name], steps, batch)
        initial[name] = table[0]
        late = np.flatnonzero((table[1:] != table[:-1]).any(axis=1)) + 1
        starts = depths[name] + late // steps * period + late % steps
        changes += [ThresholdChange(int(t), name, table[row]) for t, row in zip(starts, late, strict=True)]
    changes.sort(key=lambda change: change.step)
    total = batch * period - idle + max(depths.values())
    return Schedule(depths, period, idle, total, initial, changes)


def _over_run(network: Network, name: str, thresholds: Array, steps: int, batch: int) -> Array:
    """Thresholds in the order in which the samples run: (steps * batch or 1, n or 1)."""
    n = network[name].size
    array = as_thresholds(network, name, thresholds)
    fits = [size in (1, full) for size, full in zip(array.shape, (steps, batch, n), strict=False)]
    if array.ndim != 3 or not all(fits):
        raise InputError(
            f"thresholds of {name}: found shape {array.shape}, allowed is ({steps} or 1, {batch} or 1, {n} or 1); "
            "scale them with thresholds_for"
        )
    if array.shape[:2] == (1, 1):
        return array[0]
    full = np.broadcast_to(array, (steps, batch, array.shape[-1]))
    return full.swapaxes(0, 1).reshape(steps * batch, -1)


def as_thresholds(network: Network, name: str, thresholds: Array) -> Array:
    """``thresholds`` in the arithmetic of population ``name``: float64, or int64 in a chip's integers.

    Raises:
        InputError: NaN among them, or no integers where a chip's are needed.
    """
    array = np.asarray(thresholds)
    fixed = isinstance(network[name].neuron, FixedLif)
    if array.dtype.kind not in ("iu" if fixed else "fiu") or np.isnan(array).any():
        kind = "integers (mantissa << 6)" if fixed else "numbers"
        raise InputError(
            f"thresholds of {name}: found {array.dtype} values, allowed are {kind}; scale them with thresholds_for"
        )
    return array.astype(np.int64 if fixed else np.float64)


def per_neuron(network: Network, name: str, thresholds: Array) -> Array:
    """``thresholds`` (n or 1,) of population ``name`` as (n,), in its arithmetic.

    Raises:
        InputError: another shape, NaN among them, or no integers where a chip's are needed.
    """
    n = network[name].size
    array = as_thresholds(network, name, thresholds)
    if array.shape not in ((), (1,), (n,)):
        raise InputError(f"thresholds of {name}: found shape {array.shape}, allowed is ({n} or 1,); reshape the array")
    return np.broadcast_to(array, (n,)).copy()


def thresholds_at(network: Network, scale: ThresholdScale) -> dict[str, Array]:
    """Population -> (n,): the thresholds that ``scale``, the same for all steps, asks for.

    Raises:
        InputError: the scale is not allowed, or a dialled threshold does not fit.
    """
    return {name: per_neuron(network, name, rows[0, 0]) for name, rows in thresholds_for(network, scale, 1, 1).items()}


def check_names(network: Network, thresholds: Mapping[str, Array], complete: bool) -> None:
    """Raise InputError unless ``thresholds`` names populations with neurons (all of them where ``complete``)."""
    unknown = [name for name in thresholds if name not in network.order]
    missing = [name for name in network.order if complete and name not in thresholds]
    if unknown or missing:
        raise InputError(
            f"thresholds: found {sorted(thresholds)}, allowed are {list(network.order)}; "
            f"correct {(unknown + missing)[0]!r}"
        )


def default_timeout(network: Network, steps: int, changes: int, values: int) -> float:
    """Seconds that a run may take: generous, but finite.

    Args:
        network: what runs.
        steps: Lava steps.
        changes: threshold changes during the run; each starts the runtime anew.
        values: thresholds set and read back in all of them.
    """
    processes = len(network.populations) + 2 * len(network.summed)  # a delay line for each, at most
    synapses = sum(synapse_count(connection) for connection in network.summed)
    step = STEP_SECONDS * processes + SYNAPSE_SECONDS * synapses
    return START_SECONDS + step * (steps + changes) + VALUE_SECONDS * values
