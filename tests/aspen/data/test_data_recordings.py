"""HAPT's continuous recordings and ``.ts`` archives, on small generated files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aspen.data import DeltaEncoder, hapt, hapt_recordings, read_ts, ts_archive, windows
from aspen.errors import FileFormatError, InputError
from tests.aspen.data.har_files import write_folder, zipped
from tests.aspen.data.ts_texts import HEADER, ts_texts, ts_values

PAGE = "https://archive.ics.uci.edu/dataset/341/"


def hapt_texts(gyro: bool = False) -> dict[str, str]:
    """Four people with one recording of 1800 samples each: six activities of 256 samples, with gaps between."""
    rng = np.random.default_rng(0)
    texts, rows = {}, ["9 1 5 250 1232"]  # labels of a recording that is not there
    for user in range(1, 5):
        for signal in ("acc", "gyro") if gyro else ("acc",):
            lines = (" ".join(map(str, sample)) for sample in rng.normal(0, 0.5, (1800, 3)))
            texts[f"{signal}_exp{user + 10:02}_user{user:02}.txt"] = "\n".join(lines) + "\n"
        rows += [f"{user + 10} {user} {a + 1} {300 * a + 1} {300 * a + 256}" for a in range(6)]
    return texts | {"labels.txt": "\n".join(rows) + "\n"}


def test_recordings_are_labelled_sample_by_sample(tmp_path: Path) -> None:
    texts = hapt_texts(gyro=True)
    recordings = hapt_recordings(write_folder(texts, tmp_path / "RawData").parent, ("acc", "gyro"))
    assert [(r.experiment, r.subject) for r in recordings] == [(11, 1), (12, 2), (13, 3), (14, 4)]
    first = recordings[0]
    assert first.values.shape == (1800, 6)
    written = np.array([line.split() for line in texts["gyro_exp11_user01.txt"].splitlines()], np.float32)
    np.testing.assert_array_equal(first.values[:, 3:], written)
    expected = np.full(1800, -1)
    for activity in range(6):
        expected[300 * activity : 300 * activity + 256] = activity
    np.testing.assert_array_equal(first.labels, expected)


def test_windows_hold_one_activity_throughout(tmp_path: Path) -> None:
    recordings = hapt_recordings(write_folder(hapt_texts(), tmp_path))
    samples = windows(recordings, size=128, every=64)
    assert samples.values.shape[1:] == (128, 3)
    assert samples.subjects is not None
    wanted = sum((r.labels[s : s + 128] == a).all() for r in recordings for a in range(6) for s in range(0, 1673, 64))
    assert len(samples) == wanted
    np.testing.assert_array_equal(np.unique(samples.labels), np.arange(6))
    with pytest.raises(InputError, match="found no window of 257 samples"):
        windows(recordings, size=257)
    with pytest.raises(InputError, match="every: found 0"):
        windows(recordings, every=0)


def test_a_data_set_of_recordings_is_split_by_person(tmp_path: Path) -> None:
    path = tmp_path / "hapt.zip"
    path.write_bytes(zipped(dict(hapt_texts()), root="RawData/"))
    data = hapt(path, test_subjects=[4], validation_subjects=1, seed=1)
    people = [set(data.part(part).subjects) for part in ("train", "validation", "test")]  # type: ignore[arg-type]
    assert people[2] == {4}
    assert len(people[0] | people[1]) == 3
    assert not people[0] & people[1]
    assert data.encoder == DeltaEncoder().fit(data.train.values)
    assert data.channels == ("total_acc_x", "total_acc_y", "total_acc_z")
    with pytest.raises(InputError, match="held_out: found 4 of 4 subjects"):
        hapt(path, test_subjects=4)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("labels.txt", None, rf"found no 'labels.txt' among its 4 files .*get it from {PAGE}"),
        ("labels.txt", "11 1 1 1\n", "labels.txt: found 4 columns or NaN, expected 5"),
        ("labels.txt", "11 1 13 1 5\n", "experiment 11: found activity 13 from sample 1 to 5, expected"),
        ("labels.txt", "11 1 1 1 1801\n", "experiment 11: found activity 1 from sample 1 to 1801, expected"),
        ("labels.txt", "11 1 1 0 5\n", "experiment 11: found activity 1 from sample 0"),
        ("acc_exp11_user01.txt", "1 2\n", "acc_exp11_user01.txt: found 2 columns"),
    ],
)
def test_damaged_recordings_are_refused(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    texts = {key: value for key, value in (hapt_texts() | {name: text}).items() if value is not None}
    with pytest.raises(FileFormatError, match=message):
        hapt_recordings(write_folder(texts, tmp_path))


def test_missing_signals_are_named(tmp_path: Path) -> None:
    folder = write_folder(hapt_texts(), tmp_path)
    with pytest.raises(FileFormatError, match=r"found no gyro_expNN_userNN.txt beside labels.txt"):
        hapt_recordings(folder, ("gyro",))
    with pytest.raises(FileFormatError, match=r"found no 'gyro_exp11_user01.txt'"):
        hapt_recordings(folder, ("acc", "gyro"))
    with pytest.raises(InputError, match=r"signals: found \('ecg',\), allowed are acc and gyro"):
        hapt_recordings(folder, ("ecg",))
    (folder / "gyro_exp11_user01.txt").write_text("1 2 3\n")
    with pytest.raises(FileFormatError, match=r"experiment 11: found \[1800, 1\] samples in its files"):
        hapt_recordings(folder, ("acc", "gyro"))


def test_a_ts_archive_is_read_and_split(tmp_path: Path) -> None:
    data = ts_archive(write_folder(ts_texts(), tmp_path), validation=0.34, seed=1)
    assert (data.name, data.class_names, data.classes) == ("Wiggles", ("Slow", "Fast"), 2)
    assert (len(data.train), len(data.validation), len(data.test)) == (8, 4, 4)
    np.testing.assert_array_equal(data.test.values, ts_values("TEST").astype(np.float32))
    np.testing.assert_array_equal(data.test.labels, [0, 1, 0, 1])
    np.testing.assert_array_equal(np.bincount(data.validation.labels), [2, 2])
    both = np.concatenate([data.train.values, data.validation.values])
    assert sorted(both.ravel()) == sorted(ts_values("TRAIN").astype(np.float32).ravel())
    assert data.spikes("test").shape == (8, 4, 6)


def test_a_zipped_ts_archive_gives_the_same(tmp_path: Path) -> None:
    folder = write_folder(ts_texts(), tmp_path / "Wiggles")
    (tmp_path / "Wiggles.zip").write_bytes(zipped(dict(ts_texts()), root=""))
    np.testing.assert_array_equal(ts_archive(tmp_path / "Wiggles.zip").train.values, ts_archive(folder).train.values)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER.replace("@missing false", "@missing true") + "1:1:1:Slow", "f: found @missing true"),
        (HEADER.replace("@timeStamps false", "@timeStamps true"), "f: found @timestamps true"),
        (HEADER.replace("@equalLength true", "@equalLength false"), "f: found @equallength false"),
        (HEADER.replace("@classLabel true Slow Fast", "@classLabel false"), "found no '@classLabel true"),
        (HEADER, "f: found no series after @data"),
        ("@problemName Wiggles\n", "f: found no @data, expected a .ts file"),
        ("hello\n", "f, line 1: found 'hello', allowed are # and @"),
        (HEADER + "1,2:1,2:Slow\n1,2:1,2:Medium\n", "f, line 12: found the class 'Medium', allowed are Slow, Fast"),
        (HEADER + "Slow\n", "f, line 11: found the class 'Slow'"),
        (HEADER + "1,2:1:Slow\n", "f, line 11: found dimensions of unequal length"),
        (HEADER + "1,?:1,2:Slow\n", "f, line 11: found dimensions of unequal length or no numbers"),
        (HEADER + "1,nan:1,2:Slow\n", "f, line 11: found NaN"),
        (HEADER + "1,2:1,2:Slow\n1,2:1,2:1,2:Fast\n", r"f, line 12: found \(2, 3\) \(time, dimensions\)"),
    ],
)
def test_ts_files_that_cannot_be_used_are_refused(text: str, message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        read_ts(text, "f")


def test_ts_archives_that_are_not_one_problem_are_refused(tmp_path: Path) -> None:
    folder = write_folder(ts_texts(), tmp_path)
    (folder / "Wiggles_TEST.ts").write_text(HEADER + "1,2:1,2:Slow\n")
    with pytest.raises(FileFormatError, match="found other classes or shapes in the test file"):
        ts_archive(folder)
    (folder / "Wiggles_TEST.ts").unlink()
    with pytest.raises(FileFormatError, match=r"found no 'Wiggles_TEST.ts'"):
        ts_archive(folder)
    (folder / "Other_TRAIN.ts").write_text(HEADER)
    with pytest.raises(FileFormatError, match=r"found the problems Other, Wiggles, expected one NAME_TRAIN\.ts"):
        ts_archive(folder)
