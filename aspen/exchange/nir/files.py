"""Reading NIR files with care: what an HDF5 file declares is checked before anything is allocated or followed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from aspen._base.checks import as_path
from aspen._base.packages import needed_for
from aspen.errors import AspenError, FileFormatError, InputError
from aspen.exchange.nir.text import Heap

MAX_BYTES = 2**31
"""Most that the arrays of one file may take in memory."""
MAX_OBJECTS = 200_000
MAX_DEPTH = 24
MAX_RATIO = 1100
"""No filter of HDF5 that NIR uses compresses better than this (deflate reaches 1032)."""
_FILTERS = {1, 2, 3, 4, 32000}
"""Deflate, shuffle, Fletcher-32, szip, LZF."""
_SLACK = 2**16


def exchange_package(name: str) -> Any:
    """The optional package ``nir`` or ``h5py``.

    Raises:
        MissingDependencyError: it is not installed.
    """
    with needed_for("NIR files"):
        return import_module(name)


@dataclass
class _Reader:
    """Reads the parts of one file; ``size`` and ``objects`` are what may still be read of it."""

    h5py: Any
    heap: Heap
    size: int = MAX_BYTES
    objects: int = MAX_OBJECTS

    def take(self, where: str, size: int) -> None:
        self.size -= size
        self.objects -= 1
        if self.size < 0 or self.objects < 0:
            raise FileFormatError(
                f"{where}: found more than {MAX_BYTES >> 30} GiB or {MAX_OBJECTS} parts, allowed is less; "
                f"split the network or save the file again"
            )

    def group(self, group: Any, where: str, depth: int) -> dict[str, Any]:
        """All parts of a group, by name."""
        h5py = self.h5py
        if depth > MAX_DEPTH or not isinstance(group, h5py.Group):
            raise FileFormatError(f"{where}: found groups nested deeper than {MAX_DEPTH}, or none; save the file again")
        found: dict[str, Any] = {}
        for key in group:
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise FileFormatError(f"{where}/{key}: found a link to elsewhere, allowed are parts of this file only")
            item = group[key]
            if isinstance(item, h5py.Group):
                self.take(where, 0)
                found[key] = self.group(item, f"{where}/{key}", depth + 1)
            elif isinstance(item, h5py.Dataset):
                found[key] = self.dataset(item, f"{where}/{key}")
        return found

    def dataset(self, dataset: Any, where: str) -> Any:
        """Numbers as an array, one text as ``str``, several as an array of these."""
        is_text = dataset.dtype.kind == "O"
        if dataset.shape is None or not (is_text or dataset.dtype.kind in "biufS"):
            raise FileFormatError(f"{where}: found values of type {dataset.dtype}, allowed are numbers and text")
        size = prod(dataset.shape) * max(dataset.dtype.itemsize, 1)
        _check_storage(dataset, where, size)
        self.take(where, size)
        if is_text:
            if self.h5py.check_string_dtype(dataset.dtype) is None:
                raise FileFormatError(f"{where}: found values of varying length, allowed are numbers and text")
            texts = self.heap.texts(where, dataset)
            return texts[0] if dataset.shape == () else np.array(texts, object).reshape(dataset.shape)
        value = dataset[()]
        return value.decode("utf8") if isinstance(value, bytes) else value


def read_graph(path: str | Path) -> Any:
    """The graph of a ``.nir`` file as a ``nir.NIRGraph``, not yet type checked.

    Raises:
        InputError: there is no such file.
        FileFormatError: the file is damaged, or not a NIR file.
        MissingDependencyError: ``nir`` or ``h5py`` is not installed.
    """
    path = as_path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    h5py, nir = exchange_package("h5py"), exchange_package("nir")
    try:
        with h5py.File(path, "r") as file, path.open("rb") as stream:
            if file.userblock_size:
                raise FileFormatError("found a user block, allowed is none; save the file with nir.write")
            reader = _Reader(h5py, Heap(stream, path.stat().st_size))
            data = reader.group(file["node"], "node", 0)
        _check_node(data, "node")
        with np.errstate(all="ignore"):
            return nir.dict2NIRNode(data)
    except AspenError as error:
        raise FileFormatError(f"{path}: {error}") from error
    except Exception as error:  # h5py and nir raise all kinds, bare assertions among them, on malformed files
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FileFormatError(f"{path}: not a readable NIR file ({reason[:200]}); save or copy it again") from error


def _check_storage(dataset: Any, where: str, size: int) -> None:
    """Raise if far more would be allocated than the file holds, or if the values lie outside the file."""
    plan = dataset.id.get_create_plist()
    filters = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
    if dataset.external or dataset.is_virtual or not set(filters) <= _FILTERS or len(set(filters)) < len(filters):
        raise FileFormatError(f"{where}: found values outside the file or an unknown filter; save it with nir.write")
    chunk = prod(dataset.chunks or ()) * dataset.dtype.itemsize if dataset.chunks else 0
    allowed = dataset.id.get_storage_size() * MAX_RATIO + _SLACK
    if size > allowed or chunk > allowed + 2**20:
        raise FileFormatError(
            f"{where}: found {max(size, chunk)} bytes declared, the file holds far less; copy it again"
        )


def _check_node(data: Any, where: str) -> None:
    """Raise on what would make ``nir`` build huge arrays; switch off its type check, which is stricter than needed."""
    kind = data.get("type")
    if not isinstance(kind, str):
        raise FileFormatError(f"{where}: found a node without a type; save the file again")
    if kind.startswith("Cuba") and "w_in" in data:
        weight, like = np.shape(data["w_in"]), np.shape(data.get("v_leak"))
        if prod(weight) != 1 and weight != like:
            raise FileFormatError(f"{where}.w_in: found shape {weight}, allowed is {like}; save the file again")
    if kind == "NIRGraph":
        data["type_check"] = False
        for name, node in data["nodes"].items():
            _check_node(node, f"{where}/{name}")
