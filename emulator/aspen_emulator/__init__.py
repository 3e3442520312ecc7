"""Run spiking networks: engines, sessions with a live knob, sweeps, Lava, and the ``aspen`` command line."""

from __future__ import annotations

from aspen_emulator.engines import run as run
from aspen_emulator.observing import observe as observe
from aspen_emulator.sessions import Session as Session
from aspen_emulator.sessions import session as session
from aspen_emulator.sweeps import OperatingPoint as OperatingPoint
from aspen_emulator.sweeps import sweep as sweep

__all__ = ["OperatingPoint", "Session", "observe", "run", "session", "sweep"]
