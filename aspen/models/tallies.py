"""What is added up of a layer while a model is counted."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from aspen.network.layered import NeuronCounts, SynapseCounts


@dataclass
class NeuronTally:
    """One layer of neurons while it is counted."""

    module: nn.Module
    at_once: bool
    own: bool
    calls: int = 0
    rows: int = 0
    neurons: int = 0
    spikes: int = 0
    updates: int = 0
    active: int = 0
    rough: bool = False
    fired: Tensor | None = None
    fires_always: Tensor | None = None
    previous: Tensor | None = None
    order: int = 0

    def see(self, out: Tensor) -> None:
        """One call's spikes."""
        self.calls += 1
        axes = 2 if self.at_once and out.ndim > 2 else 1
        busy = (out != 0).flatten(0, axes - 1)
        self.rows, self.neurons = max(self.rows, out.shape[axes - 1]), busy[0].numel()
        self.spikes, self.updates = self.spikes + int(busy.sum()), self.updates + busy.numel()
        some, every = busy.any(0), busy.all(0)
        self.fired = some if self.fired is None else self.fired | some
        self.fires_always = every if self.fires_always is None else self.fires_always & every
        self.previous = out

    def counts(self, name: str) -> NeuronCounts:
        """What was added up."""
        assert self.fired is not None
        assert self.fires_always is not None
        dead, saturated = int((~self.fired).sum()), int(self.fires_always.sum())
        return NeuronCounts(name, self.neurons, self.spikes, self.updates, self.active, dead, saturated)


@dataclass
class SynapseTally:
    """One layer of synapses while it is counted."""

    kind: str
    reached: int = 0
    valued: bool = False
    accumulates: int = 0
    multiply_accumulates: int = 0
    dense: int = 0
    rows: int = 0
    synapses: int = 0
    weights: int = 0
    sources: int = 0
    targets: int = 0
    zeros: int = 0
    places: int = 0
    order: int = 0

    def see(self, reached: int, spikes: bool, dense: int, rows: int) -> None:
        """One call."""
        self.reached, self.dense, self.rows = self.reached + reached, self.dense + dense, self.rows + rows
        self.valued |= not spikes
        if spikes:
            self.accumulates += reached
        else:
            self.multiply_accumulates += reached

    def counts(self, name: str, evaluations: int, last: bool) -> SynapseCounts:
        """``evaluations``: steps times samples; a layer that is used several times in one has so many synapses more."""
        times = max(1, round(self.rows / evaluations))
        operations, products = (0, self.reached) if self.valued else (self.reached, 0)
        shape = [times * count for count in (self.synapses, self.sources, self.targets)]
        return SynapseCounts(name, self.kind, operations, products, shape[0], self.weights, shape[1], shape[2], last)
