"""The command line, ``aspen``."""

from __future__ import annotations

from aspen_emulator.cli.main import main as main

__all__ = ["main"]
