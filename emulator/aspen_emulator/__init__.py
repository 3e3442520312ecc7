"""Run spiking networks: engines, sessions with a live knob, sweeps, Lava, and the ``aspen`` command line."""

from __future__ import annotations

from aspen_emulator.engines import run as run
from aspen_emulator.session import Session as Session
from aspen_emulator.session import session as session
from aspen_emulator.sweep import OperatingPoint as OperatingPoint
from aspen_emulator.sweep import sweep as sweep

__all__ = ["OperatingPoint", "Session", "run", "session", "sweep"]
