"""A user's own files as a data set: ``.npz`` archives, ``.ts`` files, and folders of ``.csv`` or ``.npy`` files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from aspen._base.arrays import Array
from aspen._base.checks import as_path
from aspen.data.csv_files import FORMS, read_csv_folder
from aspen.data.datasets import Dataset
from aspen.data.encoders import Encoder
from aspen.data.npy_folders import is_npy_folder, read_npy_folder
from aspen.data.npz_files import read_npz
from aspen.data.own_arrays import HELD_OUT, Part, arrays
from aspen.data.sources import MAX_FILE_BYTES
from aspen.data.ts_files import TimeSeries, read_ts
from aspen.errors import AspenError, FileFormatError, InputError, one_line

SUFFIXES = (".npz", ".ts")
_TRAIN, _TEST = "_TRAIN.ts", "_TEST.ts"


def load_arrays(
    path: str | Path,
    *,
    validation: Part = HELD_OUT,
    test: Part = HELD_OUT,
    encoder: str | Encoder | None = None,
    seed: int = 0,
) -> Dataset:
    """Your own arrays from a file, as :func:`aspen.data.arrays` makes a data set of them.

    - ``.npz``: X and y and, where there are any, subjects, class_names and channels; what is apart already as X_test
      and y_test, X_validation and y_validation.
    - ``.ts``: one file; beside NAME_TRAIN.ts its NAME_TEST.ts is taken for the test.
    - a folder: CLASS/RECORDING.csv, with a row for each time step and a column for each channel, or X.csv and y.csv
      (and subjects.csv), with a row for each sample; or one problem as NAME_TRAIN.ts and NAME_TEST.ts; or X_train.npy,
      y_train.npy, X_validation.npy and so on, which may be larger than the memory: they are read where they lie.

    >>> np.savez("mine.npz", X=np.random.default_rng(0).random((20, 9)), y=np.arange(20) % 2)
    >>> print(load_arrays("mine.npz"))
    mine.npz: 12 training, 4 validation and 4 test samples of (9,), 2 classes; drawn by seed 0, with the same mix of \
classes; encoder rate: features (n, features); for signals of one channel pass X[..., None]

    Args:
        path: the file or folder.
        validation, test, encoder, seed: as for :func:`aspen.data.arrays`; what the file holds apart comes first.

    Raises:
        InputError: no such path, or arrays that :func:`aspen.data.arrays` refuses.
        FileFormatError: a file is damaged, or of another form.
    """
    path = as_path(path)
    found = _read(path)
    options: dict[str, Any] = {"validation": validation, "test": test}
    for part in options:
        if f"X_{part}" in found:
            options[part] = (found[f"X_{part}"], found.get(f"y_{part}"))
    texts = {key: found[key].astype(str).tolist() for key in ("class_names", "channels") if key in found}
    try:
        return arrays(
            found["X"], found["y"], found.get("subjects"), encoder=encoder, seed=seed, name=_called(path),
            **texts, **options,
        )  # fmt: skip
    except AspenError as error:
        raise type(error)(f"{path}: {error}") from error


def _called(path: Path) -> str:
    return f"{path.resolve().name}/" if path.is_dir() else path.name


def is_own_file(name: str) -> bool:
    """Whether a name is that of a file or folder for :func:`load_arrays`, there or not."""
    path = Path(name)
    return path.suffix.lower() in SUFFIXES or path.is_dir() or len(path.parts) > 1


def _read(path: Path) -> dict[str, Array]:
    if path.is_dir():
        if is_npy_folder(path):
            return read_npy_folder(path)
        problems = sorted(path.glob(f"*{_TRAIN}"))
        if len(problems) > 1:
            raise FileFormatError(f"{path}: found {len(problems)} problems, allowed is one; name its {_TRAIN} file")
        return _read_ts(problems[0]) if problems else read_csv_folder(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder; check the path")
    if path.suffix.lower() == ".npz":
        return read_npz(path)
    if path.suffix.lower() == ".ts":
        return _read_ts(path)
    raise InputError(
        f"{path}: found {path.suffix or 'no suffix'}, allowed are .npz with X and y, .ts, and folders of .csv files: "
        f"{FORMS}; convert it: numpy.savez('data.npz', X=X, y=y)"
    )


def _read_ts(path: Path) -> dict[str, Array]:
    series = _series(path)
    found = {"X": series.values, "y": _named(series), "class_names": np.array(series.class_names)}
    test = path.with_name(path.name.removesuffix(_TRAIN) + _TEST)
    if path.name.endswith(_TRAIN) and test.is_file():
        held = _series(test)
        found |= {"X_test": held.values, "y_test": _named(held)}
    return found


def _named(series: TimeSeries) -> Array:
    return np.array(series.class_names)[series.labels]


def _series(path: Path) -> TimeSeries:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise FileFormatError(f"{path}: found {path.stat().st_size} bytes, allowed are {MAX_FILE_BYTES}; divide it")
        return read_ts(path.read_bytes().decode("utf-8", "replace"), str(path))
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read ({one_line(error)}); check the file") from error
