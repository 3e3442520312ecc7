"""Training with a recipe: :func:`fit`, and what it gives back."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from math import ceil
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from aspen._base.labels import as_labels
from aspen._base.progress import check_progress, reporting
from aspen.data import Dataset
from aspen.dial.profile import DialProfile
from aspen.errors import InputError, ModelError, TrainingError, TrainingWarning, UnwrittenError
from aspen.fused import fuse
from aspen.models.ready import normalises_over_time
from aspen.storage.outputs import check_output
from aspen.thresholds.learned_dial import LearnedDial
from aspen.training.checkpoints import check_stage, read_checkpoint, write_checkpoint
from aspen.training.checks import check_answer, check_model, check_types
from aspen.training.knob_range import KnobRange, find_knob_range
from aspen.training.logs import Logs
from aspen.training.measuring import evaluate as evaluate
from aspen.training.measuring import measure
from aspen.training.processes import begin_alike, first_says, rank_and_world
from aspen.training.recipes import Recipe
from aspen.training.recipes import recipe as find_recipe
from aspen.training.stage import SILENT_EPOCHS, Epoch, Progress, Report, Stage
from aspen.training.trained import Trained


@dataclass
class Fitted:
    """A model that was trained, and what was found: what :func:`fit` returns.

    Args:
        model: with the weights that were learned.
        data: what it was trained on.
        training: what an exported network says of its training: data, recipe and seed.
        history: one entry for each epoch.
        profile: the learned dial, where the recipe has one; knob 0 is its accurate end.
        knob_range: whether the network can be used, and in which part of its knob's range.
    """

    model: nn.Module = field(repr=False)
    data: Dataset = field(repr=False)
    training: Mapping[str, object]
    history: list[Epoch] = field(default_factory=list)
    profile: DialProfile | None = None
    knob_range: KnobRange | None = None

    def export(self) -> Trained:
        """The network, its dial folded, with its encoder: what is saved, compiled and run, without torch.

        It is made of the model as it is now. For a model that you trained in a loop of your own, see
        :meth:`aspen.Trained.of`.

        Raises:
            ModelError: something in the model cannot be mapped, as in :func:`aspen.export`.
            InputError: the validation data hold zeros alone.
        """
        return Trained.of(self.model, self.data, self.profile, {**self.training, "epochs": len(self.history)})

    @property
    def warning(self) -> str:
        """What of the knob's range cannot be used, in a sentence with a remedy; empty where all can."""
        return "" if self.knob_range is None else self.knob_range.warning

    @property
    def loss(self) -> list[float]:
        """Mean training loss of each epoch."""
        return [entry.loss for entry in self.history]

    @property
    def validation_accuracy(self) -> list[float]:
        """After each epoch, at the first knob setting."""
        return [entry.accuracy[0] for entry in self.history]

    @property
    def validation_spikes(self) -> list[float]:
        """Hidden spikes per inference after each epoch, at the first knob setting."""
        return [entry.spikes[0] for entry in self.history]


def fit(
    model: nn.Module,
    data: Dataset,
    recipe: Recipe | str = "aspen",
    *,
    seed: int = 0,
    epochs: int | None = None,
    fused: bool | None = None,
    batch_norm: str | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    log: str | Path | None = None,
    progress: Report | bool | None = None,
) -> Fitted:
    """Train ``model`` on ``data.train``; the test data is not touched.

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
        model: any snnTorch model with at least one hidden spiking layer; it is left in ``eval()`` mode.
        data: what to learn.
        recipe: how to train, or the name of one of :data:`aspen.training.recipes.RECIPES`.
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

    Returns:
        the model, what was measured, and the dial where one was learned; its ``export()`` makes a network of it that a
        file keeps.

    Warns:
        TrainingWarning: the network ended at chance, or its knob is at chance in part of its range; ``knob_range`` of
            what is returned has the figures.

    Raises:
        InputError: the data or a setting is not allowed.
        ModelError: the model cannot be trained like this.
        TrainingError: no finite loss, or a network that says nothing. The last good weights remain.
    """
    check_types(model, data)
    chosen = recipe if isinstance(recipe, Recipe) else find_recipe(recipe)
    stages = [stage if epochs is None else _with_epochs(stage, epochs) for stage in chosen.stages]
    check_progress(progress)
    _check_data(data)
    _check_ranks(stages, data)
    check_model(model, stages)
    check_answer(model, data)
    begin_alike(model)
    sample = torch.from_numpy(data.encode(data.train.values[:1], seed=0))
    sample = sample.to(next(model.parameters()))
    if checkpoint is not None:
        check_output(checkpoint)
    settings = _settings(stages, data, model, seed)
    state = None
    if resume and checkpoint is not None and Path(checkpoint).is_file():
        state = read_checkpoint(checkpoint, settings)
    runner = _runner(model, sample, fused, batch_norm)
    done = Progress()
    if state is not None:
        done = Progress(state["stage"], state["epoch"], [Epoch(**entry) for entry in state["history"]])
    before = None if state is None else _profile_from(state["before"])
    result = Fitted(model, data, {"data": data.name, "recipe": chosen.name, "seed": seed}, done.history, before)
    total = sum(stage.epochs for stage in stages)
    logs = Logs(log)
    dial: LearnedDial | None = None
    shown = progress if callable(progress) or rank_and_world()[0] == 0 else False
    bar = reporting(shown, total, f"train {chosen.name}", len(done.history))
    with torch.random.fork_rng(devices=[]), bar as report:
        try:
            for index in range(done.stage, len(stages)):
                stage = Stage(model, runner, data, stages[index], sample, seed, index, result.profile)
                dial = stage.dial
                if state is not None and checkpoint is not None:
                    check_stage(checkpoint, state, stage)
                    stage.load(state)
                    done.best, state = state["best"], None
                _run_stage(stage, done, settings, checkpoint, logs, report, total)
                if dial is not None:
                    result.profile = dial.profile()
                if index == len(stages) - 1:
                    result.knob_range = first_says(find_knob_range(stage))
                if dial is not None:
                    dial.remove()
        finally:
            if dial is not None:
                dial.remove()
            model.eval()
    if result.warning and rank_and_world()[0] == 0:
        warnings.warn(result.warning, TrainingWarning, stacklevel=2)
    return result


def _with_epochs(stage: Recipe, epochs: int) -> Recipe:
    return replace(stage, epochs=epochs, then=None)


def _run_stage(
    stage: Stage,
    done: Progress,
    settings: dict[str, object],
    checkpoint: str | Path | None,
    logs: Logs,
    progress: Report | None,
    total: int,
) -> None:
    last = stage.recipe.epochs
    silent = 0
    while done.epoch < last and not _is_over(stage, done):
        loss = stage.run_epoch(done.epoch)
        entry = first_says(measure(stage, loss, done.epoch))
        done.history.append(entry)
        done.epoch += 1
        silent = silent + 1 if not any(entry.spikes) else 0
        if silent == SILENT_EPOCHS:
            raise TrainingError(
                f"{stage.recipe.name}: found no hidden spike on validation data for {silent} epochs, allowed are some; "
                f"lower the spike price, or begin with larger weights"
            )
        _keep_best(stage, done)
        if stage.rank == 0:
            _unless_unwritten(logs.write, done.history)
        if checkpoint is not None and not silent and stage.rank == 0:  # what it holds is worth going on with
            _unless_unwritten(_save, stage, done, settings, checkpoint)
        if progress is not None and stage.rank == 0:
            progress(entry, total)
    stage.finish(None if done.best is None else done.best["weights"])
    done.stage, done.epoch, done.best = done.stage + 1, 0, None


def _unless_unwritten(write: Callable[..., None], *arguments: object) -> None:
    """Write, and where that fails warn and go on: what is being learned is worth more than a log or a checkpoint."""
    try:
        write(*arguments)
    except UnwrittenError as error:
        warnings.warn(f"{error}; the training goes on without it", RuntimeWarning, stacklevel=3)


def _keep_best(stage: Stage, done: Progress) -> None:
    """Remember the best weights where the recipe asks for it."""
    if stage.recipe.patience is None:
        return
    accuracy = done.history[-1].accuracy[0]
    if done.best is None or accuracy > done.best["accuracy"]:
        done.best = {"accuracy": accuracy, "epoch": done.epoch, "weights": stage.weights()}


def _is_over(stage: Stage, done: Progress) -> bool:
    """Whether the patience is at its end; as true of a stage that is resumed as of one that was not interrupted."""
    patience = stage.recipe.patience
    return patience is not None and done.best is not None and bool(done.epoch - done.best["epoch"] >= patience)


def _save(stage: Stage, done: Progress, settings: dict[str, object], path: str | Path) -> None:
    history = [asdict(entry) for entry in done.history]
    where = {"stage": done.stage, "epoch": done.epoch, "history": history, "best": done.best, "settings": settings}
    where["before"] = None if stage.before is None else _profile_state(stage.before)
    write_checkpoint(path, {**stage.state(), **where})


def _profile_state(profile: DialProfile) -> dict[str, dict[str, Tensor]]:
    parts = {"slopes": profile.slopes, "offsets": profile.offsets}
    return {part: {name: torch.tensor(array) for name, array in arrays.items()} for part, arrays in parts.items()}


def _profile_from(state: dict[str, dict[str, Tensor]] | None) -> DialProfile | None:
    """The dial of the stage before the one that a checkpoint is of."""
    if state is None:
        return None
    arrays = {part: {name: values.numpy() for name, values in found.items()} for part, found in state.items()}
    return DialProfile(arrays["slopes"], arrays["offsets"])


def _settings(stages: list[Recipe], data: Dataset, model: nn.Module, seed: int) -> dict[str, object]:
    """What must be the same for a training to be resumed."""
    shapes = {name: list(values.shape) for name, values in model.state_dict().items()}
    samples = [len(data.train), len(data.validation)]
    recipes = [repr(stage) for stage in stages]
    own = {"data": data.name, "samples": samples, "input": _fingerprint(data)}
    return {"recipe": recipes, **own, "weights": shapes, "seed": seed}


def _fingerprint(data: Dataset) -> str:
    """Tells other samples, labels and encoders apart; rounded, so that another machine may go on with a training."""
    given = np.round(np.asarray(data.encoder.encode(data.train.values[:8], seed=0), np.float64), 3) + 0.0  # no -0.0
    labels = np.ascontiguousarray(data.train.labels, np.int64)
    return hashlib.sha256(given.tobytes() + labels.tobytes()).hexdigest()


def _check_data(data: Dataset) -> None:
    for name in ("train", "validation"):
        if len(data.part(name)) == 0:
            raise InputError(f"{name}: found no samples, allowed is at least one; split the data otherwise")
        as_labels(f"{name} labels", data.part(name).labels, classes=data.classes)
    labels = np.unique(data.train.labels)
    if len(labels) < 2:
        raise InputError(f"train: found the one class {labels.tolist()}, allowed are two or more; split otherwise")


def _check_ranks(stages: list[Recipe], data: Dataset) -> None:
    world = rank_and_world()[1]
    for stage in stages:
        smallest = len(data.train) // ceil(len(data.train) / stage.batch_size)
        if smallest < world:
            raise InputError(
                f"{stage.name}: found batches of {smallest} samples for {world} processes, allowed is one sample or "
                f"more for each; start fewer, or make batch_size larger"
            )


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
