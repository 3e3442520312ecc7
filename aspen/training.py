"""Training with a recipe: perturbed thresholds, a price on spikes, or neither."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from aspen.data import Dataset
from aspen.errors import InputError
from aspen.layers import hidden_layers
from aspen.perturbation import perturb_thresholds


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Args:
        name: short name.
        spike_price: weight of the penalty in the loss; the penalty is 100 x the mean number of spikes per hidden
            neuron and time step.
        warm_up: the price rises from 0 over this fraction of the training, so that it does not silence the network
            before there is anything to keep.
        perturbation: keyword arguments of :func:`aspen.perturb_thresholds`; ``None`` leaves the thresholds alone.
        epochs: passes over the training data.
        batch_size: samples per step.
        learning_rate: of Adam, at the start; it falls to 0 along a cosine.
        clip: the gradient's norm is clipped to this.
    """

    name: str
    spike_price: float = 0.0
    warm_up: float = 0.25
    perturbation: dict[str, object] | None = None
    epochs: int = 45
    batch_size: int = 64
    learning_rate: float = 1e-2
    clip: float = 1.0


RECIPES = {
    "plain": Recipe("plain"),
    "perturbed": Recipe("perturbed", spike_price=0.2, perturbation={"low": 0.4, "high": 2.5}),
}
"""``plain`` is ordinary training; ``perturbed`` moves the thresholds at random and puts a price on spikes."""


@dataclass
class History:
    """What training measured after each epoch: the mean loss, and accuracy and hidden spikes per inference."""

    loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    validation_spikes: list[float] = field(default_factory=list)


def recipe(name: str) -> Recipe:
    """The recipe called ``name``."""
    if name not in RECIPES:
        raise InputError(f"recipe: found {name!r}, allowed are {', '.join(RECIPES)}; choose one of these")
    return RECIPES[name]


@contextmanager
def count_spikes(layers: dict[str, nn.Module]) -> Iterator[dict[str, list[Tensor]]]:
    """Collect the spikes of spiking layers while the block runs: name -> list of (batch, *shape), one for each step."""
    spikes: dict[str, list[Tensor]] = {name: [] for name in layers}

    def keep(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: object, output: Tensor | tuple[Tensor, ...]) -> None:
            spikes[name].append(output if isinstance(output, Tensor) else output[0])

        return hook

    handles = [layer.register_forward_hook(keep(name)) for name, layer in layers.items()]
    try:
        yield spikes
    finally:
        for handle in handles:
            handle.remove()


def spike_penalty(spikes: dict[str, list[Tensor]]) -> Tensor:
    """100 x the mean number of spikes per neuron and time step, over all the given layers."""
    total = torch.stack([torch.stack(steps).sum() for steps in spikes.values()]).sum()
    places = sum(step.numel() for steps in spikes.values() for step in steps)
    return 100 * total / places


def fit(
    model: nn.Module,
    data: Dataset,
    how: Recipe | str = "perturbed",
    *,
    seed: int = 0,
    epochs: int | None = None,
    progress: Callable[[int, int, float, float], None] | None = None,
) -> History:
    """Train ``model`` on ``data.train``; the test data is not touched.

    The model maps spikes (time, batch, *shape) to output spikes (time, batch, classes); the class with most spikes
    wins, and the loss is the cross-entropy of the spike counts. The training data is encoded anew in each epoch.

    Args:
        model: any snnTorch model with at least one hidden spiking layer; it is left in ``eval()`` mode.
        data: what to learn.
        how: a recipe or its name.
        seed: of the order of samples, the encoding and the perturbation. The weights are the caller's: seed torch
            before the model is made.
        epochs: instead of the recipe's.
        progress: called after each epoch with (epoch, epochs, validation accuracy, validation spikes).

    Returns:
        loss, validation accuracy and spikes after each epoch.
    """
    chosen = recipe(how) if isinstance(how, str) else how
    epochs = chosen.epochs if epochs is None else epochs
    if epochs < 1:
        raise InputError(f"epochs: found {epochs}, allowed is 1 and more")
    hidden = hidden_layers(model)
    rng = np.random.default_rng(seed)
    batches = ceil(len(data.train) / chosen.batch_size)
    optimizer = torch.optim.Adam(model.parameters(), chosen.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * batches)
    handle = None
    if chosen.perturbation is not None:
        handle = perturb_thresholds(model, seed=seed, **chosen.perturbation)  # type: ignore[arg-type]
    history = History()
    ramp = chosen.warm_up * epochs * batches
    done = 0
    try:
        for epoch in range(epochs):
            model.train()
            order = rng.permutation(len(data.train))
            spikes = data.encoder.encode(data.train.values[order], seed=int(rng.integers(2**31)))
            losses = []
            for part in np.array_split(np.arange(len(order)), batches):
                inputs = torch.from_numpy(spikes[:, part]).float()
                labels = torch.from_numpy(data.train.labels[order[part]])
                price = chosen.spike_price * (min(done / ramp, 1.0) if ramp else 1.0)
                losses.append(_step(model, hidden, inputs, labels, price, chosen.clip, optimizer))
                schedule.step()
                done += 1
            history.loss.append(float(np.mean(losses)))
            accuracy, count = evaluate(model, data, "validation")
            history.validation_accuracy.append(accuracy)
            history.validation_spikes.append(count)
            if progress is not None:
                progress(epoch + 1, epochs, accuracy, count)
    finally:
        if handle is not None:
            handle.remove()
        model.eval()
    return history


def _step(
    model: nn.Module,
    hidden: dict[str, nn.Module],
    inputs: Tensor,
    labels: Tensor,
    price: float,
    clip: float,
    optimizer: torch.optim.Optimizer,
) -> float:
    with count_spikes(hidden) as spikes:
        counts = model(inputs).sum(dim=0)
    loss = functional.cross_entropy(counts, labels)
    if price:
        loss = loss + price * spike_penalty(spikes)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    return float(loss.detach())


def evaluate(model: nn.Module, data: Dataset, part: str) -> tuple[float, float]:
    """Accuracy (0 to 1) and hidden spikes per inference of a snnTorch model on a part of the data, in eval mode."""
    was_training = model.training
    model.eval()
    with torch.no_grad(), count_spikes(hidden_layers(model)) as spikes:
        counts = model(torch.from_numpy(data.spikes(part)).float()).sum(dim=0)
    model.train(was_training)
    labels = torch.from_numpy(data.part(part).labels)
    accuracy = float((counts.argmax(dim=1) == labels).float().mean())
    total = sum(float(step.sum()) for steps in spikes.values() for step in steps)
    return accuracy, total / len(labels)
