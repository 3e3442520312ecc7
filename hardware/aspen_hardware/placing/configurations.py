"""What a core stores once for all neurons that share it, and has few of: thresholds, decays, a floor of membranes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aspen._base.arrays import Array
from aspen.dial.profile import DialProfile
from aspen.network.network import Lif, Network, Population
from aspen.network.neurons import RECTIFIED
from aspen_hardware.chips.description import Limits
from aspen_hardware.placing.dials import dial_columns

Numbers = Mapping[str, Array]
"""Population -> (n,) int64: a number for what each neuron needs stored, over all populations, the same for the same."""
THRESHOLDS, DECAYS = "threshold_configurations_per_core", "decay_configurations_per_core"
FLOORS = "membrane_floors_per_core"
_INTEGERS = ("current_decay", "voltage_decay")
STORED = {THRESHOLDS: "thresholds", DECAYS: "decays", FLOORS: "floors"}
"""Limit of a chip -> the field of a :class:`aspen_hardware.placing.cores.Core` that counts what it limits."""


def numbered(network: Network, profile: DialProfile | None) -> dict[str, Numbers]:
    """Limit of :data:`STORED` -> numbers. Thresholds are the same where a dial turns them alike; decays are pairs, of
    current and membrane."""
    names = network.order

    def threshold(name: str) -> Array:
        return thresholds_of(network[name]) if profile is None else dial_columns(network, profile, name)

    return {
        THRESHOLDS: _numbered({name: threshold(name) for name in names}),
        DECAYS: _numbered({name: decays_of(network[name]) for name in names}),
        FLOORS: _numbered({name: _floor_of(network[name]) for name in names}),
    }


def thresholds_of(population: Population) -> Array:
    """(n, 1) thresholds."""
    return _of(population, "threshold")


def decays_of(population: Population) -> Array:
    """(n, 2): decays of the current and of the membrane."""
    return _of(population, *(("alpha", "beta") if isinstance(population.neuron, Lif) else _INTEGERS))


def orders_of(stored: Mapping[str, Numbers], limits: Limits, groups: Numbers | None) -> dict[str, Array]:
    """Populations with more different thresholds or decays than a core stores -> (n,) their neurons, sorted by these;
    all populations by their groups first, where there are some.

    Args:
        stored: what :func:`numbered` gives.
        limits: of the chip.
        groups: a number for each neuron.
    """
    found, thresholds, decays = {}, stored[THRESHOLDS], stored[DECAYS]
    for name in thresholds:
        many = _exceeds(thresholds[name], limits.threshold_configurations_per_core)
        if many or groups is not None or _exceeds(decays[name], limits.decay_configurations_per_core):
            keys = (decays[name], thresholds[name]) if many else (thresholds[name], decays[name])
            found[name] = np.lexsort(keys if groups is None else (*keys, groups[name]))
    return found


def off_together(network: Network, profile: DialProfile | None) -> Numbers | None:
    """A number for each neuron: by how long a dial leaves it on, the longest first; nothing where none goes off."""
    if profile is None or not profile.is_nested:
        return None
    never = np.full((), np.inf)
    until = {
        name: np.minimum(np.broadcast_to(profile.on_until.get(name, never), network[name].shape), profile.high)
        for name in network.order
    }
    return _numbered({name: -values.astype(np.float64).reshape(-1, 1) for name, values in until.items()})


def _floor_of(population: Population) -> Array:
    """(n, 1): whether the membranes have a floor at 0."""
    assert population.neuron is not None  # the input population is not placed
    return np.full((population.size, 1), population.neuron.reset == RECTIFIED)


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
