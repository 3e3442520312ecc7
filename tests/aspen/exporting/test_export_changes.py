"""Export of DeltaLeaky, which spikes on changes of its membrane."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import snntorch
import torch
from torch import Tensor, nn

import aspen
from aspen.errors import ModelError
from aspen.exporting import export
from aspen.network.network import Network
from aspen_emulator import run
from aspen_emulator.engines.lava.shim import lava_available
from aspen_emulator.measuring.parity import parity
from aspen_hardware import compile
from tests.spiking_models import leaky, settle, spikes, step

SAMPLE = spikes(6)


def delta(**options: Any) -> nn.Module:
    chosen = {"beta": torch.tensor(0.75), "delta_threshold": 0.5, "spike_grad": step, "init_hidden": True, **options}
    return snntorch.DeltaLeaky(**chosen)


class Changing(nn.Module):
    def __init__(self, middle: nn.Module, last: nn.Module, bias: bool = True) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(6, 5), leaky()
        self.fc2, self.lif2 = nn.Linear(5, 5, bias), middle
        self.fc3, self.lif3 = nn.Linear(5, 3), last

    def forward(self, x: Tensor) -> Tensor:
        self.lif2.reset_mem()  # type: ignore[operator]
        mem1, mem3, made = self.lif1.reset_mem(), self.lif3.reset_mem(), []  # type: ignore[operator]
        for values in x:
            spk1, mem1 = self.lif1(self.fc1(values), mem1)
            spk2, _ = self.lif2(self.fc2(spk1))
            spk3, mem3 = self.lif3(self.fc3(spk2), mem3)
            made.append(spk3)
        return torch.stack(made)


def changing(bias: bool = True, **options: Any) -> nn.Module:
    return settle(Changing(delta(**options), leaky(threshold=0.25), bias), seed=1)


def equal(model: nn.Module, network: Network) -> None:
    found = parity(model, network, None, SAMPLE.numpy().astype(np.uint8)).differences
    assert [(d.different, d.spikes_before > 0) for d in found] == [(0, True)] * len(network.order)


@pytest.mark.parametrize("bias", [True, False])
def test_changes_are_two_populations_and_a_gate(bias: bool) -> None:
    model = changing(bias)
    network = export(model, SAMPLE)
    assert network["lif2.each"].shape == (2, 5)
    assert network["lif2"].gate
    assert ("lif2.bias.late" in network) is bias
    assert network.dialled == ["lif1", "lif2.each"]
    equal(model, network)
    aspen.set_threshold_scale(model, {"lif1": 0.5, "lif2": 1.5})
    equal(model, network)


def test_spikes_say_that_the_membrane_went_up_or_down() -> None:
    network = export(changing(), SAMPLE)
    rasters = run(network, SAMPLE.numpy().astype(np.uint8), record="spikes").rasters
    up, down = rasters["lif2.each"].reshape(*SAMPLE.shape[:2], 2, 5).transpose(2, 0, 1, 3)
    assert up.any()
    assert down.any()
    np.testing.assert_array_equal(up | down, rasters["lif2"])


ENGINES = ["reference", "c", pytest.param("lava", marks=[pytest.mark.lava, pytest.mark.timeout(120)])]


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_runs_them(engine: str) -> None:
    if engine == "lava" and not lava_available():
        pytest.skip("lava-nc is not installed")
    deployment = compile(export(changing(), SAMPLE), "loihi1")
    given = SAMPLE.numpy().astype(np.uint8)[:, :1]
    found = [run(deployment, given, 1.5, engine=name, record="spikes").rasters for name in (engine, "fast")]
    for name in deployment.network.order:
        np.testing.assert_array_equal(found[0][name], found[1][name])


def test_thresholds_on_changes_are_drawn_and_given_back() -> None:
    model = changing().train()
    plain = model(SAMPLE)
    with aspen.perturb_thresholds(model, seed=0, low=40.0, high=50.0, layers=["lif2"]) as handle:
        silent = model(SAMPLE)
        assert handle.factors["lif2"].shape == (3, 1)
    assert not torch.equal(silent, plain)
    assert torch.equal(model(SAMPLE), plain)
    assert model.lif2.delta_threshold == 0.5  # type: ignore[union-attr]


def test_what_no_neuron_repeats_is_refused() -> None:
    currents = settle(nn.Sequential(nn.Linear(6, 5), delta()), seed=1)
    with pytest.raises(ModelError, match=r"layer1: DeltaLeaky is driven by values of input that are no spikes.*;"):
        export(currents, SAMPLE * 0.25)
    with pytest.raises(ModelError, match=r"lif2: DeltaLeaky has init_hidden=False.*;"):
        export(changing(init_hidden=False), SAMPLE)
