"""Packages whose names are loaded on first use: importing one costs nothing, and what is not used is not needed.

What a package offers stands once, in the ``__init__.pyi`` beside its ``__init__.py`` (Scientific Python's SPEC 1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lazy_loader

from aspen._base.packages import needed_for


def lazily(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """``__getattr__``, ``__dir__`` and ``__all__`` of a package, as its stub says.

    Args:
        package: its ``__name__``.
        file: its ``__file__``.
    """
    load, names, offered = lazy_loader.attach_stub(package, file)

    def load_or_explain(name: str) -> Any:
        if name not in offered:
            raise AttributeError(
                f"module {package!r} has no attribute {name!r}; it offers {', '.join(offered)}", name=name
            )
        with needed_for(f"{package}.{name}"):
            return load(name)

    return load_or_explain, names, offered
