"""Neurons that are given all time steps at once, ``StateLeaky`` and ``LeakyParallel``; and what does one step of them.

A model of such neurons is rewritten, on a copy, into one that does one step: each layer becomes a neuron that keeps its
membrane, and ``forward`` is given a sample of one step. That both do the same is tried, not supposed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import snntorch
import torch
from torch import Tensor, nn

from aspen.errors import ModelError, one_line
from aspen.models.copying import copy_of
from aspen.models.forms import InputForm
from aspen.models.layers import at_once_layers

_TOLERANCE = 1e-4


class Rectified(snntorch.Leaky):
    """A ``Leaky`` without reset whose membrane never falls below zero, as that of ``LeakyParallel``."""

    def _base_int(self, input_: Tensor) -> Tensor:
        return torch.relu(self._base_state_function(input_))


class OneStep(nn.Module):
    """One step of a layer that is given all steps at once; takes and returns (1, batch, n)."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.shows_membranes = isinstance(layer, snntorch.StateLeaky)
        self.rnn = None if self.shows_membranes else _weights(layer)
        kind, beta = (snntorch.Leaky, decay_of(layer)) if self.shows_membranes else (Rectified, decay_of(layer))
        self._step = kind(
            beta,
            threshold=layer.threshold.detach().clone(),
            reset_mechanism="none",
            spike_grad=layer.spike_grad,
            graded_spikes_factor=layer.graded_spikes_factor.detach().clone(),
            init_hidden=True,
            output=True,
        )

    def forward(self, given: Tensor) -> Any:
        """The spikes of the step, and for ``StateLeaky`` the membranes."""
        current = given[0] if self.rnn is None else self.rnn(given[0])
        made = tuple(value.unsqueeze(0) for value in self._step(current))
        return made if self.shows_membranes else made[0]


def decay_of(layer: Any) -> Tensor:
    """What the membrane keeps at each step, as a scalar or for each neuron."""
    if isinstance(layer, snntorch.StateLeaky):
        return torch.exp(-1 / layer.tau.detach())
    return layer.rnn.weight_hh_l0.detach().diagonal().clone()


def _weights(layer: Any) -> nn.Linear:
    """The weights within the layer, its two biases added up."""
    inner = layer.rnn
    made = nn.Linear(inner.input_size, inner.hidden_size, inner.bias, dtype=inner.weight_ih_l0.dtype)
    with torch.no_grad():
        made.weight.copy_(inner.weight_ih_l0)
        if inner.bias:
            made.bias.copy_(inner.bias_ih_l0 + inner.bias_hh_l0)
    return made


class _Step:
    """A model's ``forward``, given one step as a sample of one step."""

    def __init__(self, model: nn.Module, form: InputForm) -> None:
        self.model, self.form = model, form

    def __call__(self, step: Tensor, **arguments: Any) -> Any:
        return type(self.model).forward(self.model, self.form.given(step.unsqueeze(0))[0], **arguments)


def step_by_step(model: nn.Module, form: InputForm, frames: Tensor) -> tuple[nn.Module, InputForm]:
    """The model, and how it takes its input; one with neurons that take all steps at once as a copy that does one.

    Args:
        model: the model, in any mode.
        form: how it takes its input.
        frames: (time, batch, *shape), on which both must do the same; and on random input like it.

    Raises:
        ModelError: they do not.
    """
    layers = at_once_layers(model)
    if not layers:
        return model, form
    twin = copy_of(model).eval()
    for name in layers:
        parent, _, own = name.rpartition(".")
        setattr(twin.get_submodule(parent), own, OneStep(twin.get_submodule(name)))
    vars(twin)["forward"] = _Step(twin, form)
    stepping = replace(form, kind="step", time_axis=None, batch_axis=0, steps=None)
    drawn = torch.rand(frames.shape, generator=torch.Generator().manual_seed(3)).to(frames)
    for given in (frames, (drawn < 0.5).to(frames) if bool(((frames == 0) | (frames == 1)).all()) else drawn):
        _check_same(_made(copy_of(model).eval(), form, given), _made(copy_of(twin), stepping, given), model)
    return twin, stepping


def _made(model: nn.Module, form: InputForm, frames: Tensor) -> Mapping[str, tuple[Tensor, Tensor]]:
    """What each such layer was given and fired, (time, batch, n)."""
    seen: dict[str, list[tuple[Tensor, Tensor]]] = {}

    def noting(name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], made: Any) -> None:
            seen.setdefault(name, []).append((args[0], made[0] if isinstance(made, tuple) else made))

        return hook

    whole = at_once_layers(model)
    for name, module in model.named_modules():
        if isinstance(module, OneStep) or name in whole:
            vars(module).pop("forward", None)  # the knob, which is no part of what is exported
            module.register_forward_hook(noting(name))
    try:
        with torch.no_grad():
            form.call(model, form.given(frames))
    except (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError) as error:
        raise ModelError(
            f"{type(model).__name__}.forward() failed on a sample of {len(frames)} or 1 time steps: "
            f"{one_line(error)}; let it take any number of steps, as export runs such neurons step by step"
        ) from error
    return {name: (torch.cat([a for a, _ in own]), torch.cat([b for _, b in own])) for name, own in seen.items()}


def _check_same(whole: Mapping[str, Any], stepped: Mapping[str, Any], model: nn.Module) -> None:
    for name, (given, fired) in whole.items():
        current, spikes = stepped.get(name, (given[:0], fired[:0]))
        alike = current.shape == given.shape and torch.allclose(current, given, _TOLERANCE, _TOLERANCE)
        if not alike or not torch.equal(spikes, fired):
            raise ModelError(
                f"{name}: found {'other spikes' if alike else 'other input'} where {type(model).__name__} is given its "
                f"steps one by one, allowed is the same: what lies between such neurons must treat each time step "
                f"alone; mix no steps, and use Leaky(reset_mechanism='none') beside neurons that step"
            )
