"""Counts of a snnTorch model as PyTorch runs it, layer by layer; it need not be one that can be exported.

Every function of torch that multiplies by weights is looked at as it is called, whichever module calls it, so that
quantised layers, layers of one's own and bare products are counted like ``nn.Linear``. Neurons are counted by what
they give out. A copy of the model runs, without gradients, in ``eval()`` mode and from rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import prod
from typing import Any

import snntorch
import torch
from torch import Tensor, nn

from aspen.errors import AspenError, ModelError, one_line
from aspen.models.copying import OF_THE_MODEL, copy_of
from aspen.models.counter import Counter
from aspen.models.forms import InputForm, required_arguments
from aspen.models.probing import FIND, check_sample, read_sample
from aspen.network.layered import LayerCounts


@dataclass(frozen=True)
class ModelCounts:
    """What was counted while a model ran in PyTorch.

    Args:
        layers: the counts.
        approximate: what is not counted, or not exactly, a line for each.
        accumulates, multiply_accumulates, dense: synaptic operations of the whole run by NeuroBench's definition, which
            tells spikes from values at each call of a layer, and counts weights of zero in ``dense``.
        connection_zeros, connection_weights: of all layers with weights.
        footprint: bytes of parameters and buffers.
    """

    layers: LayerCounts
    approximate: tuple[str, ...]
    accumulates: int
    multiply_accumulates: int
    dense: int
    connection_zeros: int
    connection_weights: int
    footprint: int


def count_model(
    model: nn.Module,
    inputs: Tensor,
    *,
    time_axis: int | str | None = FIND,
    arguments: Mapping[str, Any] | None = None,
) -> ModelCounts:
    """Count what a model does on some input.

    >>> import torch
    >>> from aspen.models import DenseNet
    >>> counts = count_model(DenseNet((6, 4, 2)), torch.ones(10, 3, 6))
    >>> counts.layers.synapses[0].name, counts.layers.synapses[0].operations  # 10 steps, 3 samples, 6 spikes, 4 neurons
    ('fc1', 720)

    Args:
        model: any model with neurons; it is left as it is found.
        inputs: what ``forward`` is given, or where it does one step its steps, (time, batch, *shape).
        time_axis, arguments: as in :func:`aspen.export`.

    Raises:
        InputError: the input is empty, not finite or all zero, or an argument is not allowed.
        ModelError: the model fails on the input, or no layer of neurons was found.
    """
    check_sample(inputs)
    with torch.inference_mode(False), _generators_kept(model), torch.no_grad():
        return _counted(model, inputs.clone(), time_axis, dict(arguments or {}))


def _counted(model: nn.Module, inputs: Tensor, axis: int | str | None, arguments: dict[str, Any]) -> ModelCounts:
    twin = copy_of(model).eval()
    for module in twin.modules():
        if isinstance(module, snntorch.SpikingNeuron) and hasattr(module, "reset_mem"):
            module.reset_mem()
    counter = Counter(twin)
    form, frames = _run(model, twin, counter, inputs, axis, arguments)
    steps, samples = _size(counter, frames, form)
    values = prod(frames.shape[2:]) if form is not None else inputs.numel() // (steps * samples)
    zeros, weights = _sparsity(twin)
    every = counter.synapses.values()
    return ModelCounts(
        _layers(counter, steps, samples, max(1, values)),
        tuple(counter.approximate()),
        sum(layer.accumulates for layer in every),
        sum(layer.multiply_accumulates for layer in every),
        sum(layer.dense for layer in every),
        zeros,
        weights,
        _footprint(model),
    )


@contextmanager
def _generators_kept(model: nn.Module) -> Iterator[None]:
    """Random parts of the model draw from seed 0; torch's generators are then as they were."""
    used = {values.device.index or 0 for values in model.parameters() if values.device.type == "cuda"}
    with torch.random.fork_rng(devices=sorted(used)):
        torch.manual_seed(0)
        yield


def _run(
    model: nn.Module, twin: nn.Module, counter: Counter, inputs: Tensor, axis: int | str | None, arguments: Any
) -> tuple[InputForm | None, Tensor]:
    """Run the copy, in the form that its input has; None where that could not be found out, and it was just called.

    Returns:
        the form, and the input as frames, (time, batch, *shape), or as it is.
    """
    required_arguments(model, arguments)
    try:
        form, frames = read_sample(model, inputs, axis, arguments)
    except AspenError:
        form, frames = None, inputs
    given = [inputs] if form is None else form.given(frames)
    nothing = torch.zeros_like(frames if form is None else frames[:, :1])
    with suppress(AspenError, *OF_THE_MODEL):
        silent = copy_of(twin)
        quiet = Counter(silent)
        quiet.silence(lambda: _call(silent, form, [nothing] if form is None else form.given(nothing), arguments))
        counter.silent = quiet.silent
    try:
        with counter.watching():
            _call(twin, form, given, arguments)
    except OF_THE_MODEL as error:
        raise ModelError(
            f"{type(model).__name__}.forward() failed on the input {tuple(inputs.shape)}: {one_line(error)}; give it "
            f"as forward() takes it, or pass arguments={{...}}"
        ) from error
    return form, frames


def _call(model: nn.Module, form: InputForm | None, given: list[Tensor], arguments: Mapping[str, Any]) -> object:
    return model(given[0], **arguments) if form is None else form.call(model, given)


def _size(counter: Counter, frames: Tensor, form: InputForm | None) -> tuple[int, int]:
    """Steps and samples: as the neurons were called; where they are given all steps at once, time is first."""
    stepping = [n for n in counter.neurons.values() if n.calls and not n.at_once]
    calls = max((n.calls for n in stepping), default=0)
    if stepping and (calls > 1 or form is not None):
        return max(calls, 1), max(n.rows for n in stepping)
    at_once = [n for n in counter.neurons.values() if n.calls]
    if not at_once:
        raise ModelError(
            f"{type(counter.model).__name__}: found no layer of neurons that fires, allowed is a model with snnTorch "
            f"neurons, or modules of your own that give out zeros and ones; check that forward() calls them"
        )
    return frames.shape[0], frames.shape[1]


def _footprint(model: nn.Module) -> int:
    return sum(values.numel() * values.element_size() for values in (*model.parameters(), *model.buffers()))


def _sparsity(model: nn.Module) -> tuple[int, int]:
    """Zeros and weights of the layers that NeuroBench looks at."""
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    weights = [module.weight for module in model.modules() if isinstance(module, kinds)]
    return sum(int((w == 0).sum()) for w in weights), sum(w.numel() for w in weights)


def _layers(counter: Counter, steps: int, samples: int, inputs: int) -> LayerCounts:
    """The counts in the order in which layers ran; read-outs come after the last neurons."""
    neurons = sorted(counter.firing().items(), key=lambda item: item[1].order)
    synapses = sorted(counter.synapses.items(), key=lambda item: item[1].order)
    end = max((layer.order for _, layer in neurons), default=0)
    last = {name for name, layer in synapses if layer.order > end and name not in counter.recurrent}
    return LayerCounts(
        steps,
        samples,
        inputs,
        tuple(layer.counts(name or type(counter.model).__name__) for name, layer in neurons),
        tuple(layer.counts(name, steps * samples, name in last) for name, layer in synapses),
    )
