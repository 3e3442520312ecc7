"""The benchmark on a GPU, where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.scripts import load_benchmark


def test_without_a_gpu_it_says_that_no_speed_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    load_benchmark("gpu", monkeypatch).main(["--output", str(tmp_path / "made")])
    said = capsys.readouterr().out
    assert "no speed on a GPU was measured" in said
    assert "Triton" in said
    assert not (tmp_path / "made").exists()


def test_its_contenders_train_and_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU, in small."""
    gpu = load_benchmark("gpu", monkeypatch)
    steps = gpu.contenders(gpu.Setting(8, 2, 3), torch.device("cpu"))
    waits: list[int] = []
    ms = gpu.measure(steps, 2, lambda: waits.append(1))
    assert list(ms) == ["snnTorch loop", "fused", "fused, bfloat16", "fused, perturbed"]
    assert all(took > 0 for took in ms.values())
    assert len(waits) == 2 * 4 * (2 + gpu.WARM_UP)
    assert "1.00 x" in gpu.table(ms)


def test_numbers_below_one_are_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load_benchmark("gpu", monkeypatch).main(["--steps", "0"])
    assert "allowed is 1 and more" in capsys.readouterr().err
