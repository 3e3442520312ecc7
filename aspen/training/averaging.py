"""What is kept of the weights of many steps: their running average, and BatchNorm's statistics for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm


class RunningAverage:
    """The running average of some parameters.

    Args:
        parameters: those that are trained.
        decay: of the average, for each step; 0 for no average.
        begin: steps that are done before it begins.

    Attributes:
        values: the averages; ``None`` as long as there are none.
    """

    def __init__(self, parameters: Sequence[Tensor], decay: float, begin: float) -> None:
        self._parameters, self._decay, self._begin = parameters, decay, begin
        self.values: list[Tensor] | None = None

    def follow(self, done: int) -> None:
        """Take in the parameters as they are after ``done`` steps."""
        if not self._decay or done < self._begin:
            return
        now = [parameter.detach() for parameter in self._parameters]
        if self.values is None:
            self.values = [values.clone() for values in now]
            return
        for kept, values in zip(self.values, now, strict=True):
            kept.mul_(self._decay).add_(values, alpha=1 - self._decay)

    def use(self) -> None:
        """Put the averages in place, where there are any."""
        if self.values is not None:
            self._put(self.values)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The averages for as long as the block runs."""
        kept = [parameter.detach().clone() for parameter in self._parameters]
        self.use()
        try:
            yield
        finally:
            self._put(kept)

    def _put(self, kept: list[Tensor]) -> None:
        with torch.no_grad():
            for parameter, values in zip(self._parameters, kept, strict=True):
                parameter.copy_(values)


@contextmanager
def fresh_statistics(norms: Sequence[_BatchNorm]) -> Iterator[None]:
    """Statistics that are taken anew over all batches of the block, each of the same weight."""
    fading = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's word for the mean of all batches
    try:
        yield
    finally:
        for norm, momentum in zip(norms, fading, strict=True):
            norm.momentum = momentum
