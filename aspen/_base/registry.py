"""Parts by name that others may add to: in a running program, or by an entry point of an installed package."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from functools import cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import TypeVar

from aspen._base.checks import as_name, shown
from aspen.errors import InputError, MissingDependencyError, one_line

Part = TypeVar("Part")


@cache
def installed(group: str) -> EntryPoints:
    """The entry points of a group, of all installed packages: read once, as that takes some 20 ms."""
    return entry_points(group=group)


class Registry(MutableMapping[str, Part]):
    """Name -> part: ASPEN's own, those that a program added, and those of installed packages.

    A package names its parts in the metadata that it is installed with. A part is imported when it is asked for and not
    before: to list the names runs nobody's code.

    >>> colours = Registry("example.colours", {"red": 1}, lambda name, part: None)
    >>> colours.add("blue", 2)
    >>> list(colours), colours["blue"], "green" in colours
    (['red', 'blue'], 2, False)

    Args:
        group: the entry points' group.
        own: those that come with ASPEN; an entry point never takes the place of one.
        check: refuses a part of somebody else's that is none, by an InputError.
    """

    def __init__(self, group: str, own: Mapping[str, Part], check: Callable[[str, Part], None]) -> None:
        self.group = group
        self._parts = dict(own)
        self._own = frozenset(own)
        self._check = check

    def add(self, name: str, part: Part) -> None:
        """Add a part for this program. The very same one may be added again.

        Raises:
            InputError: it is none, or another one has that name.
        """
        self._check(as_name("name", name), part)
        taken = self._taken(name, part)
        if taken is not None:
            raise InputError(
                f"{self.group}: found the name {name!r}, which is taken by {shown(taken)}, allowed is one of its own; "
                f"choose another one"
            )
        self._parts[name] = part

    @property
    def added(self) -> list[str]:
        """Names of what is not ASPEN's own."""
        return [name for name in self if name not in self._own]

    def _taken(self, name: str, part: Part) -> object:
        """Who else has a name, or None; a package may add itself what its entry point names."""
        if name in self._parts:
            return None if self._parts[name] is part else self._parts[name]
        entry = self._others().get(name)
        own = f"{getattr(part, '__module__', '')}:{getattr(part, '__qualname__', '')}"
        return None if entry is None or entry.value == own else entry.value

    def _others(self) -> dict[str, EntryPoint]:
        return {entry.name: entry for entry in installed(self.group) if entry.name not in self._parts}

    def _only(self, name: str) -> EntryPoint:
        """The entry point of a name that nobody else has, as which one comes first depends on the paths of Python."""
        named = {entry.value: entry for entry in installed(self.group) if entry.name == name}
        if len(named) > 1:
            raise InputError(
                f"{name}: found {' and '.join(sorted(named))} as its entry points in {self.group}, allowed is one; "
                f"remove all packages but one that name it"
            )
        return self._others()[name]

    def _loaded(self, entry: EntryPoint) -> Part:
        try:
            part: Part = entry.load()
        except Exception as error:  # it is somebody else's code that runs here
            raise MissingDependencyError(
                f"{entry.name}: found {entry.value} as its entry point in {self.group}, which cannot be imported "
                f"({type(error).__name__}: {one_line(error)}); mend or remove the package that it is of"
            ) from error
        self._check(entry.name, part)
        return part

    def __getitem__(self, name: str) -> Part:
        if name not in self._parts:
            self._parts[name] = self._loaded(self._only(name))
        return self._parts[name]

    def __setitem__(self, name: str, part: Part) -> None:
        self._parts[name] = part

    def __delitem__(self, name: str) -> None:
        del self._parts[name]

    def __iter__(self) -> Iterator[str]:
        return iter((*self._parts, *self._others()))

    def __len__(self) -> int:
        return len(self._parts) + len(self._others())

    def __bool__(self) -> bool:
        return bool(self._parts) or bool(self._others())

    def __contains__(self, name: object) -> bool:
        return name in self._parts or name in self._others()
