"""The benchmark on quantisation runs, goes on where it stopped, and compares on test data only when told to."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from tests.aspen.data.har_files import har_texts, zipped
from tests.scripts import load_benchmark


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, with two of its resets."""
    module = load_benchmark("quantisation", monkeypatch)
    monkeypatch.setattr(module, "RESETS", (("subtract", True), ("none", True)))
    monkeypatch.setattr(module, "CALIBRATED_ON", 3)
    return module


def test_the_benchmark_trains_once_and_measures_both_parts(
    benchmark: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "har.zip"
    archive.write_bytes(zipped(dict(har_texts(people=8))))
    arguments = ["--only", "har-conv", "--har-path", str(archive), "--seeds", "1", "--epochs", "1"]
    arguments += ["--output", str(tmp_path / "out")]
    with pytest.raises(SystemExit, match="not trained yet; run the same command without --test first"):
        benchmark.main([*arguments, "--test"])
    benchmark.main(arguments)
    trained = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.aspen")}
    assert len(trained) == 4
    benchmark.main([*arguments, "--test"])
    assert {path: path.stat().st_mtime_ns for path in trained} == trained
    printed = capsys.readouterr().out
    assert "Accuracy on test data in percent" in printed
    assert "har-conv, calibrated: 4 networks lose" in printed
    result = json.loads((tmp_path / "out" / "test_har-conv.json").read_text())
    rows = result["networks"]
    assert {(row["reset"], row["chip"]) for row in rows} == {("subtract", "loihi2"), ("none", "loihi1")}
    for row in rows:
        assert row["samples"] == 12
        changed = row["only_integers"] - row["only_float"]
        assert row["integers"] - row["float"] == pytest.approx(100 * changed / 12)
    assert len(result["summary"]) == 8
    assert {row["compiled"] for row in rows} == {"integers", "calibrated"}


def test_the_benchmark_says_when_har_is_missing(benchmark: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="UCI HAR: found no --har-path"):
        benchmark.main(["--only", "har", "--output", str(tmp_path)])
