"""Data, encoding and training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from aspen.data import Dataset, RateEncoder, Samples, digits
from aspen.errors import InputError, ModelError
from aspen.models.ready import DenseNet
from aspen.models.spikes import count_spikes
from aspen.thresholds.perturbation import get_perturbation
from aspen.training.fit import evaluate, fit
from aspen.training.penalties import Costs, SpikePenalty
from aspen.training.recipes import RECIPES, Recipe


@pytest.fixture(scope="module")
def small() -> Dataset:
    """Two classes that differ in which half of the inputs is busy."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 240)
    values = np.full((240, 8), 0.1, np.float32)
    values[labels == 0, :4] = values[labels == 1, 4:] = 0.6
    thirds = [Samples(values[i::3], labels[i::3].astype(np.int64)) for i in range(3)]
    return Dataset("small", *thirds, RateEncoder(12), classes=2)


def brisk(name: str) -> Recipe:
    """A recipe with more steps per epoch, and a price at which both classes keep an answer."""
    return replace(RECIPES[name], batch_size=8, spike_price=min(RECIPES[name].spike_price, 0.05))


def model(seed: int = 0) -> DenseNet:
    torch.manual_seed(seed)
    return DenseNet((8, 12, 2))


def test_digits_are_split_without_overlap_and_always_alike() -> None:
    first, again, other = digits(), digits(), digits(seed=1)
    parts = [first.train, first.validation, first.test]
    assert [len(part) for part in parts] == [1077, 360, 360]
    np.testing.assert_array_equal(first.test.values, again.test.values)
    assert not np.array_equal(first.test.labels, other.test.labels)
    rows = [tuple(row) for part in parts for row in part.values]
    assert len(rows) - len(set(rows)) == 0
    for part in parts:  # each digit is a tenth of every part
        assert np.abs(np.bincount(part.labels) / len(part) - 0.1).max() < 0.02


def test_a_part_is_always_encoded_alike_and_parts_differ() -> None:
    first, again = digits(), digits()
    np.testing.assert_array_equal(first.spikes("test"), again.spikes("test"))
    assert first.spikes("test").shape == (25, 360, 64)
    with pytest.raises(InputError, match="part: found 'dev', allowed are train, validation, test"):
        first.spikes("dev")


def test_rate_encoding_spikes_with_the_probability_of_the_value() -> None:
    values = np.array([[0.0, 0.25, 1.0]], np.float32)
    spikes = RateEncoder(4000).encode(values, seed=0)
    assert spikes.dtype == np.uint8
    rates = spikes.mean(axis=(0, 1))
    assert (rates[0], rates[2]) == (0.0, 1.0)
    assert abs(rates[1] - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 4000)


@pytest.mark.parametrize("bad", [[-0.1], [1.1], [np.nan]])
def test_values_out_of_range_are_refused(bad: list[float]) -> None:
    with pytest.raises(InputError, match="found NaN or values outside 0 to 1"):
        RateEncoder(3).encode(np.array([bad], np.float32), 0)
    with pytest.raises(InputError, match="steps: found 0"):
        RateEncoder(0)


@pytest.mark.parametrize("recipe", ["plain", "perturbed"])
def test_training_learns_and_the_same_seed_gives_the_same_weights(small: Dataset, recipe: str) -> None:
    nets = [model(), model()]
    histories = [fit(net, small, brisk(recipe), seed=3, epochs=10) for net in nets]
    assert histories[0].validation_accuracy[-1] > 0.9
    assert histories[0].loss[-1] < histories[0].loss[0]
    assert histories[0].loss == histories[1].loss
    for a, b in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert torch.equal(a, b)
    assert get_perturbation(nets[0]) is None
    assert not nets[0].training


def test_a_price_on_spikes_leaves_fewer_spikes(small: Dataset) -> None:
    spikes = []
    for price in (0.0, 0.1):
        net = model()
        fit(net, small, Recipe("priced", spike_price=price, batch_size=8), seed=0, epochs=15)
        accuracy, count = evaluate(net, small, "test")
        assert accuracy > 0.9
        spikes.append(count)
    assert spikes[1] < 0.7 * spikes[0]


def test_the_penalty_is_the_percentage_of_places_with_a_spike() -> None:
    net = model().eval()
    inputs = torch.ones(5, 3, 8)
    with count_spikes({"lif1": net.lif1}) as spikes, torch.no_grad():
        net(inputs)
    assert len(spikes["lif1"]) == 5
    rates = 100 * torch.stack(spikes["lif1"]).mean(dim=0)  # (sample, neuron)
    whole = {"lif1": [torch.cat(spikes["lif1"])]}  # as a fused model gives them
    for given in (spikes, whole):
        torch.testing.assert_close(SpikePenalty(Recipe("l1"))(given, 3), rates.mean(dim=1))
        squared = SpikePenalty(Recipe("l2", penalty="l2", prices={"lif1": 0.5}))(given, 3)
        torch.testing.assert_close(squared, 0.5 * rates.square().mean(dim=1))
    costs = torch.arange(12.0)
    torch.testing.assert_close(
        SpikePenalty(Recipe("x"), Costs({"lif1": costs}))(spikes, 3), (rates * costs).mean(dim=1)
    )
    above = SpikePenalty(Recipe("x", target=5.0))(spikes, 3)
    torch.testing.assert_close(above, (rates.mean(dim=1) - 5).clamp(min=0))
    assert not net.lif1._forward_hooks


def test_the_test_part_is_never_touched(small: Dataset) -> None:
    poisoned = Dataset(
        "small",
        small.train,
        small.validation,
        Samples(small.test.values * np.nan, small.test.labels),
        RateEncoder(12),
        2,
    )
    fit(model(), poisoned, "perturbed", epochs=1)


def test_progress_is_reported_after_each_epoch(small: Dataset) -> None:
    seen = []
    fit(model(), small, "plain", epochs=3, progress=lambda *values: seen.append(values))
    assert [(entry.epoch, total) for entry, total in seen] == [(0, 3), (1, 3), (2, 3)]
    assert seen[0][0].settings == (1.0, 0.7, 1.5)


def test_an_interrupted_training_leaves_a_plain_model(small: Dataset) -> None:
    net = model()

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(net, small, "perturbed", epochs=3, progress=stop)
    assert get_perturbation(net) is None
    assert not net.training


def test_wrong_recipes_models_and_sizes_are_refused(small: Dataset) -> None:
    with pytest.raises(InputError, match="recipe: found 'best', allowed are plain, l1, l2, perturbed, aspen"):
        fit(model(), small, "best")
    with pytest.raises(InputError, match="epochs: found 0"):
        fit(model(), small, "plain", epochs=0)
    with pytest.raises(ModelError, match="found no spiking layer"):
        fit(nn.Linear(8, 2), small, "plain", epochs=1)
    with pytest.raises(InputError, match=r"sizes: found \(8,\)"):
        DenseNet((8,))
