"""Bars of the command line: what they say, in how much room, and where nobody sees them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from aspen._base import progress
from aspen._base.progress import bar, followed, telling
from tests.aspen.base.test_progress import standard_error

PIECES = 3
TOLD = ["1.9 uJ", "knob 0.25", "answer 7"]


@pytest.fixture(autouse=True)
def no_ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bars are shown when a test shows them, however slow the machine is."""
    monkeypatch.setattr(progress.Bar, "_tick", lambda *_: None)
    monkeypatch.setattr(progress, "DELAY", 3600.0)


@contextmanager
def command(bars: bool | None = None) -> Iterator[progress.Bar]:
    with telling(bars), bar("sweep", PIECES, "knobs") as shown:
        yield shown


@pytest.mark.parametrize(("kind", "bars"), [("terminal", None), ("terminal", True), ("pipe", True)])
def test_what_takes_long_says_how_much_is_done_and_left(kind: str, bars: bool | None) -> None:
    with standard_error(kind) as told:
        with command(bars) as shown:
            assert shown.is_shown
            shown.advance(2, TOLD)
            shown.show()
            line = told().strip()
        ended = told()
    drawn = r" \|\S+ *\| " if kind == "terminal" else ".*"
    assert re.fullmatch(rf"sweep{drawn}2/3 knobs in \d\d:\d\d, \d\d:\d\d left, {', '.join(TOLD)}", line)
    assert ended.strip() == "" if kind == "terminal" else True  # it leaves no trace in a terminal


@pytest.mark.parametrize(("kind", "bars"), [("pipe", None), ("terminal", False)])
def test_nothing_is_shown_in_a_pipe_or_where_it_is_not_wanted(kind: str, bars: bool | None) -> None:
    with standard_error(kind) as told:
        with command(bars) as shown:
            assert not shown.is_shown
            shown.begin(1)
            shown.advance(1, TOLD)
            shown.reach(3, 3)
            shown.show()
        assert told() == ""


def test_what_is_quick_shows_nothing() -> None:
    with standard_error("terminal") as told:
        with command() as shown:
            shown.advance(PIECES, TOLD)
        assert told() == ""


def test_it_is_shown_after_a_while_though_no_piece_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(progress, "DELAY", 0.0)
    shown_once = progress.Event()
    monkeypatch.setattr(progress.Bar, "show", lambda self: shown_once.set())
    with standard_error("terminal"), command():
        assert shown_once.wait(60)


@pytest.mark.parametrize(("columns", "parts"), [(200, 3), (70, 2), (60, 1), (50, 1), (40, 0), (30, 0)])
def test_a_line_keeps_to_its_room_and_leaves_out_whole_figures(columns: int, parts: int) -> None:
    with standard_error("terminal", columns) as told, command() as shown:
        shown.advance(2, TOLD)
        shown.show()
        line = told().strip()
    assert len(line) <= columns
    assert line.endswith(", ".join(["left", *TOLD[:parts]]) if columns > 39 else "")
    assert ("|" in line) == (columns > 50)


def test_work_within_work_shows_nothing_of_its_own() -> None:
    with standard_error("terminal"), command(), bar("inner", 2, "steps") as inner:
        assert not inner.is_shown
    with standard_error("terminal"), command() as again:
        assert again.is_shown


def test_a_number_of_pieces_that_comes_late() -> None:
    with standard_error("terminal") as told, telling(), bar("lava", None, "steps") as shown:
        shown.show()
        assert "lava: 0 steps in 00:00" in told()
        shown.reach(5, 20)
        shown.show()
        assert "5/20 steps" in told()


def test_pieces_are_followed_one_by_one_by_a_command_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "DELAY", 0.0)
    with standard_error("terminal") as told:
        assert list(followed(range(3), 3, "reference", "steps")) == [0, 1, 2]
        assert told() == ""
        with telling():
            assert list(followed(range(3), 3, "reference", "steps")) == [0, 1, 2]
        assert "/3 steps" in told()
