"""The ready-made models: what they learn from, that they export and fuse exactly, and what they refuse."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import snntorch
import torch
from torch import Tensor, nn

import aspen
from aspen.data import Dataset, RateEncoder, Samples
from aspen.errors import InputError
from aspen.models.layers import hidden_layers
from aspen.models.ready import ConvNet, DenseNet, RecurrentNet
from aspen.training.fit import evaluate, fit
from aspen.training.recipes import RECIPES, Recipe
from aspen_emulator import run
from aspen_hardware import compile
from tests.spiking_models import BATCH, STEPS, record_model, same_spikes, settle, spikes, step

MODELS: dict[str, Callable[..., Any]] = {
    "dense": lambda **options: DenseNet((16, 9, 7, 3), **options),
    "recurrent": lambda **options: RecurrentNet((16, 9, 7, 3), **options),
    "window": lambda **options: ConvNet((2, 8), (4, 6), (7,), 3, **options),
    "image": lambda **options: ConvNet((1, 4, 4), (4, 6), (), 3, kernel=2, **options),
}
OPTIONS = [
    {"batch_norm": norm, "learn_beta": learned, "readout": readout}
    for norm, learned, readout in itertools.product((False, True), (False, True), ("spikes", "linear"))
]
each_model = pytest.mark.parametrize("name", MODELS)
each_option = pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o.values())))


def exact(name: str, options: dict[str, Any]) -> nn.Module:
    """The model in float64 with numbers that compute exactly."""
    torch.manual_seed(0)
    model = settle(MODELS[name](**options), 1)
    for module in model.modules():
        if isinstance(module, snntorch.SpikingNeuron):
            module.spike_grad = step
            module.beta.data = (module.beta.data * 32).round() / 32
    return model


@each_model
@each_option
def test_the_export_and_the_fused_model_spike_alike(name: str, options: dict[str, Any]) -> None:
    model, sample = exact(name, options), spikes(16)
    if options["readout"] == "spikes":
        network = same_spikes(model, sample)
    else:
        network = aspen.export(model, sample)
        made, _ = record_model(model, lambda: model(sample))
        record = run(network, sample.numpy().astype(np.uint8), record="spikes")
        for population, raster in made.items():
            np.testing.assert_array_equal(record.rasters[population], raster)
        np.testing.assert_allclose(record.scores, model(sample).sum(0).detach().numpy(), rtol=1e-12)
        assert (network.output, network.readout) == ("readout", "membrane-last")
    assert list(network.hidden) == list(hidden_layers(model))
    with torch.no_grad():
        answer = model(sample)
        assert answer.shape == (STEPS, BATCH, 3)
        assert float(answer.abs().sum()) > 0
        torch.testing.assert_close(aspen.fuse(model)(sample), answer, rtol=1e-12, atol=1e-12)


def trained_once(model: nn.Module, runner: nn.Module, sample: Tensor) -> dict[str, Tensor]:
    """Gradients and BatchNorm's statistics after one pass in training mode."""
    model.train()
    weights = torch.linspace(-1, 2, 3)
    (runner(sample) * weights).sum().backward()
    made = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return made | {name: value for name, value in model.named_buffers() if "running" in name}


@each_model
@pytest.mark.parametrize("readout", ["spikes", "linear"])
def test_the_loop_takes_the_statistics_over_time_as_the_fused_model_does(name: str, readout: str) -> None:
    torch.manual_seed(1)
    model = MODELS[name](batch_norm=True, learn_beta=True, readout=readout)
    sample, twin = spikes(16).float(), copy.deepcopy(model)
    looped = trained_once(model, model, sample)
    fused = trained_once(twin, aspen.fuse(twin, batch_norm="over_time"), sample)
    assert looped.keys() == fused.keys() >= {"lif1.beta", "norm1.weight", "norm1.running_mean"}
    for key, value in looped.items():
        assert float(value.abs().max()) > 0, key
        torch.testing.assert_close(fused[key], value, rtol=1e-4, atol=1e-5)


def test_batch_norm_sees_all_steps_and_samples() -> None:
    torch.manual_seed(0)
    model: Any = DenseNet((16, 9, 3), batch_norm=True).train()
    sample = spikes(16).float()
    currents: list[Tensor] = []
    model.lif1.register_forward_pre_hook(lambda module, given: currents.append(given[0].detach()))
    model(sample)
    over_all = torch.stack(currents).reshape(-1, 9)
    assert len(over_all) == STEPS * BATCH
    torch.testing.assert_close(over_all.mean(0), torch.zeros(9), atol=1e-5, rtol=0)
    torch.testing.assert_close(over_all.std(0, unbiased=False), torch.full((9,), 0.5), atol=1e-3, rtol=0)
    drive = sample.reshape(-1, 16) @ model.fc1.weight.T
    torch.testing.assert_close(model.norm1.running_mean, 0.1 * drive.mean(0).detach())


@each_model
def test_decays_are_learned_for_each_neuron_from_a_spread_that_the_seed_gives(name: str) -> None:
    made = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        made.append(MODELS[name](learn_beta=True).lif1.beta)
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])
    assert isinstance(made[0], nn.Parameter)
    assert made[0].numel() == (9 if name in ("dense", "recurrent") else 4)
    assert 0.5 <= float(made[0].detach().min()) < float(made[0].detach().max()) <= 0.95


def quarters(samples: int = 360) -> Dataset:
    """Three classes that differ in which of 16 inputs is busy."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, samples).astype(np.int64)
    values = np.full((samples, 16), 0.1, np.float32)
    for label in range(3):
        values[labels == label, 4 * label : 4 * label + 6] = 0.9
    train, validation, test = (Samples(values[i::3], labels[i::3]) for i in range(3))
    return Dataset("quarters", train, validation, test, RateEncoder(12), classes=3)


@pytest.fixture
def _one_thread() -> Iterator[None]:
    """Networks this small lose time with more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@each_model
@pytest.mark.parametrize("readout", ["spikes", "linear"])
@pytest.mark.usefixtures("_one_thread")
def test_every_model_learns(name: str, readout: str) -> None:
    torch.manual_seed(0)
    model = MODELS[name](batch_norm=True, learn_beta=readout == "linear", readout=readout)
    data = quarters()
    fit(model, data, Recipe("quick", epochs=8, batch_size=16))
    accuracy, hidden = evaluate(model, data, "test")
    assert accuracy > 0.9
    network = aspen.export(model, torch.from_numpy(data.spikes("validation")[:, :2]).float())
    record = run(network, data.spikes("test"))
    assert (record.predictions == data.test.labels).mean() == pytest.approx(accuracy, abs=0.01)
    assert record.hidden_spikes.mean() == pytest.approx(hidden, rel=0.02)


@each_model
@pytest.mark.usefixtures("_one_thread")
def test_every_model_is_dialled_and_runs_on_a_chip(name: str) -> None:
    torch.manual_seed(0)
    model, data = MODELS[name](batch_norm=True), quarters(90)
    fitted = fit(model, data, RECIPES["aspen"], epochs=1)
    trained = fitted.export()
    assert trained.profile is not None
    deployment = compile(trained.network, "loihi1", profile=trained.profile)
    record = run(deployment, data.spikes("test"), trained.profile.scale(0.5))
    assert record.output.shape == (12, 30, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DenseNet((8,)), r"sizes: found \(8,\), allowed are 2 or more sizes"),
        (lambda: DenseNet((8, 0, 2)), "sizes: found"),
        (lambda: DenseNet((8, 2), readout="linear"), "allowed are 3 or more sizes of at least 1"),
        (lambda: RecurrentNet((8, 4, 2), readout="votes"), "readout: found 'votes', allowed are spikes, linear"),
        (lambda: ConvNet((8,), (4,), (), 2), r"ConvNet: found the shape \(8,\)"),
        (lambda: ConvNet((1, 8), (), (4,), 2), r"channels \(\), .*one convolution or more"),
        (lambda: ConvNet((1, 8), (4,), (), 2, stride=0), "stride 0"),
    ],
)
def test_impossible_models_are_refused(make: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()
