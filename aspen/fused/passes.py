"""One pass through a model in which its neurons do something else than step: all time steps, or a rehearsal."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from aspen.errors import ModelError
from aspen.fused.fired import Fired
from aspen.fused.neurons import Neuron

_STATES = ("spk", "syn", "mem")


@contextmanager
def replaced(forwards: Mapping[nn.Module, Callable[..., Any]]) -> Iterator[None]:
    """Let neurons run other functions instead of their ``forward`` until the block ends, their states kept as they are.

    Inside, the states are empty, as in a neuron that never stepped.
    """
    before: dict[nn.Module, Any] = {module: vars(module).get("forward") for module in forwards}
    states = {module: {s: module._buffers[s] for s in _STATES if s in module._buffers} for module in forwards}
    try:
        for module, forward in forwards.items():
            vars(module)["forward"] = forward
            for state, value in states[module].items():
                module._buffers[state] = torch.zeros(0) if value is None else value.detach().new_zeros(0)
        yield
    finally:
        for module, own in before.items():
            vars(module).pop("forward", None)
            if own is not None:
                vars(module)["forward"] = own
            module._buffers.update(states[module])


def shown(layer: Any, spikes: Tensor, states: tuple[Tensor, ...]) -> Any:
    """What a snnTorch neuron returns."""
    return spikes if layer.init_hidden and not layer.output else (spikes, *states)


def given_states(neuron: Neuron, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The states that a neuron was given, by name."""
    bound = inspect.signature(type(neuron.layer).forward).bind(neuron.layer, None, *args, **kwargs).arguments
    return {state: bound[state] for state in _STATES if bound.get(state) is not None}


def stepper(neuron: Neuron, steps: int, fired: Fired | None = None) -> Callable[..., Any]:
    """A ``forward`` for one neuron that runs all steps in one call.

    Args:
        neuron: whose.
        steps: the number of time steps; the first dimension of the input is steps x batch.
        fired: as :meth:`aspen.fused.neurons.Neuron.run` has it.
    """
    layer: Any = neuron.layer
    calls = 0

    def forward(input_: Tensor, *args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 1 or not isinstance(input_, Tensor) or not input_.ndim or input_.shape[0] % steps:
            raise ModelError(
                f"{neuron.what}: found something else than one call with all {steps} steps, which cannot be fused; "
                f"call each neuron once per step, with the batch as first dimension"
            )
        spikes, states = neuron.run(input_.unflatten(0, (steps, -1)), fired)
        merged = {state: value.flatten(0, 1) for state, value in states.items()}
        emitted = spikes.flatten(0, 1)
        for state, value in merged.items():
            layer._buffers[state] = value
        if "spk" in layer._buffers:
            layer._buffers["spk"] = emitted
        return shown(layer, emitted, tuple(merged.values()))

    return forward
