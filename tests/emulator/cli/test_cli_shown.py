"""What a command shows: as it is in a pipe; in a terminal with colours, within its width, and with no figure cut."""

from __future__ import annotations

import io
import re
import sys

import click
import pytest

from aspen._base.tables import Table
from aspen_emulator.cli import shown
from aspen_emulator.cli.shown import broken, colours, laid_out, painted, show

TABLE = Table(
    ("per inference", "typical", "low", "high", "count"),
    (("whole run",), ("in no total: the used cores' share of static", "12.7 uJ", "66.8 nJ", "35.7 mJ", "1,024"),
     ("total", "unknown", "1 pJ", "2 J", "7")),
)  # fmt: skip
LINE = "assumed: a step takes as long as measured: 337 us (abr2019: running/loihi_run01 to 05, keyword spotting)"


class Stream(io.StringIO):
    """A standard output that may be a terminal."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


def said(monkeypatch: pytest.MonkeyPatch, terminal: bool, width: int = 80) -> str:
    stream = Stream(terminal)
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(shown, "get_terminal_size", lambda: type("Size", (), {"columns": width}))
    show("loihi1: 812 uJ per inference", TABLE, LINE)
    return stream.getvalue()


@pytest.fixture(autouse=True)
def plain_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def test_a_pipe_gets_every_part_as_it_prints_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(monkeypatch, terminal=False) == f"loihi1: 812 uJ per inference\n{TABLE}\n{LINE}\n"


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_terminal_gets_it_within_its_width_with_every_figure(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    text = click.unstyle(said(monkeypatch, terminal=True, width=width))
    assert max(map(len, text.splitlines())) <= width
    assert all(figure in text for row in TABLE.rows[1:] for figure in row[1:])
    assert " ".join(LINE.split()) in " ".join(text.split())
    assert "in no total: the used cores' share of static" in " ".join(re.sub(r"  +[\d.]+ \wJ.*", "", text).split())


@pytest.mark.parametrize(
    ("surroundings", "terminal", "coloured"),
    [({}, True, True), ({}, False, False), ({"NO_COLOR": "1"}, True, False), ({"TERM": "dumb"}, True, False),
     ({"FORCE_COLOR": "1"}, False, True), ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False)],
)  # fmt: skip
def test_where_there_are_colours(
    monkeypatch: pytest.MonkeyPatch, surroundings: dict[str, str], terminal: bool, coloured: bool
) -> None:
    for name, value in surroundings.items():
        monkeypatch.setenv(name, value)
    assert colours(Stream(terminal)) == coloured
    text = said(monkeypatch, terminal)
    assert ("\x1b[" in text) == coloured


@pytest.mark.parametrize(("unit", "colour"), [("pJ", 34), ("nJ", 36), ("uJ", 32), ("mJ", 33), ("J", 31), ("uW", 32)])
def test_a_unit_has_the_colour_of_its_magnitude(unit: str, colour: int) -> None:
    assert painted(("row", f"1.5 {unit} a window")) == f"1.5 \x1b[{colour}m{unit}\x1b[39m a window"
    assert painted(("row", "1.5 km, 3 Jo")) == "1.5 km, 3 Jo"


def test_colours_change_nothing_but_colours() -> None:
    lines = [*laid_out(TABLE, None), *laid_out(f"{LINE}\nerror: it does not fit\n  fast          ok", None)]
    assert [click.unstyle(painted(line)) for line in lines] == [text for _, text in lines]
    assert painted(("line", "error: x")).startswith("\x1b[31merror")
    assert painted(("line", "  fast          ok")).endswith("\x1b[32mok\x1b[0m")


def test_a_command_at_the_end_of_a_line_stays_whole_to_be_copied() -> None:
    line = "saved in a/long/path/net.aspen; run it: aspen run net.aspen --knob 0.5 --chip loihi1 --input X.npy"
    assert broken(line, 50)[-1:] == ["  aspen run net.aspen --knob 0.5 --chip loihi1 --input X.npy"]
