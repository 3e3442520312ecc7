"""A repr of one line that a screen has room for, whatever an object holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import Field, fields, is_dataclass
from typing import Any

import numpy as np

MOST = 3
"""Entries of a collection that are shown."""
LONGEST = 60
"""Characters of anything that is neither a number nor a collection; of an entry of a collection half as many."""


class Brief:
    """Base of data classes whose repr tells what they are and not all that they hold.

    Arrays are told by their type and shape, other data classes by their names, and what is as it is by default not at
    all.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__repr__" not in vars(cls):
            type.__setattr__(cls, "__repr__", Brief.__repr__)  # else @dataclass writes a long one into the class

    def __repr__(self) -> str:
        itself: Any = self
        told = ((each.name, getattr(self, each.name)) for each in fields(itself) if each.repr and _says(self, each))
        return f"{type(self).__name__}({', '.join(f'{name}={brief(value)}' for name, value in told)})"


def _says(owner: object, each: Field[Any]) -> bool:
    """Whether a field has another value than its default."""
    value = getattr(owner, each.name)
    if isinstance(value, (Mapping, tuple, list, str)) and not value:
        return False
    return getattr(value, "ndim", 0) > 0 or not (value is each.default or value == each.default)


def brief(value: object, depth: int = 2) -> str:
    """``value`` in at most a few dozen characters for each of a few entries.

    >>> brief({"hidden": np.zeros((128, 64)), "output": np.zeros((10, 128))})
    "{'hidden': <float64 (128, 64)>, 'output': <float64 (10, 128)>}"
    >>> brief(tuple(range(100)))
    '(0, 1, 2, ... 100 in all)'

    Args:
        value: anything.
        depth: collections within each other that are shown.
    """
    if isinstance(value, np.ndarray):
        return repr(value.item()) if value.ndim == 0 else f"<{value.dtype} {value.shape}>"
    if is_dataclass(value) and not isinstance(value, type):
        words = [getattr(value, each.name) for each in fields(value) if each.type in ("str", str)]
        return f"{type(value).__name__}({', '.join([*[brief(word, depth) for word in words if word][:2], '...'])})"
    if isinstance(value, Mapping):
        told = (f"{key!r}: {brief(value[key], depth - 1)}" for key in list(value)[:MOST])
        return "{" + _entries(told, len(value), depth) + "}"
    if isinstance(value, (list, tuple)):
        told = (brief(each, depth - 1) for each in value[:MOST])
        return "[" + _entries(told, len(value), depth) + "]" if isinstance(value, list) else _tuple(told, value, depth)
    text, longest = repr(value), LONGEST if depth > 1 else LONGEST // 2
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def _tuple(told: Iterable[str], value: tuple[object, ...], depth: int) -> str:
    return f"({_entries(told, len(value), depth)}{',' if len(value) == 1 and depth else ''})"


def _entries(told: Iterable[str], size: int, depth: int) -> str:
    if not depth:
        return f"{size} in all" if size else ""
    return ", ".join([*told, *([f"... {size} in all"] if size > MOST else [])])
