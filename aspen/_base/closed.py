"""Objects that refuse to be given an attribute that they do not have.

Python takes ``session.threshold_scal = 3`` for a new attribute, which does nothing. Where a person sets things on an
object by hand, that is an error, and the message says what was probably meant.
"""

from __future__ import annotations

from abc import ABCMeta
from typing import Any, ClassVar

from aspen._base.names import unknown_name
from aspen.errors import UnknownAttributeError


class _ClosedWhenMade(ABCMeta):
    """Closes an object when all of its ``__init__`` is done, those of subclasses included."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        made = super().__call__(*args, **kwargs)
        object.__setattr__(made, "_closed", True)
        return made


class Closed(metaclass=_ClosedWhenMade):
    """An object whose public attributes are those that it was made with.

    Names that begin with ``_`` are the class's own business, and may be new at any time.

    Attributes:
        settable: the public attributes that may be set once it is made; ``None``: all that it has.
        remedy: what a message advises where no name is close to the one that was found.
    """

    settable: ClassVar[tuple[str, ...] | None] = None
    remedy: ClassVar[str] = "set one of these, or make another one"
    _closed = False

    def __setattr__(self, name: str, value: object) -> None:
        if self._closed and name[:1] != "_" and not self._may_set(name):
            allowed = {*vars(self), *self._declared()} if self.settable is None else self.settable
            shown = sorted(known for known in allowed if known[:1] != "_")
            raise UnknownAttributeError(unknown_name(f"{type(self).__name__} attribute", name, shown, self.remedy))
        super().__setattr__(name, value)

    def _may_set(self, name: str) -> bool:
        if self.settable is not None:
            return name in self.settable
        return name in vars(self) or name in self._declared()

    def _declared(self) -> set[str]:
        """Names of the properties that can be set, and of what the class annotates."""
        held = {name: value for base in type(self).__mro__[::-1] for name, value in vars(base).items()}
        properties = {name for name, value in held.items() if isinstance(value, property) and value.fset is not None}
        bases = (base for base in type(self).__mro__ if base is not Closed)
        return properties.union(*(vars(base).get("__annotations__", {}) for base in bases))
