"""What is worked out before Lava starts: whether it can run a network, and when its thresholds change.

Lava takes one time step per connection: a spike that a population emits at Lava step ``t`` drives the next population
at ``t + 1``. A population ``depth`` connections behind the input is therefore ``depth`` steps late. The samples of a
batch run back to back, so that step ``t`` of sample ``k`` happens at Lava step ``depth + k * steps + t``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aspen._arrays import Array
from aspen.connections import Connection
from aspen.errors import EngineError, InputError
from aspen.network import Network
from aspen.neurons import FixedLif

REMEDY = "not yet on Lava; use engine='fast'"
START_SECONDS = 60.0
STEP_SECONDS = 0.05
VALUE_SECONDS = 0.001
WEIGHT_LIMITS = {"mixed": (-256, 254), "excitatory": (0, 255), "inhibitory": (-255, 0)}
"""Integer weights that Lava's ``Dense`` takes unchanged; where signs are mixed, even ones only."""


@dataclass(frozen=True)
class ThresholdChange:
    """At Lava step ``step`` population ``name`` gets the thresholds ``values``, (n or 1,), in units of the membrane."""

    step: int
    name: str
    values: Array


@dataclass(frozen=True)
class Plan:
    """A run of all samples, back to back.

    Args:
        depths: population -> connections between it and the input.
        period: Lava steps per sample.
        total: Lava steps of the whole run.
        initial: population -> its first thresholds (n or 1,), in units of the membrane.
        changes: later thresholds, sorted by step.
    """

    depths: dict[str, int]
    period: int
    total: int
    initial: dict[str, Array]
    changes: list[ThresholdChange]


def make_plan(network: Network, steps: int, batch: int, thresholds: Mapping[str, Array]) -> Plan:
    """Plan a run of ``batch`` samples of ``steps`` steps.

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
    initial, changes = {}, []
    for name in network.order:
        table = _over_run(network, name, thresholds[name], steps, batch)
        initial[name] = table[0]
        late = np.flatnonzero((table[1:] != table[:-1]).any(axis=1)) + 1
        changes += [ThresholdChange(depths[name] + int(row), name, table[row]) for row in late]
    changes.sort(key=lambda change: change.step)
    return Plan(depths, steps, steps * batch + max(depths.values()), initial, changes)


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
        InputError: they are not finite numbers, or not integers where a chip's are needed.
    """
    array = np.asarray(thresholds)
    fixed = isinstance(network[name].neuron, FixedLif)
    if array.dtype.kind not in ("iu" if fixed else "fiu") or not np.isfinite(array).all():
        kind = "integers (mantissa << 6)" if fixed else "finite numbers"
        raise InputError(
            f"thresholds of {name}: found {array.dtype} values, allowed are {kind}; scale them with thresholds_for"
        )
    return array.astype(np.int64 if fixed else np.float64)


def check_names(network: Network, thresholds: Mapping[str, Array], complete: bool) -> None:
    """Raise InputError unless ``thresholds`` names populations with neurons (all of them where ``complete``)."""
    unknown = [name for name in thresholds if name not in network.order]
    missing = [name for name in network.order if complete and name not in thresholds]
    if unknown or missing:
        raise InputError(
            f"thresholds: found {sorted(thresholds)}, allowed are {network.order}; correct {(unknown + missing)[0]!r}"
        )


def check_network(network: Network) -> dict[str, int]:
    """The depth of every population: the number of connections between it and the input.

    Raises:
        EngineError: the network has delays, recurrent or skip connections, or weights that Lava would change.
    """
    for connection in network.connections:
        _check_connection(connection)
    depths = {network.input.name: 0}
    for name in network.order:
        found = {connection.source: depths[connection.source] for connection in network.incoming(name)}
        if len(set(found.values())) != 1:
            raise EngineError(
                f"{name}: found input from depths {found}, allowed on Lava is one depth, as it takes a step per "
                f"connection; skip connections are {REMEDY}"
            )
        depths[name] = 1 + next(iter(found.values()))
    return depths


def _check_connection(connection: Connection) -> None:
    name = connection.name
    if connection.kind != "dense":
        raise EngineError(f"{name}: found kind {connection.kind!r}, allowed on Lava is 'dense'; others are {REMEDY}")
    if connection.source == connection.target or connection.delay:
        found = "a recurrent connection" if connection.source == connection.target else "a delay"
        raise EngineError(
            f"{name}: found {found} ({connection.delay} steps), allowed on Lava are feed-forward connections with "
            f"delay 0; {REMEDY}"
        )
    if connection.is_integer:
        _check_weights(connection)


def _check_weights(connection: Connection) -> None:
    """Lava's ``Dense`` clips and truncates integer weights without a word; refuse those that it would change."""
    weight = connection.weight.astype(np.int64)
    lowest, highest = int(weight.min()), int(weight.max())
    sign_mode = "excitatory" if lowest >= 0 else "inhibitory" if highest <= 0 else "mixed"
    low, high = WEIGHT_LIMITS[sign_mode]
    odd = weight[(weight & 1 == 1) & (sign_mode == "mixed")]
    if lowest < low or highest > high or odd.size:
        found = f"the odd weight {odd[0]}" if odd.size else f"weights from {lowest} to {highest}"
        even = "even " if sign_mode == "mixed" else ""
        raise EngineError(
            f"{connection.name}: found {found}, allowed on Lava are {even}integers from {low} to {high} where signs "
            f"are {sign_mode}; compile the network for loihi1, or use engine='fast'"
        )
    largest = int(np.abs(weight).sum(axis=1).max()) << max(connection.exponent, 0)
    if largest >= 2**31:
        raise EngineError(
            f"{connection.name}: found sums up to {largest}, allowed on Lava are 32 bits; use engine='fast'"
        )


def default_timeout(network: Network, steps: int, changes: int, values: int) -> float:
    """Seconds that a run may take: generous, but finite.

    Args:
        network: what runs.
        steps: Lava steps.
        changes: threshold changes during the run; each starts the runtime anew.
        values: thresholds set and read back in all of them.
    """
    processes = len(network.populations) + len(network.connections)
    return START_SECONDS + STEP_SECONDS * processes * (steps + changes) + VALUE_SECONDS * values
