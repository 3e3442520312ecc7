"""``aspen compile --to c`` and ``aspen run --engine c``."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from aspen.calibration import CalibrationTable, EarlyStop, save_table
from aspen.calibration.points import EarlyPoint, OperatingPoint
from aspen.data import DeltaEncoder, save_encoder
from aspen.dial import DialProfile, save_profile
from aspen.errors import RoundedSettingWarning
from tests.emulator.cli.test_cli import Aspen, aspen
from tests.emulator.engines.c.programs import needs_compiler
from tests.networks import float_network, random_spikes

__all__ = ["aspen"]


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A small network in a file."""
    float_network(1, bias=False).save(tmp_path / "net.aspen")
    return tmp_path / "net.aspen"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_compile_writes_a_program_and_says_what_it_takes(aspen: Aspen, network: Path) -> None:
    before, folder = network.read_bytes(), network.parent / "made.v1"
    code, out, err = aspen("compile", network, "--to", "c", "--output", folder, "--prefix", "wrist")
    assert (code, err) == (0, "")
    assert "Compiled for cortex-m" in out
    assert names(folder) == ["README.md", "example.c", "wrist.c", "wrist.h"]
    found = json.loads(aspen("compile", network, "--output", folder, "--to", "c", "--json")[1])
    assert f"{found['ram_bytes']} bytes of RAM, {found['flash_bytes']} bytes of flash for tables" in out
    assert names(folder) == ["README.md", "example.c", "network.c", "network.h"]
    assert "network_set_threshold_scale(" in (folder / "network.h").read_text()
    assert network.read_bytes() == before
    assert names(network.parent) == ["made.v1", "net.aspen"]


def test_a_learned_dial_comes_along(aspen: Aspen, network: Path) -> None:
    save_profile(DialProfile({"layer1": 0.7}), network)
    assert aspen("compile", network, "--chip", "loihi2", "--to", "c", "--output", network.parent / "made")[0] == 0
    text = (network.parent / "made" / "network.h").read_text()
    assert "network_set_knob(uint16_t setting);" in text
    assert "set_threshold_scale" not in text


def table(chip: str, readout: str = "spikes") -> CalibrationTable:
    """A table of a dial with an early end."""
    early = EarlyStop(0.5, 0.0, (0.0, 1.0), (0.1, 0.05), readout, 9, 0.005)
    points = tuple(
        OperatingPoint(k, a, a - 0.02, a + 0.02, n, 2e3, 500, None, None, 900)
        for k, a, n in ((1.0, 0.9, 50), (0.25, 0.95, 90))
    )
    ended = tuple(EarlyPoint(point, 5.0) for point in points)
    return CalibrationTable(chip, "profile", 9, None, "mine", 1, points, 0.25, early, ended)


def test_what_is_beside_the_network_comes_along_or_it_is_said_why_not(aspen: Aspen, network: Path) -> None:
    folder = network.parent / "made"
    arguments = ("compile", network, "--to", "c", "--output", folder)
    assert "network_set_threshold_scale: no learned dial in the file" in aspen(*arguments)[1]
    save_profile(DialProfile({"layer1": 0.7}), network)
    out = aspen(*arguments)[1]
    assert "network_set_knob: learned dial, 0 to 65535 for 0 to 1" in out
    assert f"none: none was calibrated; aspen calibrate {network} --chip cortex-m --dial --early" in out
    save_table(table("loihi1"), network)
    assert (
        "none: the file has one for profile@loihi1, a program for cortex-m takes profile@cortex-m"
        in aspen(*arguments)[1]
    )
    assert "network_done" not in (folder / "network.h").read_text()
    save_table(table("cortex-m"), network)
    out = aspen(*arguments)[1]
    assert "network_done: as calibrated, in 9 steps" in out
    assert "network_set_knob(16384), the knob 0.25 of the calibration" in out
    assert "int network_done(void);" in (folder / "network.h").read_text()
    assert json.loads(aspen(*arguments, "--json")[1])["early_end"] is True


def test_the_encoder_comes_along_once_it_is_said_what_the_sensor_measures(aspen: Aspen, network: Path) -> None:
    folder = network.parent / "made"
    arguments = ("compile", network, "--to", "c", "--output", folder)
    assert "encoder    none: there is none in the file" in aspen(*arguments)[1]
    assert "found --sensor-scale and no encoder" in aspen(*arguments, "--sensor-scale", 1)[2]
    save_encoder(DeltaEncoder((0.5, 0.25, 0.5)), network)
    assert "encoder    none: that in the file is delta; with --sensor-scale" in aspen(*arguments)[1]
    assert "found --sensor-offset without --sensor-scale" in aspen(*arguments, "--sensor-offset", 1)[2]
    assert names(folder) == ["README.md", "example.c", "network.c", "network.h"]
    code, out, err = aspen(*arguments, "--sensor-scale", "0.001,0.002,0.001", "--sensor-offset", "0.5")
    assert (code, err) == (0, "")
    assert "encoder    network_sample: delta, of the sensor's raw integers" in out
    assert names(folder) == [
        "README.md", "example.c", "network.c", "network.h", "network_encoder.c", "network_encoder.h"
    ]  # fmt: skip
    code, _, err = aspen(*arguments, "--sensor-scale", "0.1,,2")
    assert code == 2
    assert "found '0.1,,2', allowed is a number, or several with commas between them" in err


def test_the_deployment_in_the_file_is_what_is_written_unless_options_ask_for_another(
    aspen: Aspen, network: Path
) -> None:
    folder = network.parent / "made"
    aspen("compile", network, "--chip", "cortex-m", "--max-threshold-scale", 40)
    arguments = ("compile", network, "--to", "c", "--output", folder)
    code, out, _ = aspen(*arguments)
    assert (code, "the deployment for cortex-m in" in out) == (0, True)
    kept = (folder / "network.c").read_text()
    assert "Compiled for cortex-m" in aspen(*arguments, "--max-threshold-scale", 2)[1]
    assert (folder / "network.c").read_text() != kept
    aspen(*arguments, "--max-threshold-scale", 40)
    assert (folder / "network.c").read_text() == kept


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--to", "c"], "found no --output"),
        (["--to", "c", "--output", "net.aspen"], "which is a file, allowed is a folder"),
        (["--to", "c", "--output", "."], "found a folder with other files"),
        (["--to", "c", "--output", "made", "--prefix", "2nd"], "prefix: found '2nd'"),
        (["--prefix", "wrist"], "found --prefix without --to c"),
        (["--sensor-scale", "0.1"], "found --sensor-scale without --to c"),
        (["--output", "made"], "found no suffix, allowed are .aspen and .net"),
    ],
)
def test_what_cannot_be_done_leaves_nothing(
    aspen: Aspen, network: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    monkeypatch.chdir(network.parent)
    before = network.read_bytes()
    code, _, err = aspen("compile", "net.aspen", *options)
    assert code in (1, 2)
    assert message in err
    assert names(network.parent) == ["net.aspen"]
    assert network.read_bytes() == before


@needs_compiler
def test_run_in_c_gives_what_the_fast_engine_gives(aspen: Aspen, network: Path) -> None:
    folder = network.parent
    np.save(folder / "x.npy", random_spikes(0, 12, 3, 6))
    outputs = {}
    for engine in ("c", "fast"):
        arguments = ("--input", folder / "x.npy", "--output", folder / f"{engine}.npy", "--engine", engine)
        code, out, err = aspen("run", network, *arguments, "--knob", 1.5, "--json")
        assert (code, err) == (0, "")
        outputs[engine] = {**json.loads(out), "engine": ""}
    assert outputs["c"] == outputs["fast"]
    np.testing.assert_array_equal(np.load(folder / "c.npy"), np.load(folder / "fast.npy"))


@pytest.mark.filterwarnings("default")
def test_a_warning_of_the_library_is_a_line_of_the_command(
    aspen: Aspen, network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def warned(path: object) -> None:
        warnings.warn("knob: found one in between", RoundedSettingWarning, stacklevel=1)
        warnings.warn("of somebody else", UserWarning, stacklevel=1)

    monkeypatch.setattr("aspen_emulator.cli.deploy.check_section", warned)
    with pytest.warns(UserWarning, match="of somebody else"):
        assert "\nwarning: knob: found one in between\n" in "\n" + aspen("compile", network)[2]


@needs_compiler
def test_the_doctor_tries_the_engine(aspen: Aspen) -> None:
    assert json.loads(aspen("doctor", "--json")[1])["engines"]["c"] == "ok"


def test_the_doctor_names_a_compiler_that_is_missing_and_that_is_no_failure(
    aspen: Aspen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("aspen_emulator.cli.doctor.loihi_available", lambda: False)
    real = __import__("aspen_emulator.cli.doctor", fromlist=["self_test"]).self_test
    monkeypatch.setattr("aspen_emulator.cli.doctor.self_test", lambda name: real(name) if name == "c" else "ok")
    code, out, _ = aspen("doctor")
    assert code == 0
    assert "c             engine c: found no C compiler" in out


def test_a_budget_comes_along_where_it_was_calibrated(aspen: Aspen, network: Path) -> None:
    folder = network.parent / "made"
    arguments = ("compile", network, "--chip", "cortex-m4", "--to", "c", "--output", folder, "--budget", "20uJ/window")
    code, _, err = aspen(*arguments)
    assert code == 2
    assert "found --budget and no calibration of its threshold scale for cortex-m4" in err
    assert f"aspen calibrate {network} --chip cortex-m4 --window-time 1s" in err
    rows = (2.0, 0.80, 5e3), (1.0, 0.90, 9e3)
    points = tuple(OperatingPoint(k, a, a - 0.1, a + 0.1, 9, 90, 50, nj, 1e3, 50) for k, a, nj in rows)
    save_table(CalibrationTable("cortex-m4", "scale", 9, None, "a validation", 1, points), network)
    code, _, err = aspen(*arguments)
    assert (code, "found --budget and no length of a window in its calibration for cortex-m4" in err) == (2, True)
    save_table(CalibrationTable("cortex-m4", "scale", 9, 0.2, "a validation", 1, points), network)
    code, out, err = aspen(*arguments)
    assert (code, err) == (0, "")
    assert "budget     network_budget_update: " in out
    assert " an hour beside static power, in units of " in out
    assert {"network_budget.c", "network_budget.h"} <= set(names(folder))
    assert "uint32_t network_budget_spent(void);" in (folder / "network_budget.h").read_text()
    assert json.loads(aspen(*arguments, "--json")[1])["budget_unit"] > 0
    assert aspen(*arguments[:-1], "1nJ/window")[0] == 1  # below static power
