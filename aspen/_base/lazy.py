"""Packages whose names are loaded on first use: importing one costs nothing, and what is not used is not needed.

What a package offers stands in it once, as ordinary imports, which editors and type checkers follow; run, they only
note where each name is from. Python 3.15 has this in the language: ``lazy from ... import ...`` (PEP 810).
"""

from __future__ import annotations

import builtins
import importlib
from threading import Lock
from types import SimpleNamespace
from typing import Any

from aspen._base.packages import needed_for

_HOOKED = Lock()
"""Held while imports are noted: of two packages imported at once, each would put back the other's hook."""


class lazily:
    """Around the imports of a package's ``__init__``: they are noted, not run, and each name is loaded when it is used.

    The package's ``__all__``, ``__getattr__`` and ``__dir__`` follow from them. They are set where type checkers do not
    see it: so these tell what is offered by the imports themselves, and find names that are not.

    Args:
        namespace: the package's ``globals()``. Imports from anywhere else, as in another thread, run as ever.
    """

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._homes: dict[str, str] = {}

    def __enter__(self) -> None:
        _HOOKED.acquire()
        self._import = builtins.__import__
        builtins.__import__ = self._note

    def _note(self, name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        if globals is not self._namespace:
            return self._import(name, globals, locals, fromlist, level)
        self._homes.update(dict.fromkeys(fromlist, name))
        return SimpleNamespace(**dict.fromkeys(fromlist))

    def __exit__(self, *_: object) -> None:
        builtins.__import__ = self._import
        _HOOKED.release()
        for name in self._homes:
            del self._namespace[name]
        self._namespace |= {
            "__all__": [*self._homes],
            "__getattr__": self._load,
            "__dir__": lambda: sorted(self._homes),
        }

    def _load(self, name: str) -> Any:
        package = self._namespace["__name__"]
        if name not in self._homes:
            offered = ", ".join(sorted(self._homes))
            raise AttributeError(f"module {package!r} has no attribute {name!r}; it offers {offered}", name=name)
        with needed_for(f"{package}.{name}"):
            return getattr(importlib.import_module(self._homes[name]), name)
