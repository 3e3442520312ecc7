"""The Arm cores that programs are compiled for: what the compiler and the emulator call each."""

from __future__ import annotations

from dataclasses import dataclass

from aspen._base.checks import as_name


@dataclass(frozen=True)
class Core:
    """A core.

    Args:
        name: here, and of the chip files.
        compiler: what the compiler calls it.
        emulator: the emulator's model, in full ``UC_CPU_ARM_...``; one that runs the same instructions.
        title: what Arm calls it.
        timing: where the cycles of its instructions are from.
    """

    name: str
    compiler: str
    emulator: str
    title: str
    timing: str


CORES = {
    core.name: core
    for core in (
        Core(
            "cortex-m4", "cortex_m4", "CORTEX_M4", "Arm Cortex-M4",
            "Cortex-M4 Technical Reference Manual (DDI 0439), table 3-1 and section 3.3.2",
        ),
        Core(
            "cortex-m0plus", "cortex_m0plus", "CORTEX_M0", "Arm Cortex-M0+",
            "Cortex-M0+ Technical Reference Manual (DDI 0484C), table 3.1",
        ),
        Core(
            "cortex-m33", "cortex_m33+dsp", "CORTEX_M33", "Arm Cortex-M33",
            "no table is published: rules measured on an RP2350 by others (github.com/jnk0le/random), at most the "
            "Cortex-M4's table",
        ),
    )
}  # fmt: skip
"""Name -> core; the first is the one that counts where none is named."""
DEFAULT = next(iter(CORES))


def core_named(name: str) -> Core:
    """The core of a name.

    Raises:
        InputError: there is none.
    """
    return CORES[as_name("core", name, CORES)]
