"""Export of products of spikes with spikes: gates whose neurons spike where both do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import aspen
from aspen.errors import ModelError
from aspen.exporting import export, products
from aspen.network.network import Network, load_network
from aspen_emulator import run
from aspen_emulator.engines.lava.shim import lava_available
from aspen_emulator.measuring.parity import parity
from aspen_hardware import check_model, compile
from tests.spiking_models import leaky, settle, spikes

SAMPLE = spikes(6, density=0.6)


class Two(nn.Module):
    """Two layers side by side, what ``meet`` makes of their spikes, and one more layer."""

    def __init__(self, meet: Any, n: int = 4) -> None:
        super().__init__()
        self.fc1, self.lif1, self.fc2, self.lif2 = nn.Linear(6, 4), leaky(), nn.Linear(6, 4), leaky()
        self.fc3, self.lif3, self.meet = nn.Linear(n, 3), leaky(threshold=0.125), meet

    def forward(self, x: Tensor) -> Tensor:
        mem1, mem2, mem3, made = self.lif1.reset_mem(), self.lif2.reset_mem(), self.lif3.reset_mem(), []
        for step in x:
            s1, mem1 = self.lif1(self.fc1(step), mem1)
            s2, mem2 = self.lif2(self.fc2(step), mem2)
            s3, mem3 = self.lif3(self.fc3(self.meet(s1, s2, step)), mem3)
            made.append(s3)
        return torch.stack(made)


def two(meet: Any, n: int = 4) -> nn.Module:
    return settle(Two(meet, n), seed=3)


def attention(a: Tensor, b: Tensor, x: Tensor) -> Tensor:
    q, k = a.view(-1, 2, 2), b.view(-1, 2, 2)
    return (q @ k.transpose(-2, -1) @ q * 0.25).flatten(1)


MEETINGS = {
    "both": (lambda a, b, x: a * b, 4),
    "one and not the other": (lambda a, b, x: (1 - a) * b, 4),
    "itself": (lambda a, b, x: torch.mul(a + b, a), 4),
    "every one with every other": (lambda a, b, x: (a.unsqueeze(2) * b.unsqueeze(1)).flatten(1), 16),
    "sums": (lambda a, b, x: (a + 0.5 * b) * (b - 0.25), 4),
    "of the input": (lambda a, b, x: a * x[:, :4] + b, 4),
    "attention": (attention, 4),
    "several matrices": (lambda a, b, x: torch.bmm(a.view(-1, 1, 4), b.view(-1, 4, 1)).flatten(1).repeat(1, 4), 4),
}


def equal(model: nn.Module, network: Network) -> None:
    found = parity(model, network, None, SAMPLE.numpy().astype(np.uint8)).differences
    assert [(d.different, d.spikes_before > 0) for d in found] == [(0, True)] * len(network.order)


@pytest.mark.parametrize(("meet", "n"), MEETINGS.values(), ids=MEETINGS)
def test_products_of_spikes_are_gates_that_no_knob_moves(meet: Any, n: int, tmp_path: Path) -> None:
    model = two(meet, n)
    export(model, SAMPLE).save(tmp_path / "a.aspen")
    network = load_network(tmp_path / "a.aspen")
    gates = [name for name in network.order if network[name].gate]
    assert gates
    assert network.dialled == ["lif1", "lif2"]
    assert "gate: both spike" in str(network)
    equal(model, network)
    aspen.set_threshold_scale(model, {"lif1": 0.5, "lif2": 0.5})
    equal(model, network)
    rasters = run(compile(network, "loihi1"), SAMPLE.numpy().astype(np.uint8), record="spikes").rasters
    values = {**rasters, "input": SAMPLE.numpy()}
    for name in gates:
        drive = sum(c.drive(values[c.source].reshape(-1, network[c.source].size)) for c in network.incoming(name))
        np.testing.assert_array_equal((drive > 1.5).reshape(rasters[name].shape), rasters[name])
    assert "gate: both spike" in str(compile(network, "loihi1").network)


ENGINES = ["reference", "c", pytest.param("lava", marks=[pytest.mark.lava, pytest.mark.timeout(120)])]


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_runs_such_a_gate(engine: str) -> None:
    if engine == "lava" and not lava_available():
        pytest.skip("lava-nc is not installed")
    deployment = compile(export(two(attention), SAMPLE), "loihi1")
    given = SAMPLE.numpy().astype(np.uint8)[:, :1]
    found = [run(deployment, given, 2.0, engine=name, record="spikes").rasters for name in (engine, "fast")]
    for name in deployment.network.order:
        np.testing.assert_array_equal(found[0][name], found[1][name])


def test_what_two_layers_read_is_one_gate() -> None:
    model = two(lambda a, b, x: (a * b).repeat(1, 2) - torch.cat([a * b * 0.5, a * a], 1), 8)
    network = export(model, SAMPLE)
    assert [name for name in network.order if network[name].gate] == ["lif1.both"]
    equal(model, network)


def test_layers_on_a_side_are_a_part_of_the_product() -> None:
    class Side(nn.Module):
        def __init__(self, *layers: nn.Module) -> None:
            super().__init__()
            self.side = nn.Sequential(*layers)

        def forward(self, a: Tensor, b: Tensor, x: Tensor) -> Tensor:
            return self.side(a) * b  # type: ignore[no-any-return]

    model = two(Side(nn.Linear(4, 4)))
    equal(model, export(model, SAMPLE))
    model = two(Side(nn.Linear(4, 4), nn.ReLU()))
    with pytest.raises(ModelError, match=r"meet\.side\.1 \(ReLU\) cannot be exported.*spikes are 0 or 1"):
        export(model, SAMPLE)


def test_other_products_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    currents = two(lambda a, b, x: a * x[:, :4])
    with pytest.raises(ModelError, match="fc3: its input comes from 'mul'"):
        export(currents, SAMPLE * 0.25)
    with pytest.raises(ModelError, match="fc3: its input comes from 'matmul'"):
        export(two(lambda a, b, x: a @ b.T @ b), SAMPLE)  # mixes the samples of a batch
    monkeypatch.setattr(products, "MAX_PAIRS", 10)
    with pytest.raises(ModelError, match=r"lif3: found a product of spikes 'mul' that takes more than 10 neurons.*;"):
        export(two(lambda a, b, x: (a.unsqueeze(2) * b.unsqueeze(1)).flatten(1), 16), SAMPLE)


def test_models_with_products_are_checked_trained_and_fused() -> None:
    report = check_model(two(attention), SAMPLE, "loihi1")
    assert report.ok, str(report)
    model = two(attention).float().train()
    fused = aspen.fuse(model, SAMPLE.float())
    assert torch.equal(fused(SAMPLE.float()), model(SAMPLE.float()))
