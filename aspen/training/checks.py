"""What :func:`aspen.fit` looks at before it begins, so that what cannot be trained is said at once and by name."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from aspen._base.labels import as_labels
from aspen._base.names import unknown_name
from aspen.data import Dataset, Samples
from aspen.errors import AspenError, InputError, ModelError, one_line
from aspen.models.copying import OF_THE_MODEL, copy_of
from aspen.models.forms import InputForm
from aspen.models.layers import check_weights, hidden_layers, spiking_layers
from aspen.thresholds.learned_dial import dialled_layers
from aspen.thresholds.perturbation import perturbed_layers
from aspen.training.framed import form_for, framed
from aspen.training.loss import scores_of
from aspen.training.nesting import outgoing_of
from aspen.training.processes import rank_and_world
from aspen.training.pruning import densities_of
from aspen.training.recipes import Recipe


def check_training(model: nn.Module, data: Dataset, recipe: Recipe) -> None:
    """Refuse what cannot be trained, before anything is changed.

    Raises:
        InputError: the data, or a recipe for other layers, for other data or for fewer processes.
        ModelError: the model.
    """
    _check_types(model, data)
    _check_data(data)
    for stage in recipe.stages:
        _check_batches(stage, data)
    _check_model(model, recipe)
    _check_answer(model, data, recipe)
    for stage in recipe.stages:
        _check_steps(stage, data)


def _check_types(model: object, data: object) -> None:
    if not isinstance(model, nn.Module):
        raise InputError(f"model: found {type(model).__name__}, allowed is a snnTorch model; pass a torch.nn.Module")
    remedy = "make one: aspen.data.Dataset(name, train, validation, test, encoder, classes) of aspen.data.Samples"
    if not isinstance(data, Dataset):
        raise InputError(
            f"data: found {type(data).__name__}, allowed is aspen.data.Dataset, or arrays as (X, y); {remedy}"
        )
    for part in ("train", "validation"):
        if not isinstance(data.part(part), Samples):
            found = type(data.part(part)).__name__
            raise InputError(f"data: found {found} as {part} samples, allowed are aspen.data.Samples; {remedy}")
    if isinstance(data.classes, bool) or not isinstance(data.classes, (int, np.integer)):
        raise InputError(f"data: found classes={data.classes!r}, allowed is a whole number; give the number of classes")


def _check_data(data: Dataset) -> None:
    for name in ("train", "validation"):
        if len(data.part(name)) == 0:
            raise InputError(f"{name}: found no samples, allowed is at least one; split the data otherwise")
        as_labels(f"{name} labels", data.part(name).labels, classes=data.classes)
    labels = np.unique(data.train.labels)
    if len(labels) < 2:
        raise InputError(f"train: found the one class {labels.tolist()}, allowed are two or more; split otherwise")


def _check_batches(stage: Recipe, data: Dataset) -> None:
    world = rank_and_world()[1]
    smallest = len(data.train) // ceil(len(data.train) / stage.batch_size)
    if smallest < world:
        raise InputError(
            f"{stage.name}: found batches of {smallest} samples for {world} processes, allowed is one sample or more "
            f"for each; start fewer, or make batch_size larger"
        )


def _check_steps(stage: Recipe, data: Dataset) -> None:
    """Refuse a dial that would leave out more time steps than there are."""
    steps = len(data.encode(data.train.values[:1], seed=0))
    longest = 1 if stage.dial is None else max(stage.dial.every)
    if longest > steps:
        raise InputError(
            f"{stage.name}: found every={longest} for inputs of {steps} time steps, allowed are as many at most; take "
            f"smaller ones, or more steps"
        )


def _check_model(model: nn.Module, recipe: Recipe) -> None:
    """Refuse weights that hold nothing, no numbers, or cannot be learned, and recipes for other layers."""
    if not torch.is_grad_enabled():
        raise ModelError(
            "fit: found gradients switched off, allowed is a training outside of torch.no_grad() and "
            "torch.inference_mode(); call it there"
        )
    if not any(True for _ in model.parameters()):
        raise ModelError("model: found no weights, allowed is a model with layers such as nn.Linear; add one")
    check_weights(model)
    spiking_layers(model)
    learned = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    if not learned and any(stage.dial is None for stage in recipe.stages):
        raise ModelError(
            "model: found no weights that can be trained (requires_grad is False for all), allowed is one or more; "
            "call model.requires_grad_(), or take a recipe that learns the dial alone, DialTraining(frozen=True)"
        )
    for stage in recipe.stages:
        _check_layers(stage, model)


def _check_layers(stage: Recipe, model: nn.Module) -> None:
    """The layers that a stage names, and those whose thresholds it moves."""
    hidden = list(hidden_layers(model))
    for name in stage.prices:
        if name not in hidden:
            raise InputError(unknown_name(f"{stage.name}: prices", name, hidden, kind="layer"))
    densities_of(stage, model)
    if stage.perturbation is not None:
        perturbed_layers(model, stage.perturbation)
    if stage.dial is not None:
        dialled_layers(model)


def _check_answer(model: nn.Module, data: Dataset, recipe: Recipe) -> None:
    """Run a copy of the model on a few samples, in ``eval()`` mode, and see that it answers for every class."""
    values = data.train.values
    inputs = torch.from_numpy(data.encode(values[:1], seed=0))
    size = next(n for n in (2, 3, 4) if n not in (len(inputs), data.classes))  # which tells the axes apart
    inputs = inputs.repeat_interleave(size, dim=1)
    twin = copy_of(model).eval()
    frames = inputs.to(next(twin.parameters()))
    form = form_for(model, frames)
    read = _reading_membranes(twin)
    try:
        answer = framed(twin, twin, form, frames)(frames)
    except OF_THE_MODEL as error:
        if isinstance(error, AspenError):
            raise
        _check_inhibition(twin, error)
        reason = one_line(error)
        otherwise = ', as by aspen.data.arrays(X, y, encoder="current")' if data.told else ""
        raise ModelError(
            f"{type(model).__name__}.forward() fails on the encoded data, (time, batch, *shape) = "
            f"{tuple(inputs.shape)}: {reason}; let it take {tuple(inputs.shape[2:])} values at each step, or encode "
            f"the data otherwise{otherwise}"
        ) from error
    _check_moved(model, recipe, read)
    _check_nesting(twin, recipe, frames, form)
    scores = scores_of(answer, batch=inputs.shape[1])
    _check_scores(scores, data.classes, any(parameter.requires_grad for parameter in model.parameters()))


def _reading_membranes(model: nn.Module) -> dict[str, str]:
    """Neurons whose membranes another layer is given while the model runs -> that layer; filled as it runs."""
    neurons, read = spiking_layers(model), dict[str, str]()

    def noting(name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
            for source, layer in neurons.items():
                if any(value is getattr(layer, "mem", None) for value in args if isinstance(value, Tensor)):
                    read.setdefault(source, name)

        return hook

    for name, module in model.named_modules():
        if name not in neurons and not list(module.children()):
            module.register_forward_pre_hook(noting(name))
    return read


def _check_moved(model: nn.Module, recipe: Recipe, read: Mapping[str, str]) -> None:
    """Refuse to move thresholds that lie in the weights by which another layer follows the membranes."""
    for stage in recipe.stages:
        moved = set() if stage.perturbation is None else set(perturbed_layers(model, stage.perturbation))
        moved |= set() if stage.dial is None else set(dialled_layers(model))
        for name in sorted(moved & read.keys()):
            raise ModelError(
                f"{name}: found its membranes read by {read[name]}, whose weights hold its threshold once exported, "
                f"and its threshold moved in training, allowed is one that stays; feed {read[name]} with spikes, or "
                f"take recipe='plain' with a perturbation of other layers, and no dial"
            )


def _check_nesting(model: nn.Module, recipe: Recipe, frames: Tensor, form: InputForm) -> None:
    """Which neurons are to be switched off is read from the exported network, when a later stage begins."""
    if all(stage.dial is None or stage.dial.left == 1 for stage in recipe.stages):
        return
    try:
        outgoing_of(model, torch.ones_like(frames), form)
    except ModelError as error:
        raise ModelError(f"{error}; or train with recipe='aspen', whose dial switches no neurons off") from error


def _check_inhibition(model: nn.Module, error: Exception) -> None:
    """snnTorch lets one of a row of neurons fire; rows of rows, as convolutions make them, it cannot index."""
    for name, layer in spiking_layers(model).items():
        membrane = getattr(layer, "mem", None)
        if getattr(layer, "inhibition", False) and isinstance(membrane, Tensor) and membrane.ndim > 2:
            raise ModelError(
                f"{name}: found inhibition=True on neurons of shape {tuple(membrane.shape[1:])}, allowed is a row of "
                f"neurons, as after nn.Linear; use inhibition=False, without which alone a network can be exported"
            ) from error


def _check_scores(scores: Tensor, classes: int, learns: bool) -> None:
    if scores.shape[1] < classes:
        raise ModelError(
            f"model: found {scores.shape[1]} outputs for {classes} classes, allowed is one for each class or more; "
            f"widen the last layer"
        )
    if learns and not scores.requires_grad:
        raise ModelError(
            f"model: found an answer without a gradient ({scores.dtype}), allowed is one that the loss can be taken "
            f"back from; return it without detach(), and not as integers"
        )
    if not bool(scores.isfinite().all()):
        raise ModelError("model: found NaN or infinity in its answer, allowed are finite scores; look at what it adds")
