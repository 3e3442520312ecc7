"""aspen export of models that take their input in another form than time first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aspen import load_network
from tests.emulator.cli.test_cli import Aspen, aspen

__all__ = ["aspen"]

MODELS = """
import snntorch as snn, torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.fc, self.lif = nn.Linear(6, 5), snn.Leaky(0.9)

class Rows(Net):
    def forward(self, x):
        mem, record = self.lif.reset_mem(), []
        for step in x.unbind(1):
            spk, mem = self.lif(3 * self.fc(step), mem)
            record.append(spk)
        return torch.stack(record)

class Repeating(Rows):
    def forward(self, x, num_steps):
        return super().forward(x.unsqueeze(1).repeat(1, num_steps, 1))
"""


@pytest.mark.parametrize(
    ("name", "shape", "options", "form"),
    [
        ("Rows", (3, 7, 6), (), ("loop", 1)),
        ("Repeating", (3, 6), ("--argument", "num_steps=7", "--time-axis", "none"), ("static", None)),
    ],
)
def test_a_model_is_exported_as_it_takes_its_input(
    aspen: Aspen, name: str, shape: Any, options: Any, form: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "forms_of_mine.py").write_text(MODELS, "utf-8")
    np.save("x.npy", np.random.default_rng(0).random(shape).round(1).astype(np.float32))
    code, out, err = aspen("export", f"forms_of_mine:{name}", "--sample", "x.npy", "--output", "a.aspen", *options)
    assert code == 0, err
    assert "Parity on 3 samples of 7 steps" in out
    provenance = load_network("a.aspen").provenance
    assert (provenance["form"]["kind"], provenance["form"]["time_axis"]) == form


def test_an_argument_without_a_value_is_refused(aspen: Aspen, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((3, 6), np.float32))
    options = ("--sample", tmp_path / "x.npy", "--output", tmp_path / "a.aspen", "--argument", "num_steps")
    code, _, err = aspen("export", "a:b", *options)
    assert code == 2
    assert "allowed is NAME=VALUE" in err
