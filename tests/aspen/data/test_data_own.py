"""A user's own arrays: what may come, how it is split, which encoder is chosen, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, RandomSampler, Subset, TensorDataset

from aspen.data import CurrentEncoder, Dataset, DeltaEncoder, LevelEncoder, RateEncoder, arrays, digits
from aspen.data.own_arrays import as_dataset, fingerprint
from aspen.errors import InputError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 12, 2))
Y = np.arange(40) % 4
PEOPLE = np.arange(40) // 4


def tensors() -> TensorDataset:
    return TensorDataset(torch.tensor(X, requires_grad=True), torch.tensor(Y))


def equal(one: Dataset, other: Dataset) -> bool:
    return all(
        np.array_equal(a.values, b.values) and np.array_equal(a.labels, b.labels)
        for a, b in ((one.part(name), other.part(name)) for name in ("train", "validation", "test"))
    )


@pytest.mark.parametrize(
    "given",
    [
        lambda: (X.tolist(), Y.tolist()),
        lambda: (torch.tensor(X), torch.tensor(Y, dtype=torch.float32)),
        lambda: [X, Y.reshape(-1, 1)],
        lambda: (list(torch.tensor(X)), Y),
        tensors,
        lambda: Subset(tensors(), range(40)),
        lambda: DataLoader(tensors(), batch_size=7),
        lambda: DataLoader(tensors(), batch_size=7, shuffle=True),
    ],
    ids=["lists", "tensors", "list", "tensors in a list", "TensorDataset", "Subset", "DataLoader", "shuffled"],
)
def test_samples_come_in_as_users_hold_them_and_are_always_split_alike(given: Callable[[], Any]) -> None:
    wanted, found = arrays(X, Y), as_dataset(given())
    assert equal(wanted, found)
    assert (found.encoder, found.provenance) == (wanted.encoder, wanted.provenance)
    assert found.train.values.dtype == np.float32


def test_parts_are_disjoint_and_have_the_same_mix_of_classes() -> None:
    data = arrays(np.arange(120.0).reshape(40, 3), Y, validation=0.3, test=0.2)
    parts = [data.part(name) for name in ("train", "validation", "test")]
    assert [np.bincount(part.labels).tolist() for part in parts] == [[5] * 4, [3] * 4, [2] * 4]
    assert sorted(np.concatenate([part.values for part in parts])[:, 0]) == list(range(0, 120, 3))
    other = arrays(np.arange(120.0).reshape(40, 3), Y, validation=0.3, test=0.2, seed=1)
    assert not equal(data, other)
    assert fingerprint(data.train) != fingerprint(other.train)
    assert other.provenance["split_seed"] == 1


def test_people_are_not_divided() -> None:
    data = arrays(X, Y, [f"person {number}" for number in PEOPLE], test=0.3)
    people = [set(data.part(name).subjects.tolist()) for name in ("train", "validation", "test")]  # type: ignore[union-attr]
    assert [len(each) for each in people] == [5, 2, 3]
    assert len(set.union(*people)) == 10
    assert "by subject, drawn by seed 0: 5 to train on, 3 for test and 2 for validation" in str(data)
    few = arrays(X, Y, PEOPLE % 3, validation=0.4, test=0.5)  # three people, one for each
    assert [len(set(few.part(name).subjects.tolist())) for name in ("train", "test")] == [1, 1]  # type: ignore[union-attr]


def test_parts_that_are_apart_stay_apart() -> None:
    held = (X[30:] + 1, Y[30:])
    data = arrays(X[:30], Y[:30], test=held, validation=DataLoader(Subset(tensors(), range(30, 40)), batch_size=4))
    assert (len(data.train), len(data.validation), len(data.test)) == (30, 10, 10)
    np.testing.assert_array_equal(data.test.values, held[0].astype(np.float32))
    assert "validation and test given" in str(data)
    assert len(arrays(X[:30], Y[:30], test=held).train) == 24  # 0.2 of each class held out


@pytest.mark.parametrize(
    ("labels", "names", "classes"),
    [
        (Y + 1, ("1", "2", "3", "4"), 4),
        (np.array(["walk", "run", "sit", "lie"])[Y], ("lie", "run", "sit", "walk"), 4),
        (np.array(["walk", "run", "sit", "lie"], object)[Y], ("lie", "run", "sit", "walk"), 4),
        (np.array([b"a", b"b"])[Y % 2], ("a", "b"), 2),
        (Y % 2 * 2 - 1, ("-1", "1"), 2),
        (Y % 2 == 1, (), 2),
        (np.where(Y == 2, 1, Y), ("0", "1", "3"), 3),  # nothing is trained for a number that no sample has
        (Y % 2 * 2, ("0", "2"), 2),
    ],
)
def test_labels_are_numbered_from_0_and_keep_their_names(labels: Any, names: tuple[str, ...], classes: int) -> None:
    data = arrays(X, labels)
    assert (data.class_names, data.classes) == (names, classes)
    row = next(i for i in range(40) if np.array_equal(X[i].astype(np.float32), data.train.values[0]))
    number, label = data.train.labels[0], labels[row]
    said = label.decode() if isinstance(label, bytes) else str(label)
    assert (names[number] if names else number) == (said if names else int(label))
    assert data.test.labels.dtype == np.int64


def test_names_say_how_many_classes_there_are() -> None:
    assert arrays(X, Y, class_names=["a", "b", "c", "d", "e"]).classes == 5
    named = arrays(X, np.array(["b", "a"])[Y % 2], class_names=["b", "a"])
    assert (named.class_names, named.train.labels.max()) == (("b", "a"), 1)
    from_one = arrays(X, Y + 1, class_names=["w", "x", "y", "z"])
    assert (from_one.class_names, from_one.train.labels.max()) == (("w", "x", "y", "z"), 3)
    unrecorded = arrays(X, Y % 2 * 2, class_names=["no", "maybe", "yes"])
    assert (unrecorded.classes, {*unrecorded.train.labels.tolist()}) == (3, {0, 2})
    with pytest.raises(InputError, match="found 'c', allowed by class_names are a, b"):
        arrays(X, np.array(["a", "b", "c", "a"])[Y], class_names=["a", "b"])


@pytest.mark.parametrize(
    ("values", "asked", "kind", "reason"),
    [
        (X, None, "delta", "signals"),
        (X > 0, None, "spikes", "spikes already"),
        ((X > 0).astype(np.float32), None, "spikes", "spikes already"),
        (X[:, :, 0], None, "rate", "features"),
        (np.abs(X * 50).astype(np.uint8), None, "rate", "images"),
        (X[:, None], None, "rate", "images"),
        ((X > 0)[:, None], None, "rate", "images"),
        (X, "rate", "rate", "as asked for"),
        (X, "latency", "latency", "as asked for"),
        (X, "current", "current", "as asked for"),
        (X, "levels", "levels", "as asked for"),
        (X, "window", "window", "as asked for"),
        (X[:, :, None], "none", "current", "as asked for"),
        (X, RateEncoder(7), "rate", "as given"),
    ],
)
def test_the_encoder_suits_the_values_and_says_why(values: Any, asked: Any, kind: str, reason: str) -> None:
    data = arrays(values, Y, encoder=asked)
    assert data.encoder.kind == kind  # type: ignore[attr-defined]
    assert f"encoder {kind}: " in str(data)
    assert reason in str(data)
    assert data.spikes("test").shape[1] == len(data.test)


def test_features_that_one_range_hides_are_named() -> None:
    values = X[:, :, 0] * [1000.0, *[1.0] * 11]
    assert "times, which one range for all hides: scale X" in str(arrays(values, Y))
    assert "scale X" not in str(arrays(X[:, :, 0], Y))


def test_an_encoder_learns_from_the_training_samples_alone() -> None:
    data = arrays(X, Y)
    assert data.encoder == DeltaEncoder().fit(data.train.values) != DeltaEncoder().fit(X)
    assert arrays(X, Y, encoder="none").encoder == CurrentEncoder()
    levels = arrays(X, Y, encoder="levels").encoder
    assert isinstance(levels, LevelEncoder)
    assert levels.edges

    class Twice:
        def encode(self, values: np.ndarray, seed: int) -> np.ndarray:
            return np.stack([values, values])

    assert arrays(X, Y, encoder=Twice()).spikes("test").shape == (2, 8, 12, 2)
    assert "encoder Twice: as given" in str(arrays(X, Y, encoder=Twice()))


def test_a_data_set_stays_as_it_is_and_says_what_it_is() -> None:
    data = digits()
    assert as_dataset(data) is data
    assert str(data) == (
        "digits: 1077 training, 360 validation and 360 test samples of (64,), 10 classes (0, 1, 2, 3, 4, 5, 6, 7, 8, "
        "9); encoder rate"
    )
    assert "encoder rate" in str(arrays(X, Y).with_encoder(RateEncoder()))
    assert as_dataset("digits") == "digits"


class Broken(TensorDataset):
    def __getitem__(self, index: int) -> Any:
        raise OSError("no such picture")


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: arrays(X, None), "data: found ndarray without labels, allowed are values with labels"),
    (lambda: arrays((X,)), "data: found tuple without labels"),
    (lambda: arrays(TensorDataset(torch.tensor(X))), "found batches of 1 parts, allowed are .values, labels."),
    (lambda: arrays(DataLoader(torch.tensor(X))), "found batches of Tensor"),  # type: ignore[arg-type]
    (lambda: arrays(Broken(torch.tensor(X), torch.tensor(Y))), "a Broken that cannot be read .no such picture"),
    (lambda: arrays(DataLoader(tensors(), sampler=RandomSampler(tensors(), replacement=True))), "with replacement"),
    (lambda: arrays(X, Y[:5]), "found 40 samples beside 5 labels; give one label for each sample"),
    (lambda: arrays(X.swapaxes(0, 1), Y), r"samples come first: pass np.moveaxis\(X, 1, 0\)"),
    (lambda: arrays(X[0, :, 0], Y[:12]), r"found values of shape \(12,\), allowed is .* pass X.reshape\(-1, 1\)"),
    (lambda: arrays(X[:0], Y[:0]), "data: found no samples"),
    (lambda: arrays([[1, 2], [3]], [0, 1]), "cut or pad recordings to one length"),
    (lambda: arrays(np.array([["a"], ["b"]]), [0, 1]), "data: values: found values of type <U1"),
    (lambda: arrays(np.where(np.arange(40)[:, None, None] == 7, np.nan, X), Y), "1 of 40 samples, first in number 7"),
    (lambda: arrays(X * 1e300, Y), "numbers beyond 1e.15 in 40 of 40 samples"),
    (lambda: arrays(X, Y * 1e300), "labels: found 1e.300"),
    (lambda: arrays(X, Y * 0), "labels: found the one class 0, allowed are two and more"),
    (lambda: arrays(X, ["a"] * 40), "labels: found the one class a"),
    (lambda: arrays(X, Y * 0.3), "labels: found 0.3, allowed are whole numbers or text"),
    (lambda: arrays(X, np.where(Y == 1, np.nan, Y)), "labels: found nan"),
    (lambda: arrays(X, np.eye(4)[Y]), r"one class for each sample, .*labels.argmax\(axis=1\)"),
    (
        lambda: arrays(X, np.where(np.arange(40) == 0, 9, Y)),
        "found 1 of class 9, allowed are 3",
    ),
    (lambda: arrays(X, np.where(np.arange(40) < 2, "rare", "often")), "found 2 of class rare"),
    (lambda: arrays(X, Y, PEOPLE // 5), "subjects: found 2, allowed are 3 and more"),
    (lambda: arrays(X, Y, PEOPLE[:4]), "found 4 subjects beside 40 samples"),
    (lambda: arrays(X, Y, Y), "without training samples"),
    (lambda: arrays(X, Y, validation=0.6, test=0.5), "test and validation: found fractions that sum up to 1.1"),
    (lambda: arrays(X, Y, validation=0), "validation: found 0"),
    (lambda: arrays(X, Y, validation=True), "validation: found bool without labels"),
    (lambda: arrays(X, Y, test=(X[:, :5], Y)), r"test: found samples of shape \(5, 2\), allowed is \(12, 2\)"),
    (lambda: arrays(X, Y, test=(X, Y + 1)), "test labels: found labels 1 to 4, allowed are 0 to 3"),
    (lambda: arrays(X, Y + 1, test=(X, Y)), "test labels: found 0, allowed are 1, 2, 3, 4, the classes"),
    (lambda: arrays(X, Y % 2 * 2, test=(X, Y)), "test labels: found 1, allowed are 0, 2, the classes .*; class_names"),
    (lambda: arrays(X, ["a", "", "b", "c"] * 10), "labels: found none at 1, allowed is the name of a class"),
    (lambda: arrays(X, Y, test=(X, list("abcd" * 10))), "test labels: found text, allowed are numbers"),
    (lambda: arrays(X, Y, encoder="dleta"), "encoder: found 'dleta', allowed are .*; did you mean 'delta'"),
    (lambda: arrays(X, Y, encoder=5), r"encoder: found 5, allowed are .*or an encoder such as RateEncoder\(steps=50\)"),
    (lambda: arrays(X[:, :, 0], Y, encoder="delta"), "found delta, which is for signals"),
    (lambda: arrays(X[:, :, :, None, None] + 0.5, Y), "may be videos or volumes; say how to encode them"),
    (lambda: arrays(X, Y, seed=-1), "seed: found -1"),
    (lambda: arrays(X, Y, class_names="abcd"), "class_names: found 'abcd', allowed are two and more different names"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_what_cannot_be_a_data_set_is_refused_in_one_line(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


def test_what_does_not_fit_the_memory_is_refused_before_it_is_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aspen._base.memory.SMALL", 1000)
    monkeypatch.setattr("aspen._base.memory.available_memory", lambda: 2000)
    with pytest.raises(InputError, match=r"data: its samples: needs \d+ bytes of memory, free are 2000; give fewer"):
        arrays(DataLoader(tensors(), batch_size=7))
