"""The read-out: from what the output population did to scores, and from scores to an answer.

This is the one place that says what a network's answer is; records, streams, early ends and the training ask here.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aspen._base.arrays import Array

NO_ANSWER = -1
"""The prediction for a sample without an answer."""
FREQUENT = 0.05
"""The share of samples without an answer above which the commands warn: more than one in twenty."""

TOLD = 16
"""Samples, or classes, that :func:`told` tells apart."""


def answers(scores: Array) -> Array:
    """The output with the highest score; the lowest index where several have it; :data:`NO_ANSWER` where all are 0.

    All scores are 0 where no output spiked, or where no output's membrane ever moved: nothing has reached the outputs,
    and to name the first class would be right by chance. It counts as wrong.

    >>> answers(np.array([[3, 5, 1], [2, 2, 0], [0, 0, 0]]))
    array([ 1,  0, -1])

    Args:
        scores: (..., n), one for each output.

    Returns:
        (...) int64, from 0 to n - 1, or :data:`NO_ANSWER`.
    """
    scores = np.asarray(scores)
    return np.where(scores.any(axis=-1), scores.argmax(axis=-1), NO_ANSWER)


def accumulated(readout: str, before: Array | None, now: Array) -> Array:
    """The scores after one more time step.

    Args:
        readout: one of :data:`aspen.network.network.READOUTS`.
        before: (...) the scores so far; None before the first step.
        now: (...) what the outputs did in this step: spikes, or membranes before the reset.

    Returns:
        (...): spikes and membranes added up, the last membrane, or the largest.
    """
    values = now.astype(np.int64) if now.dtype.kind in "bu" else now
    if before is None or readout == "membrane-last":
        return values
    return np.maximum(before, values) if readout == "membrane-max" else before + values


def running_scores(readout: str, each: Array) -> Array:
    """(steps, ...): the scores after each step, from what the outputs did in each, (steps, ...)."""
    if readout == "membrane-last":
        return each
    if readout == "membrane-max":
        return np.asarray(np.maximum.accumulate(each))
    return each.cumsum(axis=0, dtype=np.int64 if each.dtype == np.uint8 else None)


def final_scores(readout: str, each: Array) -> Array:
    """(...): the scores after the last step, from what the outputs did in each, (steps, ...)."""
    if readout == "membrane-last":
        return np.asarray(each[-1])
    if readout == "membrane-max":
        return np.asarray(each.max(axis=0))
    return np.asarray(each.sum(axis=0, dtype=np.int64 if each.dtype == np.uint8 else None))


def told(predictions: Array) -> str:
    """Answers in a line: each of a few samples, else how many samples got each class.

    >>> told(np.array([3, 7, NO_ANSWER]))
    '3, 7, none'
    >>> told(np.repeat([0, 1, NO_ANSWER], (20, 30, 2)))
    '0 (20 times), 1 (30), none (2)'

    Args:
        predictions: (n,) classes, or :data:`NO_ANSWER`.
    """
    if len(predictions) <= TOLD:
        return ", ".join(name_of(answer) for answer in predictions.tolist())
    return told_counts(counted(predictions))


def told_counts(counts: Mapping[str, int]) -> str:
    """How often each answer was given, in a line: the most frequent of many.

    Args:
        counts: as :func:`counted` gives them.
    """
    often = sorted(counts, key=lambda name: -counts[name])[:TOLD]
    parts = [f"{name} ({count:,})" for name, count in counts.items() if name in often]
    parts[0] = f"{parts[0].rstrip(')')} times)"
    return ", ".join([*parts, *([f"and {len(counts) - TOLD} rarer ones"] if len(counts) > TOLD else [])])


def counted(predictions: Array) -> dict[str, int]:
    """Class -> how often it was the answer, in the order of the classes; ``none`` last.

    Args:
        predictions: (n,) classes, or :data:`NO_ANSWER`.
    """
    classes, counts = np.unique(predictions, return_counts=True)
    found = {name_of(answer): int(count) for answer, count in zip(classes.tolist(), counts.tolist(), strict=True)}
    silent = found.pop(name_of(NO_ANSWER), None)
    return found if silent is None else {**found, name_of(NO_ANSWER): silent}


def name_of(answer: int) -> str:
    """An answer as people read it."""
    return "none" if answer == NO_ANSWER else str(answer)
