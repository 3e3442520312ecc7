"""Checkpoints of a training: written whole or not at all, read without executing anything."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import torch

from aspen.errors import FileFormatError, InputError
from aspen.files import one_line
from aspen.storage.writing import write_atomically

VERSION = 1
_KEYS = (
    "version",
    "settings",
    "stage",
    "epoch",
    "history",
    "model",
    "dial",
    "optimizer",
    "schedule",
    "average",
    "best",
    "before",
)


def write_checkpoint(path: str | Path, state: dict[str, Any]) -> None:
    """Write ``state`` (tensors and plain values only) atomically."""
    buffer = io.BytesIO()
    torch.save({"version": VERSION, **state}, buffer)
    write_atomically(path, buffer.getvalue())


def read_checkpoint(path: str | Path, settings: dict[str, Any]) -> dict[str, Any]:
    """The state in a checkpoint, of a training with the same ``settings``.

    Raises:
        InputError: there is no such file, or it is of another training.
        FileFormatError: it is damaged, or no checkpoint.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such checkpoint; start without resuming")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise FileFormatError(f"{path}: not a readable checkpoint ({one_line(error)}); start anew") from error
    if not isinstance(state, dict) or set(state) != set(_KEYS) or state["version"] != VERSION:
        raise FileFormatError(f"{path}: found no checkpoint of this ASPEN (format {VERSION}); start anew")
    if state["settings"] != settings:
        kept = state["settings"] if isinstance(state["settings"], dict) else {}
        other = sorted(key for key in {*settings, *kept} if settings.get(key) != kept.get(key))
        raise InputError(
            f"{path}: found a checkpoint of another training, which differs in {', '.join(other)}; resume with "
            f"the same settings, or start anew"
        )
    return state
