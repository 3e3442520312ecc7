"""The one way up between the floors: by name, where a caller names what only a floor above knows.

Imports go down. A chip that is named where a model is trained is handed on unread; what comes back is text.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def chip_warning(model: Any, chip: Any, *arguments: Any, **how: Any) -> str:
    """What keeps a model off a chip, or off several: see :func:`aspen_hardware.compiling.models.chip_warning`."""
    said: str = import_module("aspen_hardware.compiling.models").chip_warning(model, chip, *arguments, **how)
    return said


def all_run_programs(chip: Any) -> bool:
    """Whether all chips are microcontrollers: see :func:`aspen_hardware.chips.parts.all_run_programs`."""
    run: bool = import_module("aspen_hardware.chips.parts").all_run_programs(chip)
    return run
