"""Machine code that is kept on disk: numba's cache, made proof against damage and full disks.

numba trusts its files: one that a crash cut short makes every later run fail, as do two processes that write at a time,
a flipped bit runs as machine code, and a disk that is full ends a run whose work is done. Here a checksum stands with
the code, what is damaged or for other arguments is compiled anew, and what cannot be written is done without.
"""

from __future__ import annotations

import hashlib
import pickle
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile
from numba.core.runtime.nrt import rtsys
from numba.core.serialize import dumps
from numba.core.sigutils import normalize_signature

_DAMAGE = (
    pickle.UnpicklingError,
    EOFError,
    ImportError,
    LookupError,
    TypeError,
    AttributeError,
    ValueError,
    ArithmeticError,
    RecursionError,
    MemoryError,
    OSError,
)
"""What reading a damaged pickle raises."""
LOADS_ALONE = ("0.68.",)
"""Versions of numba of which it is known what stored code calls, and so what loading it needs."""


class _Checked(CompileResultCacheImpl):
    """Compiled code as (SHA-256, pickle)."""

    def reduce(self, cres: Any) -> tuple[bytes, bytes]:
        payload = dumps(super().reduce(cres))
        return hashlib.sha256(payload).digest(), payload

    def rebuild(self, target_context: Any, reduced_data: tuple[bytes, bytes]) -> Any:
        digest, payload = reduced_data
        if hashlib.sha256(payload).digest() != digest:
            raise ValueError("the code does not match its checksum")
        return super().rebuild(target_context, pickle.loads(payload))


class _Cache(FunctionCache):
    """numba's cache of one function. Its files are pickles, in a folder of this user's or of this installation."""

    _impl_class = _Checked

    def __init__(self, function: Callable[..., Any], folder: bool) -> None:
        super().__init__(function)
        if folder:
            stamp = _stamp_of_folder(Path(function.__code__.co_filename).parent)
            self._cache_file = IndexDataCacheFile(self._cache_path, self._impl.filename_base, stamp)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            made = self._load(sig, target_context)
            # two processes that keep code of one function at a time may give both codes one name
            if made is not None and made.signature.args != normalize_signature(sig)[0]:
                raise ValueError("the code is for other arguments")
            return made
        except _DAMAGE:
            _say(f"{self.cache_path}: the stored machine code is damaged; compiling it anew")
            self._empty()
            return None

    def _load(self, sig: Any, target_context: Any) -> Any:
        """As numba's own, which first registers all that it can compile: that takes longer than a small run.

        Stored code calls numba's runtime, which holds its arrays; parallel code starts its threads itself.
        """
        if not numba.__version__.startswith(LOADS_ALONE):
            return super().load_overload(sig, target_context)
        rtsys.initialize(target_context)
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except OSError as error:
            self._give_up(error)

    def _empty(self) -> None:
        try:
            self.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        _say(f"{self.cache_path}: cannot keep machine code there ({error.strerror}); it will be compiled again")
        self.disable()


@cache
def _stamp_of_folder(folder: Path) -> str:
    """Changes with any module in a folder."""
    known = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        known.update(path.name.encode() + b"\0" + path.read_bytes())
    return known.hexdigest()


_SAID: set[str] = set()


def _say(line: str) -> None:
    """Once for each process and folder: there are dozens of functions."""
    if line not in _SAID:
        _SAID.add(line)
        print(f"aspen: {line}", file=sys.stderr)


def compiled(function: Callable[..., Any], *, folder: bool = False, **options: Any) -> Any:
    """``function`` compiled at its first call; the machine code is kept on disk where there is a place for it.

    Args:
        function: of a module in a file; its arguments and results as numba takes them.
        folder: the function is put together from others in its folder: what is kept is good as long as none of the
            modules there changes, and not just its own.
        options: of ``numba.njit``.
    """
    made = numba.njit(nogil=True, **options)(function)
    # where neither the package's folder nor the user's cache can be written, it is compiled once per process
    with suppress(RuntimeError):
        made._cache = _Cache(function, folder)  # as its own enable_caching() does
    return made
