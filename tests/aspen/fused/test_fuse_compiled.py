"""torch.compile around fused models."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

import aspen
from tests.aspen.fused.fused_models import busy_input, dense, results


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    yield
    torch._dynamo.reset()


def test_a_compiled_fused_model_does_the_same() -> None:
    model, inputs = dense(), busy_input(5)
    (expected,), grads = results(aspen.fuse(model), inputs)
    (found,), compiled = results(torch.compile(aspen.fuse(model), backend="eager"), inputs)  # type: ignore[arg-type]
    assert torch.equal(found, expected)
    assert all(torch.equal(compiled[f"_orig_mod.{name}"], grad) for name, grad in grads.items() if name != "input")


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch.compile looks at it itself
def test_a_fused_model_runs_within_what_is_compiled() -> None:
    model, inputs = aspen.fuse(dense()), busy_input(5)

    def loss(values: Tensor) -> Tensor:
        made: Tensor = (model(values * 1.0).sum(0) * 2).square().sum()
        return made

    assert torch.equal(torch.compile(loss, backend="eager")(inputs), loss(inputs))


def test_layers_between_the_neurons_may_be_compiled() -> None:
    model, inputs = dense(), busy_input(5)
    expected = aspen.fuse(model)(inputs)
    model.fc1.compile(backend="eager")
    assert torch.equal(aspen.fuse(model)(inputs), expected)
