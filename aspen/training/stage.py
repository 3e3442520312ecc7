"""The training loop behind :func:`aspen.fit`: stages, epochs, steps, and what is kept between them.

Every random number of an epoch (order, encoding, perturbation, jitter, dropout) follows from seed, stage and epoch. So
a training that is resumed at the start of an epoch goes on to the bit, with nothing but the weights and the optimizer's
state from the checkpoint.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil, cos, isfinite, pi
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from aspen._base.arrays import Array, as_array
from aspen.data import Dataset
from aspen.dial.profile import DialProfile
from aspen.errors import InputError, ModelError, TrainingError
from aspen.models.layers import hidden_layers
from aspen.models.spikes import count_spikes
from aspen.thresholds.learned_dial import LearnedDial, learn_dial
from aspen.thresholds.perturbation import perturb_thresholds
from aspen.training.penalties import SpikePenalty, operation_costs
from aspen.training.processes import rank_and_world, sum_gradients
from aspen.training.recipes import DialTraining, Recipe

SILENT_EPOCHS = 5
"""A network whose hidden layers say nothing for so many epochs is given up."""


@dataclass
class Epoch:
    """What was measured after an epoch.

    Args:
        stage, epoch: which, from 0.
        loss: mean over the training samples.
        settings: knob settings that were tried on validation data.
        accuracy, spikes: validation accuracy (0 to 1) and hidden spikes per inference at each.
        dead: fraction of the hidden neurons that never spiked on validation data, at the first setting.
    """

    stage: int
    epoch: int
    loss: float
    settings: list[float]
    accuracy: list[float]
    spikes: list[float]
    dead: float


@dataclass
class Progress:
    """Where a training stands: the next stage and epoch, what was measured, the best weights so far."""

    stage: int = 0
    epoch: int = 0
    history: list[Epoch] = field(default_factory=list)
    best: dict[str, Any] | None = None


class Stage:
    """One stage of a training: a recipe with its optimizer, dial and running average.

    Args:
        model: the user's model; ``runner`` is what is called, the model itself or its fused self.
        data: what to learn.
        recipe: of this stage.
        sample: an encoded input, (time, 1, *shape).
        seed: of everything random.
        index: number of the stage.
        before: the dial of the stage before, which a dial of this one goes on with.
    """

    def __init__(
        self,
        model: nn.Module,
        runner: nn.Module,
        data: Dataset,
        recipe: Recipe,
        sample: Tensor,
        seed: int,
        index: int,
        before: DialProfile | None,
    ) -> None:
        self.model, self.runner, self.data, self.recipe = model, runner, data, recipe
        self.seed, self.index, self.before = seed, index, before
        self.rank, self.world = rank_and_world()
        self.hidden = hidden_layers(model)
        costs = operation_costs(model, torch.ones_like(sample[:2])) if recipe.cost == "operations" else None
        self.penalty = SpikePenalty(recipe, costs)
        self.dial: LearnedDial | None = None
        if recipe.dial is not None:
            part = recipe.dial
            self.dial = learn_dial(
                model,
                sample,
                slope=part.slope,
                offset=part.offset,
                jitter=part.jitter,
                groups=part.groups,
                begin=before,
                seed=0,
            )
        self.frozen = recipe.dial is not None and recipe.dial.frozen
        own = [] if self.frozen else list(model.parameters())
        groups: list[dict[str, Any]] = [{"params": own, "lr": recipe.learning_rate}]
        if self.dial is not None and recipe.dial is not None:
            rate = recipe.learning_rate * recipe.dial.rate
            groups.append({"params": list(self.dial.parameters()), "lr": rate, "weight_decay": 0.0})
        self.parameters = [parameter for group in groups for parameter in group["params"]]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)
        self.batches = ceil(len(data.train) / recipe.batch_size)
        self.total = recipe.epochs * self.batches
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._rate)
        self.average: list[Tensor] | None = None

    def run_epoch(self, epoch: int) -> float:
        """Train one epoch; the mean loss.

        Raises:
            TrainingError: the loss or its gradient is not finite. The weights are those of the start of the epoch.
        """
        rng = np.random.default_rng([self.seed, self.index, epoch])
        kept = self._now()
        inputs = self._inputs(int(rng.integers(2**31)))
        order = rng.permutation(len(self.data.train))
        torch.manual_seed(int(rng.integers(2**31)) + self.rank)
        losses: list[float] = []
        self._begin()
        with self._perturbed(int(rng.integers(2**31)) + self.rank):
            for number, part in enumerate(np.array_split(order, self.batches)):
                try:
                    losses.append(self._step(epoch * self.batches + number, inputs, part, rng))
                except _NotFinite as error:
                    self.load_weights(kept)
                    raise TrainingError(
                        f"{error} in epoch {epoch + 1} of recipe {self.recipe.name!r}, step {number + 1}; "
                        f"the weights are those before this epoch; lower the learning rate or the spike price"
                    ) from None
        return float(np.mean(losses))

    def _rate(self, done: int) -> float:
        """Factor on the learning rate after ``done`` steps."""
        rise = self.recipe.rise * self.total
        return min((done + 1) / rise if rise else 1.0, 1.0) * (1 + cos(pi * done / self.total)) / 2

    def _inputs(self, seed: int) -> Array:
        """The training data, made and encoded anew only where that is random."""
        encoder, augment = self.data.encoder, self.data.augment
        if augment is not None:
            made = as_array("augment", augment(self.data.train, np.random.default_rng(seed)), "return values alone")
            if made.ndim == 0 or len(made) != len(self.data.train):
                raise InputError(
                    f"augment: found values of shape {made.shape} for {len(self.data.train)} samples, allowed is one "
                    f"for each; return as many"
                )
            return encoder.encode(made, seed=seed)
        if getattr(encoder, "random", True):
            return encoder.encode(self.data.train.values, seed=seed)
        return self.data.spikes("train")

    def _restore(self, kept: list[Tensor]) -> None:
        with torch.no_grad():
            for parameter, values in zip(self.parameters, kept, strict=True):
                parameter.copy_(values)

    @contextmanager
    def _perturbed(self, seed: int) -> Iterator[None]:
        """The thresholds moved as the recipe says, or the dial's jitter drawn anew."""
        handle = None
        if self.recipe.perturbation is not None:
            handle = perturb_thresholds(self.model, seed=seed, **self.recipe.perturbation)  # type: ignore[arg-type]
        if self.dial is not None:
            self.dial.reseed(seed)
        try:
            yield
        finally:
            if handle is not None:
                handle.remove()

    def _step(self, done: int, inputs: Array, part: Array, rng: np.random.Generator) -> float:
        mine = slice(self.rank, None, self.world)
        batch = self._batch(inputs, part[mine])
        labels = torch.from_numpy(self.data.train.labels[part[mine]]).to(batch.device)
        price = self._price(done, len(part), rng, mine).to(batch.device, batch.dtype)
        with count_spikes(self.hidden) as spikes:
            scores = scores_of(self.runner(batch), self.recipe.scores == "mean", len(labels))
        smoothing = self.recipe.label_smoothing
        loss = functional.cross_entropy(scores, labels, reduction="none", label_smoothing=smoothing)
        if bool(price.any()):
            loss = loss + price * self.penalty(spikes, len(labels))
        if self.dial is not None:
            loss = loss / (1 + price).sqrt()
        share = loss.mean() * (len(labels) / len(part))
        self.optimizer.zero_grad()
        share.backward()
        mean = sum_gradients(self.parameters, share)
        _check_finite("loss", mean)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip)
        _check_finite("gradient", float(norm))  # of membranes that are NaN, which neither spike nor show in the loss
        self.optimizer.step()
        self.schedule.step()
        self._follow(done + 1)
        return mean

    def _price(self, done: int, batch: int, rng: np.random.Generator, mine: slice) -> Tensor:
        """The price on spikes of ``mine`` of a batch; with a dial, that of the knobs that are drawn and set here."""
        if self.dial is None or self.recipe.dial is None:
            ramp = self.recipe.warm_up * self.total
            price = self.recipe.spike_price * (min(done / ramp, 1.0) if ramp else 1.0)
            return torch.full((len(range(batch)[mine]),), price)
        knobs = torch.from_numpy(draw_knobs(rng, batch)[mine].copy())
        self.dial.turn(knobs.to(self.parameters[0].dtype))
        return price_of(self.recipe.dial, knobs)

    def _follow(self, done: int) -> None:
        """Keep the running average of the weights."""
        recipe = self.recipe
        if not recipe.average or done < recipe.average_from * self.total:
            return
        now = [parameter.detach() for parameter in self.parameters]
        if self.average is None:
            self.average = [values.clone() for values in now]
            return
        for kept, values in zip(self.average, now, strict=True):
            kept.mul_(recipe.average).add_(values, alpha=1 - recipe.average)

    def finish(self, best: dict[str, Any] | None = None) -> None:
        """Put the averaged weights in place, or the ``best`` ones, with the statistics of BatchNorm for them."""
        self._use_average()
        if best is not None:
            self.load_weights(best)
        self._settle()

    def _use_average(self) -> None:
        if self.average is not None:
            self._restore(self.average)

    def _begin(self) -> None:
        """Training mode, but of BatchNorm in a frozen network."""
        self.model.train()
        for module in self.model.modules():
            if self.frozen and isinstance(module, _BatchNorm):
                module.eval()

    def _settle(self) -> None:
        """Take the statistics of BatchNorm anew: those of the training were of other weights, and fade."""
        self._begin()
        norms = [n for n in self.model.modules() if isinstance(n, _BatchNorm) and n.training and n.track_running_stats]
        if not norms:
            return
        rng = np.random.default_rng([self.seed, self.index, self.recipe.epochs])
        inputs = self.data.spikes("train")
        fading = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # torch's word for the mean of all batches
        with torch.no_grad(), self._perturbed(int(rng.integers(2**31))):
            for part in np.array_split(rng.permutation(len(self.data.train)), self.batches):
                if self.dial is not None:
                    self.dial.turn(torch.from_numpy(draw_knobs(rng, len(part))).to(self.parameters[0].dtype))
                self.runner(self._batch(inputs, part))
        for norm, momentum in zip(norms, fading, strict=True):
            norm.momentum = momentum

    def _batch(self, inputs: Array, part: Array) -> Tensor:
        """Encoded samples as the model takes them."""
        like = self.parameters[0]
        return torch.from_numpy(np.ascontiguousarray(inputs[:, part])).to(like.device, like.dtype)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The averaged weights for as long as the block runs."""
        kept = [parameter.detach().clone() for parameter in self.parameters]
        self._use_average()
        try:
            yield
        finally:
            self._restore(kept)

    def _now(self) -> dict[str, Any]:
        """The weights as they are, with BatchNorm's statistics."""
        dial = None if self.dial is None else copy.deepcopy(self.dial.state_dict())
        return {"model": copy.deepcopy(self.model.state_dict()), "dial": dial}

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs of this stage."""
        return {
            **self._now(),
            "optimizer": copy.deepcopy(self.optimizer.state_dict()),
            "schedule": self.schedule.state_dict(),
            "average": None if self.average is None else [values.clone() for values in self.average],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`."""
        self.model.load_state_dict(state["model"])
        if self.dial is not None:
            self.dial.load_state_dict(state["dial"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.average = state["average"]

    def weights(self) -> dict[str, Any]:
        """The weights alone, averaged."""
        with self.averaged():
            return self._now()

    def load_weights(self, weights: dict[str, Any]) -> None:
        """Put :meth:`weights` in place."""
        self.model.load_state_dict(weights["model"])
        if self.dial is not None:
            self.dial.load_state_dict(weights["dial"])


class _NotFinite(Exception):
    """A step that would ruin the weights."""


def _check_finite(what: str, number: float) -> None:
    if not isfinite(number):
        raise _NotFinite(f"{what}: found {number}")


def draw_knobs(rng: np.random.Generator, batch: int) -> Array:
    """Knobs for the samples of a batch, (batch,): one in each equal part of -0.1 to 1.1, then clipped to 0 to 1."""
    return np.clip((rng.permutation(batch) + rng.random(batch)) / batch * 1.2 - 0.1, 0.0, 1.0)


def price_of(dial: DialTraining, knobs: Tensor) -> Tensor:
    """The price on spikes at each knob."""
    return dial.low_price * (dial.high_price / dial.low_price) ** knobs


def scores_of(answer: Any, mean: bool = False, batch: int | None = None) -> Tensor:
    """(batch, classes) of what a model returns: (time, batch, classes) summed or averaged, or (batch, classes).

    Of a tuple or a list, the first part counts.

    Args:
        answer: what the model returned.
        mean: whether the mean over time is taken, not the sum.
        batch: number of samples; ``None``: as many as the answer has.

    Raises:
        ModelError: it is something else, or of another number of samples.
    """
    first = answer[0] if isinstance(answer, (tuple, list)) and answer else answer
    if not isinstance(first, Tensor) or first.ndim not in (2, 3):
        found = tuple(first.shape) if isinstance(first, Tensor) else type(first).__name__
        raise ModelError(
            f"model: found an answer {found}, allowed is (time, batch, classes) or (batch, classes), alone or first "
            f"in a tuple; return it like that"
        )
    if batch is not None and first.shape[-2] != batch:
        raise ModelError(
            f"model: found an answer of shape {tuple(first.shape)} for {batch} samples, allowed is (time, {batch}, "
            f"classes) or ({batch}, classes); transpose it"
        )
    if first.ndim == 2:
        return first
    return first.mean(dim=0) if mean else first.sum(dim=0)


Report = Callable[[Epoch, int], None]
"""Called after each epoch with what was measured and the number of epochs of all stages."""
