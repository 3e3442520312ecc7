"""The benchmark of the engines runs, compares the answers, and writes its table and plot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aspen_emulator.engines.lava.shim import lava_available
from tests.scripts import load_benchmark


@pytest.mark.lava
def test_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    module = load_benchmark("emulation", monkeypatch)
    module.main(["--tiny", "--output", str(tmp_path)])
    results = json.loads((tmp_path / "emulation.json").read_text())
    assert {what: len(rows) for what, rows in results["growth"].items()} == {
        what: len(settings) for what, settings in module.GROWTH.items()
    }
    assert ("lava_over_fast" in results["headline"]) == lava_available()
    assert results["headline"]["spikes_equal_to_snntorch"] == 1
    assert min(results["headline"]["ms"].values()) > 0
    assert (tmp_path / "emulation.png").stat().st_size > 1000
    assert "a step of a stream" in capsys.readouterr().out
