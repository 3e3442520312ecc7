"""The benchmark of a small int8 ANN of the same accuracy: what it trains is what the program computes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from aspen import DialProfile, save_profile
from aspen.network.network import Dense, Lif, Network, Population
from aspen_emulator.engines.cortex_m.cores import CORES
from tests.emulator.engines.cortex_m.needed import needs_emulator
from tests.scripts import load_benchmark

pytestmark = needs_emulator


def test_at_each_knob_stands_the_cheapest_ann_that_is_as_accurate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = load_benchmark("small_ann", monkeypatch)
    populations = (
        Population("input", (64,)),
        Population("hidden", (4,), Lif(1.0, 0.9)),
        Population("out", (10,), Lif(1.0, 0.9)),
    )
    weights = [np.random.default_rng(0).normal(size=shape) for shape in ((4, 64), (10, 4))]
    connections = Dense("input", "hidden", weights[0]), Dense("hidden", "out", weights[1])
    Network(populations, connections).save(tmp_path / "net.aspen")
    save_profile(DialProfile({"hidden": 1.0}), tmp_path / "net.aspen")
    options = (
        "--knobs",
        "1",
        "--units",
        "2",
        "8",
        "--densities",
        "1",
        "--seeds",
        "1",
        "--epochs",
        "2",
        "--samples",
        "1",
    )
    module.main([str(tmp_path / "net.aspen"), *options, "--output", str(tmp_path)])
    found = json.loads((tmp_path / "small_ann.json").read_text())
    (row,), anns = found["knobs"], found["anns"]
    assert [ann["products"] for ann in anns] == [2 * 74, 8 * 74]
    enough = [ann for ann in anns if ann["validation"] >= row["validation"]]
    assert row["ann"] == min(enough, key=lambda ann: float(ann["cycles"]["typical"]))
    assert row["ratio"] == row["ann"]["cycles"]["typical"] / row["cycles"]["typical"]
    assert row["ann_energy"] < row["energy"]
    assert "ANN / ours" in capsys.readouterr().out


@pytest.mark.parametrize("density", [1.0, 0.5])
@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m0plus"])
def test_parts_of_a_window_share_their_weights(core: str, density: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """In integers the network says what it says in floating point, and so does its program."""
    module = load_benchmark("small_ann", monkeypatch)
    torch.manual_seed(0)
    form = module.Form(3, 5, density)
    net = module.Net(form, 3 * 7, 4)
    with torch.no_grad():
        net.first.weight *= module.kept(net.first.weight, density)
    values = np.random.default_rng(1).normal(size=(40, 3, 7)).astype(np.float32)
    integers = module.as_int8(values)
    ann = module.quantised(net, form, integers)
    wanted = net(torch.as_tensor(values.reshape(40, -1))).detach().numpy()
    scores = ann.scores(integers)
    assert np.corrcoef(scores.ravel(), wanted.ravel())[0, 1] > 0.999
    assert ann.layers[0].is_sparse == (density < 1)
    taken, _ = ann.measured(list(integers[:3]), CORES[core], "-O2")  # which compares the scores
    assert 0 < taken.low <= taken.typical
