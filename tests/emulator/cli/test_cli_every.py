"""``aspen calibrate --every``: fewer time steps as a lever of the one knob, in every command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from aspen.calibration.storage import load_table
from aspen.data import digits
from tests.emulator.cli.test_cli import Aspen, aspen
from tests.emulator.cli.test_cli_calibrate import file, trained

__all__ = ["aspen", "file", "trained"]


def test_a_knob_that_leaves_out_steps_means_the_same_to_every_command(aspen: Aspen, file: Path) -> None:
    chip = ["--chip", "cortex-m4"]
    measuring = ["--data", "digits", "--dial", "--knobs", "0,0.3", "--window-time", "1s", "--reach", "25"]
    code, out, err = aspen("calibrate", file, *measuring, *chip, "--every", "5")
    assert code == 0, err
    assert "every n-th step" in out
    assert "fewer steps alone" in out
    table = load_table(file, dial="front")
    assert table.cheapest.knob == 1.0
    assert (table.every[0], table.whole_steps[0]) == (5, 5)
    code, out, _ = aspen("sweep", file, "--data", "digits", "--knobs", "1", "--window-time", "1s", *chip, "--json")
    assert json.loads(out)[0]["accuracy"] == table.cheapest.accuracy
    assert json.loads(out)[0]["steps"] == 5
    assert np.isclose(json.loads(out)[0]["dynamic_nj"], table.cheapest.dynamic_nj, rtol=0.02)
    code, out, _ = aspen("report", file, "--data", "digits", "--part", "validation", "--knob", "1", *chip,
                         "--window-time", "1s", "--cycles", "model", "--json")  # fmt: skip
    (report,) = json.loads(out)
    assert report["front"]["every"] == 5
    total = 1e9 * report["per_inference_j"]["total"]["typical"]
    assert total == pytest.approx(table.cheapest.total_nj, rel=0.02)
    given = file.parent / "x.npy"
    np.save(given, digits().spikes("validation"))
    code, out, _ = aspen("run", file, "--input", given, "--output", file.parent / "o.npy", "--knob", "1", *chip)
    assert "one time step of 5 runs" in out
    assert len(np.load(file.parent / "o.npy")) == 5
    code, out, _ = aspen("stream", file, "--data", "digits", "--part", "validation", "--knob", "1", *chip, "--json",
                         "--windows", "20")  # fmt: skip
    assert json.loads(out)["counts"]["steps"] == 100


def test_numbers_of_steps_that_cannot_be_are_refused(aspen: Aspen, file: Path) -> None:
    for given, message in (
        ("2,x", "allowed are whole numbers from 1 to 255, such as 2,4"),
        ("0", "allowed are whole numbers from 1 to 255"),
        ("26", "found 26, allowed is up to the 25 time steps"),
    ):
        code, _, err = aspen("calibrate", file, "--data", "digits", "--every", given)
        assert code != 0
        assert message in err
    code, _, err = aspen("calibrate", file, "--stored", "--max-energy", "1mJ", "--every", "2")
    assert "found --stored beside --every" in err
