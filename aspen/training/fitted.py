"""What :func:`aspen.fit` gives back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from aspen._base.brief import Brief
from aspen._base.checks import as_number
from aspen.data import Dataset
from aspen.dial.profile import DialProfile
from aspen.errors import InputError
from aspen.thresholds.learned_dial import attach_dial
from aspen.training.history import Epoch
from aspen.training.knob_range import KnobRange
from aspen.training.trained import Trained

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass
class Fitted(Brief):
    """A model that was trained, and what was found: what :func:`aspen.fit` returns.

    Args:
        model: with the weights that were learned, and without the dial: with its thresholds it runs in :meth:`at`.
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

    @contextmanager
    def at(self, knob: float | None = None) -> Iterator[nn.Module]:
        """The model as it was trained, its dial attached and turned, while the block runs; then without it again.

        >>> import torch
        >>> from aspen import fit
        >>> from aspen.data import digits
        >>> from aspen.models import DenseNet
        >>> seeded, data = torch.manual_seed(0), digits(steps=5)
        >>> fitted = fit(DenseNet((64, 32, 10)), data, "aspen", epochs=1, progress=False)
        >>> with fitted.at(1.0) as model:
        ...     spikes = model(torch.from_numpy(data.spikes("validation")).float()).sum()

        Args:
            knob: where the dial stands; ``None``: at its accurate end, which is the exported network.

        Raises:
            InputError: the knob is out of range, or given where no dial was learned.
        """
        if self.profile is None:
            if knob is not None:
                raise InputError(f"knob: found {knob!r} where no dial was learned, allowed is none; leave it out")
            yield self.model
            return
        place = as_number("knob", self.profile.low if knob is None else knob, self.profile.low, self.profile.high)
        dial = attach_dial(self.model, self.profile)
        dial.turn(place)
        try:
            yield self.model
        finally:
            dial.remove()

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw loss, validation accuracy and hidden spikes over the epochs; dotted lines: a stage of the recipe begins.

        Args:
            path: a ``.png``, ``.pdf`` or ``.svg`` file to write as well.

        Returns:
            the figure, which a notebook shows.

        Raises:
            InputError: another suffix, or the file cannot be written.
            MissingDependencyError: matplotlib is not installed.
        """
        from aspen.training.plots import plot_history

        title = f"{self.training.get('data')}, recipe {self.training.get('recipe')}"
        return plot_history(self.history, path, title, self.neurons_on)

    def neurons_on(self, knob: float) -> tuple[int, int] | None:
        """How many hidden neurons are on at ``knob``, and how many there are; None where the dial leaves all on."""
        if self.profile is None or not self.profile.is_nested:
            return None
        until = self.profile.on_until.values()
        return sum(int((each >= knob).sum()) for each in until), sum(each.size for each in until)

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
