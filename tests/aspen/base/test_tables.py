"""Lines and tables as text and as HTML."""

from __future__ import annotations

from collections.abc import Iterable
from html.parser import HTMLParser

from aspen._base.tables import Table, Tabled

TABLE = Table(
    ("place", "event", "count"), (("here",), ("a<b", "spike & reset", "12"), ("c",), ("d", "x", "345678")), (0, 1)
)


class Shown(Tabled):
    def _shown(self) -> Iterable[str | Table]:
        yield "2 < 3"
        yield TABLE
        yield "  indented"


class Cells(HTMLParser):
    """The text of each row, and every tag that was opened and not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1] in ("th", "td"):
            self.rows[-1][-1] += data


def test_a_table_as_text_is_as_wide_as_its_widest_cells() -> None:
    assert str(TABLE).splitlines() == [
        "place  event           count",
        "here",
        "  a<b  spike & reset      12",
        "c",
        "  d    x              345678",
    ]  # fmt: skip


def test_html_has_the_same_cells_and_whatever_is_in_them_is_text() -> None:
    cells = Cells()
    cells.feed(Shown()._repr_html_())
    assert not cells.open
    assert cells.rows == [
        ["place", "event", "count"],
        ["here"],
        ["a<b", "spike & reset", "12"],
        ["c"],
        ["d", "x", "345678"],
    ]
    assert "2 &lt; 3" in Shown()._repr_html_()


def test_text_is_lines_and_tables_from_top_to_bottom() -> None:
    assert str(Shown()) == f"2 < 3\n{TABLE}\n  indented"


def test_a_row_with_fewer_cells_is_filled_in_html() -> None:
    table = Table(("a", "b", "c"), (("x", "1"),))
    assert str(table) == "a  b  c\nx  1"
    assert table.html().count("<td") == 3
