"""Temporary files beside the file that they become, and what is left of writers that were killed.

A writer keeps its temporary file locked while it lives. So the next writer of the same file can tell which ones are of
the dead, and removes those. Where another machine's locks may not be seen, only what is old counts as dead.
"""

from __future__ import annotations

import os
import platform
import re
import secrets
import time
from contextlib import suppress
from pathlib import Path

from aspen.storage.locks import stands_at, try_lock

OLD = 24 * 3600.0
"""Seconds without a change after which a temporary file of another machine, or without locks, is of a dead writer."""
_LONGEST = 160
"""Bytes of a file's name that its temporaries carry, as names may have 255."""


def begin(target: Path, mode: int) -> tuple[int, Path]:
    """Create a temporary file for ``target`` in the same folder, locked.

    Args:
        target: the file that it will become.
        mode: permissions, of which the process's umask takes its part.

    Returns:
        the open file, and its path.
    """
    while True:
        path = target.with_name(f"{_family(target)}{_machine()}.{secrets.token_hex(4)}.part")
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        if try_lock(handle) is not False and stands_at(handle, path):
            return handle, path
        os.close(handle)  # another writer took it for a dead one's before it was locked, and removes it


def remove_abandoned(target: Path) -> None:
    """Remove the temporary files of ``target`` whose writers are dead."""
    name = re.compile(rf"{re.escape(_family(target))}([A-Za-z0-9-]*)\.[0-9a-f]{{8}}\.part")
    with suppress(OSError):  # a folder that may be written to, but not listed
        for other in os.listdir(target.parent):
            match = name.fullmatch(other)
            if match is not None:
                _remove_if_dead(target.with_name(other), ours=match[1] == _machine())


def _remove_if_dead(path: Path, ours: bool) -> None:
    with suppress(OSError):  # gone meanwhile, or somebody else's
        handle = os.open(path, os.O_RDWR)
        try:
            free = try_lock(handle)
            if free is False:
                return
            age = time.time() - os.fstat(handle).st_mtime
            if ((free and ours) or age > OLD) and stands_at(handle, path):
                path.unlink()
        finally:
            os.close(handle)


def _family(target: Path) -> str:
    """What the names of all temporaries of ``target`` begin with."""
    name = target.name
    while len(os.fsencode(name)) > _LONGEST:  # whole characters go, and names that are no UTF-8 stay as they are
        name = name[:-1]
    return f".{name}."


def _machine() -> str:
    return re.sub("[^A-Za-z0-9-]", "", platform.node())[:32]
