"""Pieces of C text: identifiers, tables in flash, and fields of the program's state."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from aspen._base.arrays import Array
from aspen.errors import InputError

_KEYWORDS = (
    "auto break case char const continue default do double else enum extern float for goto if inline int long register "
    "restrict return short signed sizeof static struct switch typedef union unsigned void volatile while"
)
SIZES = {f"{sign}int{bits}_t": bits // 8 for sign in ("", "u") for bits in (8, 16, 32, 64)}
"""C type -> bytes."""
_WIDTH = 118


def check_prefix(prefix: object) -> str:
    """``prefix`` if the program's functions can begin with it.

    Raises:
        InputError: it is no identifier of C, a keyword, or reserved.
    """
    named = isinstance(prefix, str) and re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,30}", prefix)
    if not named or prefix in _KEYWORDS.split():
        raise InputError(
            f"prefix: found {prefix!r}, allowed is an identifier of C that begins with a letter, of 31 characters at "
            f"most; give e.g. 'network'"
        )
    return str(prefix)


def identifiers(names: Iterable[str]) -> dict[str, str]:
    """Name of a population -> what it is called in C; unique, whatever their dots and dashes become."""
    found: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
        taken, called, number = set(found.values()), plain, 2
        while called in taken:
            called, number = f"{plain}_{number}", number + 1
        found[name] = called
    return found


def smallest_type(low: int, high: int) -> str:
    """The smallest C type that holds the integers from ``low`` to ``high``; a signed one where both do."""
    for bits in (8, 16, 32):
        if -(2 ** (bits - 1)) <= low and high < 2 ** (bits - 1):
            return f"int{bits}_t"
        if low >= 0 and high < 2**bits:
            return f"uint{bits}_t"
    return "int64_t" if low < 0 else "uint64_t"


def type_of(values: Array, unsigned: bool = False) -> str:
    """The smallest C type for ``values``, one and more; ``unsigned`` for those that never go below zero."""
    low, high = int(values.min()), int(values.max())
    found = smallest_type(low, high)
    return f"u{found}" if unsigned and not found.startswith("u") else found


@dataclass(frozen=True)
class Table:
    """A constant table, in flash; ``comment`` says where it comes from."""

    ctype: str
    name: str
    values: Array
    comment: str

    @property
    def size(self) -> int:
        """Bytes."""
        return SIZES[self.ctype] * self.values.size

    def __str__(self) -> str:
        suffix = "ull" if self.ctype == "uint64_t" else ""
        cells = [f"{value}{suffix}" for value in self.values.reshape(-1).tolist()]
        lines, line = [], "   "
        for cell in cells:
            if len(line) + len(cell) + 2 > _WIDTH:
                lines.append(line)
                line = "   "
            line += f" {cell},"
        head = f"/* {self.comment} */\nstatic const {self.ctype} {self.name}[{self.values.size}] = {{"
        return "\n".join([head, *lines, line, "};"])


@dataclass(frozen=True)
class Field:
    """A part of the program's state, in RAM; ``shape`` is empty for a single number."""

    ctype: str
    name: str
    shape: tuple[int, ...]
    comment: str

    @property
    def size(self) -> int:
        """Bytes."""
        return SIZES[self.ctype] * prod(self.shape)

    def __str__(self) -> str:
        sizes = "".join(f"[{size}]" for size in self.shape)
        return f"    {self.ctype} {self.name}{sizes}; /* {self.comment} */"


def widest_first(fields: Iterable[Field]) -> list[Field]:
    """In the order that needs no padding between the fields."""
    return sorted(fields, key=lambda field: -SIZES[field.ctype])


class Parameter:
    """Numbers of a population's neurons: written into the code where all have the same, a table where they differ.

    Args:
        name: of the table.
        values: a scalar, or the population's shape.
        comment: what they are.
    """

    def __init__(self, name: str, values: Array, comment: str, unsigned: bool = False) -> None:
        flat = np.asarray(values, np.int64).reshape(-1)
        alike = bool((flat == flat[0]).all())
        self.value: int | None = int(flat[0]) if alike else None
        self.table = None if alike else Table(type_of(flat, unsigned), name, flat, comment)
        self._suffix = "u" if unsigned else ""

    def at(self, index: str) -> str:
        """The C expression for the neuron ``index``."""
        return f"{self.value}{self._suffix}" if self.table is None else f"{self.table.name}[{index}]"

    @property
    def tables(self) -> list[Table]:
        """The table, if it is one."""
        return [] if self.table is None else [self.table]


def filled(template: str, values: Mapping[str, object]) -> str:
    """``template`` with ``@NAME@`` replaced; braces are C's own."""
    return re.sub(r"@(\w+)@", lambda match: str(values[match[1]]), template)
