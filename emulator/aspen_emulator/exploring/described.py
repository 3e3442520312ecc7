"""What does not move with the knob, as plain values: populations, chips with their cores, and what was rounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from aspen.network.network import Network
from aspen_emulator.exploring.explored import Group
from aspen_emulator.measuring.bench import Bench
from aspen_hardware.chips.description import Chip
from aspen_hardware.compiling.deployment import COLUMNS, Deployment, Rounding
from aspen_hardware.energy.costs import WORDS
from aspen_hardware.energy.report import EnergyReport
from aspen_hardware.placing.cores import MEASURES, Core
from aspen_hardware.placing.placement import Placement

MOST_CORES = 256
"""Cores that are told one by one."""


def groups_of(network: Network) -> list[Group]:
    """The populations, in the network's order."""

    def part(name: str) -> str:
        return "input" if name == network.input.name else "output" if name == network.output else "hidden"

    return [Group(name, network[name].size, part(name)) for name in network.names]


def chips_of(bench: Bench, reports: Sequence[Mapping[str, EnergyReport]]) -> dict[str, dict[str, Any]]:
    """Chip -> its cores, and what its figures rest on.

    Args:
        bench: what was measured.
        reports: chip -> energy report, at each setting.
    """
    return {
        chip.name: {
            **_rests_on([each[chip.name] for each in reports]),
            "placement": _placement(bench.placements[chip.name], chip),
        }
        for chip in bench.chips
        if chip is not None
    }


def _rests_on(reports: Sequence[EnergyReport]) -> dict[str, Any]:
    """What the figures rest on at every setting, for people to read."""
    first = reports[0]
    seconds = None if first.seconds is None else first.seconds.typical
    return {
        "seconds_per_inference": None if seconds is None else seconds / first.samples,
        "timing": first.timing,
        "in_use": first.in_use,
        "assumed": common([report.assumed for report in reports]),
        "missing": common([report.missing for report in reports]),
        "elsewhere": common([report.elsewhere for report in reports]),
        "not_covered": common([report.not_covered for report in reports]),
        "events": {entry.event: WORDS[entry.event] for report in reports for entry in report.entries},
    }


def common(told: Sequence[Sequence[str]]) -> list[str]:
    """The lines that are in all.

    >>> common([["a", "b"], ["b", "c"]])
    ['b']
    """
    return [line for line in told[0] if all(line in each for each in told)]


def told_here(report: EnergyReport, everywhere: Mapping[str, Any]) -> list[str]:
    """What a report says that others of the same chip do not."""
    parts = "assumed", "missing", "elsewhere", "not_covered"
    return [line for part in parts for line in getattr(report, part) if line not in everywhere[part]]


def _placement(placement: Placement, on: Chip) -> dict[str, Any]:
    limits = {limit: value for limit, value in asdict(on.limits).items() if value is not None}
    return {
        "cores_used": placement.cores_used,
        "chips_used": placement.chips_used,
        "limits": limits,
        "use": placement.use,
        "cores": [_core(core) for core in placement.cores[:MOST_CORES]],
        "left_out": max(placement.cores_used - MOST_CORES, 0),
    }


def _core(core: Core) -> dict[str, Any]:
    return {
        "slices": [asdict(part) for part in core.slices],
        "neurons": core.neurons,
        "synapses": core.synapses,
        **{measure: getattr(core, measure) for measure in MEASURES.values()},
    }


def rounding_of(deployment: Deployment) -> dict[str, Any]:
    """What compiling did to the numbers of each population, and what was found beside."""
    return {
        "chip": deployment.chip,
        "columns": COLUMNS,
        "populations": {name: _shares(entry) for name, entry in deployment.rounding.items()},
        "notes": [
            *(f"{name}: {entry.calibration}" for name, entry in deployment.rounding.items() if entry.calibration),
            *(words for _, words in deployment.costs),
            *deployment.warnings,
        ],
    }


def _shares(entry: Rounding) -> dict[str, float]:
    """Under :data:`aspen_hardware.compiling.deployment.COLUMNS`; all but exponent and max scale are fractions."""
    return {
        "exponent": entry.weight_exponent,
        "weights": entry.weight_error,
        "lost": entry.weights_lost,
        "threshold": entry.threshold_error,
        "beta": entry.beta_error,
        "bias": entry.bias_error,
        "max scale": entry.largest_scale,
        "peak": entry.worst_case_current,
    }
