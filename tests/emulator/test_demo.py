"""The demo and the examples, run as a user would, with little training."""

from __future__ import annotations

import csv
import json
import runpy
import sys
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from aspen import load_profile
from aspen.calibration.statistics import wilson
from aspen.data import digits
from aspen.errors import InputError, MissingDependencyError
from aspen.network.network import load_network
from aspen.network.record import Record
from aspen.storage.file import AspenFile
from aspen_emulator import demo, run, sweep
from aspen_emulator.demo import BOARD, CHIP, RECIPES, compare_with_lava, headline, run_demo
from aspen_emulator.engines.lava.shim import lava_available
from aspen_emulator.measuring.bench import KNOBS, SCALES
from aspen_hardware import load_deployment
from tests import ROOT
from tests.aspen.data.har_files import har_texts, zipped

EXAMPLES = ROOT / "examples"
pytestmark = pytest.mark.xdist_group("lava")  # one test runs Lava on what the others made


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, demo.DemoResult]:
    folder = tmp_path_factory.mktemp("demo") / "deep" / "er"
    return folder, run_demo(folder, seeds=2, epochs=2, lava=False)


def test_the_demo_leaves_everything_it_promises(results: tuple[Path, demo.DemoResult]) -> None:
    folder, result = results
    assert {p.name for p in folder.iterdir()} == {
        "dial.png", "sweep.csv", "network.aspen", "parity.json", "summary.md", "explore.html",
    }  # fmt: skip
    rows = list(csv.DictReader((folder / "sweep.csv").read_text().splitlines()))
    assert len(rows) == 2 * 2 * (2 * len(SCALES) + len(KNOBS))  # chips, seeds, networks
    assert {row["network"] for row in rows} == set(RECIPES)
    assert {row["chip"] for row in rows} == {CHIP, BOARD}
    assert (folder / "dial.png").read_bytes().startswith(b"\x89PNG")
    text = (folder / "summary.md").read_text()
    assert all(line in text for line in headline(result))
    assert json.loads((folder / "parity.json").read_text()) == {"skipped": "asked to leave Lava out"}


def test_the_page_says_what_the_sweep_says(results: tuple[Path, demo.DemoResult]) -> None:
    folder, result = results
    text = (folder / "explore.html").read_text("utf-8")
    found = json.loads(text.partition('id="data">')[2].partition("</script>")[0])
    first = [asdict(point) for point in result.sweeps[BOARD]["dialled"][0]]
    assert [setting["points"][BOARD] for setting in found["settings"]] == first
    assert found["stream"]["windows"] == len(digits().test)
    assert found["stream"]["dynamic_j"] / found["stream"]["windows"] <= 1.01 * found["stream"]["allowed_j"]
    assert len(text) < 2_500_000


def test_the_saved_network_gives_the_numbers_in_the_table(results: tuple[Path, demo.DemoResult]) -> None:
    folder, result = results
    data = digits()
    profile = load_profile(folder / "network.aspen")
    for on, step_time in ((CHIP, None), (BOARD, 0.04)):
        deployment = load_deployment(folder / "network.aspen", on)
        again = sweep(
            deployment, data.spikes("test"), data.test.labels, (0.1, 1.0), profile=profile, step_time=step_time
        )
        first = {p.knob: p for p in result.sweeps[on]["dialled"][0]}
        assert again == [first[0.1], first[1.0]]
        assert all(p.dynamic_nj > 0 and p.static_nj > 0 for p in again)
    trained = run(load_network(folder / "network.aspen"), data.spikes("test"))
    assert float((trained.predictions == data.test.labels).mean()) == result.float_accuracy["dialled"][0]


def test_the_dial_moves_what_a_battery_sees_on_a_microcontroller_and_not_on_loihi(
    results: tuple[Path, demo.DemoResult],
) -> None:
    _, result = results
    board, whole = ([p.total_nj for p in result.sweeps[on]["dialled"][0]] for on in (BOARD, CHIP))
    assert board[0] > 2 * board[-1]
    assert whole[0] < 1.01 * whole[-1]
    assert all(after < 1.01 * before for before, after in pairwise(board))  # between some knobs nobody goes off


@pytest.mark.lava
@pytest.mark.timeout(120)
@pytest.mark.skipif(not lava_available(), reason="lava-nc is not installed")
def test_lava_agrees_with_the_integer_engine_while_the_knob_turns(results: tuple[Path, demo.DemoResult]) -> None:
    deployment = load_deployment(results[0] / "network.aspen", "loihi1")
    parity = compare_with_lava(deployment, digits().spikes("test")[:, :8], load_profile(results[0] / "network.aspen"))
    assert parity["identical"]
    assert (parity["samples"], set(parity["knob"])) == (8, {0.0, 1.0})
    for name in deployment.network.names:
        entry = parity["populations"][name]
        assert entry["spikes_lava"] == entry["spikes_aspen"]
    assert parity["populations"]["lif1"]["spikes_lava"] > 50


def test_a_difference_is_found(results: tuple[Path, demo.DemoResult], monkeypatch: pytest.MonkeyPatch) -> None:
    from aspen_emulator.engines.run import ENGINES

    def wrong(*arguments: Any) -> Record:
        record = ENGINES["reference"](*arguments)
        raster = record.rasters["lif1"].copy()
        raster[3, 0, 0] ^= 1
        return replace(record, rasters={**record.rasters, "lif1": raster})

    monkeypatch.setitem(ENGINES, "lava", wrong)
    path = results[0] / "network.aspen"
    parity = compare_with_lava(load_deployment(path, "loihi1"), digits().spikes("test")[:, :2], load_profile(path))
    assert not parity["identical"]
    assert parity["populations"]["lif1"]["different"] == 1


def test_the_demo_asks_for_lava_before_it_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aspen_emulator.engines.lava.shim.lava_available", lambda: False)
    with pytest.raises(MissingDependencyError, match=r"lava.* --no-lava"):
        run_demo(tmp_path / "x")
    monkeypatch.setitem(sys.modules, "snntorch", None)  # without which leaving out Lava would not help
    with pytest.raises(MissingDependencyError, match=r"snntorch: .*needed for the demo; .*\[train\]"):
        run_demo(tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_the_demo_refuses_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot make this folder"):
        run_demo(tmp_path / "file" / "x", lava=False)
    with pytest.raises(InputError, match="seeds: found 0"):
        run_demo(tmp_path / "y", seeds=0, lava=False)


@pytest.mark.parametrize(
    "example",
    [
        "energy_sweep.py --epochs 2",
        "own_training_loop.py --steps 60",
        "knob_energy.py --epochs 1 --knobs 0.5",
        "raw_values.py --epochs 1",
        "two_levers.py --epochs 4",
    ],
)
def test_examples_run(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name, *options = example.split()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [name, *options])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    assert "%" in capsys.readouterr().out
    assert len((EXAMPLES / name).read_text().splitlines()) <= (60 if name == "energy_sweep.py" else 90)


def test_the_har_example_runs_from_a_zip_as_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "UCI HAR Dataset.zip"
    data.write_bytes(zipped(har_texts(6)))  # type: ignore[arg-type]
    command = ["har_energy_study.py", str(data), "--input", "current", "--chip", "loihi2", "--epochs", "1"]
    monkeypatch.setattr(sys, "argv", [*command, "--output", str(tmp_path / "out")])
    runpy.run_path(str(EXAMPLES / "har_energy_study.py"), run_name="__main__")
    out = capsys.readouterr().out
    assert "accurate: knob" in out
    assert "frugal, within 3 points: knob" in out
    file = AspenFile.open(tmp_path / "out" / "network.aspen")
    assert file.sections == ["dial", "encoder", "network"]
    assert load_network(file).input.graded is not None
    assert (tmp_path / "out" / "dial.png").stat().st_size > 10_000


def test_wilson_interval_against_published_values() -> None:
    # Newcombe, Statistics in Medicine 17 (1998), Table I, method 3: 81 of 263 and 0 of 20
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
