"""UCI HAR's files, in a folder or zip: read as they are published, and refused where they are not complete."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from aspen.data import HAR_CHANNELS, CurrentEncoder, DeltaEncoder, har, sources
from aspen.errors import AspenError, FileFormatError, InputError
from tests.aspen.data.har_files import har_texts, write_folder, zipped

PAGE = "https://archive.ics.uci.edu/dataset/240/"
GYRO = "test/Inertial Signals/body_gyro_y_test.txt"


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    return har_texts()


@pytest.fixture
def archive(files: dict[str, str], tmp_path: Path) -> Path:
    path = tmp_path / "UCI HAR Dataset.zip"
    path.write_bytes(zipped(dict(files)))
    return path


def load(path: Path, **options: object) -> object:
    return har(path, **{"validation_subjects": 1, **options})  # type: ignore[arg-type]


def test_a_zip_is_read_with_the_published_split(archive: Path, files: dict[str, str]) -> None:
    data = har(archive, validation_subjects=1, seed=2)
    assert data.train.subjects is not None
    assert data.validation.subjects is not None
    assert data.test.subjects is not None
    assert set(data.train.subjects) | set(data.validation.subjects) == {1, 3, 5}
    assert set(data.test.subjects) == {2, 4}
    assert (len(data.train), len(data.validation), len(data.test)) == (12, 6, 12)
    np.testing.assert_array_equal(data.test.labels, np.tile(np.arange(6), 2))
    written = np.array([line.split() for line in files[GYRO].splitlines()], np.float32)
    np.testing.assert_array_equal(data.test.values[:, :, HAR_CHANNELS.index("body_gyro_y")], written)
    assert (data.classes, data.class_names[3], data.channels) == (6, "sitting", HAR_CHANNELS)
    assert data.encoder == DeltaEncoder().fit(data.train.values)
    assert data.spikes("test").shape == (128, 12, 18)
    assert not list(archive.parent.glob("[!U]*")), "something was unpacked"


def test_folders_and_zips_within_zips_give_the_same(archive: Path, files: dict[str, str], tmp_path: Path) -> None:
    wanted = har(archive, validation_subjects=[3])
    folder = write_folder(files, tmp_path / "folder" / "UCI HAR Dataset")
    nested = tmp_path / "nested.zip"
    nested.write_bytes(zipped({"UCI HAR Dataset.zip": archive.read_bytes(), "UCI HAR Dataset.names": ""}, root=""))
    for path in (folder, folder.parent, nested):
        found = har(path, validation_subjects=[3])
        for part in ("train", "validation", "test"):
            np.testing.assert_array_equal(found.part(part).values, wanted.part(part).values)
            np.testing.assert_array_equal(found.part(part).labels, wanted.part(part).labels)


def test_channels_people_and_encoder_can_be_chosen(archive: Path) -> None:
    total = ("total_acc_z", "total_acc_x")
    data = har(archive, channels=total, without_subjects=[1, 4], validation_subjects=[5], encoder=CurrentEncoder())
    assert data.train.subjects is not None
    assert data.test.subjects is not None
    assert (set(data.train.subjects), set(data.test.subjects)) == ({3}, {2})
    everything = har(archive, validation_subjects=[5])
    assert everything.test.subjects is not None
    wanted = everything.test.values[everything.test.subjects == 2][:, :, [8, 6]]
    np.testing.assert_array_equal(data.test.values, wanted)
    assert data.channels == total
    np.testing.assert_allclose(data.spikes("train").mean(axis=(0, 1)), 0, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": ["acc"]}, r"channels: found \('acc',\), allowed are some, each once, of body_acc_x"),
        ({"channels": []}, r"channels: found \(\)"),
        ({"channels": ["total_acc_x"] * 2}, "channels: found"),
        ({"validation_subjects": 3}, "held_out: found 3 of 3 subjects"),
        ({"validation_subjects": [2]}, r"held_out: found subjects \[2\], allowed are some, not all, of \[1, 3, 5\]"),
        ({"without_subjects": [2, 4]}, r"without_subjects: found \[2, 4\], which leaves no sample of a part"),
    ],
)
def test_impossible_choices_are_refused(archive: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(archive, **options)


def damage(files: dict[str, str], **changes: str | None) -> dict[str, str]:
    """The files with some changed, or left out."""
    changed = {name: text for name, text in (files | changes).items() if text is not None}
    return changed


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (GYRO, None, f"found no '{GYRO}', expected the complete data set as published; get it from {PAGE}"),
        ("train/y_train.txt", None, rf"found no 'train/y_train.txt' among its .* files .*get it from {PAGE}"),
        (GYRO, "0.1 0.2\n", f"{GYRO}: found 2 columns or NaN, expected 128"),
        (GYRO, "", f"{GYRO}: found an empty file"),
        (GYRO, "<html>not found</html>", f"{GYRO}: found something else than numbers"),
        (GYRO, (" nan" * 128 + "\n") * 12, f"{GYRO}: found 128 columns or NaN"),
        (GYRO, (" 0.5" * 128 + "\n") * 11, f"{GYRO}: found 11 rows, expected 12, one for each label"),
        ("test/subject_test.txt", "2\n" * 5, "test/subject_test.txt: found 5 rows, expected 12"),
        ("test/subject_test.txt", "1\n" * 12, "found subject 1 in training and test"),
        ("test/y_test.txt", "7\n" * 12, "test/y_test.txt: found 7 to 7, expected 1 to 6"),
        ("test/y_test.txt", "1.5\n" * 12, "test/y_test.txt: found fractions or huge numbers"),
        ("test/y_test.txt", "9" * 30 + "\n", "test/y_test.txt: found fractions or huge numbers"),
    ],
)
def test_incomplete_data_say_what_was_expected_and_where_to_get_it(
    files: dict[str, str], tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    changed = damage(files, **{name: text})
    archive = tmp_path / "har.zip"
    archive.write_bytes(zipped(dict(changed)))
    for path in (archive, write_folder(changed, tmp_path / "folder")):
        with pytest.raises(FileFormatError, match=message) as error:
            load(path)
        assert PAGE in str(error.value)
        assert "\n" not in str(error.value)


def test_paths_that_hold_something_else_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"no such file or folder; download the data from {PAGE}"):
        load(tmp_path / "missing.zip")
    with pytest.raises(FileFormatError, match=r"found no 'train/y_train.txt' among its 0 files \(nothing"):
        load(tmp_path)
    (tmp_path / "har.zip").write_bytes(b"<html>")
    with pytest.raises(FileFormatError, match="found neither a folder nor a readable zip"):
        load(tmp_path / "har.zip")


def test_zips_that_would_unpack_to_too_much_are_refused(
    files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.zip"
    path.write_bytes(zipped(damage(files, **{GYRO: " " * 3_000_000})))
    monkeypatch.setattr(sources, "MAX_FILE_BYTES", 1_000_000)
    with pytest.raises(FileFormatError, match=f"{GYRO}: found 3000000 bytes unpacked, allowed are 1000000"):
        load(path)
    monkeypatch.setattr(sources, "MAX_TOTAL_BYTES", 2_000_000)
    with pytest.raises(FileFormatError, match=r"found a zip of \d+ files and \d+ bytes unpacked, allowed are"):
        load(path)
    monkeypatch.setattr(sources, "MAX_FILES", 10)
    for source in (path, write_folder(files, tmp_path / "many")):
        with pytest.raises(FileFormatError, match=r"found (a zip of|more than)"):
            load(source)


def test_a_zip_that_lies_about_its_sizes_is_refused(files: dict[str, str], tmp_path: Path) -> None:
    honest = zipped({name: text for name, text in files.items() if name != GYRO} | {GYRO: " " * 3_000_000})
    size = struct.pack("<I", 3_000_000)
    assert honest.count(size) == 2  # in the file's header and in the directory at the end
    path = tmp_path / "lying.zip"
    path.write_bytes(honest.replace(size, struct.pack("<I", 100)))
    with pytest.raises(FileFormatError, match=f"{GYRO}: damaged or encrypted"):
        load(path)


def test_damaged_zips_end_in_an_error_or_in_the_data(archive: Path, tmp_path: Path) -> None:
    whole = archive.read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "damaged.zip"
    messages = []
    for _ in range(60):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), 8):
            data[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(data[: int(rng.integers(len(data) // 2, len(data) + 1))]))
        try:
            load(path)
        except AspenError as error:
            messages.append(str(error))
    assert len(messages) > 30
    assert not any("\n" in message for message in messages)


def test_an_encrypted_or_strangely_packed_zip_is_refused(archive: Path, tmp_path: Path) -> None:
    whole = bytearray(archive.read_bytes())
    with zipfile.ZipFile(io.BytesIO(bytes(whole))) as packed:
        names = len(packed.namelist())
    place = -1
    for _ in range(names):  # the flag "encrypted" of every entry of the directory
        place = whole.index(b"PK\x01\x02", place + 1)
        whole[place + 8] |= 1
    path = tmp_path / "secret.zip"
    path.write_bytes(bytes(whole))
    with pytest.raises(FileFormatError, match="damaged or encrypted"):
        load(path)
