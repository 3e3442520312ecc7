"""Runs and sessions of the engine ``cortex-m``: those of the engine ``c``, on an emulated core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from aspen._base.arrays import Array
from aspen._base.packages import needed_for
from aspen.dial.profile import DialProfile
from aspen.network.network import Network
from aspen.network.record import Record
from aspen_emulator.engines.c.engine import CStepper, program_of, run_program
from aspen_emulator.engines.cortex_m.cores import CORES, DEFAULT, core_named
from aspen_hardware.c.program import Program

if TYPE_CHECKING:
    from aspen_emulator.engines.cortex_m.board import Board

ENGINES = {"cortex-m": DEFAULT, **{name: name for name in CORES}}
"""Engine -> core."""
PACKAGES = ("ziglang", "unicorn", "capstone", "elftools")
"""Modules of the extra ``microcontroller``: cross-compiler, emulator, disassembler, and reader of what is linked."""


def emulator_available() -> bool:
    """Whether everything is installed that the engine needs."""
    return all(find_spec(package) is not None for package in PACKAGES)


def board(program: Program, core: str, flags: Sequence[str] = ()) -> Board:
    """A program on an emulated core of that name.

    Raises:
        InputError: there is no such core.
        MissingDependencyError: the cross-compiler or the emulator is not installed.
        EngineError: the compiler refuses the program.
    """
    with needed_for("the engine cortex-m"):
        from aspen_emulator.engines.cortex_m.board import Board
    return Board(program, core_named(core), flags)


def run_on_core(
    engine: str, network: Network, spikes: Array, thresholds: Mapping[str, Array], record: str = "counts", *,
    profile: DialProfile | None = None,
) -> Record:  # fmt: skip
    """Run all steps; arguments and results as :func:`aspen_emulator.engines.c.engine.run_c`.

    Args:
        engine: one of :data:`ENGINES`.
        network, spikes, thresholds, record, profile: as there.

    Raises:
        InputError: the network is in floating point.
        MissingDependencyError: the cross-compiler or the emulator is not installed.
        EngineError: the program failed.
    """
    program = program_of(network, profile)
    return run_program(engine, program, lambda: board(program, ENGINES[engine]), spikes, thresholds, record)


class CoreStepper(CStepper):
    """As :class:`aspen_emulator.engines.c.engine.CStepper`, on an emulated core.

    Args:
        network, batch, profile: as there.
        engine: one of :data:`ENGINES`.
    """

    def __init__(
        self, network: Network, batch: int, profile: DialProfile | None = None, engine: str = "cortex-m"
    ) -> None:
        self._engine = engine
        super().__init__(network, batch, profile)

    def _open(self) -> Board:
        return board(self.program, ENGINES[self._engine])
