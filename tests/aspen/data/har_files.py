"""A tiny data set in UCI HAR's format: six windows for each subject, one for each activity."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np

from aspen.data import HAR_CHANNELS


def har_texts(people: int = 3) -> dict[str, str]:
    """Path within the data set -> contents, with the publisher's number format.

    Args:
        people: in the training part; 3 or more.
    """
    rng = np.random.default_rng(0)
    files = {"README.txt": "generated", "activity_labels.txt": "1 WALKING\n"}
    for part, subjects in (("train", range(1, 2 * people, 2)), ("test", (2, 4))):
        labels = np.tile(np.arange(1, 7), len(subjects))
        files[f"{part}/y_{part}.txt"] = "".join(f"{label}\n" for label in labels)
        files[f"{part}/subject_{part}.txt"] = "".join(f"{subject}\n" for subject in subjects for _ in range(6))
        for channel in HAR_CHANNELS:
            windows = rng.normal(0, 0.3, (len(labels), 128))
            lines = ["".join(f" {_number(value)}" for value in window) for window in windows]
            files[f"{part}/Inertial Signals/{channel}_{part}.txt"] = "\n".join(lines) + "\n"
    return files


def _number(value: float) -> str:
    """As the publisher writes numbers: three digits of exponent."""
    mantissa, exponent = f"{value:.7e}".split("e")
    return f"{mantissa:>10}e{exponent[0]}{exponent[1:]:0>3}"


def zipped(files: dict[str, str | bytes], root: str = "UCI HAR Dataset/") -> bytes:
    """The files in a zip below ``root``, beside what a Mac adds to it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(root + name, text)
            archive.writestr(f"__MACOSX/{root}{name}", b"\0")
    return buffer.getvalue()


def write_folder(files: dict[str, str], folder: Path) -> Path:
    """The files below ``folder``."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder
