"""Fusing models that loop over another axis than the first: the same spikes and gradients as their own loop."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from snntorch import Leaky
from torch import Tensor, nn

import aspen
from tests.spiking_models import BATCH, STEPS


class Net(nn.Module):
    """Reads along ``axis``, stacks what it answers along ``out``, or adds it up."""

    def __init__(self, axis: int, out: int | None) -> None:
        super().__init__()
        self.fc1, self.lif1, self.fc2, self.lif2 = nn.Linear(6, 5), Leaky(0.75), nn.Linear(5, 4), Leaky(0.75)
        self.axis, self.out = axis, out

    def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:
        mem1, mem2, record = self.lif1.reset_mem(), self.lif2.reset_mem(), []
        for step in x.unbind(self.axis):
            s1, mem1 = self.lif1(gain * self.fc1(step), mem1)
            s2, mem2 = self.lif2(self.fc2(s1), mem2)
            record.append(s2)
        return torch.stack(record).sum(0) if self.out is None else torch.stack(record, dim=self.out)


@pytest.mark.parametrize(("axis", "out"), [(0, 0), (1, 0), (1, 1), (2, 2), (1, None)])
@pytest.mark.parametrize("n", [STEPS, BATCH])
def test_a_loop_over_any_axis_fuses(axis: int, out: int | None, n: int) -> None:
    model = Net(axis, out)
    frames = torch.rand(n, BATCH, 6, generator=torch.Generator().manual_seed(0))
    inputs = frames.movedim((0, 1), (axis, 0 if axis else 1))
    given: dict[str, Any] = {"arguments": {"gain": 2.0}} if axis == 1 else {}
    fused = aspen.fuse(model, **given)
    for times in (1, 2):  # longer than it was rehearsed with
        longer = torch.cat([inputs] * times, axis)
        found, expected = fused(longer), model(longer, *given.get("arguments", {}).values())
        assert torch.equal(found, expected)
        gradients = [torch.autograd.grad(made.sum(), model.fc1.weight)[0] for made in (found, expected)]
        torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)
