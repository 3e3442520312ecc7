"""The front of several levers, and what each of them is worth alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from math import ceil, log

import numpy as np

from aspen._base.arrays import Array
from aspen._base.checks import as_quantity
from aspen._base.tables import Table
from aspen.calibration.early import EarlyStop
from aspen.calibration.points import BELIEVED, EarlyPoint, OperatingPoint, cost_of
from aspen.calibration.sheet import EVERY_HEAD
from aspen.calibration.table import FRONT, CalibrationTable
from aspen.dial.path import as_every
from aspen.errors import InputError

REACH = 0.1
"""Fraction of accuracy between the two ends of a knob at most, where nothing else is asked for."""
STEP, MOST_STEPS = 0.05, 8
"""Of the logarithm of cost between two levels of doubt, and how many levels there are between two stops at most."""
FAINT = 1e-3
"""Part of a level of doubt that counts as none, to rise from."""
LEVERS = ("dial", "early end", "fewer steps")
NEAR = 0.02
"""Fraction of accuracy below the best within which the range of a lever is told."""


@dataclass(frozen=True)
class Tried:
    """Settings of the levers that were measured on the same samples.

    Args:
        points: what was measured; their knob is the dial's, or a threshold scale.
        doubts: for each, the doubt below which inferences end; 0: never.
        steps: for each, time steps taken per inference.
        correct: (points, samples): whether, or how often (0 to 1), each sample was classified correctly.
        every: for each, every how many-th time step ran; empty: each one.
    """

    points: Sequence[OperatingPoint]
    doubts: Sequence[float]
    steps: Sequence[float]
    correct: Array
    every: Sequence[int] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "every", as_every(self.every, len(self.points)))

    @property
    def skips(self) -> bool:
        """Whether time steps were left out at any of them."""
        return any(every > 1 for every in self.every)

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
    knobs = [point.knob for point in tried.points]
    levers = np.array([*zip(knobs, tried.doubts, tried.every, strict=True)])
    best = min(range(len(accuracy)), key=lambda i: (-accuracy[i], *costs[i]))
    ways = _Ways(accuracy, costs, levers, correct, floor=float(accuracy[best]) - reach)
    row = ways.along(best, np.flatnonzero(accuracy >= ways.floor), sure=True)
    return [*(i for pair in pairwise(row) for i in ways.between(*pair)[:-1]), best]


@dataclass(frozen=True)
class _Ways:
    """Settings with (n,) accuracies, (n, 2) costs, (n, 3) levers, and (n, samples) right answers."""

    accuracy: Array
    costs: Array
    levers: Array
    correct: Array
    floor: float

    @cached_property
    def leads(self) -> Array:
        """(n, n): whether the second is dearer and more accurate than the first, with no lever further along."""
        dearer = (self.costs[:, None] < self.costs).all(axis=2)
        back = (self.levers[:, None] >= self.levers).all(axis=2)
        return np.asarray((self.accuracy[:, None] < self.accuracy) & dearer & back)

    def along(self, end: int, among: Array, sure: bool, start: int | None = None) -> list[int]:
        """The row with the largest area that ends at a setting (and begins at one), cheapest first."""
        inner = (
            among[self.leads[among, end]] if start is None else among[self.leads[among, end] & self.leads[start, among]]
        )
        first = [] if start is None else [start]
        order = np.array([*first, *inner[np.argsort(self.costs[inner, 0], kind="stable")], end])
        area, before = np.zeros(len(self.accuracy)), dict[int, int]()
        reached = np.full(len(self.accuracy), start is None)
        reached[first] = True
        for place, i in enumerate(order.tolist()):
            others = order[:place][reached[order[:place]] & self.leads[order[:place], i]]
            if sure and i != end:
                others = others[_surely(self.correct[i] - self.correct[others])]
            if len(others):
                rise = np.log(self.costs[i, 0] / self.costs[others, 0])
                found = area[others] + (self.accuracy[others] - self.floor) * rise
                best = int(found.argmax())
                area[i], before[i], reached[i] = found[best], int(others[best]), True
        row = [end]
        while row[-1] in before:
            row.append(before[row[-1]])
        return row[::-1]

    def between(self, start: int, end: int) -> list[int]:
        """From one setting to another by those that lie between them, whether or not their gains are beyond doubt."""
        return self.along(end, np.arange(len(self.accuracy)), sure=False, start=start)


def _surely(gains: Array) -> Array:
    """(n,) whether gains (n, samples) are beyond doubt."""
    samples = gains.shape[1]
    return np.asarray(gains.mean(axis=1) > BELIEVED * gains.std(axis=1, ddof=min(1, samples - 1)) / samples**0.5)


def front_of(
    tried: Tried, row: Sequence[int], like: CalibrationTable, stop: EarlyStop | None, dynamic: bool = False
) -> CalibrationTable:
    """The table of a knob that runs along settings, evenly: as far as it has come from 0 to 1, so far has it come, on
    the mean of both, in accuracy and in the logarithm of cost. Its stops are multiples of 0.001; of settings that would
    share one, the cheaper stay out. Between two stops the dial goes on evenly, and the level of doubt in steps of a
    twentieth of the cost or so; time steps are skipped from a stop on.

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
    every = tuple(tried.every[i] for i in row)
    ended = [EarlyPoint(point, tried.steps[i]) for point, i in zip(points, row, strict=True)] if early else []
    return replace(
        like, dial=FRONT, turns=like.dial, places=tuple(tried.points[i].knob for i in row), points=points, chosen=None,
        every=every if max(every) > 1 else (), early=early, early_points=tuple(ended),
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
    """What each lever alone and all together are worth, within ``near`` of the best accuracy of all.

    Args:
        tried: what was measured.
        untouched: where the dial's knob stands when nobody turns it.
        dynamic: whether dynamic energy alone is the cost.
        near: fraction of accuracy that may be lost.
    """
    costs, least = tried.costs(dynamic), max(point.accuracy for point in tried.points) - near
    levers = []
    for name, chosen in ways_of(tried, untouched):
        within = [i for i in chosen if tried.points[i].accuracy >= least]
        if within:
            low, high = min(within, key=lambda i: costs[i]), max(within, key=lambda i: costs[i])
            levers.append(Lever(name, float(costs[high]), float(costs[low]), low))
    return levers


def ways_of(tried: Tried, untouched: float) -> list[tuple[str, list[int]]]:
    """Name of each lever that was moved -> the settings at which only it is; and of them together, all settings."""
    moved = np.array([
        [point.knob != untouched for point in tried.points],
        [doubt > 0 for doubt in tried.doubts],
        [every > 1 for every in tried.every],
    ])  # fmt: skip
    used = [lever for lever, settings in enumerate(moved) if settings.any()]
    ways = [(f"{LEVERS[lever]} alone", ~np.delete(moved, lever, axis=0).any(axis=0)) for lever in used]
    if len(used) > 1:
        ways.append(("both" if len(used) == 2 else "all three", np.ones(len(tried.points), bool)))
    return [(name, np.flatnonzero(chosen).tolist()) for name, chosen in ways]


def lever_table(tried: Tried, levers: Sequence[Lever]) -> Table:
    """Levers for people to read: the setting of each that costs least, and how many times less that is."""
    rows = []
    for lever in levers:
        point, doubt = tried.points[lever.cheapest], tried.doubts[lever.cheapest]
        skipped = [f"{tried.every[lever.cheapest]}"] if tried.skips else []
        stands = (f"{point.knob:.3g}", *skipped, f"{100 * doubt:.3g}%" if doubt else "-")
        taken = f"{tried.steps[lever.cheapest]:.1f}"
        rows.append((lever.name, *stands, taken, f"{point.accuracy:.1%}", f"{lever.range:.2f}x"))
    skipped = [EVERY_HEAD] if tried.skips else []
    head = ("lever", "dial's knob", *skipped, "ends below a doubt of", "steps", "accuracy", "most / least")
    return Table(head, rows)
