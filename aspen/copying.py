"""A user's model, and copies of it to try something on."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn


def copy_of(model: nn.Module) -> nn.Module:
    """A copy of the model, its hooks included.

    Membranes left in an autograd graph by an earlier pass, which torch cannot copy, are detached.
    """
    from aspen.exporting.nodes import parts  # not above: exporting copies models

    memo: dict[int, Any] = {}
    for module in model.modules():
        for value in parts((module._buffers, dict(vars(module))), Tensor):
            if not value.is_leaf:
                memo[id(value)] = value.detach().clone()
    return copy.deepcopy(model, memo)


def plain_of(model: nn.Module) -> nn.Module:
    """The user's own model behind a fused one; any other model as it is."""
    from aspen.fused.module import Fused

    return model.plain if isinstance(model, Fused) else model
