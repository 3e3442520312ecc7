"""What a tensor of a traced model is, and which operations an export understands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

STATES: dict[str, tuple[str, ...]] = {
    "Leaky": ("mem",),
    "Lapicque": ("mem",),
    "Synaptic": ("syn", "mem"),
    "RLeaky": ("spk", "mem"),
    "RSynaptic": ("spk", "syn", "mem"),
}
"""The states of snnTorch's neurons, as their ``forward`` takes them."""
EVERY_STEP = -1
"""The ``call`` of an input that is the same at every time step."""


@dataclass(frozen=True, eq=False)
class Node:
    """What a tensor is.

    Args:
        kind: ``input`` (one time step), ``whole`` (other parts of the input), ``spikes``, ``state``, ``apply`` (a
            function of other nodes) or ``mixed`` (anything else).
        shape: of the tensor, the batch first.
        module: the neuron that fired, or the layer that was applied.
        call: which call of the neuron, or which time step of the input.
        operation: name of the function or of the state.
        function, args, kwargs, item: how to compute it; tensors that depend on spikes are nodes, ``item`` picks one of
            several results.
        index: of ``whole``: for each value its place in the sample.
    """

    kind: str
    shape: tuple[int, ...]
    module: str = ""
    call: int = 0
    operation: str = ""
    function: Any = None
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    item: int | None = None
    index: Tensor | None = None

    @property
    def is_atom(self) -> bool:
        """Whether this is where expressions begin: spikes, or the input of a step."""
        return self.kind in ("input", "spikes")


def stacked(node: Any) -> tuple[Node, ...]:
    """The nodes that ``torch.stack`` put behind each other as a new first dimension; none where this is no stack."""
    if not isinstance(node, Node) or node.operation != "stack" or not node.args:
        return ()
    dim = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
    items = tuple(node.args[0])
    return items if dim == 0 and all(isinstance(item, Node) for item in items) else ()


def element(operation: str, args: tuple[Any, ...], kwargs: dict[str, Any], item: int | None) -> Node | None:
    """The one node that ``operation`` picks from a stack, or None where it does anything else."""
    items = stacked(args[0]) if args and not kwargs else ()
    index: Any = None
    if operation == "unbind" and args[1:] in ((), (0,)):
        index = item
    elif operation == "__getitem__" and len(args) == 2:
        index = args[1]
    elif operation == "select" and len(args) == 3 and args[1] == 0:
        index = args[2]
    fits = isinstance(index, int) and not isinstance(index, bool) and -len(items) <= index < len(items)
    return items[index] if fits else None
