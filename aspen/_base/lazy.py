"""Packages whose names are loaded on first use: importing one costs nothing, and what is not used is not needed."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from aspen._base.packages import needed_for


def lazy_names(
    package: str, homes: Mapping[str, str], *there: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package.

    Args:
        package: its name.
        homes: what it offers -> the module that holds it.
        there: what it offers besides, and holds itself.
    """

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(
                f"module {package!r} has no attribute {name!r}; it offers {', '.join(sorted(homes))}", name=name
            )
        with needed_for(f"{package}.{name}"):
            return getattr(importlib.import_module(homes[name]), name)

    return load, lambda: sorted([*homes, *there])
