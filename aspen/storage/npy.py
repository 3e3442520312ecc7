"""NumPy's ``.npy`` files, read with care: nothing is unpickled or evaluated, and no more is allocated than is there.

``numpy.load`` evaluates the header as Python, takes the shape's word for how much to allocate, and opens archives and
pickles under the same name. Here the header is matched against the one form that it may have (NumPy Enhancement
Proposal 1), and the declared size is compared with that of the file first.
"""

from __future__ import annotations

import re
import sys
from math import prod
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from aspen._base.arrays import Array

MAGIC = b"\x93NUMPY"
MAX_HEADER = 4096
"""Bytes; NumPy's own are 118 for any array of numbers."""
MAX_AXES = 32
_ENTRY = re.compile(
    r"""\s*['"](?P<key>descr|fortran_order|shape)['"]\s*:\s*"""
    r"""(?:['"](?P<descr>[<>=|]?[a-zA-Z]\d{1,3})['"]|(?P<order>True|False)|\((?P<shape>[\d\s,]{0,700})\))\s*(?:,|$)\s*"""
)


def read_npy(stream: BinaryIO, size: int, *, text: bool = False) -> Array:
    """The array in a ``.npy`` file, in memory.

    Args:
        stream: the file, at its beginning.
        size: bytes in it.
        text: whether it may hold text too.

    Raises:
        ValueError: it is damaged, of another kind, or holds anything else than real numbers or booleans.
    """
    dtype, order, shape = _header(stream, size, text)
    wanted = prod(shape) * dtype.itemsize
    data = bytearray(wanted)
    if stream.readinto(data) != wanted:  # type: ignore[attr-defined]
        raise ValueError("found the end of the file within the values")
    found = np.frombuffer(data, dtype)
    _check_text(found)
    return found.reshape(shape, order=order)


def map_npy(path: Path, *, text: bool = False) -> Array:
    """The array in a ``.npy`` file, left where it lies: what of it is used is read then.

    Args:
        path: of the file.
        text: whether it may hold text too.

    Raises:
        ValueError: as :func:`read_npy`.
    """
    with path.open("rb") as stream:
        dtype, order, shape = _header(stream, path.stat().st_size, text)
        offset = stream.tell()
    if not prod(shape):
        return np.empty(shape, dtype)  # nothing cannot be mapped
    mapped = np.memmap(path, dtype, "r", offset, shape, order)
    _check_text(mapped)
    return mapped


def _header(stream: BinaryIO, size: int, text: bool) -> tuple[np.dtype[np.generic], Literal["C", "F"], tuple[int, ...]]:
    """Type, order and shape, with the stream at the first value; ``size``: bytes of the file, which hold all values."""
    start = stream.read(len(MAGIC) + 2)
    if start[: len(MAGIC)] != MAGIC or start[len(MAGIC) :] not in (b"\x01\x00", b"\x02\x00", b"\x03\x00"):
        raise ValueError("found another kind of file, allowed is format 1 to 3 of numpy.save")
    width = 2 if start[len(MAGIC)] == 1 else 4
    length = int.from_bytes(stream.read(width), "little")
    if length > MAX_HEADER:
        raise ValueError(f"found a header of {length} bytes, allowed are {MAX_HEADER}")
    dtype, fortran, shape = _parse(stream.read(length).decode("latin1"), "biufUS" if text else "biuf")
    wanted, left = prod(shape) * dtype.itemsize, size - len(start) - width - length
    if wanted > left:
        raise ValueError(f"found {wanted} bytes declared, the file has {max(left, 0)} of them")
    return dtype, "F" if fortran else "C", shape


def _check_text(array: Array) -> None:
    """Raise on text of what is no character, which Python would find only when the text is read."""
    if array.dtype.kind != "U":
        return
    codes = array.reshape(-1, order="A").view(f"{array.dtype.byteorder}u4")
    if codes.size and (codes.max() > sys.maxunicode or ((codes >= 0xD800) & (codes < 0xE000)).any()):
        raise ValueError("found text of what are no characters")


def _parse(header: str, kinds: str) -> tuple[np.dtype[np.generic], bool, tuple[int, ...]]:
    """Type, whether the first axis runs fastest, and shape."""
    text = header.strip()
    inner, found, place = text[1:-1], dict[str, re.Match[str]](), 0
    while place < len(inner):
        entry = _ENTRY.match(inner, place)
        if entry is None:
            break
        found[entry["key"]], place = entry, entry.end()
    parts = [found[key][group] for key, group in _GROUPS.items() if key in found]
    if text[:1] + text[-1:] != "{}" or place < len(inner) or len(parts) < 3 or None in parts:
        raise ValueError(f"found the header {text[:80]!r}, allowed is that of an array of numbers")
    sizes = tuple(int(size) for size in parts[2].split(",") if size.strip())
    dtype = np.dtype(parts[0])
    if dtype.kind not in kinds or dtype.itemsize == 0 or len(sizes) > MAX_AXES or prod(sizes) > 2**62:
        raise ValueError(f"found {dtype} values of shape ({parts[2][:80]}), allowed are real numbers")
    return dtype, parts[1] == "True", sizes


_GROUPS = {"descr": "descr", "fortran_order": "order", "shape": "shape"}
