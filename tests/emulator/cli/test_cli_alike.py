"""One knob over all levers, of a network that answers by its membranes: the same to the last spike in every command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aspen.data import digits, load_encoder, save_encoder
from aspen.dial.profile import DialProfile, save_profile
from tests.emulator.cli.test_cli import Aspen, aspen
from tests.emulator.cli.test_cli_calibrate import digits_network

__all__ = ["aspen"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A network, its dial and its encoder, which draws at random."""
    path, network = tmp_path / "net.aspen", replace(digits_network(), readout="membrane")
    network.save(path)
    save_profile(DialProfile.uniform(network, 0.7, 3.0), path)
    save_encoder(digits().encoder, path)
    assert load_encoder(path).random
    return path


def test_the_samples_of_a_data_set_are_the_same_in_every_command(aspen: Aspen, file: Path) -> None:
    chip, data = ["--chip", "cortex-m4", "--json"], ["--data", "digits", "--window-time", "1s"]
    levers = ["--dial", "--knobs", "0,0.3", "--early", "--every", "3", "--reach", "25"]
    assert aspen("calibrate", file, *data, *levers, "--chip", "cortex-m4")[0] == 0
    given = [file.parent / "x.npy", "--labels", file.parent / "y.npy"]
    np.save(given[2], digits().validation.labels)

    def asked(command: str, *arguments: object) -> Any:
        code, out, err = aspen(command, file, *arguments, *chip)
        assert code == 0, err
        return json.loads(out)

    assert aspen("encode", file, "--data", "digits", "--output", given[0])[0] == 0
    ran = asked("run", "--input", *given, "--knob", 0.6, "--output", file.parent / "o.npy")
    streamed = asked("stream", *data, "--part", "validation", "--knob", 0.6)
    (swept,) = asked("sweep", *data, "--knobs", 0.6)
    (reported,) = asked("report", *data, "--knob", 0.6)
    assert min(ran["steps_taken"]) < max(ran["steps_taken"]) < 25  # ends early, and leaves steps out
    assert ran["accuracy"] == swept["accuracy"] == streamed["accuracy"]
    assert sum(ran["steps_taken"]) == streamed["counts"]["steps"] == pytest.approx(360 * swept["steps"])
    spikes = {name: counted["spikes"] for name, counted in ran["populations"].items()}
    assert spikes == streamed["counts"]["spikes"]
    assert spikes["hidden"] == pytest.approx(360 * swept["hidden_spikes"])
    joules = reported["per_inference_j"]["total"]["typical"]
    assert streamed["total_per_window_j"] == pytest.approx(joules, rel=1e-9)
    assert swept["dynamic_nj"] + swept["static_nj"] == pytest.approx(1e9 * joules, rel=1e-9)
