"""Bits that tell which neurons fired: they are the spikes, and are used for these spikes alone."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import snntorch
import torch
from torch import Tensor, nn

import aspen
from aspen.fused import kernels, memory
from aspen.fused import linear as module
from aspen.fused.fired import Fired
from aspen.fused.linear import linear
from aspen.fused.neurons import Neuron
from aspen.fused.scan import scan
from tests.aspen.fused.fused_models import Chain, Loop, assert_alike, assert_same_on_any_threads, bell, busy_input
from tests.aspen.fused.test_fuse import DOUBLE, KINDS, RESETS, neuron
from tests.aspen.fused.test_fuse_plain import COLUMNS, STEPS, rule
from tests.aspen.fused.test_fuse_products import assert_close, sparse
from tests.aspen.fused.test_fuse_repeating import Repeating

Change = Callable[[Tensor], Tensor]
Mode = Callable[[], AbstractContextManager[None]]


def unpacked(bits: Tensor) -> Tensor:
    """(time, n) of 0 and 1."""
    return torch.from_numpy(np.unpackbits(bits.numpy().view(np.uint8), axis=1, bitorder="little"))


def packed(spikes: Tensor) -> Tensor:
    return torch.from_numpy(np.packbits(spikes.numpy() != 0, axis=1, bitorder="little").view(np.int16))


def known(spikes: Tensor) -> Fired:
    fired = Fired()
    fired.keep(spikes, packed(spikes))
    return fired


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("delay", [True, False])
@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("kind", KINDS)
def test_bits_are_the_spikes_of_every_kind_of_neuron(kind: str, reset: str, delay: bool, dtype: torch.dtype) -> None:
    delay |= kind == "RSynaptic"
    layer = neuron(kind, 32, reset, delay, "atan" if dtype == torch.float32 else "bell", "no", 1).to(dtype)
    signal = torch.randn(9, 4, 32, generator=torch.Generator().manual_seed(0)).to(dtype) + 0.5
    fired = Fired()
    spikes, _ = Neuron("layer", layer).run(signal * (8 if kind == "Lapicque" else 1), fired)
    bits = fired.of(spikes)
    assert bits is not None
    assert torch.equal(unpacked(bits), spikes.flatten(1))
    assert 0 < float(spikes.detach().mean()) < 1


@pytest.mark.parametrize("reset", [kernels.SUBTRACT, kernels.ZERO_BEFORE, kernels.ZERO_AFTER, kernels.NO_RESET])
@pytest.mark.parametrize("threads", [1, 2])
def test_bits_of_spikes_that_are_written_past_the_cache(
    reset: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_LARGE", 1)
    signal = torch.randn(STEPS, COLUMNS, generator=torch.Generator().manual_seed(0))
    beta = torch.full((COLUMNS,), 0.9)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        asked = replace(rule("atan", reset, torch.float32), bits=True)
        spikes, _, _, bits, _ = scan(asked, signal, None, beta, beta, beta)
        others = scan(replace(asked, bits=False), signal, None, beta, beta, beta)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(unpacked(bits), spikes)
    assert torch.equal(others[0], spikes)
    assert others[3].numel() == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.9, 1.0])
@pytest.mark.parametrize("inputs", [16, 48, 128, 208])
def test_products_from_bits_are_those_from_spikes(inputs: int, share: float, dtype: torch.dtype) -> None:
    spikes = sparse(130, inputs, share=share, dtype=dtype)
    generator = torch.Generator().manual_seed(1)
    for outputs in (6, 64, 83):
        grad = torch.randn(130, outputs, generator=generator, dtype=dtype)
        weight = torch.randn(outputs, inputs, generator=generator, dtype=dtype).requires_grad_()
        found = []
        for fired in (known(spikes), None):
            made, _ = linear(spikes, weight, None, "events", fired)
            found.append((made.detach(), *torch.autograd.grad(made, weight, grad)))
        assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
        assert_close(found[0][0], spikes @ weight.detach().t())
        assert_close(found[0][1], grad.t() @ spikes)


def test_any_number_of_threads_gives_the_same_bits() -> None:
    spikes, weight = sparse(2048, 128, share=0.1), torch.randn(200, 128, generator=torch.Generator().manual_seed(1))
    grad = torch.randn(2048, 200, generator=torch.Generator().manual_seed(2))

    def run() -> list[Tensor]:
        own = weight.clone().requires_grad_()
        made, how = linear(spikes, own, None, "auto", known(spikes))
        assert how == "events"
        return [made.detach(), *torch.autograd.grad(made, own, grad)]

    assert_same_on_any_threads(run)


@pytest.mark.parametrize(("share", "outputs", "how"), [(0.05, 6, "events"), (0.3, 6, "dense"), (0.3, 128, "dense")])
def test_few_outputs_are_worth_events_of_bits(share: float, outputs: int, how: str) -> None:
    spikes = memory.POOL.empty((1 << 14, 128), torch.float32)
    spikes.copy_(sparse(1 << 14, 128, share=share))
    weight = torch.ones(outputs, 128)
    assert linear(spikes, weight, None, "auto", known(spikes))[1] == how
    assert linear(spikes, weight, None)[1] == "dense"


@pytest.fixture
def by_bits(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the bits of the inputs were known, of each product since the list was empty."""
    seen: list[bool] = []
    usual = module._bits

    def looked_up(inputs: Tensor, fired: Fired | None) -> Tensor | None:
        bits = usual(inputs, fired)
        seen.append(bits is not None)
        if bits is not None:
            assert torch.equal(unpacked(bits), inputs.detach().reshape(len(bits), -1))
        return bits

    monkeypatch.setattr(module, "_bits", looked_up)
    return seen


class Between(nn.Module):
    """Two layers with something between them; ``width`` neurons in the first."""

    def __init__(self, between: nn.Module | None = None, width: int = 32, **options: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        options = {"beta": 0.8, "threshold": 0.5, "init_hidden": True} | options
        self.fc1, self.lif1, self.between = nn.Linear(5, width), snntorch.Leaky(**options), between or nn.Identity()
        self.fc2, self.lif2 = nn.Linear(width, 3), snntorch.Leaky(0.8, threshold=0.5, init_hidden=True)
        self.fc1.weight.data.abs_()
        self.fc2.weight.data.abs_().div_(4)

    def forward(self, step: Tensor) -> Tensor:
        made: Tensor = self.lif2(self.fc2(self.between(self.lif1(self.fc1(step)))))
        return made


class Applied(nn.Module):
    def __init__(self, change: Change) -> None:
        super().__init__()
        self.change = change

    def forward(self, spikes: Tensor) -> Tensor:
        return self.change(spikes)


def ran(model: nn.Module, seen: list[bool], mode: Mode = nullcontext) -> list[bool]:
    """Of which layers the inputs' bits were known in a pass like others that came before; its result is right."""
    inputs = busy_input(5)
    fused, dense = aspen.fuse(model, products="events"), aspen.fuse(copy.deepcopy(model), products="dense")
    with mode():
        fused(inputs)
        seen.clear()
        made = fused(inputs)
        found = list(seen)
        torch.testing.assert_close(made, dense(inputs))
        assert 0 < float(made.detach().mean()) < 1
    return found


SAME: dict[str, Change] = {
    "as it is": lambda spikes: spikes,
    "another shape": lambda spikes: spikes.unflatten(1, (2, -1)).flatten(1),
    "detached": lambda spikes: spikes.detach(),
}
OTHER: dict[str, Change] = {
    "a part": lambda spikes: torch.cat([spikes[:, :16], spikes[:, :16]], 1),
    "turned round": lambda spikes: spikes.roll(1, 1),
    "strided": lambda spikes: spikes.unflatten(1, (2, 16)).transpose(1, 2).flatten(1),
    "doubled": lambda spikes: 2 * spikes,
    "a copy": lambda spikes: spikes.clone(),
    "another type": lambda spikes: spikes.double().float(),
}


@pytest.mark.parametrize("change", SAME)
def test_bits_are_used_for_the_spikes_as_they_are(change: str, by_bits: list[bool]) -> None:
    assert ran(Between(Applied(SAME[change])), by_bits) == [False, True]


@pytest.mark.parametrize("change", OTHER)
def test_bits_are_not_used_for_anything_else(change: str, by_bits: list[bool]) -> None:
    assert ran(Between(Applied(OTHER[change])), by_bits) == [False, False]


def test_neurons_that_are_not_of_whole_vectors_have_no_bits(by_bits: list[bool]) -> None:
    assert ran(Between(width=24), by_bits) == [False, False]


def test_spikes_of_another_size_than_0_and_1(by_bits: list[bool]) -> None:
    assert ran(Between(graded_spikes_factor=0.5), by_bits) == [False, False]


def test_dropout_makes_other_values(by_bits: list[bool]) -> None:
    model, inputs = Between(nn.Dropout(0.5)), busy_input(5)
    fused = aspen.fuse(model, inputs, products="events")
    fused(inputs)
    assert by_bits == [False, False]
    by_bits.clear()
    fused.eval()(inputs)
    assert by_bits == [False, True]


@pytest.mark.parametrize("seen", ["by its version", "by samples"])
def test_hooks_that_change_spikes_in_place(seen: str, by_bits: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    def halve(layer: nn.Module, args: Any, spikes: Tensor) -> None:
        (spikes if seen == "by its version" else spikes.data).mul_(0.5)

    def silence(layer: nn.Module, args: Any, spikes: Tensor) -> None:
        (spikes if seen == "by its version" else spikes.data)[:, ::2] = 0

    monkeypatch.setattr(module, "_CHECKED", 1)
    for change in (halve, silence):
        model = Between()
        model.lif1.register_forward_hook(change)
        assert ran(model, by_bits, torch.no_grad) == [False, False]


def test_hooks_that_look_leave_the_bits(by_bits: list[bool]) -> None:
    model = Between()
    model.lif1.register_forward_hook(lambda layer, args, spikes: None)
    assert ran(model, by_bits) == [False, True]


def test_two_layers_on_the_same_spikes(by_bits: list[bool]) -> None:
    class Two(Between):
        def __init__(self) -> None:
            super().__init__()
            self.skip = nn.Linear(32, 3)

        def forward(self, step: Tensor) -> Tensor:
            spikes = self.lif1(self.fc1(step))
            made: Tensor = self.lif2(self.fc2(spikes) + self.skip(spikes))
            return made

    assert ran(Two(), by_bits) == [False, True, True]


@pytest.mark.parametrize(("mode", "expected"), [(torch.no_grad, [False, True]), (torch.inference_mode, [False, False])])
def test_passes_without_gradients(mode: Mode, expected: list[bool], by_bits: list[bool]) -> None:
    assert ran(Between(), by_bits, mode) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_neuron_learns_alike_from_bits(kind: str, by_bits: list[bool]) -> None:
    torch.manual_seed(1)
    model = Chain((5, 32, 16, 4), [neuron(kind, n, "subtract", True, "bell", "each", n) for n in (32, 16, 4)]).double()
    for layer in (*model.linears, *model.neurons):
        if isinstance(layer, nn.Linear):
            layer.weight.data.abs_().mul_(8 if kind == "Lapicque" else 1)
        elif kind == "Leaky":
            layer.graded_spikes_factor.requires_grad_(False).fill_(1)  # type: ignore[union-attr,operator]
    for recompute in (False, True):
        assert_alike(model, busy_input(5, seed=2, dtype=torch.float64), DOUBLE, products="events", recompute=recompute)
    assert set(by_bits[1::3]) == set(by_bits[2::3]) == {True}


def test_float64_spikes_of_snntorchs_surrogates_are_cast_before_they_are_multiplied(by_bits: list[bool]) -> None:
    model = Between(Applied(lambda spikes: spikes.double())).double()
    fused = aspen.fuse(model, products="events")
    fused(busy_input(5, dtype=torch.float64))
    assert by_bits == [False, False]


def test_what_steps_as_snntorch_has_it_has_no_bits(by_bits: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Tensor] = []
    monkeypatch.setattr(Fired, "keep", lambda self, spikes, bits: kept.append(bits))
    model, inputs = Between(spike_grad=bell()).bfloat16(), busy_input(5, dtype=torch.bfloat16)
    expected = Loop(copy.deepcopy(model))(inputs)
    assert torch.equal(aspen.fuse(model, products="events")(inputs), expected)
    assert by_bits == kept == []


def test_a_model_that_repeats_its_input_multiplies_by_bits(by_bits: list[bool]) -> None:
    torch.manual_seed(0)
    model = Repeating()
    model.fc1, model.fc2 = nn.Linear(6, 32), nn.Linear(32, 4)
    fused = aspen.fuse(model, products="events")
    given = torch.rand(4, 6, generator=torch.Generator().manual_seed(1))
    for one, other in zip(model(given), fused(given), strict=True):
        torch.testing.assert_close(other, one)
    assert True in by_bits


def test_nobody_writes_bits_for_dense_products(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Tensor] = []
    monkeypatch.setattr(Fired, "keep", lambda self, spikes, bits, near: kept.append(bits))
    for products, count in (("dense", 0), ("events", 2)):
        model = Between(spike_grad=bell(), width=32)
        model.lif2, model.fc2 = copy.deepcopy(model.lif1), nn.Linear(32, 16)
        aspen.fuse(model, products=products)(busy_input(5))
        assert len(kept) == count


def test_spikes_whose_memory_is_gone_are_not_known() -> None:
    memory_of_both = np.zeros((64, 32), np.float32)
    spikes = torch.from_numpy(memory_of_both)
    fired = known(spikes)
    assert fired.of(spikes.flatten()) is not None
    assert fired.of(spikes[:32]) is None
    assert fired.of(spikes.view(torch.int32)) is None
    del spikes
    assert fired.of(torch.from_numpy(memory_of_both)) is None
