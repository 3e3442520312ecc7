"""The samples of the next epoch are made while one trains: the same ones as without."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from aspen.data import Dataset, RateEncoder, Samples
from aspen.training import inputs
from aspen.training.inputs import Encoding


def dataset(augment: Any = None) -> Dataset:
    values = np.random.default_rng(0).random((6, 3)).astype(np.float32)
    samples = Samples(values, [0, 1] * 3)
    return Dataset("random", samples, samples, samples, RateEncoder(steps=8), 2, augment=augment)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the threads that encoded."""
    found: list[str] = []
    encode = inputs._training_inputs

    def watched(*arguments: Any) -> Any:
        found.append(threading.current_thread().name)
        return encode(*arguments)

    monkeypatch.setattr(inputs, "_training_inputs", watched)
    return found


def test_the_next_samples_are_made_ahead_and_are_the_same(threads: list[str]) -> None:
    data = dataset()
    encoding = Encoding(data)
    made = [encoding.whole(1, 2), encoding.whole(2, 3), encoding.whole(7, None)]  # 3 is never asked for
    for found, seed in zip(made, (1, 2, 7), strict=True):
        assert np.array_equal(found, data.encoder.encode(data.train.values, seed=seed))
    ahead = [name.startswith("aspen-encoding") for name in threads]
    assert sorted(ahead) == [False, False, True, True]


def test_what_a_user_wrote_is_never_run_beside_the_training(threads: list[str]) -> None:
    data = dataset(augment=lambda samples, rng: samples.values)
    encoding = Encoding(data)
    encoding.whole(1, 2)
    encoding.whole(2, None)
    assert set(threads) == {threading.main_thread().name}
