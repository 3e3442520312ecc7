"""What a chip is, and a network in a chip's integers: chip files, compiling, placement, design rules, energy."""

from __future__ import annotations

from aspen._base.lazy import lazily

with lazily(globals()):
    from aspen_hardware.chips.description import Chip as Chip
    from aspen_hardware.chips.description import chip as chip
    from aspen_hardware.chips.description import chip_names as chip_names
    from aspen_hardware.compiling.compile import compile as compile
    from aspen_hardware.compiling.deployment import Deployment as Deployment
    from aspen_hardware.compiling.deployment import deployment_on as deployment_on
    from aspen_hardware.compiling.deployment import load_deployment as load_deployment
    from aspen_hardware.compiling.deployment import store_deployment as store_deployment
    from aspen_hardware.energy.baseline import ann_baseline as ann_baseline
    from aspen_hardware.energy.break_even import break_even as break_even
    from aspen_hardware.energy.costs import energy_of_counts as energy_of_counts
    from aspen_hardware.energy.model import energy_model as energy_model
    from aspen_hardware.energy.report import EnergyReport as EnergyReport
    from aspen_hardware.placing.placement import place as place
    from aspen_hardware.placing.rules import check as check
