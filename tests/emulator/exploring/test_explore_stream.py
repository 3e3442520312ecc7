"""A recording on the page: as ``aspen stream`` runs it; and a knob that was calibrated over all levers."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from aspen_emulator.exploring.streams import MOST_BINS, streamed
from tests.emulator.cli.test_cli import Aspen, aspen
from tests.emulator.exploring.test_explore import SAMPLES, explored, files, given, keys
from tests.emulator.streaming.test_opening import made
from tests.emulator.streaming.test_streaming import windows_of
from tests.pages import page

__all__ = ["aspen", "files"]
BUDGET = "--budget", "8nJ/window", "--dynamic"


@pytest.fixture
def calibrated(aspen: Aspen, files: Path) -> Path:
    """The folder, with a calibrated knob in the network's file."""
    knobs = "--knobs", "0.5,1,1.5,2.5", "--reach", 50
    code, _, err = aspen("calibrate", *given(files, "--chip", "loihi1", *knobs))
    assert code == 0, err
    spikes = np.load(files / "x.npy")
    np.save(files / "long.npy", spikes.swapaxes(0, 1).reshape(-1, spikes.shape[2]))
    return files


def test_a_recording_is_that_of_a_stream(aspen: Aspen, calibrated: Path) -> None:
    network, log = calibrated / "net.aspen", calibrated / "log.csv"
    code, out, _ = aspen("stream", network, "--input", calibrated / "long.npy", *BUDGET, "--json", "--log", log)
    assert code == 0
    wanted = json.loads(out)
    found = explored(aspen, calibrated, "--recording", calibrated / "long.npy", *BUDGET, "--knobs", "0,1")["stream"]
    for key in ("windows", "skipped", "cut_short", "unusual", "dynamic_j", "static_j", "accuracy"):
        assert found[key] == wanted[key], key
    assert found["allowed_j"] == wanted["budget_dynamic_per_window_j"] == pytest.approx(8e-9)
    rows = list(csv.DictReader(log.read_text().splitlines()))
    assert (found["windows_per_bin"], len(found["bins"])) == (1, len(rows))
    for each, row in zip(found["bins"], rows, strict=True):
        assert (each["dynamic_j"], each["end_s"]) == (float(row["dynamic"]), float(row["end"]))
        assert each["answers"].index(1) == int(row["prediction"]) % 5
        assert (each["knob"] is None) == (row["ran"] == "False")
        assert each["knob"] is None or each["knob"]["mean"] == float(row["knob"])


def test_samples_begin_anew_and_have_their_classes(aspen: Aspen, calibrated: Path) -> None:
    found = explored(aspen, calibrated, "--confidence", 0.5, "--windows", SAMPLES + 6, "--knobs", "0,1")
    stream = found["stream"]
    labels = np.load(calibrated / "y.npy")
    assert (stream["windows"], sum(each["labelled"] for each in stream["bins"])) == (SAMPLES + 6, SAMPLES + 6)
    answers = [each["answers"].index(1) for each in stream["bins"]]
    assert stream["accuracy"] == (np.array(answers) == np.resize(labels, SAMPLES + 6)).mean()
    assert stream["goal"] == "a mean confidence of 0.5"
    told = page("explore.md")
    assert {key for key in keys(stream) if f"`{key}`" not in told} == set()


def test_a_calibrated_knob_turns_as_in_a_sweep(aspen: Aspen, calibrated: Path) -> None:
    found = explored(aspen, calibrated)
    _, out, _ = aspen("sweep", *given(calibrated, "--json"))
    assert found["knob"] == "calibrated knob"
    for setting, row in zip(found["settings"], json.loads(out), strict=True):
        assert setting["points"]["loihi1"] == {key: row[key] for key in setting["points"]["loihi1"]}
        assert setting["steps"] == row["steps"]


def test_many_windows_are_binned_and_none_is_lost() -> None:
    from aspen_emulator import stream

    network, table, spikes = made()
    each = windows_of(spikes)
    count = MOST_BINS + 3
    with stream(network, table, knob=1.0) as running:
        found = streamed(running, (each[k % len(each)] for k in range(count)), "a knob", labels=np.full(count, -1))
    assert (found["windows_per_bin"], len(found["bins"])) == (2, (count + 1) // 2)
    assert [bin_["of"] for bin_ in found["bins"]] == [2] * (count // 2) + [1]
    assert sum(sum(bin_["answers"]) for bin_ in found["bins"]) == count
    total = sum(bin_["dynamic_j"] * bin_["of"] for bin_ in found["bins"])
    assert total == pytest.approx(found["dynamic_j"])
    assert found["accuracy"] is None


def test_what_would_do_nothing_is_refused(aspen: Aspen, files: Path) -> None:
    for options, message in (
        (["--hours", 3], "found --hours without --budget, --battery or --confidence"),
        (["--windows", 3], "found --windows without --budget"),
        (["--battery", "1kJ"], "found --battery or --hours alone"),
        (["--confidence", 0.5, "--dynamic"], "found --dynamic without --budget"),
        (["--budget", "1uJ/window", "--confidence", 0.5], "found --budget and --confidence"),
    ):
        code, _, err = aspen("explore", *given(files, "--output", files / "page.html", *options))
        assert (code, message in err) == (2, True), err
    code, _, err = aspen("explore", *given(files, "--output", files / "page.html", *BUDGET))
    assert code == 1
    assert "calibrat" in err
    assert not (files / "page.html").exists()
