"""Gradients of spikes are computed where their surrogate is not zero: there they are the dense ones."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import aspen
from aspen.fused import linear as module
from aspen.fused import memory
from aspen.fused.fired import Fired
from aspen.fused.linear import linear
from aspen.fused.neurons import Neuron
from aspen.models.ready import DenseNet
from aspen.models.surrogates import Triangle, derivative
from tests.aspen.fused.fused_models import Chain, assert_alike, assert_same_on_any_threads, busy_input, results
from tests.aspen.fused.test_fuse import DOUBLE, KINDS, RESETS, neuron
from tests.aspen.fused.test_fuse_fired import Between, packed, unpacked
from tests.aspen.fused.test_fuse_products import assert_close, sparse


def known(spikes: Tensor, near: Tensor) -> Fired:
    fired = Fired()
    fired.keep(spikes, packed(spikes), packed(near))
    return fired


@pytest.fixture
def sampled(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What share of the inputs was asked for, of each gradient that was computed so."""
    shares: list[float] = []
    usual = module._sample

    def sample(grad: Tensor, weight: Tensor, near: Tensor, made: Tensor) -> None:
        shares.append(float(unpacked(near).double().mean()))
        usual(grad, weight, near, made)

    monkeypatch.setattr(module, "_sample", sample)
    return shares


@given(
    rows=st.integers(1, 90),
    words=st.integers(1, 10),
    outputs=st.integers(1, 150),
    share=st.sampled_from((0.0, 0.05, 0.3, 1.0)),
    dtype=st.sampled_from((torch.float32, torch.float64)),
    past=st.booleans(),
    seed=st.integers(0, 2**20),
)
@settings(max_examples=60)
def test_random_gradients_are_the_dense_ones_where_they_are_asked_for(
    rows: int, words: int, outputs: int, share: float, dtype: torch.dtype, past: bool, seed: int
) -> None:
    spikes = sparse(rows, 16 * words, share=0.1, seed=seed, dtype=dtype).requires_grad_()
    near = sparse(rows, 16 * words, share=share, seed=seed + 1, dtype=dtype)
    generator = torch.Generator().manual_seed(seed + 2)
    weight = torch.randn(outputs, 16 * words, generator=generator, dtype=dtype)
    grad = torch.randn(rows, outputs, generator=generator, dtype=dtype)
    with pytest.MonkeyPatch.context() as patched:
        if past:
            patched.setattr(memory, "_LARGE", 1)
        made, _ = linear(spikes, weight, None, "events", known(spikes.detach(), near))
        (found,) = torch.autograd.grad(made, spikes, grad)
    expected = grad @ weight
    assert_close(found, expected * near)
    assert bool((found[near == 0] == 0).all())


def test_any_number_of_threads_gives_the_same_bits() -> None:
    spikes, near = sparse(2048, 128, share=0.1).requires_grad_(), sparse(2048, 128, share=0.1, seed=1)
    weight, grad = (torch.randn(n, 128, generator=torch.Generator().manual_seed(n)) for n in (128, 2048))

    def run() -> list[Tensor]:
        made, _ = linear(spikes, weight, None, "auto", known(spikes.detach(), near))
        return list(torch.autograd.grad(made, spikes, grad))

    assert_same_on_any_threads(run)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("delay", [True, False])
@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("kind", KINDS)
def test_bits_say_where_the_surrogate_is_other_than_zero(
    kind: str, reset: str, delay: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    delay |= kind == "RSynaptic"
    layer: Any = neuron(kind, 32, reset, delay, "triangle", "no", 1).to(dtype)
    signal = torch.randn(9, 4, 32, generator=torch.Generator().manual_seed(0)).to(dtype) + 0.5
    for large in (memory._LARGE, 1):
        monkeypatch.setattr(memory, "_LARGE", large)
        fired = Fired()
        spikes, states = Neuron("layer", layer).run(signal * (8 if kind == "Lapicque" else 1), fired)
        near = fired.near(spikes)
        assert near is not None
        assert 0.02 < float(unpacked(near).double().mean()) < 0.98
        if delay:  # otherwise the membrane that is shown is not the one that fired
            expected = derivative(layer.spike_grad, states["mem"] - layer.threshold) != 0
            assert torch.equal(unpacked(near).bool(), expected.flatten(1))


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_neuron_learns_alike(kind: str, reset: str, sampled: list[float]) -> None:
    """The gradients of what comes before the neurons are those of the loop; a term that is missing cannot hide."""
    torch.manual_seed(1)
    for delay in (True, False) if kind in ("Leaky", "Synaptic", "RLeaky") else (True,):
        layers = [neuron(kind, n, reset, delay, "triangle", "each", n) for n in (32, 16, 4)]
        model = Chain((5, 32, 16, 4), layers).double()
        for layer in (*model.linears, *model.neurons):
            if isinstance(layer, nn.Linear):
                layer.weight.data.abs_().mul_(8 if kind == "Lapicque" else 1)
            else:
                layer.graded_spikes_factor.requires_grad_(False).fill_(1)  # type: ignore[union-attr,operator]
        assert_alike(model, busy_input(5, seed=2, dtype=torch.float64), DOUBLE, products="events")
    assert len(sampled) >= 2
    assert 0 < min(sampled) < 1


@pytest.mark.parametrize("kind", ["perturbed", "dialled"])
def test_thresholds_that_move(kind: str, sampled: list[float]) -> None:
    made = []
    for products in ("dense", "events"):
        torch.manual_seed(3)
        model = DenseNet((5, 48, 32, 3), learn_beta=True, spike_grad=Triangle(0.7)).double()
        for parameter in model.parameters():
            parameter.data.abs_()
        if kind == "perturbed":
            aspen.perturb_thresholds(model, seed=7)
        else:
            aspen.learn_dial(model, busy_input(5)[:, :1], seed=0).turn(torch.linspace(0, 1, 4))
        made.append(results(aspen.fuse(model, products=products), busy_input(5, dtype=torch.float64)))
    (one, grads), (other, again) = made
    assert torch.equal(one[0], other[0])
    for name, grad in grads.items():
        torch.testing.assert_close(again[name], grad)
    assert len(sampled) == 2


@pytest.mark.parametrize(("share", "count"), [(0.1, 1), (0.5, 0)])
def test_few_are_computed_alone_and_many_all(share: float, count: int, sampled: list[float]) -> None:
    spikes = sparse(1 << 12, 128, share=0.05).requires_grad_()
    near = sparse(1 << 12, 128, share=share, seed=1)
    made, _ = linear(spikes, torch.ones(128, 128), None, "auto", known(spikes.detach(), near))
    made.sum().backward()
    assert len(sampled) == count


def test_another_surrogate_asks_for_all(sampled: list[float]) -> None:
    model = Between()
    made: Tensor = aspen.fuse(model, products="events")(busy_input(5))
    made.sum().backward()
    assert sampled == []


def test_what_stands_between_is_given_all(sampled: list[float]) -> None:
    """Dropout's gradient goes to all spikes, as it might do anything with it."""
    for between, count in ((nn.Dropout(0.5), 0), (nn.Identity(), 1)):
        model = Between(between, spike_grad=Triangle(0.5))
        made: Tensor = aspen.fuse(model, products="events")(busy_input(5))
        made.sum().backward()
        assert len(sampled) == count


def test_nothing_is_kept_where_nobody_learns() -> None:
    layer: Any = neuron("Leaky", 32, "subtract", True, "triangle", "no", 1)
    fired = Fired()
    with torch.no_grad():
        spikes, _ = Neuron("layer", layer).run(torch.rand(9, 4, 32), fired)
    assert fired.of(spikes) is not None
    assert fired.near(spikes) is None
