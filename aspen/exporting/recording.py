"""A model's run on a sample, noted: each neuron is called once per step, and begins where it left the step before."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

from torch import Tensor, nn

from aspen.errors import ModelError, one_line
from aspen.exporting.forgetting import MEMORYLESS, split_maximum
from aspen.exporting.membranes import follow_membranes
from aspen.exporting.products import split_products
from aspen.exporting.traces import Trace
from aspen.exporting.tracing import trace
from aspen.models.delta import Changes
from aspen.models.forms import InputForm
from aspen.models.layers import forget
from aspen.models.own_neurons import Adopted


def record(
    model: nn.Module, frames: Tensor, form: InputForm, leaves: dict[str, nn.Module], spiking: dict[str, nn.Module]
) -> Trace:
    """Run the model on frames (time, batch, *shape) and note what happens.

    Neurons that it never calls are no part of what happens.

    Raises:
        ModelError: it fails, a neuron is not called once per step, or its state is tampered with.
    """
    if "" in spiking:
        raise ModelError(f"{title(model)}: found a neuron alone, allowed is a model of layers; use nn.Sequential")
    forget(spiking.values())
    traced = _trace(model, frames, form, leaves)
    if traced.encoder:
        traced.form = replace(form, encoder=traced.encoder)
    counts = {name: sum(made.module == name for made in traced.calls) for name in spiking}
    steps = len(frames)
    for name, found in counts.items():
        if found not in (0, steps):
            raise ModelError(
                f"{name}: called {found} times for {steps} time steps, allowed is once per step; "
                f"let forward() loop over time, or let it do one step"
            )
    traced.forgetful = [name for name, layer in spiking.items() if counts[name] and _forgets(traced, name, layer)]
    for made in traced.calls:
        if made.problem and made.module not in traced.forgetful:
            raise ModelError(
                f"{made.module}: at step {made.call} it {made.problem}, allowed is its own state of the step before, "
                f"zero at first; pass the states on as they are and reset them only before the first step"
            )
    for name in traced.forgetful:
        split_maximum(traced, name)
    shapes = {made.module: made.node.shape[1:] for made in traced.calls}
    follow_membranes(traced, spiking)
    sizes = {"": frames[0, 0].numel()} | {name: prod(shape) for name, shape in shapes.items()}
    split_products(traced, sizes, {id(tensor) for tensor in (*model.parameters(), *model.buffers())})
    return traced


def _forgets(traced: Trace, name: str, layer: nn.Module) -> bool:
    """Whether a neuron begins each step at zero, and not only by chance."""
    calls = [made for made in traced.calls if made.module == name]
    stepping = isinstance(layer, MEMORYLESS) and not isinstance(layer, (Adopted, Changes))
    return stepping and all(made.anew for made in calls) and any(made.problem for made in calls)


def _trace(model: nn.Module, frames: Tensor, form: InputForm, leaves: dict[str, nn.Module]) -> Trace:
    given = form.given(frames)

    def run() -> Any:
        try:
            return form.call(model, given)
        except ModelError:
            raise
        except Exception as error:  # it is the user's code that runs here
            raise ModelError(
                f"{title(model)}.forward() failed on the sample: {one_line(error)}; correct one of them"
            ) from error

    return trace(run, given, leaves, form, frames)


def title(model: nn.Module) -> str:
    """A model's name in messages."""
    return type(model).__name__
