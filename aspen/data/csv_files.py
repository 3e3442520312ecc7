"""Folders of ``.csv`` files: recordings in a folder for each class, or a table of samples beside its labels."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from aspen._base.arrays import Array
from aspen._base.memory import check_memory
from aspen.data.sources import MAX_FILE_BYTES, MAX_FILES
from aspen.errors import FileFormatError, one_line

FORMS = "CLASS/RECORDING.csv, a folder for each class, or X.csv beside y.csv"
VALUES, LABELS, SUBJECTS = "X.csv", "y.csv", "subjects.csv"


class Table(NamedTuple):
    """Rows of numbers, and the names of their columns; none where the file has no head."""

    values: Array
    columns: tuple[str, ...]


def read_csv_folder(folder: Path) -> dict[str, Array]:
    """The arrays of a data set in a folder: X, y and, where they are known, subjects and channels.

    Raises:
        FileFormatError: it has another form, or a file is damaged, or not like the others.
    """
    if (folder / VALUES).is_file():
        return _table(folder)
    files = [file for each in sorted(folder.iterdir()) if _is_shown(each) and each.is_dir() for file in _inside(each)]
    if not files:
        raise FileFormatError(f"{folder}: found no recordings, allowed are {FORMS}; sort the files like this")
    if len(files) > MAX_FILES:
        raise FileFormatError(f"{folder}: found {len(files)} files, allowed are {MAX_FILES}; write them to a .npz file")
    return _recordings(files)


def read_csv(path: Path) -> Table:
    """A table of numbers, with or without a head, and commas, semicolons, tabs or blanks between the columns.

    Raises:
        FileFormatError: it is empty, too large, or has anything else than numbers in it.
    """
    lines = _lines(path)
    between = next((sign for sign in (",", ";", "\t") if sign in lines[0]), None)
    cells = tuple(cell.strip().strip('"') for cell in lines[0].split(between))
    head = not all(_is_number(cell) for cell in cells)
    rows = lines[1:] if head else lines
    if not rows:
        raise FileFormatError(f"{path}: found no rows below the head; write one for each time step or sample")
    try:
        values = np.loadtxt(rows, dtype=np.float32, delimiter=between, ndmin=2, comments=None)
    except (ValueError, OverflowError) as error:
        raise FileFormatError(
            f"{path}: found no table of numbers ({one_line(error)}); fill gaps, and leave out columns of text"
        ) from error
    return Table(values, cells if head and len(cells) == values.shape[1] else ())


def _table(folder: Path) -> dict[str, Array]:
    """X.csv, with a row for each sample, y.csv and, where it is there, subjects.csv."""
    values, columns = read_csv(folder / VALUES)
    found = {"X": values, "y": _column(folder / LABELS, len(values))}
    if (folder / SUBJECTS).is_file():
        found["subjects"] = _column(folder / SUBJECTS, len(values))
    return found | ({"channels": np.array(columns)} if columns else {})


def _recordings(files: list[Path]) -> dict[str, Array]:
    """Recordings (time, channels) by class."""
    tables: list[Table] = []
    for file in files:
        tables.append(read_csv(file))
        if tables[-1].values.shape != tables[0].values.shape:
            raise FileFormatError(
                f"{file}: found {tables[-1].values.shape} (time, channels), {files[0]} has {tables[0].values.shape}, "
                f"allowed is one shape; cut or pad the recordings to one length"
            )
        check_memory(str(file.parent.parent), 2 * len(files) * tables[0].values.nbytes, "give fewer recordings")
    found = {"X": np.stack([table.values for table in tables]), "y": np.array([file.parent.name for file in files])}
    return found | ({"channels": np.array(tables[0].columns)} if tables[0].columns else {})


def _inside(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if _is_shown(file) and file.suffix.lower() == ".csv")


def _is_shown(path: Path) -> bool:
    return not path.name.startswith(".")


def _column(path: Path, count: int) -> Array:
    """One label for each of ``count`` samples: numbers where all are, otherwise text. One more is a head."""
    if not path.is_file():
        raise FileFormatError(f"{path}: no such file, allowed is one beside {VALUES}, with a label in each row; add it")
    cells = [line.strip().strip('"') for line in _lines(path)]
    cells = cells[1:] if len(cells) == count + 1 else cells
    if len(cells) != count:
        raise FileFormatError(
            f"{path}: found {len(cells)} rows beside {count} in {VALUES}, allowed is one for each sample"
        )
    return np.array([float(cell) for cell in cells]) if all(map(_is_number, cells)) else np.array(cells)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _lines(path: Path) -> list[str]:
    """The lines of a file that are not empty."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise FileFormatError(f"{path}: found {path.stat().st_size} bytes, allowed are {MAX_FILE_BYTES}; divide it")
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path}: cannot be read as text ({one_line(error)}); check the file") from error
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise FileFormatError(f"{path}: found an empty file, allowed are rows of numbers; write it again")
    return lines
