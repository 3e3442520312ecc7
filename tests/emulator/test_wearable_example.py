"""The example of a wearable, run as a user would, with little training: Python, C and the emulated core agree."""

from __future__ import annotations

import re
import runpy
import warnings
from pathlib import Path

import pytest

from aspen_emulator.engines.cortex_m.engine import emulator_available
from tests import ROOT
from tests.emulator.engines.c.programs import needs_compiler

EXAMPLE = ROOT / "examples" / "wearable" / "wearable.py"
SMALL = "--hours 0.04 --windows 100 --epochs 1 --hidden 8 --emulate 3 --save 0.5 --max-loss 0.1 --output out"


@needs_compiler
def test_the_wearable_decides_in_c_as_in_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so little training leaves a dial that is worth nothing
        runpy.run_path(str(EXAMPLE))["main"](SMALL.split())
    out = capsys.readouterr().out
    assert "C on this machine: 56 windows, every decision, answer and unit of energy as in Python" in out
    assert ("C on an emulated Cortex-M4: 3 windows" in out) == emulator_available()
    assert "the budget is held" in out
    steps = [float(found) for found in re.findall(r"on average, ([0-9.]+) of 16 steps", out)]
    assert max(steps) < 16  # inferences end early
    assert (tmp_path / "out" / "stream.png").stat().st_size > 10_000
    names = {path.name for path in (tmp_path / "out" / "wrist").iterdir()}
    assert {"wrist.c", "wrist_encoder.c", "wrist_budget.c"} <= names
