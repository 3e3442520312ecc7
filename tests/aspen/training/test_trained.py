"""From a trained model to a file: nothing that belongs to the network is left behind, whoever trained it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import aspen
from aspen._base.arrays import Array
from aspen.data import CurrentEncoder, Dataset, RateEncoder, Samples, load_encoder
from aspen.dial.profile import DialProfile, load_profile
from aspen.errors import InputError
from aspen.models.ready import DenseNet
from aspen.network.network import load_network
from aspen.storage.file import AspenFile
from aspen.thresholds.learned_dial import dial_scale, learn_dial
from aspen.training.fit import fit
from aspen.training.recipes import DialTraining, Recipe
from aspen.training.trained import Trained
from aspen_emulator import parity, run
from aspen_hardware import compile, deployment_on, load_deployment
from tests.aspen.network.test_network import assert_equal

DIALLED = Recipe("dialled", epochs=2, batch_size=16, dial=DialTraining(high_price=1.0))


def halves() -> Dataset:
    """Two classes that differ in which half of the inputs is busy."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 120)
    values = np.full((120, 8), 0.1, np.float32)
    values[labels == 0, :4] = values[labels == 1, 4:] = 0.6
    return Dataset("halves", *(Samples(values[i::3], labels[i::3]) for i in range(3)), RateEncoder(12), classes=2)


def signals() -> Dataset:
    """The same as a current over time, up to 3 in the training data and down to -5 in the others."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 120)
    values = rng.uniform(0, 1.5, (120, 12, 8)).astype(np.float32)
    values[labels == 0, :, :4] *= 2
    parts = [Samples(values[i::3], labels[i::3]) for i in range(3)]
    parts[1].values[-1, 0, 0] = -5.0
    return Dataset("signals", *parts, CurrentEncoder().fit(values), classes=2)


class Own:
    """An encoder of the user's own, which no file can hold: one step after the other."""

    def encode(self, values: Array, seed: int = 0) -> Array:
        return np.ascontiguousarray(values.swapaxes(0, 1))


def model() -> DenseNet:
    torch.manual_seed(0)
    return DenseNet((8, 12, 2))


def test_a_fitted_model_goes_into_a_file_with_all_that_belongs_to_it(tmp_path: Path) -> None:
    net, data = model(), halves()
    fitted = fit(net, data, DIALLED, seed=3)
    trained = fitted.export()
    trained.save(tmp_path / "net.aspen")
    file = AspenFile.open(tmp_path / "net.aspen")
    assert file.sections == ["dial", "encoder", "network"]
    network, profile = load_network(file), load_profile(file)
    assert network.provenance["training"] == {"data": "halves", "recipe": "dialled", "seed": 3, "epochs": 2}
    assert_equal(network, trained.network)
    assert load_encoder(file) == data.encoder == trained.encoder
    assert fitted.profile is not None
    assert fitted.profile.offsets
    assert profile.offsets == {}
    assert np.array_equal(profile.slopes["lif1"], fitted.profile.slopes["lif1"])
    exported = aspen.export(net, torch.from_numpy(data.spikes("validation")).float())
    folded = fitted.profile.folded(exported)[0]
    assert_equal(replace(network, provenance=folded.provenance), folded)
    assert network.provenance["dial_offsets"] == folded.provenance["dial_offsets"]
    record = run(network, data.spikes("validation"), profile.scale(0.5))
    assert fitted.history[-1].spikes[1] == pytest.approx(record.hidden_spikes.mean(), rel=0.02)


def test_a_fitted_model_runs_at_any_place_of_its_dial() -> None:
    fitted = fit(model(), halves(), DIALLED, seed=3)
    spikes, network = halves().spikes("validation"), fitted.export().network
    found = {}
    for knob in (None, 0.0, 0.5):
        with fitted.at(knob) as net:
            report = parity(net, network, None, spikes)
        found[knob] = report.differences[0].spikes_before
        assert [d.different for d in report.differences] == [0, 0]
    assert found[None] == found[0.0] == parity(fitted.model, network, None, spikes).differences[0].spikes_before
    assert found[0.5] != found[0.0]
    assert dial_scale(fitted.model) == {}
    with pytest.raises(InputError, match=r"knob: found 2"), fitted.at(2.0):
        pass
    plain = replace(fitted, profile=None)
    with plain.at() as net:
        assert net is fitted.model
    with pytest.raises(InputError, match=r"knob: found 0\.5 where no dial was learned"), plain.at(0.5):
        pass


def test_without_a_dial_and_with_an_encoder_of_your_own_the_file_holds_the_network(tmp_path: Path) -> None:
    data = replace(signals(), encoder=Own())
    trained = fit(model(), data, "plain", epochs=1).export()
    assert (trained.profile, trained.encoder) == (None, None)
    trained.save(tmp_path / "net.aspen")
    assert AspenFile.open(tmp_path / "net.aspen").sections == ["network"]


def test_a_current_has_the_range_of_the_training_data_in_the_file(tmp_path: Path) -> None:
    data = signals()
    fit(model(), data, "plain", epochs=1).export().save(tmp_path / "net.aspen")
    graded = load_network(tmp_path / "net.aspen").input.graded
    assert graded is not None
    assert (
        graded.peak == data.input_peak == np.abs(data.spikes("train")).max() < np.abs(data.spikes("validation")).max()
    )
    assert run(compile(load_network(tmp_path / "net.aspen"), "loihi2"), data.spikes("test")).batch == 40


def test_a_training_loop_of_your_own_ends_in_the_same_file(tmp_path: Path) -> None:
    net, data = model(), halves()
    spikes, labels = torch.from_numpy(data.spikes("train")).float(), torch.from_numpy(data.train.labels)
    dial = learn_dial(net, spikes[:, :1], slope=1.0)
    optimizer = torch.optim.Adam([*net.parameters(), *dial.parameters()], 1e-2)
    for _ in range(60):
        dial.turn(torch.rand(len(labels)))
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(spikes).sum(0), labels).backward()
        optimizer.step()
    profile = dial.profile()
    dial.remove()
    Trained.of(net, data, profile, {"loop": "my own"}).save(tmp_path / "net.aspen")
    file = AspenFile.open(tmp_path / "net.aspen")
    assert file.sections == ["dial", "encoder", "network"]
    assert load_network(file).provenance["training"] == {"data": "halves", "loop": "my own"}
    found = run(load_network(file), load_encoder(file).encode(data.test.values, seed=3)).predictions
    assert (found == data.test.labels).mean() > 0.9


def test_what_else_is_put_beside_the_network_is_written_with_it(tmp_path: Path) -> None:
    path = tmp_path / "net.aspen"
    trained = Trained.of(model(), halves())
    file = trained.file(path)
    file.put(deployment_on("loihi1"), compile(trained.network, "loihi1"))
    assert not path.exists()
    file.save()
    assert AspenFile.open(path).sections == ["deployment/loihi1", "encoder", "network"]
    assert load_deployment(path, "loihi1").network.is_integer


def test_samples_that_show_nothing_do_not_decide_what_the_input_is() -> None:
    for shown in (0.0, 1.0):
        data = replace(signals(), encoder=Own())
        data.validation.values[:-1] = shown
        assert Trained.of(model(), data).network.input.is_analog
    data = replace(data, validation=data.validation.select(np.arange(3)))
    assert not Trained.of(model(), data).network.input.is_analog
    data.validation.values[:] = 0.0
    with pytest.raises(InputError, match="zeros alone"):
        Trained.of(model(), replace(data, name="silence"))


def test_a_dial_of_another_model_is_refused() -> None:
    with pytest.raises(InputError, match="found population 'lif7', allowed are"):
        Trained.of(model(), halves(), DialProfile({"lif7": 1.0}))
