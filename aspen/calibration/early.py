"""Early termination: an inference ends when its answer is unlikely to be wrong.

The scores so far, ``S``, become a doubt: one minus the largest entry of ``softmax(gain * t**power * S)`` after ``t``
steps. Gain and power make that a calibrated probability (temperature scaling, here over time); an inference ends at
the first step whose doubt is below a level, which depends on the dial. Levels are chosen on validation data so that
little accuracy is lost. The idea of thresholds on a calibrated confidence over time is that of Dynamic Confidence (Li,
Jones and Furber, ICCV 2023, arXiv:2303.10276).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import inf
from typing import Any

import numpy as np

from aspen._base.arrays import Array
from aspen._base.checks import as_integer, as_name, as_number, as_numbers
from aspen._base.labels import as_labels
from aspen.dial.path import steps_seen
from aspen.errors import InputError
from aspen.network.network import READOUTS
from aspen.network.readout import accumulated, answers, running_scores
from aspen.network.record import Record

LEVELS = 300
"""Levels that are tried for a knob."""
FIT_STEPS, FIT_SAMPLES = 24, 2000
"""What gain and power are fitted on: at most so many time steps, and inferences."""


@dataclass(frozen=True)
class EarlyStop:
    """Says when an inference may end. Nothing in it changes: :meth:`start` makes an :class:`Inference` of its own for
    each inference, so that any number of runs and streams can use one.

    >>> import numpy as np
    >>> stop = EarlyStop(gain=1.0, power=0.0, knobs=(1.0,), doubts=(0.1,), readout="spikes", steps=4, max_loss=0.005)
    >>> scores = np.cumsum([[[1, 0]], [[1, 0]], [[1, 0]], [[0, 1]]], axis=0)  # (steps, batch, n): the first class leads
    >>> stop.doubts_over_time(scores)[:, 0].round(2)
    array([0.27, 0.12, 0.05, 0.12])
    >>> stop.stops(scores)  # below 0.1 after three of four steps
    array([3])

    Args:
        gain, power: what turns scores into a calibrated confidence.
        knobs: settings of the dial, rising.
        doubts: for each, the doubt below which an inference ends; 0: never.
        readout: the network's.
        steps: time steps after which an inference ends in any case.
        max_loss: fraction of accuracy that might be lost at most, as it was asked for.
    """

    gain: float
    power: float
    knobs: tuple[float, ...]
    doubts: tuple[float, ...]
    readout: str
    steps: int
    max_loss: float

    def __post_init__(self) -> None:
        for name, value in _checked(self).items():
            object.__setattr__(self, name, value)

    def level(self, knob: float | None = None) -> float:
        """The doubt below which an inference ends: of the stricter neighbour among the knobs that were calibrated.

        Args:
            knob: where the dial stands; default: the strictest level of all.
        """
        if knob is None:
            return min(self.doubts)
        right = int(np.searchsorted(self.knobs, as_number("knob", knob)))
        last = len(self.knobs) - 1
        if right <= last and self.knobs[right] == knob:
            return self.doubts[right]
        return min(self.doubts[max(right - 1, 0)], self.doubts[min(right, last)])

    def start(self, knob: float | None = None, every: int = 1) -> Inference:
        """Begin an inference at a knob (see :meth:`level`), in which every ``every``-th time step runs."""
        return Inference(self, self.level(knob), steps_seen(self.steps, every))

    def doubt(self, totals: Array, taken: int) -> Array:
        """(...): how likely the answer is wrong, from the scores (..., n) after ``taken`` steps."""
        logits = self.gain * float(taken) ** self.power * np.asarray(totals, np.float64)
        share = np.exp(logits - logits.max(axis=-1, keepdims=True))
        np.put_along_axis(share, logits.argmax(axis=-1)[..., None], 0.0, axis=-1)
        others = share.sum(axis=-1)
        return np.asarray(others / (1 + others))

    def to_dict(self) -> dict[str, Any]:
        """The arguments as plain values."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def stops(self, scores: Array, knob: float | None = None, every: int = 1) -> Array:
        """(batch,) int64: the steps that each inference takes.

        Args:
            scores: (steps, batch, n): scores so far, after each step; see :func:`scores_over_time`.
            knob: where the dial stands.
            every: of the time steps, every how many-th ran.
        """
        steps = steps_seen(self.steps, every)
        if len(scores) != steps:
            raise InputError(f"scores: found {len(scores)} steps, allowed are {steps}; calibrate again")
        return stops_at(self.doubts_over_time(scores), self.level(knob))

    def doubts_over_time(self, scores: Array) -> Array:
        """(steps, batch): the doubt after each step, from scores (steps, batch, n)."""
        return np.stack([self.doubt(totals, t + 1) for t, totals in enumerate(scores)])


class Inference:
    """One inference under way: :meth:`update` takes what the output population did in a step.

    Args:
        stop: says when it may end.
        level: the doubt below which it does; see :meth:`EarlyStop.level`.
        steps: after which it does in any case; default: those of ``stop``.
    """

    def __init__(self, stop: EarlyStop, level: float, steps: int | None = None) -> None:
        self._stop, self._level = stop, level
        self._steps = stop.steps if steps is None else steps
        self._taken, self._doubt = 0, 1.0
        self._totals: Array | None = None

    def update(self, scores: Array) -> bool:
        """Take one step's output; says whether the inference may end now.

        Args:
            scores: (n,) or (1, n): the output population's spikes in this step, or its membranes before the reset
                where the network is read out by membranes.

        Raises:
            InputError: the inference has had all its steps, or the number of outputs changed.
        """
        stop, before, values = self._stop, self._totals, np.asarray(scores).reshape(-1)
        if self._taken >= self._steps:
            raise InputError(f"update: found {self._steps} steps taken, allowed are {self._steps}; start() another")
        if before is not None and before.shape != values.shape:
            raise InputError(f"update: found {values.size} outputs, allowed are {before.size} as in the step before")
        totals = accumulated(stop.readout, before, values)
        self._taken += 1
        self._doubt = float(stop.doubt(totals, self._taken))
        self._totals = totals.astype(np.float64)
        return self._doubt < self._level or self._taken == self._steps

    @property
    def taken(self) -> int:
        """Steps so far."""
        return self._taken

    @property
    def confidence(self) -> float:
        """How likely the present answer is right, as calibrated; 0 before the first step."""
        return 1 - self._doubt

    @property
    def prediction(self) -> int:
        """The present answer, -1 for none; see :func:`aspen.network.readout.answers`.

        Raises:
            InputError: there was no step yet.
        """
        if self._totals is None:
            raise InputError("prediction: found no step since start(), allowed is after one; call update() first")
        return int(answers(self._totals))

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes, as plain values."""
        totals = None if self._totals is None else self._totals.tolist()
        return {
            "level": self._level,
            "steps": self._steps,
            "taken": self._taken,
            "totals": totals,
            "doubt": self._doubt,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on exactly where :meth:`state_dict` was taken."""
        totals = state["totals"]
        self._level, self._taken, self._doubt = state["level"], state["taken"], state["doubt"]
        self._steps = state.get("steps", self._stop.steps)
        self._totals = None if totals is None else np.array(totals, np.float64)


def scores_over_time(record: Record) -> Array:
    """(steps, batch, n): the scores after each step as far as the run had come; the last are ``record.scores``."""
    return running_scores(record.network.readout, record.readings)


def calibrate_early(
    scores: Mapping[float, Array], labels: Array, *, readout: str = "spikes", max_loss: float = 0.005,
    guard: float = 1.0,
) -> EarlyStop:  # fmt: skip
    """When to end an inference, from runs at several settings of the dial on validation data.

    Gain and power are those of the greatest likelihood over all settings, steps and samples. Then, for each setting,
    levels are tried from the strictest on; the last one is taken before the loss of accuracy, with ``guard`` standard
    errors added to it, first exceeds ``max_loss``. (Taking the laxest of all that pass would select for luck.)

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> labels = rng.integers(0, 2, 400)
    >>> spikes = rng.random((20, 400, 2)) < np.where(np.eye(2)[labels] == 1, 0.6, 0.2)  # the right one fires more often
    >>> scores = spikes.cumsum(axis=0)
    >>> stop = calibrate_early({1.0: scores}, labels, max_loss=0.01)
    >>> int(stop.stops(scores, knob=1.0).mean())  # of 20 steps
    8

    Args:
        scores: knob -> (steps, batch, n): scores after each step; see :func:`scores_over_time`.
        labels: (batch,) classes.
        readout: the network's.
        max_loss: fraction of accuracy that may be lost against taking all steps; 0.005 is half a point.
        guard: standard errors of the loss that are added to it. The samples are the same with and without an early
            end, so the errors are those of the difference.

    Raises:
        InputError: something does not fit, or so few samples cannot show a loss that small.
    """
    if not 0 < max_loss < 1 or not 0 <= guard < inf:
        raise InputError(
            f"max_loss, guard: found {max_loss} and {guard}, allowed are a fraction and a number from 0; e.g. 0.005, 1"
        )
    runs = {float(knob): np.asarray(scores[knob]) for knob in sorted(scores)}
    labels = _check_runs(runs, labels)
    check_enough(len(labels), max_loss, guard)
    never = fit_doubt(runs, labels, readout=readout, max_loss=max_loss)
    doubts = [_level(never.doubts_over_time(run), answers(run) == labels, max_loss, guard) for run in runs.values()]
    return replace(never, doubts=tuple(doubts))


def check_enough(samples: int, max_loss: float, guard: float = 1.0) -> None:
    """Raise InputError where so few samples cannot show a loss that small; see :func:`calibrate_early`."""
    if guard / samples > max_loss:
        raise InputError(
            f"labels: found {samples} samples, allowed are {int(np.ceil(guard / max_loss))} to show a loss of at "
            f"most {100 * max_loss:g} points; give more samples or a larger max_loss"
        )


def fit_doubt(
    scores: Mapping[float, Array], labels: Array, *, readout: str = "spikes", max_loss: float = 0.005
) -> EarlyStop:
    """What makes scores a calibrated doubt, for an end that never comes early: all its levels are 0.

    Args:
        scores, labels, readout, max_loss: as in :func:`calibrate_early`.

    Raises:
        InputError: something does not fit.
    """
    runs = {float(knob): np.asarray(scores[knob]) for knob in sorted(scores)}
    labels = _check_runs(runs, labels)
    gain, power = _fit(np.concatenate(list(runs.values()), axis=1), np.tile(labels, len(runs)))
    steps = len(next(iter(runs.values())))
    return EarlyStop(gain, power, tuple(runs), (0.0,) * len(runs), readout, steps, max_loss)


def stops_at(doubts: Array, level: float) -> Array:
    """(batch,) int64: the steps until the doubt (steps, batch) of each inference is below a level; all at most."""
    hit = doubts < level
    hit[-1] = True
    return np.asarray(hit.argmax(axis=0) + 1, np.int64)


def _level(doubts: Array, correct: Array, max_loss: float, guard: float) -> float:
    """The laxest level before the first that might lose too much; (steps, batch) doubts and right answers."""
    chosen, samples = 0.0, np.arange(doubts.shape[1])
    seen = np.unique(np.quantile(doubts[:-1], np.linspace(0, 1, LEVELS))) if len(doubts) > 1 else np.zeros(0)
    for level in seen * (1 - 1e-9):  # beside what was seen, so that no rounding decides
        lost = correct[-1].astype(np.int64) - correct[stops_at(doubts, level) - 1, samples]
        error = np.sqrt((lost**2).sum() + 1) / len(lost)  # one more than was seen, as none seen does not mean none
        if lost.mean() + guard * error > max_loss:
            break
        chosen = float(level)
    return chosen


def _fit(scores: Array, labels: Array) -> tuple[float, float]:
    """Gain and power of the greatest likelihood, by a grid that is refined around the best; float64 scores."""
    steps, batch = scores.shape[:2]
    times = np.unique(np.linspace(1, steps, FIT_STEPS).round().astype(int))
    some = np.unique(np.linspace(0, batch - 1, FIT_SAMPLES).round().astype(int))
    chosen = scores[np.ix_(times - 1, some)].astype(np.float64)
    right = np.broadcast_to(labels[some][None, :, None], (*chosen.shape[:2], 1))
    size = float(np.abs(chosen).max()) or 1.0
    best, width = (0.0, 0.0), (5.0, 1.5)

    def loss(place: tuple[float, float]) -> float:
        logits = np.exp(place[0]) * times[:, None, None] ** place[1] * (chosen / size)
        logits -= logits.max(axis=2, keepdims=True)
        truth = np.take_along_axis(logits, right, axis=2)[..., 0]
        return float((np.log(np.exp(logits).sum(axis=2)) - truth).mean())

    for _ in range(7):
        offsets = np.linspace(-1, 1, 7)
        best = min(((best[0] + width[0] * i, best[1] + width[1] * j) for i in offsets for j in offsets), key=loss)
        width = (width[0] / 2.2, width[1] / 2.2)
    return float(np.exp(best[0]) / size), float(best[1])


def _checked(stop: EarlyStop) -> dict[str, Any]:
    """The arguments as plain values, or an InputError."""
    again = "calibrate again"
    knobs, doubts = as_numbers("knobs", stop.knobs), as_numbers("doubts", stop.doubts, 0, 1)
    if not knobs or len(doubts) != len(knobs) or list(knobs) != sorted(set(knobs)):
        raise InputError(f"knobs: found {len(knobs)} knobs and {len(doubts)} doubts, allowed are as many, rising")
    loss = as_number("max_loss", stop.max_loss, 0, above=True, remedy=again)
    if loss >= 1:
        raise InputError(f"max_loss: found {loss:g}, allowed is a fraction such as 0.005; {again}")
    return {
        "gain": as_number("gain", stop.gain, 0, above=True, remedy=again),
        "power": as_number("power", stop.power, -16, 16, remedy=again),
        "knobs": knobs,
        "doubts": doubts,
        "readout": as_name("readout", stop.readout, READOUTS),
        "steps": as_integer("steps", stop.steps, 1, remedy=again),
        "max_loss": loss,
    }


def _check_runs(runs: Mapping[float, Array], labels: Array) -> Array:
    """The labels, checked against runs that are checked to be alike."""
    shapes = {run.shape for run in runs.values()}
    if len(shapes) != 1 or any(len(shape) != 3 or 0 in shape for shape in shapes):
        raise InputError(
            f"scores: found shapes {sorted(shapes)}, allowed is one shape (steps, batch, n) for all settings; measure "
            f"the same samples at each"
        )
    steps, samples, outputs = next(iter(shapes))
    return as_labels("labels", labels, samples, outputs, steps=steps)
