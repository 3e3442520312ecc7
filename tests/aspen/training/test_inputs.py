"""Training samples that are too many to be kept at once: encoded batch by batch, to the same end, in little memory."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aspen.data import Dataset, RateEncoder, Samples, arrays, choosing, datasets, load_arrays
from aspen.errors import FileFormatError, InputError
from aspen.models.ready import DenseNet
from aspen.training.fit import fit
from aspen.training.inputs import encoded_batches
from aspen.training.recipes import Recipe

RECIPE = Recipe("short", epochs=2, batch_size=8, average=0.5)


def series(samples: int, steps: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Random walks of two classes, (n, time, 3) float32."""
    rng = np.random.default_rng(0)
    labels = np.arange(samples) % 2
    walks = rng.normal(0, 1 + labels[:, None, None], (samples, steps, 3)).cumsum(axis=1)
    return walks.astype(np.float32), labels


def trained(data: Dataset) -> list[np.ndarray]:
    torch.manual_seed(0)
    net = DenseNet((data.input_shape[0], 8, data.classes), batch_norm=True)
    fitted = fit(net, data, RECIPE, seed=1, progress=False)
    exported = fitted.export().network
    weights = [np.asarray(values.detach()) for values in net.state_dict().values()]
    return [*weights, np.array(fitted.history[-1].accuracy), np.array(len(exported.hidden))]


def test_what_is_too_large_to_keep_trains_to_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = trained(arrays(*series(60)))
    monkeypatch.setattr(datasets, "KEPT", 0)
    data = arrays(*series(60))
    for one, other in zip(trained(data), wanted, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not data._encoded


def test_random_codes_are_drawn_anew_for_each_batch_and_alike_for_each_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    part = Samples(np.full((12, 40), 0.5, np.float32), np.arange(12) % 2)
    data = Dataset("half", part, part, part, RateEncoder(10, 0.0, 1.0), classes=2)
    parts = [np.arange(0, 6), np.arange(6, 12)]
    monkeypatch.setattr(datasets, "KEPT", 0)
    first, second = encoded_batches(data, parts, seed=3)
    assert first.shape == second.shape == (10, 6, 40)
    assert 0.4 < first.mean() < 0.6
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(list(encoded_batches(data, parts, seed=3))[1], second)
    assert not np.array_equal(list(encoded_batches(data, parts, seed=4))[1], second)
    assert not np.array_equal(next(encoded_batches(data, parts[1:], seed=3)), first)
    ones = replace(data, augment=lambda samples, rng: np.ones_like(samples.values))
    assert all(encoded.all() for encoded in encoded_batches(ones, parts, seed=3))
    assert not any(encoded.all() for encoded in encoded_batches(ones, parts))  # never augmented
    short = replace(data, augment=lambda samples, rng: samples.values[1:])
    with pytest.raises(InputError, match=r"augment: found values of shape \(5, 40\) for 6 samples"):
        list(encoded_batches(short, parts, seed=3))


def test_a_current_that_is_not_kept_has_the_same_range(monkeypatch: pytest.MonkeyPatch) -> None:
    values, labels = series(600)
    wanted = arrays(values, labels, encoder="current").input_peak
    monkeypatch.setattr(datasets, "KEPT", 0)
    assert arrays(values, labels, encoder="current").input_peak == wanted


def folder_of(path: Path, samples: int, steps: int) -> Path:
    path.mkdir()
    for part, count in (("train", samples), ("validation", 40), ("test", 40)):
        values, labels = series(count, steps)
        np.save(path / f"X_{part}.npy", values)
        np.save(path / f"y_{part}.npy", labels)
    return path


def test_a_training_on_mapped_files_takes_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 8 times the samples no more than the labels and their order are more."""
    monkeypatch.setattr(datasets, "KEPT", 2**16)
    monkeypatch.setattr(choosing, "FITTED_ON", 2**18)

    def load_and_fit(samples: int) -> tuple[int, int]:
        folder = folder_of(tmp_path / str(samples), samples, 64)
        tracemalloc.reset_peak()
        data = load_arrays(folder)
        fit(DenseNet((6, 4, 2)), data, replace(RECIPE, epochs=1, batch_size=64), progress=False).export()
        return data.train.values.nbytes, tracemalloc.get_traced_memory()[1] if tracemalloc.is_tracing() else 0

    load_and_fit(64)  # imports and compiles
    tracemalloc.start()
    (small, few), (large, many) = (load_and_fit(samples) for samples in (512, 4096))
    tracemalloc.stop()
    assert large == 8 * small > 3e6
    assert many - few < 0.2 * (large - small)


def test_a_folder_of_npy_files_is_read_with_care(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "mine", 30, 20)
    data = load_arrays(folder)
    values, labels = series(30)
    np.testing.assert_array_equal(data.train.values, values)
    np.testing.assert_array_equal(data.train.labels, labels)
    assert (len(data.validation), len(data.test)) == (40, 40)
    np.save(folder / "x.npy", values)
    with pytest.raises(FileFormatError, match="found X twice, also as x, allowed is each array once; name them"):
        load_arrays(folder)
    (folder / "x.npy").unlink()
    (folder / "y_train.npy").unlink()
    with pytest.raises(FileFormatError, match=r"allowed are X and y at least; name them X_train\.npy and y_train\.npy"):
        load_arrays(folder)
    objects: Any = np.array([{}, {}], object)
    np.save(folder / "y_train.npy", objects, allow_pickle=True)
    with pytest.raises(FileFormatError, match=r"y_train.npy: found no array of numbers or text"):
        load_arrays(folder)
    (folder / "y_train.npy").write_bytes(b"none")
    with pytest.raises(FileFormatError, match=r"y_train.npy: found no array of numbers or text"):
        load_arrays(folder)
    names = np.array(["a", "b"] * 15)
    no_character = names.tobytes().replace(b"b\0\0\0", b"\0\xd8\0\0")
    np.save(folder / "y_train.npy", np.frombuffer(no_character, names.dtype))
    with pytest.raises(FileFormatError, match=r"y_train\.npy: .* \(found text of what are no characters\)"):
        load_arrays(folder)
