"""Export: what arrives is what was trained; what cannot be mapped is refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import snntorch
import torch
from torch import Tensor, nn

from aspen.errors import InputError, ModelError
from aspen.exporter import export
from aspen.models import DenseNet
from aspen.perturbation import perturb_thresholds
from aspen_emulator import run
from tests.networks import random_spikes

SPIKES = torch.from_numpy(random_spikes(0, 10, 4, 6)).float()


def leaky(**options: Any) -> snntorch.Leaky:
    return snntorch.Leaky(**{"beta": 0.9, "init_hidden": True, **options})


def sequential(*middle: nn.Module, **options: Any) -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 5), leaky(**options), *middle, nn.Linear(5, 3), leaky(output=True))


class Looping(nn.Module):
    """Loops over time; ``twist`` changes the hidden spikes, ``read`` picks the input of a step."""

    def __init__(self, twist: Any = None, read: Any = None) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(6, 5), snntorch.Leaky(0.9)
        self.fc2, self.lif2 = nn.Linear(5, 3), snntorch.Leaky(0.9)
        self.twist, self.read = twist or (lambda s, past: s), read or (lambda x, t: x[t])

    def forward(self, x: Tensor) -> Tensor:
        mem1, mem2 = self.lif1.reset_mem(), self.lif2.reset_mem()
        out, past = [], torch.zeros(x.shape[1], 5)
        for t in range(len(x)):
            spikes, mem1 = self.lif1(self.fc1(self.read(x, t)), mem1)
            past, spikes = spikes, self.twist(spikes, past)
            spikes, mem2 = self.lif2(self.fc2(spikes), mem2)
            out.append(spikes)
        return torch.stack(out)


def test_a_looping_model_becomes_its_populations_and_weights() -> None:
    model = Looping()
    network = export(model, SPIKES)
    assert network.names == ["input", "lif1", "lif2"]
    assert network.output == "lif2"
    np.testing.assert_array_equal(network.connections[0].weight, model.fc1.weight.detach().numpy())
    np.testing.assert_array_equal(network.connections[1].bias, model.fc2.bias.detach().numpy())
    assert network["lif1"].neuron.reset == "subtract-delayed"  # snnTorch's default
    assert network.provenance["model"] == "Looping"


def test_a_sequential_with_init_hidden_steps_outside() -> None:
    model = sequential(nn.Dropout(0.5), nn.Identity(), reset_mechanism="zero").double()
    model[1].register_forward_hook(lambda m, i, o: o.double())  # snnTorch spikes in float32
    network = export(model, SPIKES.double())
    assert network.names == ["input", "layer1", "layer5"]
    model.eval()
    model[1].reset_mem(), model[5].reset_mem()
    with torch.no_grad():
        expected = torch.stack([model(x)[0] for x in SPIKES.double()])
    np.testing.assert_array_equal(run(network, SPIKES.numpy().astype(np.uint8)).output, expected.numpy())


def test_per_neuron_and_learned_parameters_arrive() -> None:
    model = DenseNet((6, 5, 3))
    model.lif1 = snntorch.Leaky(
        beta=torch.rand(5) * 1.4, threshold=torch.rand(5) + 0.5, learn_threshold=True, learn_beta=True
    )
    neuron = export(model, SPIKES)["lif1"].neuron
    np.testing.assert_array_equal(neuron.threshold, model.lif1.threshold.detach().numpy())
    np.testing.assert_array_equal(neuron.beta, model.lif1.beta.detach().clamp(0, 1).numpy())


def test_images_are_flattened_into_the_first_layer() -> None:
    model = nn.Sequential(nn.Flatten(), *sequential())
    network = export(model, SPIKES.reshape(10, 4, 2, 3))
    assert network.input.shape == (2, 3)
    run(network, random_spikes(0, 3, 1, 6).reshape(3, 1, 2, 3))


def test_the_model_is_left_as_it_was() -> None:
    model = DenseNet((6, 5, 3))
    handle = perturb_thresholds(model, seed=0)
    model.train()
    model(SPIKES).sum().backward()  # membranes are part of a graph now, which torch cannot deepcopy
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    membrane = model.lif1.mem
    network = export(model, SPIKES)
    assert model.training
    assert model.lif1.mem is membrane
    assert handle.factors
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert float(network["lif1"].neuron.threshold) == 1.0


def broken_inhibition() -> nn.Module:
    with pytest.warns(UserWarning, match="Inhibition"):
        return sequential(inhibition=True)


def in_place(spikes: Tensor, past: Tensor) -> Tensor:
    spikes *= 2
    return spikes


class Readout(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1, self.fc2 = nn.Linear(6, 5), leaky(), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.lif1(self.fc1(x)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sequential(nn.ReLU()), r"3 \(Linear\)?.*fed by 2 \(ReLU\)|ReLU"),
        (lambda: nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), leaky()), "BatchNorm1d"),
        (
            lambda: nn.Sequential(nn.Linear(6, 5), snntorch.Synaptic(0.9, 0.8, init_hidden=True)),
            "1: Synaptic cannot be exported",
        ),
        (
            lambda: nn.Sequential(nn.Linear(6, 5), snntorch.Lapicque(0.9, init_hidden=True)),
            "1: Lapicque cannot be exported",
        ),
        (broken_inhibition, "1: Leaky has inhibition=True"),
        (lambda: sequential(graded_spikes_factor=2.0), "1: Leaky has a graded_spikes_factor other than 1"),
        (lambda: sequential(state_quant=lambda x: x), "1: Leaky has state_quant"),
        (Readout, r"fc2 \(Linear\) feeds no Leaky layer"),
        (lambda: Looping(lambda s, past: 2 * s), "fc2: its input comes from 'r?mul'"),
        (lambda: Looping(lambda s, past: s + past), "fc2: its input comes from 'add'"),
        (lambda: Looping(in_place), "fc2: its input comes from 'a change in place'"),
        (lambda: Looping(lambda s, past: torch.relu(s)), "fc2: its input comes from 'relu'"),
        (lambda: Looping(lambda s, past: past), "fc2: "),
        (lambda: Looping(lambda s, past: s.flip(0)), "fc2: its input comes from 'flip'"),
        (lambda: Looping(read=lambda x, t: x[len(x) - 1 - t]), "fc1: at call 0 its input is not the sample's step 0"),
        (lambda: Looping(read=lambda x, t: x[t] * 0.5), "fc1: its input comes from 'mul'"),
        (lambda: nn.Linear(6, 5), "found no spiking layer"),
    ],
)
def test_what_cannot_be_mapped_is_refused_by_name(make: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message) as error:
        export(make(), SPIKES)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("sample", [torch.zeros(10, 6), torch.zeros(1, 4, 6), np.zeros((10, 4, 6))])
def test_a_sample_of_the_wrong_form_is_refused(sample: Any) -> None:
    with pytest.raises(InputError, match=r"sample: found .*, allowed is a tensor \(time, batch, \*shape\)"):
        export(DenseNet((6, 5, 3)), sample)
