"""A user's model, and copies of it to try something on."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import snntorch
from torch import Tensor, nn

from aspen.models.operations import parts

OF_THE_MODEL = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, NotImplementedError)
"""What a model or one of its modules raises on an input that does not fit it."""


class StandIn(nn.Module):
    """A module that stands in for a user's own model, ``plain``."""

    @property
    def plain(self) -> nn.Module:
        """The user's own model."""
        raise NotImplementedError


def plain_of(model: nn.Module) -> nn.Module:
    """The user's own model behind a fused one; any other model as it is."""
    return model.plain if isinstance(model, StandIn) else model


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


@contextmanager
def known_to_snntorch(model: nn.Module) -> Iterator[None]:
    """While this lasts, ``snntorch.utils.reset`` in the model's ``forward`` resets this model's neurons, and no others.

    snnTorch keeps a list of all neurons that were ever made, in which copies are missing.
    """
    every = snntorch.SpikingNeuron.instances
    snntorch.SpikingNeuron.instances = [part for part in model.modules() if isinstance(part, snntorch.SpikingNeuron)]
    try:
        yield
    finally:
        snntorch.SpikingNeuron.instances = every
