"""Files that are read as a whole, pipes and standard input among them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from aspen._base.checks import as_path
from aspen.errors import InputError

STANDARD_INPUT = Path("/dev/stdin")
"""What ``-`` stands for as an input; read from this process's own, on every system."""


@contextmanager
def opened(path: str | Path, magic: bytes) -> Iterator[tuple[BinaryIO, int]]:
    """A file, or all that comes out of a pipe or standard input, in which any place can be found.

    Args:
        path: what to read.
        magic: what its format begins with: of a pipe with anything else, which may never end, no more is read.

    Yields:
        the stream, and its size in bytes.

    Raises:
        InputError: there is no such file, it is a folder or a device, or it may not be read.
    """
    with _open(as_path(path), magic) as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        yield stream, size


def _open(path: Path, magic: bytes) -> BinaryIO:
    try:
        if path == STANDARD_INPUT or path.is_fifo():
            with open(os.dup(0) if path == STANDARD_INPUT else path, "rb") as pipe:
                begin = pipe.read(len(magic))
                return BytesIO(begin + (pipe.read() if begin == magic else b""))
        if path.is_file():
            return path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); choose a file that you may read") from error
    raise InputError(f"{path}: no such file; check the path")
