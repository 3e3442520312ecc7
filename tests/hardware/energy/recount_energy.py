"""Joules from counts by a chip's file, read as plain TOML: the second half of the recount (``recount.py``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

UNITS = {
    "W": 1.0,
    "mW": 1e-3,
    "uW": 1e-6,
    "s": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "ns": 1e-9,
    "uJ": 1e-6,
    "nJ": 1e-9,
    "pJ": 1e-12,
}
Bounds = tuple[float, float, float]
"""Low, typical, high."""


@dataclass
class Event:
    """So many events of a kind; ``awake`` where the other definition of an active neuron counts differently."""

    kind: str
    count: int
    awake: int | None = None
    connection: str = ""


def bounds(figure: Mapping[str, Any]) -> Bounds:
    """A figure of the file in joules, watts or seconds."""
    unit, value = UNITS[figure["unit"]], figure["value"]
    return figure.get("low", value) * unit, value * unit, figure.get("high", value) * unit


def dynamic_energy(table: Mapping[str, Any], events: list[Event]) -> Bounds:
    """Each scenario summed whole; the lowest and the highest of them, and the typical one."""
    sums = {}
    for name, scenario in table["scenarios"].items():
        total = [0.0, 0.0, 0.0]
        for event in events:
            words = {"conv": "convolution"}
            special = f"{event.kind}_{words.get(event.connection, event.connection)}"
            figure = scenario["energies"].get(special) or scenario["energies"].get(event.kind)
            count = event.count if scenario["active"] == "input" or event.awake is None else event.awake
            for bound in range(3) if figure is not None else ():
                total[bound] += bounds(figure)[bound] * count
        sums[name] = total
    typical = sums[table["typical"]]
    return min(total[0] for total in sums.values()), typical[1], max(total[2] for total in sums.values())


def static_energy(table: Mapping[str, Any], seconds: Bounds, cores: int) -> Bounds | None:
    """Of a chip that draws its power whole, or by the core; ``None`` where the file knows no power."""
    if "power" not in table:
        return None
    power = table["power"]
    if power["rule"] == "whole":
        watts = bounds(power["chip"])
    else:
        idle = table["limits"]["cores"]["value"] - cores
        watts = tuple(
            cores * on + idle * off for on, off in zip(bounds(power["core"]), bounds(power["off"]), strict=True)
        )
    return tuple(w * s for w, s in zip(watts, seconds, strict=True))
