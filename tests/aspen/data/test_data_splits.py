"""Splits by subject and by class, and data sets by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from aspen.data import DATASETS, Samples, load_dataset, split_stratified, split_subjects, ts_archive
from aspen.errors import InputError
from tests.aspen.data.har_files import write_folder
from tests.aspen.data.ts_texts import ts_texts


def people(subjects: int = 6, classes: int = 3, each: int = 4) -> Samples:
    labels = np.tile(np.repeat(np.arange(classes), each), subjects)
    values = np.arange(len(labels), dtype=np.float32)[:, None]
    return Samples(values, labels, np.repeat(np.arange(1, subjects + 1), classes * each))


def test_a_split_by_subject_parts_people_and_loses_nobody() -> None:
    samples = people()
    kept, held = split_subjects(samples, 2, seed=3)
    assert kept.subjects is not None
    assert held.subjects is not None
    assert not set(kept.subjects) & set(held.subjects)
    assert len(set(held.subjects)) == 2
    assert sorted(np.concatenate([kept.values, held.values]).ravel()) == sorted(samples.values.ravel())
    again = split_subjects(samples, 2, seed=3)[1]
    np.testing.assert_array_equal(again.values, held.values)
    drawn = {tuple(np.unique(split_subjects(samples, 2, seed=seed)[1].subjects)) for seed in range(8)}
    assert len(drawn) > 1


def test_the_people_to_hold_out_can_be_named() -> None:
    kept, held = split_subjects(people(), [5, 2])
    assert held.subjects is not None
    assert set(held.subjects) == {2, 5}
    assert len(kept) == 48


@pytest.mark.parametrize(
    ("held_out", "message"),
    [
        (6, "held_out: found 6 of 6 subjects, allowed are 1 to 5"),
        (0, "held_out: found 0 of 6 subjects"),
        ([7], r"held_out: found subjects \[7\], allowed are some, not all"),
        ([], r"held_out: found subjects \[\]"),
        ([1, 2, 3, 4, 5, 6], "allowed are some, not all"),
    ],
)
def test_impossible_splits_are_refused(held_out: int | list[int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        split_subjects(people(), held_out)


def test_a_split_that_leaves_a_class_untrained_is_refused() -> None:
    samples = people()
    samples.labels[samples.subjects == 4] = 7
    with pytest.raises(InputError, match=r"found class 7 without training samples \(subjects \[4\] hold all samples"):
        split_subjects(samples, [4])
    with pytest.raises(InputError, match="subjects: found none"):
        split_subjects(Samples(samples.values, samples.labels), 1)


def test_a_stratified_split_takes_as_much_of_every_class() -> None:
    samples = people(classes=2, each=5)
    samples.labels[:3] = 2
    kept, held = split_stratified(samples, 0.2, seed=1)
    np.testing.assert_array_equal(np.bincount(held.labels), [round(0.2 * c) for c in np.bincount(samples.labels)])
    assert len(kept) + len(held) == len(samples)
    with pytest.raises(InputError, match="fraction: found 1"):
        split_stratified(samples, 1.0)
    with pytest.raises(InputError, match="found one sample of class 1"):
        split_stratified(Samples(np.zeros((3, 1)), np.array([0, 0, 1])), 0.5)


def test_samples_that_do_not_fit_their_labels_are_refused() -> None:
    with pytest.raises(InputError, match="values: found 2 beside 3 labels"):
        Samples(np.zeros((2, 1)), np.zeros(3, np.int64))
    with pytest.raises(InputError, match="subjects: found 1 beside 3 labels"):
        Samples(np.zeros((3, 1)), np.zeros(3, np.int64), np.zeros(1))
    with pytest.raises(InputError, match="values: found one number beside 3 labels"):
        Samples(np.float32(1), np.zeros(3, np.int64))  # type: ignore[arg-type]


def test_samples_may_be_lists_or_tensors() -> None:
    for values, labels in (
        ([[0.5], [0.25]], [0, 1]),
        (torch.tensor([[0.5], [0.25]], requires_grad=True), torch.tensor([0.0, 1.0])),
    ):
        samples = Samples(values, labels)  # type: ignore[arg-type]
        assert isinstance(samples.values, np.ndarray)
        np.testing.assert_array_equal(samples.values, [[0.5], [0.25]])
        assert (samples.labels.dtype, samples.labels.tolist()) == (np.int64, [0, 1])
    with pytest.raises(InputError, match="labels: found values of type <U4"):
        Samples(np.zeros((2, 1)), ["walk", "sit"])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="values: found list that is no array"):
        Samples([[1.0], [1.0, 2.0]], [0, 1])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="values: found values of type <U1"):
        Samples([["a"], ["b"]], [0, 1])  # type: ignore[arg-type]


def test_data_sets_by_name_take_a_path_where_they_need_one(tmp_path: Path) -> None:
    assert len(load_dataset("digits").train) == 1077
    folder = write_folder(ts_texts(), tmp_path)
    by_name, directly = load_dataset("ts", folder, seed=5), ts_archive(folder, seed=5)
    np.testing.assert_array_equal(by_name.train.values, directly.train.values)
    with pytest.raises(InputError, match="data: found 'mnist', allowed are digits, har"):
        load_dataset("mnist")
    with pytest.raises(InputError, match="digits: found the path somewhere, allowed is none"):
        load_dataset("digits", "somewhere")
    for name in sorted(set(DATASETS) - {"digits"}):
        with pytest.raises(InputError, match=rf"{name}: found no path, .*download it from https://"):
            load_dataset(name)


def test_the_data_sets_and_encoders_need_neither_torch_nor_scikit_learn() -> None:
    code = (
        "import sys, numpy, aspen.data as d; d.WindowEncoder(d.HarFeatures()).encode(numpy.ones((1, 9, 9)));"
        "print(sorted({'torch', 'sklearn', 'tonic', 'h5py'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
