"""Every knob with every level of doubt and every number of steps, measured: what the front of all is found from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain

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
    every: Sequence[int] = (1,),
) -> dict[str | None, Tried]:
    """Name of each chip -> what each knob costs and gives with each level of doubt, and each number of steps.

    Args:
        bench: what is measured: validation data, never test data.
        knobs: where the knob stands in turn.
        stop: what turns scores into doubts; None: inferences never end early.
        progress: called after each run with how many there were, and will be.
        doubts: levels, from 0.
        every: of the time steps, every how many-th runs.
    """
    levels = doubts if stop is not None else (0.0,)
    runs_of = [(each, knob) for each in every for knob in knobs]
    settings, share = [(*run, level) for run in runs_of for level in levels], 1 / len(bench.encodings)
    runs: list[list[Mapping[str | None, OperatingPoint]]] = [[] for _ in settings]
    correct, steps = np.zeros((len(settings), len(bench.labels))), np.zeros(len(settings))
    for encoding in range(len(bench.encodings)):
        records = chain.from_iterable(bench.records(knobs, encoding, each) for each in every)
        for k, (record, (each, knob)) in enumerate(zip(records, runs_of, strict=True)):
            scores = None if stop is None else scores_over_time(record)
            doubted = None if stop is None or scores is None else stop.doubts_over_time(scores)
            for n, level in enumerate(levels, k * len(levels)):
                taken = None if doubted is None or level == 0 else stops_at(doubted, level)
                found, right = observed(bench, record, knob, scores, taken, each)
                runs[n].append(found)
                correct[n] += right * share
                steps[n] += (record.steps if taken is None else taken.mean()) * share
            if progress is not None:
                progress(encoding * len(runs_of) + k + 1, len(runs_of) * len(bench.encodings))
    skipped, _, found_levels = zip(*settings, strict=True)
    return {
        name: Tried(points, found_levels, steps.tolist(), correct, skipped)
        for name, points in averaged(bench, runs, correct).items()
    }
