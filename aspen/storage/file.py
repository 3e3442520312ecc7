"""One handle on an ``.aspen`` file: opened, checked and hashed once, its sections as typed values, written once.

What a section holds is known to the room that it belongs to, which describes it as a :class:`Section`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from aspen._base.arrays import Array
from aspen._base.checks import as_path
from aspen.errors import AspenError, FileFormatError
from aspen.storage.container import Container, digest, encode_container, read_container
from aspen.storage.writing import update, write_atomically

Value = TypeVar("Value")
Parts = tuple[Mapping[str, Any], Mapping[str, Array]]
"""JSON header and tensors of a section."""


def _absent(file: AspenFile, name: str) -> AspenError:
    return FileFormatError(f"section: found none called {name!r}, the file has {file.sections}")


@dataclass(frozen=True)
class Section(Generic[Value]):
    """How one kind of section is read and written.

    Args:
        name: of the section.
        decode: the value of the section in a file that has it, checked against the sections beside it; raises
            FileFormatError where it is malformed.
        encode: header and tensors of a value that is to join a file; raises InputError where it does not fit there.
        absent: what is raised where the section is asked for and not there, given the file and the name.
    """

    name: str
    decode: Callable[[AspenFile], Value]
    encode: Callable[[Value, AspenFile], Parts]
    absent: Callable[[AspenFile, str], AspenError] = _absent


class AspenFile:
    """What an ``.aspen`` file held when it was opened, and what was put into it since.

    All that is read comes out of one state of the file, whatever other writers do meanwhile. What is put is seen by
    later reads at once, and is in the file after :meth:`save`. Nothing stays open or locked in between.

    >>> file = AspenFile.open("net.aspen")  # doctest: +SKIP
    >>> network, profile = load_network(file), load_profile(file)  # doctest: +SKIP
    """

    def __init__(self, path: str | Path, container: Container, *, is_new: bool) -> None:
        """Use :meth:`open`, :meth:`new` or :meth:`of`."""
        self.path = as_path(path)
        self._container = container
        self._is_new = is_new
        self._changes: list[Callable[[AspenFile], None]] = []
        self._values: dict[str, Any] = {}
        self._marks: dict[tuple[str, ...], str] = {}

    @classmethod
    def open(cls, path: str | Path) -> AspenFile:
        """Read and check an existing file.

        Raises:
            InputError: there is no such file.
            FileFormatError: it is damaged, of another format, or of a newer version.
        """
        return cls(path, read_container(path), is_new=False)

    @classmethod
    def new(cls, path: str | Path) -> AspenFile:
        """Begin a file without sections; :meth:`save` puts it in the place of what is at ``path``, if anything."""
        return cls(path, Container(), is_new=True)

    @classmethod
    def of(cls, source: str | Path | AspenFile) -> AspenFile:
        """``source`` itself where it is open, otherwise as :meth:`open`."""
        return source if isinstance(source, AspenFile) else cls.open(source)

    @classmethod
    def update(cls, path: str | Path, change: Callable[[AspenFile], None]) -> None:
        """Open the file at ``path``, change it and write it, so that no other writer's sections are lost.

        Args:
            path: an existing file.
            change: puts sections into what was read; raises where one does not fit, and the file stays as it was. May
                be called more than once, each time with what the file holds then.

        Raises:
            InputError: there is no such file, or it cannot be written.
            FileFormatError: it is damaged.
        """

        def changed(found: Path) -> bytes:
            file = cls.open(found)
            change(file)
            return encode_container(file._container)

        update(path, changed)

    @property
    def sections(self) -> list[str]:
        """Names of the sections, sorted."""
        return sorted(self._container.headers)

    def parts(self, name: str) -> tuple[dict[str, Any], dict[str, Array]]:
        """Header and tensors of a section as they stand in the file; for :attr:`Section.decode`.

        Raises:
            FileFormatError: there is no such section.
        """
        return self._container.get(name)

    def read(self, section: Section[Value]) -> Value:
        """The value of a section; decoded once, so the same object each time.

        Raises:
            FileFormatError: it is malformed.
            AspenError: it is not there; which one, and the remedy, is the section's to say.
        """
        if section.name not in self._container.headers:
            raise section.absent(self, section.name)
        if section.name not in self._values:
            self._values[section.name] = section.decode(self)
        value: Value = self._values[section.name]
        return value

    def find(self, section: Section[Value]) -> Value | None:
        """As :meth:`read`, but None where the section is not there."""
        return self.read(section) if section.name in self._container.headers else None

    def fingerprint(self, *names: str) -> str:
        """SHA-256 over those of the sections ``names`` that are there; it changes whenever one of them does."""
        if names not in self._marks:
            held = self._container
            present = [name for name in names if name in held.headers]
            tensors = {name: array for name, array in held.tensors.items() if name.partition(":")[0] in present}
            self._marks[names] = digest({name: held.headers[name] for name in present}, tensors)
        return self._marks[names]

    def put(self, section: Section[Value], value: Value) -> None:
        """Add a section, or replace it; in the file itself with :meth:`save`.

        Raises:
            InputError: it does not fit what is in the file; nothing was changed.
        """

        def change(file: AspenFile) -> None:
            file._container.put(section.name, *section.encode(value, file))
            file._values.clear()
            file._marks.clear()

        change(self)
        self._changes.append(change)

    def save(self) -> None:
        """Write all that was put, at once and atomically.

        It is put into what the file holds by then, so that no other writer's sections are lost.

        Raises:
            UnwrittenError: it cannot be written.
            AspenError: the file is gone or damaged, or what was put does not fit what it holds now; it stays as it is.
        """
        if self._is_new:
            self.save_as(self.path)
        elif self._changes:
            AspenFile.update(self.path, self._repeat)
        self._is_new, self._changes = False, []

    def save_as(self, path: str | Path) -> None:
        """Write all sections as a new file, in the place of what is at ``path``, if anything.

        Raises:
            UnwrittenError: it cannot be written.
        """
        write_atomically(path, encode_container(self._container))

    def _repeat(self, file: AspenFile) -> None:
        for change in self._changes:
            change(file)
