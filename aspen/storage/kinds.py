"""What a file is that is no ``.npy`` array, told by how it begins, and how to make one of it."""

from __future__ import annotations

from pathlib import Path

from aspen.storage.npy import MAGIC

HEAD = 512
"""Bytes at a file's beginning that tell what it is."""


def other_than_npy(path: Path, head: bytes) -> str | None:
    """What is wrong with a file that is no ``.npy`` array: what was found, what is allowed, and the remedy.

    Args:
        path: where it lies; for the message.
        head: its first :data:`HEAD` bytes.

    Returns:
        The message, or None where it begins as such an array does. It never advises to unpickle anything.
    """
    if head.startswith(MAGIC):
        return None
    kind, remedy = _kind(path, head)
    return f"{path}: found {kind}, allowed is a .npy file with one array; {remedy}"


def _kind(path: Path, head: bytes) -> tuple[str, str]:
    for start, kind, remedy in _STARTS:
        if head.startswith(start):
            return kind, remedy
    if not head:
        return "an empty file", "write the array again with numpy.save"
    if head.startswith(b"PK\x03\x04"):
        return _archive(path, head)
    if head[:1] == b"\x80" and head[1:2] <= b"\x05":
        return "a pickle, which is never loaded as it can execute anything", _SAVE
    if head[8:10] in (b'{"', b"{}"):
        return "a network or other safetensors, such as an .aspen file", "check which argument is which"
    text = _text(head)
    if text is None:
        return "a file of another kind", _SAVE
    if text.lstrip()[:1] in ("[", "{"):
        return "JSON", f"numpy.save({_target(path)!r}, numpy.array(json.load(open({path.name!r}))))"
    return "text, as in a .csv file", _from_text(path, text)


_SAVE = "write the array with numpy.save where it was made"
_STARTS = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", "read it with h5py, and write the array with numpy.save"),
    (b"MATLAB 7.3", "a MATLAB file", "read it with h5py, and write the array with numpy.save"),
    (b"MATLAB 5.0", "a MATLAB file", "read it with scipy.io.loadmat, and write the array with numpy.save"),
    (b"\x1f\x8b", "a gzip archive", "unpack it with gunzip"),
)


def _archive(path: Path, head: bytes) -> tuple[str, str]:
    """A zip by the name of its first member: NumPy's, PyTorch's, or any other."""
    size = int.from_bytes(head[26:28], "little")
    member = head[30 : 30 + size].decode("latin1")
    if member.endswith(".npy"):
        return "an .npz archive", (
            f"with X and y in it, it is given as --data; or take one of its arrays: "
            f"numpy.save({_target(path)!r}, numpy.load({path.name!r})[{member[:-4]!r}])"
        )
    if member.endswith("data.pkl") or "/" in member:
        return "a PyTorch file", f"numpy.save({_target(path)!r}, torch.load({path.name!r}).numpy()), if it is a tensor"
    return "a zip archive", "unpack it; a data set as published is named by --data and --data-path"


def _text(head: bytes) -> str | None:
    """The beginning of a text; a character may be cut off at its end."""
    text = head.decode("utf-8", errors="ignore")
    lost = len(head) - len(text.encode())
    readable = all(character.isprintable() or character.isspace() for character in text)
    return text if readable and lost < 4 else None


def _from_text(path: Path, text: str) -> str:
    """How to make an array of a table in a text; a first line without numbers is a head."""
    first = text.split("\n", 1)[0]
    between = next((sign for sign in (",", ";", "\t") if sign in first), None)
    options = "" if between is None else f", delimiter={between!r}"
    try:
        float(first.split(between)[0] if first.strip() else "0")
    except ValueError:
        options += ", skiprows=1"
    return f"numpy.save({_target(path)!r}, numpy.loadtxt({path.name!r}{options})), with dtype=int for spikes and labels"


def _target(path: Path) -> str:
    """A name beside ``path`` that is not its own."""
    return f"{path.stem}.npy" if path.suffix != ".npy" else f"{path.stem}-array.npy"
