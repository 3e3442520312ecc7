"""``aspen report`` as a user would call it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from aspen.data import RateEncoder, save_encoder
from aspen.network.network import Dense, Lif, Network, Population
from tests.emulator.cli.test_cli import Aspen, aspen
from tests.networks import float_network, random_spikes

__all__ = ["aspen"]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    network = float_network(1)
    network.save(tmp_path / "net.aspen")
    np.save(tmp_path / "in.npy", random_spikes(2, 6, 3, 6))
    return tmp_path / "net.aspen", tmp_path / "in.npy"


def test_several_chips_are_priced_from_the_same_counts(aspen: Aspen, files: tuple[Path, Path], tmp_path: Path) -> None:
    network, spikes = files
    names = ("truenorth", "loihi1", "generic-45nm")
    chips = [argument for name in names for argument in ("--chip", name)]
    code, out, _ = aspen("report", network, "--input", spikes, *chips, "--json", "--plot", tmp_path / "e.png")
    assert code == 0
    reports = json.loads(out)
    assert [report["chip"] for report in reports] == list(names)
    operations = [
        sum(entry["count"] for entry in report["entries"] if entry["event"] == "synaptic_operation")
        for report in reports
    ]
    assert operations[0] == operations[1] == operations[2] > 0
    assert reports[2]["whole_run_j"]["static"] is None
    assert (tmp_path / "e.png").read_bytes().startswith(b"\x89PNG")
    code, out, _ = aspen("report", network, "--input", spikes, *chips)
    assert code == 0
    assert "loihi1 integers" in out  # the first that networks compile to
    assert out.count("\nper inference\n") == 3


def test_time_by_the_work_is_shorter(aspen: Aspen, files: tuple[Path, Path]) -> None:
    network, spikes = files
    seconds = []
    for time in ("step", "measured", "work"):
        code, out, _ = aspen("report", network, "--input", spikes, "--time", time, "--json")
        assert code == 0
        seconds.append(json.loads(out)[0]["seconds"])
    assert seconds[0]["typical"] == pytest.approx(6 * 3 * 1e-3)
    assert seconds[1]["typical"] == pytest.approx(6 * 3 * 337e-6)
    assert 0 < seconds[2]["typical"] < seconds[1]["typical"] / 10
    assert seconds[2]["high"] == seconds[1]["high"]
    code, out, _ = aspen("report", network, "--input", spikes, "--json")
    assert json.loads(out)[0]["seconds"] == seconds[1]


def test_one_scenario_alone(aspen: Aspen, files: tuple[Path, Path]) -> None:
    network, spikes = files
    found = {}
    for scenario in ("davies2018", "sanafe"):
        code, out, _ = aspen("report", network, "--input", spikes, "--scenario", scenario, "--json")
        assert code == 0
        found[scenario] = json.loads(out)[0]["per_inference_j"]["dynamic"]
        assert found[scenario]["low"] == found[scenario]["typical"] == found[scenario]["high"]
    _, out, _ = aspen("report", network, "--input", spikes, "--json")
    both = json.loads(out)[0]["per_inference_j"]["dynamic"]
    assert both["typical"] == found["davies2018"]["typical"]
    assert {both["low"], both["high"]} == {energies["typical"] for energies in found.values()}
    code, _, err = aspen("report", network, "--input", spikes, "--scenario", "davis2018")
    assert code == 1
    assert "scenario of loihi1: found 'davis2018', allowed are davies2018, sanafe" in err


def test_the_knob_moves_the_hidden_part(aspen: Aspen, files: tuple[Path, Path]) -> None:
    network, spikes = files
    dynamic = []
    for scale in ("0.5", "4"):
        code, out, _ = aspen("report", network, "--input", spikes, "--threshold-scale", scale, "--json")
        assert code == 0
        dynamic.append(json.loads(out)[0]["per_inference_j"]["dynamic"]["typical"])
    assert dynamic[1] < dynamic[0]


def test_an_ann_of_the_same_shape_stands_beside_it(aspen: Aspen, files: tuple[Path, Path]) -> None:
    network, spikes = files
    code, out, _ = aspen("report", network, "--input", spikes, "--chip", "generic-45nm", "--ann", "--json")
    assert code == 0
    found = json.loads(out)
    assert [chip["chip"] for chip in found["chips"]] == ["generic-45nm"]
    best, skipping, same, each = found["ann"]
    assert skipping["ratio"]["typical"] > best["ratio"]["typical"] > same["ratio"]["typical"] > 0
    assert each["ratio"]["typical"] == pytest.approx(best["ratio"]["typical"] / 6)
    assert [rival["ann"]["dataflow"] for rival in found["ann"]] == ["ideal", "ideal", "input-stationary", "ideal"]
    assert not any(rival["ann"]["density"] for rival in (best, same, each))
    assert skipping["ann"]["density"]["layer1"] == 0.5
    code, out, _ = aspen("report", network, "--input", spikes, "--ann")
    assert code == 0
    for each in ("int8 ANN of the same shape", "spiking network on", "weights fetched", "neuron updates and analog"):
        assert out.count(each) == 1, each
    rows = re.findall(
        r"^\S+ per inference, .*  [\d.]+ \(.* to .*\)  .*\)$|^\d+ times per inference, .*$", out, re.MULTILINE
    )
    assert len(rows) == 4


def test_what_does_not_go_together_is_refused(aspen: Aspen, files: tuple[Path, Path], tmp_path: Path) -> None:
    network, spikes = files
    code, _, err = aspen("report", network)
    assert (code, "found no samples, allowed is one of --input, --values and --data" in err) == (2, True)
    code, _, err = aspen("report", network, "--input", spikes, "--data", "digits")
    assert (code, "found --input and --data, allowed is one of" in err) == (2, True)
    code, _, err = aspen("report", network, "--input", spikes, "--chip", "loihi2", "--plot", tmp_path / "e.png")
    assert (code, "no published energy of any event on loihi2" in err) == (1, True)
    assert not (tmp_path / "e.png").exists()
    code, _, err = aspen("report", network, "--input", spikes, "--chip", "spinnaker2", "--time", "work")
    assert (code, "whose file has no times of operations" in err) == (1, True)


def test_a_network_that_the_default_chip_refuses_is_refused_in_the_name_of_the_chip_that_was_given(
    aspen: Aspen, tmp_path: Path
) -> None:
    analog = Population("input", (2,), current=True), Population("output", (1,), Lif(1.0, 0.9))
    path, values = tmp_path / "analog.aspen", tmp_path / "values.npy"
    Network(analog, (Dense("input", "output", np.ones((1, 2))),)).with_input_peak(1.0).save(path)
    np.save(values, np.random.default_rng(0).random((4, 2, 2)))
    given = ("report", path, "--input", values, "--chip", "spinnaker2")
    code, _, err = aspen(*given)
    assert code == 1
    assert err.startswith(
        "aspen: spinnaker2: found chips for energies only, so that the network is run on loihi1, which"
    )
    assert "found an analog input" in err
    assert err.endswith("run it with --float, or name that first, as --chip loihi2 --chip spinnaker2\n")
    assert aspen(*given, "--float")[0] == aspen(*given[:3], values, "--chip", "loihi2", "--chip", "spinnaker2")[0] == 0


def test_a_data_set_is_encoded_as_the_file_says(aspen: Aspen, tmp_path: Path) -> None:
    path = tmp_path / "net.aspen"
    parts = (Population("input", (64,)), Population("output", (10,), Lif(1.0, 0.9)))
    Network(parts, (Dense("input", "output", np.ones((10, 64))),)).save(path)
    save_encoder(RateEncoder(5), path)
    code, out, _ = aspen("report", path, "--data", "digits", "--json")
    assert code == 0
    assert json.loads(out)[0]["steps"] == 5
