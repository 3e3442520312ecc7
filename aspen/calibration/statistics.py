"""How sure a measured accuracy is: intervals, and as how many samples those of a few subjects count."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

import numpy as np

from aspen._base.arrays import Array
from aspen.calibration.points import OperatingPoint
from aspen.errors import InputError


def wilson(correct: float, samples: float, sure: float = 0.95) -> tuple[float, float]:
    """Wilson's interval for a rate of which ``correct`` of ``samples`` were seen (Wilson, JASA 22, 1927).

    Args:
        correct: how many were right.
        samples: how many there were.
        sure: probability with which the interval holds the rate.
    """
    rate, z2 = correct / samples, NormalDist().inv_cdf(0.5 + sure / 2) ** 2
    middle = (rate + z2 / (2 * samples)) / (1 + z2 / samples)
    half = sqrt(z2 * (rate * (1 - rate) / samples + z2 / (4 * samples**2))) / (1 + z2 / samples)
    return min(max(middle - half, 0.0), rate), max(min(middle + half, 1.0), rate)


def stretched(point: OperatingPoint, sure: float) -> tuple[float, float]:
    """The interval of a point's accuracy for another probability than 0.95, with as many samples as made the first."""
    edge = point.accuracy_low if point.accuracy >= 0.5 else point.accuracy_high
    gap, z2 = point.accuracy - edge, NormalDist().inv_cdf(0.975) ** 2
    size = z2 * edge * (1 - edge) / gap**2 if gap else float(point.samples)  # Wilson's interval, solved for the samples
    return wilson(point.accuracy * size, size, sure) if size else (0.0, 1.0)


def effective_samples(correct: Array, subjects: Array) -> float:
    """As how many independent samples those of a few subjects count, when it is about subjects that were not seen.

    The variance of the accuracy is taken from the differences between subjects; with few of them it is itself
    uncertain, which Student's t makes up for. Never more than there are samples.

    Args:
        correct: (samples,) how often each was classified correctly, 0 to 1.
        subjects: (samples,) who each sample is from.
    """
    from scipy.stats import norm, t

    people, groups = np.unique(subjects, return_inverse=True)
    if len(people) < 2:
        raise InputError(f"subjects: found {len(people)}, allowed are 2 and more; leave them out")
    rate = float(correct.mean())
    sums = np.bincount(groups, weights=correct - rate)
    variance = float((sums**2).sum()) / len(correct) ** 2 * len(people) / (len(people) - 1)
    wider = (t.ppf(0.975, len(people) - 1) / norm.ppf(0.975)) ** 2
    if variance * wider * len(correct) <= rate * (1 - rate):
        return float(len(correct))
    return max(rate * (1 - rate) / (variance * wider), 1.0)
