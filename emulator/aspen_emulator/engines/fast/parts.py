"""What runs in one go, and which connections are added up by matrix products instead of spike by spike.

All populations could be stepped together, each spike adding a row of weights where it goes: its cost grows with the
spikes. A matrix product over all steps costs the same whatever the spikes, and less where they are many; but it needs
the whole source first, so it cuts the network into parts that run after each other. Which is cheaper is decided for
each chunk by the density of the source: the input's own, and what the chunk before has shown for the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aspen._base.arrays import Array
from aspen.network.connections import Connection, Dense
from aspen_emulator.engines.fast.plan import Plan

ROW_NS = 1.5
"""Measured cost of adding one row of weights, ns."""
BYTE_NS = 0.01
"""... and of each byte of it, where all weights of the connection stay in a processor's own cache."""
FAR_BYTE_NS = 0.03
"""... and where they do not."""
NEAR_BYTES = 2**20
"""Bytes of weights that stay there."""
PRODUCT_NS = 0.0165
"""Measured cost of one multiplication in a float32 matrix product, ns; double in float64."""
CONVERT_NS = 1.0
"""Measured cost of each value that goes into a matrix product and comes out of it, ns."""
ASSUMED = 0.05
"""Density of a population's spikes before any has been seen."""
FIRST_SAMPLES = 16
"""Samples that are run to see the densities, before the others."""


@dataclass(frozen=True)
class Part:
    """Populations that are stepped together; ``loads``: those whose spikes they read from an earlier part."""

    todo: tuple[str, ...]
    loads: tuple[str, ...]


class Chooser:
    """Decides how a network is run, and learns while it runs."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.analog = plan.input.is_analog
        self.order = plan.order
        self._tied = _ties(plan, self.analog)
        self._able = [c for c in plan.connections if isinstance(c, Dense) and self._may_multiply(c)]
        self._density = dict.fromkeys(plan.slots, ASSUMED)
        self.looks_at_input = any(c.source == plan.input.name for c in self._able)
        self.widest = max(plan.populations[name].size for name in plan.slots)

    def _may_multiply(self, connection: Connection) -> bool:
        if connection.delay or connection.name in self.plan.weighing:
            return False
        source, target = self._place(connection.source), self._place(connection.target)
        return source < 0 or (source < target and self._tied[source] != self._tied[target])

    def _place(self, name: str) -> int:
        return self.order.index(name) if name in self.order else -1

    def first_samples(self, batch: int) -> int:
        """How many samples to run first: all, where nothing can be learned from them."""
        return min(batch, FIRST_SAMPLES) if any(c.source in self.order for c in self._able) else batch

    def learn(self, spikes: Array) -> None:
        """Take in the counts (dials, populations, steps, samples) of what has been run."""
        for name, mean in zip(self.plan.slots, spikes.mean(axis=(0, 2, 3)).tolist(), strict=True):
            self._density[name] = mean / self.plan.populations[name].size

    def chosen(self, input_density: float) -> set[str]:
        """The connections to be added up outside of the core: by matrix products, or because values are analog."""
        self._density[self.plan.input.name] = input_density
        return {c.name for c in self._able if self._multiplies(c)} | self.plan.weighing

    def _multiplies(self, connection: Connection) -> bool:
        n, m = (self.plan.populations[name].size for name in (connection.source, connection.target))
        row = self.plan.padded[connection.target] * np.dtype(self.plan.sum_type).itemsize
        byte = BYTE_NS if n * row <= NEAR_BYTES else FAR_BYTE_NS
        by_spikes = self._density[connection.source] * n * (ROW_NS + row * byte)
        width = 1 if self.plan.exact_type(connection) is np.float32 else 2
        return width * (PRODUCT_NS * n * m + CONVERT_NS * (n + m)) < by_spikes

    def parts(self, outside: set[str]) -> list[Part]:
        """The network in parts that run after each other; ``outside`` as :meth:`chosen` gives it."""
        parts: list[list[str]] = [[]]
        for place, name in enumerate(self.order):
            new = place == 0 or self._tied[place] != self._tied[place - 1]
            waits = any(
                c.name in outside and c.source in parts[-1]
                for other, tie in zip(self.order, self._tied, strict=True)
                if tie == self._tied[place]
                for c in self.plan.incoming[other]
            )
            if new and waits:
                parts.append([])
            parts[-1].append(name)
        return [Part(tuple(todo), self._loads(todo, outside, i == 0)) for i, todo in enumerate(parts)]

    def _loads(self, todo: list[str], outside: set[str], first: bool) -> tuple[str, ...]:
        read = {c.source for name in todo for c in self.plan.incoming[name] if c.name not in outside}
        if first and self.plan.input.neuron is None and not self.analog:
            read.add(self.plan.input.name)  # to count its spikes
        return tuple(name for name in self.plan.slots if name in read and name not in todo)


def _ties(plan: Plan, analog: bool) -> list[int]:
    """For each population in order a number; those that must be stepped together, for a delay, have the same one."""
    order = plan.order
    tied = list(range(len(order)))
    for connection in plan.summed:
        from_input = connection.source not in order
        if connection.delay == 0 or (from_input and analog):
            continue
        ends = (0 if from_input else order.index(connection.source), order.index(connection.target))
        low, high = min(tied[min(ends)], tied[max(ends)]), tied[max(ends)]
        tied = [low if low <= number <= high else number for number in tied]
    return tied
