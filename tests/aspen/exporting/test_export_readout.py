"""Export of what a model answers with: membranes, and linear layers that feed no neuron."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import snntorch
import torch
from torch import Tensor, nn

from aspen.errors import InputError, ModelError
from aspen.exporting import export
from aspen.network.network import Lif, Network
from aspen_emulator import run
from aspen_hardware import compile
from tests.spiking_models import STEPS, dyadic, leaky, settle, spikes

Answer = Callable[[list[Tensor], list[Tensor]], Any]


class Recorded(nn.Module):
    """snnTorch's tutorials: spikes and membranes of the last layer in lists; ``answer`` makes the result of them."""

    def __init__(self, answer: Answer, **options: Any) -> None:
        super().__init__()
        self.answer = answer
        self.fc1, self.lif1 = nn.Linear(6, 5), leaky()
        self.fc2, self.lif2 = nn.Linear(5, 3), leaky(reset_mechanism="none", **options)

    def forward(self, x: Tensor) -> Any:
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spk_rec, mem_rec = [], []
        for step in x:
            spk1, mem1 = self.lif1(self.fc1(step), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spk_rec.append(spk2)
            mem_rec.append(mem2)
        return self.answer(spk_rec, mem_rec)


class Linear(nn.Module):
    """A linear read-out; ``answer`` makes of the hidden spikes of all steps what is returned."""

    def __init__(self, answer: Any, **options: Any) -> None:
        super().__init__()
        self.answer = answer
        self.fc1, self.lif1, self.fc2 = nn.Linear(6, 5), leaky(), nn.Linear(5, 3, **options)
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x: Tensor) -> Any:
        mem, hidden = self.lif1.init_leaky(), []
        for step in x:
            spk, mem = self.lif1(self.fc1(step), mem)
            hidden.append(spk)
        return self.answer(self, hidden)


def answered(model: nn.Module, sample: Tensor, **options: Any) -> tuple[Network, Tensor, np.ndarray]:
    """The network, what the model answers, and the scores of the network's record."""
    settle(model, 3)
    network = export(model, sample, **options)
    with torch.no_grad():
        answer = model(sample)
    return network, answer, run(network, sample.numpy().astype(np.uint8)).scores


@pytest.mark.parametrize(
    ("answer", "readout", "reduce"),
    [
        (lambda s, m: (torch.stack(s), torch.stack(m)), "spikes", lambda made: made[0].sum(0)),
        (lambda s, m: torch.stack(m), "membrane", lambda made: made.sum(0)),
        (lambda s, m: torch.stack(m).sum(0), "membrane", lambda made: made),
        (lambda s, m: torch.stack(m).mean(0), "membrane", lambda made: made * STEPS),
        (lambda s, m: m[-1], "membrane-last", lambda made: made),
    ],
)
def test_membranes_are_read_where_the_model_returns_them_alone(answer: Answer, readout: str, reduce: Any) -> None:
    network, made, scores = answered(Recorded(answer), spikes(6))
    assert (network.output, network.readout) == ("lif2", readout)
    np.testing.assert_allclose(scores, reduce(made).numpy(), rtol=1e-12)


def test_the_readout_can_be_asked_for() -> None:
    model = Recorded(lambda s, m: (torch.stack(s), torch.stack(m)))
    network, made, scores = answered(model, spikes(6), readout="membrane-max")
    assert network.readout == "membrane-max"
    np.testing.assert_allclose(scores, made[1].amax(0).numpy(), rtol=1e-12)


def test_a_sequential_that_gives_membranes_too_is_read_by_spikes() -> None:
    layers = nn.Sequential(nn.Linear(6, 5), leaky(init_hidden=True, output=True))
    assert export(settle(layers), spikes(6)).readout == "spikes"


LINEAR_ANSWERS = [
    (lambda m, h: torch.stack([m.fc2(s) for s in h]), lambda made: made.sum(0)),
    (lambda m, h: torch.stack([m.fc2(s) for s in h]).mean(0), lambda made: made * STEPS),
    (lambda m, h: sum(m.fc2(s) for s in h), lambda made: made),
    (lambda m, h: m.fc2(torch.stack(h).mean(0)), lambda made: made),
    (lambda m, h: m.fc2(torch.stack(h).sum(0)), lambda made: made),
    (lambda m, h: m.fc2(torch.stack(h)).sum(0), lambda made: made),
    (lambda m, h: m.fc2(torch.stack(h)), lambda made: made.sum(0)),
    (lambda m, h: sum(m.fc2(s) for s in torch.stack(h)), lambda made: made),
    (lambda m, h: sum(m.norm(m.fc2(s)) for s in h), lambda made: made),
]


@pytest.mark.parametrize(("answer", "reduce"), LINEAR_ANSWERS)
def test_a_linear_readout_is_an_integrator(answer: Any, reduce: Any) -> None:
    """Its membrane at the end is what the model answers, biases and normalisation included."""
    network, made, scores = answered(Linear(answer), spikes(6))
    assert network.readout == "membrane-last"
    assert float(network[network.output].neuron.beta) == 1.0  # type: ignore[union-attr]
    assert not network[network.output].neuron.fires  # type: ignore[union-attr]
    np.testing.assert_allclose(scores, reduce(made).numpy(), rtol=1e-12)


LAST_ANSWERS = [
    lambda m, h: [m.fc2(s) for s in h][-1],
    lambda m, h: m.fc2(h[-1]),
    lambda m, h: m.fc2(torch.stack(h)[-1]),
    lambda m, h: m.fc2(torch.stack(h))[-1],
]


@pytest.mark.parametrize("answer", LAST_ANSWERS)
def test_a_linear_readout_of_the_last_step_shows_each_step(answer: Any) -> None:
    network, made, scores = answered(Linear(answer), spikes(6))
    assert float(network["fc2"].neuron.beta) == 0.0  # type: ignore[union-attr]
    np.testing.assert_allclose(scores, made.numpy(), rtol=1e-12)


@pytest.mark.parametrize(
    ("readout", "reduce"),
    [("membrane", lambda m: m.sum(0)), ("membrane-max", lambda m: m.amax(0)), ("membrane-last", lambda m: m[-1])],
)
def test_a_linear_readout_that_is_asked_for_shows_each_step(readout: str, reduce: Any) -> None:
    network, made, scores = answered(Linear(LINEAR_ANSWERS[0][0]), spikes(6), readout=readout)
    assert network.readout == readout
    np.testing.assert_allclose(scores, reduce(made).numpy(), rtol=1e-12)


def test_a_sequential_that_ends_in_a_linear_layer() -> None:
    """One step per call; the answers of all steps are added up."""
    model, sample = settle(nn.Sequential(nn.Linear(6, 5), leaky(init_hidden=True), nn.Linear(5, 3)), 3), spikes(6)
    network = export(model, sample)
    model[1].reset_mem()
    with torch.no_grad():
        total = sum(model(step) for step in sample)
    np.testing.assert_allclose(run(network, sample.numpy().astype(np.uint8)).scores, total.numpy(), rtol=1e-12)
    assert network.output == "layer2"


def alternating(model: Any, hidden: list[Tensor]) -> Tensor:
    return model.fc2(sum(s if t % 2 else -s for t, s in enumerate(hidden)))


@pytest.mark.parametrize(
    ("make", "options", "error", "message"),
    [
        (lambda: Linear(alternating), {}, ModelError, "fc2: reads the time steps in different ways"),
        (lambda: Linear(lambda m, h: m.fc2(h[-1] + h[0])), {}, ModelError, "fc2: reads the time steps in different"),
        (lambda: Linear(lambda m, h: m.fc2(torch.stack(h))[3]), {}, ModelError, "fc2: found '__getitem__' on what it"),
        (lambda: Linear(lambda m, h: [m.fc2(s) for s in h[2:]]), {}, ModelError, r"is called 6 times for 8 time steps"),
        (lambda: Linear(LINEAR_ANSWERS[0][0]), {"readout": "spikes"}, ModelError, "feeds no spiking layer; allowed is"),
        (lambda: Linear(LINEAR_ANSWERS[3][0]), {"readout": "membrane"}, ModelError, "allowed is readout=None"),
        (lambda: Linear(LINEAR_ANSWERS[0][0]), {"readout": "votes"}, InputError, "readout: found 'votes', allowed are"),
    ],
)
def test_what_cannot_be_read_is_refused(make: Any, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        export(settle(make()), spikes(6), **options)


def test_membranes_after_a_reset_are_refused() -> None:
    model = Recorded(lambda s, m: torch.stack(m))
    model.lif2 = snntorch.Leaky(0.5, reset_mechanism="subtract", reset_delay=False)
    with pytest.raises(ModelError, match="lif2: its membranes are read out and it has reset_delay=False"):
        export(settle(model), spikes(6))


def test_a_graded_factor_does_not_matter_to_membranes() -> None:
    model = Recorded(lambda s, m: torch.stack(m), graded_spikes_factor=2.0)
    model.fc2.weight.data = dyadic(np.random.default_rng(0), 3, 5)
    network, made, scores = answered(model, spikes(6))
    np.testing.assert_allclose(scores, made.sum(0).numpy(), rtol=1e-12)
    assert network.readout == "membrane"


@pytest.mark.parametrize(("threshold", "beta", "fires"), [(2000.0, 0.5, False), (2000.0, 1.0, True), (8.0, 0.5, True)])
def test_a_threshold_that_no_membrane_can_reach_is_none(threshold: float, beta: float, fires: bool) -> None:
    model = settle(Recorded(lambda spk, mem: torch.stack(mem)))
    model.lif2 = leaky(reset_mechanism="subtract", threshold=threshold, beta=beta).double()
    network = export(model, spikes(6))
    neuron = network["lif2"].neuron
    assert isinstance(neuron, Lif)
    assert (neuron.fires, neuron.reset) == (fires, "subtract-delayed" if fires else "none")
    found = run(network, spikes(6).numpy().astype(np.uint8), record="membranes").membranes["lif2"]
    np.testing.assert_allclose(found, model(spikes(6)).detach().numpy())
    if not fires:
        assert compile(network, "loihi1").network["lif2"].neuron.reset == "none"
