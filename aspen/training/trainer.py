"""The training behind :func:`aspen.fit`: where it stands, what it has measured, and what it leaves on the way."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from aspen._base.checks import as_path
from aspen.errors import TrainingError, UnwrittenError
from aspen.training.checkpoints import (
    check_stage,
    dial_from,
    dial_state,
    read_checkpoint,
    settings_of,
    write_checkpoint,
)
from aspen.training.fitted import Fitted
from aspen.training.history import EachEpoch, Epoch, Report
from aspen.training.knob_range import find_knob_range
from aspen.training.logs import Logs
from aspen.training.measuring import measure, with_columns
from aspen.training.processes import first_says
from aspen.training.pruning import Pruner
from aspen.training.recipes import Recipe
from aspen.training.stage import Stage, Task

SILENT_EPOCHS = 5
"""A network whose hidden layers say nothing for so many epochs is given up."""


class Best(NamedTuple):
    """The best weights of a stage so far, their accuracy, and after how many epochs they were found."""

    accuracy: float
    epoch: int
    weights: dict[str, Any]


class Trainer:
    """A training as it goes on, from stage to stage and from epoch to epoch.

    Args:
        task: what is trained, on what.
        recipe: how.
        checkpoint: a file that is written after each epoch.
        resume: whether it goes on from that file, if it is there.
        log: a folder for what is measured.
        each_epoch: what says more of the model after each epoch.

    Attributes:
        fitted: what the training gave so far.

    Raises:
        InputError: the checkpoint is of another training, or the folder cannot be made.
        FileFormatError: it is damaged, or no checkpoint.
    """

    def __init__(
        self,
        task: Task,
        recipe: Recipe,
        *,
        checkpoint: str | Path | None = None,
        resume: bool = False,
        log: str | Path | None = None,
        each_epoch: EachEpoch | None = None,
    ) -> None:
        self.task, self.recipe = task, recipe
        self.fitted = Fitted(task.model, task.data, {"data": task.data.name, "recipe": recipe.name, "seed": task.seed})
        self._checkpoint = None if checkpoint is None else as_path(checkpoint)
        self._settings = settings_of(task, recipe.stages)
        self._resumed: dict[str, Any] | None = None
        self._stage, self._epoch = 0, 0
        self._best: Best | None = None
        self._pruner = Pruner(task.model, recipe.stages)
        if resume and self._checkpoint is not None and self._checkpoint.is_file():
            self._go_on_from(read_checkpoint(self._checkpoint, self._settings))
        self._logs = Logs(log)
        self._each_epoch = each_epoch
        self._report: Report | None = None

    @property
    def epochs(self) -> int:
        """Of all stages together."""
        return sum(stage.epochs for stage in self.recipe.stages)

    def run(self, report: Report | None = None) -> Fitted:
        """Train what is left; the model is in ``eval()`` mode afterwards.

        Args:
            report: called by the first process after each epoch.

        Raises:
            TrainingError: no finite loss, or a network that says nothing. The last good weights remain.
        """
        self._report = report
        try:
            while self._stage < len(self.recipe.stages):
                self._run_stage()
        finally:
            self.task.model.eval()
        return self.fitted

    def _go_on_from(self, state: dict[str, Any]) -> None:
        self._stage, self._epoch = state["stage"], state["epoch"]
        self._best = None if state["best"] is None else Best(**state["best"])
        self.fitted.history.extend(Epoch(**entry) for entry in state["history"])
        self.fitted.profile = dial_from(state["before"])
        self._resumed = state

    def _run_stage(self) -> None:
        stages = self.recipe.stages
        stage = Stage(self.task, stages[self._stage], self._stage, self.fitted.profile, self._pruner)
        try:
            if self._resumed is not None and self._checkpoint is not None:
                check_stage(self._checkpoint, self._resumed, stage)
                stage.load(self._resumed)
                self._resumed = None
            self._run_epochs(stage)
            stage.finish(None if self._best is None else self._best.weights)
            if stage.dial is not None:
                self.fitted.profile = stage.dial.profile()
            if stage.index == len(stages) - 1:
                self.fitted.knob_range = first_says(find_knob_range(stage))
        finally:
            stage.close()
        self._stage, self._epoch, self._best = self._stage + 1, 0, None

    def _run_epochs(self, stage: Stage) -> None:
        silent = 0
        while self._epoch < stage.recipe.epochs and not self._is_over(stage):
            loss = stage.run_epoch(self._epoch)
            entry = first_says(self._measured(stage, loss))
            self.fitted.history.append(entry)
            self._epoch += 1
            silent = 0 if any(entry.spikes) else silent + 1
            if silent == SILENT_EPOCHS:
                raise TrainingError(
                    f"{stage.recipe.name}: found no hidden spike on validation data for {silent} epochs, allowed are "
                    f"some; lower the spike price, or begin with larger weights"
                )
            self._keep_best(stage, entry.accuracy[0])
            if stage.rank == 0:
                self._tell(stage, entry)

    def _measured(self, stage: Stage, loss: float) -> Epoch:
        entry = measure(stage, loss, self._epoch)
        if self._each_epoch is None:
            return entry
        return with_columns(stage, entry, self._each_epoch, len(self.fitted.history))

    def _keep_best(self, stage: Stage, accuracy: float) -> None:
        """Remember the best weights where the recipe asks for it."""
        if stage.recipe.patience is None or not stage.has_pruned(self._epoch):
            return
        if self._best is None or accuracy > self._best.accuracy:
            self._best = Best(accuracy, self._epoch, stage.weights())

    def _is_over(self, stage: Stage) -> bool:
        """Whether the patience is at its end; as true of a stage that is resumed as of an undisturbed one."""
        patience = stage.recipe.patience
        return patience is not None and self._best is not None and self._epoch - self._best.epoch >= patience

    def _tell(self, stage: Stage, entry: Epoch) -> None:
        """Write log and checkpoint, and report."""
        _unless_unwritten(self._logs.write, self.fitted.history)
        if self._checkpoint is not None and any(entry.spikes):  # what it holds is worth going on with
            _unless_unwritten(write_checkpoint, self._checkpoint, self._state(stage))
        if self._report is not None:
            self._report(entry, self.epochs)

    def _state(self, stage: Stage) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {
            **stage.state(),
            "stage": stage.index,
            "epoch": self._epoch,
            "history": [asdict(entry) for entry in self.fitted.history],
            "best": None if self._best is None else self._best._asdict(),
            "settings": self._settings,
            "before": dial_state(stage.before),
        }


def _unless_unwritten(write: Callable[..., None], *arguments: object) -> None:
    """Write, and where that fails warn and go on: what is being learned is worth more than a log or a checkpoint."""
    try:
        write(*arguments)
    except UnwrittenError as error:
        warnings.warn(f"{error}; the training goes on without it", RuntimeWarning, stacklevel=3)
