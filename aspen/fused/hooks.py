"""Forward hooks that change what modules make, found while a model runs.

A rehearsal does without forward hooks, as most of them only look and shall not see what it makes up. One that returns
something else, or changes it in place, is part of the model, and the rehearsal has to be held again with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from aspen.models.operations import parts


@contextmanager
def changing_hooks(model: nn.Module) -> Iterator[list[int]]:
    """Collect the numbers of the hooks of modules whose hooks changed something while the block ran."""
    changing: list[int] = []
    handles = []
    for module in model.modules():
        own = list(module._forward_hooks)
        if own:
            made: list[tuple[Tensor, int]] = []
            handles.append(module.register_forward_hook(_before(made), prepend=True))
            handles.append(module.register_forward_hook(_after(made, own, changing)))
    try:
        yield changing
    finally:
        for handle in handles:
            handle.remove()


def _before(made: list[tuple[Tensor, int]]) -> Any:
    def hook(module: nn.Module, args: Any, output: Any) -> None:
        made[:] = [(tensor, tensor._version) for tensor in parts(output, Tensor)]

    return hook


def _after(made: list[tuple[Tensor, int]], own: list[int], changing: list[int]) -> Any:
    def hook(module: nn.Module, args: Any, output: Any) -> None:
        found = [(tensor, tensor._version) for tensor in parts(output, Tensor)]
        same = len(found) == len(made) and all(a is b and v == w for (a, v), (b, w) in zip(found, made, strict=True))
        made.clear()
        if not same:
            changing.extend(number for number in own if number not in changing)

    return hook
