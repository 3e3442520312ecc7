"""Whether a program fits the memories of the parts that it is for."""

from __future__ import annotations

from aspen.errors import ChipError
from aspen_hardware.c.program import Program
from aspen_hardware.chips.description import Chip
from aspen_hardware.placing.memory import refused


def check_memory(program: Program, chip: Chip, ram: int = 0, flash: int = 0) -> str:
    """Raise unless a part of the chip's file has the RAM and the flash that the program takes, without its code.

    Args:
        program: of the network.
        chip: what it is for.
        ram, flash: bytes of what is beside it.

    Returns:
        which parts are too small, if some are; empty otherwise, and for a chip that is no microcontroller.

    Raises:
        ChipError: all of them are.
    """
    message, nowhere = refused(chip, program.ram + ram, program.flash + flash)
    if nowhere:
        raise ChipError(f"network: {message}")
    return f"too small: {message}" if message else ""
