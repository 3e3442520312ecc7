"""Events to spikes, on generated events; and through tonic, on generated files in its data sets' formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aspen.data import SpikeEncoder, events, events_to_spikes, tonic_events
from aspen.errors import InputError, MissingDependencyError

CAMERA = np.dtype([("x", np.int16), ("y", np.int16), ("p", bool), ("t", np.int64)])
EAR = np.dtype([("t", int), ("x", int), ("p", int)])


def camera(seed: int = 0, n: int = 300, side: int = 8) -> Any:
    rng = np.random.default_rng(seed)
    recording = np.zeros(n, CAMERA)
    recording["x"], recording["y"] = rng.integers(0, side, (2, n))
    recording["p"] = rng.integers(0, 2, n)
    recording["t"] = np.sort(rng.integers(5_000, 105_000, n))
    return recording


def test_events_of_a_camera_become_spikes_at_their_places() -> None:
    recording = camera()
    spikes = events_to_spikes(recording, (8, 8, 2), steps=10, step_us=10_000)
    wanted = np.zeros((10, 2, 8, 8), np.uint8)
    for event in recording:
        step = (int(event["t"]) - int(recording["t"][0])) // 10_000
        if step < 10:
            wanted[step, int(event["p"]), event["y"], event["x"]] = 1
    np.testing.assert_array_equal(spikes, wanted)
    assert spikes.dtype == np.uint8


def test_places_can_be_merged() -> None:
    fine = events_to_spikes(camera(side=7), (7, 7, 2), 5, 10_000)
    coarse = events_to_spikes(camera(side=7), (7, 7, 2), 5, 10_000, shrink=3)
    assert coarse.shape == (5, 2, 3, 3)
    padded = np.pad(fine, ((0, 0), (0, 0), (0, 2), (0, 2)))
    np.testing.assert_array_equal(coarse, padded.reshape(5, 2, 3, 3, 3, 3).max(axis=(3, 5)))


def test_events_of_an_ear_are_flat_and_late_ones_are_left_out() -> None:
    recording = np.array([(100, 3, 1), (1_100, 0, 1), (1_150, 0, 1), (9_999, 5, 1)], EAR)
    spikes = events_to_spikes(recording, (6, 1, 1), steps=3, step_us=1000)
    np.testing.assert_array_equal(np.argwhere(spikes), [[0, 3], [1, 0]])
    assert events_to_spikes(recording[:0], (6, 1, 1), 3, 1000).sum() == 0


@pytest.mark.parametrize(
    ("recording", "sensor", "message"),
    [
        (np.zeros((3, 4)), (8, 8, 2), r"events: found float64 of shape \(3, 4\), allowed is a structured array"),
        (np.zeros(3, EAR), (8, 8, 2), "with the fields t, x, y, p"),
        (camera(side=9), (8, 8, 2), "events: found x from 0 to 8, allowed is 0 to 7"),
        (camera(), (8, 8), r"sensor_size: found \(8, 8\), allowed are 3 integers"),
        (camera(), (8, 8, 10**6), "sensor_size: found"),
    ],
)
def test_wrong_events_are_refused(recording: Any, sensor: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        events_to_spikes(recording, sensor, 5, 1000)


def test_a_data_set_of_events_is_split_and_passes_its_spikes_on() -> None:
    train = [(camera(i), i % 2) for i in range(12)]
    test = [(camera(50 + i), i % 2) for i in range(4)]
    options: dict[str, Any] = {"sensor_size": (8, 8, 2), "classes": 2, "steps": 10}
    data = events("blinks", train, test, **options, validation=0.5)
    assert (len(data.train), len(data.validation), len(data.test)) == (6, 6, 4)
    assert data.encoder == SpikeEncoder()
    assert data.input_shape == (2, 8, 8)
    np.testing.assert_array_equal(data.spikes("test")[:, 1], events_to_spikes(test[1][0], (8, 8, 2), 10, 10_000))
    people = np.repeat([1, 2, 3], 4)
    by_person = events("blinks", train, test, **options, subjects=people, validation_subjects=[2])
    assert by_person.train.subjects is not None
    assert set(by_person.train.subjects) == {1, 3}
    with pytest.raises(InputError, match="test: found no samples"):
        events("blinks", train, [], **options)
    with pytest.raises(InputError, match="train: found labels 0 to 1, allowed is 0 to 0"):
        events("blinks", train, test, **options | {"classes": 1})


def test_unknown_names_and_a_missing_tonic_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="events: found 'mnist', allowed are shd, nmnist, dvs-gesture"):
        tonic_events("mnist", tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "tonic", None)
    with pytest.raises(MissingDependencyError, match=r'not installed, .*pip install "\.\[events\]"'):
        tonic_events("shd", tmp_path)


def write_shd(folder: Path) -> dict[str, tuple[Any, Any]]:
    """Files in the format of SHD; name -> spike times in seconds and units of each sample."""
    h5py = pytest.importorskip("h5py")
    rng = np.random.default_rng(0)
    (folder / "SHD").mkdir()
    written = {}
    for part, n in (("train", 12), ("test", 4)):
        times = [np.sort(rng.random(30)).astype(np.float16) for _ in range(n)]
        units = [rng.integers(0, 700, 30).astype(np.uint16) for _ in range(n)]
        (folder / "SHD" / f"shd_{part}.h5.zip").write_bytes(b"")
        with h5py.File(folder / "SHD" / f"shd_{part}.h5", "w") as file:
            for name, rows, kind in (("times", times, np.float16), ("units", units, np.uint16)):
                stored = file.create_dataset(f"spikes/{name}", (n,), dtype=h5py.vlen_dtype(kind))
                for i, row in enumerate(rows):
                    stored[i] = row
            file["labels"] = np.arange(n) % 2
            file["extra/speaker"] = np.arange(n) // 4
            file["extra/keys"] = np.array([b"zero", b"one"])
        written[part] = (times, units)
    return written


def test_shd_is_read_through_tonic_and_split_by_speaker(tmp_path: Path) -> None:
    pytest.importorskip("tonic", reason="tonic is not installed; pip install .[events]")
    written = write_shd(tmp_path)
    data = tonic_events("shd", tmp_path, validation_subjects=1)
    assert (len(data.train), len(data.validation), len(data.test)) == (8, 4, 4)
    assert data.train.subjects is not None
    assert data.validation.subjects is not None
    assert not set(data.train.subjects) & set(data.validation.subjects)
    assert data.spikes("test").shape == (100, 4, 700)
    times, units = written["test"]
    for i in range(4):
        microseconds = (times[i].astype(np.float64) * 1e6).astype(int)
        steps = (microseconds - microseconds[0]) // 10_000
        wanted = np.zeros((100, 700), np.uint8)
        wanted[steps, units[i]] = 1
        np.testing.assert_array_equal(data.spikes("test")[:, i], wanted)


def test_dvs_gesture_is_read_through_tonic_and_split_by_person(tmp_path: Path) -> None:
    pytest.importorskip("tonic", reason="tonic is not installed; pip install .[events]")
    root = tmp_path / "DVSGesture"
    for part, people in (("ibmGestureTrain", range(1, 11)), ("ibmGestureTest", range(11, 21))):
        for person in people:
            folder = root / part / f"user{person:02}_lab"
            folder.mkdir(parents=True)
            for label in range(11):  # x, y, polarity, milliseconds
                np.save(folder / f"{label}.npy", np.array([[5, 127, 1, 3.0], [4, 9, 0, 14.5], [4, 9, 0, 999.0]]))
        (root / f"{part}.tar.gz").write_bytes(b"")
    data = tonic_events("dvs-gesture", tmp_path, steps=4, shrink=4, validation_subjects=3)
    assert (len(data.train), len(data.validation), len(data.test)) == (77, 33, 110)
    assert data.train.subjects is not None
    assert set(data.train.subjects) < set(range(1, 11))
    assert data.input_shape == (2, 32, 32)
    np.testing.assert_array_equal(np.argwhere(data.spikes("test")[:, 0]), [[0, 1, 31, 1], [1, 0, 2, 1]])
