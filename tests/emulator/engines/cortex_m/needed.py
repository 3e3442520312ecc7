"""What tests on an emulated Cortex-M need: the packages of the extra ``microcontroller``, or a reason why not."""

from __future__ import annotations

import pytest

from aspen_emulator.engines.cortex_m.engine import emulator_available

needs_emulator = pytest.mark.skipif(not emulator_available(), reason="the extra microcontroller is not installed")
