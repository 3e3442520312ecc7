"""Export: maxima over spikes, sums and records that are filled in place, encoders within the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from snntorch import spikegen
from torch import Tensor, nn
from torch.nn import functional

import aspen
from aspen.dial.profile import DialProfile
from aspen.errors import InputError, ModelError, NetworkError
from aspen.exporting import export
from aspen.network.network import Lif, Network, Population, load_network
from aspen_emulator import run
from aspen_emulator.engines.lava.shim import lava_available
from aspen_emulator.measuring.parity import parity
from aspen_hardware import compile
from tests.spiking_models import BATCH, STEPS, dyadic, leaky, settle, spikes


def hidden(**options: Any) -> nn.Module:
    return leaky(init_hidden=True, reset_mechanism="zero", **options)


def pooled(pool: nn.Module, n: int) -> nn.Module:
    """Tutorial 7: convolution, neurons, a maximum over their spikes."""
    return settle(nn.Sequential(nn.Conv2d(1, 2, 3), hidden(), pool, nn.Flatten(), nn.Linear(n, 3), hidden()))


def equal(model: nn.Module, network: Network, frames: Tensor, **options: Any) -> None:
    given = frames.numpy() if network.input.current else frames.numpy().astype(np.uint8)
    found = parity(model, network, None, given, **options).differences
    assert [d.different for d in found] == [0] * len(network.order)
    assert all(d.spikes_before for d in found if network[d.population].neuron.fires)  # type: ignore[union-attr]


POOLS = {
    "plain": (lambda: nn.MaxPool2d(2), 2 * 4 * 4),
    "overlapping": (lambda: nn.MaxPool2d(3, 2, padding=1), 2 * 4 * 4),
    "over the border": (lambda: nn.MaxPool2d(3, ceil_mode=True), 2 * 3 * 3),
    "oblong": (lambda: nn.MaxPool2d((2, 4), (2, 1)), 2 * 4 * 5),
}


@pytest.mark.parametrize(("pool", "n"), POOLS.values(), ids=POOLS)
def test_a_maximum_over_spikes_is_exact_and_the_knob_leaves_it_alone(pool: Any, n: int, tmp_path: Path) -> None:
    model, sample = pooled(pool(), n), spikes(1, 10, 10, density=0.3)
    export(model, sample).save(tmp_path / "a.aspen")
    network = load_network(tmp_path / "a.aspen")
    assert [p.gate for p in network.populations] == [False, False, True, False]
    assert network.dialled == ["layer1"]
    equal(model, network, sample)
    aspen.set_threshold_scale(model, 2.0)
    turned = export(model, sample)  # thresholds as trained
    given = sample.numpy().astype(np.uint8)
    dialled = run(turned, given, 2.0, record="spikes").rasters
    equal_to = parity(model, turned, None, given).differences[0]
    assert dialled["layer1"].sum() == equal_to.spikes_before
    source = torch.tensor(dialled["layer1"]).float().flatten(0, 1)
    gate = dialled["layer1.pool"].reshape(STEPS * BATCH, *network["layer1.pool"].shape)
    np.testing.assert_array_equal(gate, pool()(source).numpy())


def test_a_gate_is_compiled_and_no_dial_moves_it() -> None:
    model, sample = pooled(nn.MaxPool2d(2), 32), spikes(1, 10, 10, density=0.3)
    network = export(model, sample)
    deployment = compile(network, "loihi1")
    given = sample.numpy().astype(np.uint8)
    for scale in (1.0, 0.5, 3.0):
        rasters = run(deployment, given, scale, record="spikes").rasters
        source = torch.tensor(rasters["layer1"]).float().flatten(0, 1)
        made = functional.max_pool2d(source, 2).numpy().reshape(rasters["layer1.pool"].shape)
        np.testing.assert_array_equal(rasters["layer1.pool"], made)
    assert list(DialProfile.uniform(network).slopes) == ["layer1"]
    with pytest.raises(InputError, match=r"threshold_scale: found population 'layer1.pool', allowed are layer1"):
        run(network, given, {"layer1.pool": 2.0})
    with pytest.raises(NetworkError, match="input: found a gate without neurons"):
        Population("input", (2,), gate=True)
    assert "gate: any spike" in str(network)
    assert Population("g", (1,), Lif(0.5, 0.0), gate=True).gate


ENGINES = ["reference", pytest.param("lava", marks=[pytest.mark.lava, pytest.mark.timeout(120)])]


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_runs_a_gate(engine: str) -> None:
    if engine == "lava" and not lava_available():
        pytest.skip("lava-nc is not installed")
    network = export(pooled(nn.MaxPool2d(2), 32), spikes(1, 10, 10, density=0.3))
    given = spikes(1, 10, 10, density=0.3).numpy().astype(np.uint8)[:, :1]
    deployment = compile(network, "loihi1")
    found = [run(deployment, given, 2.0, engine=name, record="spikes").rasters for name in (engine, "fast")]
    for name in network.order:
        np.testing.assert_array_equal(found[0][name], found[1][name])


class Pools(nn.Module):
    """Functional pools of one dimension: of the input, of spikes, twice, and of spikes in another shape."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.lif1, self.fc, self.lif2 = nn.Conv1d(1, 2, 3), leaky(), nn.Linear(6, 3), leaky()

    def forward(self, x: Tensor) -> Tensor:
        mem1, mem2, record = self.lif1.reset_mem(), self.lif2.reset_mem(), []
        for step in x:
            s1, mem1 = self.lif1(self.conv(functional.max_pool1d(step, 2)), mem1)
            again = functional.max_pool1d(functional.max_pool1d(s1, 2), 2)
            both = torch.cat([again, functional.max_pool1d(s1, 4, stride=2)], 2)
            s2, mem2 = self.lif2(self.fc(both.flatten(1)), mem2)
            record.append(s2)
        return torch.stack(record)


def test_pools_of_the_input_and_of_pools() -> None:
    model, sample = settle(Pools()), spikes(1, 18)
    network = export(model, sample)
    gates = [p.name for p in network.populations if p.gate]
    assert gates == ["input.pool", "lif1.pool", "lif1.pool.pool", "lif1.pool2"]
    equal(model, network, sample)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), hidden()), r"1 \(MaxPool2d\).*pool behind the neu"),
        (lambda: nn.Sequential(nn.Conv2d(1, 2, 3), hidden(), nn.MaxPool2d(2, dilation=2), hidden()), "2 .MaxPool2d."),
        (
            lambda: nn.Sequential(nn.Conv2d(1, 2, 3), hidden(graded_spikes_factor=2.0), nn.MaxPool2d(2), hidden()),
            "1: found a graded_spikes_factor other than 1 in front of a maximum pool",
        ),
    ],
)
def test_other_maxima_are_refused(model: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        export(settle(model()), spikes(1, 10, 10))


class Filled(nn.Module):
    """Two layers whose spikes are added up or kept in place, and a linear read-out."""

    def __init__(self, keep: Any) -> None:
        super().__init__()
        self.fc1, self.lif1, self.out, self.keep = nn.Linear(6, 5), leaky(), nn.Linear(5, 3), keep

    def forward(self, x: Tensor) -> Tensor:
        mem, kept = self.lif1.reset_mem(), self.keep(x)
        for t, step in enumerate(x):
            spk, mem = self.lif1(self.fc1(step), mem)
            kept = self.put(kept, t, spk)
        return self.out(kept.sum(0) if kept.ndim > 2 else kept)  # type: ignore[no-any-return]

    def put(self, kept: Tensor, t: int, spk: Tensor) -> Tensor:
        if kept.ndim > 2:
            kept[t] = spk
        else:
            kept += spk
        return kept


@pytest.mark.parametrize("steps", [(), (STEPS,)])
def test_spikes_added_up_or_kept_in_place(steps: tuple[int, ...]) -> None:
    model = settle(Filled(lambda x: torch.zeros(*steps, x.shape[1], 5, dtype=x.dtype)))
    network = export(model, spikes(6))
    given = spikes(6, seed=3)
    record = run(network, given.numpy().astype(np.uint8))
    np.testing.assert_allclose(record.scores, model(given).detach().numpy(), rtol=1e-12)


def test_what_is_no_sum_and_no_record_is_refused() -> None:
    model = settle(Filled(lambda x: torch.ones(x.shape[1], 5, dtype=x.dtype)))
    with pytest.raises(ModelError, match=r"out: its input comes from 'a (change in place|new tensor)'"):
        export(model, spikes(6))


class Encoding(nn.Module):
    """Draws spikes of an image, all at once or step by step."""

    def __init__(self, at_once: bool) -> None:
        super().__init__()
        self.fc, self.lif, self.at_once = nn.Linear(6, 3), leaky(), at_once

    def forward(self, x: Tensor) -> Tensor:
        self.lif.reset_mem()
        steps = spikegen.rate(x, STEPS) if self.at_once else (torch.bernoulli(x) for _ in range(STEPS))
        return torch.stack([self.lif(self.fc(step))[0] for step in steps])


@pytest.mark.parametrize("at_once", [True, False])
def test_a_network_begins_behind_an_encoder(at_once: bool) -> None:
    model = settle(Encoding(at_once))
    network = export(model, dyadic(np.random.default_rng(0), BATCH, 6).abs().clamp(max=1))
    assert not network.input.current
    assert not network.input.static
    assert network.provenance["form"]["encoder"] == "bernoulli"
    equal(model, network, spikes(6, seed=5))


class Unused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1, self.fc2, self.lif2, self.lif3 = (
            nn.Linear(6, 5),
            leaky(),
            nn.Linear(5, 3),
            leaky(),
            leaky(),
        )

    def forward(self, x: Tensor) -> Tensor:
        self.lif1.reset_mem(), self.lif2.reset_mem()
        return torch.stack([self.lif2(self.fc2(self.lif1(self.fc1(step))[0]))[0] for step in x])


def test_neurons_that_are_never_called_are_left_out() -> None:
    model = settle(Unused())
    network = export(model, spikes(6))
    assert network.names == ["input", "lif1", "lif2"]
    equal(model, network, spikes(6))


def test_a_transposed_convolution_is_a_matrix() -> None:
    model = settle(
        nn.Sequential(nn.Conv2d(1, 2, 3, 2), hidden(), nn.ConvTranspose2d(2, 1, 3, 2, output_padding=1), hidden())
    )
    model[2].weight.data = dyadic(np.random.default_rng(1), *model[2].weight.shape, mean=0.15)
    equal(model, export(model, spikes(1, 8, 8)), spikes(1, 8, 8))
