"""A training on a user's own arrays, as they are given to ``fit``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from aspen.data import arrays, load_encoder
from aspen.errors import ModelError
from aspen.models.ready import DenseNet
from aspen.network.network import load_network
from aspen.training.fit import Fitted, fit

X = np.random.default_rng(0).normal(size=(40, 12, 2)).astype(np.float32)
Y = np.arange(40) % 2


def trained(data: object, seed: int = 0, *, progress: bool = False) -> Fitted:
    torch.manual_seed(0)
    model = DenseNet((4, 12, 2))
    with torch.no_grad():
        for weights in model.parameters():
            weights *= 5.0  # so that it says something from the start
    return fit(model, data, "plain", epochs=1, seed=seed, progress=progress)


def test_arrays_are_split_encoded_and_learned_and_their_encoder_is_in_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loader = DataLoader(TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)), batch_size=8, shuffle=True)
    fitted, again, wanted = trained((X, Y), progress=True), trained(loader), trained(arrays(X, Y))
    said = capsys.readouterr().err
    assert said.count(f"{fitted.data}\n") == 1  # of the first alone: the others show no progress
    assert str(fitted.data) == str(arrays(X, Y))
    for one in (fitted, again):
        assert one.loss == wanted.loss
        assert one.data.provenance == wanted.data.provenance
    fitted.export().save(tmp_path / "net.aspen")
    assert load_encoder(tmp_path / "net.aspen") == arrays(X, Y).encoder
    kept = load_network(tmp_path / "net.aspen").provenance["training"]
    assert dict(kept["samples"]) == dict(arrays(X, Y).provenance)


def test_the_seed_of_a_training_does_not_move_the_split() -> None:
    one, other = trained((X, Y)), trained((X, Y), seed=1)
    assert (one.training["seed"], other.training["seed"]) == (0, 1)
    np.testing.assert_array_equal(one.data.test.values, other.data.test.values)


def test_a_model_of_the_raw_values_is_told_how_to_get_them() -> None:
    with pytest.raises(ModelError, match=r"let it take \(4,\) values .* or .* aspen.data.arrays\(X, y, encoder="):
        fit(DenseNet((2, 5, 2)), (X, Y), "plain", epochs=1)
    assert fit(DenseNet((2, 5, 2)), arrays(X, Y, encoder="current"), "plain", epochs=1, progress=False).export()
