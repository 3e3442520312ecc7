"""What a chip is, and a network in a chip's integers: chip files, compiling, placement, design rules, energy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aspen._base.lazy import lazy_names

if TYPE_CHECKING:
    from aspen_hardware.chips.description import Chip as Chip
    from aspen_hardware.chips.description import chip as chip
    from aspen_hardware.chips.description import chip_names as chip_names
    from aspen_hardware.compiling.compile import compile as compile
    from aspen_hardware.compiling.deployment import Deployment as Deployment
    from aspen_hardware.compiling.deployment import load_deployment as load_deployment
    from aspen_hardware.compiling.deployment import store_deployment as store_deployment
    from aspen_hardware.energy.baseline import ann_baseline as ann_baseline
    from aspen_hardware.energy.break_even import break_even as break_even
    from aspen_hardware.energy.costs import energy_of_counts as energy_of_counts
    from aspen_hardware.energy.model import energy_model as energy_model
    from aspen_hardware.energy.report import EnergyReport as EnergyReport
    from aspen_hardware.placing.placement import place as place
    from aspen_hardware.placing.rules import check as check

_HOMES = {
    "Chip": "aspen_hardware.chips.description",
    "Deployment": "aspen_hardware.compiling.deployment",
    "EnergyReport": "aspen_hardware.energy.report",
    "ann_baseline": "aspen_hardware.energy.baseline",
    "break_even": "aspen_hardware.energy.break_even",
    "check": "aspen_hardware.placing.rules",
    "chip": "aspen_hardware.chips.description",
    "chip_names": "aspen_hardware.chips.description",
    "compile": "aspen_hardware.compiling.compile",
    "energy_model": "aspen_hardware.energy.model",
    "energy_of_counts": "aspen_hardware.energy.costs",
    "load_deployment": "aspen_hardware.compiling.deployment",
    "place": "aspen_hardware.placing.placement",
    "store_deployment": "aspen_hardware.compiling.deployment",
}

__all__ = [*_HOMES]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
