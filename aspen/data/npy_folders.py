"""Folders of ``.npy`` files, whose values stay on the disk until they are needed."""

from __future__ import annotations

from pathlib import Path

from aspen._base.arrays import Array
from aspen.data.npz_files import NAMES, named
from aspen.errors import FileFormatError, one_line
from aspen.storage.npy import map_npy

FORM = "X_train.npy and y_train.npy, and beside them X_validation.npy, X_test.npy and their labels"


def is_npy_folder(folder: Path) -> bool:
    """Whether it holds training values as ``.npy``."""
    return any(NAMES.get(file.stem.lower()) == "X" for file in folder.glob("*.npy"))


def read_npy_folder(folder: Path) -> dict[str, Array]:
    """The arrays of a data set, by what they are: those that :data:`aspen.data.npz_files.NAMES` knows, mapped.

    >>> import numpy as np
    >>> Path("mine").mkdir()
    >>> np.save("mine/X_train.npy", np.zeros((4, 9), np.float32)), np.save("mine/y_train.npy", [0, 1, 0, 1])
    (None, None)
    >>> sorted(read_npy_folder(Path("mine")))
    ['X', 'y']

    Raises:
        FileFormatError: a file is damaged or holds objects, or X or y is missing.
    """
    given = [(file.stem, file) for file in sorted(folder.glob("*.npy"))]
    return {name: _mapped(file) for name, file in named(folder, given, f"name them {FORM}").items()}


def _mapped(file: Path) -> Array:
    try:
        return map_npy(file, text=True)
    except (ValueError, TypeError, OSError) as error:
        raise FileFormatError(
            f"{file}: found no array of numbers or text ({one_line(error)}); write it by numpy.save, text as an array "
            f"of dtype=str"
        ) from error
