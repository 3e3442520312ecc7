"""A C compiler on this machine, and programs that it made, kept so that each is compiled once."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from aspen.errors import EngineError, MissingDependencyError

FLAGS = ("-std=c99", "-O2")
KEPT = 200
"""Programs in the cache; beyond, those that were not used for longest are removed."""
_SECONDS = 300
"""After which a compiler counts as hanging."""


def find_compiler() -> list[str]:
    """The command of a C compiler: the system's ``cc``, else the one in the package ``ziglang``.

    Raises:
        MissingDependencyError: there is neither.
    """
    found = shutil.which("cc")
    if found is not None:
        return [found]
    if importlib.util.find_spec("ziglang") is not None:
        return [sys.executable, "-m", "ziglang", "cc"]
    raise MissingDependencyError(
        "engine c: found no C compiler, allowed are cc on the PATH, or the Python package ziglang; install one: "
        "pip install ziglang"
    )


def compiler_available() -> bool:
    """Whether :func:`find_compiler` finds one."""
    try:
        find_compiler()
    except MissingDependencyError:
        return False
    return True


def cache_folder() -> Path:
    """Where compiled programs are kept: beside numba's machine code where the user chose its place, else with the
    user's other caches."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        return Path(chosen) / "aspen-c"
    caches = os.environ.get("XDG_CACHE_HOME")
    return (Path(caches) if caches else Path.home() / ".cache") / "aspen-snn" / "c"


def compiled(
    sources: Mapping[str, str], flags: Sequence[str] = (), compiler: Sequence[str] = (), release: str = ""
) -> Path:
    """The program that ``sources`` make, compiled if it was not before.

    Args:
        sources: file name -> text; those that end in ``.c`` are compiled.
        flags: beside :data:`FLAGS`.
        compiler: its command; default: :func:`find_compiler`.
        release: which one it is, where what another made is not to be used.

    Returns:
        path of the program.

    Raises:
        MissingDependencyError: there is no compiler.
        EngineError: it refuses the sources, or nothing can be kept on disk.
    """
    command = [*(compiler or find_compiler()), *FLAGS, *flags]
    key = hashlib.sha256(repr((command, release, sorted(sources.items()))).encode()).hexdigest()[:32]
    try:
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:
        raise EngineError(
            f"engines in C: cannot keep programs ({error}); set NUMBA_CACHE_DIR to a folder that can be written to"
        ) from error
    for kept in folder.glob(f"{key}-*"):
        if kept.name == f"{key}-{_digest(kept)}":  # a damaged one is no program
            os.utime(kept)
            return kept
        kept.unlink(missing_ok=True)
    return _compile(command, release or command[0], sources, folder, key)


def _compile(command: Sequence[str], name: str, sources: Mapping[str, str], folder: Path, key: str) -> Path:
    with tempfile.TemporaryDirectory(dir=folder, prefix="new-") as work:
        for name, text in sources.items():
            (Path(work) / name).write_text(text, "utf-8")
        files = [name for name in sources if name.endswith(".c")]
        try:
            done = subprocess.run(
                [*command, "-o", "program", *files], cwd=work, capture_output=True, text=True, timeout=_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EngineError(f"engines in C: the compiler does not run ({error}); check {command[0]}") from error
        if done.returncode:
            told = " ".join(done.stderr.split())[:400]
            raise EngineError(f"engines in C: the compiler {name} refuses the program ({told}); try another one")
        made = Path(work) / "program"
        place = folder / f"{key}-{_digest(made)}"
        os.replace(made, place)
    _remove_oldest(folder)
    return place


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:32]


def _remove_oldest(folder: Path) -> None:
    kept = sorted((path.stat().st_mtime, path) for path in folder.glob("*-*") if path.is_file())
    for _, path in kept[:-KEPT]:
        path.unlink(missing_ok=True)
