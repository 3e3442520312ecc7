"""The thresholds of several settings of the dial, as the compiled core reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from aspen._base.arrays import Array
from aspen_emulator.engines.fast.plan import NEVER, Plan


@dataclass(frozen=True)
class Dialled:
    """Thresholds of all settings: population -> (dials, steps or 1, batch or 1, n or 1), in the core's order."""

    by_population: dict[str, Array]

    @classmethod
    def of(cls, plan: Plan, thresholds: Sequence[Mapping[str, Array]]) -> Dialled:
        made = {}
        for name in plan.slots:
            if plan.populations[name].neuron is None:
                continue
            stacked = np.stack(np.broadcast_arrays(*(each[name] for each in thresholds)))
            made[name] = stacked if stacked.shape[3] == 1 else stacked[..., plan.orders[name]]
        return cls(made)

    def chunk(self, plan: Plan, time: slice, samples: slice) -> tuple[Array, Array]:
        """One flat array, and where in it each population is: ``thresholds`` and ``thresholds_at`` of a job."""
        places = np.zeros((len(plan.slots), 5), np.int64)
        pieces, first = [], 0
        for slot, name in enumerate(plan.slots):
            if name not in self.by_population:
                continue
            table = self.by_population[name]
            table = table if table.shape[1] == 1 else table[:, time]
            table = table if table.shape[2] == 1 else table[:, :, samples]
            strides = [prod(table.shape[i + 1 :]) if table.shape[i] > 1 else 0 for i in range(4)]
            places[slot] = first, *strides
            pieces.append(np.asarray(table, plan.state_type).ravel())
            first += table.size
        never = np.inf if plan.state_type is np.float64 else NEVER
        return np.concatenate([*pieces, np.array([never], plan.state_type)]), places
