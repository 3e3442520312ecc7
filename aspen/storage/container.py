"""The ``.aspen`` file: safetensors with a versioned JSON header. No pickle; nothing in a file is executed.

A file holds sections. ``network`` is the trained network; a chip's integers stand beside it as
``deployment/<chip>``; the calibration table joins them in the same way. The metadata of the safetensors file
has one entry, ``aspen``: JSON with ``format``, ``version``, ``sections`` (name -> JSON header) and ``sha256``
over everything else in the file, so that damage is noticed before a number is believed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as encode_tensors

from aspen._base.arrays import Array
from aspen._base.checks import as_path
from aspen.errors import FileFormatError, InputError, one_line
from aspen.storage.json import parse_json
from aspen.storage.writing import write_atomically

FORMAT = "aspen"
MALFORMED = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError)
"""What reading values of the wrong type or size raises."""
VERSION = 4
"""3: as 4, but without the range of analog input.
2: as 3, but all read-outs are on spikes. 1: as 2, but without populations that take a current."""
_DTYPES = ("F64", "F32", "F16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL")
"""Types of safetensors that NumPy has too."""


@dataclass
class Container:
    """The parts of an ``.aspen`` file: JSON headers by section, and tensors named ``section:path``."""

    headers: dict[str, dict[str, Any]] = field(default_factory=dict)
    tensors: dict[str, Array] = field(default_factory=dict)

    def put(self, section: str, header: Mapping[str, Any], tensors: Mapping[str, Array]) -> None:
        """Add a section, or replace it."""
        self.tensors = {name: array for name, array in self.tensors.items() if not name.startswith(f"{section}:")}
        self.tensors.update({f"{section}:{name}": np.array(array, order="C") for name, array in tensors.items()})
        self.headers[section] = dict(header)

    def get(self, section: str) -> tuple[dict[str, Any], dict[str, Array]]:
        """Header and tensors of a section.

        Raises:
            FileFormatError: there is no such section.
        """
        if section not in self.headers:
            raise FileFormatError(f"section: found none called {section!r}, the file has {sorted(self.headers)}")
        prefix = f"{section}:"
        tensors = {name[len(prefix) :]: array for name, array in self.tensors.items() if name.startswith(prefix)}
        return self.headers[section], tensors


def digest(headers: Mapping[str, Any], tensors: Mapping[str, Array]) -> str:
    """SHA-256 over headers and tensors, as hexadecimal digits."""
    made = hashlib.sha256(json.dumps(headers, sort_keys=True).encode())
    for name in sorted(tensors):
        array = tensors[name]
        made.update(f"{name}|{array.dtype.str}|{array.shape}".encode())
        made.update(array.tobytes())
    return made.hexdigest()


def encode_container(container: Container) -> bytes:
    """The bytes of an ``.aspen`` file."""
    header = {
        "format": FORMAT,
        "version": VERSION,
        "sections": container.headers,
        "sha256": digest(container.headers, container.tensors),
    }
    return bytes(encode_tensors(container.tensors, metadata={FORMAT: json.dumps(header, sort_keys=True)}))


def write_container(container: Container, path: str | Path) -> None:
    """Write an ``.aspen`` file atomically."""
    write_atomically(path, encode_container(container))


def read_container(path: str | Path) -> Container:
    """Read and check an ``.aspen`` file.

    Raises:
        InputError: there is no such file.
        FileFormatError: it is damaged, of another format, or of a newer version.
    """
    path = as_path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    try:
        with safe_open(path, framework="np") as stream:
            metadata = stream.metadata() or {}
            tensors = {name: _tensor(stream, name) for name in stream.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError, *MALFORMED) as error:
        raise FileFormatError(
            f"{path}: not a readable .aspen file ({one_line(error)}); save or copy it again"
        ) from error
    header = _parse_header(path, metadata)
    container = Container(header["sections"], tensors)
    if header.get("sha256") != digest(container.headers, tensors):
        raise FileFormatError(
            f"{path}: the content does not match its checksum, the file is damaged; save or copy it again"
        )
    return container


def _tensor(stream: Any, name: str) -> Array:
    kind = stream.get_slice(name).get_dtype()
    if kind not in _DTYPES:
        raise ValueError(f"{name}: found values of type {kind}, allowed are {', '.join(_DTYPES)}")
    return np.asarray(stream.get_tensor(name))


def _parse_header(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    try:
        header = parse_json(metadata[FORMAT])
        version, sections = header["version"], header["sections"]
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(
            f"{path}: found a safetensors file without an ASPEN header; pass a file made by `aspen export`"
        ) from error
    named = isinstance(sections, dict) and all(isinstance(section, dict) for section in sections.values())
    if header.get("format") != FORMAT or type(version) is not int or not named:
        raise FileFormatError(f"{path}: found a malformed ASPEN header; save or copy the file again")
    if not 1 <= version <= VERSION:
        raise FileFormatError(
            f"{path}: found format version {version}, this ASPEN reads up to {VERSION}; install a newer ASPEN"
        )
    return dict(header)
