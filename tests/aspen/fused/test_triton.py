"""The time loops for GPUs, without one: when they are chosen, what they compute, what they compile to."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from snntorch.surrogate import atan
from torch import nn

import aspen
from aspen.errors import InputError
from aspen.fused import kernels
from aspen.fused.loops import NUMBA, STEPS, TRITON, choose, state_dtype
from aspen.fused.scan import Rule, scan
from aspen.fused.surrogates import read_surrogate
from tests import ROOT
from tests.aspen.fused.fused_models import busy_input, dense, leaky, results

WHOLE, HALF = (torch.float32, torch.float64), (torch.bfloat16, torch.float16)


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("has_triton", [False, True])
def test_loops_are_chosen_by_device_and_precision(recurrent: bool, has_triton: bool) -> None:
    for dtype in WHOLE:
        assert choose("cpu", dtype, recurrent, has_triton) == NUMBA
        assert choose("cuda", dtype, recurrent, has_triton) == (TRITON if has_triton else STEPS)
        assert choose("mps", dtype, recurrent, has_triton) == STEPS
        assert state_dtype(dtype) == dtype
    for dtype in HALF:
        assert choose("cpu", dtype, recurrent, has_triton) == STEPS
        assert choose("cuda", dtype, recurrent, has_triton) == (TRITON if has_triton and not recurrent else STEPS)
        assert state_dtype(dtype) == torch.float32


def test_a_fused_model_says_what_stepped_its_neurons() -> None:
    fused = aspen.fuse(dense())
    assert "DenseNet, fused over time" in repr(fused)
    fused(busy_input(5))
    assert "DenseNet, fused over time by Numba" in repr(fused)
    half = aspen.fuse(nn.Sequential(nn.Linear(5, 6), leaky(init_hidden=True)).bfloat16())
    half(busy_input(5, dtype=torch.bfloat16))
    assert "Sequential, fused over time by snnTorch's steps" in repr(half)


def test_states_may_be_computed_again() -> None:
    (one, grads), (other, again) = (results(aspen.fuse(dense(), recompute=r), busy_input(5)) for r in (False, True))
    assert all(map(torch.equal, one, other))
    assert all(torch.equal(grads[name], again[name]) for name in grads)
    with pytest.raises(InputError, match="recompute: found 3"):
        aspen.fuse(dense(), recompute=3)  # type: ignore[arg-type]


def test_the_kernels_in_tritons_interpreter() -> None:
    """In a process of its own: the interpreter is chosen when triton is imported."""
    pytest.importorskip("triton")
    file = Path(__file__).with_name("interpreted_kernels.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr


KINDS = {"leaky": (torch.float32, False), "synaptic": (torch.float32, True), "half": (torch.bfloat16, False)}


@pytest.mark.parametrize("kind", KINDS)
def test_the_kernels_compile_for_a_gpu_and_round_each_operation(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To an H100's instructions, which takes no GPU. A product and a sum in one, or numbers too small for the normal
    format taken as 0, would make other spikes than snnTorch's."""
    pytest.importorskip("triton")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    from triton.backends.compiler import GPUTarget
    from triton.runtime import driver

    from aspen.fused import on_gpu, triton_kernels

    asked = {"get_current_device": 0, "get_current_stream": 0, "get_current_target": GPUTarget("cuda", 90, 32)}
    answers = {name: lambda *args, answer=answer: answer for name, answer in asked.items()}
    monkeypatch.setattr(driver, "_active", SimpleNamespace(**answers))
    compiled: list[str] = []

    class Compiling:
        """A kernel that is compiled for its arguments, and not run."""

        def __init__(self, kernel: Any) -> None:
            self.kernel = kernel

        def __getitem__(self, grid: tuple[int]) -> Callable[..., None]:
            return lambda *args, **options: compiled.append(self.kernel.warmup(*args, grid=grid, **options).asm["ptx"])

    for name in ("forward", "backward"):
        monkeypatch.setattr(triton_kernels, name, Compiling(getattr(triton_kernels, name)))
    dtype, has_current = KINDS[kind]
    surrogate = replace(read_surrogate("layer", atan(), torch.float32), dtype=dtype)
    parameters = [torch.ones(512, requires_grad=True) for _ in range(4)]
    signal = torch.ones(3, 512, dtype=dtype, requires_grad=True)
    rule = Rule(on_gpu, kernels.SUBTRACT, has_current, surrogate)
    scan(rule, signal, parameters[0] if has_current else None, *parameters[1:])[0].sum().backward()
    assert len(compiled) == 2
    for made in compiled:
        words = set(made.split())
        assert {"mul.rn.f32", "add.rn.f32", "cp.async.ca.shared.global"} <= words
        assert [word for word in words if re.match(r"fma|mad\..*f32|(add|sub)\.f32", word) or ".ftz" in word] == []
