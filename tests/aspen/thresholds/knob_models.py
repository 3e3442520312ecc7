"""Models whose thresholds the knob turns, and a loop over their time steps."""

from __future__ import annotations

from collections.abc import Callable

import snntorch as snn
from torch import Tensor, nn

RESETS = ("subtract", "zero", "none")
STEPS, BATCH, N = 12, 3, 4


def as_hidden(neuron: nn.Module) -> nn.ModuleDict:
    """A model whose hidden layer is ``neuron`` and whose read-out does not spike."""
    return nn.ModuleDict({"lif": neuron, "out": nn.Linear(N, 2)})


def run(neuron: nn.Module, xs: Tensor, turn: Callable[[int], None] = lambda t: None) -> list[tuple[Tensor, ...]]:
    """Spikes and states of every step, from states at rest that are handed on; ``turn(t)`` comes before step t."""
    state, record = neuron.reset_mem(), []
    state = state if isinstance(state, tuple) else (state,)
    for t, x in enumerate(xs):
        turn(t)
        out = neuron(x, *state)
        record.append(out)
        state = out if type(neuron) in (snn.RLeaky, snn.RSynaptic) else out[1:]
    return record
