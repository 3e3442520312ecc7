"""aspen sweep --save and aspen calibrate, as a user types them."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

from aspen.calibration.points import OperatingPoint
from aspen.calibration.storage import list_tables, load_table
from aspen.data import load_dataset
from aspen.dial.profile import DialProfile, load_profile, save_profile
from aspen.errors import InputError
from aspen.network.network import Dense, Lif, Network, Population
from aspen_emulator import run
from aspen_emulator.cli.calibrate import parse_frequency
from aspen_emulator.measuring import plots
from aspen_hardware import compile
from tests.emulator.cli.test_cli import Aspen, aspen

__all__ = ["aspen"]


def digits_network() -> Network:
    """Random features, and an output fitted to the training images by least squares: good enough for a dial."""
    rng = np.random.default_rng(0)
    data = load_dataset("digits")
    hidden = Dense("in", "hidden", rng.normal(0, 0.35, (150, 64)))
    neuron = Lif(threshold=1.0, beta=0.9)
    populations = (Population("in", (64,)), Population("hidden", (150,), neuron))
    spikes = data.encoder.encode(data.train.values, 1)
    rates = run(Network((*populations,), (hidden,)), spikes, record="spikes").rasters["hidden"].mean(axis=0)
    wanted = np.eye(10)[data.train.labels] - 0.1
    ridge = rates.T @ rates + 3.0 * np.eye(150)
    weight = 6 * np.linalg.solve(ridge, rates.T @ wanted).T
    return Network((*populations, Population("out", (10,), neuron)), (hidden, Dense("hidden", "out", weight)))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a file with a network for digits and a dial."""
    path = tmp_path_factory.mktemp("trained") / "net.aspen"
    network = digits_network()
    network.save(path)
    save_profile(DialProfile.uniform(network, 0.7, 3.0), path)
    return path.read_bytes()


@pytest.fixture
def file(trained: bytes, tmp_path: Path) -> Path:
    (tmp_path / "net.aspen").write_bytes(trained)
    return tmp_path / "net.aspen"


def test_sweep_prices_several_chips_and_keeps_a_table_of_each(
    aspen: Aspen, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[dict[str, list[list[OperatingPoint]]]] = []
    monkeypatch.setattr(plots, "plot_dial", lambda sweeps, *_, **__: drawn.append(sweeps))
    places = ["--output", file.parent / "points.csv", "--save", "--json", "--plot", file.parent / "points.png"]
    chips = ["--chip", "loihi1", "--chip", "generic-45nm"]
    code, out, err = aspen(
        "sweep", file, "--data", "digits", "--dial", "--knobs", "0,0.5,1", *chips, *places, "--early"
    )
    assert code == 0, err
    rows = json.loads(out)
    assert [(row["chip"], row["early"], row["knob"]) for row in rows] == [
        (name, early, knob) for early in (False, True) for name in ("loihi1", "generic-45nm") for knob in (0, 0.5, 1)
    ]
    with (file.parent / "points.csv").open() as stream:
        written = list(csv.DictReader(stream))
    assert [float(row["dynamic_nj"]) for row in written] == [row["dynamic_nj"] for row in rows]
    (sweeps,) = drawn  # of the first chip
    assert {name: [point.dynamic_nj for point in run] for name, (run,) in sweeps.items()} == {
        name: [row["dynamic_nj"] for row in rows if row["early"] == early and row["chip"] == "loihi1"]
        for name, early in (("net", False), ("net, ended early", True))
    }
    assert all(row["steps"] == 25 for row in rows if not row["early"])
    assert all(row["steps"] < 25 for row in rows if row["early"])
    tables = list_tables(file)
    assert sorted(table.key for table in tables) == ["profile@generic-45nm", "profile@loihi1"]
    assert all(table.data == "digits validation" and table.early is not None for table in tables)
    assert "saved in" in err
    code, out, _ = aspen("sweep", file, "--data", "digits", "--dial", "--knobs", "0", "--part", "test", "--early")
    assert code == 0
    assert "with inferences that end early, of 25 steps" in out


def test_sweep_refuses_what_would_choose_on_test_data(aspen: Aspen, file: Path) -> None:
    code, _, err = aspen("sweep", file, "--data", "digits", "--part", "test", "--save")
    assert (code, "test data is for the end" in err) == (2, True)
    code, _, err = aspen("sweep", file, "--data", "digits", "--part", "test", "--early", "--knobs", "1")
    assert (code, "found no calibration table" in err) == (1, True)
    code, _, err = aspen("calibrate", file, "--data", "digits", "--part", "test", "--min-accuracy", "0.5")
    assert (code, "allowed is validation" in err) == (2, True)


def test_sweep_averages_encodings(aspen: Aspen, file: Path) -> None:
    options = ["--data", "digits", "--knobs", "1", "--float", "--json"]
    one, three = (json.loads(aspen("sweep", file, *options, "--seeds", n)[1])[0] for n in (1, 3))
    assert one["hidden_spikes"] != three["hidden_spikes"]
    assert three["hidden_spikes"] == pytest.approx(one["hidden_spikes"], rel=0.02)
    code, _, err = aspen("sweep", file, "--input", file, "--labels", file, "--seeds", 2)
    assert (code, "found --seeds without --data or --values" in err) == (2, True)
    for text, message in (("1,x", "allowed are numbers"), ("1,1", "allowed is each knob once")):
        code, _, err = aspen("sweep", file, "--data", "digits", "--knobs", text)
        assert (code, message in err) == (2, True)


def test_calibrate_measures_chooses_and_keeps(aspen: Aspen, file: Path) -> None:
    options = ["--data", "digits", "--dial", "--knobs", "0,0.25,0.5,0.75,1"]
    code, out, err = aspen("calibrate", file, *options, "--min-accuracy", "0.7", "--json")
    assert code == 0, err
    said, table = json.loads(out), load_table(file)
    assert (table.chosen, table.dial, table.chip, said["settings"]) == (said["knob"], "profile", "loihi1", 5)
    enough = [point for point in table.points if point.accuracy >= 0.7]
    assert said["knob"] == enough[0].knob
    assert said["total_nj"] == pytest.approx(enough[0].dynamic_nj + enough[0].static_nj)  # type: ignore[operator]
    assert said["accuracy_low"] < enough[0].accuracy_low
    data = load_dataset("digits")
    deployment = compile(digits_network(), "loihi1", profile=load_profile(file))
    record = run(deployment, data.spikes("test"), load_profile(file).scale(said["knob"]))
    assert said["accuracy_low"] < (record.predictions == data.test.labels).mean() < said["accuracy_high"]
    code, out, _ = aspen("calibrate", file, "--stored", "--max-energy", "1mJ")
    assert code == 0
    assert f"chosen:   --dial --knob {table.best.knob:g}" in out
    assert re.search(r"energy: +[0-9.]+ uJ per inference: [0-9.]+ uJ static and [0-9.]+ [nu]J dynamic", out)
    assert load_table(file).chosen == table.best.knob
    code, out, _ = aspen("calibrate", file, "--stored", "--max-energy", "1mJ", "--dynamic")
    assert re.search(r"J dynamic per inference; beside it [0-9.]+ uJ static, not counted", out)
    battery = ["--battery", "100mAh@3.7V", "--hours", "2", "--rate", "60/min"]
    code, out, _ = aspen("calibrate", file, "--stored", *battery, "--gated")
    assert code == 0
    assert "battery:  lasts" in out
    assert "the chip off between inferences" in out


def test_calibrate_with_an_early_end(aspen: Aspen, file: Path) -> None:
    options = ["--data", "digits", "--scales", "1,2", "--early", "--max-loss", "1"]
    code, out, err = aspen("calibrate", file, *options, "--min-accuracy", "0.5")
    assert code == 0, err
    assert "inferences end early, after" in out
    assert "--seeds 4 encodes each anew" in err
    table = load_table(file)
    assert table.early is not None
    assert table.early.max_loss == 0.01
    assert all(early.steps < 25 for early in table.early_points)


def test_calibrate_without_a_chip(aspen: Aspen, file: Path) -> None:
    options = ["--data", "digits", "--scales", "1,2", "--float"]
    code, out, err = aspen("calibrate", file, *options, "--min-accuracy", "0.5")
    assert code == 0, err
    assert "no published figures" in out
    assert load_table(file).key == "scale@none"
    code, _, err = aspen("calibrate", file, "--stored", "--float", "--max-energy", "5uJ")
    assert (code, "found no published figures for a run on no chip" in err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--stored"], 2, "found no demand"),
        (["--stored", "--min-accuracy", "0.9", "--max-energy", "1uJ"], 2, "found --max-energy and --min-accuracy"),
        (["--stored", "--battery", "5kJ"], 2, "found --battery alone"),
        (["--stored", "--max-energy", "5uJ", "--hours", "3"], 2, "allowed with --battery"),
        (["--stored", "--max-energy", "5uJ", "--sure"], 2, "found --sure"),
        (["--stored", "--max-energy", "5"], 1, "found no unit in '5'"),
        (["--stored", "--max-energy", "5kW"], 1, "found the unit 'kW'"),
        (["--stored", "--battery", "5kJ", "--hours", "1", "--rate", "1"], 1, "write e.g. 1/s or 20/min"),
        (["--stored", "--battery", "100mAh", "--hours", "1", "--rate", "1/s"], 1, "charge at a voltage"),
        (["--stored", "--max-energy", "5uJ"], 1, "found no calibration table"),
        (["--stored", "--data", "digits", "--max-energy", "5uJ"], 2, "found --stored beside --data"),
        (["--max-energy", "5uJ"], 2, "found no samples"),
        (["--data", "digits", "--scales", "1,2", "--max-energy", "1uJ"], 1, "static alone takes"),
        (["--data", "digits", "--scales", "1,2", "--min-accuracy", "0.999"], 1, "possible is up to 0."),
        (["--data", "digits", "--knobs", "1", "--chip", "loihi2", "--max-energy", "1mJ"], 1, "no published figures"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    aspen: Aspen, file: Path, arguments: list[str], code: int, message: str
) -> None:
    before = file.read_bytes()
    found, _, err = aspen("calibrate", file, *arguments)
    assert (found, message in err) == (code, True), err
    assert file.read_bytes() == before


def test_frequencies() -> None:
    assert [parse_frequency(text) for text in ("1/s", "30/min", "3600 / h")] == [1.0, 0.5, 1.0]
    for wrong in ("0/s", "1", "1/d", "-1/s", "1Hz"):
        with pytest.raises(InputError, match="rate: found"):
            parse_frequency(wrong)


def test_one_knob_means_the_same_to_every_command(aspen: Aspen, file: Path) -> None:
    chip = ["--chip", "cortex-m4"]
    digits = ["--data", "digits", "--window-time", "1s"]
    options = ["--dial", "--early", "--knobs", "0,0.2,0.4", "--reach", "20", "--plot", file.parent / "front.png"]
    code, out, err = aspen("calibrate", file, *digits, *chip, *options)
    assert code == 0, err
    assert "the front of accuracy against total energy" in out
    assert [line.split("  ")[0] for line in out.splitlines() if line.endswith("x")] == [
        "dial alone", "early end alone", "both",
    ]  # fmt: skip
    assert f"aspen run {file} --knob 0.5 --chip cortex-m4" in out
    assert (file.parent / "front.png").read_bytes().startswith(b"\x89PNG")
    table = load_table(file, dial="front")
    assert load_table(file).key == "profile@cortex-m4"
    knob = table.points[len(table.points) // 2].knob
    data = load_dataset("digits")
    np.save(file.parent / "x.npy", data.spikes("test"))
    np.save(file.parent / "y.npy", data.test.labels)
    own = ["--input", file.parent / "x.npy", "--labels", file.parent / "y.npy"]
    code, out, err = aspen("run", file, *own[:4], *chip, "--knob", knob, "--output", file.parent / "o.npy", "--json")
    assert code == 0, err
    ran = json.loads(out)
    assert table.early is not None
    assert ran["front"]["doubt"] == table.early.level(knob)
    assert np.load(file.parent / "o.npy").sum() == ran["populations"]["out"]["spikes"]
    code, out, err = aspen("sweep", file, *digits, "--part", "test", *chip, "--knobs", f"0,{knob}", "--json")
    assert code == 0, err
    swept = json.loads(out)[1]
    assert (swept["accuracy"], swept["early"]) == (ran["accuracy"], True)
    assert swept["steps"] == pytest.approx(np.mean(ran["steps_taken"]))
    code, out, err = aspen("report", file, *digits, "--part", "test", *chip, "--knob", knob, "--json")
    assert code == 0, err
    report = json.loads(out)[0]
    assert report["per_inference_j"]["total"]["typical"] * 1e9 == pytest.approx(
        swept["dynamic_nj"] + swept["static_nj"]
    )
    windows = data.spikes("test").swapaxes(0, 1)
    np.save(file.parent / "x.npy", windows.reshape(-1, 64))
    code, out, err = aspen("stream", file, *own, "--window-time", "1s", *chip, "--knob", knob, "--json")
    assert code == 0, err
    streamed = json.loads(out)
    assert streamed["accuracy"] == ran["accuracy"]
    assert streamed["dynamic_per_window_j"] * 1e9 == pytest.approx(swept["dynamic_nj"], rel=1e-6)
    code, out, err = aspen("calibrate", file, "--stored", "--early", *chip, "--max-energy", "1mJ")
    assert code == 0, err
    assert "chosen:   --knob 0, inferences end early" in out
    np.save(file.parent / "x.npy", data.spikes("test")[:, :5])
    code, _, err = aspen("run", file, *own[:2], "--knob", "0.5", "--output", file.parent / "o.npy")
    assert (code, "a knob that was calibrated for cortex-m4, and none for loihi1" in err) == (2, True)
    code, _, err = aspen("run", file, *own[:2], "--float", "--knob", "0.5", "--output", file.parent / "o.npy")
    assert (code, "and none for no chip (--float); calibrate it for no chip (--float), or turn" in err) == (2, True)
    code, out, _ = aspen("run", file, *own[:2], "--dial", "--knob", "0.5", "--output", file.parent / "o.npy")
    assert (code, "learned dial, knob 0.5" in out) == (0, True)


def test_a_knob_that_was_not_calibrated_is_the_dials(aspen: Aspen, file: Path) -> None:
    np.save(file.parent / "x.npy", load_dataset("digits").spikes("test")[:, :5])
    answers = []
    for turn in (["--knob", "0.5"], ["--dial", "--knob", "0.5"]):
        code, out, err = aspen(
            "run", file, "--input", file.parent / "x.npy", "--output", file.parent / "o.npy", *turn, "--json"
        )
        assert code == 0, err
        answers.append(json.loads(out))
    assert answers[0] == answers[1]
    assert answers[0]["dial"] is True


def test_few_samples_are_refused_before_the_first_knob(
    aspen: Aspen, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aspen_emulator.cli.sweep.measure", lambda *_, **__: pytest.fail("measured"))
    np.save(file.parent / "x.npy", load_dataset("digits").spikes("test")[:, :20])
    np.save(file.parent / "y.npy", load_dataset("digits").test.labels[:20])
    own = ["--input", file.parent / "x.npy", "--labels", file.parent / "y.npy", "--early"]
    for command in (["calibrate"], ["sweep"]):
        code, out, err = aspen(*command, file, *own)
        assert (code, out) == (1, "")
        assert "found 20 samples, allowed are 200" in err
