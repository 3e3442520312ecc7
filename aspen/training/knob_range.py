"""Whether a trained network can be used, and in which part of its knob's range: asked once, after the training."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import exp

import numpy as np

from aspen._base.arrays import Array
from aspen._base.brief import Brief
from aspen.calibration.statistics import wilson
from aspen.thresholds.distributions import MIN_FACTOR, Distribution
from aspen.training.inputs import validation_samples
from aspen.training.measuring import Counted, count_at
from aspen.training.recipes import Recipe
from aspen.training.stage import Stage

RANGE_KNOBS = tuple(k / 10 for k in range(11))
"""Settings at which a learned dial is tried."""
RANGE_SCALES = 7
"""Number of threshold scales, the ends of the perturbation among them, at which a perturbed network is tried."""
SPREAD = 2.0
"""Standard deviations that the range of a Gaussian perturbation is taken to reach."""


@dataclass(frozen=True)
class KnobRange(Brief):
    """What validation data say of a trained network at settings of its knob.

    A setting is at chance where its accuracy is not above ``chance``: the upper end of Wilson's 95 % interval of the
    share of the most frequent class. So many right answers may be luck in a network that names that class always, or
    answers whatever the input.

    Args:
        knob: ``dial`` (learned), ``threshold scale``, or empty where the recipe trains for no knob.
        settings: those that were tried, rising.
        accuracy, unanswered: fractions of the samples answered correctly, and not at all, at each.
        samples: how many samples there were.
        commonest: fraction of them that are of the most frequent class.
        chance: see above; 1 where they are all of one class, so that nothing can be told.
    """

    knob: str
    settings: tuple[float, ...]
    accuracy: tuple[float, ...]
    unanswered: tuple[float, ...]
    samples: int
    commonest: float
    chance: float

    @property
    def usable(self) -> tuple[float, ...]:
        """The settings that are better than chance; all, where that cannot be told."""
        if self.commonest == 1:
            return self.settings
        return tuple(s for s, a in zip(self.settings, self.accuracy, strict=True) if a > self.chance)

    @property
    def warning(self) -> str:
        """What is wrong, in a sentence with a remedy; empty where nothing is."""
        if len(self.usable) == len(self.settings):
            return ""
        lost = [k for k, setting in enumerate(self.settings) if setting not in self.usable]
        best = max(lost, key=lambda k: self.accuracy[k])
        silent = f", {self.unanswered[best]:.1%} without an answer" if self.unanswered[best] else ""
        found = f"{self.accuracy[best]:.1%} of {self.samples} validation samples right{silent}"
        chance = f"chance (the most frequent class alone gets {self.commonest:.1%}, with luck {self.chance:.1%})"
        if not self.usable:
            return (
                f"training: found at best {found}, which is {chance}; train for more epochs, with a lower spike price "
                f"or another learning rate, or look at the data and their encoding"
            )
        kept = [k for k in range(len(self.settings)) if k not in lost]
        return (
            f"{self.knob}: found at best {found} at {_spans(self.settings, lost)}, which is {chance}; usable is "
            f"{_spans(self.settings, kept)}: stay within, or train {_REMEDIES[self.knob]}"
        )


_REMEDIES = {
    "dial": "with a smaller high_price of the dial, or for more epochs",
    "threshold scale": "with a narrower perturbation, a lower spike price, or for more epochs",
}


def find_knob_range(stage: Stage) -> KnobRange:
    """Try a trained stage, its weights in place, on validation data; changes nothing and draws no random numbers."""
    settings = settings_of(stage.recipe)
    found = count_at(stage, settings)
    knob = "dial" if stage.dial is not None else "threshold scale" if len(settings) > 1 else ""
    return made_range(knob, settings, found, validation_samples(stage.task.data)[1])


def made_range(knob: str, settings: tuple[float, ...], found: Iterable[Counted], labels: Array) -> KnobRange:
    """What was counted, compared with chance among ``labels``, (samples,)."""
    results = list(found)
    frequent = int(np.bincount(labels).max())
    return KnobRange(
        knob,
        settings,
        tuple(each.accuracy for each in results),
        tuple(each.unanswered / each.samples for each in results),
        len(labels),
        frequent / len(labels),
        wilson(frequent, len(labels))[1],
    )


def settings_of(recipe: Recipe) -> tuple[float, ...]:
    """The settings of the knob that a recipe trains for: its dial's, those of its perturbation, or 1 alone."""
    if recipe.dial is not None:
        return RANGE_KNOBS
    if recipe.perturbation is None:
        return (1.0,)
    low, high = _reach(recipe.perturbation.law)
    inner = [float(f"{scale:.2g}") for scale in np.geomspace(low, high, RANGE_SCALES)[1:-1]]
    return tuple(sorted({low, *(scale for scale in inner if low < scale < high), high}))


def _reach(law: Distribution) -> tuple[float, float]:
    """The lowest and the highest factor on the thresholds that a perturbation is taken to reach."""
    wide = SPREAD * law.sigma
    low, high = {
        "log-uniform": (law.low, law.high),
        "uniform": (law.low + law.additive, law.high + law.additive),
        "gaussian": (1 - wide, 1 + wide),
        "log-normal": (exp(-wide), exp(wide)),
    }[law.name]
    return max(low, MIN_FACTOR), max(high, MIN_FACTOR)


def _spans(settings: tuple[float, ...], chosen: list[int]) -> str:
    """Neighbouring settings as ``0.7 to 1``."""
    runs: list[list[int]] = []
    for k in chosen:
        if runs and runs[-1][-1] == k - 1:
            runs[-1].append(k)
        else:
            runs.append([k])
    ends = [(settings[run[0]], settings[run[-1]]) for run in runs]
    return " and ".join(f"{low:g}" if low == high else f"{low:g} to {high:g}" for low, high in ends)
