"""Perturbed thresholds, the knob and the price of spikes in fused models."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import aspen
from aspen.models.layers import hidden_layers
from aspen.models.spikes import count_spikes
from aspen.training.penalties import SpikePenalty
from aspen.training.recipes import Recipe
from tests.aspen.fused.fused_models import BATCH, STEPS, Chain, busy_input, dense, leaky


def test_hidden_spikes_are_counted_and_priced_alike() -> None:
    model = dense()
    fused = aspen.fuse(model, busy_input(5))
    grads = []
    for run in (model, fused):
        with count_spikes(hidden_layers(run)) as spikes:
            run(busy_input(5))
        assert sum(step.numel() for step in spikes["lif1"]) == STEPS * BATCH * 12
        assert any(bool(step.any()) for step in spikes["lif1"])
        model.zero_grad()
        penalty = SpikePenalty(Recipe("priced", spike_price=1.0))(spikes, BATCH).sum()
        penalty.backward()
        grads.append((penalty.detach(), model.fc1.weight.grad.clone()))  # type: ignore[union-attr]
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-5, atol=0)


def test_rehearsals_are_neither_seen_by_hooks_nor_drawn_for() -> None:
    model = dense()
    handle = aspen.perturb_thresholds(model, seed=0)
    with count_spikes(hidden_layers(model)) as spikes:
        aspen.fuse(model, busy_input(5))
    assert all(not steps for steps in spikes.values())
    assert not handle.factors


DRAWS: dict[str, dict[str, Any]] = {
    "sample": {},
    "batch": {"per": "batch"},
    "layer": {"per": ("sample", "layer")},
    "neuron": {"per": ("sample", "neuron")},
    "additive": {"distribution": "gaussian", "mode": "additive", "sigma": 0.3},
    "all": {"layers": "all", "distribution": "log-normal", "sigma": 0.5},
}


@pytest.mark.parametrize("draws", DRAWS)
@pytest.mark.parametrize("to_fused", [False, True])
def test_perturbed_thresholds_are_drawn_alike(draws: str, to_fused: bool) -> None:
    looped, twin = (Chain((5, 8, 6), [leaky(learn_threshold=True), leaky(reset_delay=False)]) for _ in range(2))
    twin.load_state_dict(looped.state_dict())
    fused: nn.Module = aspen.fuse(twin)
    one = aspen.perturb_thresholds(looped, seed=7, **DRAWS[draws])
    two = aspen.perturb_thresholds(fused if to_fused else twin, seed=7, **DRAWS[draws])
    for _ in range(2):
        expected, found = looped(busy_input(5)), fused(busy_input(5))
        assert torch.equal(expected[0], found[0])
        assert torch.equal(expected[1], found[1])
        for name, values in one.factors.items():
            assert torch.equal(values, two.factors[name])
        for (name, parameter), other in zip(looped.named_parameters(), twin.parameters(), strict=True):
            grads = [
                torch.autograd.grad(made[0].sum(), p, retain_graph=True)[0]
                for made, p in ((expected, parameter), (found, other))
            ]
            torch.testing.assert_close(grads[0], grads[1], rtol=1e-4, atol=1e-5 * float(grads[0].abs().max()), msg=name)
    two.remove()
    assert torch.equal(fused(busy_input(5))[0], twin(busy_input(5))[0])


def test_the_knob_turns_a_fused_model() -> None:
    model = dense()
    fused = aspen.fuse(model)
    counts = []
    for scale in (0.5, 1.0, 2.0):
        aspen.set_threshold_scale(fused, scale)
        made = fused(busy_input(5))
        assert torch.equal(made, model(busy_input(5)))
        counts.append(float(made.detach().sum()))
    assert counts[0] > counts[-1]
