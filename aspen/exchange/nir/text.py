"""Text of variable length in HDF5 files, read without the HDF5 library: it can loop for ever on a damaged heap.

Such text lies in collections, the global heap (HDF5 File Format Specification, III.E). An element of a dataset is
its length (4 bytes), the address of the collection (8) and the number of the object in it (4).
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

from aspen.errors import FileFormatError

ELEMENT = struct.Struct("<IQI")
_HEAD = struct.Struct("<4sB3xQ")
_OBJECT = struct.Struct("<HH4xQ")


class Heap:
    """The global heap of an open file.

    Args:
        stream: the file.
        size: its length in bytes, and what may be read of collections in all.
    """

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self.stream, self.size, self.left = stream, size, size
        self.collections: dict[int, dict[int, bytes]] = {}

    def read(self, where: str, offset: int, length: int) -> bytes:
        """Bytes of the file."""
        if not (0 <= offset <= self.size and 0 <= length <= self.size - offset):
            raise FileFormatError(f"{where}: found text beyond the end of the file; copy the file again")
        self.stream.seek(offset)
        return self.stream.read(length)

    def texts(self, where: str, dataset: Any) -> list[str]:
        """All elements of a dataset of text, in order.

        Raises:
            FileFormatError: they are damaged, or stored in another way than ``nir.write`` does.
        """
        offset = dataset.id.get_offset()
        if dataset.size == 0:
            return []
        if offset is None or dataset.chunks:
            raise FileFormatError(f"{where}: found text in chunks, allowed is plain storage; save it with nir.write")
        data = self.read(where, offset, dataset.size * ELEMENT.size)
        return [self._text(where, *element) for element in ELEMENT.iter_unpack(data)]

    def _text(self, where: str, length: int, address: int, index: int) -> str:
        if not length:
            return ""
        if address not in self.collections:
            self.collections[address] = self._collection(where, address)
        data = self.collections[address].get(index, b"")
        if len(data) < length:
            raise FileFormatError(f"{where}: found text that is not in the file's heap; copy the file again")
        return data[:length].rstrip(b"\0").decode("utf8")

    def _collection(self, where: str, address: int) -> dict[int, bytes]:
        """Objects by their numbers."""
        signature, version, size = _HEAD.unpack(self.read(where, address, _HEAD.size))
        self.left -= size
        if signature != b"GCOL" or version != 1 or self.left < 0:
            raise FileFormatError(f"{where}: found a damaged heap of text; copy the file again")
        data = self.read(where, address, size)
        found: dict[int, bytes] = {}
        at = _HEAD.size
        while at + _OBJECT.size <= len(data):
            index, _, length = _OBJECT.unpack_from(data, at)
            if not index:  # the rest is free
                break
            at += _OBJECT.size
            found[index] = data[at : at + length]
            at += (length + 7) // 8 * 8
        return found
