"""A user's own files: archives of arrays, folders of tables, and series."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from aspen.data import arrays, load_arrays, load_dataset
from aspen.errors import AspenError, FileFormatError, InputError
from tests.aspen.data.test_data_own import PEOPLE, X, Y, equal
from tests.aspen.data.ts_texts import ts_texts

NAMES = np.array(["walk", "run", "sit", "lie"])


def test_an_archive_is_split_as_its_arrays_are(tmp_path: Path) -> None:
    path = tmp_path / "my.npz"
    np.savez_compressed(path, X=X, y=NAMES[Y], subjects=PEOPLE, channels=["x", "y"], rate=50)
    data = load_arrays(path)
    assert equal(data, arrays(X, NAMES[Y], PEOPLE))
    assert (data.name, data.channels, data.class_names) == ("my.npz", ("x", "y"), ("lie", "run", "sit", "walk"))
    assert equal(data, load_dataset(str(path)))
    assert load_dataset(path, encoder="current").encoder.kind == "current"  # type: ignore[attr-defined]
    np.savez(path, x_train=X[:30], y_train=Y[:30], x_test=X[30:], y_test=Y[30:], X_val=X[:9], y_val=Y[:9])
    apart = load_arrays(path)
    assert (len(apart.train), len(apart.validation), len(apart.test)) == (30, 9, 10)
    np.savez(path, X=X, y=Y % 2, class_names=NAMES)
    assert load_arrays(path).classes == 4


def write_recordings(root: Path, head: str = "") -> None:
    for number, (values, label) in enumerate(zip(X, Y, strict=True)):
        (root / NAMES[label]).mkdir(parents=True, exist_ok=True)
        rows = "\n".join(";".join(map(repr, map(float, row))) for row in values)
        (root / NAMES[label] / f"{number:02}.csv").write_text(f"{head}{rows}\n")


def test_a_folder_of_recordings_is_sorted_by_class(tmp_path: Path) -> None:
    root = tmp_path / "gestures"
    write_recordings(root, "left;right\n")
    (root / ".hidden").mkdir()
    (root / "notes.txt").write_text("by hand")
    data = load_arrays(root)
    order = np.lexsort((np.arange(40), NAMES[Y]))
    assert equal(data, arrays(X[order], NAMES[Y][order]))
    assert (data.name, data.channels) == ("gestures/", ("left", "right"))
    (root / "sit" / "02.csv").write_text("left;right\n1;2\n")
    with pytest.raises(FileFormatError, match=r"02.csv: found \(1, 2\) .*has \(12, 2\).*cut or pad the recordings"):
        load_arrays(root)


@pytest.mark.parametrize("head", ["", "a,b,c\n"])
def test_a_table_stands_beside_its_labels(tmp_path: Path, head: str) -> None:
    values = X[:, :3, 0].astype(np.float32)
    (tmp_path / "X.csv").write_text(head + "\n".join(",".join(map(repr, map(float, row))) for row in values))
    (tmp_path / "y.csv").write_text("class\n" * bool(head) + "\n".join(NAMES[Y]))
    (tmp_path / "subjects.csv").write_text("\n".join(map(str, PEOPLE)))
    data = load_arrays(tmp_path)
    assert equal(data, arrays(values, NAMES[Y], PEOPLE))
    assert data.channels == (("a", "b", "c") if head else ())
    (tmp_path / "y.csv").write_text("\n".join(map(str, Y)))
    assert equal(load_arrays(tmp_path), arrays(values, Y, PEOPLE))
    (tmp_path / "y.csv").write_text("1\n2")
    with pytest.raises(FileFormatError, match=r"y.csv: found 2 rows beside 40 in X.csv"):
        load_arrays(tmp_path)
    (tmp_path / "y.csv").unlink()
    with pytest.raises(FileFormatError, match=r"y.csv: no such file, allowed is one beside X.csv"):
        load_arrays(tmp_path)


def test_series_are_split_or_tested_on_their_own_file(tmp_path: Path) -> None:
    for name, text in ts_texts().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    train, test = tmp_path / "Wiggles_TRAIN.ts", tmp_path / "Wiggles_TEST.ts"
    together, published = load_arrays(train), load_dataset("ts", tmp_path)
    assert together.class_names == published.class_names
    np.testing.assert_array_equal(together.test.values, published.test.values)
    np.testing.assert_array_equal(together.test.labels, published.test.labels)
    assert equal(together, load_arrays(tmp_path))
    test.rename(tmp_path / "few.ts")
    alone = load_arrays(train)
    parts = [published.train, published.validation, alone.train, alone.validation, alone.test]
    assert sum(map(len, parts[:2])) == sum(map(len, parts[2:]))
    with pytest.raises(InputError, match=r"few.ts: labels: found 2 of class Slow, allowed are 3 and more"):
        load_arrays(tmp_path / "few.ts")


def pickled(path: Path) -> None:
    np.savez(path, X=X, y=np.array([{"a": 1}] * 40, object))


def doubled(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("X", "x", "y"):
            buffer = io.BytesIO()
            np.save(buffer, Y)
            archive.writestr(f"{name}.npy", buffer.getvalue())


def packed_otherwise(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("X.npy", b"")
        archive.writestr("y.npy", b"")


def no_text(path: Path) -> None:
    np.savez(path, X=X, y=np.full(40, 2**31 - 1, np.int32).view("U1"))


@pytest.mark.parametrize(
    ("name", "write", "kind", "message"),
    [
        ("gone.npz", lambda path: None, InputError, "no such file"),
        ("a.npz", lambda path: path.write_bytes(b"PK\x03\x04"), FileFormatError, "found no readable .npz file"),
        ("a.npz", lambda path: np.savez(path, X=X), FileFormatError, "found X, allowed are X and y at least"),
        ("a.npz", lambda path: np.savez(path, a=X, b=Y), FileFormatError, "found a, b, allowed are X and y at least"),
        ("a.npz", pickled, FileFormatError, "y: found no array of numbers or text .* objects are never unpickled"),
        ("a.npz", doubled, FileFormatError, "found X twice"),
        ("a.npz", packed_otherwise, FileFormatError, "found compression 14"),
        ("a.npz", no_text, FileFormatError, "y: found no array .*found text of what are no characters"),
        ("a.npz", lambda path: np.savez(path, X=X, y=Y * 0), InputError, "a.npz: labels: found the one class 0"),
        ("a.npz", lambda path: np.savez(path, X=X, y=Y, X_test=X), InputError, "a.npz: test: found tuple without"),
        ("a.csv", lambda path: path.write_text("1,2"), InputError, "found .csv, allowed are .npz with X and y"),
        ("a", lambda path: path.mkdir(), FileFormatError, "found no recordings, allowed are CLASS/RECORDING.csv"),
        ("a.ts", lambda path: path.write_text("hello"), FileFormatError, "found 'hello', allowed are # and @ before"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_data_set_is_refused(
    tmp_path: Path, name: str, write: object, kind: type[AspenError], message: str
) -> None:
    write(tmp_path / name)  # type: ignore[operator]
    with pytest.raises(kind, match=message) as error:
        load_arrays(tmp_path / name)
    assert type(error.value) is kind
    assert str(tmp_path / name) in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "found an empty file"),
        (b"a,b\n", "found no rows below the head"),
        (b"1,2\n3,x\n", "found no table of numbers"),
        (b"1,2\n3\n", "found no table of numbers"),
        (b"\xff\xfe1\x00", "cannot be read as text"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, text: bytes, message: str) -> None:
    (tmp_path / "X.csv").write_bytes(text)
    (tmp_path / "y.csv").write_text("0\n1\n")
    with pytest.raises(FileFormatError, match=message):
        load_arrays(tmp_path)


def test_more_than_the_memory_holds_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez_compressed(tmp_path / "zeros.npz", X=np.zeros((1000, 100)), y=np.zeros(1000))
    monkeypatch.setattr("aspen._base.memory.SMALL", 1000)
    monkeypatch.setattr("aspen._base.memory.available_memory", lambda: 100_000)
    with pytest.raises(InputError, match=r"zeros.npz: needs \d+ bytes of memory, free are 100000; give fewer samples"):
        load_arrays(tmp_path / "zeros.npz")


def test_a_path_needs_no_other(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"my.npz: found the path .* beside it, allowed is none"):
        load_dataset("my.npz", tmp_path)
    with pytest.raises(InputError, match="data: found 'my', allowed are digits, "):
        load_dataset("my")
