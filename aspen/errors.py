"""The errors that ASPEN raises on purpose.

Every message says what is wrong, what was found, what is allowed and how to mend it, in one line.
Each class also derives from ``ValueError`` (the caller's values are wrong), ``AttributeError`` (a name is) or
``RuntimeError`` (the work failed).
"""

from __future__ import annotations

from pathlib import Path


class AspenError(Exception):
    """Base of all errors that ASPEN raises on purpose.

    >>> from aspen import Lif
    >>> try:
    ...     Lif(threshold=-1.0, beta=0.9)
    ... except AspenError as error:
    ...     print(error)
    threshold: found -1, allowed is above 0; train with positive thresholds
    """


class InputError(AspenError, ValueError):
    """A value, array or setting given by the caller is not allowed."""


class UnwrittenError(InputError):
    """A file cannot be written; what it should have held is not lost yet.

    Attributes:
        path: the file.
        data: what it should have held; None where it was to go into a device or a pipe.
    """

    path: Path = Path()
    data: bytes | None = None


class ModelError(AspenError, ValueError):
    """A PyTorch model cannot be perturbed, dialled or exported."""


class UnknownAttributeError(AspenError, AttributeError):
    """An object was given an attribute that it does not have, and that would do nothing."""


class NetworkError(AspenError, ValueError):
    """A network description is inconsistent."""


class FileFormatError(AspenError, ValueError):
    """A file is damaged, incomplete, or not of the expected format."""


class ChipError(AspenError, ValueError):
    """A chip file is invalid, or a network does not fit the chip."""


class EngineError(AspenError, RuntimeError):
    """An engine could not finish a run."""


class TrainingError(AspenError, RuntimeError):
    """A training failed: no finite loss, or a network that says nothing. The last good weights remain."""


class TrainingWarning(UserWarning):
    """A training ended with a network that can be used in part of its knob's range only, or not at all."""


class ChipWarning(UserWarning):
    """A model is trained for a chip that will not take it as it is."""


class RoundedSettingWarning(UserWarning):
    """A threshold scale lies between two settings that a program on a microcontroller has."""


class ExportWarning(UserWarning):
    """A model was exported exactly, and does something that its author may not have meant."""


class MissingDependencyError(AspenError, RuntimeError):
    """An optional package that this call needs is not installed."""


def one_line(error: Exception) -> str:
    """The message of an error, or its type where it has none, without line breaks and not longer than a line."""
    return " ".join(str(error).split())[:200] or type(error).__name__
