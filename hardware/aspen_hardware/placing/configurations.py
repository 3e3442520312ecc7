"""What a core stores once for all its neurons that share it: thresholds and decays, of which it has few."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aspen._base.arrays import Array
from aspen.dial.profile import DialProfile
from aspen.network.network import Lif, Network, Population
from aspen_hardware.chips.description import Limits
from aspen_hardware.placing.dials import dial_columns


def numbered_thresholds(network: Network, profile: DialProfile | None) -> dict[str, Array]:
    """Population -> (n,) int64: a number for each threshold, over all populations; where a dial turns, the same for
    those that it turns alike."""
    if profile is None:
        return _numbered({name: thresholds_of(network[name]) for name in network.order})
    return _numbered({name: dial_columns(network, profile, name) for name in network.order})


def numbered_decays(network: Network) -> dict[str, Array]:
    """Population -> (n,) int64: a number for each pair of decays, of the current and of the membrane."""
    return _numbered({name: decays_of(network[name]) for name in network.order})


def thresholds_of(population: Population) -> Array:
    """(n, 1) thresholds."""
    return _of(population, "threshold")


def decays_of(population: Population) -> Array:
    """(n, 2): decays of the current and of the membrane."""
    return _of(population, *(("alpha", "beta") if isinstance(population.neuron, Lif) else _INTEGERS))


def orders_of(thresholds: Mapping[str, Array], decays: Mapping[str, Array], limits: Limits) -> dict[str, Array]:
    """Populations with more different thresholds or decays than a core stores -> (n,) their neurons, sorted by these.

    Args:
        thresholds, decays: population -> a number for each neuron's.
        limits: of the chip.
    """
    found = {}
    for name in thresholds:
        many = _exceeds(thresholds[name], limits.threshold_configurations_per_core)
        slow = _exceeds(decays[name], limits.decay_configurations_per_core)
        if many or slow:
            keys = (decays[name], thresholds[name]) if many else (thresholds[name], decays[name])
            found[name] = np.lexsort(keys)
    return found


_INTEGERS = ("current_decay", "voltage_decay")


def _of(population: Population, *fields: str) -> Array:
    """(n, fields) parameters of a population's neurons."""
    columns = (np.broadcast_to(getattr(population.neuron, field), population.shape) for field in fields)
    return np.stack([column.astype(np.float64).reshape(-1) for column in columns], axis=1)


def _numbered(columns: Mapping[str, Array]) -> dict[str, Array]:
    """A number for each row that is different from the others, over all populations."""
    rows = np.concatenate(list(columns.values()))
    numbers = np.asarray(np.unique(rows, axis=0, return_inverse=True)[1]).reshape(-1)
    ends = np.cumsum([len(part) for part in columns.values()])[:-1]
    return dict(zip(columns, np.split(numbers, ends), strict=True))


def _exceeds(numbers: Array, allowed: int | None) -> bool:
    return allowed is not None and len(np.unique(numbers)) > allowed
