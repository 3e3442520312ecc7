"""Where results go is checked before the work: what may stand there, and that nothing which is read is written over."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from aspen._base.checks import as_path
from aspen.errors import InputError, UnwrittenError
from aspen.storage.writing import STANDARD_OUTPUT, destination, is_stream, write_atomically

ARRAYS = (".npy",)
NETWORKS = (".aspen", ".nir")
PICTURES = (".png", ".pdf", ".svg")
RECORDS = (".json",)
TABLES = (".csv",)
REPORTS = (".md",)
WEIGHTS = (".pt", ".pth")
CHECKPOINTS = (*WEIGHTS, ".ckpt", ".checkpoint")
_PROBE = bytes(4096)


def check_output(path: str | Path, suffixes: Sequence[str] = ()) -> None:
    """Refuse, before the work, an output that could not be written after it.

    Args:
        path: a file that may or may not be there, or a device or a pipe.
        suffixes: names that say what a file holds, such as :data:`PICTURES`, as for :func:`form_of`; none: any.

    Raises:
        InputError: another suffix, a folder, a missing folder, or one that nothing can be written to.
    """
    path = as_path(path)
    if suffixes:
        form_of(path, suffixes)
    if is_stream(path):
        _check_access(path)
        return
    target = destination(path)
    if target.is_dir():
        raise InputError(f"{path}: found a folder, allowed is a file; add its name")
    if not target.parent.is_dir():
        named = target.parent if path.is_symlink() else path.parent
        raise InputError(f"{path}: the folder {named} does not exist; create it first")
    if target.exists():
        _check_access(path)
    _check_room(path, target.parent)


def form_of(path: str | Path, suffixes: Sequence[str]) -> str:
    """Which of ``suffixes`` says what ``path`` is to hold; for a device or a pipe with another name, the first.

    Raises:
        InputError: the suffix is none of these.
    """
    path = as_path(path)
    if path.suffix in suffixes:
        return path.suffix
    if is_stream(path):
        return suffixes[0]
    *most, last = suffixes
    allowed = f"are {', '.join(most)} and {last}" if most else f"is {last}"
    raise InputError(f"{path}: found {path.suffix or 'no suffix'}, allowed {allowed}; rename it")


def check_folder(path: str | Path) -> None:
    """Refuse, before the work, a folder for results that cannot be made or written to.

    Raises:
        InputError: as it says.
    """
    above = Path(os.path.realpath(as_path(path)))
    while not above.exists():
        above = above.parent
    if not above.is_dir():
        raise InputError(f"{path}: found {above}, which is a file, allowed is a folder; choose another name")
    _check_room(Path(path), above)


def make_folder(path: str | Path) -> None:
    """Make a folder for results, and those above it, where they are not there.

    Raises:
        InputError: it cannot be made.
    """
    try:
        as_path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot make this folder ({error.strerror}); choose another one") from error


def is_same_file(first: str | Path, second: str | Path) -> bool:
    """Whether writing one of two files would change the other; two names of a device, which keeps nothing, are not."""
    try:
        one, other = os.stat(first), os.stat(second)
    except OSError:
        return destination(first) == destination(second)
    return os.path.samestat(one, other) and not stat.S_ISCHR(one.st_mode)


def rescue(error: UnwrittenError) -> Path | None:
    """Keep what could not be written in a new temporary folder, or else in one of the user's own.

    Returns:
        the file that it is in; None where there is nothing to keep, or nowhere.
    """
    if error.data is None:
        return None
    for find in (tempfile.gettempdir, Path.home):
        with suppress(OSError, RuntimeError, UnwrittenError):  # there is none, or it is full as well
            return _keep(error.path.name, error.data, find())
    return None


def _keep(name: str, data: bytes, folder: str | Path) -> Path:
    own = Path(tempfile.mkdtemp(prefix="aspen-kept-", dir=folder))
    try:
        write_atomically(own / name, data)
    except UnwrittenError:
        own.rmdir()
        raise
    return own / name


def _check_access(path: Path) -> None:
    if path != STANDARD_OUTPUT and not os.access(path, os.W_OK):
        raise InputError(f"{path}: found what you may not write to; choose another name, or work on a copy")


def _check_room(path: Path, folder: Path) -> None:
    """Write a little where nobody sees it: rights, quotas and full disks show no other way."""
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(_PROBE)
    except OSError as error:
        raise InputError(
            f"{path}: cannot write there ({error.strerror}); choose another folder, or make room"
        ) from error
