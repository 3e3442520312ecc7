"""Guards around the ``forward`` of modules: how thresholds are turned from outside while a model runs.

A guard is one entry in the module's ``__dict__`` and nothing else, so the model's ``state_dict`` and parameters stay
those of the plain model. A guard rather than hooks: it also clears away after ``KeyboardInterrupt`` (which skips even
``always_call`` hooks), it cannot be passed by ``module.forward(x)``, and everybody else's hooks see the plain module.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn


class ForwardGuard:
    """Runs instead of one module's ``forward`` until uninstalled; copies and pickles together with the module."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.replaced: Callable[..., Any] | None = vars(module).get("forward")
        vars(module)["forward"] = self

    @property
    def inner(self) -> Callable[..., Any]:
        """The ``forward`` that the guard stands in for."""
        return type(self.module).forward.__get__(self.module) if self.replaced is None else self.replaced

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.inner(*args, **kwargs)

    def uninstall(self) -> None:
        """Take the guard off the module, unless somebody has wrapped it since: then it stays, doing nothing."""
        if vars(self.module).get("forward") is not self:
            return
        del vars(self.module)["forward"]
        if self.replaced is not None:
            vars(self.module)["forward"] = self.replaced

    def __getattr__(self, name: str) -> inspect.Signature:
        """Show tools that ask for the signature of ``module.forward`` the module's own."""
        if name == "__signature__":
            return inspect.signature(self.inner)
        raise AttributeError(name)


def find_guard(module: nn.Module, kind: type[Any]) -> Any:
    """Return the guard of class ``kind`` around the module's ``forward``, or ``None``."""
    guard = vars(module).get("forward")
    while isinstance(guard, ForwardGuard) and not isinstance(guard, kind):
        guard = guard.replaced
    return guard if isinstance(guard, kind) else None


def has_own_forward(module: nn.Module) -> bool:
    """Whether somebody put another ``forward`` on this very module than the guards of this package."""
    inner = vars(module).get("forward")
    while isinstance(inner, ForwardGuard):
        inner = inner.replaced
    return inner is not None
