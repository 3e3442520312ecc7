"""Folders of files that belong together, written whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from aspen._base.checks import as_path
from aspen.errors import InputError
from aspen.storage.outputs import check_folder, make_folder
from aspen.storage.writing import naming


def write_folder(path: str | Path, files: Mapping[str, bytes], replaces: Callable[[Path], bool]) -> None:
    """Write ``files`` into the folder ``path``, so that there are all of them or what was there before.

    They are written into a folder beside it, which is then moved into its place. Symbolic links are followed.

    Args:
        path: a folder that is not there, is empty, or may be replaced.
        files: name -> content.
        replaces: whether a folder that is not empty may be replaced.

    Raises:
        InputError: the folder holds something else.
        UnwrittenError: it cannot be written.
    """
    target = Path(os.path.realpath(as_path(path)))
    check_folder(path)
    if target.exists() and any(target.iterdir()) and not replaces(target):
        raise InputError(
            f"{path}: found a folder with other files, allowed is a new or an empty one, or one that was written here; "
            f"choose another name"
        )
    make_folder(target.parent)
    with naming(path):
        made = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            _fill(made / "new", files)
            _move(made / "new", target, made / "old")
        finally:
            shutil.rmtree(made, ignore_errors=True)


def _fill(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir()
    for name, data in files.items():
        with open(folder / name, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())


def _move(new: Path, target: Path, old: Path) -> None:
    """Put ``new`` into the place of ``target``, which is brought back where that fails."""
    there = target.exists()
    if there:
        os.rename(target, old)
    try:
        os.rename(new, target)
    except OSError:
        if there:
            os.rename(old, target)
        raise
