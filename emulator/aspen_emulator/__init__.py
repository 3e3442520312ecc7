"""Run spiking networks: engines, sessions with a live knob, sweeps, Lava, and the ``aspen`` command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aspen._base.lazy import lazy_names

if TYPE_CHECKING:
    from aspen_emulator.engines.run import run as run
    from aspen_emulator.engines.sessions import Session as Session
    from aspen_emulator.engines.sessions import session as session
    from aspen_emulator.measuring.bench import OperatingPoint as OperatingPoint
    from aspen_emulator.measuring.bench import sweep as sweep
    from aspen_emulator.measuring.observing import observe as observe

_HOMES = {
    "OperatingPoint": "aspen_emulator.measuring.bench",
    "Session": "aspen_emulator.engines.sessions",
    "observe": "aspen_emulator.measuring.observing",
    "run": "aspen_emulator.engines.run",
    "session": "aspen_emulator.engines.sessions",
    "sweep": "aspen_emulator.measuring.bench",
}

__all__ = [*_HOMES]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
