"""The loaders on the publishers' own files, where they are at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aspen.data import DeltaEncoder, HarFeatures, WindowEncoder, hapt, hapt_recordings, har, ts_archive
from tests.aspen.data.recorded import recorded


def uci_har() -> Path:
    path = recorded("hapt_stream").parent / "uci_har.zip"
    if not path.is_file():
        pytest.skip("no uci_har.zip beside the recordings; put it into the folder named in ASPEN_TEST_DATA")
    return path


def test_uci_har_as_published() -> None:
    data = har(uci_har(), seed=0)
    assert len(data.train) + len(data.validation) == 7352
    assert len(data.test) == 2947
    people = [set(data.part(part).subjects) for part in ("train", "validation", "test")]  # type: ignore[arg-type]
    assert [len(p) for p in people] == [17, 4, 9]
    assert not people[0] & people[1]
    np.testing.assert_array_equal(np.bincount(data.test.labels), [496, 471, 420, 491, 532, 537])
    gravity = data.train.values[:, :, 6:] - data.train.values[:, :, :3]
    assert abs(np.linalg.norm(gravity.mean(axis=1), axis=1).mean() - 1) < 0.05  # 1 g
    assert data.spikes("validation").shape == (128, len(data.validation), 18)
    few = data.test.select(np.arange(3)).values
    features = WindowEncoder(HarFeatures()).encode(few)
    assert features.shape == (31, 3, 168)
    assert np.abs(features).max() < 20


def test_hapt_as_published() -> None:
    recordings = hapt_recordings(recorded("hapt_stream"))
    assert [r.experiment for r in recordings] == list(range(21, 31))
    assert sorted({r.subject for r in recordings}) == list(range(10, 16))
    assert sum(len(r) for r in recordings) == 161_843
    np.testing.assert_array_equal(np.unique(recordings[0].labels), [-1, 0, 1, 2])  # cut off after the stairs
    assert all(set(np.unique(r.labels)) == set(range(-1, 12)) for r in recordings[1:])
    data = hapt(recorded("hapt_stream"))
    assert data.input_shape == (6,)
    assert set(data.test.subjects) & set(data.train.subjects) == set()  # type: ignore[arg-type]
    stream = DeltaEncoder().fit(data.train.values).stream()
    spikes = np.concatenate([stream.step(sample) for sample in recordings[0].values[:2000]])
    assert spikes.shape == (2000, 6)
    assert 0 < spikes.mean() < 0.5


def test_basicmotions_as_published() -> None:
    data = ts_archive(recorded("basicmotions"))
    assert data.class_names == ("Standing", "Running", "Walking", "Badminton")
    assert data.train.values.shape[1:] == (100, 6)
    assert (len(data.train) + len(data.validation), len(data.test)) == (40, 40)
    np.testing.assert_array_equal(np.bincount(data.test.labels), [10, 10, 10, 10])
    assert data.test.values[0, 0, 0] == np.float32(-0.740653)
