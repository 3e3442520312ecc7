"""What a chip file says of what a knob can switch off: ``[gating]``, with one of :data:`GATING` as its ``unit``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aspen_hardware.chips.figures import check_choice, check_keys

GATING = {
    "none": "a neuron that is off never fires, and costs what others cost: its spikes arrive, its state is updated",
    "core": "a core whose neurons are all off is off: spikes are not sent to it, and nothing in it is updated",
    "neuron": "a neuron that is off costs nothing: nothing arrives there, and it is not updated",
}
"""What of a chip a knob can switch off that puts thresholds out of reach."""


def check_gating(table: Mapping[str, Any], file: str) -> None:
    """Raise a :class:`~aspen.errors.ChipError` unless what a file says of gating, if it does, is one of these."""
    if "gating" in table:
        check_choice(table["gating"], file, "gating", "unit", GATING, table["sources"])
        check_keys(table["gating"], file, "gating", ("unit", "source", "trust"), ("note",))
