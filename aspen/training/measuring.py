"""What a snnTorch model does on a part of the data: accuracy and spikes, at settings of its knob."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from aspen._base.arrays import Array
from aspen._base.checks import as_number, shown
from aspen._base.labels import as_labels
from aspen.data import Dataset
from aspen.errors import InputError
from aspen.models.layers import hidden_layers
from aspen.models.spikes import count_spikes
from aspen.network.readout import NO_ANSWER, answers
from aspen.thresholds.knob import get_threshold_scale, set_threshold_scale
from aspen.training.framed import Runner, form_for, framed
from aspen.training.history import EachEpoch, Epoch
from aspen.training.inputs import as_frames, validation_samples
from aspen.training.logs import row
from aspen.training.loss import scores_of
from aspen.training.stage import Stage

EPOCH_SCALES = (1.0, 0.7, 1.5)
"""Threshold scales at which a network is tried after each epoch."""
EPOCH_KNOBS = (0.0, 0.5, 1.0)
"""Settings at which a learned dial is tried after each epoch."""
_CHUNK = 256


@dataclass(frozen=True)
class Counted:
    """What some samples gave.

    Args:
        correct, unanswered: how many were answered correctly, and not at all.
        samples: how many there were.
        counts: layer -> spikes of each hidden neuron in all of them together, (*shape).
    """

    correct: int
    unanswered: int
    samples: int
    counts: dict[str, Tensor]

    @property
    def accuracy(self) -> float:
        """Share that was answered correctly, 0 to 1."""
        return self.correct / self.samples

    @property
    def spikes(self) -> float:
        """Hidden spikes per inference."""
        return float(sum(float(count.sum()) for count in self.counts.values())) / self.samples


def measure(stage: Stage, loss: float, epoch: int) -> Epoch:
    """Validation accuracy and spikes at three knob settings, with the averaged weights."""
    settings = EPOCH_KNOBS if stage.dial is not None else EPOCH_SCALES
    with stage.average.in_place():
        found = count_at(stage, settings)
    neurons = torch.cat([count.reshape(-1) for count in found[0].counts.values()])
    dead = float((neurons == 0).double().mean())
    accuracy, spikes = tuple(each.accuracy for each in found), tuple(each.spikes for each in found)
    return Epoch(stage.index, epoch, loss, settings, accuracy, spikes, dead)


def with_columns(stage: Stage, entry: Epoch, each_epoch: EachEpoch, epoch: int) -> Epoch:
    """What was measured, and what ``each_epoch`` says of the model, with the averaged weights at the first setting.

    It is called without gradients, and cannot disturb the training: mode, knob and torch's random numbers are as
    before.

    Raises:
        InputError: it gives something else than numbers by name, or the name of another column.
    """
    model = stage.task.model
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), stage.average.in_place(), _dialled(stage, entry.settings[0]), torch.random.fork_rng([]):
            found = each_epoch(model, epoch)
    finally:
        model.train(was_training)
    if not isinstance(found, Mapping):
        raise InputError(f"each_epoch: found {shown(found)}, allowed are numbers by name; return a dict")
    known = row(entry)
    for name in found:
        if not isinstance(name, str) or name in known:
            raise InputError(
                f"each_epoch: found the column {shown(name)}, allowed are names beside {', '.join(known)}; rename it"
            )
    return replace(entry, also={name: as_number(f"each_epoch: {name}", value) for name, value in found.items()})


def count_at(stage: Stage, settings: tuple[float, ...]) -> list[Counted]:
    """What some validation samples, always the same, give at each setting of the knob; draws no random numbers."""
    inputs, labels = validation_samples(stage.task.data)
    found = []
    for setting in settings:
        with _dialled(stage, setting):
            found.append(_count(stage.task.model, stage.task.runner, inputs, labels))
    return found


@contextmanager
def _dialled(stage: Stage, setting: float) -> Iterator[None]:
    """The dial, or the knob of all hidden layers, at ``setting`` for as long as the block runs."""
    if stage.dial is not None:
        stage.dial.turn(setting)
        yield
        return
    model = stage.task.model
    before = get_threshold_scale(model)
    set_threshold_scale(model, {name: before[name] * setting for name in stage.hidden})
    try:
        yield
    finally:
        set_threshold_scale(model, before)


def _count(model: nn.Module, runner: Runner, inputs: Array, labels: Array) -> Counted:
    """In eval mode."""
    was_training = model.training
    model.eval()
    like = next(model.parameters())
    hidden = hidden_layers(model)
    correct, unanswered, counts = 0, 0, dict[str, Tensor]()
    try:
        for start in range(0, len(labels), _CHUNK):
            part = as_frames(inputs[:, start : start + _CHUNK], like)
            with torch.no_grad(), count_spikes(hidden) as spikes:
                found = answers(scores_of(runner(part)).cpu().numpy())
            correct += int((found == labels[start : start + _CHUNK]).sum())
            unanswered += int((found == NO_ANSWER).sum())
            for name, steps in spikes.items():
                total = sum(step.sum(dim=0) for step in steps)
                counts[name] = counts.get(name, 0) + total.double().cpu()  # type: ignore[union-attr]
    finally:
        model.train(was_training)
    return Counted(correct, unanswered, len(labels), counts)


def evaluate(model: nn.Module, data: Dataset, part: str) -> tuple[float, float]:
    """Accuracy (0 to 1) and hidden spikes per inference of a snnTorch model on a part of the data, in eval mode.

    Raises:
        InputError: there is no such part, or its labels or encoded samples do not fit.
    """
    labels = as_labels(f"{part} labels", data.part(part).labels, classes=data.classes)
    inputs = data.spikes(part)
    few = as_frames(inputs[:, :2], next(model.parameters()))
    found = _count(model, framed(model, model, form_for(model, few), few), inputs, labels)
    return found.accuracy, found.spikes
