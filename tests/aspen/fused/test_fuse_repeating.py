"""Fusing models that repeat one input for a number of steps of their own: what their loop gives, and its gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from snntorch import Leaky, RLeaky, Synaptic
from torch import Tensor, nn

import aspen
from aspen.errors import ModelError
from tests.spiking_models import BATCH

STEPS = 6


class Repeating(nn.Module):
    """Two layers; ``give`` says what of the steps is returned."""

    def __init__(self, give: str = "stack", lif: Any = None, between: nn.Module | None = None) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(6, 5), lif or Leaky(0.75)
        self.between = between or nn.Identity()
        self.fc2, self.lif2 = nn.Linear(5, 4), Leaky(0.75, learn_beta=True)
        self.give, self.readout = give, nn.Linear(4, 2)

    def forward(self, x: Tensor, num_steps: int = STEPS) -> Any:
        states, mem2, spikes, membranes = self.lif1.reset_mem(), self.lif2.reset_mem(), [], []
        states = states if isinstance(states, tuple) else (states,)
        for _ in range(num_steps):
            s1, *states = made = self.lif1(self.fc1(x), *states)
            states = made if isinstance(self.lif1, RLeaky) else states
            s2, mem2 = self.lif2(self.fc2(self.between(s1)), mem2)
            spikes.append(s2)
            membranes.append(mem2)
        kinds: dict[str, Any] = {
            "stack": lambda: (torch.stack(spikes), torch.stack(membranes)),
            "batch first": lambda: torch.stack(membranes, dim=1),
            "sum": lambda: sum(spikes) + membranes[-1],
            "readout": lambda: self.readout(torch.stack(membranes).mean(0)),
            "largest": lambda: {"top": torch.stack(membranes).amax(0)},
        }
        return kinds[self.give]()


class Hidden(nn.Module):
    """Neurons that keep their states; a readout within the loop."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.lif1 = nn.Conv2d(1, 3, 3), Leaky(0.75, init_hidden=True)
        self.fc, self.lif2 = nn.Linear(12, 4), Leaky(0.75, init_hidden=True, output=True)
        self.out = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        self.lif1.reset_mem()
        self.lif2.reset_mem()
        total = torch.zeros(len(x), 2)
        for step in range(STEPS):
            pooled = nn.functional.avg_pool2d(self.lif1(self.conv(x)), 2)
            spikes, _ = self.lif2(self.fc(pooled.flatten(1)))
            total = total + (step + 1) * self.out(spikes)
        return total


def inputs(*shape: int) -> Tensor:
    return torch.rand(BATCH, *shape, generator=torch.Generator().manual_seed(0)) * 3


def leaves(made: Any) -> list[Tensor]:
    if isinstance(made, Tensor):
        return [made]
    return list(made.values() if isinstance(made, dict) else made)


def same(model: nn.Module, x: Tensor, *given: Any, **arguments: Any) -> None:
    fused = aspen.fuse(model, **({"arguments": arguments} if arguments else {}))
    found, expected = leaves(fused(x)), leaves(model(x, *given))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)
    assert sum(float(made.detach().abs().sum()) for made in expected) > 0
    weights = list(model.parameters())
    either = [
        torch.autograd.grad(sum((made**2).sum() for made in each), weights, allow_unused=True)
        for each in (found, expected)
    ]
    for a, b in zip(*either, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("give", ["stack", "batch first", "sum", "readout", "largest"])
def test_whatever_the_loop_returns_and_its_gradients_are_the_same(give: str) -> None:
    same(Repeating(give), inputs(6))


@pytest.mark.parametrize("lif", [Synaptic(0.5, 0.75), RLeaky(0.75, linear_features=5), Leaky(0.75, threshold=0.5)])
def test_every_kind_of_neuron_repeats(lif: nn.Module) -> None:
    torch.manual_seed(0)
    same(Repeating(lif=lif), inputs(6))


def test_states_that_are_kept_and_a_readout_within_the_loop() -> None:
    same(Hidden(), inputs(1, 6, 6))


def test_the_number_of_steps_is_an_argument() -> None:
    same(Repeating(), inputs(6), 9, num_steps=9)


def test_one_fused_model_takes_batches_of_any_size_and_both_modes() -> None:
    model = Repeating(between=nn.Dropout(0.5))
    fused = aspen.fuse(model, inputs(6))
    assert fused(inputs(6)[:2])[0].shape == (STEPS, 2, 4)
    model.eval()
    for x in (inputs(6), inputs(6)[:1], torch.cat([inputs(6)] * 2)):
        torch.testing.assert_close(fused(x)[1], model(x)[1])


def test_thresholds_are_drawn_alike() -> None:
    model = Repeating()
    perturbation = aspen.perturb_thresholds(model, seed=5)
    expected = model(inputs(6))[1]
    perturbation.remove()
    perturbation = aspen.perturb_thresholds(model, seed=5)
    fused = aspen.fuse(model)
    torch.testing.assert_close(fused(inputs(6))[1], expected)


def test_hooks_run_once_and_see_all_steps() -> None:
    model, seen = Repeating(), []
    for layer in (model.fc1, model.lif1):
        layer.register_forward_hook(lambda module, args, output: seen.append(args[0].shape))
    fused = aspen.fuse(model, inputs(6))
    fused(inputs(6))
    assert seen == [(STEPS * BATCH, 6), (STEPS * BATCH, 5)]


def test_hooks_that_change_what_is_made_act_as_in_the_loop() -> None:
    model = Repeating()
    model.fc2.register_forward_hook(lambda module, args, made: 2 * made)
    model.lif2.register_forward_hook(lambda module, args, made: (1 - made[0], made[1]))
    same(model, inputs(6))


class DropoutFirst(Repeating):
    """Drops inputs once for all steps."""

    def forward(self, x: Tensor, num_steps: int = STEPS) -> Any:
        return super().forward(nn.functional.dropout(x, 0.5, self.training), num_steps)


class Counting(Repeating):
    """Its input depends on the step."""

    def forward(self, x: Tensor, num_steps: int = STEPS) -> Any:
        mem, spikes = self.lif1.reset_mem(), []
        for step in range(num_steps):
            spk, mem = self.lif1(step * self.fc1(x), mem)
            self.lif2(self.fc2(spk))
            spikes.append(spk)
        return torch.stack(spikes)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (DropoutFirst(), "dropout 1 times in 6 steps, allowed is once in each step"),
        (Counting(), "lif1.*its input at a step does not come from that step and sample alone"),
    ],
)
def test_what_differs_between_the_steps_is_refused(model: nn.Module, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        aspen.fuse(model, inputs(6))
