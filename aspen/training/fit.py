"""Training with a recipe: :func:`fit`."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from aspen.data import Dataset
from aspen.data.own_arrays import as_dataset
from aspen.errors import ChipWarning, InputError, ModelError, TrainingWarning
from aspen.fused import fuse
from aspen.fused.module import Fused
from aspen.models.ready import normalises_over_time
from aspen.storage.outputs import check_output
from aspen.training.checks import check_training
from aspen.training.chips import warning_for
from aspen.training.few_samples import enough_steps
from aspen.training.fitted import Fitted as Fitted
from aspen.training.framed import form_for, framed, held_still
from aspen.training.history import EachEpoch, Report
from aspen.training.measuring import evaluate as evaluate
from aspen.training.processes import begin_alike, rank_and_world
from aspen.training.progress import check_progress, reporting
from aspen.training.recipes import Recipe, default_recipe
from aspen.training.recipes import recipe as find_recipe
from aspen.training.stage import Task
from aspen.training.trainer import Trainer


def fit(
    model: nn.Module,
    data: Dataset | Any,
    recipe: Recipe | str | None = None,
    *,
    seed: int = 0,
    epochs: int | None = None,
    fused: bool | None = None,
    batch_norm: str | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    log: str | Path | None = None,
    progress: Report | bool | None = None,
    each_epoch: EachEpoch | None = None,
    chip: Any = None,
) -> Fitted:
    """Train ``model`` on ``data.train``, or on your own arrays, (X, y); the test data is not touched.

    The model maps spikes or a current (time, batch, *shape) to output spikes or values (time, batch, classes), or to
    one value for each class, (batch, classes); the highest sum over time wins, and the loss is the cross-entropy of the
    sums. Data that is encoded at random is encoded anew in each epoch. The same seed gives the same weights.

    Where a process group is open, as in processes that ``torchrun`` started, they train one model together: each takes
    its share of every batch, and the gradients are added up. BatchNorm takes the statistics of each share. The first
    process measures, and writes checkpoints and logs.

    >>> import torch
    >>> from aspen.data import digits
    >>> from aspen.models import DenseNet
    >>> seeded = torch.manual_seed(0)
    >>> fitted = fit(DenseNet((64, 32, 10)), digits(steps=5), "plain", epochs=1, progress=False)
    >>> fitted.validation_accuracy[-1] > 0.2  # after one pass over the data; chance is 0.1
    True
    >>> fitted.export().save("net.aspen")  # the network, its encoder and, where one was learned, its dial

    Args:
        model: any snnTorch model with at least one hidden spiking layer; it is left in ``eval()`` mode, and trained on
            the device where it is: ``fit(model.to("cuda"), data)`` trains on a GPU. It may take its
            input with the batch first or with time last, or do one time step: that is found out.
        data: what to learn: a data set, or what :func:`aspen.data.arrays` makes one of: (X, y), (X, y, subjects), a
            PyTorch data set or a ``DataLoader``. That is always split alike, whatever the ``seed``; the progress bar
            and ``str(fitted.data)`` say how, and which encoder was chosen. Another split or encoder, and samples that
            are apart already: ``aspen.data.arrays(X, y, ...)``.
        recipe: how to train, or the name of one of :data:`aspen.training.recipes.RECIPES`. ``None``: ``aspen-joules``,
            which learns a dial that switches neurons off and prunes to a quarter of the weights; ``aspen-mcu``, which
            does not prune, where each ``chip`` is a microcontroller. Both are for models that can be exported;
            ``aspen`` learns a dial that only moves thresholds, of any. By name it takes smaller batches where samples
            are few (less than 16 batches) and, without ``epochs``, more epochs, so that no fewer steps are made.
        seed: of the order of samples, the encoding, the perturbation, jitter and dropout. The weights are the caller's:
            seed torch before the model is made.
        epochs: instead of the recipe's, in each of its stages.
        fused: whether the model runs all time steps at once (:func:`aspen.fuse`), which is several times faster and
            computes the same; ``None``: where it can be, which a rehearsal finds out before the training.
        batch_norm: as in :func:`aspen.fuse`; ``None``: as the model's own loop takes the statistics, which is over
            time in :mod:`aspen.models.ready` and at each step elsewhere. ``"over_time"`` trains fused or not at all,
            unless ``fused=False``: then the model's own loop decides. At the end of each stage the statistics are
            taken anew, over the training data with the weights that are kept.
        checkpoint: a file that is written after each epoch; where that fails, the training goes on, with a warning.
        resume: go on from ``checkpoint``, if it is there; on a CPU to the bit what an undisturbed training gives.
        log: a folder for ``epochs.csv``, and for TensorBoard where that is installed; as with checkpoints.
        progress: whether a progress bar is shown; ``None``: in a terminal and in a notebook. Instead of a bar something
            that is called after each epoch with what was measured, and the number of epochs of all stages.
        each_epoch: called after each epoch with the model, in ``eval()`` mode, and the number of epochs before; the
            numbers that it returns, by name, go into the history (``also``) and the log: the energy of an inference,
            for example (``aspen_emulator.EnergyLog``).
        chip: where the network is to run, the name of a chip or several: it chooses the recipe where none is given, and
            what of the model will not go there is said before the training, as :func:`aspen_hardware.check_model` finds
            it.

    Returns:
        the model, what was measured, and the dial where one was learned; its ``export()`` makes a network of it that a
        file keeps.

    Warns:
        ChipWarning: the chip will not take the model as it is; with the table of what each layer will meet.
        TrainingWarning: the network ended at chance, or its knob is at chance in part of its range; ``knob_range`` of
            what is returned has the figures.

    Raises:
        InputError: the data or a setting is not allowed.
        ModelError: the model cannot be trained like this.
        TrainingError: no finite loss, or a network that says nothing. The last good weights remain.
        ChipError: there is no such chip.
    """
    recipe = default_recipe(chip) if recipe is None else recipe
    chosen = recipe if isinstance(recipe, Recipe) else find_recipe(recipe)
    if epochs is not None:
        chosen = chosen.each(lambda stage: replace(stage, epochs=epochs))
    check_progress(progress)
    if each_epoch is not None and not callable(each_epoch):
        raise InputError(
            f"each_epoch: found {each_epoch!r}, allowed is a function of a model and the number of epochs before it; "
            f"leave it out, or give one such as EnergyLog(inputs)"
        )
    given, data = data, as_dataset(data)
    data = data if data is given else held_still(model, data)
    if not isinstance(recipe, Recipe):
        chosen = enough_steps(chosen, len(data.train), more_epochs=epochs is None)
    check_training(model, data, chosen)
    is_first = rank_and_world()[0] == 0
    refused = "" if chip is None or not is_first else warning_for(model, data, chip)
    if refused:
        warnings.warn(refused, ChipWarning, stacklevel=2)
    begin_alike(model)
    if checkpoint is not None:
        check_output(checkpoint)
    sample = torch.from_numpy(data.encode(data.train.values[:1], seed=0)).to(next(model.parameters()))
    form = form_for(model, sample)
    run = _runner(model, form.sample(sample), fused, batch_norm)
    runner = framed(model, run, form, sample)
    task = Task(model, runner, data, sample, seed, form)
    trainer = Trainer(task, chosen, checkpoint=checkpoint, resume=resume, log=log, each_epoch=each_epoch)
    shown = progress if callable(progress) or is_first else False
    done = len(trainer.fitted.history)
    told = [*([] if data is given else [str(data)]), *_on_device(run, sample)]
    bar = reporting(shown, trainer.epochs, f"train {chosen.name}", done, "\n".join(told))
    with torch.random.fork_rng(devices=[]), bar as report:
        fitted = trainer.run(report)
    if fitted.warning and is_first:
        warnings.warn(fitted.warning, TrainingWarning, stacklevel=2)
    return fitted


def _on_device(run: nn.Module, sample: Tensor) -> list[str]:
    """What steps the neurons, in a line that is worth one where it is no CPU."""
    if sample.device.type == "cpu":
        return []
    how = f"all time steps at once, by {run.stepped_by(sample)}" if isinstance(run, Fused) else "step by step"
    return [f"trained on {sample.device}: {how}"]


def _runner(model: nn.Module, sample: Tensor, fused: bool | None, batch_norm: str | None) -> nn.Module:
    """The model, or its fused self."""
    if fused is False:
        return model
    was_training = model.training
    model.train()
    try:
        own = "over_time" if normalises_over_time(model) else "refuse"
        return fuse(model, sample, batch_norm=own if batch_norm is None else batch_norm)
    except ModelError:
        if fused or batch_norm == "over_time":
            raise
        return model
    finally:
        model.train(was_training)
