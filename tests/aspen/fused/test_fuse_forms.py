"""Models whose steps are not those of their input fuse, where each step reads its own."""

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


@pytest.mark.parametrize(("static", "shape"), [(False, (4, 3, 5)), (True, (3, 5))])
def test_steps_of_the_models_own(static: bool, shape: tuple[int, ...]) -> None:
    model, given = Fixed(static), 3 * torch.rand(shape, generator=torch.Generator().manual_seed(0))
    found, expected = aspen.fuse(model)(given), model(given)
    assert torch.equal(found, expected)
    assert bool(expected.any())
    gradients = [torch.autograd.grad(made.sum(), model.linear.weight)[0] for made in (found, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)


def test_steps_that_are_not_read_are_refused() -> None:
    with pytest.raises(ModelError, match="its input at a step does not come from that step"):
        aspen.fuse(Fixed(False), torch.ones(6, 3, 5))
