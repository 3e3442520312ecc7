"""One stage of a training: its epochs, its steps, and the weights that it keeps.

Every random number of an epoch (order, encoding, perturbation, jitter, dropout) follows from seed, stage and epoch. So
a training that is resumed at the start of an epoch goes on to the bit, with nothing but the weights and the optimizer's
state from the checkpoint.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from math import ceil, cos, isfinite, pi
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from aspen._base.arrays import Array
from aspen.data import Dataset
from aspen.dial.profile import DialProfile
from aspen.errors import TrainingError
from aspen.models.forms import InputForm
from aspen.models.layers import hidden_layers
from aspen.models.spikes import count_spikes
from aspen.thresholds.learned_dial import LearnedDial, learn_dial
from aspen.thresholds.perturbation import attach_perturbation
from aspen.training.averaging import RunningAverage, fresh_statistics
from aspen.training.framed import Runner
from aspen.training.inputs import Encoding, as_frames, encoded_batches
from aspen.training.loss import draw_knobs, price_of, scores_of, takes_mean
from aspen.training.nesting import nested, outgoing_of
from aspen.training.penalties import SpikePenalty, costs_of
from aspen.training.processes import first_says, rank_and_world, sum_gradients
from aspen.training.pruning import Pruner, densities_of, pruning_progress
from aspen.training.recipes import DialTraining, Recipe
from aspen.training.telling import order_of, rates_of


@dataclass(frozen=True)
class Task:
    """What is trained, on what.

    Args:
        model: the user's model; ``runner`` is what is called with frames, the model itself or its fused self.
        data: what to learn.
        sample: an encoded input, (time, 1, *shape).
        seed: of everything random.
        form: how the model takes its input.
    """

    model: nn.Module
    runner: Runner
    data: Dataset
    sample: Tensor
    seed: int
    form: InputForm = field(default_factory=InputForm)


class Stage:
    """One stage of a training: a recipe with its optimizer, dial and running average.

    Args:
        task: what is trained, on what.
        recipe: of this stage.
        index: number of the stage.
        before: the dial of the stage before, which a dial of this one goes on with.
        pruner: what was pruned in the stages before, and is pruned in this one; ``None``: this is the only stage.
    """

    def __init__(
        self,
        task: Task,
        recipe: Recipe,
        index: int = 0,
        before: DialProfile | None = None,
        pruner: Pruner | None = None,
    ) -> None:
        self.task, self.recipe, self.index, self.before = task, recipe, index, before
        self.pruner = pruner or Pruner(task.model, (recipe,))
        self.encoding = Encoding(task.data)
        self.densities = densities_of(recipe, task.model)
        self.rank, self.world = rank_and_world()
        self.hidden = hidden_layers(task.model)
        self.mean_scores = takes_mean(recipe, task.model)
        self.penalty = self._penalty()
        self.dial = None if recipe.dial is None else self._attach(recipe.dial)
        self.frozen = recipe.dial is not None and recipe.dial.frozen
        groups = self._parameter_groups()
        self.parameters: list[Tensor] = [parameter for group in groups for parameter in group["params"]]
        self.batches = ceil(len(task.data.train) / recipe.batch_size)
        self.total = recipe.epochs * self.batches
        self.optimizer = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._rate)
        self.average = RunningAverage(self.parameters, recipe.average, recipe.average_from * self.total)

    def _penalty(self) -> SpikePenalty:
        """The penalty, by the synapses that there are now."""
        task, recipe = self.task, self.recipe
        if recipe.cost == "spikes":
            return SpikePenalty(recipe)
        few = task.sample if task.form.steps else task.sample[:2]
        return SpikePenalty(recipe, costs_of(task.model, torch.ones_like(few), task.form, recipe.joules))

    def _attach(self, dial: DialTraining) -> LearnedDial:
        return learn_dial(
            self.task.model,
            self.task.sample,
            slope=dial.slope,
            offset=dial.offset,
            jitter=dial.jitter,
            groups=dial.groups,
            begin=self.before,
            on_until=self._on_until(dial),
            seed=0,
            form=self.task.form,
        )

    def _on_until(self, dial: DialTraining) -> dict[str, Array] | None:
        """Up to which knob neurons are on, by layer; ``None`` where a dial goes on as before."""
        if dial.left == 1 or (self.before is not None and self.before.on_until):
            return None
        task = self.task
        few = task.sample if task.form.steps else task.sample[:2]
        found: dict[str, Array] = {}
        if dial.staying == "telling":
            found = rates_of(task.model, task.runner, task.data, self.recipe.batch_size)
        until: dict[str, Array] = {}
        for name, (weights, shape) in outgoing_of(task.model, torch.ones_like(few), task.form).items():
            order = order_of(weights, found[name].reshape(-1, weights.shape[1]) if found else None)
            until[name] = nested(order, dial.left, dial.least).reshape(shape)
        return first_says(until)

    def _parameter_groups(self) -> list[dict[str, Any]]:
        """What the optimizer changes: the weights, unless they are frozen, and the dial at a rate of its own."""
        rate = self.recipe.learning_rate
        groups: list[dict[str, Any]] = [
            {"params": [] if self.frozen else list(self.task.model.parameters()), "lr": rate}
        ]
        if self.dial is not None and self.recipe.dial is not None:
            parameters = list(self.dial.parameters())
            groups.append({"params": parameters, "lr": rate * self.recipe.dial.rate, "weight_decay": 0.0})
        return groups

    def _rate(self, done: int) -> float:
        """Factor on the learning rate after ``done`` steps."""
        rise = self.recipe.rise * self.total
        return min((done + 1) / rise if rise else 1.0, 1.0) * (1 + cos(pi * done / self.total)) / 2

    def run_epoch(self, epoch: int) -> float:
        """Train one epoch; the mean loss.

        Raises:
            TrainingError: the loss or its gradient is not finite. The weights are those of the start of the epoch.
        """
        rng = self._epoch_rng(epoch)
        kept = self._now()
        encoding = int(rng.integers(2**31))
        last = epoch + 1 == self.recipe.epochs
        following = None if last else int(self._epoch_rng(epoch + 1).integers(2**31))
        parts = np.array_split(rng.permutation(len(self.task.data.train)), self.batches)
        shares = [part[self.rank :: self.world] for part in parts]
        torch.manual_seed(int(rng.integers(2**31)) + self.rank)
        losses: list[float] = []
        if self.recipe.prunes:
            self.penalty = self._penalty()
        self._begin()
        seed = int(rng.integers(2**31)) + self.rank
        made = encoded_batches(self.task.data, shares, encoding, self.encoding, following)
        with self._perturbed(seed), closing(made) as batches:
            for number, encoded in enumerate(batches):
                try:
                    done, size = epoch * self.batches + number, len(parts[number])
                    losses.append(self._step(done, size, encoded, shares[number], rng))
                except _NotFinite as error:
                    self._load_weights(kept)
                    raise TrainingError(
                        f"{error} in epoch {epoch + 1} of recipe {self.recipe.name!r}, step {number + 1}; "
                        f"the weights are those before this epoch; lower the learning rate or the spike price"
                    ) from None
        return float(np.mean(losses))

    def _epoch_rng(self, epoch: int) -> np.random.Generator:
        """All that is random in an epoch; its first number is the seed of the encoding."""
        return np.random.default_rng([self.task.seed, self.index, epoch])

    def _begin(self) -> None:
        """Training mode, but of BatchNorm in a frozen network."""
        self.task.model.train()
        for module in self.task.model.modules():
            if self.frozen and isinstance(module, _BatchNorm):
                module.eval()

    @contextmanager
    def _perturbed(self, seed: int) -> Iterator[None]:
        """The thresholds moved as the recipe says, or the dial's jitter drawn anew."""
        handle = None
        if self.recipe.perturbation is not None:
            generator = torch.Generator().manual_seed(seed)
            handle = attach_perturbation(self.task.model, self.recipe.perturbation, generator)
        if self.dial is not None:
            self.dial.reseed(seed)
        try:
            yield
        finally:
            if handle is not None:
                handle.remove()

    def _step(self, done: int, size: int, encoded: Array, share: Array, rng: np.random.Generator) -> float:
        """One step on a batch of ``size`` samples, of which this process has its ``share``; their mean loss."""
        price, every = self._price(done, size, rng, slice(self.rank, None, self.world)), self._every(rng)
        loss = self._loss(encoded, share, price, every) * (len(price) / size)
        self.optimizer.zero_grad()
        loss.backward()
        mean = sum_gradients(self.parameters, loss)
        self.pruner.hold_gradients()
        _check_finite("loss", mean)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip)
        _check_finite("gradient", float(norm))  # of membranes that are NaN, which neither spike nor show in the loss
        self.optimizer.step()
        self.schedule.step()
        self.pruner.advance(self.densities, pruning_progress(self.recipe, (done + 1) / self.total), self._squares())
        self.average.follow(done + 1)
        if self.average.values is not None:
            self.pruner.hold(self.parameters, self.average.values)
        return mean

    def _squares(self) -> dict[Tensor, Tensor]:
        """Weights -> the mean squares of their gradients, as Adam has them."""
        return {weight: moments["exp_avg_sq"] for weight, moments in self.optimizer.state.items()}

    def has_pruned(self, epochs: int) -> bool:
        """Whether all that this stage prunes is pruned after so many of its epochs."""
        return pruning_progress(self.recipe, epochs / self.recipe.epochs) == 1

    def _every(self, rng: np.random.Generator) -> int:
        """Every how many-th time step the network gets in a batch."""
        every = (1,) if self.recipe.dial is None else self.recipe.dial.every
        return every[0] if len(every) == 1 else int(rng.choice(every))

    def _loss(self, encoded: Array, part: Array, price: Tensor, every: int) -> Tensor:
        """The mean loss of the samples ``part`` at every so many-th of their encoded steps, with a price on the spikes
        of each."""
        batch = self._frames(encoded, every)
        labels = torch.from_numpy(self.task.data.train.labels[part]).to(batch.device)
        price = price.to(batch.device, batch.dtype)
        with count_spikes(self.hidden) as spikes:
            scores = scores_of(self.task.runner(batch), self.mean_scores, len(labels))
        smoothing = self.recipe.label_smoothing
        loss = functional.cross_entropy(scores, labels, reduction="none", label_smoothing=smoothing)
        if bool(price.any()):
            loss = loss + price * self.penalty(spikes, len(labels), batch)
        if self.dial is not None:
            loss = loss / (1 + price).sqrt()
        return loss.mean()

    def _price(self, done: int, batch: int, rng: np.random.Generator, mine: slice) -> Tensor:
        """The price on spikes of ``mine`` of a batch; with a dial, that of the knobs that are drawn and set here."""
        if self.dial is None or self.recipe.dial is None:
            ramp = self.recipe.warm_up * self.total
            price = self.recipe.spike_price * (min(done / ramp, 1.0) if ramp else 1.0)
            return torch.full((len(range(batch)[mine]),), price)
        knobs = torch.from_numpy(draw_knobs(rng, batch, self.recipe.dial.beyond)[mine].copy())
        self.dial.turn(knobs.to(self.parameters[0].dtype))
        return price_of(self.recipe.dial, knobs)

    def _frames(self, encoded: Array, every: int) -> Tensor:
        return as_frames(encoded[every - 1 :: every], self.parameters[0])

    def finish(self, best: dict[str, Any] | None = None) -> None:
        """Put the averaged weights in place, or the ``best`` ones, with the statistics of BatchNorm for them."""
        self.average.use()
        if best is not None:
            self._load_weights(best)
        self._settle()

    def _settle(self) -> None:
        """Take the statistics of BatchNorm anew: those of the training were of other weights, and fade."""
        self._begin()
        modules = self.task.model.modules()
        norms = [n for n in modules if isinstance(n, _BatchNorm) and n.training and n.track_running_stats]
        if not norms:
            return
        rng = np.random.default_rng([self.task.seed, self.index, self.recipe.epochs])
        seed = int(rng.integers(2**31))
        parts = np.array_split(rng.permutation(len(self.task.data.train)), self.batches)
        encodings = closing(encoded_batches(self.task.data, parts))
        with fresh_statistics(norms), torch.no_grad(), self._perturbed(seed), encodings as batches:
            for part, encoded in zip(parts, batches, strict=True):
                if self.dial is not None and self.recipe.dial is not None:
                    knobs = torch.from_numpy(draw_knobs(rng, len(part), self.recipe.dial.beyond))
                    self.dial.turn(knobs.to(self.parameters[0].dtype))
                self.task.runner(self._frames(encoded, self._every(rng)))

    def close(self) -> None:
        """Take the dial off the model."""
        if self.dial is not None:
            self.dial.remove()

    def weights(self) -> dict[str, Any]:
        """The weights alone, averaged."""
        with self.average.in_place():
            return self._now()

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs of this stage."""
        average = self.average.values
        return {
            **self._now(),
            "optimizer": copy.deepcopy(self.optimizer.state_dict()),
            "schedule": self.schedule.state_dict(),
            "average": None if average is None else [values.clone() for values in average],
            "masks": self.pruner.state(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`."""
        self._load_weights(state)
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.average.values = state["average"]
        self.pruner.load(state["masks"])

    def _now(self) -> dict[str, Any]:
        """The weights as they are, with BatchNorm's statistics."""
        dial = None if self.dial is None else copy.deepcopy(self.dial.state_dict())
        return {"model": copy.deepcopy(self.task.model.state_dict()), "dial": dial}

    def _load_weights(self, weights: dict[str, Any]) -> None:
        """Put :meth:`weights` in place."""
        self.task.model.load_state_dict(weights["model"])
        if self.dial is not None:
            self.dial.load_state_dict(weights["dial"])


class _NotFinite(Exception):
    """A step that would ruin the weights."""


def _check_finite(what: str, number: float) -> None:
    if not isfinite(number):
        raise _NotFinite(f"{what}: found {number}")
