"""The programs on the page on training, in one short epoch a stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aspen.errors import TrainingWarning
from tests.pages import blocks


def test_the_programs_on_the_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    whole, changed, surrogate = blocks("training.md", "python")
    space: dict[str, Any] = {"__name__": "page"}
    quick = whole.replace("fit(model, data)", "fit(model, data, epochs=1, progress=False)").replace(
        "digits()", "digits(steps=5)"
    )
    with pytest.warns(TrainingWarning):  # of two epochs
        exec(quick, space)
    on = [int(line.split()[2]) for line in capsys.readouterr().out.splitlines()]
    assert on == sorted(on, reverse=True)
    assert 10 < on[2] <= 16 + 16 + 10 < on[0] <= 128 + 64 + 10
    assert (tmp_path / "net.aspen").is_file()
    exec(changed, space)
    first, second = space["narrow"].stages
    assert (first.density, second.density, second.dial.left) == (1.0, 0.1, 0.25)
    exec(surrogate, space)
    assert (space["neuron"].spike_grad.width, space["model"].lif1.spike_grad.width) == (1.0, 0.5)
