"""The clock cycles of a run's program on a microcontroller: of some of its samples in the emulator, of the rest as
the model has it beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

import numpy as np

from aspen._base.arrays import Array
from aspen.dial.path import AnyDial
from aspen.network.record import Record, part_of
from aspen_emulator.engines.cortex_m.cores import CORES
from aspen_emulator.measuring.cycles import cycles
from aspen_hardware.chips.description import Chip
from aspen_hardware.chips.parts import runs_programs
from aspen_hardware.chips.ranges import Range
from aspen_hardware.compiling.deployment import Deployment
from aspen_hardware.energy.program import cycles_of

MEASURED = 32
"""Samples that are emulated at most, evenly spread over all."""


class Counted(TypedDict, total=False):
    """What :func:`aspen_hardware.energy_model` is told of a run's cycles."""

    cycles: Range
    how: str


def core_of(chip: Chip) -> str:
    """The core that runs the chip's programs, by its name or that of the chip that it is like; empty where none does.

    A file of one's own that is ``like = "cortex-m4"`` has that core.
    """
    return next((name for name in (chip.name, chip.like) if runs_programs(chip) and name in CORES), "")


def counted_cycles(
    record: Record,
    deployment: Deployment,
    spikes: Array,
    chip: Chip,
    *,
    threshold_scale: float = 1.0,
    profile: AnyDial | None = None,
    knob: float | None = None,
) -> Counted:
    """Cycles of all inferences of ``record``: those of up to :data:`MEASURED` of them in the emulator.

    What the emulated inferences take over the model's cycles of the same inferences is taken to hold for the others.

    Args:
        record: of the run.
        deployment, spikes, threshold_scale, profile, knob: what ran, as for :func:`aspen_emulator.cycles`.
        chip: whose core.

    Raises:
        MissingDependencyError: the cross-compiler or the emulator is not installed.
        InputError: the program has no such setting of its knob.
    """
    chosen = np.unique(np.linspace(0, record.batch - 1, min(record.batch, MEASURED)).round().astype(int))
    report = cycles(
        deployment, spikes[:, chosen], threshold_scale, core=core_of(chip), profile=profile, knob=knob
    )  # fmt: skip
    each = cycles_of(record.network, chip)
    share = each.of(record) / each.of(_part(record, chosen))
    every = "" if len(chosen) == record.batch else f" on {len(chosen)} of {record.batch} samples"
    return Counted(
        cycles=report.per_inference.times(report.samples * share), how=f"the emulator of {report.core}{every}"
    )


def _part(record: Record, chosen: Array) -> Record:
    """Some samples of a run."""

    def kept(counts: Mapping[str, Array]) -> dict[str, Array]:
        return {name: each[:, chosen] for name, each in counts.items()}

    return part_of(record, kept, rasters={}, membranes={})
