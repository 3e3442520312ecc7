"""Fused models with hooks: those that treat each step alone act as in the loop, others are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from aspen.errors import ModelError
from aspen.fused import fuse
from tests.aspen.fused.fused_models import STEPS, Chain, assert_alike, busy_input, leaky


def chain() -> Any:
    torch.manual_seed(1)
    return Chain((5, 6, 4), [leaky(), leaky()])


ALIKE: dict[str, Callable[[Any], Any]] = {
    "before a layer": lambda m: m.linears[0].register_forward_pre_hook(lambda module, args: (args[0] * 2,)),
    "after a layer": lambda m: m.linears[1].register_forward_hook(lambda module, args, made: made * 2),
    "in place": lambda m: m.linears[1].register_forward_hook(lambda module, args, made: made.mul_(2)),
    "before neurons": lambda m: m.neurons[0].register_forward_pre_hook(lambda module, args: (args[0] * 2, *args[1:])),
    "after neurons": lambda m: m.neurons[0].register_forward_hook(lambda module, args, made: (1 - made[0], made[1])),
    "of a layer's gradients": lambda m: m.linears[1].register_full_backward_hook(lambda module, i, o: (i[0] * 2,)),
    "of neurons' gradients": lambda m: m.neurons[0].register_full_backward_hook(lambda *given: None),
}


@pytest.mark.parametrize("register", ALIKE.values(), ids=ALIKE)
def test_hooks_that_treat_each_step_alone_act_as_in_the_loop(register: Callable[[Any], Any]) -> None:
    model = chain()
    register(model)
    spikes, _ = assert_alike(model, busy_input(5), 1e-5)
    assert 0 < float(spikes.mean()) < 1


def counting(module: nn.Module, args: Any, made: Tensor) -> Tensor:
    module.count = getattr(module, "count", 0) + 1  # type: ignore[assignment]
    return made * (2 if module.count % STEPS == 3 else 1)


REFUSED: dict[str, Callable[[Any], Any]] = {
    "a step of its own": lambda m: m.linears[0].register_forward_hook(counting),
    "over the batch": lambda m: m.linears[0].register_forward_hook(lambda module, args, made: made - made.mean(dim=0)),
    "a membrane": lambda m: m.neurons[0].register_forward_hook(lambda module, args, made: (made[0], made[1] / 2)),
}


@pytest.mark.parametrize("register", REFUSED.values(), ids=REFUSED)
def test_hooks_that_do_not_are_refused_at_the_first_call(register: Callable[[Any], Any]) -> None:
    model = chain()
    fused = fuse(model)
    fused(busy_input(5))
    register(model)
    with pytest.raises(ModelError, match=r"neurons.0|neurons.1"):
        fused(busy_input(5))


def test_hooks_that_only_look_never_see_a_rehearsal() -> None:
    model, seen = chain(), list[tuple[int, ...]]()
    model.linears[0].register_forward_hook(lambda module, args, made: seen.append(tuple(made.shape)))
    fused = fuse(model)
    fused(busy_input(5)), fused(busy_input(5))
    assert seen == [(STEPS * 4, 6)] * 2


def test_a_hook_on_the_whole_model_is_restored_like_its_answer() -> None:
    model = chain()
    model.register_forward_hook(lambda module, args, made: made[0] * 3)
    assert_alike(model, busy_input(5), 1e-5)
