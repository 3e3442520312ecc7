"""Options that several commands share, declared once and handed to each command as one object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import Any

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def group_of(kind: type[Any], name: str, *options: Decorator) -> Decorator:
    """A decorator that gives a command the ``options``, and their values as its parameter ``name``.

    Args:
        kind: a dataclass with a field for each option, of the same name.
        name: the command's parameter that takes it.
        options: as ``click.option`` makes them.
    """
    taken = [field.name for field in fields(kind)]

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def called(**given: Any) -> Any:
            values = {each: given.pop(each) for each in taken}
            return command(**{name: kind(**values)}, **given)

        decorated: Callable[..., Any] = called
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate
