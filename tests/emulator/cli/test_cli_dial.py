"""A dial on the command line: trained, kept in the file, turned."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aspen.calibration.storage import OperatingPoint, pareto_front
from aspen.data import DATASETS
from aspen.dial.profile import DialProfile, load_profile, save_profile
from aspen.errors import InputError
from aspen.network.network import Dense, Lif, Network, Population, load_network
from aspen.storage.file import AspenFile
from aspen_emulator import run
from aspen_emulator.study import problems
from aspen_emulator.study.cells import train_cell
from aspen_emulator.study.report import silence
from aspen_emulator.study.results import Spread, best_within, dial_facts, setting_within, span
from aspen_hardware import chip, compile, load_deployment
from aspen_hardware.placing.dials import dial_classes, dial_findings
from tests.emulator.cli.test_cli import Aspen, aspen
from tests.networks import random_spikes

__all__ = ["aspen"]


def wide_network() -> Network:
    """Six inputs, twelve hidden neurons, four outputs; one threshold for all."""
    rng = np.random.default_rng(0)
    neuron = Lif(threshold=1.0, beta=0.9)
    populations = [Population("in", (6,)), Population("layer1", (12,), neuron), Population("out", (4,), neuron)]
    weights = [rng.normal(0.2, 0.4, shape) for shape in ((12, 6), (4, 12))]
    return Network(populations, [Dense("in", "layer1", weights[0]), Dense("layer1", "out", weights[1])])


@pytest.fixture
def dialled(tmp_path: Path) -> Path:
    """A folder with a network with a dial, and spikes."""
    network = wide_network()
    network.save(tmp_path / "net.aspen")
    slopes = np.linspace(0.5, 1.5, network["layer1"].size)
    save_profile(DialProfile({"layer1": slopes}), tmp_path / "net.aspen")
    np.save(tmp_path / "x.npy", random_spikes(0, 20, 8, 6))
    np.save(tmp_path / "y.npy", np.arange(8) % 4)
    return tmp_path


def test_run_turns_the_dial(aspen: Aspen, dialled: Path) -> None:
    files = ["--input", dialled / "x.npy", "--output", dialled / "out.npy"]
    code, out, err = aspen("run", dialled / "net.aspen", *files, "--dial", "--knob", "0.7", "--json")
    assert code == 0
    assert {"knob": 0.7, "dial": True}.items() <= json.loads(out).items()
    assert "thresholds that the dial moves differently, loihi1 stores 8 per core" in err
    network, profile = load_network(dialled / "net.aspen"), load_profile(dialled / "net.aspen")
    deployment = compile(network, "loihi1", profile=profile)
    expected = run(deployment, np.load(dialled / "x.npy"), profile.scale(0.7)).output
    np.testing.assert_array_equal(np.load(dialled / "out.npy"), expected)
    code, _, err = aspen("run", dialled / "net.aspen", *files, "--dial", "--knob", "0.7", "--threshold-scale", "2")
    assert (code, "found --dial beside --threshold-scale" in err) == (2, True)
    code, _, err = aspen("run", dialled / "net.aspen", *files, "--dial", "--knob", "1.7")
    assert (code, "knob: found 1.7, allowed is a number from 0 to 1" in err) == (1, True)


def test_compile_keeps_the_dial_and_makes_room_for_it(aspen: Aspen, dialled: Path) -> None:
    code, _, _ = aspen("compile", dialled / "net.aspen", "--output", dialled / "other.aspen")
    assert code == 0
    network, profile = load_network(dialled / "other.aspen"), load_profile(dialled / "other.aspen")
    steep = replace(profile, slopes={"layer1": np.full(12, np.log(40))})
    assert steep.largest_factor == pytest.approx(40)
    deployment = compile(network, "loihi1", profile=steep)
    assert deployment.rounding["layer1"].largest_scale >= 40
    stored = load_deployment(dialled / "other.aspen", "loihi1")
    found = stored.network["layer1"].neuron.threshold  # type: ignore[union-attr]
    wanted = compile(network, "loihi1", profile=profile).network["layer1"].neuron.threshold  # type: ignore[union-attr]
    np.testing.assert_array_equal(found, wanted)


def test_what_was_turned_is_said(aspen: Aspen, dialled: Path) -> None:
    files = ["--input", dialled / "x.npy", "--output", dialled / "out.npy"]
    path, plain = dialled / "net.aspen", dialled / "plain.aspen"
    load_network(path).save(plain)
    cases = [
        ((plain, "--knob", "1.5"), "threshold scale 1.5", {"knob": 1.5, "threshold_scale": {"layer1": 1.5}}),
        ((path, "--threshold-scale", "1.5"), "threshold scale 1.5", {"knob": 1.5, "dial": False}),
        ((path,), "threshold scale 1", {"knob": 1.0, "dial": False, "threshold_scale": {}}),
        ((path, "--threshold-scale", "out=2"), "threshold scale out=2", {"knob": None, "dial": False}),
        ((path, "--dial", "--knob", "0"), "learned dial, knob 0", {"knob": 0.0, "dial": True}),
    ]
    for given, words, values in cases:
        for command in (["run", *files], ["report", *files[:2]]):
            code, out, err = aspen(command[0], *given, *command[1:])
            said = words in out.splitlines() if command[0] == "run" else f", {words}:" in out.splitlines()[0]
            assert (code, said) == (0, True), (out, err)
            found = json.loads(aspen(command[0], *given, *command[1:], "--json")[1])
            assert values.items() <= (found if command[0] == "run" else found[0]).items()


def test_a_bare_knob_is_a_threshold_scale(aspen: Aspen, dialled: Path) -> None:
    network = load_network(dialled / "net.aspen")
    network.save(dialled / "plain.aspen")
    files = ["--input", dialled / "x.npy", "--output", dialled / "out.npy"]
    assert aspen("run", dialled / "plain.aspen", *files, "--knob", "0.4")[0] == 0
    expected = run(compile(network, "loihi1"), np.load(dialled / "x.npy"), 0.4).output
    np.testing.assert_array_equal(np.load(dialled / "out.npy"), expected)
    assert expected.sum() != run(compile(network, "loihi1"), np.load(dialled / "x.npy")).output.sum()


def test_a_sweep_says_what_its_knobs_are(aspen: Aspen, dialled: Path) -> None:
    given = ["sweep", dialled / "net.aspen", "--input", dialled / "x.npy", "--labels", dialled / "y.npy"]
    dial, named, scales = (
        aspen(*given, *more)[1]
        for more in (["--knobs", "0.5,1"], ["--knobs", "0.5,1", "--dial"], ["--scales", "0.5,1"])
    )
    assert [text.split("accuracy")[0].strip() for text in (scales, dial)] == [
        "loihi1:\nthreshold scale",
        "loihi1:\nknob",
    ]
    assert named == dial  # as --knob of a run is, where nothing was calibrated
    code, _, err = aspen(*given, "--scales", "0.5,1", "--dial")
    assert (code, "found --dial beside --scales, allowed is one lever" in err) == (2, True)
    out = aspen(*given, "--knobs", "0.5,1", "--dial", "--json")[1]
    assert [(row["knob"], row["dial"]) for row in json.loads(out)] == [(0.5, True), (1.0, True)]


def test_sweep_turns_the_dial(aspen: Aspen, dialled: Path) -> None:
    files = ["--input", dialled / "x.npy", "--labels", dialled / "y.npy"]
    code, out, _ = aspen("sweep", dialled / "net.aspen", *files, "--dial", "--float", "--json")
    points = json.loads(out)
    assert code == 0
    assert [point["knob"] for point in points] == [k / 10 for k in range(11)]
    assert points[0]["hidden_spikes"] > points[-1]["hidden_spikes"]


def test_train_keeps_the_dial_and_resumes(aspen: Aspen, tmp_path: Path) -> None:
    options = ["--recipe", "aspen", "--epochs", "1", "--hidden", "10,8", "--checkpoint", tmp_path / "c.pt"]
    code, out, err = aspen("train", *options, "--output", tmp_path / "a.aspen", "--log", tmp_path / "log")
    assert code == 0, err
    assert "knob at 0.5" in out
    assert "with its dial" in out
    assert (tmp_path / "log" / "epochs.csv").read_text().count("\n") == 4
    code, _, _ = aspen("train", *options, "--output", tmp_path / "b.aspen", "--resume")
    assert code == 0
    one, two = load_profile(tmp_path / "a.aspen"), load_profile(tmp_path / "b.aspen")
    for name, slopes in one.slopes.items():
        np.testing.assert_array_equal(slopes, two.slopes[name])
        assert len(np.unique(slopes)) <= 8
    code, _, err = aspen("train", "--output", tmp_path / "x.aspen", "--resume")
    assert (code, "--resume without --checkpoint" in err) == (2, True)


def test_a_chip_counts_what_the_dial_moves_differently() -> None:
    network = wide_network()
    n = network["layer1"].size
    grouped = DialProfile({"layer1": np.arange(n) % 4 / 4})
    assert dial_classes(network, grouped, "layer1").tolist() == [i % 4 for i in range(n)]
    assert list(dial_findings(network, grouped, chip("loihi1"))) == []
    deployment = compile(network, "loihi1", profile=grouped)
    thresholds = deployment.network["layer1"].neuron.threshold  # type: ignore[union-attr]
    assert len(np.unique(thresholds)) <= 4
    for one in range(4):
        assert len(np.unique(np.broadcast_to(thresholds, (n,))[one::4])) == 1


def point(scale: float, spikes: float, accuracy: float) -> OperatingPoint:
    return OperatingPoint(scale, accuracy, 0.0, 1.0, spikes, 0.0, 0.0, 1.0 + spikes, 10.0, 100)


def test_the_front_rises_and_choices_are_made_on_it() -> None:
    validation = [point(0.0, 300, 0.9), point(0.5, 100, 0.91), point(0.75, 60, 0.85), point(1.0, 30, 0.85)]
    assert [p.knob for p in pareto_front(validation)] == [1.0, 0.5]
    best = best_within([("a", validation[0]), ("b", validation[1])], 500)
    assert best is not None
    assert best[0] == "b"
    assert best_within([("a", validation[0])], 200) is None
    test = [point(0.0, 310, 0.95), point(0.5, 90, 0.86), point(0.75, 60, 0.8), point(1.0, 30, 0.88)]
    facts = dial_facts(pareto_front(validation), test)
    assert facts.accurate == (pytest.approx(86), 90)
    assert facts.span_kept == 3.0
    assert facts.span == facts.span_close == 1.0  # the best setting stands alone
    assert setting_within(validation, 350) is validation[0]  # 0.9 and 0.91 average alike with their neighbours
    assert setting_within(validation, 100) is validation[1]
    assert setting_within(validation, 20) is None
    falling = [point(0.0, 300, 0.8), point(0.5, 100, 0.9), point(1.0, 30, 0.95)]
    assert setting_within(falling, 500) is falling[2]  # accuracy speaks for it, twice
    steady = [point(1.0, 10, 0.9), point(0.5, 40, 0.88), point(0.2, 100, 0.86), point(0.0, 400, 0.89)]
    assert span(steady, 0.03) == 4.0  # it dips below 0.87 on the way to 400 spikes
    assert span(steady, 0.05) == 40.0
    assert span([point(1.0, 0, 0.5)], 0.03) == 1.0
    assert facts.worst_drop == pytest.approx(2.0)
    assert str(Spread.of([1.0, 2.0, 3.0])) == "2.0 ± 2.5"  # 4.303 * 1 / sqrt(3)


def test_a_study_names_what_often_has_no_answer() -> None:
    small = replace(problems.PROBLEMS["digits"], prices=(), perturbed=False)
    loud, quiet = point(0.0, 300, 0.5), replace(point(0.5, 100, 0.5), unanswered=0.2)
    test = {f"{cell}-seed{seed}/float": [loud, quiet if cell == "dial" and seed else replace(quiet, unanswered=0.0)]
            for cell in ("dial", "plain") for seed in range(2)}  # fmt: skip
    assert silence(small, test, 2, "float") == [
        "- No answer for more than 5% of the samples: dial at 0.5 (up to 10%)."
    ]  # 20 % in one of two seeds
    assert silence(small, test, 1, "float") == []


def test_a_study_asks_for_all_its_data_before_it_trains(aspen: Aspen, tmp_path: Path) -> None:
    code, out, err = aspen("study", "digits", "har", "--folder", tmp_path / "study")
    assert (code, out, "har: found no path" in err) == (1, "", True)
    assert not (tmp_path / "study").exists()
    with pytest.raises(InputError, match="digits: found the path here, allowed is none"):
        DATASETS["digits"].check_path("here")


def test_a_study_from_training_to_tables(aspen: Aspen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(problems.PROBLEMS["digits"], sizes=(64, 12, 10, 10), epochs=1, prices=(0.1,), budgets=(1000,))
    monkeypatch.setitem(problems.PROBLEMS, "digits", small)
    folder = tmp_path / "study" / "digits"
    folder.mkdir(parents=True)
    for seed in range(2):
        for cell in small.cells:
            train_cell(small, None, folder, cell, seed)
    assert AspenFile.open(folder / "dial-seed0.aspen").sections == ["dial", "encoder", "network"]
    before = (folder / "dial-seed0.aspen").stat().st_mtime_ns
    code, out, _ = aspen("study", "digits", "--folder", tmp_path / "study", "--seeds", "2", "--final")
    assert code == 0
    assert "| 1000 |" in out
    assert "The envelope has a single price here" in out
    assert "loihi1 integers, test data, 2 seeds" in out
    assert (folder / "dial-test.png").stat().st_size > 10_000
    assert (folder / "dial-seed0.aspen").stat().st_mtime_ns == before  # what is there is not trained again
    measured = (folder / "points-test.json").stat().st_mtime_ns
    report = tmp_path / "results.md"
    again = ["study", "digits", "--folder", tmp_path / "study", "--seeds", "2", "--final"]
    assert aspen(*again, "--report", report)[0] == 0
    assert "--seeds 2 --final --report docs/results.md" in report.read_text()
    assert (tmp_path / "images" / "study-digits.png").exists()
    assert (folder / "points-test.json").stat().st_mtime_ns == measured  # nor test data measured again
