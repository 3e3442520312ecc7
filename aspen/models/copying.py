"""A user's model, and copies of it to try something on."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn

from aspen.models.operations import parts


def copy_of(model: nn.Module) -> nn.Module:
    """A copy of the model, its hooks included.

    Membranes left in an autograd graph by an earlier pass, which torch cannot copy, are detached.
    """
    memo: dict[int, Any] = {}
    for module in model.modules():
        for value in parts((module._buffers, dict(vars(module))), Tensor):
            if not value.is_leaf:
                memo[id(value)] = value.detach().clone()
    return copy.deepcopy(model, memo)
