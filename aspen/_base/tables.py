"""What prints as lines and tables: in a terminal as text, in a notebook as HTML, from the same rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import zip_longest
from textwrap import wrap

from aspen._base.brief import Brief

GAP = "  "
NARROWEST = 24
"""Characters in a line of a first column that is broken."""


@dataclass(frozen=True)
class Table:
    """Rows of text under a head.

    >>> table = Table(("population", "neurons"), (("layers",), ("hidden", "128"), ("output", "10")))
    >>> print(table)
    population  neurons
    layers
      hidden        128
      output         10

    Args:
        head: the title of each column.
        rows: cells, one for each column or fewer; a row of one cell, where there are more columns, heads those below.
        left: columns whose cells are words, which begin at the left; the others are numbers, which end at the right.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: tuple[int, ...] = (0,)

    @property
    def _is_parted(self) -> bool:
        return any(map(self._is_heading, self.rows))

    def _is_heading(self, row: Sequence[str]) -> bool:
        return len(row) == 1 < len(self.head)

    def __str__(self) -> str:
        rows, widths = self._indented, self._widths
        return "\n".join(self._line(row, widths) for row in (self.head, *rows))

    @property
    def _indented(self) -> list[Sequence[str]]:
        indent = GAP if self._is_parted else ""
        return [row if self._is_heading(row) else (indent + row[0], *row[1:]) for row in self.rows]

    @property
    def _widths(self) -> list[int]:
        measured = [self.head, *(row for row in self._indented if not self._is_heading(row))]
        return [max(map(len, column)) for column in zip_longest(*measured, fillvalue="")]

    def within(self, width: int) -> list[Table]:
        """The same in a narrow place: with its words over several lines, then in parts, one below the other.

        No figure is cut: where even the first column and one other have no room, the line is wider.

        >>> for part in Table(("population", "neurons", "spikes"), (("hidden", "128", "1,024"),)).within(20):
        ...     print(part)
        population  neurons
        hidden          128
        population  spikes
        hidden       1,024

        Args:
            width: characters in a line.

        Returns:
            the parts, each with the first column.
        """
        if sum(self._widths) + len(GAP) * (len(self.head) - 1) <= width:
            return [self]
        left = width - sum(self._widths[1:]) - len(GAP) * (len(self.head) - 1)
        table = self._broken(left if left >= NARROWEST else max(NARROWEST, width // 3)) if 0 in self.left else self
        first, *others = table._widths
        parts: list[list[int]] = [[]]
        room = width - first
        for column, wide in enumerate(others, start=1):
            room -= len(GAP) + wide
            if room < 0 and parts[-1]:
                parts.append([])
                room = width - first - len(GAP) - wide
            parts[-1].append(column)
        return [table._of((0, *columns)) for columns in parts]

    def _broken(self, width: int) -> Table:
        """With the words of the first column over several lines."""
        rows: list[Sequence[str]] = []
        for row in self.rows:
            begin, *rest = wrap(row[0], width - len(GAP), subsequent_indent=GAP) or [""]
            whole = self._is_heading(row)
            rows += [row] if whole else [(begin, *row[1:]), *((each, "") for each in rest)]
        return replace(self, rows=rows)

    def _of(self, columns: Sequence[int]) -> Table:
        rows = [row if self._is_heading(row) else [row[c] if c < len(row) else "" for c in columns]
                for row in self.rows]  # fmt: skip
        left = tuple(place for place, column in enumerate(columns) if column in self.left)
        return Table([self.head[c] for c in columns], rows, left)

    def _line(self, row: Sequence[str], widths: Sequence[int]) -> str:
        cells = (
            f"{cell:<{width}}" if column in self.left else f"{cell:>{width}}"
            for column, (cell, width) in enumerate(zip(row, widths, strict=False))
        )
        return GAP.join(cells).rstrip()

    def pieces(self) -> list[str | Table]:
        """Itself, as :meth:`Tabled.pieces`."""
        return [self]

    def html(self) -> str:
        """As an HTML table; whatever is in a cell is text there."""
        head = "".join(self._cell("th", column, title) for column, title in enumerate(self.head))
        body = "".join(f"<tr>{self._html_row(row)}</tr>" for row in self.rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _html_row(self, row: Sequence[str]) -> str:
        if self._is_heading(row):
            return f'<th colspan="{len(self.head)}" style="text-align: left">{escape(row[0])}</th>'
        cells = [*row, *[""] * (len(self.head) - len(row))]
        return "".join(self._cell("td", column, cell) for column, cell in enumerate(cells))

    def _cell(self, tag: str, column: int, text: str) -> str:
        side = "left" if column in self.left else "right"
        return f'<{tag} style="text-align: {side}">{escape(text)}</{tag}>'


class Tabled(Brief, ABC):
    """Something that prints as lines and tables, which :meth:`_shown` gives; its repr is one line."""

    @abstractmethod
    def _shown(self) -> Iterable[str | Table]:
        """From top to bottom: lines of text, and tables."""

    def __str__(self) -> str:
        return "\n".join(map(str, self._shown()))

    def pieces(self) -> list[str | Table]:
        """The lines and tables that it prints as, from top to bottom."""
        return list(self._shown())

    def _repr_html_(self) -> str:
        """The same in a notebook: IPython calls this."""
        return "<div>" + "".join(map(_html, self._shown())) + "</div>"


def _html(part: str | Table) -> str:
    if isinstance(part, Table):
        return part.html()
    indent = len(part) - len(part.lstrip())
    return f'<div style="padding-left: {indent / 2:g}em">{escape(part)}</div>'
