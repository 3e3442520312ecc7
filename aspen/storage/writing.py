"""The one way in which ASPEN writes files: whole or not at all, through symbolic links, into devices and pipes."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aspen._base.checks import as_path
from aspen.errors import InputError, UnwrittenError
from aspen.storage.locks import locked
from aspen.storage.temporaries import begin, remove_abandoned

Identity = tuple[int, int, int]
STANDARD_OUTPUT = Path("/dev/stdout")
"""What ``-`` stands for as an output; written through this process's own stream, on every system."""
_ATTEMPTS = 20
_REMEDIES = {
    errno.ENOENT: "choose an existing folder that you may write to",
    errno.ENOTDIR: "choose an existing folder that you may write to",
    errno.EACCES: "choose an existing folder that you may write to",
    errno.EPERM: "choose an existing folder that you may write to",
    errno.EROFS: "choose an existing folder that you may write to",
    errno.EISDIR: "add the name of a file",
    errno.ENOSPC: "make room, or choose another disk",
    errno.EDQUOT: "make room, or choose another disk",
    errno.EFBIG: "raise the limit on the size of files, or choose another disk",
    errno.ETIMEDOUT: "wait for it, or end it, and try again",
    errno.EPIPE: "its reader has gone; choose a file",
}


def write_atomically(path: str | Path, data: bytes) -> None:
    """Write ``data`` to ``path``, so that there is all of it or what was there before.

    A file is written beside ``path`` and moved into its place; it keeps the permissions of the one that it replaces,
    and its owner where that is allowed. Symbolic links are followed: the link stays. Devices and pipes are written to.
    Another writer of the same file is waited for.

    Raises:
        UnwrittenError: the folder does not exist or may not be written to, the disk is full, ``path`` is a folder, or
            another writer holds it for more than a minute.
    """
    target = destination(path)
    if is_stream(target):
        with naming(path):
            _pour(target, data)
        return
    with naming(path, data), locked(target):
        _replace(target, data)


def update(path: str | Path, change: Callable[[Path], bytes]) -> None:
    """Replace the file at ``path`` by what ``change`` makes of it, with no other writer in between.

    It is made again where another was faster all the same: without locks, or by a program that knows nothing of them.

    Args:
        path: an existing file.
        change: given the file's path, returns its new content; may be called more than once.

    Raises:
        UnwrittenError: as :func:`write_atomically`.
    """
    target = destination(path)
    try:
        for _ in range(_ATTEMPTS):
            with locked(target):
                before = _identity(target)
                data = change(Path(path))
                with naming(path, data):
                    if _replace(target, data, before):
                        return
    except OSError as error:  # as it could not be locked
        raise _unwritten(path, error, change(Path(path))) from error
    raise InputError(f"{path}: other writers were faster {_ATTEMPTS} times; wait for them, and try again")


def destination(path: str | Path) -> Path:
    """The file that is written for ``path``: at the end of symbolic links; devices and pipes as they are named."""
    return as_path(path) if is_stream(path) else Path(os.path.realpath(path))


def is_stream(path: str | Path) -> bool:
    """Whether ``path`` is standard output, a device, a pipe or a socket, which is written to and never replaced."""
    if as_path(path) == STANDARD_OUTPUT:
        return True
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _pour(path: Path, data: bytes) -> None:
    if path == STANDARD_OUTPUT:
        sys.stdout.flush()
        handle = os.dup(1)
    else:
        handle = os.open(path, os.O_WRONLY)
    with open(handle, "wb") as stream:
        stream.write(data)


def _replace(target: Path, data: bytes, only: Identity | None = None) -> bool:
    """Put a new file in the place of ``target``, of ``only`` that one where it is given; whether it did."""
    remove_abandoned(target)
    old = target.stat() if target.exists() else None
    handle, temporary = begin(target, 0o666 if old is None else old.st_mode & 0o777)
    try:
        with open(handle, "wb") as stream:  # locked until the end, so that nobody takes it for a dead writer's
            if old is not None:
                _take_after(handle, old)
            stream.write(data)
            stream.flush()
            os.fsync(handle)  # network file systems tell only now that the disk is full
            if only is not None and _identity(target) != only:
                return False
            os.replace(temporary, target)
            return True
    finally:
        temporary.unlink(missing_ok=True)


def _take_after(handle: int, old: os.stat_result) -> None:
    """Give a new file the owner and the permissions of the one that it replaces, as far as the system lets us."""
    with suppress(OSError):
        if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(handle, old.st_uid, old.st_gid)
        os.fchmod(handle, old.st_mode & 0o777)


def _identity(path: Path) -> Identity | None:
    """What changes whenever a file is replaced."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


@contextmanager
def naming(path: str | Path, data: bytes | None = None) -> Iterator[None]:
    """Say which file could not be written, why, and what to do; ``data`` is what it should have held."""
    try:
        yield
    except OSError as error:
        raise _unwritten(path, error, data) from error


def _unwritten(path: str | Path, error: OSError, data: bytes | None) -> UnwrittenError:
    remedy = _REMEDIES.get(error.errno or 0, "choose another name")
    made = UnwrittenError(f"{path}: cannot write there ({error.strerror or error}); {remedy}")
    made.path, made.data = Path(path), data
    return made
