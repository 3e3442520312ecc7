"""The benchmark of the engines runs, compares the answers, and writes its table and plot."""

from __future__ import annotations

import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

FILE = Path(__file__).parents[1] / "benchmarks" / "emulation.py"


def test_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    if not FILE.is_file():
        pytest.skip("no benchmarks folder beside the tests; run from the repository")
    pytest.importorskip("matplotlib")
    spec = spec_from_file_location("emulation", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "emulation", module)
    monkeypatch.syspath_prepend(str(FILE.parent))
    spec.loader.exec_module(module)
    module.main(["--tiny", "--output", str(tmp_path)])
    results = json.loads((tmp_path / "emulation.json").read_text())
    assert set(results["growth"]) == {"batch", "steps", "width", "depth", "density"}
    assert results["headline"]["spikes_equal_to_snntorch"] == 1
    assert min(results["headline"]["ms"].values()) > 0
    assert (tmp_path / "emulation.png").stat().st_size > 1000
    assert "a step of a stream" in capsys.readouterr().out
