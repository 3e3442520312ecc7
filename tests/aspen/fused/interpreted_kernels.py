"""The Triton kernels in Triton's interpreter, on a CPU: run by ``test_triton.py``, in a process of its own.

The interpreter is chosen when triton is imported, for the whole process. Numba's loops are compared with snnTorch's in
the other tests; here the kernels are compared with both.
"""

from __future__ import annotations

import os

os.environ["TRITON_INTERPRET"] = "1"

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import snntorch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from snntorch import surrogate
from torch import Tensor, nn

import aspen
from aspen.fused import kernels, loops, neurons
from aspen.fused.scan import Rule, scan
from aspen.fused.surrogates import read_surrogate
from tests.aspen.fused.fused_models import SURROGATES, Chain, assert_alike, bell, busy_input
from tests.aspen.fused.test_fuse import DOUBLE, FLOAT, neuron

STEPS = 5
RESETS = (kernels.SUBTRACT, kernels.ZERO_BEFORE, kernels.ZERO_AFTER, kernels.NO_RESET)
ON_CPU, ON_GPU = loops.LOOPS[loops.NUMBA], loops.LOOPS[loops.TRITON]
HALF = (torch.bfloat16, torch.float16)


@pytest.fixture(autouse=True)
def _as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neurons choose as if their input lay on a GPU."""
    real = loops.choose
    monkeypatch.setattr(neurons, "choose", lambda device, *others: real("cuda", *others[:-1], True))


def rule(kind: str, reset: int, at_once: bool, dtype: torch.dtype, **options: Any) -> Rule:
    """A rule for Triton's loops, with spikes of the input's type."""
    surrogate = read_surrogate("layer", SURROGATES[kind](), loops.state_dtype(dtype))
    return Rule(ON_GPU, reset, at_once, replace(surrogate, dtype=dtype), **options)


def values(
    rule: Rule, columns: int, rounded: torch.dtype, given_in: torch.dtype, has_current: bool, learned: str = "abhr"
) -> list[Tensor]:
    """Everything that a scan returns, and the gradients of all that it is given.

    The input is ``rounded`` to a type, and given in one that is as precise or more. Of the decays a and b, the
    threshold h and what a reset takes, r, those that are ``learned`` have gradients.
    """
    generator = torch.Generator().manual_seed(columns)

    def drawn(*shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)

    signal = drawn(STEPS, columns, low=-0.2, high=1.2).to(rounded).to(given_in).requires_grad_()
    parameters = [drawn(columns, low=0.3).to(loops.state_dtype(given_in)) for _ in range(4)]
    for parameter, name in zip(parameters, "abhr", strict=True):
        parameter.requires_grad_(name in learned)
    alpha, beta, theta, amount = parameters
    made = scan(rule, signal, alpha if has_current else None, beta, theta, amount)[: 3 if has_current else 2]
    loss = torch.stack([(part.double() * drawn(*part.shape)).sum() for part in made]).sum()
    reached = [beta, theta, *([alpha] if has_current else []), *([amount] if rule.reset == kernels.SUBTRACT else [])]
    wanted = [signal, *(part for part in reached if part.requires_grad)]
    return [*(part.detach() for part in made), *torch.autograd.grad(loss, wanted)]


def check(
    rule: Rule,
    columns: int = 7,
    dtype: torch.dtype = torch.float64,
    has_current: bool = False,
    learned: str = "abhr",
) -> None:
    """Triton's loops make what Numba's make: spikes and states to the bit, gradients up to rounding."""
    states = loops.state_dtype(dtype)
    on_cpu = replace(rule, loops=ON_CPU, recompute=False, surrogate=replace(rule.surrogate, dtype=states))
    expected = values(on_cpu, columns, dtype, states, has_current, learned)
    found = values(rule, columns, dtype, dtype, has_current, learned)
    assert 0 < float(found[0].double().mean()) < 1
    made = 3 if has_current else 2
    for one, other in zip(found[:made], expected[:made], strict=True):
        assert torch.equal(one.to(other.dtype), other)
    close = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 2e-3}[dtype]
    for one, other in zip(found[made:], expected[made:], strict=True):
        torch.testing.assert_close(one.to(other.dtype), other, rtol=close, atol=close * float(other.abs().max()))


@pytest.mark.parametrize("has_current", [False, True], ids=["membrane", "current"])
@pytest.mark.parametrize("at_once", [False, True], ids=["delayed", "at once"])
@pytest.mark.parametrize("reset", RESETS)
def test_every_kind_of_neuron_to_the_bit(reset: int, at_once: bool, has_current: bool) -> None:
    for dtype in (torch.float64, torch.float32):
        check(rule("bell" if at_once else "atan", reset, at_once, dtype), dtype=dtype, has_current=has_current)


@given(
    reset=st.sampled_from(RESETS),
    at_once=st.booleans(),
    has_current=st.booleans(),
    kind=st.sampled_from(("atan", "atan-5", "fast_sigmoid", "straight_through", "triangle", "bell")),
    learned=st.sets(st.sampled_from("abhr")).map("".join),
    columns=st.integers(8, 140),
    dtype=st.sampled_from((torch.float32, torch.float64)),
)
@settings(max_examples=20)
def test_random_neurons_to_the_bit(
    reset: int, at_once: bool, has_current: bool, kind: str, learned: str, columns: int, dtype: torch.dtype
) -> None:
    check(rule(kind, reset, at_once, dtype), columns, dtype, has_current, learned)


@pytest.mark.parametrize("kind", SURROGATES)
def test_every_surrogate(kind: str) -> None:
    check(rule(kind, kernels.SUBTRACT, False, torch.float32), dtype=torch.float32)


@pytest.mark.parametrize("dtype", HALF)
def test_half_precision_has_the_states_of_float32(dtype: torch.dtype) -> None:
    """Spikes and states are those of neurons in float32 with the same input; only its gradient is rounded."""
    for reset, has_current in ((kernels.SUBTRACT, False), (kernels.ZERO_BEFORE, True)):
        check(rule("atan", reset, False, dtype), columns=20, dtype=dtype, has_current=has_current)


def test_more_columns_than_a_program_takes() -> None:
    check(rule("fast_sigmoid", kernels.ZERO_AFTER, True, torch.float32), 300, torch.float32, has_current=True)


def test_states_may_be_computed_again_instead_of_kept() -> None:
    for reset, at_once in product(RESETS[:2], (False, True)):
        again = rule("bell", reset, at_once, torch.float64, recompute=True)
        check(again, has_current=at_once)
        for recompute in (False, True):  # by Numba's loops too
            one = values(replace(again, loops=ON_CPU, recompute=recompute), 7, torch.float64, torch.float64, at_once)
            other = values(replace(again, loops=ON_CPU), 7, torch.float64, torch.float64, at_once)
            assert all(map(torch.equal, one, other))


MODELS = [("Leaky", "zero", True), ("Leaky", "subtract", False), ("Synaptic", "none", True), ("Lapicque", "zero", True)]


@pytest.mark.parametrize(("kind", "reset", "delay"), MODELS)
def test_fused_models_beside_snntorchs_loop(kind: str, reset: str, delay: bool) -> None:
    torch.manual_seed(1)
    model = Chain((5, 6), [neuron(kind, 6, reset, delay, "atan", "each", 6)])
    model.linears[0].weight.data.abs_().mul_(8 if kind == "Lapicque" else 1)  # type: ignore[union-attr,operator]
    spikes, _ = assert_alike(model, busy_input(5)[:STEPS], FLOAT)
    assert bool(spikes.any())


@pytest.mark.parametrize("kind", ["RLeaky", "RSynaptic"])
def test_recurrent_models_beside_snntorchs_loop(kind: str) -> None:
    torch.manual_seed(1)
    model = Chain((5, 4), [neuron(kind, 4, "zero", True, "bell", "scalar", 4)]).double()
    assert_alike(model, busy_input(5, dtype=torch.float64)[:4], DOUBLE)


def test_perturbed_thresholds_and_the_knob() -> None:
    """Thresholds of each sample, and learned ones."""
    models = [Chain((5, 8), [snntorch.Leaky(beta=0.8, threshold=0.5, learn_threshold=True)]) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    made = []
    for model in (models[0], aspen.fuse(models[1])):
        aspen.perturb_thresholds(model, seed=7, per=("sample", "neuron"), layers="all")
        aspen.set_threshold_scale(model, {"neurons.0": 0.7})
        spikes, _ = model(busy_input(5)[:STEPS])
        assert bool(spikes.any())
        made.append([spikes, *torch.autograd.grad(spikes.sum(), list(model.parameters()))])
    assert torch.equal(made[0][0], made[1][0])
    for one, other in zip(made[0][1:], made[1][1:], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_a_model_in_bfloat16_returns_the_types_of_its_loop() -> None:
    """Its membranes, which the loop rounds at each step, are rounded once: those of the model in float32."""
    model = nn.Sequential(nn.Linear(5, 6), snntorch.Leaky(beta=0.8, threshold=0.5, spike_grad=bell(), init_hidden=True))
    for dtype, spikes in ((torch.bfloat16, torch.bfloat16), (torch.float16, torch.float16)):
        assert aspen.fuse(model.to(dtype))(busy_input(5, dtype=dtype)[:STEPS]).dtype == spikes
    own = nn.Sequential(nn.Linear(5, 6), snntorch.Leaky(beta=0.8, spike_grad=surrogate.atan(), init_hidden=True))
    assert aspen.fuse(own.bfloat16())(busy_input(5, dtype=torch.bfloat16)[:STEPS]).dtype == torch.float32


def test_autocast_trains_parameters_in_float32() -> None:
    each = snntorch.Leaky(beta=torch.full((6,), 0.8), learn_beta=True, threshold=0.5, init_hidden=True)
    fused = aspen.fuse(nn.Sequential(nn.Linear(5, 6), each))
    with torch.autocast("cpu", torch.bfloat16):
        fused(busy_input(5)[:STEPS]).sum().backward()
    assert [p.grad is not None and p.grad.dtype for p in fused.parameters()] == [torch.float32] * 3


def test_the_same_numbers_on_every_run() -> None:
    again = rule("atan", kernels.SUBTRACT, False, torch.float32)
    one, other = (values(again, 300, torch.float32, torch.float32, False) for _ in range(2))
    assert all(map(torch.equal, one, other))


def test_the_model_says_what_steps_its_neurons() -> None:
    fused = aspen.fuse(nn.Sequential(nn.Linear(5, 6), snntorch.Leaky(beta=0.8, init_hidden=True)))
    assert "Triton" not in repr(fused)
    fused(busy_input(5)[:STEPS])
    assert "fused over time by Triton" in repr(fused)
