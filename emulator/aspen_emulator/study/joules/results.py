"""What the study in joules compares: one nested dial and its rivals, at equal joules on one chip.

Which network of the envelope is taken for a budget, and where the knob stands, is chosen on validation data, by each
seed for itself; what they then give and take is measured on test data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

import numpy as np

from aspen.calibration.points import OperatingPoint
from aspen_emulator.study.joules.measuring import front_key, key
from aspen_emulator.study.joules.problems import NESTED, PLAIN, JoulesProblem
from aspen_emulator.study.measuring import KNOBS, Points, kept_key
from aspen_emulator.study.results import Cost, Spread, at, best_within, dynamic_of, setting_within, span, total_of

BUDGETS = 8
"""Budgets at which the two are compared, from the dial's cheapest setting to its dearest."""


@dataclass(frozen=True)
class Account:
    """Joules of one kind on one chip.

    Args:
        chip: its name.
        kind: ``total``, or ``dynamic`` where the chip is powered as a whole, whatever it does.
    """

    chip: str
    kind: str

    @property
    def cost(self) -> Cost:
        """What a point costs, nJ."""
        return total_of if self.kind == "total" else dynamic_of

    def __str__(self) -> str:
        return f"{self.kind} energy on {self.chip}"


@dataclass(frozen=True)
class Row:
    """Test accuracy (percent) at a budget: envelope, dial, and the difference; the seeds' choices and what they took.

    Args:
        budget: nJ per inference.
        envelope, dial, gain: over seeds; ``None`` where a seed has nothing within the budget.
        gains: dial - envelope of each seed, points; empty as above.
        chosen: networks of the envelope that the seeds chose, each once.
        envelope_nj, dial_nj: what they took on test data, means.
    """

    budget: float
    envelope: Spread | None
    dial: Spread | None
    gain: Spread | None
    gains: tuple[float, ...]
    chosen: tuple[str, ...]
    envelope_nj: float
    dial_nj: float


def budgets(validation: Points, seeds: int, account: Account, number: int = BUDGETS) -> list[float]:
    """Budgets (nJ) in equal ratios, that every seed's dial can keep: from the cheapest setting to the dearest."""
    costs = [[account.cost(p) for p in validation[key(NESTED, seed, account.chip)]] for seed in range(seeds)]
    ends = max(min(each) for each in costs), max(max(each) for each in costs)
    return [float(budget) for budget in np.geomspace(*ends, number)]


def row(problem: JoulesProblem, validation: Points, test: Points, seeds: int, account: Account, budget: float) -> Row:
    """Envelope and dial at one budget."""
    pairs = [_pair(problem, validation, test, seed, account, budget) for seed in range(seeds)]
    networks = [(name, point) for (name, point), _ in pairs if point is not None]
    envelope, dial = [point for _, point in networks], [two for _, two in pairs if two is not None]
    complete = len(envelope) == len(dial) == seeds
    gains = [100 * (two.accuracy - one.accuracy) for one, two in zip(envelope, dial, strict=True)] if complete else []
    return Row(
        budget,
        _accuracy(envelope, seeds),
        _accuracy(dial, seeds),
        Spread.of(gains) if gains else None,
        tuple(gains),
        tuple(dict.fromkeys(name for name, _ in networks)),
        mean(account.cost(point) for point in envelope) if envelope else float("nan"),
        mean(account.cost(point) for point in dial) if dial else float("nan"),
    )


def _pair(
    problem: JoulesProblem, validation: Points, test: Points, seed: int, account: Account, budget: float
) -> tuple[tuple[str, OperatingPoint | None], OperatingPoint | None]:
    """A seed's network of the envelope, by name, and its setting of the dial, as they are on test data."""
    names = {cell: key(cell, seed, account.chip) for cell in problem.measured}
    found = best_within([(c, at(validation[names[c]], 1.0)) for c in problem.rivals], budget, account.cost)
    setting = setting_within(validation[names[NESTED]], budget, account.cost)
    network = ("", None) if found is None else (found[0], at(test[names[found[0]]], 1.0))
    return network, None if setting is None else at(test[names[NESTED]], setting.knob)


def _accuracy(points: Sequence[OperatingPoint], seeds: int) -> Spread | None:
    return Spread.of([100 * point.accuracy for point in points]) if len(points) == seeds else None


def over_range(rows: Sequence[Row]) -> Spread | None:
    """Dial - envelope, the mean over all budgets of each seed, over seeds; ``None`` where no budget has both."""
    gains = [each.gains for each in rows if each.gains]
    return Spread.of([mean(column) for column in zip(*gains, strict=True)]) if gains else None


@dataclass(frozen=True)
class Setting:
    """A knob of the dial on test data: accuracy (percent) over seeds, and mean joules (nJ)."""

    knob: float
    accuracy: Spread
    spikes: float
    total_nj: float
    dynamic_nj: float


def settings(test: Points, seeds: int, chip: str, cell: str = NESTED) -> list[Setting]:
    """All settings of the dial, or the one of a network of the envelope."""
    knobs = KNOBS if cell == NESTED else (1.0,)
    return [_setting([at(test[key(cell, seed, chip)], knob) for seed in range(seeds)]) for knob in knobs]


def _setting(points: Sequence[OperatingPoint]) -> Setting:
    return Setting(
        points[0].knob,
        Spread.of([100 * point.accuracy for point in points]),
        mean(point.hidden_spikes for point in points),
        mean(map(total_of, points)),
        mean(map(dynamic_of, points)),
    )


def range_within(test: Points, seeds: int, account: Account, points: float = 2.0) -> Spread:
    """Most over least energy of the dial's settings around each seed's best that are within so many points of it."""
    each = [test[key(NESTED, seed, account.chip)] for seed in range(seeds)]
    return Spread.of([span(found, points / 100, account.cost) for found in each])


def range_of_all(test: Points, seeds: int, account: Account, points: float = 2.0) -> Spread:
    """The dearest setting of the dial alone over the cheapest of the front of all levers, of those that are
    within so many points of each seed's best."""
    ratios = []
    for seed in range(seeds):
        name = key(NESTED, seed, account.chip)
        alone, both = test[name], test[front_key(name)]
        floor = max(point.accuracy for point in (*alone, *both)) - points / 100
        most, *_ = sorted((account.cost(point) for point in alone if point.accuracy >= floor), reverse=True) or [0.0]
        least = [account.cost(point) for point in both if point.accuracy >= floor]
        ratios.append(most / min(least) if least and most else 1.0)
    return Spread.of(ratios)


def steady_until(test: Points, seeds: int, chip: str, points: float = 1.5) -> list[float]:
    """The highest knob of each seed up to which every setting is within so many points of that seed's best."""
    last = []
    for seed in range(seeds):
        found = test[key(NESTED, seed, chip)]
        floor = max(point.accuracy for point in found) - points / 100
        low = next((i for i, point in enumerate(found) if point.accuracy < floor), len(found))
        last.append(found[low - 1].knob if low else -1.0)
    return last


def accurate_end(validation: Points, test: Points, seeds: int, chip: str) -> list[OperatingPoint]:
    """Of each seed the setting that is best on validation data, as it is on test data."""
    names = [key(NESTED, seed, chip) for seed in range(seeds)]
    return [at(test[name], validation[kept_key(name)][-1].knob) for name in names]


def plain_points(test: Points, seeds: int, chip: str) -> list[OperatingPoint]:
    """The plain network of each seed."""
    return [at(test[key(PLAIN, seed, chip)], 1.0) for seed in range(seeds)]


def least_at(found: Sequence[Setting], goal: float) -> Setting | None:
    """The setting with the least dynamic energy whose mean accuracy is ``goal`` percent or more."""
    good = [setting for setting in found if setting.accuracy.mean >= goal]
    return min(good, key=lambda setting: setting.dynamic_nj, default=None)
