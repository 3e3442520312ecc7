"""Importing Lava on every Python that ASPEN supports.

Lava 0.10.0 is the last release and declares Python 3.10 only. On newer Pythons one thing breaks it: dataclasses with
dataclass instances as defaults, which must be hashable there. Lava's dataclasses are therefore made hashable while it
is imported. Importing Lava also fixes the start method of ``multiprocessing`` for the whole process, so ASPEN's engines
import it in a worker process only (:mod:`aspen_emulator.engines.lava.isolation`). It insists on being the first to do
so: a program that has shown a progress bar before could not import it, as that fixes the method too.

NumPy 2.4 no longer knows the name by which Lava passes a shape to ``np.reshape``: a program with ``port.reshape(...)``
or ``port.flatten()`` in it, as lava-dl's networks are, would fail when it runs.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from aspen._base.arrays import Array
from aspen._base.packages import how_to_install
from aspen.errors import MissingDependencyError

LAVA_VERSION = "0.10.0"
"""The release that ASPEN agrees with."""
FIRST_LINE = "from aspen_emulator.lava import import_lava; import_lava()"
"""What stands before all imports of Lava in a program of one's own, on Python 3.11 and later."""

_lock = threading.Lock()


def lava_available() -> bool:
    """Whether Lava is installed (not just the folders that an uninstall may leave); it is not imported."""
    try:
        spec = find_spec("lava")
    except ValueError:  # a module of this name without a specification
        return False
    folders = spec.submodule_search_locations if spec is not None else None
    return any((Path(folder) / "magma" / "core" / "process" / "process.py").is_file() for folder in folders or ())


def lava_version() -> str | None:
    """The installed version of ``lava-nc``, or None where there is none; Lava is not imported."""
    try:
        return metadata.version("lava-nc")
    except metadata.PackageNotFoundError:
        return None


def require_lava() -> None:
    """Raise MissingDependencyError, which says how to install it, unless Lava is installed."""
    if lava_available():
        return
    install = how_to_install("lava")
    if sys.version_info >= (3, 11):
        install += f" and then pip install --no-deps --ignore-requires-python lava-nc=={LAVA_VERSION}"
    raise MissingDependencyError(f"engine 'lava': lava-nc is not installed; {install}, or use engine='fast'")


def import_lava() -> None:
    """Import Lava. Afterwards every ``import lava...`` works on Python 3.11 and later, and ports can be reshaped with
    NumPy 2.4 and later. May be called twice.

    >>> import_lava()  # doctest: +SKIP
    >>> from lava.proc.lif.process import LIF  # doctest: +SKIP

    Raises:
        MissingDependencyError: Lava is not installed.
    """
    require_lava()
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if sys.version_info >= (3, 11):
            with _hashable_lava_dataclasses():
                import_module("lava.magma.compiler.var_model")
        with _start_method_agreed():
            import_module("lava.magma.runtime.message_infrastructure.multiprocessing")
        import_module("lava.magma.core.process.process")
        _reshape_by_place(import_module("lava.magma.core.process.ports.ports").ReshapePort)


def _reshape_by_place(port: Any) -> None:
    """Let reshaped ports hand NumPy their shape by its place, which every release knows."""
    port.get_transform_func_fwd = lambda self: partial(_reshaped, shape=self.shape)
    port.get_transform_func_bwd = lambda self: partial(_reshaped, shape=self.old_shape)


def _reshaped(values: Array, shape: tuple[int, ...]) -> Array:
    return np.reshape(values, shape)


@contextmanager
def _start_method_agreed() -> Iterator[None]:
    """While this lasts, the start method of ``multiprocessing`` may be set to what it is already."""
    original = multiprocessing.set_start_method

    def set_start_method(method: str | None, force: bool = False) -> None:
        if method != multiprocessing.get_start_method(allow_none=True):
            original(method, force)

    multiprocessing.set_start_method = set_start_method
    try:
        yield
    finally:
        multiprocessing.set_start_method = original


@contextmanager
def _hashable_lava_dataclasses() -> Iterator[None]:
    """While this lasts, dataclasses declared in modules of Lava get a hash; all others stay as they are."""
    original = dataclasses.dataclass

    def dataclass(cls: type | None = None, /, **options: Any) -> Any:
        def decorate(decorated: type) -> type:
            if decorated.__module__.split(".")[0] == "lava":
                options.setdefault("unsafe_hash", True)
            make: Callable[..., type] = original
            return make(decorated, **options)

        return decorate if cls is None else decorate(cls)

    dataclasses.dataclass = dataclass
    try:
        yield
    finally:
        dataclasses.dataclass = original
