"""The fast engine: batched, on all processors, compiled; to the bit the reference's answers in integers."""

from aspen_emulator.engines.fast.engine import run_dials, run_fast
from aspen_emulator.engines.fast.stepper import FastStepper, StepEvents

__all__ = ["FastStepper", "StepEvents", "run_dials", "run_fast"]
