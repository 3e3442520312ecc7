"""Every knob with every level of doubt, measured: what the front of both is found from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from aspen.calibration.early import EarlyStop, scores_over_time, stops_at
from aspen.calibration.front import Tried
from aspen.calibration.points import OperatingPoint
from aspen_emulator.measuring.bench import Bench, averaged, observed

DOUBTS = (
    0.0, 1e-5, 1e-4, 0.001, 0.003, 0.006, 0.01, 0.015, 0.02, 0.03, 0.04, 0.055, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4,
)  # fmt: skip
"""Levels of doubt that are measured at each knob; 0: no inference ends early."""


def measure_tried(
    bench: Bench,
    knobs: Sequence[float],
    stop: EarlyStop | None,
    progress: Callable[[int, int], None] | None = None,
    doubts: Sequence[float] = DOUBTS,
) -> dict[str | None, Tried]:
    """Name of each chip -> what each knob costs and gives with each level of doubt.

    Args:
        bench: what is measured: validation data, never test data.
        knobs: where the knob stands in turn.
        stop: what turns scores into doubts; None: inferences never end early.
        progress: called after each run with how many there were, and will be.
        doubts: levels, from 0.
    """
    levels = doubts if stop is not None else (0.0,)
    settings, share = [(knob, level) for knob in knobs for level in levels], 1 / len(bench.encodings)
    runs: list[list[Mapping[str | None, OperatingPoint]]] = [[] for _ in settings]
    correct, steps = np.zeros((len(settings), len(bench.labels))), np.zeros(len(settings))
    for encoding in range(len(bench.encodings)):
        for k, record in enumerate(bench.records(knobs, encoding)):
            scores = None if stop is None else scores_over_time(record)
            doubted = None if stop is None or scores is None else stop.doubts_over_time(scores)
            for n, level in enumerate(levels, k * len(levels)):
                taken = None if doubted is None or level == 0 else stops_at(doubted, level)
                found, right = observed(bench, record, knobs[k], scores, taken)
                runs[n].append(found)
                correct[n] += right * share
                steps[n] += (bench.steps if taken is None else taken.mean()) * share
            if progress is not None:
                progress(encoding * len(knobs) + k + 1, len(knobs) * len(bench.encodings))
    found_levels = [level for _, level in settings]
    return {
        name: Tried(points, found_levels, steps.tolist(), correct)
        for name, points in averaged(bench, runs, correct).items()
    }
