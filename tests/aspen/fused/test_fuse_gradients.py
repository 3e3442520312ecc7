"""The compiled backward pass, kind by kind and reset by reset: every learned parameter has snnTorch's own gradient."""

from __future__ import annotations

import pytest
import snntorch
import torch
from torch import Tensor, nn

from aspen.errors import ModelError
from aspen.fused import fuse
from tests.aspen.fused.fused_models import Chain, assert_alike, bell, busy_input
from tests.aspen.fused.test_fuse import DOUBLE, KINDS, RESETS, neuron


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_learned_parameter_has_snntorchs_gradient(kind: str, reset: str) -> None:
    """In float64, so that a term that is missing or wrong cannot hide in rounding."""
    for delay in (True, False) if kind in ("Leaky", "Synaptic", "RLeaky") else (True,):
        for learn in ("scalar", "each"):
            torch.manual_seed(1)
            layers = [neuron(kind, n, reset, delay, "bell", learn, n) for n in (6, 4)]
            model = Chain((5, 6, 4), layers).double()
            for linear in model.linears:
                linear.weight.data.abs_().mul_(8 if kind == "Lapicque" else 1)  # type: ignore[union-attr,operator]
            spikes, _ = assert_alike(model, busy_input(5, seed=2, dtype=torch.float64), DOUBLE)
            assert bool(spikes.any()) or kind == "Lapicque"


@pytest.mark.parametrize("learned", ["learn_beta", "learn_threshold"])
@pytest.mark.parametrize("reset", RESETS)
def test_one_parameter_may_be_learned_alone(learned: str, reset: str) -> None:
    torch.manual_seed(1)
    layers: list[nn.Module] = [
        snntorch.Leaky(
            beta=torch.full((n,), 0.8), threshold=0.6, reset_mechanism=reset, spike_grad=bell(), **{learned: True}
        )  # type: ignore[arg-type]
        for n in (6, 4)
    ]
    assert_alike(Chain((5, 6, 4), layers).double(), busy_input(5, dtype=torch.float64), DOUBLE)


@pytest.mark.parametrize("shape", [(), (4,)], ids=["lone", "each"])
def test_what_a_reset_takes_is_rounded_as_snntorch_rounds_it(shape: tuple[int, ...]) -> None:
    """A lone threshold is taken in the precision of the spikes, float32, where 0.3 is another number."""
    torch.manual_seed(1)
    neuron = snntorch.Leaky(beta=0.8, reset_mechanism="subtract")
    model = Chain((5, 4), [neuron]).double()
    neuron._buffers["threshold"] = torch.full(shape, 0.3, dtype=torch.float64)
    spikes, _ = assert_alike(model, busy_input(5, dtype=torch.float64), 1e-5)
    assert bool(spikes.any())


def test_a_model_is_rehearsed_in_each_mode() -> None:
    """It may be made of other parts while it trains."""

    class Remembering(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.lif1 = nn.Linear(5, 4), snntorch.Leaky(0.8)
            self.fc2, self.lif2 = nn.Linear(4, 3), snntorch.Leaky(0.8)

        def forward(self, inputs: Tensor) -> Tensor:
            mem1, mem2, made = self.lif1.reset_mem(), self.lif2.reset_mem(), []
            past = torch.zeros(inputs.shape[1], 4)
            for step in inputs:
                spikes, mem1 = self.lif1(self.fc1(step), mem1)
                past, spikes = spikes, spikes + past if self.training else spikes
                spikes, mem2 = self.lif2(self.fc2(spikes), mem2)
                made.append(spikes)
            return torch.stack(made)

    fused = fuse(Remembering().eval())
    fused(busy_input(5))
    fused.train()
    with pytest.raises(ModelError, match="lif2"):
        fused(busy_input(5))
    fused.eval()
    fused(busy_input(5))


@pytest.mark.parametrize("factor", [torch.tensor(2.0), torch.tensor(1.0, requires_grad=True)], ids=["other", "learned"])
def test_graded_spikes_of_recurrent_neurons_are_refused(factor: Tensor) -> None:
    neuron = snntorch.RLeaky(beta=0.8, linear_features=4)
    neuron._buffers["graded_spikes_factor"] = factor
    with pytest.raises(ModelError, match="found a graded_spikes_factor other than 1 on a recurrent neuron"):
        fuse(Chain((5, 4), [neuron]))(busy_input(5))
