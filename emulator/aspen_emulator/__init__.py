"""Run spiking networks: engines, sessions with a live knob, sweeps, Lava, and the ``aspen`` command line."""

from __future__ import annotations

from aspen._base.lazy import lazily

with lazily(globals()):
    from aspen.calibration.points import OperatingPoint as OperatingPoint
    from aspen_emulator.engines.run import run as run
    from aspen_emulator.engines.sessions import Session as Session
    from aspen_emulator.engines.sessions import session as session
    from aspen_emulator.measuring.bench import sweep as sweep
    from aspen_emulator.measuring.observing import observe as observe
