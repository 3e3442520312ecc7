"""What prints as lines and tables: in a terminal as text, in a notebook as HTML, from the same rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import zip_longest

from aspen._base.brief import Brief

GAP = "  "


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
        indent = GAP if self._is_parted else ""
        rows = [row if self._is_heading(row) else (indent + row[0], *row[1:]) for row in self.rows]
        measured = [self.head, *(row for row in rows if not self._is_heading(row))]
        widths = [max(map(len, column)) for column in zip_longest(*measured, fillvalue="")]
        return "\n".join(self._line(row, widths) for row in (self.head, *rows))

    def _line(self, row: Sequence[str], widths: Sequence[int]) -> str:
        cells = (
            f"{cell:<{width}}" if column in self.left else f"{cell:>{width}}"
            for column, (cell, width) in enumerate(zip(row, widths, strict=False))
        )
        return GAP.join(cells).rstrip()

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

    def _repr_html_(self) -> str:
        """The same in a notebook: IPython calls this."""
        return "<div>" + "".join(map(_html, self._shown())) + "</div>"


def _html(part: str | Table) -> str:
    if isinstance(part, Table):
        return part.html()
    indent = len(part) - len(part.lstrip())
    return f'<div style="padding-left: {indent / 2:g}em">{escape(part)}</div>'
