"""A text file that is written line by line, while the work goes on."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import IO

from aspen.storage.writing import naming


class GrowingFile:
    """Text that is added to a file, or written to a device or a pipe; for ``csv.writer`` and as a context.

    Args:
        path: the file; what it held is gone, unless ``append``.
        append: whether to go on at its end.

    Raises:
        UnwrittenError: by every method, where it cannot be written.
    """

    def __init__(self, path: str | Path, *, append: bool = False) -> None:
        self._path = path
        with naming(path):
            mode = "a" if append else "w"
            self._stream: IO[str] = Path(path).open(mode, newline="", encoding="utf-8")  # noqa: SIM115 - see __exit__

    def write(self, text: str) -> None:
        """Add ``text``."""
        with naming(self._path):
            self._stream.write(text)

    def __enter__(self) -> GrowingFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with naming(self._path):
            self._stream.close()
