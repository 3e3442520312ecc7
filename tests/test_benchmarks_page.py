"""The tables of the page on benchmarks are what the benchmarks wrote, and the page says where they come from."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import ROOT
from tests.pages import page
from tests.scripts import load_benchmark

MACHINE = {
    "command": "python benchmarks/x.py --quick", "date": "2026-01-02", "processor": "A processor", "cores": 2,
    "load_at_start": 0.25, "python": "3.11", "numpy": "2.4", "numba": "0.68", "torch": "2.13", "snntorch": "1.0",
    "threads": 1,
}  # fmt: skip
GROWN = {"batch": [{"at": 16, "fast_ms": 1.0, "products_over_fast": 0.5}]}
EMULATION = {
    "machine": MACHINE, "setting": "18-128", "repeats": 3, "growth": GROWN, "memory": {"fast": 100.4},
    "convolutions": {},
    "headline": {
        "ms": {"fast": 47.123}, "lava_over_fast": 1962.3, "reference_over_fast": 60.0, "snntorch_over_float": 3.2,
        "snntorch_over_float_by_batch": {"16": 19.54}, "products_over_fast": 1.0, "one_sample_in_c_ms": None,
        "stream_us": 8.51,
    },
}  # fmt: skip
TRAINING = {
    "machine": MACHINE, "repeats": 9,
    "base": {
        "setting": {"sizes": [18, 6], "batch": 128, "steps": 64}, "ms": {"fused": 4.2}, "fastest_ms": {"fused": 4.0},
        "perturbed_over_fused": 1.021,
    },
    "growth": {
        "depth": [
            {"at": 2, "loop_over_fused": 4.2, "fused_over_products": 1.3, "dense_over_fused": 1.5, "activity": 7.04}
        ]
    },
    "har": {"fused_over_dense": 0.7512},
}  # fmt: skip


def test_make_bench_writes_its_tables_between_the_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = load_benchmark("page", monkeypatch)
    for name, found in (("emulation", EMULATION), ("training", TRAINING)):
        (tmp_path / f"{name}.json").write_text(json.dumps(found))
    target = tmp_path / "page.md"
    target.write_text(f"before\n{module.BEGIN}old\n{module.END}after\n")
    for _ in range(2):  # what is there already makes way
        module.main([str(tmp_path), str(target)])
        text = target.read_text("utf-8")
        assert (text.startswith(f"before\n{module.BEGIN}"), text.endswith(f"{module.END}after\n")) == (True, True)
        assert "\nold\n" not in text
        assert capsys.readouterr().out.strip() in text
    for line in (
        "| Lava's runtime / fast, all samples | 1,960 x |", "| Lava's runtime / fast, one sample | not measured |",
        "| fast | 47.1 ms |", "| a step of a stream | 0.00851 ms |", "| fast | 100 MiB |", "| fused | 4.2 ms | 4 ms |",
        "| depth | 2 | 4.2 x | 1.3 x | 1.5 x | 7.0 % |", "| one sample in C | not measured |",
    ):  # fmt: skip
        assert f"{line}\n" in text
    assert "`python benchmarks/x.py --quick`, 2026-01-02; A processor, 2 cores, load 0.2 at the start" in text
    assert "Perturbed thresholds cost +2.1 %." in text
    assert "Whole trainings of `har-levels`, encoding and validation included: 0.75 times as long by spikes" in text


def test_the_page_has_a_place_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    module = load_benchmark("page", monkeypatch)
    assert [page("benchmarks.md").count(mark) for mark in (module.BEGIN, module.END)] == [1, 1]


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_make_gives_each_benchmark_options_that_it_has() -> None:
    (typed,) = re.findall(r"`make (bench .*RUNNING.*)`", page("benchmarks.md"))
    made = subprocess.run(
        ["make", "--dry-run", "--assume-old=venv/installed", "VENV=venv", *shlex.split(typed)],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    lines = [line.split()[1:] for line in made.stdout.splitlines() if line.startswith("venv/bin/python ")]
    assert [line[0] for line in lines] == [f"benchmarks/{name}.py" for name in ("emulation", "training", "page")]
    for script, *options in lines:
        known = re.findall(r'add_argument\("(--[\w-]+)"', (ROOT / script).read_text("utf-8"))
        assert {option for option in options if option.startswith("--")} <= {*known}, script
    assert "--full-convolutions" in lines[0]
    assert "--threads" in lines[1]
