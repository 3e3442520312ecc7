"""Fused models give snnTorch's spikes, membranes and gradients."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import snntorch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from snntorch import surrogate
from torch import nn

from aspen.models.ready import DenseNet
from tests.aspen.fused.fused_models import SURROGATES, Chain, assert_alike, assert_steps_alike, busy_input, make_exact

FLOAT, DOUBLE = 1e-5, 1e-10
KINDS = ("Leaky", "Synaptic", "RLeaky", "RSynaptic", "Lapicque")
RESETS = ("subtract", "zero", "none")


def neuron(kind: str, n: int, reset: str, delay: bool, spike_grad: str, learn: str, seed: int) -> nn.Module:
    """A neuron layer; ``learn`` is no, scalar or each (one value for each neuron)."""
    generator = torch.Generator().manual_seed(seed)

    def value(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand((n,) if learn == "each" else (), generator=generator)

    options: dict[str, Any] = {"reset_mechanism": reset, "spike_grad": SURROGATES[spike_grad]()}
    options |= {"threshold": value(0.5, 1.2), "learn_threshold": learn != "no"}
    if kind == "Lapicque":
        return snntorch.Lapicque(beta=0.8, **options)
    options |= {"beta": value(0.5, 1.1), "learn_beta": learn != "no"}
    if kind != "RSynaptic":
        options["reset_delay"] = delay
    if "Synaptic" in kind:
        options |= {"alpha": value(0.2, 0.9), "learn_alpha": learn != "no"}
    if kind.startswith("R"):
        options |= {"linear_features": n}
    if kind == "Leaky" and learn != "no":
        options |= {"graded_spikes_factor": (value(0.5, 2) * 8).round() / 8, "learn_graded_spikes_factor": True}
    layer: nn.Module = getattr(snntorch, kind)(**options)
    return layer


@given(
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=3),
    reset=st.sampled_from(RESETS),
    delay=st.booleans(),
    spike_grad=st.sampled_from(sorted(SURROGATES)),
    learn=st.sampled_from(("no", "scalar", "each")),
    precise=st.booleans(),
    seed=st.integers(0, 2**20),
)
@settings(max_examples=80)
def test_random_models_spike_alike_and_learn_alike(
    kinds: list[str], reset: str, delay: bool, spike_grad: str, learn: str, precise: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    spike_grad = "bell" if precise else spike_grad  # snnTorch's own round spikes and their gradients to float32
    sizes = (5, 7, 6, 4)[: len(kinds) + 1]
    layers = [
        neuron(kind, n, reset, delay, spike_grad, learn, seed + n) for kind, n in zip(kinds, sizes[1:], strict=True)
    ]
    model = Chain(sizes, layers)
    dtype = torch.float64 if precise else torch.float32
    assert_alike(model.to(dtype), busy_input(5, seed=seed, dtype=dtype), DOUBLE if precise else FLOAT)


@pytest.mark.parametrize("kind", ["Leaky", "Synaptic", "RLeaky"])
def test_snntorchs_surrogates_in_float64(kind: str) -> None:
    """snnTorch makes float32 spikes there, whose gradients are rounded to float32: so are those of the fused model."""
    torch.manual_seed(0)
    options: dict[str, Any] = {"beta": 0.9, "threshold": 0.7}
    options |= {"alpha": 0.3} if kind == "Synaptic" else {}
    options |= {"all_to_all": False, "V": 0.3} if kind == "RLeaky" else {}
    model = Chain((5, 6), [getattr(snntorch, kind)(**options)]).double()
    looped = assert_alike(model, busy_input(5, dtype=torch.float64), 1e-6)
    assert looped[0].dtype == torch.float32
    assert 0 < float(looped[0].mean()) < 1


def test_a_float64_dense_net_casts_its_spikes() -> None:
    torch.manual_seed(0)
    model = DenseNet((5, 12, 8, 3)).double()
    for linear in (model.fc1, model.fc2, model.fc3):
        linear.weight.data.abs_()
    assert_alike(model, busy_input(5, dtype=torch.float64), 1e-6)


class Part(nn.Module):
    """One of the values that a model returns."""

    def __init__(self, inner: nn.Module, which: int) -> None:
        super().__init__()
        self.inner, self.which = inner, which

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        part: torch.Tensor = self.inner(inputs)[self.which]
        return part


@pytest.mark.parametrize("recurrent", [True, False])
def test_the_gradient_of_membranes_alone_and_of_spikes_alone(recurrent: bool) -> None:
    for which in (0, 1):
        layer = snntorch.RLeaky(beta=0.8, linear_features=6) if recurrent else snntorch.Leaky(beta=0.8)
        assert_alike(Part(Chain((5, 6), [layer]), which), busy_input(5), FLOAT)


@pytest.mark.parametrize("one_to_one", [0.4, torch.linspace(-0.5, 0.5, 6)])
def test_one_to_one_recurrence(one_to_one: Any) -> None:
    layer = snntorch.RSynaptic(alpha=0.5, beta=0.8, all_to_all=False, V=one_to_one, reset_mechanism="zero")
    assert_alike(Chain((5, 6), [layer]), busy_input(5), FLOAT)


def test_recurrent_convolution() -> None:
    torch.manual_seed(0)
    layer = snntorch.RLeaky(beta=0.8, conv2d_channels=3, kernel_size=3, threshold=0.5, init_hidden=True, output=True)
    model = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), layer)
    assert_steps_alike(make_exact(model), busy_input(2, 5, 5), FLOAT)


def test_a_convolutional_sequential_with_pooling() -> None:
    torch.manual_seed(0)
    leaky: dict[str, Any] = {
        "beta": 0.8,
        "threshold": 0.5,
        "init_hidden": True,
        "spike_grad": surrogate.fast_sigmoid(5),
    }
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), snntorch.Leaky(**leaky), nn.MaxPool2d(2), nn.Conv2d(4, 3, 3),
        nn.AvgPool2d(2), snntorch.Synaptic(alpha=0.4, **leaky), nn.Flatten(), nn.Linear(3, 5),
        snntorch.Leaky(**leaky, output=True),
    )  # fmt: skip
    assert_steps_alike(make_exact(model), busy_input(1, 8, 8), FLOAT)


def test_long_sequences_and_large_batches_run_in_blocks_on_threads() -> None:
    """More columns than a block holds, and enough work for two threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        torch.manual_seed(0)
        layers = [
            snntorch.Leaky(beta=0.9, learn_beta=True, learn_threshold=True),
            snntorch.Synaptic(alpha=0.5, beta=0.8),
        ]
        generator = torch.Generator().manual_seed(0)
        inputs = (torch.rand((40, 70, 20), generator=generator) < 0.3).float()
        assert_alike(Chain((20, 90, 33), layers), inputs, FLOAT)
    finally:
        torch.set_num_threads(before)


def test_batches_of_one_and_single_steps() -> None:
    torch.manual_seed(0)
    model = Chain((5, 6, 3), [snntorch.Leaky(beta=0.9, threshold=0.5), snntorch.Synaptic(alpha=0.5, beta=0.8)])
    inputs = busy_input(5)
    for part in (inputs[:, :1], inputs[:1], inputs[:1, :1]):
        assert_alike(copy.deepcopy(model), part, FLOAT)


def test_thresholds_below_zero_reset_before_the_first_step() -> None:
    model = Chain((5, 6), [snntorch.Leaky(beta=0.9, threshold=-0.2)])
    assert_alike(model, busy_input(5), FLOAT)
