"""What tests on an emulated Cortex-M need: the packages of the extra ``microcontroller``, or a reason why not."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

PACKAGES = ("ziglang", "unicorn", "capstone", "elftools")
needs_emulator = pytest.mark.skipif(
    any(find_spec(package) is None for package in PACKAGES), reason="the extra microcontroller is not installed"
)
