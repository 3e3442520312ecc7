"""Logs of a training: a CSV table, and TensorBoard where that is installed."""

from __future__ import annotations

import csv
import importlib.util
import io
from pathlib import Path
from typing import Any

from aspen._base.checks import as_path
from aspen.storage.outputs import make_folder
from aspen.storage.writing import write_atomically
from aspen.training.history import Epoch


class Logs:
    """Writes what was measured after each epoch into ``folder``; nothing where that is None."""

    def __init__(self, folder: str | Path | None) -> None:
        self._folder = None if folder is None else as_path(folder)
        self._board: Any = None
        if self._folder is None:
            return
        make_folder(self._folder)
        if importlib.util.find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(self._folder))

    def write(self, history: list[Epoch]) -> None:
        """Write all of ``history`` as ``epochs.csv``, and the last entry to TensorBoard."""
        if self._folder is None:
            return
        buffer = io.StringIO()
        rows = [row(entry) for entry in history]
        writer = csv.DictWriter(buffer, fieldnames=list(dict.fromkeys(key for each in rows for key in each)))
        writer.writeheader()
        writer.writerows(rows)
        write_atomically(self._folder / "epochs.csv", buffer.getvalue().encode())
        if self._board is not None:
            for name, value in rows[-1].items():
                if name not in ("stage", "epoch"):
                    self._board.add_scalar(name, value, len(history))
            self._board.flush()


def row(entry: Epoch) -> dict[str, float]:
    """One line of the table: a column for each knob setting, and those of the caller."""
    columns: dict[str, float] = {"stage": entry.stage, "epoch": entry.epoch, "loss": entry.loss, "dead": entry.dead}
    for setting, accuracy, spikes in zip(entry.settings, entry.accuracy, entry.spikes, strict=True):
        columns |= {f"accuracy at {setting:g}": accuracy, f"spikes at {setting:g}": spikes}
    return {**columns, **entry.also}
