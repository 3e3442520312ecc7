"""Export: what arrives is what was trained."""

from __future__ import annotations

import numpy as np
import snntorch
import torch
from torch import nn

from aspen.exporting import export
from aspen.models.ready import DenseNet
from aspen.thresholds.perturbation import perturb_thresholds
from aspen_emulator import run
from tests.aspen.exporting.models import SPIKES, Looping, leaky, sequential
from tests.networks import random_spikes


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


def test_factors_and_late_spikes_go_into_the_connection() -> None:
    for twist, factor, delay in [(lambda s, past: 2 * s, 2.0, 0), (lambda s, past: past, 1.0, 1)]:
        model = Looping(twist)
        connection = export(model, SPIKES).incoming("lif2")[0]
        assert connection.delay == delay
        np.testing.assert_array_equal(connection.weight, factor * model.fc2.weight.detach().numpy())
    model = Looping(read=lambda x, t: x[t] * 0.5)
    np.testing.assert_array_equal(
        export(model, SPIKES).incoming("lif1")[0].weight, 0.5 * model.fc1.weight.detach().numpy()
    )


def test_a_neuron_fed_straight_from_the_input() -> None:
    network = export(nn.Sequential(leaky(), nn.Linear(6, 3), leaky()), SPIKES)
    assert network["layer0"].shape == (6,)
    np.testing.assert_array_equal(network.connections[0].synapses().toarray(), np.eye(6))
