"""Labels and values are taken in every form that says what is meant, and refused by name in every other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aspen._base.arrays import as_array
from aspen._base.labels import as_labels
from aspen.errors import InputError

WANTED = [0, 1, 2, 1]


@pytest.mark.parametrize(
    "given",
    [
        WANTED,
        tuple(WANTED),
        np.array(WANTED, np.uint8),
        np.array(WANTED, np.float32),
        torch.tensor(WANTED),
        torch.tensor(WANTED, dtype=torch.bfloat16, requires_grad=True),
        [torch.tensor(label) for label in WANTED],
    ],
)
def test_labels_in_any_form_become_int64(given: object) -> None:
    made = as_labels("labels", given, samples=4, classes=3)
    assert made.dtype == np.int64
    assert made.tolist() == WANTED


def test_labels_that_fit_are_not_copied() -> None:
    labels = np.array(WANTED, np.int64)
    assert as_labels("labels", labels) is labels
    assert as_labels("labels", [True, False]).tolist() == [1, 0]
    assert as_labels("labels", []).shape == (0,)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["walk", "sit"], r"labels: found values of type <U4, allowed are real numbers; number the classes, as np.uni"),
        ([0, None], "labels: found values of type object"),
        ([0.0, 1.5], "labels: found 1.5, allowed are whole numbers from 0; number the classes"),
        ([0.0, np.nan], "labels: found nan, allowed are whole numbers"),
        ([0.0, np.inf], "labels: found labels 0 to inf, allowed are 0 to 2; renumber"),
        ([0, -1], "labels: found labels -1 to 0, allowed are 0 to 2"),
        ([0, 3], "labels: found labels 0 to 3, allowed are 0 to 2; renumber the classes"),
        (np.eye(2), r"labels: found shape \(2, 2\), allowed is one class for each sample, \(n,\); take labels.argmax"),
        (np.zeros((2, 1)), r"labels: found shape \(2, 1\), .*; take labels.reshape\(-1\)"),
        (np.int64(3), r"labels: found shape \(\), "),
        ([1, 2, 0], "labels: found 3 for 2 samples, allowed is one for each"),
        ([[1], [1, 2]], "labels: found list that is no array"),
        (torch.zeros(2, device="meta"), "labels: found a tensor on the device 'meta', which holds no values"),
    ],
)
def test_other_labels_are_refused(given: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_labels("labels", given, samples=2, classes=3)


def test_labels_without_classes_may_be_any_from_0() -> None:
    assert as_labels("labels", [7, 0]).tolist() == [7, 0]
    with pytest.raises(InputError, match="allowed are from 0; renumber"):
        as_labels("labels", [-1, 0])


def test_arrays_keep_their_type_and_are_not_copied() -> None:
    values = np.zeros((2, 3), np.float32)
    assert as_array("values", values) is values
    assert as_array("values", torch.from_numpy(values)).dtype == np.float32
    np.testing.assert_array_equal(as_array("values", [[1, 2], [3, 4]]), [[1, 2], [3, 4]])
