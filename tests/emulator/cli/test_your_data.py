"""The page about a user's own data: its program and its commands, as they stand there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from aspen.data import load_encoder
from tests.emulator.cli.test_cli import Aspen, aspen
from tests.pages import blocks

__all__ = ["aspen"]


def test_the_program_and_the_commands_of_the_page_run(
    aspen: Aspen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arrays, program, mapped = blocks("your-data.md", "python")
    assert len([line for line in program.splitlines() if line]) == 15
    found: dict[str, object] = {}
    exec(compile(arrays + program, "your-data.md", "exec"), found)
    out = capsys.readouterr().out
    assert "own data: 180 training, 60 validation and 60 test samples of (40, 2), 3 classes (fast, medium, slow)" in out
    accuracy, joules = map(float, out.splitlines()[-1].split())
    assert accuracy > 0.7
    assert joules < 0.55e-6
    assert load_encoder("net.aspen") == found["data"].encoder  # type: ignore[attr-defined]
    X, y = found["X"], found["y"]
    assert isinstance(X, np.ndarray)
    np.savez("my.npz", X=X, y=y)
    for part in ("train", "validation"):
        np.save(f"X_{part}.npy", X.astype(np.float32))
    exec(mapped, found | {"X_test": X, **{f"y_{part}": y for part in ("train", "validation", "test")}})
    np.save("new.npy", X[:5])
    (typed,) = blocks("your-data.md", "sh")
    for line in typed.splitlines():
        name, *arguments = shlex.split(line)
        code, out, err = aspen(*arguments)
        assert (name, code, "samples may be among them" in err) == ("aspen", 0, False), err
    assert np.load("answers.npy").shape == (40, 5, 3)
    right = re.search(r"([\d.]+)% of 60 labelled windows answered correctly", out)
    assert right is not None
    assert float(right[1]) > 70
