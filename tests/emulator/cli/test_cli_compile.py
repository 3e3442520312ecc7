"""``aspen compile`` with sample data and fewer thresholds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from aspen.network.network import load_network
from aspen_emulator import observe, run
from aspen_emulator.engines.lava.loihi import loihi_available
from aspen_hardware import compile, load_deployment
from tests.emulator.cli.test_cli import Aspen, aspen
from tests.hardware.compiling.test_calibration import heavy_tailed
from tests.networks import float_network, random_spikes

__all__ = ["aspen"]


def folder(tmp_path: Path) -> Path:
    heavy_tailed(0).save(tmp_path / "net.aspen")
    np.save(tmp_path / "x.npy", random_spikes(0, 20, 8, 30, 0.2))
    return tmp_path / "net.aspen"


def test_compile_calibrates_on_sample_input(aspen: Aspen, tmp_path: Path) -> None:
    path, sample = folder(tmp_path), tmp_path / "x.npy"
    code, out, err = aspen("compile", path, "--calibrate", sample)
    assert (code, err) == (0, "")
    network, spikes = load_network(path), np.load(sample)
    expected = compile(network, "loihi1", calibration=observe(network, spikes))
    stored = load_deployment(path, "loihi1")
    assert stored.rounding == expected.rounding
    np.testing.assert_array_equal(run(stored, spikes).output, run(expected, spikes).output)
    assert "layer1: " in out
    assert "of the sample's spikes kept" in out
    report = json.loads(aspen("compile", path, "--calibrate", sample, "--json")[1])
    assert report["rounding"]["layer1"]["kept_calibrated"] == expected.rounding["layer1"].kept_calibrated


def test_compile_groups_thresholds(aspen: Aspen, tmp_path: Path) -> None:
    path = tmp_path / "net.aspen"
    float_network(1, bias=False).save(path)
    for options, thresholds in (([], (8, 4)), (["--threshold-groups", "3"], (3, 3))):
        code, out, _ = aspen("compile", path, *options, "--json")
        rounding = json.loads(out)["rounding"]
        assert code == 0
        assert (rounding["layer1"]["thresholds"], rounding["layer2"]["thresholds"]) == thresholds


def test_samples_that_do_not_fit_leave_nothing(aspen: Aspen, tmp_path: Path) -> None:
    path = folder(tmp_path)
    before = path.read_bytes()
    np.save(tmp_path / "bad.npy", random_spikes(0, 20, 8, 31))
    code, out, err = aspen("compile", path, "--calibrate", tmp_path / "bad.npy")
    assert (code, out) == (1, "")
    assert err.startswith("aspen: spikes: found shape (20, 8, 31), allowed is (time, batch, 30)")
    assert path.read_bytes() == before
    assert aspen("compile", path, "--threshold-groups", "0")[0] == 2


@pytest.mark.skipif(loihi_available(), reason="Intel's extension is installed")
@pytest.mark.timeout(120)
def test_without_intels_extension_the_loihi_engine_is_refused_and_the_doctor_says_so(
    aspen: Aspen, tmp_path: Path
) -> None:
    path = folder(tmp_path)
    arguments = ("run", path, "--input", tmp_path / "x.npy", "--output", tmp_path / "out.npy", "--engine", "loihi")
    code, out, err = aspen(*arguments)
    assert (code, out) == (1, "")
    assert err.startswith("aspen: engine 'l")
    assert err.count("\n") == 1
    assert not (tmp_path / "out.npy").exists()
    code, out, _ = aspen("doctor")
    assert code == 0
    assert "Intel's extension of Lava, for the loihi engine: missing" in out
    assert json.loads(aspen("doctor", "--json")[1])["loihi_extension"] is False
