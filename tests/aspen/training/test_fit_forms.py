"""Training models that take their input in another form than time first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from snntorch import Leaky
from torch import Tensor, nn

from aspen.data import digits
from aspen.errors import InputError
from aspen.training.fit import evaluate, fit
from aspen.training.recipes import recipe

DATA = digits(steps=6)
SHORT = replace(recipe("perturbed"), epochs=1)


class Net(nn.Module):
    """Reads along ``axis``, and stacks what it answers along ``out``."""

    def __init__(self, axis: int, out: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fc1, self.lif1, self.fc2, self.lif2 = nn.Linear(64, 16), Leaky(0.9), nn.Linear(16, 10), Leaky(0.9)
        self.axis, self.out = axis, out

    def forward(self, x: Tensor) -> Tensor:
        mem1, mem2, record = self.lif1.reset_mem(), self.lif2.reset_mem(), []
        for step in x.unbind(self.axis):
            s1, mem1 = self.lif1(self.fc1(step), mem1)
            s2, mem2 = self.lif2(self.fc2(s1), mem2)
            record.append(s2)
        return torch.stack(record, self.out)


def stepwise() -> nn.Module:
    plain = Net(0, 0)
    keep: Any = {"init_hidden": True}
    return nn.Sequential(plain.fc1, Leaky(0.9, **keep), plain.fc2, Leaky(0.9, **keep))


FORMS = {"batch first": lambda: Net(1, 1), "time last": lambda: Net(2, 2), "mixed": lambda: Net(1, 0), "step": stepwise}


@pytest.fixture(scope="module")
def expected() -> Any:
    model = Net(0, 0)
    return model, fit(model, DATA, SHORT, seed=0, fused=False)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("make", FORMS.values(), ids=FORMS)
def test_every_form_learns_what_time_first_learns(make: Any, fused: bool, expected: Any) -> None:
    model, (plain, wanted) = make(), expected
    fitted = fit(model, DATA, SHORT, seed=0, fused=fused)
    assert fitted.history[-1].loss == pytest.approx(wanted.history[-1].loss, rel=1e-4)
    assert evaluate(model, DATA, "validation") == pytest.approx(evaluate(plain, DATA, "validation"), abs=0.02)
    assert fitted.export().network.input.shape == (64,)


@pytest.mark.parametrize("name", ["aspen-joules", "aspen"])
def test_a_dial_is_learned_by_a_model_that_does_one_step(name: str) -> None:
    """It has the shape of the layers, without the axes of what is given: (64,) of (time, batch, 64)."""
    trained = fit(stepwise(), DATA, name, epochs=1).export()
    assert trained.profile is not None
    shapes = {layer: slope.shape for layer, slope in trained.profile.slopes.items()}
    assert shapes == {layer: trained.network[layer].shape for layer in ("layer1", "layer3")}  # without idle neurons
    assert shapes["layer3"] == (10,)


def test_a_model_that_repeats_its_input_is_given_no_other() -> None:
    class Static(Net):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.expand(6, *x.shape))

    with pytest.raises(InputError, match="found input that changes from step to step"):
        fit(Static(0, 0), DATA, SHORT)
