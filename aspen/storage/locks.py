"""One writer at a time: advisory locks on the very file that is written, so that no lock file is ever left behind."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # not a POSIX system: no locks, as on file systems without them
    fcntl = None  # type: ignore[assignment]

PATIENCE = 60.0
"""Seconds to wait for another writer."""
_PAUSE = 0.01
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


def try_lock(handle: int) -> bool | None:
    """Lock an open file without waiting; closing ``handle`` releases it, and so does the end of the process.

    Returns:
        whether it is taken; None where the file system has no locks.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return None
        raise
    return True


def stands_at(handle: int, path: Path) -> bool:
    """Whether the open file is still the one at ``path``: another may have taken its place, or none."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


@contextmanager
def locked(path: Path, patience: float | None = None) -> Iterator[None]:
    """Keep other writers, of other processes and of other threads, from the file at ``path``.

    A writer puts a new file in the place of the old one. So a lock counts only if its file still stands there when it
    is taken; otherwise the new file's is taken.

    Args:
        path: a file; symbolic links are to be followed before.
        patience: seconds to wait; default: :data:`PATIENCE`.

    Nothing is locked where there is no file yet, or where the file system has no locks.

    Raises:
        TimeoutError: another writer held it for so long.
        OSError: the file may not be written to.
    """
    handle = _take(path, PATIENCE if patience is None else patience)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _take(path: Path, patience: float) -> int | None:
    deadline = time.monotonic() + patience
    while True:
        try:
            handle = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return None
        held = _hold(handle, path)
        if held is not False:
            return handle if held else None
        if time.monotonic() > deadline:
            raise TimeoutError(errno.ETIMEDOUT, f"another writer has held it for {patience:g} s")
        time.sleep(_PAUSE)


def _hold(handle: int, path: Path) -> bool | None:
    """As :func:`try_lock`, of a file that still stands at ``path``; ``handle`` is closed where it is not held."""
    held: bool | None = None
    try:
        held = try_lock(handle)
        held = held and stands_at(handle, path)
        return held
    finally:
        if not held:
            os.close(handle)
