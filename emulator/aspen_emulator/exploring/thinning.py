"""What keeps a page small, whatever is measured: long courses in bins, many classes by those that are mixed up most."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np

from aspen._base.arrays import Array
from aspen.errors import InputError

MOST_CLASSES = 50
"""That have a row and a column of their own among the answers."""
MOST_VALUES = 100_000
"""In all courses of spikes, and in all answers of a recording: some hundred kilobytes each."""
MOST_BYTES = 3_200_000
"""Of the data of a page; with what draws it, it stays below 5 MB."""


def together(steps: int, courses: int) -> int:
    """How many steps that follow one another share a value, where there are so many courses of so many steps.

    >>> together(1000, 40), together(10_000, 40)
    (1, 4)
    """
    return max(1, ceil(steps * courses / MOST_VALUES))


def in_bins(course: Array, size: int) -> Array:
    """Sums of ``size`` steps each of a course (steps,); the last may be of fewer.

    >>> in_bins(np.arange(5.0), 2)
    array([1., 5., 4.])
    """
    return np.add.reduceat(course, np.arange(0, len(course), size))


def most_confused(tables: Sequence[Array]) -> list[int]:
    """The classes with most wrong answers, given or due, in ascending order; all where these are few.

    Args:
        tables: (classes, classes + 1) inferences by class and answer, at each setting; the last column: no answer.
    """
    total = np.sum(tables, axis=0)
    classes = len(total)
    wrong = total.sum(axis=1) + total[:, :classes].sum(axis=0) - 2 * total.diagonal()
    return sorted(np.argsort(-wrong, kind="stable")[:MOST_CLASSES].tolist())


def merged(table: Array, kept: Sequence[int]) -> Array:
    """A table of answers of the classes ``kept``, with one row and one column more for all others, where there are any.

    >>> merged(np.array([[5, 1, 0, 0], [0, 4, 2, 0], [1, 0, 3, 1]]), [1])
    array([[4, 2, 0],
           [1, 9, 1]])
    """
    classes = len(table)
    if len(kept) == classes:
        return table
    place = np.full(classes + 1, len(kept))
    place[list(kept)] = np.arange(len(kept))
    place[classes] = len(kept) + 1
    made = np.zeros((len(kept) + 1, len(kept) + 2), table.dtype)
    np.add.at(made, (place[:classes, None], place[None, :]), table)
    return made


def check_size(text: str) -> None:
    """Refuse data that would make a page of more than 5 MB.

    Raises:
        InputError: it would.
    """
    if len(text) > MOST_BYTES:
        raise InputError(
            f"page: found {len(text) / 1e6:.1f} MB of data, allowed are {MOST_BYTES / 1e6:.1f}, with which a browser "
            f"is quick; give fewer --knobs, or fewer chips"
        )
