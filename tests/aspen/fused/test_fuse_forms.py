"""Models whose steps are not those of their input are refused by what they do."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import aspen
from aspen.errors import ModelError
from tests.aspen.fused.fused_models import leaky


class Fixed(nn.Module):
    """Four steps, whatever the input has: of the input's own, or of one input that is ``static``."""

    def __init__(self, static: bool) -> None:
        super().__init__()
        self.static, self.linear, self.neurons = static, nn.Linear(5, 6), leaky()

    def forward(self, inputs: Tensor) -> Tensor:
        state, made = self.neurons.reset_mem(), []
        for step in range(4):
            spikes, state = self.neurons(self.linear(inputs if self.static else inputs[step]), state)
            made.append(spikes)
        return torch.stack(made)


@pytest.mark.parametrize(
    ("static", "shape", "message"),
    [
        (False, (4, 3, 5), r"Fixed.forward\(\): takes 4 steps, but not all of them as one .*instead of a fixed number"),
        (False, (6, 3, 5), "called {'neurons': 4} times for 6 steps"),
        (True, (3, 5), r"found one input that is repeated .*allowed is input with time first, \(time, batch"),
    ],
)
def test_steps_of_the_models_own(static: bool, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        aspen.fuse(Fixed(static), torch.ones(shape))
