"""What the study compares: one dialled network and an envelope of many, at equal spikes.

Everything that is chosen (which network of the envelope for a budget, which knobs are kept) is chosen on
validation data. The test data is measured by the final command alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

import numpy as np

from aspen.calibration.points import OperatingPoint, spikes_of
from aspen_emulator.study.cells import stem
from aspen_emulator.study.measuring import Points
from aspen_emulator.study.problems import DIAL, WARM, Problem

Cost = Callable[[OperatingPoint], float]
"""What a point costs: :func:`spikes_of`, or joules of some kind."""


def total_of(point: OperatingPoint) -> float:
    """Total energy per inference, nJ; 0 where it is not known."""
    return point.total_nj or 0.0


def dynamic_of(point: OperatingPoint) -> float:
    """Dynamic energy per inference, nJ; 0 where it is not known."""
    return point.dynamic_nj or 0.0


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation over seeds, and the half width of the 95 % interval of the mean (Student's t)."""

    mean: float
    std: float
    half: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of one value for each seed."""
        from scipy.stats import t

        deviation = stdev(values) if len(values) > 1 else 0.0
        wide = float(t.ppf(0.975, len(values) - 1)) if len(values) > 1 else 0.0
        return cls(mean(values), deviation, wide * deviation / len(values) ** 0.5)

    def __str__(self) -> str:
        return f"{self:.1f}"

    def __format__(self, how: str) -> str:
        """Mean and half width by a number's format, as ``.1f``; the sign that it may ask for is the mean's."""
        how = how or ".1f"
        return f"{self.mean:{how}} ± {self.half:{how.lstrip('+')}}"


@dataclass(frozen=True)
class BudgetRow:
    """Test accuracy (percent) at a budget of hidden spikes: envelope, dial, and the difference of each seed."""

    budget: int
    envelope: Spread | None
    dial: Spread | None
    gain: Spread | None
    envelope_spikes: float
    dial_spikes: float


def at(points: Sequence[OperatingPoint], setting: float) -> OperatingPoint:
    """The point at a knob."""
    return next(point for point in points if point.knob == setting)


def best_within(
    points: Sequence[tuple[str, OperatingPoint]], budget: float, cost: Cost = spikes_of
) -> tuple[str, OperatingPoint] | None:
    """The most accurate of named points that cost at most ``budget``; the cheapest of equals."""
    allowed = [entry for entry in points if cost(entry[1]) <= budget]
    return max(allowed, key=lambda entry: (entry[1].accuracy, -cost(entry[1])), default=None)


def setting_within(points: Sequence[OperatingPoint], budget: float, cost: Cost = spikes_of) -> OperatingPoint | None:
    """The setting of a dial for a budget: the costliest within it, unless accuracy speaks for a cheaper one.

    Neighbouring settings are nearly the same network, so each one's accuracy is averaged with its neighbours'; the
    costliest one within half a point of the best average is taken.

    Args:
        points: of one dial, in the order of the knob.
        budget: most that an inference may cost.
        cost: of a point.
    """
    rates = np.array([point.accuracy for point in points])
    padded = np.concatenate([rates[:1], rates, rates[-1:]])
    means = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
    allowed = [i for i, point in enumerate(points) if cost(point) <= budget]
    if not allowed:
        return None
    best = max(means[allowed])
    return points[max((i for i in allowed if means[i] >= best - 0.005), key=lambda i: cost(points[i]))]


def budget_row(
    problem: Problem, validation: Points, test: Points, seeds: int, budget: int, arithmetic: str
) -> BudgetRow:
    """Envelope and dial at one budget; each seed chooses on its validation points.

    Of the envelope the most accurate network within the budget; of the dial :func:`setting_within`.
    """
    rivals = [cell for cell in problem.cells if cell not in (WARM, DIAL, "perturbed")]
    pairs: list[tuple[OperatingPoint | None, OperatingPoint | None]] = []
    for seed in range(seeds):

        def key(cell: str, seed: int = seed) -> str:
            return f"{stem(cell, seed)}/{arithmetic}"

        network = best_within([(cell, at(validation[key(cell)], 1.0)) for cell in rivals], budget)
        setting = setting_within(validation[key(DIAL)], budget)
        pairs.append(
            (
                None if network is None else at(test[key(network[0])], 1.0),
                None if setting is None else at(test[key(DIAL)], setting.knob),
            )
        )
    envelope, dial = [one for one, _ in pairs if one], [two for _, two in pairs if two]
    gains = [100 * (two.accuracy - one.accuracy) for one, two in pairs if one and two]
    return BudgetRow(
        budget,
        Spread.of([100 * point.accuracy for point in envelope]) if len(envelope) == seeds else None,
        Spread.of([100 * point.accuracy for point in dial]) if len(dial) == seeds else None,
        Spread.of(gains) if len(gains) == seeds else None,
        mean([point.hidden_spikes for point in envelope]) if envelope else float("nan"),
        mean([point.hidden_spikes for point in dial]) if dial else float("nan"),
    )


@dataclass(frozen=True)
class DialFacts:
    """What one dial does on test data.

    Args:
        accurate: accuracy (percent) and spikes of its accurate end: the kept setting that is best on validation data.
        span, span_kept: most over fewest hidden spikes within 3 points of its own best: of all settings, and of those
            kept on validation data.
        span_close: the same of all settings within 2 points.
        span_total: as ``span``, of the total energy, static included; 1 where there are no joules.
        worst_drop: how many points a kept setting is worse than a cheaper one, at most.
    """

    accurate: tuple[float, float]
    span: float
    span_kept: float
    span_close: float
    span_total: float
    worst_drop: float


def dial_facts(kept: Sequence[OperatingPoint], test: Sequence[OperatingPoint]) -> DialFacts:
    """The facts of one seed; ``kept`` are the settings that a calibration on validation data keeps."""
    found = [at(test, point.knob) for point in kept]  # cheapest first, the most accurate last
    top = found[-1]
    drop, highest = 0.0, 0.0
    for point in found:
        drop, highest = max(drop, highest - point.accuracy), max(highest, point.accuracy)
    return DialFacts(
        (100 * top.accuracy, top.hidden_spikes),
        span(test, 0.03),
        span(found, 0.03),
        span(test, 0.02),
        span(test, 0.03, total_of),
        100 * drop,
    )


def span(points: Sequence[OperatingPoint], within: float, cost: Cost = spikes_of) -> float:
    """Highest over lowest cost of the settings around the most accurate one that are ``within`` of its accuracy.

    The settings are in the order of their cost, and the range ends where accuracy first leaves it: a dip inside
    breaks the dial there. Settings without a hidden spike do not count.
    """
    ordered = sorted((p for p in points if p.hidden_spikes > 0), key=cost)
    if not ordered:
        return 1.0
    best = max(range(len(ordered)), key=lambda i: ordered[i].accuracy)
    floor = ordered[best].accuracy - within
    low = high = best
    while low > 0 and ordered[low - 1].accuracy >= floor:
        low -= 1
    while high + 1 < len(ordered) and ordered[high + 1].accuracy >= floor:
        high += 1
    costs = [cost(point) for point in ordered[low : high + 1]]
    return max(costs) / min(costs) if min(costs) > 0 else 1.0
