"""Products by events beside dense ones: the same up to the order of sums, chosen by how many inputs are not zero."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import snntorch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

import aspen
from aspen.errors import InputError
from aspen.fused import linear as module
from aspen.fused.linear import linear
from aspen.models.ready import DenseNet
from aspen.thresholds.learned_dial import learn_dial
from tests.aspen.fused.fused_models import (
    Chain,
    assert_alike,
    assert_same_on_any_threads,
    bell,
    busy_input,
    dense,
)
from tests.aspen.fused.test_fuse import DOUBLE, KINDS, RESETS, neuron
from tests.aspen.fused.test_fuse_repeating import Repeating

TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-12}


def sparse(
    *shape: int, share: float, seed: int = 0, dtype: torch.dtype = torch.float32, graded: bool = False
) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(shape, generator=generator, dtype=dtype) if graded else torch.ones(shape, dtype=dtype)
    return values * (torch.rand(shape, generator=generator) < share)


def assert_close(found: Tensor, expected: Tensor) -> None:
    tolerance = TOLERANCE[expected.dtype] * max(float(expected.abs().max()), 1e-30)
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


@given(
    rows=st.one_of(st.integers(1, 3), st.integers(60, 140)),
    sizes=st.tuples(st.integers(1, 150), st.integers(1, 150)),
    share=st.sampled_from((0.0, 0.02, 0.2, 1.0)),
    graded=st.booleans(),
    bias=st.booleans(),
    dtype=st.sampled_from(sorted(TOLERANCE, key=str)),
    layout=st.sampled_from(("flat", "several axes", "transposed")),
    seed=st.integers(0, 2**20),
)
@settings(max_examples=60)
def test_random_products_and_gradients_are_the_dense_ones(
    rows: int,
    sizes: tuple[int, int],
    share: float,
    graded: bool,
    bias: bool,
    dtype: torch.dtype,
    layout: str,
    seed: int,
) -> None:
    m, n = sizes
    inputs = sparse(rows, m, share=share, seed=seed, dtype=dtype, graded=graded)
    if layout == "several axes":
        inputs = torch.stack([inputs, inputs.roll(1, 0)])
    if layout == "transposed":
        inputs = inputs.t().contiguous().t()
    generator = torch.Generator().manual_seed(seed + 1)
    weight = torch.randn(n, m, generator=generator, dtype=dtype)
    given_ = [inputs, weight, *([torch.randn(n, generator=generator, dtype=dtype)] if bias else [])]
    results = []
    for products in ("dense", "events"):
        own = [value.detach().clone().requires_grad_() for value in given_]
        made, how = linear(own[0], own[1], own[2] if bias else None, products)
        assert how == products
        factors = torch.randn(made.shape, generator=torch.Generator().manual_seed(2), dtype=dtype)
        results.append([made.detach(), *torch.autograd.grad((made * factors).sum(), own)])
    for expected, found in zip(*results, strict=True):
        assert_close(found, expected)


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_neuron_learns_alike_by_events(kind: str, reset: str) -> None:
    torch.manual_seed(1)
    model = Chain((5, 36, 4), [neuron(kind, n, reset, True, "bell", "each", n) for n in (36, 4)]).double()
    for layer in model.linears:
        layer.weight.data.abs_().mul_(8 if kind == "Lapicque" else 1)  # type: ignore[union-attr,operator]
    spikes, _ = assert_alike(model, busy_input(5, seed=2, dtype=torch.float64), DOUBLE, products="events")
    assert bool(spikes.any()) or kind == "Lapicque"


def dialled(model: DenseNet) -> None:
    dial = learn_dial(model, busy_input(5)[:, :1], seed=0)
    dial.turn(torch.linspace(0, 1, 4))


MODELS: dict[str, Any] = {
    "norm": lambda: DenseNet((5, 40, 33, 3), batch_norm=True, learn_beta=True, readout="linear"),
    "perturbed": lambda: DenseNet((5, 40, 33, 3), reset_mechanism="subtract"),
    "dialled": lambda: DenseNet((5, 40, 33, 3), learn_beta=True),
}


@pytest.mark.parametrize("kind", MODELS)
def test_what_stands_around_the_products_is_the_same(kind: str) -> None:
    made, grads = [], []
    for products in ("dense", "events"):
        torch.manual_seed(3)
        model = MODELS[kind]().double()
        for parameter in model.parameters():
            parameter.data.abs_()
        if kind == "perturbed":
            aspen.perturb_thresholds(model, seed=7)
        if kind == "dialled":
            dialled(model)
        fused = aspen.fuse(model, batch_norm="over_time", products=products)
        spikes = fused(busy_input(5, dtype=torch.float64))
        spikes.sum(0)[:, 0].sum().backward()
        made.append(spikes.detach())
        grads.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
        assert {how for name, how in fused.products.items()} == {products}
    assert bool(made[0].any())
    torch.testing.assert_close(made[1], made[0], rtol=1e-9, atol=1e-12)
    assert grads[0].keys() == grads[1].keys()
    for name, grad in grads[0].items():
        torch.testing.assert_close(grads[1][name], grad, rtol=1e-6, atol=1e-9, msg=name)


@pytest.mark.parametrize(("share", "outputs", "how"), [(0.1, 64, "events"), (0.5, 64, "dense"), (0.1, 6, "dense")])
def test_the_choice_follows_from_the_share_of_events(share: float, outputs: int, how: str) -> None:
    inputs, weight = sparse(40, 16, 256, share=share), torch.ones(outputs, 256)
    assert linear(inputs, weight, None)[1] == how


def test_a_small_product_is_dense() -> None:
    assert linear(sparse(1, 4, 256, share=0.01), torch.ones(64, 256), None)[1] == "dense"


def test_what_the_loops_do_not_take_is_dense() -> None:
    inputs, weight = sparse(40, 16, 256, share=0.1), torch.ones(64, 256)
    assert linear(inputs.bfloat16(), weight.bfloat16(), None, "events")[1] == "dense"
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(inputs, weight, None, "events")[0].dtype == torch.bfloat16
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        linear(inputs, torch.ones(64, 255), None, "events")


def test_any_number_of_threads_gives_the_same_bits() -> None:
    inputs, weight = sparse(2048, 130, share=0.1), torch.randn(200, 130, generator=torch.Generator().manual_seed(1))
    grad = torch.randn(2048, 200, generator=torch.Generator().manual_seed(2))

    def run() -> list[Tensor]:
        own = weight.clone().requires_grad_()
        made, _ = linear(inputs, own, None)
        return [made.detach(), *torch.autograd.grad(made, own, grad)]

    assert_same_on_any_threads(run)


@pytest.mark.parametrize("graded", [False, True])
def test_events_that_were_not_kept_are_listed_again(graded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, grad = sparse(130, 70, share=0.2, graded=graded), torch.randn(130, 33)
    found = []
    for numbered in (module._NUMBERED, 0):
        monkeypatch.setattr(module, "_NUMBERED", numbered)
        weight = torch.zeros(33, 70, requires_grad=True)
        made, _ = linear(inputs, weight, None, "events")
        found += torch.autograd.grad(made, weight, grad)
    assert torch.equal(*found)
    assert_close(found[0], grad.t() @ inputs)


def test_more_inputs_than_are_numbered_in_16_bits() -> None:
    inputs, weight = sparse(3, 40_000, share=0.1), torch.randn(5, 40_000).requires_grad_()
    made, _ = linear(inputs, weight, None, "events")
    (found,) = torch.autograd.grad(made.sum(), weight)
    assert_close(found, inputs.sum(0).expand(5, -1))


def test_a_layer_that_is_not_torchs_own_runs_its_own_forward() -> None:
    class Doubled(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            return 2 * functional.linear(input, self.weight, self.bias)

    torch.manual_seed(0)
    model = nn.Sequential(Doubled(5, 40), snntorch.Leaky(0.8, init_hidden=True), nn.Linear(40, 3))
    model.append(snntorch.Leaky(0.8, init_hidden=True))
    fused = aspen.fuse(model, products="events")
    fused(busy_input(5))
    assert set(fused.products) == {"2"}


def test_weights_that_are_made_from_others_are_multiplied_as_they_are_made() -> None:
    class Halved(nn.Module):
        def forward(self, weight: Tensor) -> Tensor:
            return weight / 2

    torch.manual_seed(0)
    plain = Chain((5, 40, 3), [snntorch.Leaky(0.8, spike_grad=bell()) for _ in range(2)]).double()
    halved = copy.deepcopy(plain)
    for layer in halved.linears:
        layer.weight.data.mul_(2)  # type: ignore[union-attr,operator]
        parametrize.register_parametrization(layer, "weight", Halved())
    inputs = busy_input(5, dtype=torch.float64)
    fused = aspen.fuse(halved, products="events")
    assert torch.equal(fused(inputs)[1], aspen.fuse(plain, products="dense")(inputs)[1])
    assert fused.products == {"linears.0": "events", "linears.1": "events"}


def test_a_model_that_repeats_its_input_multiplies_by_events() -> None:
    torch.manual_seed(0)
    model = Repeating()
    fused = aspen.fuse(model, products="events")
    given_ = torch.rand(4, 6, generator=torch.Generator().manual_seed(1))
    expected, found = model(given_), fused(given_)
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(other, one)
    assert fused.products["fc1"] == fused.products["fc2"] == "events"


def test_the_layers_are_left_as_they_were() -> None:
    model = dense()
    aspen.fuse(model, products="events")(busy_input(5))
    assert not any("forward" in vars(module) for module in model.modules())


def test_an_unknown_way_to_multiply_is_refused() -> None:
    with pytest.raises(InputError, match="products: found 'sparse'"):
        aspen.fuse(dense(), products="sparse")
