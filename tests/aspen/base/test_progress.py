"""What is said while work goes on: in a terminal, in a notebook, in a pipe."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numba.core import event

import aspen
from aspen._base import compiling as _compiling
from aspen._base import progress as _progress
from aspen._base.compiling import LINE, PAUSE, Teller, tell_of_compiling
from aspen._base.progress import in_notebook, is_watched, tell, telling
from aspen.data import digits
from aspen.errors import InputError
from aspen.models.ready import DenseNet
from aspen.training.history import Epoch
from aspen.training.progress import reporting
from aspen_emulator.cli import main


@contextmanager
def standard_error(kind: str, columns: int = 200) -> Iterator[Callable[[], str]]:
    """Standard error as a real ``terminal`` or ``pipe``; gives what was written to it since the last call."""
    reading, writing = pty.openpty() if kind == "terminal" else os.pipe()
    if kind == "terminal":
        tty.setraw(writing)
        fcntl.ioctl(writing, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    os.set_blocking(reading, False)

    def told() -> str:
        sys.stderr.flush()
        parts = []
        with suppress(BlockingIOError):
            while part := os.read(reading, 2**16):
                parts.append(part)
        return b"".join(parts).decode()

    with os.fdopen(writing, "w") as stream, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        yield told
    os.close(reading)


def train(**options: Any) -> aspen.training.fit.Fitted:  # type: ignore[name-defined]
    data = digits(steps=2)
    few = {part: getattr(data, part).select(np.arange(40)) for part in ("train", "validation")}
    torch.manual_seed(0)
    return aspen.fit(DenseNet((64, 8, 10)), replace(data, **few), "plain", epochs=2, fused=False, **options)


def test_fit_shows_a_bar_in_a_terminal() -> None:
    with standard_error("terminal") as told:
        train()
        shown = told()
    assert "train plain" in shown
    assert re.search(r"2/2 epochs in 00:\d\d, 00:00 left, validation \d.* spikes at knob 1, .* at knob 0.7", shown)


@pytest.mark.parametrize(("kind", "progress"), [("pipe", None), ("pipe", False), ("terminal", False)])
def test_fit_shows_nothing_in_a_pipe_or_where_it_is_told_not_to(kind: str, progress: bool | None) -> None:
    with standard_error(kind) as told:
        train(progress=progress)
        assert told() == ""


def test_fit_shows_a_bar_wherever_it_is_told_to() -> None:
    with standard_error("pipe") as told:
        train(progress=True)
        assert "2/2" in told()


def test_a_function_is_called_instead_of_a_bar() -> None:
    reports = []
    with standard_error("terminal") as told:
        fitted = train(progress=lambda entry, total: reports.append((entry, total)))
        assert told() == ""
    assert reports == [(entry, 2) for entry in fitted.history]


def test_a_resumed_training_begins_its_bar_where_it_was() -> None:
    with standard_error("pipe") as told, reporting(True, 5, "train", done=4) as report:
        assert report is not None
        report(Epoch(0, 4, 1.0, (0.5,), (0.25,), (12.0,), 0.0), 5)
        assert "5/5" in told()


@pytest.mark.parametrize("progress", ["yes", 1, []])
def test_what_is_no_way_to_show_progress_is_refused(progress: object) -> None:
    with pytest.raises(InputError, match=r"progress: found .*, allowed are True, False, None and a function"):
        train(progress=progress)


@pytest.mark.parametrize(("kind", "seen"), [("terminal", "line\n"), ("pipe", "")])
def test_a_line_is_told_where_it_is_seen_and_by_the_command_line(kind: str, seen: str) -> None:
    with standard_error(kind) as told:
        tell("line")
        assert told() == seen
        with telling():
            tell("line")
        assert told() == "line\n"
        tell("line")
        assert told() == seen


@pytest.mark.parametrize(
    ("shell", "notebook"),
    [
        (SimpleNamespace(config={"IPKernelApp": {}}), True),
        (SimpleNamespace(config={"TerminalIPythonApp": {}}), False),
        (None, False),
    ],
)
def test_a_notebook_is_told_from_other_shells(monkeypatch: pytest.MonkeyPatch, shell: object, notebook: bool) -> None:
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    with standard_error("pipe"):
        assert in_notebook() == notebook
        assert is_watched() == notebook


def test_no_notebook_and_no_standard_error_at_all(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not in_notebook()
    monkeypatch.setattr(sys, "stderr", None)
    assert not is_watched()
    with telling():
        tell("nothing")
    assert capsys.readouterr().out == ""


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(_compiling, "tell", found.append)
    return found


def happened(module: str) -> Any:
    return SimpleNamespace(data={"dispatcher": SimpleNamespace(py_func=SimpleNamespace(__module__=module))})


def test_functions_compiled_one_after_another_are_told_once(lines: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(_compiling.time, "monotonic", lambda: now[0])
    teller, ours = Teller("ours"), happened("ours")
    teller.on_start(happened("theirs"))
    assert lines == []
    teller.on_start(ours)
    now[0] += 2 * PAUSE
    teller.on_start(ours)  # compiled on the way
    teller.on_end(happened("theirs"))
    teller.on_end(ours)
    teller.on_end(ours)
    now[0] += PAUSE
    teller.on_start(ours)
    teller.on_end(ours)
    assert lines == [LINE]
    now[0] += PAUSE + 1
    teller.on_start(ours)
    assert lines == [LINE, LINE]


def test_only_what_is_really_compiled_is_told(
    lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_compiling, "PAUSE", -1.0)
    (tmp_path / "doubling.py").write_text("import numba\n@numba.njit(cache=True)\ndef double(x):\n    return 2 * x\n")
    monkeypatch.syspath_prepend(tmp_path)
    tell_of_compiling("doubling")
    told = []
    try:
        for _ in range(2):  # the second time the machine code lies on disk
            double = import_module("doubling").double
            assert [double(2), double(3)] == [4, 6]
            told.append(len(lines))
            del sys.modules["doubling"]
    finally:
        event._registered["numba:compile"].pop()
    assert told == [1, 1]


def test_the_compiled_parts_of_the_library_are_told() -> None:
    import_module("aspen.fused.kernels")
    import_module("aspen_emulator.engines.fast.core.kernels")
    tellers = [each.module for each in event._registered["numba:compile"] if isinstance(each, Teller)]
    assert tellers == list(dict.fromkeys(tellers))
    assert set(tellers) >= {"aspen.fused.kernels", "aspen_emulator.engines.fast.core.kernels"}


def test_the_command_line_tells_in_a_pipe_and_keeps_json_clean(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def compile_something(engine: str) -> str:
        tell(LINE)
        return "ok"

    monkeypatch.setattr("aspen_emulator.cli.doctor.self_test", compile_something)
    with standard_error("pipe") as told:
        with pytest.raises(SystemExit):
            main(["doctor", "--json"])
        engines = json.loads(capsys.readouterr().out)["engines"]
        assert told() == len(engines) * f"{LINE}\n"
    assert engines["fast"] == "ok"
    assert not _progress._is_command
