"""Files of a published data set, in a folder or in the zip as it is downloaded; nothing is unpacked to disk."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TextIO

import numpy as np

from aspen._base.arrays import Array
from aspen._base.checks import as_path
from aspen.errors import FileFormatError, InputError

MAX_FILES = 10_000
MAX_DEPTH = 4
MAX_FILE_BYTES = 128 * 2**20
MAX_TOTAL_BYTES = 2**31
ZIP_ERRORS = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError, OverflowError
)  # fmt: skip
"""What reading a damaged zip raises; RuntimeError covers encryption and unknown methods."""


class Source:
    """The files of one data set.

    Args:
        path: the folder, or the zip; a zip within the zip, as UCI packs them today, is looked into as well.
        marker: a file that must be there, by its path inside the data set, such as ``"train/y_train.txt"``, with ``*``
            for any part of a name; found in the folder itself or below it, which is then where all names start.
        publisher: the page to get the data from, for messages.

    Raises:
        InputError: there is no such path.
        FileFormatError: no readable zip, one that is suspiciously large, or the marker is not in it.
    """

    def __init__(self, path: str | Path, marker: str, publisher: str) -> None:
        self.path, self.publisher = as_path(path), publisher
        if not self.path.exists():
            raise InputError(f"{path}: no such file or folder; download the data from {publisher} and give its path")
        self._zip: zipfile.ZipFile | None = None
        names = self._folder_names() if self.path.is_dir() else self._zip_names(self.path, marker)
        self._root = self._find_root(names, marker)
        self.names = sorted(name[len(self._root) :] for name in names if name.startswith(self._root))
        """Paths of all files, from where the marker's path starts, with ``/``."""

    def _folder_names(self) -> list[str]:
        names: list[str] = []
        for folder, below, files in os.walk(self.path):
            inside = Path(folder).relative_to(self.path)
            names += [(inside / file).as_posix() for file in files]
            if len(inside.parts) >= MAX_DEPTH:
                below.clear()
            if len(names) > MAX_FILES:
                raise FileFormatError(
                    f"{self.path}: found more than {MAX_FILES} files, allowed is the data set's own folder; "
                    f"give a path further down"
                )
        return names

    def _zip_names(self, file: Path | io.BytesIO, marker: str) -> list[str]:
        try:
            self._zip = zipfile.ZipFile(file)
            entries = self._zip.infolist()
        except ZIP_ERRORS as error:
            raise FileFormatError(
                f"{self.path}: found neither a folder nor a readable zip ({_reason(error)}); download it again from "
                f"{self.publisher}"
            ) from error
        if len(entries) > MAX_FILES or sum(entry.file_size for entry in entries) > MAX_TOTAL_BYTES:
            raise FileFormatError(
                f"{self.path}: found a zip of {len(entries)} files and {sum(e.file_size for e in entries)} bytes "
                f"unpacked, allowed are {MAX_FILES} and {MAX_TOTAL_BYTES}; download it again from {self.publisher}"
            )
        names = [entry.filename for entry in entries if not entry.filename.startswith("__MACOSX/")]
        inner = [name for name in names if name.endswith(".zip")]
        if inner and not isinstance(file, io.BytesIO) and not _roots(names, marker):
            return self._zip_names(io.BytesIO(self._read_zipped(inner[0])), marker)
        return names

    def _find_root(self, names: list[str], marker: str) -> str:
        roots = _roots(names, marker)
        if not roots:
            some = ", ".join(sorted(names)[:3]) or "nothing"
            raise FileFormatError(
                f"{self.path}: found no {marker!r} among its {len(names)} files ({some}, ...), expected the data set "
                f"as published; get it from {self.publisher}"
            )
        return min(roots, key=len)

    def _read_zipped(self, name: str) -> bytes:
        assert self._zip is not None
        entry = self._zip.getinfo(name)
        if entry.file_size > MAX_FILE_BYTES:
            raise self._too_large(name, entry.file_size)
        try:
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise zipfile.BadZipFile(f"compression method {entry.compress_type}")
            with self._zip.open(entry) as stream:
                data = stream.read(MAX_FILE_BYTES + 1)  # whatever size the directory of the zip claims
        except ZIP_ERRORS as error:
            raise FileFormatError(
                f"{self.path}: {name}: damaged or encrypted ({_reason(error)}); download the data again from "
                f"{self.publisher}"
            ) from error
        if len(data) > MAX_FILE_BYTES:
            raise self._too_large(name, len(data))
        return data

    def _too_large(self, name: str, size: int) -> FileFormatError:
        return FileFormatError(
            f"{self.path}: {name}: found {size} bytes unpacked, allowed are {MAX_FILE_BYTES}; download the data again "
            f"from {self.publisher}"
        )

    def text(self, name: str) -> TextIO:
        """The file ``name`` (as in :attr:`names`) as text.

        Raises:
            FileFormatError: it is missing, too large or damaged.
        """
        if name not in self.names:
            raise FileFormatError(
                f"{self.path}: found no {name!r}, expected the complete data set as published; get it from "
                f"{self.publisher}"
            )
        if self._zip is not None:
            return _as_text(self._read_zipped(self._root + name))
        file = self.path / (self._root + name)
        try:
            if not file.is_file():
                raise FileFormatError(f"{file}: found no ordinary file; get the data from {self.publisher}")
            if file.stat().st_size > MAX_FILE_BYTES:
                raise self._too_large(name, file.stat().st_size)
            return _as_text(file.read_bytes())
        except OSError as error:
            raise FileFormatError(f"{file}: cannot be read ({error.strerror}); check the file") from error

    def numbers(self, name: str, columns: int, integer: bool = False) -> Array:
        """A file of white-space separated numbers: (rows, columns) float32, or int64.

        Raises:
            FileFormatError: missing, empty, not numbers, NaN, fractions where integers are due, or another number of
                columns.
        """
        with self.text(name) as stream:
            if not stream.read(4096).strip():
                raise FileFormatError(f"{self.path}: {name}: found an empty file; get the data from {self.publisher}")
            stream.seek(0)
            try:
                array = np.loadtxt(stream, dtype=np.float64 if integer else np.float32, ndmin=2, comments=None)
            except (ValueError, OverflowError) as error:
                raise FileFormatError(
                    f"{self.path}: {name}: found something else than numbers ({_reason(error)}); get the data from "
                    f"{self.publisher}"
                ) from error
        if array.shape[1] != columns or not np.isfinite(array).all():
            raise FileFormatError(
                f"{self.path}: {name}: found {array.shape[1]} columns or NaN, expected {columns} columns of finite "
                f"numbers; get the data from {self.publisher}"
            )
        if not integer:
            return array
        if (array != np.rint(array)).any() or np.abs(array).max() > 2**31:
            raise FileFormatError(
                f"{self.path}: {name}: found fractions or huge numbers, expected integers; get the data from "
                f"{self.publisher}"
            )
        return array.astype(np.int64)


def _roots(names: list[str], marker: str) -> list[str]:
    """Where the data set may start: what stands before the marker, ``""`` or ending in ``/``."""
    depth = marker.count("/") + 1
    parts = [PurePosixPath(name).parts for name in names]
    starts = [p[:-depth] for p in parts if len(p) >= depth and fnmatchcase("/".join(p[-depth:]), marker)]
    return ["".join(f"{part}/" for part in start) for start in starts]


def _as_text(data: bytes) -> TextIO:
    return io.TextIOWrapper(io.BytesIO(data), "utf-8", errors="replace")


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
