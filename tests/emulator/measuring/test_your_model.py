"""The page about a user's own model: its program, as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from tests.pages import blocks


def test_the_program_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    program, checkpoint = blocks("your-model.md", "python")
    assert len(program.splitlines()) < 40
    found: dict[str, object] = {"__name__": "own"}  # its class is looked up there
    exec(compile(program, "your-model.md", "exec"), found)
    out = capsys.readouterr().out
    assert "time is axis 1, the batch is axis 0" in out
    assert "subtract-delayed by a synapse of each neuron onto itself" in out
    same = re.findall(r"^lif\d +snntorch +float +([\d,]+) +([\d,]+) +100.00%", out, re.MULTILINE)
    assert [before == after for before, after in same] == [True, True]
    knob = re.findall(r"^([\d.]+) ([\d.]+)%, dynamic (\d+) nJ$", out, re.MULTILINE)
    assert [float(scale) for scale, _, _ in knob] == [0.7, 1.0, 1.5]
    assert min(float(right) for _, right, _ in knob) > 80
    assert int(knob[0][2]) > int(knob[1][2]) > int(knob[2][2])
    torch.save(found["model"].state_dict(), "net.pt")  # type: ignore[attr-defined]
    exec(compile(checkpoint, "your-model.md", "exec"), found)
    assert "cortex-m4" in capsys.readouterr().out
