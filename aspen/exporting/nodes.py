"""What a tensor of a traced model is, and which operations an export understands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from aspen.models.operations import parts as parts_of

STATES: dict[str, tuple[str, ...]] = {
    "Leaky": ("mem",),
    "Rectified": ("mem",),
    "Adopted": ("mem",),
    "Changes": ("mem",),
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
        raw: whether it was made of the input alone.
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
    raw: bool = False

    @property
    def is_atom(self) -> bool:
        """Whether this is where expressions begin: spikes, or the input of a step."""
        return self.kind in ("input", "spikes")


def stacked(node: Any) -> tuple[Node, ...]:
    """The nodes that ``torch.stack`` put behind each other as a new first dimension; none where this is no stack."""
    items, dim = _stack(node)
    return items if dim == 0 and all(isinstance(item, Node) for item in items) else ()


def _stack(node: Any) -> tuple[tuple[Any, ...], int]:
    """What was stacked, and along which dimension; nothing where this is no stack."""
    if not isinstance(node, Node) or node.operation != "stack" or not node.args:
        return (), 0
    dim = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
    return tuple(node.args[0]), dim % len(node.shape)


def stack(items: list[Any], dim: int, shape: tuple[int, ...]) -> Node:
    """The node of ``torch.stack(items, dim)``."""
    return Node("apply", shape, operation="stack", function=torch.stack, args=(items, dim))


def place(index: Any, dimensions: int) -> tuple[int, int] | None:
    """Dimension and number of the one slice that an index picks, such as ``[3]``, ``[:, 3]``, ``[..., 3]``; or None."""
    parts = index if isinstance(index, tuple) else (index,)
    if Ellipsis in parts:
        at = parts.index(Ellipsis)
        parts = (*parts[:at], *[slice(None)] * (dimensions - len(parts) + 1), *parts[at + 1 :])
    chosen = [(dim, part) for dim, part in enumerate(parts) if not (isinstance(part, slice) and part == slice(None))]
    if len(chosen) != 1 or not isinstance(chosen[0][1], int) or isinstance(chosen[0][1], bool):
        return None
    return chosen[0]


def element(operation: str, args: tuple[Any, ...], kwargs: dict[str, Any], item: int | None) -> Node | None:
    """The one node that ``operation`` picks from a stack, or None where it does anything else."""
    items, dim = _stack(args[0]) if args and not kwargs else ((), 0)
    if not items:
        return None
    picked: tuple[int, Any] | None = None
    if operation == "unbind":
        picked = (args[1] if len(args) > 1 else 0, item)
    elif operation == "__getitem__" and len(args) == 2 and not isinstance(args[1], (Tensor, list)):
        picked = place(args[1], len(args[0].shape))
    elif operation == "select" and len(args) == 3:
        picked = args[1], args[2]
    fits = picked is not None and picked[0] % len(args[0].shape) == dim and isinstance(picked[1], int)
    found = items[picked[1]] if picked is not None and fits and -len(items) <= picked[1] < len(items) else None
    return found if isinstance(found, Node) else None


def inside(nodes: list[Node]) -> list[Node]:
    """The nodes, and all that they are made of."""
    found: dict[int, Node] = {}
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if id(node) not in found:
            found[id(node)] = node
            waiting += parts_of((node.args, node.kwargs), Node)
    return list(found.values())
