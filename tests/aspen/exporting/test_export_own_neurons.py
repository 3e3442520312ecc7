"""Export of neuron classes of one's own: what they do is read off random numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import aspen
from aspen.errors import ModelError
from aspen.exporting import export
from aspen.models.own_neurons import read_own
from aspen.network.network import Network
from aspen_emulator import run
from aspen_emulator.engines.lava.shim import lava_available
from aspen_emulator.measuring.parity import parity
from aspen_hardware import check_model, compile
from tests.spiking_models import leaky, settle, spikes

SAMPLE = spikes(6)


class Own(nn.Module):
    """A neuron of one's own; ``step`` makes spikes and membrane of input, membrane, decay and threshold."""

    def __init__(self, step: Any, threshold: Any = 0.5) -> None:
        super().__init__()
        self.beta, self.threshold, self.step = 0.75, threshold, step

    def forward(self, x: Tensor, mem: Tensor) -> tuple[Tensor, Tensor]:
        return self.step(x, mem, self.beta, self.threshold)  # type: ignore[no-any-return]


def surrogate(x: Tensor, mem: Tensor, beta: float, threshold: float) -> tuple[Tensor, Tensor]:
    """Tutorial 5's."""
    spk = (mem > threshold).to(x.dtype)
    return spk, beta * mem + x - beta * spk * threshold


def delayed(x: Tensor, mem: Tensor, beta: float, threshold: float) -> tuple[Tensor, Tensor]:
    mem = beta * mem + x - threshold * (mem > threshold).to(x.dtype)
    return (mem > threshold).to(x.dtype), mem


def zeroed(x: Tensor, mem: Tensor, beta: float, threshold: float) -> tuple[Tensor, Tensor]:
    mem = beta * mem + x
    spk = (mem - threshold > 0).to(x.dtype)
    return spk, torch.where(spk > 0, 0.0, mem)


def counted(x: Tensor, mem: Tensor, beta: float, threshold: float) -> tuple[Tensor, Tensor]:
    spk = (mem > threshold).to(x.dtype)
    return spk, beta * mem * (1 - spk) + x


STEPS_OF = {
    "subtract": (surrogate, True, "subtract"),
    "subtract-delayed": (delayed, False, "subtract-delayed"),
    "zero": (zeroed, False, "zero"),
    "zero, late": (counted, True, "zero"),
    "none": (lambda x, m, b, t: ((b * m + x > t).to(x.dtype), b * m + x), False, "none"),
}


class Looped(nn.Module):
    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.fc1, self.lif1, self.fc2, self.lif2 = nn.Linear(6, 5), first, nn.Linear(5, 3), second

    def forward(self, x: Tensor) -> Tensor:
        mem1, mem2, made = torch.zeros(x.shape[1], 5).to(x), torch.zeros(x.shape[1], 3).to(x), []
        for step in x:
            spk1, mem1 = self.lif1(self.fc1(step), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            made.append(spk2)
        return torch.stack(made)


def looped(step: Any, second: nn.Module | None = None) -> nn.Module:
    return settle(Looped(Own(step), second or leaky(threshold=0.25)), seed=1)


def equal(model: nn.Module, network: Network) -> None:
    found = parity(model, network, None, SAMPLE.numpy().astype(np.uint8)).differences
    assert [(d.different, d.spikes_before > 0) for d in found] == [(0, True)] * len(network.order)


@pytest.mark.parametrize(("step", "late", "reset"), STEPS_OF.values(), ids=STEPS_OF)
def test_neurons_of_ones_own_are_recognised_by_what_they_do(step: Any, late: bool, reset: str) -> None:
    model = looped(step)
    network = export(model, SAMPLE)
    assert network["lif1"].neuron.reset == reset  # type: ignore[union-attr]
    assert {c.delay for c in network.incoming("lif1")} == {int(late)}
    assert "lif1: Own is a neuron class of your own; on random numbers it spikes as beta 0.75, thr" in str(network)
    equal(model, network)
    aspen.set_threshold_scale(model, 0.5)
    equal(model, network)
    equal(looped(step, Own(step)), export(looped(step, Own(step)), SAMPLE))  # as the output too


def test_thresholds_of_such_neurons_are_drawn_and_given_back() -> None:
    model = looped(surrogate).train()
    plain = model(SAMPLE)
    with aspen.perturb_thresholds(model, seed=0, low=4.0, high=5.0) as handle:
        assert model(SAMPLE).sum() < plain.sum()
        assert handle.factors["lif1"].shape == (3, 1)
    assert torch.equal(model(SAMPLE), plain)
    assert model.lif1.threshold == 0.5  # type: ignore[union-attr]


@pytest.mark.lava
@pytest.mark.timeout(120)
@pytest.mark.skipif(not lava_available(), reason="lava-nc is not installed")
def test_lava_runs_neurons_whose_input_comes_a_step_later() -> None:
    network, given = export(looped(surrogate), SAMPLE), SAMPLE.numpy().astype(np.uint8)[:, :1]
    found = [run(network, given, engine=engine, record="spikes").rasters for engine in ("lava", "fast")]
    for name in network.order:
        np.testing.assert_array_equal(found[0][name], found[1][name])
    assert compile(network, "loihi2").network["lif1.bias"].gate


OTHERS = {
    "at the threshold too": lambda x, m, b, t: ((m >= t).to(x.dtype), b * m + x - b * t * (m >= t).to(x.dtype)),
    "graded": lambda x, m, b, t: (torch.sigmoid(m - t), b * m + x),
    "adaptive": lambda x, m, b, t: ((m > t).to(x.dtype), b * m + x - 0.3 * (m > t).to(x.dtype)),
    "a threshold of its own": lambda x, m, b, t: ((m > 0.5).to(x.dtype), b * m + x - b * 0.5 * (m > 0.5).to(x.dtype)),
    "growing": lambda x, m, b, t: ((m > t).to(x.dtype), 1.5 * m + x),
    "no membrane": lambda x, m, b, t: (m > t).to(x.dtype),
}


@pytest.mark.parametrize("step", OTHERS.values(), ids=OTHERS)
def test_what_does_anything_else_is_no_such_neuron(step: Any) -> None:
    assert read_own(Own(step)) is None
    with pytest.raises(ModelError, match=r"found no spiking layer.*neurons of your own that do as these.*;"):
        aspen.get_threshold_scale(nn.Sequential(nn.Linear(2, 2), Own(step)))


def test_it_is_said_what_cannot_be_done_with_them() -> None:
    report = check_model(looped(surrogate), SAMPLE, "loihi1")
    assert [(p.way, p.where) for p in report.problems] == [("fuse", "lif1"), ("loihi1", "lif1")]
    assert check_model(looped(zeroed), SAMPLE, "loihi1").problems[0].message.startswith("lif1 (Own) cannot be fused")
    settled = read_own(Own(delayed, nn.Parameter(torch.tensor(2.0))))
    assert settled is not None
    assert settled.threshold == 2.0
