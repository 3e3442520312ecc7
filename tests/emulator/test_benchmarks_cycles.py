"""The fit of a program's clock cycles finds the figures that it was given, and writes them where they belong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aspen.network.network import Network
from aspen_hardware import chip, compile
from aspen_hardware.chips.ranges import Range
from tests import ROOT
from tests.emulator.engines.cortex_m.needed import needs_emulator
from tests.scripts import load_benchmark

GIVEN = {
    "step": 50.0, "input": 5.0, "input_spike": 20.0, "population": 60.0, "neuron": 12.0, "active_neuron": 7.0,
    "current": 10.0, "owed": 8.0, "row": 15.0, "packed_word": 4.5, "sparse_weight": 9.0,
}  # fmt: skip


def test_the_fit_finds_figures_that_explain_all_cycles(monkeypatch: pytest.MonkeyPatch) -> None:
    module = load_benchmark("cycles", monkeypatch)
    wanted, rng = np.array([GIVEN.get(key, 3.0) for key in module.FIGURES]), np.random.default_rng(0)
    runs = []
    for seed in range(48):
        counts = rng.integers(0, 1000, len(wanted)) * (rng.random(len(wanted)) < 0.7)
        cycles = float(counts @ wanted)
        runs.append(module.Run(str(seed), counts, Range(0.9 * cycles, cycles, 1.2 * cycles)))
    fit = module.fitted(runs[:40])
    assert max(abs(fit.error(each)) for each in runs[40:]) < 0.005
    assert (fit.spread.low, fit.spread.high) == pytest.approx((0.9, 1.2))
    assert fit.figures["packed_word"] == pytest.approx(4.5, abs=0.05)
    assert fit.widened(runs[40:]).spread.high == pytest.approx(1.2, rel=0.01)
    doubled = [module.Run(each.name, each.counts / 2, each.cycles) for each in runs[40:]]  # the model is half of it
    assert fit.widened(doubled).spread.low == pytest.approx(0.45, rel=0.02)
    assert "40 programs fitted: off by 0.0%" in module.told("cortex-m4", fit, {"fitted": runs[:40], "not": []})


def test_figures_are_written_into_a_chip_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = load_benchmark("cycles", monkeypatch)
    monkeypatch.setattr(module, "version", lambda _: "0.0.1")
    text = (ROOT / "hardware" / "aspen_hardware" / "chips" / "cortex-m4.toml").read_text(encoding="utf-8")
    figures = {key: 1.5 + index for index, key in enumerate(module.FIGURES)}
    once = module.written(text, module.Fit(figures, Range(0.8, 1.0, 1.3)))
    assert module.written(once, module.Fit(figures, Range(0.8, 1.0, 1.3))) == once
    (tmp_path / "mine.toml").write_text(once.replace('name = "cortex-m4"', 'name = "mine"'), encoding="utf-8")
    found = chip(tmp_path / "mine.toml").section("program")
    spread = found.pop("spread")
    assert {key: figure.value for key, figure in found.items()} == figures
    assert (spread.low, spread.high) == (0.8, 1.3)
    assert "compiled with ziglang 0.0.1 -O2, " in chip(tmp_path / "mine.toml").sources["emulator"]


@needs_emulator
@pytest.mark.parametrize("switches_off", [False, True])
def test_the_figures_in_a_file_are_near_what_a_program_takes(
    monkeypatch: pytest.MonkeyPatch, switches_off: bool
) -> None:
    """On networks that were not fitted; kernels that changed much make this fail: fit again, with --write."""
    module = load_benchmark("cycles", monkeypatch)
    if switches_off:
        each = next(module.dialled_runs("cortex-m4", [3004]))
    else:
        network, given = module.drawn(1001)
        assert isinstance(network, Network)
        each = module.measured("", compile(network, "cortex-m"), given, "cortex-m4")
    figures = chip("cortex-m4").section("program")
    model = float(each.counts @ [figures[key].value for key in module.FIGURES])
    assert model == pytest.approx(each.cycles.typical, rel=0.2)
    assert set(each.parts) <= {*module.PARTS, module.ROWS}
    assert sum(each.parts.values()) == pytest.approx(each.cycles.typical, rel=0.05)
