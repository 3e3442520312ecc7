"""The front of several levers, and what each of them is worth alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil, log

import numpy as np

from aspen._base.arrays import Array
from aspen._base.checks import as_quantity
from aspen._base.tables import Table
from aspen.calibration.early import EarlyStop
from aspen.calibration.points import BELIEVED, EarlyPoint, OperatingPoint, cost_of
from aspen.calibration.table import FRONT, CalibrationTable
from aspen.errors import InputError

REACH = 0.1
"""Fraction of accuracy between the two ends of a knob at most, where nothing else is asked for."""
STEP, MOST_STEPS = 0.05, 8
"""Of the logarithm of cost between two levels of doubt, and how many levels there are between two stops at most."""
FAINT = 1e-3
"""Part of a level of doubt that counts as none, to rise from."""
NEAR = 0.02
"""Fraction of accuracy below the best within which the range of a lever is told."""


@dataclass(frozen=True)
class Tried:
    """Settings of two levers that were measured on the same samples.

    Args:
        points: what was measured; their knob is the dial's, or a threshold scale.
        doubts: for each, the doubt below which inferences end; 0: never.
        steps: for each, time steps taken per inference.
        correct: (points, samples): whether, or how often (0 to 1), each sample was classified correctly.
    """

    points: Sequence[OperatingPoint]
    doubts: Sequence[float]
    steps: Sequence[float]
    correct: Array

    def costs(self, dynamic: bool) -> Array:
        """(points,) nJ per inference, total or dynamic; hidden spikes where no energy is known, fewer than one counted
        as one: a network may have none, and costs are compared by their ratio."""
        whole = [None if dynamic else point.total_nj for point in self.points]
        costs = [cost_of(p) if total is None else total for p, total in zip(self.points, whole, strict=True)]
        return np.array([max(c, 1.0) if p.dynamic_nj is None else c for p, c in zip(self.points, costs, strict=True)])


@dataclass(frozen=True)
class Lever:
    """What a lever is worth within :data:`NEAR` of the best accuracy of all settings.

    Args:
        name: of the lever, or of both.
        most, least: highest and lowest cost there, in nJ, or in hidden spikes where no energy is known.
        cheapest: number of the setting that costs least.
    """

    name: str
    most: float
    least: float
    cheapest: int

    @property
    def range(self) -> float:
        """How many times as much the dearest setting costs."""
        return self.most / self.least


def find_front(tried: Tried, dynamic: bool = False, reach: float = REACH) -> list[int]:
    """Numbers of the settings that a knob runs along, cheapest first.

    Along them cost and accuracy rise, and no lever turns back. Of all such rows in which each gain in accuracy is
    beyond :data:`BELIEVED` standard errors of the difference, sample by sample (but for the last step, to the most
    accurate setting), it is the one with the largest area under accuracy over the logarithm of cost. Between two of its
    settings those are kept too that lie between them in cost, accuracy and levers, so that the knob takes small steps.

    Args:
        tried: what was measured.
        dynamic: whether dynamic energy alone is the cost; it rises in any case.
        reach: fraction of accuracy below the best setting at which the front ends, 0 to 1.

    Raises:
        InputError: there are no points, or not as many rows, or the reach is no such number.
    """
    reach = as_quantity("reach", reach, 0.0, 1.0)
    correct = np.asarray(tried.correct, np.float64)
    if not tried.points or correct.ndim != 2 or len(correct) != len(tried.points):
        raise InputError(f"correct: found shape {correct.shape}, allowed is ({len(tried.points)}, samples)")
    accuracy = np.array([point.accuracy for point in tried.points])
    costs = np.stack([tried.costs(dynamic), tried.costs(True)], axis=1)
    levers = np.array([(point.knob, doubt) for point, doubt in zip(tried.points, tried.doubts, strict=True)])
    best = min(range(len(accuracy)), key=lambda i: (-accuracy[i], *costs[i]))
    ways = _Ways(accuracy, costs, levers, correct, floor=float(accuracy[best]) - reach)
    row = ways.along(best, np.flatnonzero(accuracy >= ways.floor), sure=True)
    return [*(i for pair in pairwise(row) for i in ways.between(*pair)[:-1]), best]


@dataclass(frozen=True)
class _Ways:
    """Settings with (n,) accuracies, (n, 2) costs, (n, 2) levers, and (n, samples) right answers."""

    accuracy: Array
    costs: Array
    levers: Array
    correct: Array
    floor: float

    def leads(self, i: int, j: int) -> bool:
        """Whether ``j`` is dearer and more accurate than ``i``, with no lever further along."""
        dearer, back = self.costs[i] < self.costs[j], self.levers[i] >= self.levers[j]
        return bool(self.accuracy[i] < self.accuracy[j] and dearer.all() and back.all())

    def along(self, end: int, among: Array, sure: bool, start: int | None = None) -> list[int]:
        """The row with the largest area that ends at a setting (and begins at one), cheapest first."""
        inner = [int(i) for i in among if self.leads(int(i), end) and (start is None or self.leads(start, int(i)))]
        first = [] if start is None else [start]
        order = [*first, *sorted(inner, key=lambda i: float(self.costs[i, 0])), end]
        area, before = dict.fromkeys(order, 0.0), dict[int, int]()
        for place, i in enumerate(order):
            for j in order[:place]:
                if not self.leads(j, i) or (sure and i != end and not _surely(self.correct[i] - self.correct[j])):
                    continue
                found = area[j] + (self.accuracy[j] - self.floor) * log(self.costs[i, 0] / self.costs[j, 0])
                if (found > area[i] or i not in before) and (start is None or j == start or j in before):
                    area[i], before[i] = found, j
        row = [end]
        while row[-1] in before:
            row.append(before[row[-1]])
        return row[::-1]

    def between(self, start: int, end: int) -> list[int]:
        """From one setting to another by those that lie between them, whether or not their gains are beyond doubt."""
        return self.along(end, np.arange(len(self.accuracy)), sure=False, start=start)


def _surely(gain: Array) -> bool:
    """Whether a gain (samples,) is beyond doubt."""
    return bool(gain.mean() > BELIEVED * gain.std(ddof=min(1, gain.size - 1)) / gain.size**0.5)


def front_of(
    tried: Tried, row: Sequence[int], like: CalibrationTable, stop: EarlyStop | None, dynamic: bool = False
) -> CalibrationTable:
    """The table of a knob that runs along settings, evenly: as far as it has come from 0 to 1, so far has it come, on
    the mean of both, in accuracy and in the logarithm of cost. Its stops are multiples of 0.001; of settings that would
    share one, the cheaper stay out. Between two stops the dial goes on evenly, and the level of doubt in steps of a
    twentieth of the cost or so.

    Args:
        tried: what was measured.
        row: numbers of the settings; see :func:`find_front`.
        like: the table of one lever that was measured with it.
        stop: what turns scores into doubts; None: inferences never end early.
        dynamic: whether dynamic energy alone is the cost.
    """
    knobs = _evenly(np.log(tried.costs(dynamic)[list(row)]), np.array([tried.points[i].accuracy for i in row]))
    kept = [k for k, knob in enumerate(knobs) if k in (0, len(row) - 1) or knob not in (1.0, *knobs[k + 1 :])]
    row, knobs = [row[k] for k in kept], [knobs[k] for k in kept]
    points = tuple(replace(tried.points[i], knob=knob) for i, knob in zip(row, knobs, strict=True))
    early = None
    if stop is not None:
        costs = tried.costs(dynamic)
        stops = [(knob, tried.doubts[i], float(costs[i])) for knob, i in zip(knobs, row, strict=True)][::-1]
        levels = [*(level for pair in pairwise(stops) for level in _levels(*pair)), stops[-1][:2]]
        early = replace(stop, knobs=tuple(knob for knob, _ in levels), doubts=tuple(doubt for _, doubt in levels))
    return replace(
        like, dial=FRONT, turns=like.dial, places=tuple(tried.points[i].knob for i in row), points=points, chosen=None,
        early=early, early_points=tuple(EarlyPoint(p, tried.steps[i]) for p, i in zip(points, row, strict=True))
        if early else (),
    )  # fmt: skip


def _levels(stop: tuple[float, float, float], other: tuple[float, float, float]) -> list[tuple[float, float]]:
    """(knob, doubt) from one stop (knob, doubt, cost) until before another; doubts rise evenly in their logarithms."""
    (knob, doubt, cost), (end, above, less) = stop, other
    if doubt == above:
        return [(knob, doubt)]
    steps, low = min(max(ceil(log(cost / less) / STEP), 1), MOST_STEPS), doubt or above * FAINT
    shares = [k / steps for k in range(1, steps)]
    between = [(knob + share * (end - knob), low * (above / low) ** share) for share in shares]
    return [(knob, doubt), *between]


def _evenly(costs: Array, accuracies: Array) -> list[float]:
    """Where the stops of a knob are; both (stops,) rise."""
    if len(costs) == 1:
        return [0.0]
    ways = [(each[-1] - each) / (each[-1] - each[0]) for each in (costs, accuracies)]
    return [round(float(way), 3) for way in (ways[0] + ways[1]) / 2]


def levers_of(tried: Tried, untouched: float, dynamic: bool = False, near: float = NEAR) -> list[Lever]:
    """What the dial alone, the early end alone and both are worth, within ``near`` of the best accuracy of all.

    Args:
        tried: what was measured.
        untouched: where the dial's knob stands when nobody turns it.
        dynamic: whether dynamic energy alone is the cost.
        near: fraction of accuracy that may be lost.
    """
    costs, least = tried.costs(dynamic), max(point.accuracy for point in tried.points) - near
    whole = [doubt == 0 for doubt in tried.doubts]
    still = [point.knob == untouched for point in tried.points]
    levers = []
    for name, chosen in (("dial alone", whole), ("early end alone", still), ("both", [True] * len(whole))):
        within = [i for i, use in enumerate(chosen) if use and tried.points[i].accuracy >= least]
        if within:
            low, high = min(within, key=lambda i: costs[i]), max(within, key=lambda i: costs[i])
            levers.append(Lever(name, float(costs[high]), float(costs[low]), low))
    return levers


def lever_table(tried: Tried, levers: Sequence[Lever]) -> Table:
    """Levers for people to read: the setting of each that costs least, and how many times less that is."""
    rows = []
    for lever in levers:
        point, doubt = tried.points[lever.cheapest], tried.doubts[lever.cheapest]
        stands = (f"{point.knob:.3g}", f"{100 * doubt:.3g}%" if doubt else "-", f"{tried.steps[lever.cheapest]:.1f}")
        rows.append((lever.name, *stands, f"{point.accuracy:.1%}", f"{lever.range:.2f}x"))
    return Table(("lever", "dial's knob", "ends below a doubt of", "steps", "accuracy", "most / least"), rows)
