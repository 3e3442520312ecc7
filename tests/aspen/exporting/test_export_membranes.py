"""Export of layers that read the membranes of another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import snntorch
import torch
from torch import Tensor, nn

import aspen
from aspen.errors import ExportWarning, InputError, ModelError
from aspen.exporting import export
from aspen.network.network import Network, load_network
from aspen_emulator import run
from aspen_emulator.engines.lava.shim import lava_available
from aspen_emulator.measuring.parity import parity
from aspen_hardware import compile
from tests.spiking_models import STEPS, leaky, settle, spikes, step

SAMPLE = spikes(6)


class HandedOn(nn.Module):
    """A layer that reads another's membranes by ``between``; then one that reads its spikes."""

    def __init__(
        self, first: nn.Module, between: nn.Module, second: Any = leaky, third: Any = leaky, also: Any = 0
    ) -> None:
        super().__init__()
        self.fc1, self.lif1, self.between, self.lif2 = nn.Linear(6, 5), first, between, second(threshold=0.5)
        self.fc3, self.lif3, self.also = nn.Linear(5, 3), third(threshold=0.25), also

    def forward(self, x: Tensor) -> Tensor:
        mem1, mem2, mem3, made = self.lif1.reset_mem(), self.lif2.reset_mem(), self.lif3.reset_mem(), []  # type: ignore[operator]
        for values in x:
            spk1, mem1 = self.lif1(self.fc1(values), mem1)
            spk2, mem2 = self.lif2(self.between(mem1) + self.also * spk1 if self.also else self.between(mem1), mem2)
            spk3, mem3 = self.lif3(self.fc3(spk2), mem3)
            made.append(spk3)
        return torch.stack(made)


def handed_on(first: nn.Module | None = None, between: nn.Module | None = None, **options: Any) -> nn.Module:
    return settle(HandedOn(first or leaky(beta=0.75), between or nn.Linear(5, 5), **options), seed=1)


def equal(model: nn.Module, network: Network) -> None:
    found = parity(model, network, None, SAMPLE.numpy().astype(np.uint8)).differences
    assert [(d.different, d.spikes_before > 0) for d in found] == [(0, True)] * len(network.order)


@pytest.mark.parametrize("between", [nn.Linear(5, 5), nn.Linear(5, 5, bias=False), nn.Identity()])
@pytest.mark.parametrize("reset", ["subtract", "none"])
def test_membranes_are_a_current_that_decays_as_they_do(between: nn.Module, reset: str, tmp_path: Path) -> None:
    model = handed_on(leaky(beta=0.75, reset_mechanism=reset), between)
    with pytest.warns(ExportWarning) if reset == "subtract" else pytest.MonkeyPatch.context():
        export(model, SAMPLE).save(tmp_path / "a.aspen")
    network = load_network(tmp_path / "a.aspen")
    assert network.order == (("lif1", "lif2", "lif3") if reset == "subtract" else ("lif2", "lif3"))
    assert network.dialled == ["lif2"]
    assert network["lif2"].neuron.alpha == 0.75  # type: ignore[union-attr]
    equal(model, network)


def test_the_knob_leaves_a_layer_alone_whose_threshold_lies_in_weights() -> None:
    model, given = handed_on(), SAMPLE.numpy().astype(np.uint8)
    with pytest.warns(ExportWarning, match="lif1: its membranes are read by lif2.*the knob leaves it alone"):
        network = export(model, SAMPLE)
    assert "which the knob leaves alone" in str(network)
    aspen.set_threshold_scale(model, {"lif2": 0.5})
    equal(model, network)
    turned = [run(network, given, 0.5, engine=name, record="spikes").rasters for name in ("reference", "fast")]
    plain = run(network, given, record="spikes").rasters
    for name in network.order:
        np.testing.assert_array_equal(turned[0][name], turned[1][name])
    np.testing.assert_array_equal(turned[0]["lif1"], plain["lif1"])
    aspen.set_threshold_scale(model, {"lif1": 0.5})
    with pytest.raises(InputError, match=r"found 'lif1', whose thresholds lie in other weights too.*as trained"):
        parity(model, network, None, given)


ENGINES = ["reference", "c", pytest.param("lava", marks=[pytest.mark.lava, pytest.mark.timeout(120)])]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.filterwarnings("ignore::aspen.errors.ExportWarning")
def test_every_engine_runs_them_in_integers(engine: str) -> None:
    if engine == "lava" and not lava_available():
        pytest.skip("lava-nc is not installed")
    deployment = compile(export(handed_on(), SAMPLE), "loihi1")
    assert deployment.network["lif1"].held
    given = SAMPLE.numpy().astype(np.uint8)[:, :1]
    found = [run(deployment, given, 2.0, engine=name, record="spikes").rasters for name in (engine, "fast")]
    for name in deployment.network.order:
        np.testing.assert_array_equal(found[0][name], found[1][name])


REFUSED = {
    "a decay for each": {"first": leaky(beta=torch.linspace(0.5, 0.75, 5).double())},
    "reset to zero": {"first": leaky(beta=0.75, reset_mechanism="zero")},
    "a reset at once": {"first": leaky(beta=0.75, reset_delay=False)},
    "a reader of another kind": {"second": lambda **own: snntorch.Lapicque(beta=0.75, spike_grad=step, **own)},
    "spikes beside": {"also": 1.0},
    "what is not linear": {"between": nn.ReLU()},
}


@pytest.mark.parametrize("options", REFUSED.values(), ids=REFUSED)
def test_other_membranes_are_refused_with_a_remedy(options: dict[str, Any]) -> None:
    model = handed_on(**options)
    with pytest.raises(ModelError, match=r"(reads 'mem' of lif1.*feed it with spikes|ReLU.*remove it)"):
        export(model, SAMPLE)


def test_fit_moves_no_threshold_that_lies_in_weights() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 60)
    data = (rng.random((60, STEPS, 6)) < 0.2 + 0.25 * labels[:, None, None]).astype(np.uint8), labels
    makes: dict[str, Any] = dict.fromkeys(("second", "third"), lambda **own: snntorch.Leaky(0.9, **own))
    model = handed_on(snntorch.Leaky(0.75), **makes).float()
    with pytest.raises(ModelError, match=r"lif1: found its membranes read by between.*feed between with spikes"):
        aspen.fit(model, data)
    fitted = aspen.fit(model, data, "plain", epochs=1, fused=False)
    with pytest.warns(ExportWarning):
        assert fitted.export().network["lif1"].held
