"""The loops of the usual neurons beside those of all neurons: the same bits, past the cache and not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from snntorch import surrogate
from torch import Tensor

from aspen.fused import kernels, memory, on_cpu
from aspen.fused.loops import LOOPS, NUMBA
from aspen.fused.scan import Rule, scan
from aspen.fused.surrogates import read_surrogate
from aspen.models.surrogates import Triangle

RESETS = (kernels.SUBTRACT, kernels.ZERO_BEFORE, kernels.ZERO_AFTER, kernels.NO_RESET)
SURROGATES = {
    "atan": surrogate.atan(alpha=3.0),
    "fast sigmoid": surrogate.fast_sigmoid(slope=5),
    "straight": surrogate.straight_through_estimator(),
    "triangle": Triangle(0.5),
}
STEPS, COLUMNS = 40, 4096


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which of the loops ran."""
    names: list[str] = []
    usual = on_cpu.spread

    def spread(loop: Any, *others: Any) -> None:
        names.append(loop.py_func.__module__.split(".")[-1])
        usual(loop, *others)

    monkeypatch.setattr(on_cpu, "spread", spread)
    return names


def results(
    rule: Rule, dtype: torch.dtype, beta_learned: bool, columns: int = COLUMNS, theta_learned: bool = False
) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    signal = (torch.randn(STEPS, columns, generator=generator, dtype=dtype) * 0.6 + 0.2).requires_grad_()
    theta, amount = (
        (torch.rand(columns, generator=generator, dtype=dtype) + 0.3).requires_grad_(theta_learned) for _ in range(2)
    )
    beta = torch.rand(columns, generator=generator, dtype=dtype).requires_grad_(beta_learned)
    spikes, membrane, *_ = scan(rule, signal, None, beta, theta, amount)
    wanted = [signal, *([beta] if beta_learned else []), *([theta, amount] if theta_learned else [])]
    factors = torch.randn(spikes.shape, generator=generator).to(spikes.dtype)
    assert 0.05 < float(spikes.detach().mean()) < 0.95
    return [spikes.detach(), membrane.detach(), *torch.autograd.grad(spikes, wanted, factors)]


def rule(kind: str, reset: int, dtype: torch.dtype) -> Rule:
    return Rule(LOOPS[NUMBA], reset, False, read_surrogate("layer", SURROGATES[kind], dtype))


@pytest.mark.parametrize("theta_learned", [False, True])
@pytest.mark.parametrize("beta_learned", [False, True])
@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("kind", SURROGATES)
def test_the_same_bits_on_any_number_of_threads(
    kind: str, reset: int, beta_learned: bool, theta_learned: bool, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def found() -> list[Tensor]:
        ran.clear()
        made = rule(kind, reset, torch.float32)
        return results(made, torch.float32, beta_learned, theta_learned=theta_learned)

    with monkeypatch.context() as patched:
        patched.setattr(on_cpu, "_of_vectors", lambda *arrays: False)
        expected = found()
    assert ran == ["kernels", "kernels"]
    before = torch.get_num_threads()
    try:
        for large, loops in ((memory._LARGE, ["kernels", "plain"]), (1, ["plain", "plain"])):
            monkeypatch.setattr(memory, "_LARGE", large)
            for threads in (1, 2):
                torch.set_num_threads(threads)
                for one, other in zip(expected, found(), strict=True):
                    assert torch.equal(one, other)
                assert ran == loops
    finally:
        torch.set_num_threads(before)


def test_what_is_not_of_one_type_or_of_whole_vectors_runs_as_usual(
    ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_LARGE", 1)
    results(rule("atan", kernels.SUBTRACT, torch.float32), torch.float32, True, columns=4095)
    results(rule("atan", kernels.SUBTRACT, torch.float64), torch.float64, True)  # whose spikes are float32
    assert set(ran) == {"kernels"}


def test_gradients_of_membranes_go_back_as_usual(ran: list[str]) -> None:
    signal = torch.rand(STEPS, 64, requires_grad=True)
    beta = torch.full((64,), 0.9)
    _, membrane, *_ = scan(rule("atan", kernels.SUBTRACT, torch.float32), signal, None, beta, beta, beta)
    membrane.sum().backward()
    assert ran == ["kernels", "kernels"]


def test_large_layers_are_written_past_the_cache(ran: list[str]) -> None:
    signal = torch.rand(64, 1 << 14, requires_grad=True)
    beta = torch.full((1 << 14,), 0.9)
    spikes, *_ = scan(rule("atan", kernels.SUBTRACT, torch.float32), signal, None, beta, beta, beta)
    spikes.sum().backward()
    assert ran == ["plain", "plain"]
