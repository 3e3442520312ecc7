"""The forms in which people write snnTorch models, and how each is run so that a neuron is called once per step."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from aspen.errors import ModelError, one_line
from aspen.exporting.tracing import Trace, trace
from aspen.models.operations import parts


def record(model: nn.Module, sample: Tensor, leaves: dict[str, nn.Module], spiking: dict[str, nn.Module]) -> Trace:
    """Run the model on the sample (time, batch, *shape) and note what happens.

    Three forms are known: ``forward`` takes the whole sample and loops over time; it does one time step (and may take
    and return its states); it takes one step of input and repeats it for a number of steps of its own.

    Raises:
        ModelError: it is none of these, a neuron is not called once per step, or its state is tampered with.
    """
    if "" in spiking:
        raise ModelError(f"{title(model)}: found a neuron alone, allowed is a model of layers; use nn.Sequential")
    traced = _looping(model, sample, leaves, spiking) or _single(model, sample, leaves, spiking)
    counts = {name: sum(made.module == name for made in traced.calls) for name in spiking}
    steps = sample.shape[0] if traced.stepped else max(counts.values())
    for name, found in counts.items():
        if found != steps:
            raise ModelError(
                f"{name}: called {found} times for {steps} time steps, allowed is once per step; "
                f"let forward() loop over the first dimension, or let it do one step"
            )
    for made in traced.calls:
        if made.problem:
            raise ModelError(
                f"{made.module}: at step {made.call} it {made.problem}, allowed is its own state of the step before, "
                f"zero at first; pass the states on as they are and reset them only before the first step"
            )
    return traced


def call(model: nn.Module, inputs: list[Tensor], form: str) -> Any:
    """What the model returns for inputs in one of the forms of :func:`aspen.exporting.tracing.trace`.

    Where it is given one step after the other, that is a list of what it returned at each, without its states.
    """
    if form == "whole":
        return model(inputs[0])
    given = [torch.zeros(0, dtype=inputs[0].dtype, device=inputs[0].device)] * _required_states(model)
    if form == "static":
        return model(inputs[0], *given)
    answers: list[Tensor] = []
    for step in inputs:
        made = parts(model(step, *given), Tensor)
        if len(made) < len(given):
            raise ModelError(
                f"{title(model)}.forward() takes {len(given)} states and returns {len(made)} tensors, allowed is "
                f"to return all states, last and in the order in which they are taken"
            )
        answers += made[: len(made) - len(given)]
        given = made[len(made) - len(given) :]
    return answers


def _reset(spiking: dict[str, nn.Module]) -> None:
    for layer in spiking.values():
        layer.reset_mem()  # type: ignore[operator]


def _looping(
    model: nn.Module, sample: Tensor, leaves: dict[str, nn.Module], spiking: dict[str, nn.Module]
) -> Trace | None:
    """The trace of a model that loops over time, or None where it does not read the sample step by step."""
    _reset(spiking)
    error = None

    def run() -> Any:
        nonlocal error
        try:
            return model(sample)
        except ModelError:
            raise
        except Exception as raised:
            error = raised
            return None

    traced = trace(run, [sample], leaves, "whole")
    if not traced.stepped and (error is not None or not _steps_over(traced, sample)):
        return None  # this model was not meant to be given all steps at once
    if error is not None:
        raise ModelError(f"{title(model)}.forward() failed on the sample: {one_line(error)}; correct one of them")
    return traced


def _steps_over(traced: Trace, sample: Tensor) -> bool:
    """Whether the neurons were given one step after the other, though not the sample's own."""
    steps, batch = sample.shape[:2]
    shapes = {made.node.shape[:1] for made in traced.calls}
    return steps != batch and shapes == {(batch,)} and max(made.call for made in traced.calls) == steps - 1


def _single(model: nn.Module, sample: Tensor, leaves: dict[str, nn.Module], spiking: dict[str, nn.Module]) -> Trace:
    """The trace of a model that is given one step at a time, or one step that it repeats itself."""
    steps = list(sample)
    _reset(spiking)
    try:
        traced = trace(lambda: call(model, steps[:1], "static"), steps[:1], leaves, "static")
        if any(made.call for made in traced.calls):
            return traced
        _reset(spiking)
        traced = trace(lambda: call(model, steps, "steps"), steps, leaves, "steps")
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            f"{title(model)}.forward() takes neither the sample (time first) nor one step of it: {one_line(error)}; "
            f"give a sample (time, batch, *shape) that fits"
        ) from error
    traced.stepped = traced.outside = True
    return traced


def _required_states(model: nn.Module) -> int:
    """How many arguments ``forward`` asks for beside the input."""
    parameters = inspect.signature(model.forward).parameters.values()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return max(sum(p.kind in positional and p.default is inspect.Parameter.empty for p in parameters) - 1, 0)


def title(model: nn.Module) -> str:
    """A model's name in messages."""
    return type(model).__name__
