"""Neurons whose state begins anew at each step: they have no memory, and spike where their current is above threshold.

So a maximum over their currents, which no other neuron can take, is one over spikes: of neurons without memory, one for
each current, and a gate over these. The largest current is above the threshold where any current is.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import snntorch

from aspen.errors import ExportWarning, ModelError
from aspen.exporting.gates import MAX_FUNCTIONS, Window, gate, window_of
from aspen.exporting.neurons import Mapped
from aspen.exporting.nodes import Node
from aspen.exporting.traces import Call, Trace

MEMORYLESS = (snntorch.Leaky, snntorch.Synaptic, snntorch.Lapicque)
"""Neurons of which nothing but the input is left where their states are zero: no recurrence."""
EACH = ".each"
"""What is added to the name of neurons that lie in front of their maximum."""


def without_memory(mapped: Mapped) -> Mapped:
    """The neurons, if their state begins at zero at each step."""
    return replace(mapped, lif=replace(mapped.lif, beta=np.zeros(()), alpha=np.zeros(()), reset="zero"))


def one_for_each(name: str, mapped: Mapped) -> Mapped:
    """The neurons in front of a maximum; what their spikes are multiplied with acts behind it.

    Raises:
        ModelError: the neurons that share a maximum would have different parameters.
    """
    if mapped.lif.threshold.ndim or mapped.scale.ndim:
        raise ModelError(
            f"{name}: found thresholds of its own for each neuron behind a maximum over currents, allowed is one for "
            f"all; train with one threshold, or use AvgPool"
        )
    return replace(without_memory(mapped), factor=np.ones(()))


def any_of_each(mapped: Mapped) -> Mapped:
    """The gate in the neurons' place."""
    return replace(gate(), factor=mapped.factor)


def split_maximum(traced: Trace, name: str) -> None:
    """Where the neurons' current is a maximum over currents, put neurons in front of it, and a gate in their place."""
    calls = {id(made): _split(made) for made in traced.calls if made.module == name}
    if not all(calls.values()):
        return
    each = f"{name}{EACH}"
    rebuilt: list[Call] = []
    for made in traced.calls:
        found = calls.get(id(made))
        if found is None:
            rebuilt.append(made)
            continue
        over, current, layer = found
        spikes = Node("spikes", current.shape, each, made.call)
        summed = Node("apply", made.node.shape, operation="max_pool", function=over, args=(spikes,))
        rebuilt += [Call(each, made.call, current, ""), replace(made, node=summed)]
        traced.gates[name] = (each, over)
        traced.pools |= {layer} - {""}
    traced.calls[:] = rebuilt


def _split(made: Call) -> tuple[Window, Node, str] | None:
    """The window of a maximum, the currents that it is over, and the layer that it is, if one; None for other input."""
    node = made.node
    over = window_of(node.function) if node.kind == "apply" else node.function
    is_maximum = isinstance(over, Window) and (node.kind == "apply" or node.operation in MAX_FUNCTIONS)
    if not is_maximum or not node.args or not isinstance(node.args[0], Node):
        return None
    return over, node.args[0], node.module  # type: ignore[return-value]


def note(names: Sequence[str]) -> str:
    """What to say of such neurons."""
    its, it_has = ("its", "it has") if len(names) == 1 else ("their", "they have")
    return (
        f"{', '.join(names)}: {its} state begins anew at each step, so {it_has} no memory: exported as such; keep the "
        f"state between the steps if that was not meant"
    )


def warn(found: Iterable[str]) -> None:
    """Say each as an :class:`~aspen.errors.ExportWarning`."""
    for said in found:
        warnings.warn(said, ExportWarning, stacklevel=3)
