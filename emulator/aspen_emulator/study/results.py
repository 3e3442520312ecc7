"""What the study measures and how it compares: one dialled network and an envelope of many, at equal spikes.

Everything that is chosen (which network of the envelope for a budget, which knob settings are kept) is chosen on
validation data. The test data is measured by the final command alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev

import numpy as np

from aspen.calibration import OperatingPoint, pareto_front
from aspen.files import write_atomically
from aspen.network import load_network
from aspen.profiles import load_profile
from aspen_emulator.study.cells import stem
from aspen_emulator.study.problems import DIAL, WARM, Problem
from aspen_emulator.sweeps import sweep
from aspen_hardware import compile

KNOBS = tuple(float(k) for k in np.round(np.linspace(0, 1, 21), 2))
SCALES = (0.5, 0.6, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0, 2.5, 3.0)
ARITHMETICS = ("integers", "float")
Points = Mapping[str, Sequence[OperatingPoint]]
"""``cell-seed/arithmetic`` -> operating points, one for each knob setting."""


def measure(
    problem: Problem, path: str | None, folder: Path, seeds: int, part: str, report: Callable[[str], None]
) -> dict[str, list[OperatingPoint]]:
    """Operating points of all networks on a part of the data, in integers on loihi1 and in floating point."""
    data = problem.load(path)
    spikes, labels = data.spikes(part), data.part(part).labels
    points: dict[str, list[OperatingPoint]] = {}
    for cell in problem.cells:
        if cell == WARM:
            continue
        for seed in range(seeds):
            file = folder / f"{stem(cell, seed)}.aspen"
            network, profile = load_network(file), load_profile(file) if cell == DIAL else None
            settings = KNOBS if cell == DIAL else SCALES if cell in ("plain", "perturbed") else (1.0,)
            for arithmetic in ARITHMETICS:
                target = compile(network, problem.chip, profile=profile) if arithmetic == "integers" else network
                found = sweep(target, spikes, labels, settings, on=problem.chip, profile=profile)
                points[f"{stem(cell, seed)}/{arithmetic}"] = found
            report(stem(cell, seed))
    return points


def write_points(points: Points, path: Path) -> None:
    """Keep operating points as JSON."""
    plain = {name: [asdict(point) for point in found] for name, found in points.items()}
    write_atomically(path, json.dumps(plain, indent=1).encode())


def read_points(path: Path) -> dict[str, list[OperatingPoint]]:
    """What :func:`write_points` wrote."""
    return {name: [OperatingPoint(**p) for p in found] for name, found in json.loads(path.read_text()).items()}


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
        return f"{self.mean:.1f} ± {self.half:.1f}"


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
    """The point at a knob setting."""
    return next(point for point in points if point.threshold_scale == setting)


def best_within(points: Sequence[tuple[str, OperatingPoint]], budget: float) -> tuple[str, OperatingPoint] | None:
    """The most accurate of named points with at most ``budget`` hidden spikes; the cheapest of equals."""
    allowed = [entry for entry in points if entry[1].hidden_spikes <= budget]
    return max(allowed, key=lambda entry: (entry[1].accuracy, -entry[1].hidden_spikes), default=None)


def costliest_within(points: Sequence[OperatingPoint], budget: float) -> OperatingPoint | None:
    """The setting of a dial that spends most of a budget: turned by the spikes alone, no accuracy is asked."""
    allowed = [point for point in points if point.hidden_spikes <= budget]
    return max(allowed, key=lambda point: point.hidden_spikes, default=None)


def budget_row(
    problem: Problem, validation: Points, test: Points, seeds: int, budget: int, arithmetic: str
) -> BudgetRow:
    """Envelope and dial at one budget; each seed chooses on its validation points.

    Of the envelope the most accurate network within the budget; the dial is turned until it spends the budget.
    """
    rivals = [cell for cell in problem.cells if cell not in (WARM, DIAL, "perturbed")]
    pairs: list[tuple[OperatingPoint | None, OperatingPoint | None]] = []
    for seed in range(seeds):

        def key(cell: str, seed: int = seed) -> str:
            return f"{stem(cell, seed)}/{arithmetic}"

        network = best_within([(cell, at(validation[key(cell)], 1.0)) for cell in rivals], budget)
        setting = costliest_within(validation[key(DIAL)], budget)
        pairs.append(
            (
                None if network is None else at(test[key(network[0])], 1.0),
                None if setting is None else at(test[key(DIAL)], setting.threshold_scale),
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


def dial_facts(validation: Sequence[OperatingPoint], test: Sequence[OperatingPoint]) -> DialFacts:
    """The facts of one seed."""
    kept = pareto_front(validation)
    found = [at(test, point.threshold_scale) for point in kept]  # cheapest first
    top = at(test, max(kept, key=lambda point: point.accuracy).threshold_scale)
    drop, highest = 0.0, 0.0
    for point in found:
        drop, highest = max(drop, highest - point.accuracy), max(highest, point.accuracy)
    return DialFacts(
        (100 * top.accuracy, top.hidden_spikes),
        span(test, 0.03),
        span(found, 0.03),
        span(test, 0.02),
        span(test, 0.03, lambda point: (point.dynamic_nj or 0.0) + (point.static_nj or 0.0)),
        100 * drop,
    )


def span(
    points: Sequence[OperatingPoint],
    within: float,
    cost: Callable[[OperatingPoint], float] = lambda point: point.hidden_spikes,
) -> float:
    """Highest over lowest cost of the settings around the most accurate one that are ``within`` of its accuracy.

    The settings are in the order of their spikes, and the range ends where accuracy first leaves it: a dip inside
    breaks the dial there. Settings without a hidden spike do not count.
    """
    ordered = sorted((p for p in points if p.hidden_spikes > 0), key=lambda point: point.hidden_spikes)
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
