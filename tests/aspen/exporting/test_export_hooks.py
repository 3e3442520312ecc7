"""Export of models with hooks, parametrizations and the like: what they do is in the network, or it is refused."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module
from torch.nn.utils import parametrizations, prune

from aspen.errors import ModelError
from aspen.exporting import export
from aspen.thresholds.perturbation import perturb_thresholds
from aspen_emulator import run
from aspen_emulator.measuring.parity import parity
from tests.spiking_models import STEPS, leaky, same_spikes, settle, spikes

SAMPLE = spikes(6)
SIZE = 4


class Net(nn.Module):
    """Two layers of neurons of one size; ``answer`` makes what is returned of the recorded spikes."""

    def __init__(self, answer: Callable[[Tensor], Any] = lambda made: made, **options: Any) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(6, SIZE), leaky(**options)
        self.between = nn.Identity()
        self.fc2, self.lif2 = nn.Linear(SIZE, SIZE), leaky(**options)
        self.answer = answer

    def forward(self, x: Tensor) -> Any:
        mem1, mem2, made = self.lif1.reset_mem(), self.lif2.reset_mem(), []
        for step in x:
            spikes1, mem1 = self.lif1(self.fc1(step), mem1)
            spikes2, mem2 = self.lif2(self.fc2(self.between(spikes1)), mem2)
            made.append(spikes2)
        return self.answer(torch.stack(made))


def net(answer: Callable[[Tensor], Any] = lambda made: made, **options: Any) -> Any:
    return settle(Net(answer, **options))


def doubled(module: Any, args: Any) -> Any:
    return (args[0] * 2, *args[1:])


FOLLOWED: dict[str, Callable[[Any], Any]] = {
    "before a layer": lambda m: m.fc1.register_forward_pre_hook(doubled),
    "before a later layer": lambda m: m.fc2.register_forward_pre_hook(doubled),
    "before a layer, keywords": lambda m: m.fc1.register_forward_pre_hook(
        lambda module, args, kwargs: ((args[0] * 2,), kwargs), with_kwargs=True
    ),
    "after a layer": lambda m: m.fc1.register_forward_hook(lambda module, args, made: made * 2 + 0.25),
    "before and after": lambda m: (
        m.fc1.register_forward_pre_hook(doubled),
        m.fc1.register_forward_hook(lambda module, args, made: made * 2),
    ),
    "before no layer": lambda m: m.between.register_forward_pre_hook(doubled),
    "after no layer": lambda m: m.between.register_forward_hook(lambda module, args, made: made * 0.5),
    "before neurons": lambda m: m.lif1.register_forward_pre_hook(doubled),
    "after neurons": lambda m: m.lif1.register_forward_hook(lambda module, args, made: (1 - made[0], made[1])),
    "of gradients": lambda m: [p.register_full_backward_hook(lambda *given: None) for p in (m.fc1, m.lif1)],
    "of the whole model": lambda m: m.register_forward_hook(lambda module, args, made: made.sum(dim=0)),
    "that only looks": lambda m: m.fc1.register_forward_hook(lambda module, args, made: None),
    "a norm of weights": lambda m: parametrizations.weight_norm(m.fc1).parametrizations.weight.original0.data.mul_(2),
    "a spectral norm": lambda m: parametrizations.spectral_norm(m.fc2),
    "a pruned layer": lambda m: prune.ln_structured(m.fc1, "weight", amount=2, n=2, dim=0),
    "a perturbation": lambda m: (perturb_thresholds(m, seed=0), m.fc1.register_forward_pre_hook(doubled)),
}


@pytest.mark.parametrize("change", FOLLOWED.values(), ids=FOLLOWED)
def test_what_hooks_do_to_values_is_in_the_network(change: Callable[[Any], Any]) -> None:
    """Also on samples that the export has not seen."""
    model, plain = net(), net()
    change(model)
    network = same_spikes(model, SAMPLE)
    other = spikes(6, seed=7)
    with torch.no_grad():
        wanted = model(other).reshape(-1, 3, SIZE).sum(dim=0)
    made = run(network, other.numpy().astype(np.uint8)).output
    np.testing.assert_array_equal(made.sum(axis=0), wanted.numpy())
    weights, others = ([c.synapses().toarray() for c in n.connections] for n in (network, export(plain, SAMPLE)))
    same = all(np.array_equal(one, two) for one, two in zip(weights, others, strict=True))
    assert same == (change in (FOLLOWED["of gradients"], FOLLOWED["of the whole model"], FOLLOWED["that only looks"]))


def test_parity_sees_what_neurons_fire_not_what_hooks_make_of_it() -> None:
    model = net()
    model.lif1.register_forward_hook(lambda module, args, made: (1 - made[0], made[1]))
    report = parity(model, export(model, SAMPLE), None, SAMPLE.numpy().astype(np.uint8))
    assert [d.different for d in report.differences] == [0, 0]
    assert all(d.spikes_before for d in report.differences)


def counting(first: int) -> Callable[..., Any]:
    """A hook that doubles what a layer makes from one call on."""
    calls = iter(range(10**6))
    return lambda module, args, made: made * 2 if next(calls) >= first else None


def patched(layer: Any) -> None:
    layer.forward = MethodType(lambda self, *given: type(self).forward(self, *given), layer)


def remember(past: list[Tensor]) -> Callable[..., Any]:
    """A hook that gives a layer the half of what it was given a step before."""

    def hook(module: Any, args: Any) -> Any:
        past.append(args[0])
        return (args[0] + past[-2] / 2,) if len(past) > 1 else None

    return hook


REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "not linear": (
        lambda m: m.fc1.register_forward_hook(lambda module, args, made: made.relu()),
        "lif1: its input is no linear function of spikes",
    ),
    "later": (lambda m: m.fc1.register_forward_hook(counting(6 * STEPS)), "lif1: on .* where the .*hooks and counters"),
    "spikes in another order": (
        lambda m: m.lif1.register_forward_hook(lambda module, args, made: (made[0].flip(-1), made[1])),
        "fc2: its input comes from 'flip'",
    ),
    "a membrane": (
        lambda m: m.lif1.register_forward_hook(lambda module, args, made: (made[0], made[1] / 2)),
        "lif1: at step 1 it is given as 'mem' not what it made",
    ),
    "the answer in another order": (
        lambda m: m.register_forward_hook(lambda module, args, made: made.flip(-1)),
        r"forward\(\): returns what lif2 makes with its neurons in another order",
    ),
    "the last spikes in another order": (
        lambda m: m.lif2.register_forward_hook(lambda module, args, made: (made[0].flip(-1), made[1])),
        "returns what lif2 makes with its neurons in another order",
    ),
    "a layer's own forward": (lambda m: patched(m.fc1), r"fc1 \(Linear\) has a forward\(\) of its own"),
    "a neuron's own forward": (lambda m: patched(m.lif1), r"lif1: Leaky has a forward\(\) of its own"),
    "steps before": (
        lambda m: m.fc1.register_forward_pre_hook(remember([])),
        "lif1: what makes its input fails when it is computed again: The size of tensor a",
    ),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_followed_is_refused(change: Callable[[Any], Any], message: str) -> None:
    model = net()
    change(model)
    with pytest.raises(ModelError, match=message):
        export(model, SAMPLE, time_axis=0)


def test_what_acts_on_all_modules_is_refused() -> None:
    handle = torch_module.register_module_forward_pre_hook(
        lambda module, args: doubled(module, args) if isinstance(module, nn.Linear) else None
    )
    try:
        with pytest.raises(ModelError, match=r"lif1: on the sample, at step 0, found .* where the network gives"):
            export(net(), SAMPLE)
    finally:
        handle.remove()
    export(net(), SAMPLE)


@pytest.mark.parametrize(
    "answer",
    [
        lambda made: made.sum(dim=0).flip(-1),
        lambda made: (made, made.mean(dim=0)[:, [1, 0, 2, 3]]),
        lambda made: {"last": made[-1].roll(1, -1)},
        lambda made: [step.flip(-1) for step in made],
    ],
    ids=["sum", "beside", "last", "list"],
)
def test_an_answer_in_another_order_is_refused_in_any_form(answer: Callable[[Tensor], Any]) -> None:
    with pytest.raises(ModelError, match="in another order"):
        export(net(answer), SAMPLE)


def test_membranes_and_values_in_another_order_are_refused() -> None:
    class Reading(nn.Module):
        def __init__(self, linear: bool) -> None:
            super().__init__()
            self.fc1, self.lif1 = nn.Linear(6, 5), leaky()
            self.fc2 = nn.Linear(5, SIZE)
            self.lif2 = nn.Identity() if linear else leaky(reset_mechanism="none")
            self.linear, self.flip = linear, True

        def forward(self, x: Tensor) -> Tensor:
            mem1, made = self.lif1.reset_mem(), []
            mem2 = None if self.linear else self.lif2.reset_mem()
            for step in x:
                spikes1, mem1 = self.lif1(self.fc1(step), mem1)
                values = self.fc2(spikes1)
                if not self.linear:
                    _, mem2 = self.lif2(values, mem2)
                made.append(values if self.linear else mem2)
            return torch.stack(made).flip(-1) if self.flip else torch.stack(made)

    for linear in (False, True):
        model = settle(Reading(linear))
        with pytest.raises(ModelError, match=f"returns what {'fc2' if linear else 'lif2'} makes .* in another order"):
            export(model, SAMPLE)
        model.flip = False  # type: ignore[assignment]
        export(model, SAMPLE)
