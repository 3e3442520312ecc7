"""Watch a snnTorch model run, and tell what feeds what.

The model runs on a sample. Every tensor that holds spikes or input of one step carries an origin: which module made
it, and at which call. Reshaping and the like keep the origin; any other operation makes the tensor *mixed*, and a
mixed tensor is refused where it would drive a neuron. So what cannot be mapped is found and named, not approximated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from aspen.errors import ModelError

SHAPE_OPERATIONS = frozenset(
    {"flatten", "view", "reshape", "squeeze", "unsqueeze", "contiguous", "detach", "clone", "to", "float", "double"}
)
"""Operations after which a tensor still holds the same values in the same order."""
SLICE_OPERATIONS = frozenset({"__getitem__", "unbind", "select", "__iter__", "chunk", "split"})
"""Operations by which a model takes one time step out of its input."""


@dataclass(frozen=True)
class Origin:
    """Where a tensor comes from: ``kind`` is ``input``, ``module`` or ``mixed``.

    ``module`` names the module, ``call`` counts its calls from 0, and ``operation`` names what mixed the tensor.
    """

    kind: str
    module: str = ""
    call: int = 0
    operation: str = ""


@dataclass(frozen=True)
class Call:
    """One call of a leaf module: its name, which call it was, and the origins and value of its first input."""

    module: str
    call: int
    origin: Origin
    value: Tensor


class _Watcher(TorchFunctionMode):
    """Follows origins through torch functions, except those inside leaf modules."""

    def __init__(self) -> None:
        super().__init__()
        self.origins: dict[int, tuple[Origin, Tensor, int]] = {}
        self.inside = 0

    def mark(self, tensor: Tensor, origin: Origin) -> None:
        # the tensor is kept, so that its id is not used again; its version counts changes in place
        self.origins[id(tensor)] = (origin, tensor, tensor._version)

    def origin(self, tensor: Tensor) -> Origin:
        if id(tensor) not in self.origins:
            return Origin("mixed", operation="a new tensor")
        origin, _, version = self.origins[id(tensor)]
        return origin if version == tensor._version else Origin("mixed", operation="a change in place")

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if self.inside == 0:
            self._follow(getattr(func, "__name__", str(func)), args, result)
        return result

    def _follow(self, operation: str, args: Any, result: Any) -> None:
        known = [self.origin(tensor) for tensor in _tensors(args) if id(tensor) in self.origins]
        if not known:
            return
        keeps = SHAPE_OPERATIONS | (SLICE_OPERATIONS if known[0].kind == "input" else set())
        origin = known[0] if len(known) == 1 and operation in keeps else Origin("mixed", operation=operation)
        for tensor in _tensors(result):
            if id(tensor) not in self.origins:
                self.mark(tensor, origin)


def _tensors(values: Any) -> list[Tensor]:
    if isinstance(values, Tensor):
        return [values]
    if isinstance(values, (list, tuple)):
        return [tensor for value in values for tensor in _tensors(value)]
    return []


def trace(model: nn.Module, run: Callable[[], Any], sample: Tensor, leaves: dict[str, nn.Module]) -> list[Call]:
    """The calls of ``leaves``, in order, while ``run`` runs the model on ``sample``.

    Raises:
        ModelError: a leaf module is fed with something that is no tensor.
    """
    watcher, calls = _Watcher(), list[Call]()
    watcher.mark(sample, Origin("input"))
    with _hooks(leaves, watcher, calls), torch.no_grad(), watcher:
        run()
    return calls


@contextmanager
def _hooks(leaves: dict[str, nn.Module], watcher: _Watcher, calls: list[Call]) -> Iterator[None]:
    counts = dict.fromkeys(leaves, 0)

    def before(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            if not inputs or not isinstance(inputs[0], Tensor):
                raise ModelError(f"{name}: found an input that is no tensor; pass the tensor as the first argument")
            calls.append(Call(name, counts[name], watcher.origin(inputs[0]), inputs[0].detach().clone()))
            watcher.inside += 1

        return hook

    def after(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            watcher.inside -= 1
            made = _tensors(output)
            watcher.mark(made[0], Origin("module", name, counts[name]))
            for state in made[1:]:
                watcher.mark(state, Origin("mixed", operation=f"the membrane of {name}"))
            counts[name] += 1

        return hook

    handles = [leaf.register_forward_pre_hook(before(name)) for name, leaf in leaves.items()]
    handles += [leaf.register_forward_hook(after(name)) for name, leaf in leaves.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
