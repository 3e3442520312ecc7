"""Power of a Loihi 1 as logged by Applied Brain Research in 2019 (``abr`` and ``blouw2019`` of the sources).

Each figure is the median over one recording of the samples between its start and its end: a recording's first samples
may still show the chip before it started, which pulls a mean down by up to 1 mW. ``branches`` is the scaling
experiment: 390 inputs, 256 neurons, so many branches of ten layers of 256, 256 neurons, 29 outputs; with none, it is
the network of the keyword spotting on more cores. An inference takes ten steps.
"""

from __future__ import annotations

import numpy as np

IDLE = 29.59
"""mW before the first run; mean of the means of 26 recordings (29.36 to 29.87)."""
IDLE_WITH_CPUS = 96.30
"""mW after a run, when the embedded x86 processors stay on; of 26 recordings (96.04 to 96.78)."""

KEYWORDS = (110.41, 110.38, 110.36, 110.39, 110.51)
"""mW while spotting keywords, 390-256-256-29."""
KEYWORDS_RATE = 297.1
"""Inferences a second; median of the five recordings (294.3 to 297.3)."""

BRANCHES = {
    0: (107.67, 107.70, 107.80),
    1: (107.92, 108.10, 108.13),
    2: (110.06, 110.10, 110.11),
    4: (113.87, 113.98, 113.85),
    6: (117.68, 117.83, 117.54),
    8: (121.57, 121.74, 121.55),
    10: (125.50, 125.45, 125.52),
}
"""Number of branches -> mW."""
BRANCHES_RATE = {0: 125.8, 1: 114.7, 2: 114.4, 4: 114.4, 6: 114.6, 8: 114.0, 10: 114.0}
"""Number of branches -> inferences a second; median of three recordings."""


def mean(values: tuple[float, ...]) -> float:
    """Of the recordings."""
    return float(np.mean(values))


def per_branch() -> tuple[float, float]:
    """mW of one branch and its standard error, by least squares over the 18 recordings with branches.

    The three without any are left out: they run a tenth faster, so the processors do more.
    """
    counts = [n for n, powers in BRANCHES.items() for _ in powers if n]
    powers = [power for n, recorded in BRANCHES.items() for power in recorded if n]
    (slope, _), covariance = np.polyfit(counts, powers, 1, cov=True)
    return float(slope), float(np.sqrt(covariance[0, 0]))


def marginal_inference() -> float:
    """uJ of one more inference a second: from the slow run without branches to the fast one of the same network."""
    more = mean(KEYWORDS) - mean(BRANCHES[0])
    return more / (KEYWORDS_RATE - BRANCHES_RATE[0]) * 1e3
