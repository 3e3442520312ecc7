"""Export of neurons that are given all time steps at once: StateLeaky and LeakyParallel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import snntorch
import torch
from snntorch._neurons.leakyparallel import LeakyParallel
from torch import Tensor, nn

import aspen
from aspen.errors import ModelError
from aspen.exporting import export
from aspen.models.probing import find_form
from aspen.network.network import Network, load_network
from aspen_emulator import run
from aspen_emulator.engines.lava.shim import lava_available
from aspen_emulator.measuring.parity import parity
from aspen_hardware import check_model, compile
from tests.spiking_models import BATCH, STEPS, spikes

SAMPLE = spikes(8).float()


class AtOnce(nn.Module):
    """Two layers; ``turn`` is what is done to the sample, and to the answer, whose own axes are (time, batch, n)."""

    def __init__(self, make: Any, turn: Any = lambda x: x, between: Any = lambda x: x) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.fc1, self.lif1, self.fc2, self.lif2 = nn.Linear(8, 10), make(10), nn.Linear(10, 3), make(3)
        for layer in (self.fc1, self.fc2):
            layer.weight.data = torch.round(128 * (3 * layer.weight.data + 0.05)) / 128
        self.turn, self.between = turn, between

    def forward(self, x: Tensor) -> Any:
        made = self.lif1(self.fc1(self.turn(x)))
        made = self.lif2(self.fc2(self.between(made[0] if isinstance(made, tuple) else made)))
        return self.turn(made[0] if isinstance(made, tuple) else made)


def state(n: int, **options: Any) -> nn.Module:
    return snntorch.StateLeaky(torch.linspace(0.5, 0.95, n), n, threshold=0.8, **options)


def parallel(n: int, **options: Any) -> nn.Module:
    return LeakyParallel(n, n, **{"beta": 0.9, "threshold": 0.125, **options})


MAKES = {"StateLeaky": (state, "none"), "LeakyParallel": (parallel, "none-rectified")}


def equal(model: nn.Module, network: Network, given: Tensor = SAMPLE) -> None:
    found = parity(model, network, None, given.numpy().astype(np.uint8)).differences
    assert [(d.different, d.spikes_before > 0) for d in found] == [(0, True)] * len(network.order)


@pytest.mark.parametrize(("make", "reset"), MAKES.values(), ids=MAKES)
def test_such_neurons_spike_as_they_do_step_by_step(make: Any, reset: str, tmp_path: Path) -> None:
    model = AtOnce(make)
    export(model, SAMPLE).save(tmp_path / "a.aspen")
    network = load_network(tmp_path / "a.aspen")
    assert [(p.name, p.neuron.reset) for p in network.populations[1:]] == [("lif1", reset), ("lif2", reset)]  # type: ignore[union-attr]
    equal(model, network)
    aspen.set_threshold_scale(model, 0.5)
    equal(model, export(model, SAMPLE))
    deployment = compile(network, "loihi1")
    given = SAMPLE.numpy().astype(np.uint8)
    found = [run(deployment, given, engine=name, record="spikes").rasters for name in ("reference", "fast", "c")]
    for name in network.order:
        np.testing.assert_array_equal(found[0][name], found[1][name])
        np.testing.assert_array_equal(found[0][name], found[2][name])


@pytest.mark.lava
@pytest.mark.timeout(120)
@pytest.mark.skipif(not lava_available(), reason="lava-nc is not installed")
def test_lava_runs_a_membrane_with_a_floor() -> None:
    network = export(AtOnce(parallel), SAMPLE)
    report = parity(None, network, compile(network, "loihi1"), SAMPLE.numpy().astype(np.uint8)[:, :1], lava=True)
    assert [d.different for d in report.between("integers", "lava")] == [0, 0]


def test_a_membrane_with_a_floor_forgets_what_inhibits_it() -> None:
    model = AtOnce(parallel)
    plain = AtOnce(lambda n: state(n))
    assert export(model, SAMPLE)["lif1"].neuron.reset != export(plain, SAMPLE)["lif1"].neuron.reset  # type: ignore[union-attr]
    neuron = aspen.Lif(0.5, 1.0, reset="none-rectified")
    populations = aspen.Population("input", (1,), current=True), aspen.Population("n", (1,), neuron)
    network = aspen.Network(populations, (aspen.Dense("input", "n", [[1.0]]),))
    given = np.array([-3.0, 0.6, -0.2, 0.2])[:, None, None]
    for engine in ("reference", "fast"):
        assert run(network, given, engine=engine, record="spikes").rasters["n"].ravel().tolist() == [0, 1, 0, 1]


def test_the_batch_may_be_first() -> None:
    model = AtOnce(state, turn=lambda x: x.transpose(0, 1))
    given = SAMPLE.transpose(0, 1)
    form = find_form(model, given)
    assert (form.kind, form.time_axis, form.batch_axis) == ("loop", 1, 0)
    equal(model, export(model, given), SAMPLE)


def test_thresholds_are_drawn_for_each_sample_and_turned() -> None:
    for make, _ in MAKES.values():
        model = AtOnce(make).train()
        with aspen.perturb_thresholds(model, seed=0, layers="all") as handle:
            model(SAMPLE).sum().backward()
            assert handle.factors["lif1"].shape == (BATCH, 1)
            model(SAMPLE)
        plain = model(SAMPLE)
        with aspen.perturb_thresholds(model, seed=0, low=8.0, high=9.0, layers=["lif2"]):
            assert model(SAMPLE).sum() < plain.sum()
        assert torch.equal(model(SAMPLE), plain)


@pytest.mark.parametrize("make", [make for make, _ in MAKES.values()], ids=MAKES)
def test_fit_trains_and_exports_them(make: Any) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 60)
    values = (rng.random((60, STEPS, 8)) < 0.2 + 0.25 * labels[:, None, None]).astype(np.uint8)
    fitted = aspen.fit(AtOnce(make), (values, labels), epochs=1, fused=False)
    assert list(fitted.export().network.order) == ["lif1", "lif2"]


def test_what_else_they_do_is_refused_by_name() -> None:
    refused = {
        "kernel_truncation_steps=4": AtOnce(lambda n: state(n, kernel_truncation_steps=4)),
        "weights between its membranes": AtOnce(lambda n: parallel(n, weight_hh_enable=True)),
        "other input": AtOnce(state, between=lambda x: x * len(x)),
    }
    with pytest.raises(ModelError, match=r"found no axes of the sample.*each treated alone"):
        export(AtOnce(state, between=lambda x: x.roll(1, 0)), SAMPLE)
    for message, model in refused.items():
        with pytest.raises(ModelError, match=f"lif[12].*{message}.*;"):
            export(model, SAMPLE)
    with pytest.raises(ModelError, match=r"given all time steps at once.*train the model as it is"):
        aspen.fuse(AtOnce(state), SAMPLE)
    report = check_model(AtOnce(parallel), SAMPLE, "loihi1")
    assert [(p.way, p.where) for p in report.problems] == [("fuse", "lif1")]
