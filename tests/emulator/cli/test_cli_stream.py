"""``aspen stream`` as a user types it: budgets held, logs, plots, going on from a state, refusals; and the example."""

from __future__ import annotations

import csv
import json
import sys
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from aspen.calibration.storage import save_table
from aspen.data import CurrentEncoder, LevelEncoder, save_encoder
from aspen.errors import UnwrittenError
from aspen.storage.growing import GrowingFile
from aspen_emulator import run
from aspen_emulator.cli.main import aspen, main
from aspen_emulator.measuring.bench import Bench, measure
from aspen_emulator.measuring.tables import make_tables
from aspen_hardware import chip, compile
from tests import ROOT
from tests.aspen.data.har_files import har_texts, write_folder
from tests.emulator.engines.c.programs import needs_compiler
from tests.networks import float_network, random_spikes

STEPS = 8
STATIC = 96.3e-3
"""Watts of the whole chip."""
DEPTH = 12
"""Lines of the encoder: 3 channels of 4 levels."""


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A network with a calibration table and an encoder: 16 samples are 8 steps."""
    deployment = compile(float_network(1, (DEPTH, 10, 4), bias=False), chip("loihi1"))
    spikes = random_spikes(0, STEPS, 60, DEPTH, density=0.25)
    labels = run(deployment, spikes).predictions
    bench = Bench(deployment, [spikes], labels, [chip("loihi1")])
    path = tmp_path / "net.aspen"
    float_network(1, (DEPTH, 10, 4), bias=False).save(path)
    save_encoder(LevelEncoder(CurrentEncoder(), 4, 2).fit(values(64)[None]), path)
    (table,) = make_tables(bench, measure(bench, [1.0, 1.5, 2.0, 3.0]), "random spikes", max_loss=0.2)
    save_table(table, path)
    return path


def values(samples: int) -> np.ndarray[Any, Any]:
    """(samples, 3) of a sensor, calmer at times."""
    rng = np.random.default_rng(0)
    size = np.repeat(rng.choice([0.1, 1.0], samples // 64 + 1), 64)[:samples]
    return (rng.normal(size=(samples, 3)) * size[:, None]).astype(np.float32)


def stream(*arguments: object) -> str:
    result = CliRunner().invoke(aspen, ["stream", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def refused(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 1) -> str:
    with pytest.raises(SystemExit) as caught:
        main(["stream", *map(str, arguments)])
    assert caught.value.code == code
    return capsys.readouterr().err


@pytest.fixture
def sensor(tmp_path: Path) -> Path:
    np.save(tmp_path / "day.npy", values(16 * 300 + 5))
    return tmp_path / "day.npy"


def uncontrolled(network: Path, sensor: Path) -> float:
    """Dynamic energy per window with the thresholds as trained."""
    found = json.loads(stream(network, "--values", sensor, "--knob", 1, "--json"))
    assert (found["windows"], found["skipped"]) == (300, 0)
    return float(found["dynamic_per_window_j"])


def test_a_budget_is_held_logged_and_drawn(network: Path, sensor: Path, tmp_path: Path) -> None:
    allowed = uncontrolled(network, sensor) / 1.5
    log, plot, labels = tmp_path / "log.csv", tmp_path / "plot.png", tmp_path / "labels.npy"
    np.save(labels, np.zeros(300, np.int64))
    arguments = (network, "--values", sensor, "--labels", labels, "--budget", f"{allowed * 1e9}nJ/window", "--dynamic",
                 "--window-time", "2.56s", "--log", log, "--plot", plot)  # fmt: skip
    text = stream(*arguments)
    found = json.loads(stream(*arguments, "--json"))
    assert found["dynamic_per_window_j"] == pytest.approx(allowed, rel=0.03)
    assert found["static_j"] == pytest.approx(STATIC * 300 * 2.56)
    assert "300 windows, 12.8 min" in text
    assert "labelled windows answered correctly" in text
    rows = list(csv.DictReader(log.read_text().splitlines()))
    assert len(rows) == 300
    assert sum(float(row["dynamic"]) for row in rows) == pytest.approx(found["dynamic_j"])
    assert np.mean([int(row["prediction"]) == 0 for row in rows]) == pytest.approx(found["accuracy"])
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_log_that_cannot_be_written_leaves_state_plot_and_summary(
    network: Path, sensor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = iter(range(5))

    def write(file: GrowingFile, text: str) -> None:
        if next(lines, None) is None:
            raise UnwrittenError("log.csv: cannot write there (No space left on device)")

    monkeypatch.setattr(GrowingFile, "write", write)
    log, plot, state = tmp_path / "log.csv", tmp_path / "plot.svg", tmp_path / "state.json"
    with pytest.raises(SystemExit) as caught:
        main(["stream", *map(str, (network, "--values", sensor, "--knob", 1, "--log", log, "--plot", plot, "--state",
                                   state))])  # fmt: skip
    out, err = capsys.readouterr()
    assert (caught.value.code, "log.csv: cannot write there" in err, out.split()[0]) == (1, True, "5")
    assert json.loads(state.read_text())["windows"] == 5
    assert b"<svg" in plot.read_bytes()


def test_it_goes_on_from_its_state(network: Path, sensor: Path, tmp_path: Path) -> None:
    budget = f"{uncontrolled(network, sensor) * 1e9 / 2}nJ/window"
    whole, halves, state = tmp_path / "whole.csv", tmp_path / "halves.csv", tmp_path / "state.json"
    common = (network, "--values", sensor, "--budget", budget, "--dynamic", "--early", "--json")
    wanted = json.loads(stream(*common, "--log", whole))
    answered = 0
    for part in ("--windows 70", "--windows 1", "--windows 500"):
        found = json.loads(stream(*common, "--log", halves, "--state", state, *part.split()))
        answered += sum(found["answers"].values())
    each = {"answers", "predictions"}  # of one command's windows
    assert {k: v for k, v in found.items() if k not in each} == {k: v for k, v in wanted.items() if k not in each}
    assert answered == sum(wanted["answers"].values()) == wanted["windows"]
    assert halves.read_text() == whole.read_text()


def test_batteries_confidence_and_spikes(network: Path, sensor: Path, tmp_path: Path) -> None:
    seconds = 300 * 2.56
    joules = STATIC * seconds + 300 * uncontrolled(network, sensor) / 2
    found = json.loads(stream(network, "--values", sensor, "--window-time", "2.56s", "--battery", f"{joules}J",
                              "--hours", seconds / 3600, "--json"))  # fmt: skip
    assert 0 <= found["state_of_charge"] < 0.01
    assert abs(found["seconds_to_deadline"]) < 1e-6
    assert "battery: " in stream(network, "--values", sensor, "--battery", "5kJ", "--hours", 1)
    spikes = random_spikes(3, 5 * STEPS + 3, 1, DEPTH)
    np.save(tmp_path / "spikes.npy", spikes)
    for engine in ("fast", "reference"):
        found = json.loads(stream(network, "--input", tmp_path / "spikes.npy", "--confidence", 0.2, "--engine", engine,
                                  "--json"))  # fmt: skip
        assert found["windows"] == 5
        assert found["left_j"] is None


def test_in_real_time_it_waits(network: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "spikes.npy", random_spikes(3, 3 * STEPS, 1, DEPTH))
    waited: list[float] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.sleep", waited.append)
        patch.setattr("time.monotonic", lambda: 10.0)
        stream(network, "--input", tmp_path / "spikes.npy", "--knob", 1, "--real-time", "--window-time", "2s")
    assert waited == [2.0, 4.0, 6.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--budget 1nJ/window", "allowed is more than the static power of 96.3 mW"),
        ("--budget 5/window", "found no unit in '5'"),
        ("--budget 5uJ", "allowed is an energy per window or hour"),
        ("--budget 5uX/window", "found the unit 'uX', allowed are pJ"),
        ("--battery 100mAh --hours 5", "write e.g. 100mAh@3.7V"),
        ("--battery 1J --hours 5", "possible are 10.4 s with the network idle"),
        ("--budget 1J/h --dial", "found no calibration table profile for loihi1 (stored: scale@loihi1)"),
    ],
)
def test_impossible_demands_are_refused(
    network: Path, sensor: Path, capsys: pytest.CaptureFixture[str], options: str, message: str
) -> None:
    assert message in refused(capsys, network, "--values", sensor, *options.split())


@pytest.mark.parametrize(
    "options", ["", "--knob 1 --confidence 0.5", "--battery 5J", "--hours 3", "--knob 1 --input X", "--knob 1"]
)
def test_wrong_usage_is_refused(network: Path, sensor: Path, capsys: pytest.CaptureFixture[str], options: str) -> None:
    given = options.replace("X", str(sensor)).split()
    extra = ["--values", str(sensor)] if options != "--knob 1" else []
    assert "found" in refused(capsys, network, *extra, *given, code=2)


def test_without_a_table_it_says_what_makes_one(
    sensor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = tmp_path / "bare.aspen"
    float_network(1).save(bare)
    assert "make one with `aspen sweep --save` or `aspen calibrate`" in refused(
        capsys, bare, "--values", sensor, "--knob", 1
    )


@pytest.mark.parametrize("damage", ["{", "[]", '{"stream": 3}'])
def test_a_damaged_state_is_refused(
    network: Path, sensor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    state = tmp_path / "state.json"
    state.write_text(damage)
    assert "state" in refused(capsys, network, "--values", sensor, "--knob", 1, "--state", state)
    assert state.read_text() == damage


@pytest.mark.timeout(240)
def test_the_example_runs_on_a_small_generated_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("snntorch")
    folder = ROOT / "examples"
    if not folder.is_dir():
        pytest.skip("no examples folder beside the tests; run from the repository")
    monkeypatch.syspath_prepend(str(folder))
    spec = spec_from_file_location("hapt_budget", folder / "hapt_budget.py")
    assert spec is not None
    assert spec.loader is not None
    example = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "hapt_budget", example)
    spec.loader.exec_module(example)
    monkeypatch.setattr(example, "KNOBS", (0.0, 0.5, 1.0))
    monkeypatch.setattr(example, "drained", partial(example.drained, hours=1.1))
    write_folder(har_texts(people=7), tmp_path / "UCI HAR Dataset")
    write_folder(recordings(), tmp_path / "RawData")
    example.main(["--har", str(tmp_path), "--hapt", str(tmp_path / "RawData"), "--seeds", "1", "--epochs", "1",
                  "--max-loss", "0.1", "--output", str(tmp_path / "runs")])  # fmt: skip
    (found,) = json.loads((tmp_path / "runs" / "results-cortex-m4.json").read_text())
    assert found["windows"] == 60
    assert all(row["spent"] <= 1.1 for row in found["budgets"])
    assert all(row["hour"] <= 1 for row in found["drain"].values())
    half = next(row for row in found["budgets"] if row["factor"] == 2 and not row["early"] and not row["total"])
    assert found["battery"]["left"] >= 0
    assert found["battery"]["dynamic_left"] == pytest.approx(1 - half["spent"], abs=0.02)  # both aim at half


def recordings() -> dict[str, str]:
    """Two recordings in HAPT's format, of people that the generated UCI HAR does not have."""
    rng = np.random.default_rng(1)
    files, labels = {}, []
    for experiment, user in ((1, 20), (2, 22)):
        signal = rng.normal(0, 0.3, (30 * 128 + 7, 3))
        files[f"acc_exp{experiment:02d}_user{user:02d}.txt"] = "".join(
            f"{x:.7f} {y:.7f} {z:.7f}\n" for x, y, z in signal
        )
        labels += [f"{experiment} {user} {a + 1} {a * 640 + 1} {(a + 1) * 640}\n" for a in range(6)]
    return {**files, "labels.txt": "".join(labels)}


@needs_compiler
def test_a_stream_in_c_spends_what_one_on_the_fast_engine_does(network: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "spikes.npy", random_spikes(3, 3 * STEPS, 1, DEPTH))
    found = [
        json.loads(stream(network, "--input", tmp_path / "spikes.npy", "--knob", 1, "--engine", engine, "--json"))
        for engine in ("c", "fast")
    ]
    assert found[0] == found[1]
