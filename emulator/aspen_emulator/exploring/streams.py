"""A recording with the knob in a closed loop, for one view: bins of windows, each with what was measured in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import ceil
from typing import Any

import numpy as np

from aspen._base.arrays import Array
from aspen._base.labels import NO_LABEL
from aspen.network.readout import NO_ANSWER
from aspen_emulator.exploring.thinning import MOST_VALUES
from aspen_emulator.streaming import Stream, Window

MOST_BINS = 480
"""On a page; a shorter stream has a bin for each window."""


def streamed(
    running: Stream,
    windows: Iterable[Array],
    goal: str,
    *,
    allowed: float | None = None,
    labels: Array | None = None,
    progress: Callable[[Window], None] | None = None,
) -> dict[str, Any]:
    """Run the windows, and bin what they gave.

    Args:
        running: a stream at its beginning.
        windows: (steps, *input_shape) each.
        goal: what is held, in words.
        allowed: joules of dynamic energy per window that a budget leaves beside static power; None: no budget.
        labels: (windows,) classes, -1 where there is none.
        progress: called after each window.
    """
    found = []
    for window in running.run(windows):
        found.append(window)
        if progress is not None:
            progress(window)
    given = np.array([window.prediction for window in found], np.int64)
    known = np.full(len(found), NO_LABEL) if labels is None else np.asarray(labels)[: len(found)]
    labelled = known != NO_LABEL
    classes = running.network[running.network.output].size
    size = max(1, ceil(len(found) / min(MOST_BINS, max(MOST_VALUES // (classes + 1), 1))))
    return {
        "goal": goal,
        "chip": running.meter.chip.name,
        "window_seconds": running.meter.window_seconds,
        "allowed_j": allowed,
        "windows": running.windows,
        "skipped": running.skipped,
        "cut_short": running.cut,
        "unusual": running.alarms,
        "dynamic_j": running.dynamic,
        "static_j": running.static,
        "accuracy": float((given == known)[labelled].mean()) if labelled.any() else None,
        "windows_per_bin": size,
        "bins": [
            _bin(found[start : start + size], known[start : start + size], classes)
            for start in range(0, len(found), size)
        ],
    }


def _bin(windows: Sequence[Window], labels: Array, classes: int) -> dict[str, Any]:
    """What a few windows gave: energies are means of a window; knobs those of windows that ran."""
    knobs = [window.knob for window in windows if window.ran]
    answers = np.zeros(classes + 1, np.int64)
    given = np.array([window.prediction for window in windows])
    np.add.at(answers, given, 1)  # none, -1, falls in the last place
    labelled = labels != NO_LABEL
    return {
        "end_s": windows[-1].end,
        "dynamic_j": float(np.mean([window.dynamic for window in windows])),
        "total_j": float(np.mean([window.dynamic + window.static for window in windows])),
        "left_j": windows[-1].left,
        "knob": {"low": min(knobs), "mean": float(np.mean(knobs)), "high": max(knobs)} if knobs else None,
        "ran": len(knobs),
        "of": len(windows),
        "answers": answers.tolist(),
        "labelled": int(labelled.sum()),
        "right": int((given == labels)[labelled & (given != NO_ANSWER)].sum()),
    }
