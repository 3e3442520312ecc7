"""HDF5 files read with suspicion: nothing outside the file, no more data than it has bytes, no surprises."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from aspen._base.arrays import Array
from aspen._base.checks import as_path
from aspen._base.packages import needed_for
from aspen.errors import AspenError, FileFormatError, InputError

MAX_NEURONS = 2**22
"""Neurons of one layer: four times a Loihi 2 chip. A file that claims more is taken for damaged."""
_DAMAGE = (
    LookupError,
    OSError,
    struct.error,
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
)
"""What h5py raises on damaged files."""


def require_h5py() -> ModuleType:
    """The module ``h5py``.

    Raises:
        MissingDependencyError: it is not installed.
    """
    with needed_for("netx files"):
        import h5py  # type: ignore[import-untyped]
    module: ModuleType = h5py
    return module


def bad(
    where: str, found: object, allowed: str, remedy: str = "export the network from lava-dl again"
) -> FileFormatError:
    """The error that names place, finding, what is allowed and a remedy."""
    return FileFormatError(f"{where}: found {found}, allowed is {allowed}; {remedy}")


class Group:
    """A group of an HDF5 file, read with suspicion: only what lies in the file itself, and no more than its size.

    Args:
        h5py: the module.
        group: what is read.
        where: its name in messages.
        raw: the bytes of the file.
        budget: one number, shared by all groups: bytes that may still be read.
    """

    def __init__(self, h5py: Any, group: Any, where: str, raw: bytes, budget: list[int]) -> None:
        self.h5py, self.group, self.where, self.raw, self.budget = h5py, group, where, raw, budget

    def __contains__(self, key: str) -> bool:
        return bool(self.group.id.links.exists(key.encode()))

    def __len__(self) -> int:
        return len(self.group)

    def name(self, key: str) -> str:
        """The full name of an entry, for messages."""
        return f"{self.where}/{key}" if self.where else key

    def _open(self, key: str, kind: Any, word: str) -> Any:
        if key not in self:
            raise bad(self.name(key), "nothing", f"a {word}")
        if self.group.id.links.get_info(key.encode()).type != self.h5py.h5l.TYPE_HARD:
            raise bad(self.name(key), "a link to another place", f"a {word} in its place", "copy the data there")
        item = self.group[key]
        if not isinstance(item, kind):
            raise bad(self.name(key), type(item).__name__, f"a {word}")
        return item

    def child(self, key: str) -> Group:
        """The group ``key`` inside."""
        group = self._open(key, self.h5py.Group, "group")
        return Group(self.h5py, group, self.name(key), self.raw, self.budget)

    def _dataset(self, key: str, kinds: str) -> Any:
        """A dataset whose values may be read without harm."""
        dataset = self._open(key, self.h5py.Dataset, "dataset")
        layout = dataset.id.get_create_plist()
        plain = layout.get_layout() in (self.h5py.h5d.COMPACT, self.h5py.h5d.CONTIGUOUS)
        if not plain or layout.get_external_count() or layout.get_nfilters():
            raise bad(self.name(key), "chunked, compressed or external storage", "plain storage", "use h5repack")
        if dataset.shape is None or dataset.dtype.kind not in kinds or dataset.dtype.itemsize > 64:
            raise bad(self.name(key), f"type {dataset.dtype}", f"an array of kind {kinds!r}")
        self.budget[0] -= prod(dataset.shape) * dataset.dtype.itemsize
        if self.budget[0] < 0:
            raise bad(self.name(key), f"shape {dataset.shape}", "no more data than the file has bytes")
        return dataset

    def text(self, key: str) -> str:
        """One string, without the padding of its type."""
        dataset = self._dataset(key, "SO")
        if prod(dataset.shape) != 1:
            raise bad(self.name(key), f"shape {dataset.shape}", "one string")
        if dataset.dtype.kind == "S":
            data = np.asarray(dataset[()]).tobytes()
        elif self.h5py.check_string_dtype(dataset.dtype) and dataset.id.get_offset() is not None:
            data = heap_bytes(self.raw, dataset.id.get_offset())
        else:
            raise bad(self.name(key), f"type {dataset.dtype}", "one string")
        return data.decode("ascii", "replace").strip("\0 ")[:80]

    def integers(self, key: str, notes: list[str] | None = None) -> Array:
        """Whole numbers, int64; fractions are cut off and noted, or refused where no notes are taken."""
        values = np.asarray(self._dataset(key, "iufb")[()])
        with np.errstate(all="ignore"):
            wide = values.astype(np.float64)
        if wide.size == 0 or not (np.abs(wide) < 2**31).all():
            raise bad(self.name(key), "no values, or values beyond 32 bits", "integers")
        whole = np.trunc(wide).astype(np.int64)
        if not np.array_equal(whole, wide):
            if notes is None:
                raise bad(self.name(key), "fractions", "integers")
            notes.append(f"{self.name(key)}: fractions cut off")
        return whole

    def numbers(self, key: str, count: int) -> tuple[int, ...]:
        """``count`` integers; one stands for all."""
        values = self.integers(key).reshape(-1)
        if len(values) not in (1, count):
            raise bad(self.name(key), f"{len(values)} values", f"1 or {count}")
        return tuple(int(v) for v in np.broadcast_to(values, count))

    def number(self, key: str, default: int | None = None) -> int:
        """One integer; ``default`` where there is none."""
        return default if default is not None and key not in self else self.numbers(key, 1)[0]

    def shape(self) -> tuple[int, ...]:
        """The entry ``shape``: that of a layer of neurons."""
        shape = tuple(int(n) for n in self.integers("shape").reshape(-1))
        if not 1 <= len(shape) <= 3 or min(shape) < 1 or prod(shape) > MAX_NEURONS:
            raise bad(self.name("shape"), shape, f"1 to 3 sizes, at most {MAX_NEURONS} neurons")
        return shape


def heap_bytes(raw: bytes, offset: int) -> bytes:
    """The bytes of a string of variable length, which HDF5 keeps in a global heap.

    libhdf5 itself may loop for ever, or ask for gigabytes, where a heap is damaged; so this is read by hand (HDF5 File
    Format Specification 3.0, III.E): at ``offset`` length, address of the heap and index in it; in the heap one object
    after the other, each with index, count and size in front and padded to 8 bytes.

    Raises:
        ValueError: it is not there.
    """
    length, address, wanted = struct.unpack_from("<IQI", raw, offset)
    if raw[address : address + 5] != b"GCOL\x01":
        raise ValueError("a string's heap is missing")
    end = min(address + struct.unpack_from("<Q", raw, address + 8)[0], len(raw))
    place = address + 16
    while place + 16 <= end:
        index, _, size = struct.unpack_from("<HH4xQ", raw, place)
        if index == wanted and length <= size <= end - place - 16:
            return raw[place + 16 : place + 16 + length]
        if index == 0:
            break
        place += 16 + (size + 7) // 8 * 8
    raise ValueError("a string is missing in its heap")


@contextmanager
def opened(path: str | Path) -> Iterator[Group]:
    """The root of the file; what goes wrong with it within the ``with`` block becomes a FileFormatError.

    Raises:
        InputError: there is no such file.
        FileFormatError: it is damaged, or not as expected.
        MissingDependencyError: h5py is not installed.
    """
    path = as_path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    h5py = require_h5py()
    try:
        with h5py.File(path, "r") as file:
            raw = path.read_bytes()
            yield Group(h5py, file, "", raw, [len(raw)])
    except AspenError as error:
        raise FileFormatError(f"{path}: {error}") from error
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:200]
        raise FileFormatError(f"{path}: not a readable netx file ({reason}); export it from lava-dl again") from error
