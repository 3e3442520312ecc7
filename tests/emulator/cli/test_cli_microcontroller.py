"""Energy on a microcontroller as a user would ask for it: report, sweep, calibrate, stream, compile."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from aspen import DialProfile, load_table, save_profile
from aspen.errors import MissingDependencyError
from aspen.network.network import Dense, Lif, Network, Population
from aspen_emulator import cycles, run
from aspen_emulator.measuring.programs import core_of
from aspen_hardware import chip, compile, load_deployment, store_deployment
from tests import ROOT
from tests.emulator.cli.test_cli import Aspen, aspen
from tests.networks import float_network, random_spikes

__all__ = ["aspen"]
STEPS, SAMPLES = 8, 40


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    float_network(3, (6, 30, 4)).save("net.aspen")
    np.save("in.npy", random_spikes(5, STEPS, SAMPLES, 6))
    np.save("labels.npy", np.arange(SAMPLES) % 4)
    return tmp_path


def reported(aspen: Aspen, *options: str) -> dict:  # type: ignore[type-arg]
    code, out, err = aspen("report", "net.aspen", "--input", "in.npy", "--json", *options)
    assert code == 0, err
    return json.loads(out)[0]  # type: ignore[no-any-return]


def test_a_window_has_its_sleep_and_its_wake_ups(aspen: Aspen, files: Path) -> None:
    model = ("--chip", "cortex-m4", "--cycles", "model")
    fast, real = reported(aspen, *model), reported(aspen, *model, "--window-time", "0.4s")
    assert (fast["timing"], real["timing"]) == ("work", "step")
    assert fast["cycles"] == real["cycles"]
    assert real["per_inference_j"]["static"]["typical"] == pytest.approx((4.5e-6 + 0.078e-6) * 0.4)  # 4 kB of RAM kept
    assert real == reported(aspen, *model, "--step-time", "0.05")
    apollo = reported(aspen, *model, "--window-time", "0.4s", "--scenario", "apollo3")
    assert apollo["per_inference_j"]["total"]["typical"] < real["per_inference_j"]["total"]["typical"]
    code, out, _ = aspen("report", "net.aspen", "--input", "in.npy", *model, "--window-time", "0.4s")
    assert code == 0
    assert "by the model fitted to an emulator" in out
    assert "a coin cell (CR2032, 225mAh@3V) would last" in out
    code, _, err = aspen(
        "report", "net.aspen", "--input", "in.npy", *model, "--window-time", "1s", "--step-time", "0.1"
    )
    assert code == 2
    assert "found --step-time beside --window-time, allowed is one" in err
    code, _, err = aspen("report", "net.aspen", "--input", "in.npy", *model, "--window-time", "1")
    assert code == 1
    assert "--window-time: found no unit in '1'" in err


def test_cycles_are_measured_where_they_can_be(aspen: Aspen, files: Path) -> None:
    pytest.importorskip("unicorn")
    pytest.importorskip("ziglang")
    found = reported(aspen, "--chip", "cortex-m4")
    report = cycles(
        compile(float_network(3, (6, 30, 4)), "cortex-m4"), np.load("in.npy")[:, [0, 1, 3, *range(4, 39), 39]]
    )
    assert found["cycles"]["typical"] / SAMPLES == pytest.approx(report.per_inference.typical, rel=0.03)
    assert any("by the emulator of cortex-m4 on 32 of 40 samples" in line for line in found["assumed"])
    (entry,) = [each for each in found["entries"] if each["event"] == "clock_cycle"]
    assert entry["joules"]["typical"] == pytest.approx(found["cycles"]["typical"] * 155e-12)


def test_without_the_emulator_the_model_is_taken_and_said(
    aspen: Aspen, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise MissingDependencyError("no emulator here")

    monkeypatch.setattr("aspen_emulator.measuring.programs.cycles", missing)
    code, out, err = aspen("report", "net.aspen", "--input", "in.npy", "--chip", "cortex-m4", "--json")
    assert code == 0
    assert json.loads(out)[0] == reported(aspen, "--chip", "cortex-m4", "--cycles", "model")
    assert "cortex-m4: cycles by the model in its file, as none can be measured: no emulator here" in err


def test_a_dial_that_has_no_program_is_reckoned_by_the_model_and_said(aspen: Aspen, files: Path) -> None:
    until = np.where(np.arange(4) < 2, 0.5, np.inf)
    save_profile(DialProfile({"layer2": 0.3}, on_until={"layer2": until}), "net.aspen")
    given = "--dial", "--knob", "0.7", "--chip", "cortex-m4"
    code, out, err = aspen("report", "net.aspen", "--input", "in.npy", "--json", *given)
    assert code == 0, err
    assert json.loads(out)[0] == reported(aspen, *given, "--cycles", "model")
    assert "cortex-m4: cycles by the model in its file, as none can be measured: profile: found a dial that" in err


def test_neurons_that_are_off_take_no_cycles(aspen: Aspen, files: Path) -> None:
    until = np.where(np.arange(30) < 22, 0.5, np.inf)
    save_profile(DialProfile({"layer1": 0.0}, on_until={"layer1": until}), "net.aspen")
    given = "--dial", "--chip", "cortex-m4", "--window-time", "0.4s"
    all_on, few = reported(aspen, *given, "--knob", "0.4"), reported(aspen, *given, "--knob", "0.6")
    assert few["cycles"]["typical"] < 0.75 * all_on["cycles"]["typical"]
    assert few["per_inference_j"]["total"]["typical"] < all_on["per_inference_j"]["total"]["typical"]


def test_calibrate_and_stream_reckon_with_the_total(aspen: Aspen, files: Path) -> None:
    measured = ("--input", "in.npy", "--labels", "labels.npy", "--chip", "cortex-m4", "--knobs", "0.5,1,2,4")
    code, out, _ = aspen("sweep", "net.aspen", *measured, "--window-time", "0.4s", "--json")
    assert code == 0
    points = json.loads(out)
    assert points[0]["static_nj"] == pytest.approx((4.5e3 + 78) * 0.4)
    assert points[0]["dynamic_nj"] > points[-1]["dynamic_nj"]
    code, out, err = aspen(
        "calibrate", "net.aspen", *measured, "--battery", "10mAh@3V", "--hours", "1", "--rate", "2/s"
    )
    assert code == 0, err
    assert load_table("net.aspen", "cortex-m4").step_time == pytest.approx(0.5 / STEPS)  # by the rate
    total = [point["dynamic_nj"] + point["static_nj"] for point in points]
    budget = f"{(min(total) + max(total)) / 2}nJ/window"
    code, _, err = aspen("calibrate", "net.aspen", *measured, "--window-time", "0.4s", "--max-energy", "1mJ")
    assert code == 0, err
    np.save("day.npy", random_spikes(6, STEPS * 30, 1, 6)[:, 0])
    code, out, err = aspen(
        "stream", "net.aspen", "--input", "day.npy", "--chip", "cortex-m4", "--budget", budget, "--json"
    )
    assert code == 0, err
    found = json.loads(out)
    assert found["seconds"] == pytest.approx(30 * 0.4)
    assert found["total_per_window_j"] <= 1e-9 * float(budget.removesuffix("nJ/window")) * (1 + 1e-9)


def test_a_battery_needs_to_know_how_long_the_core_sleeps(aspen: Aspen, files: Path) -> None:
    measured = ("--input", "in.npy", "--labels", "labels.npy", "--chip", "cortex-m4", "--knobs", "0.5,1")
    code, _, err = aspen("calibrate", "net.aspen", *measured, "--max-energy", "1mJ")
    assert code == 0, err
    battery = ("--battery", "10mAh@3V", "--hours", "1", "--rate", "2/s")
    code, _, err = aspen("calibrate", "net.aspen", "--stored", "--chip", "cortex-m4", *battery)
    assert code == 1
    assert "found a table of cortex-m4 without the time of a step" in err
    assert "calibrate with --window-time" in err
    code, _, err = aspen("calibrate", "net.aspen", "--stored", "--chip", "cortex-m4", *battery, "--gated")
    assert code == 0, err
    np.save("day.npy", random_spikes(6, STEPS * 3, 1, 6)[:, 0])
    code, _, err = aspen("stream", "net.aspen", "--input", "day.npy", "--chip", "cortex-m4", "--knob", "1")
    assert code == 1
    assert "cortex-m4: found no length of a time step in its file" in err
    assert "--window-time" in err


def test_a_network_compiled_for_the_program_is_priced_on_each_core(aspen: Aspen, files: Path) -> None:
    """Its integers are those that were stored, calibrated or not."""
    store_deployment(compile(float_network(3, (6, 30, 4)), "cortex-m", max_threshold_scale=64), "net.aspen")
    stored = load_deployment("net.aspen", "cortex-m").network
    other = compile(float_network(3, (6, 30, 4)), "cortex-m4").network
    assert stored.connections[0].exponent != other.connections[0].exponent
    code, out, err = aspen(
        "run", "net.aspen", "--input", "in.npy", "--output", "out.npy", "--chip", "cortex-m33", "--json"
    )
    assert code == 0, err
    assert json.loads(out)["chip"] == "cortex-m33"
    np.testing.assert_array_equal(np.load("out.npy"), run(stored, np.load("in.npy")).output)


def test_compile_refuses_what_no_part_holds_and_warns_of_parts(aspen: Aspen, files: Path) -> None:
    code, _, err = aspen("compile", "net.aspen", "--chip", "cortex-m4")
    assert (code, err) == (0, "")
    assert load_deployment("net.aspen", "cortex-m4").chip == "cortex-m4"
    populations = Population("input", (300,)), Population("out", (300,), Lif(1.0, 0.9))
    Network(populations, (Dense("input", "out", np.ones((300, 300))),)).save("wide.aspen")
    code, _, err = aspen("compile", "wide.aspen", "--chip", "cortex-m0plus")
    assert code == 0
    assert "warning: too small: found" in err
    assert "8,192 and 65,536 (stm32l053)" in err
    text = (ROOT / "hardware" / "aspen_hardware" / "chips" / "cortex-m0plus.toml").read_text(encoding="utf-8")
    small = text.replace("value = 28672", "value = 512").replace("value = 40960", "value = 512")
    small = small.replace("value = 8192", "value = 512").replace('name = "cortex-m0plus"', 'name = "small"')
    Path("small.toml").write_text(small, encoding="utf-8")
    before = Path("wide.aspen").read_bytes()
    code, _, err = aspen("compile", "wide.aspen", "--chip", "small.toml")
    assert code == 1
    assert "network: found" in err
    assert "use a smaller network" in err
    assert Path("wide.aspen").read_bytes() == before


def test_a_part_of_ones_own_takes_core_and_cycles_from_a_chip_that_it_is_like(files: Path) -> None:
    Path("mine.toml").write_text(
        """
format = 2
name = "mine"
title = "My board"
like = "cortex-m4"
typical = "board"
[sources]
me = "measured by me"
[missing]
step_time = "as the sensor has it"
[power]
rule = "sleep"
source = "me"
trust = "P"
[scenarios.board]
title = "as it lies here"
active = "input"
missing = { wake_up = "not measured", ram = "not looked up", flash = "not looked up" }
energies.clock_cycle = { value = 100, unit = "pJ", source = "me", trust = "P" }
part.sleep = { value = 5, unit = "uW", source = "me", trust = "P" }
part.clock = { value = 48, unit = "MHz", source = "me", trust = "P" }
""",
        encoding="utf-8",
    )
    mine, base = chip("mine.toml"), chip("cortex-m4")
    assert mine.section("program") == base.section("program")
    assert (mine.formats, mine.like) == (base.formats, "cortex-m4")
    assert (core_of(mine), core_of(base), core_of(chip("cortex-m"))) == ("cortex-m4", "cortex-m4", "")


def test_after_an_early_end_the_core_sleeps_on(aspen: Aspen, files: Path) -> None:
    measured = ("--input", "in.npy", "--labels", "labels.npy", "--chip", "cortex-m4", "--knobs", "1", "--early")
    code, out, err = aspen("sweep", "net.aspen", *measured, "--max-loss", "50", "--window-time", "0.4s", "--json")
    assert code == 0, err
    whole, ended = json.loads(out)
    assert ended["steps"] < whole["steps"]
    assert ended["static_nj"] == pytest.approx(whole["static_nj"])
    assert ended["dynamic_nj"] < whole["dynamic_nj"]
