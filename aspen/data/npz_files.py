"""``.npz`` archives of a user's arrays, read with care: nothing in them is unpickled."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from aspen._base.arrays import Array
from aspen._base.checks import as_path
from aspen._base.memory import check_memory
from aspen.data.sources import ZIP_ERRORS
from aspen.errors import AspenError, FileFormatError, InputError, one_line
from aspen.storage.npy import read_npy

Item = TypeVar("Item")
NAMES = {
    "x": "X", "values": "X", "x_train": "X", "y": "y", "labels": "y", "y_train": "y", "subjects": "subjects",
    "class_names": "class_names", "channels": "channels",
    "x_validation": "X_validation", "x_val": "X_validation", "x_valid": "X_validation",
    "y_validation": "y_validation", "y_val": "y_validation", "y_valid": "y_validation",
    "x_test": "X_test", "y_test": "y_test",
}  # fmt: skip
"""Names of arrays in a file, in small letters -> what they are."""
_SAVE = "numpy.savez('data.npz', X=X, y=y)"


def read_npz(path: str | Path) -> dict[str, Array]:
    """The arrays of a data set in a ``.npz`` file: those that :data:`NAMES` knows, by what they are.

    >>> import numpy as np
    >>> np.savez("mine.npz", X=np.zeros((4, 9)), y=["a", "b", "a", "b"])
    >>> sorted(read_npz("mine.npz"))
    ['X', 'y']

    Raises:
        InputError: no such file, or too much for the memory.
        FileFormatError: it is damaged, has no X and y, or holds objects, which would have to be unpickled.
    """
    path = as_path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    try:
        with zipfile.ZipFile(path) as archive:
            return _arrays(path, archive)
    except ZIP_ERRORS as error:
        if isinstance(error, AspenError):
            raise
        reason = one_line(error)
        raise FileFormatError(f"{path}: found no readable .npz file ({reason}); write it by {_SAVE}") from error


def named(path: Path, given: Sequence[tuple[str, Item]], remedy: str) -> dict[str, Item]:
    """Of what has a name, that which :data:`NAMES` knows, by what it is.

    Args:
        path: the file or folder, for messages.
        given: names in it, and what is there.
        remedy: the end of messages.

    Raises:
        FileFormatError: X or y is missing, or one is there twice.
    """
    found: dict[str, Item] = {}
    for own, item in given:
        name = NAMES.get(own.lower())
        if name in found:
            raise FileFormatError(f"{path}: found {name} twice, also as {own}, allowed is each array once; {remedy}")
        if name is not None:
            found[name] = item
    if not {"X", "y"} <= found.keys():
        listed = ", ".join(own for own, _ in given[:10]) or "nothing"
        raise FileFormatError(f"{path}: found {listed[:200]}, allowed are X and y at least; {remedy}")
    return found


def _arrays(path: Path, archive: zipfile.ZipFile) -> dict[str, Array]:
    given = [(entry.filename.removesuffix(".npy"), entry) for entry in archive.infolist()]
    entries = named(path, given, f"write it by {_SAVE}")
    check_memory(str(path), 2 * sum(entry.file_size for entry in entries.values()), "give fewer samples")
    return {name: _array(path, name, archive, entry) for name, entry in entries.items()}


def _array(path: Path, name: str, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Array:
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise FileFormatError(f"{path}: {name}: found compression {entry.compress_type}; write it by {_SAVE}")
    with archive.open(entry) as stream:
        data = stream.read(entry.file_size)
    try:
        return read_npy(io.BytesIO(data), len(data), text=True)
    except (ValueError, TypeError) as error:
        raise FileFormatError(
            f"{path}: {name}: found no array of numbers or text ({one_line(error)}); objects are never unpickled: make "
            f"an array of them, of text np.array(y, dtype=str)"
        ) from error
