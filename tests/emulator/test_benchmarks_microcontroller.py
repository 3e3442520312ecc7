"""The benchmark of the C program runs, meets its targets, and its ANN computes what it should."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.emulator.engines.cortex_m.needed import needs_emulator
from tests.scripts import load_benchmark

pytestmark = needs_emulator


def test_it_runs_and_the_targets_are_met(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = load_benchmark("microcontroller", monkeypatch)
    module.main(["--core", "cortex-m4", "--samples", "1", "--output", str(tmp_path)])
    results = json.loads((tmp_path / "microcontroller.json").read_text())["cortex-m4"]
    taken = {(row["what"], row["own"]): row["cycles"]["typical"] for row in results["kernels"]}
    assert taken["operation, dense", False] <= 2
    assert taken["operation, dense", True] <= 2
    assert taken["update", False] <= 12
    assert taken["update", True] <= 18
    dense, pruned = results["inferences"]
    assert dense["ann_operations"] == 64 * 128 + 128 * 64 + 64 * 10
    assert pruned["ann_operations"] < dense["ann_operations"] / 5
    assert dense["ratio"] == dense["cycles"]["typical"] / dense["ann_cycles"]["typical"]
    assert "SNN / ANN" in capsys.readouterr().out
