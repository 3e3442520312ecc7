"""Classes of a user's labels: numbers from 0, with the names that they had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aspen._base.arrays import Array
from aspen._base.checks import shown
from aspen._base.labels import as_labels
from aspen.errors import InputError

LARGEST = 2**31 - 1
"""Magnitude of a number that names a class."""


@dataclass(frozen=True)
class ClassTable:
    """Which class is which number.

    Args:
        classes: how many.
        names: their names, or empty where the labels number them from 0.
        known: the labels that the numbers stand for, in order; ``None`` where they are these numbers.
    """

    classes: int
    names: tuple[str, ...]
    known: Array | None

    @classmethod
    def of(cls, labels: Array, names: Sequence[str] | None = None) -> ClassTable:
        """The classes of training labels.

        Text is numbered in alphabetical order, or in that of ``names``. Whole numbers from 0 on without a gap stay what
        they are; others, as from 1, or 0 and 2, are numbered in order: no class is made of a number that nothing has.

        Raises:
            InputError: there is one class only, fractions, empty text, or a label that is not among the names.
        """
        given = None if names is None else _as_names(names)
        if labels.dtype.kind == "U":
            found = np.unique(labels)
            if "" in found:
                raise InputError(
                    f"labels: found none at {int(np.flatnonzero(labels == '')[0])}, allowed is the name of a class for "
                    f"each sample; name it, or leave the sample out"
                )
            table = cls._named(found, tuple(map(str, found)) if given is None else given)
        else:
            table = cls._numbered(labels, given)
        if len(found := np.unique(table.numbers("labels", labels))) < 2:
            raise InputError(f"labels: found the one class {table.name(int(found[0]))}, allowed are two and more")
        return table

    @classmethod
    def _named(cls, found: Array, names: tuple[str, ...]) -> ClassTable:
        unknown = [label for label in found if label not in names]
        if unknown:
            raise InputError(
                f"labels: found {shown(str(unknown[0]))}, allowed by class_names are {', '.join(names)[:200]}"
            )
        return cls(len(names), names, np.array(names))

    @classmethod
    def _numbered(cls, labels: Array, names: tuple[str, ...] | None) -> ClassTable:
        whole = np.rint(labels) if labels.dtype.kind == "f" else labels
        wrong = (whole != labels) | (labels < -LARGEST) | (labels > LARGEST)
        if wrong.any():
            raise InputError(
                f"labels: found {labels[wrong][0]:g}, allowed are whole numbers or text, each a class; to "
                f"learn a quantity, divide it into classes: np.digitize(y, edges)"
            )
        found = np.unique(labels).astype(np.int64)
        if names is not None and (len(found) != len(names) or found[0] == 0):
            as_labels("labels", labels, classes=len(names))
            return cls(len(names), names, None)
        if found[0] == 0 and found[-1] == len(found) - 1:
            return cls(len(found), (), None)
        return cls(len(found), names or tuple(map(str, found)), found)

    def numbers(self, what: str, labels: Array) -> Array:
        """(n,) int64: labels as numbers from 0.

        Raises:
            InputError: one is not among the classes.
        """
        if self.known is None:
            if labels.dtype.kind == "U":
                raise InputError(f"{what}: found text, allowed are numbers, as in the training labels")
            return as_labels(what, labels, classes=self.classes)
        if (labels.dtype.kind == "U") != (self.known.dtype.kind == "U"):
            raise InputError(f"{what}: found {labels.dtype}, allowed is what the training labels are; give the same")
        order = np.argsort(self.known)
        place = np.searchsorted(self.known, labels, sorter=order)
        found = order[np.minimum(place, len(order) - 1)]
        wrong = self.known[found] != labels
        if wrong.any():
            raise InputError(
                f"{what}: found {shown(labels[wrong][0].item())}, allowed are {', '.join(self.names)[:200]}, the "
                f"classes of the training labels; class_names names those too that no training sample has"
            )
        return found.astype(np.int64)

    def name(self, number: int) -> str:
        """What to call a class."""
        return self.names[number] if self.names else str(number)


def _as_names(names: Sequence[str]) -> tuple[str, ...]:
    listed = () if isinstance(names, str) else tuple(str(name) for name in names)
    if len(listed) < 2 or len(set(listed)) < len(listed):
        raise InputError(f"class_names: found {shown(names)}, allowed are two and more different names, one a class")
    return listed
