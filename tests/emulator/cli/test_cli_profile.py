"""``aspen profile``, and the page about it: its programs as they stand there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aspen_emulator import Profile
from tests.emulator.cli.test_cli import Aspen, aspen
from tests.pages import blocks

__all__ = ["aspen"]

OWN = """
import torch
from snntorch import Leaky
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.lif = nn.Linear(6, 4, bias=False), Leaky(0.9)

    def forward(self, x):
        mem, spikes = self.lif.init_leaky(), []
        for step in x:
            spk, mem = self.lif(torch.relu(self.fc(step)), mem)  # not linear: no network
            spikes.append(spk)
        return torch.stack(spikes)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own_profiled.py").write_text(OWN)
    np.save(tmp_path / "x.npy", np.ones((5, 2, 6), np.uint8))
    made: dict[str, Any] = {}
    exec(OWN, made)
    torch.save({**made["Net"]().state_dict(), "fc.weight": torch.ones(4, 6)}, tmp_path / "w.pt")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_model_is_profiled_by_its_name(aspen: Aspen, folder: Path) -> None:
    command = ("profile", "own_profiled:Net", "--input", "x.npy", "--state-dict", "w.pt")
    code, out, err = aspen(*command, "--chip", "loihi1", "--plot", "p.svg")
    assert (code, err) == (0, "")
    assert out.startswith("Profile of Net: 2 samples of 5 steps, counted as PyTorch runs it, layer by layer")
    assert "not counted as a network: lif: its input comes from 'relu'" in out
    assert (folder / "p.svg").exists()
    code, out, _ = aspen(*command, "--json", "--step-time", "0.001")
    found = json.loads(out)
    assert code == 0
    assert found["counts"]["synaptic_operations"] == 5 * 2 * 6 * 4
    assert found["saturated"] == ["lif"]
    assert found["energy"]["loihi1"]["seconds"]["typical"] == pytest.approx(0.01)


def test_how_forward_is_called_can_be_said(aspen: Aspen, folder: Path) -> None:
    """The batch comes first, and one step is left out of account."""
    text = OWN.replace("def forward(self, x):", "def forward(self, x, skip):").replace(
        "in x:", "in x.unbind(1)[skip:]:"
    )
    (folder / "own_called.py").write_text(text)
    np.save("batched.npy", np.ones((2, 5, 6), np.uint8))
    command = ("profile", "own_called:Net", "--input", "batched.npy", "--chip", "loihi1", "--json")
    code, out, _ = aspen(*command, "--time-axis", "1", "--argument", "skip=1")
    assert code == 0
    assert json.loads(out)["counts"]["synaptic_operations"] == 4 * 2 * 6 * 4
    code, _, err = aspen(*command)
    assert (code, err.count("\n")) == (1, 1)


def test_what_is_wrong_is_said_in_a_line(aspen: Aspen, folder: Path) -> None:
    np.save("zeros.npy", np.zeros((5, 2, 6)))
    code, _, err = aspen("profile", "own_profiled:Net", "--input", "zeros.npy")
    assert (code, err.count("\n")) == (1, 1)
    assert "found zeros alone" in err
    code, _, err = aspen("profile", "own_profiled:Nets", "--input", "x.npy")
    assert code == 2


def test_the_programs_of_the_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    found: dict[str, object] = {}
    for program in blocks("profile.md", "python"):
        exec(compile(program, "profile.md", "exec"), found)
    printed, (shown,) = capsys.readouterr().out, blocks("profile.md", "text")
    names = [[line.split("  ")[0] for line in text.splitlines()] for text in (printed, shown)]
    assert names[0] == names[1]
    assert isinstance(found["report"], Profile)
    assert found["report"].exact
    assert (tmp_path / "profile.png").exists()
