"""setuptools' build backend, but an editable install puts the source roots on the path.

For packages in several source roots setuptools would install an import hook, which Python asks after all folders on the
path: in the folder above a clone called ``aspen``, it takes the clone for the package ``aspen``, as any folder may be a
package without code. A package with code on the path comes first, wherever it stands there; editors and type checkers
find it there too, and ``PYTHONPATH`` still puts another copy before it.
"""

from __future__ import annotations

import base64
import hashlib
import locale
import sys
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403 - every other hook is setuptools' own

ROOTS = {"aspen": ".", "aspen_hardware": "hardware", "aspen_emulator": "emulator"}
"""Package -> the folder that it lies in."""


def build_editable(
    wheel_directory: str, config_settings: dict[str, Any] | None = None, metadata_directory: str | None = None
) -> str:
    """Build setuptools' editable wheel, and put the source roots in the place of its import hook.

    Where ``config_settings`` asks for one of setuptools' own modes, its wheel stays as it is.
    """
    name: str = build_meta.build_editable(wheel_directory, config_settings, metadata_directory)
    if "editable_mode" not in (config_settings or {}):
        _put_on_path(Path(wheel_directory, name), [Path(root).resolve() for root in ROOTS.values()])
    return name


def _put_on_path(path: Path, folders: list[Path]) -> None:
    """Rewrite a wheel: a list of folders for the path, and no import hook."""
    with ZipFile(path) as wheel:
        files = {file: wheel.read(file) for file in wheel.namelist() if not file.startswith("__editable__")}
    files["__editable__.aspen_snn.pth"] = _path_file(folders)
    record = next(file for file in files if file.endswith(".dist-info/RECORD"))
    del files[record]
    lines = [_recorded(file, content) for file, content in files.items()]
    files[record] = "\n".join([*lines, f"{record},,", ""]).encode()
    with ZipFile(path, "w", ZIP_DEFLATED) as wheel:
        for file, content in files.items():
            wheel.writestr(file, content)


def _path_file(folders: list[Path]) -> bytes:
    """One folder a line, in the encoding that this Python reads such files in."""
    encoding = "utf-8" if sys.version_info >= (3, 13) else locale.getpreferredencoding(False)
    return "".join(f"{folder}\n" for folder in folders).encode(encoding)


def _recorded(file: str, content: bytes) -> str:
    """The line of a wheel's RECORD for one file."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{file},sha256={digest},{len(content)}"
