"""What a run gives and costs when its inferences end early."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from aspen._base.arrays import Array
from aspen.network.record import Record, part_of
from aspen_hardware.chips.description import Chip
from aspen_hardware.energy.model import energy_model
from aspen_hardware.energy.report import EnergyReport
from aspen_hardware.placing.placement import Placement


def ended_early(record: Record, taken: Array) -> Record:
    """The part of a run that remains when inferences end early, as one sample: one inference after the other.

    Counts are exact, as a network does not know in a step what comes after it.

    Args:
        record: of whole inferences.
        taken: (batch,) steps that each of them takes, from 1.

    Returns:
        A record of one sample with ``taken.sum()`` steps, without membranes.
    """
    remains = np.arange(record.steps)[None, :] < np.asarray(taken)[:, None]

    def kept(arrays: Mapping[str, Array]) -> dict[str, Array]:
        return {name: array.swapaxes(0, 1)[remains][:, None] for name, array in arrays.items()}

    return part_of(record, kept, kept(record.rasters), membranes={})


def cut_short(record: Record, taken: Array) -> Record:
    """A run as people see it whose inferences end early: nothing happens after their last step.

    Its answers are those at the end of each; of a read-out by the last or the highest membrane, which stay as they are
    from there on. What it costs is in :func:`ended_early`.

    Args:
        record: of whole inferences.
        taken: (batch,) steps that each of them takes, from 1.
    """
    last = np.asarray(taken) - 1
    runs = np.arange(record.steps)[:, None] <= last

    def until(arrays: Mapping[str, Array]) -> dict[str, Array]:
        return {name: np.where(_beside(runs, array), array, 0) for name, array in arrays.items()}

    def held(array: Array) -> Array:
        return np.where(_beside(runs, array), array, array[last, np.arange(record.batch)][None])

    membranes = dict(record.membranes)
    if record.network.readout in ("membrane-last", "membrane-max"):
        membranes = {name: held(array) for name, array in membranes.items()}
    else:
        membranes = until(membranes)
    return part_of(record, until, until(record.rasters), membranes)


def _beside(mask: Array, array: Array) -> Array:
    """A mask (steps, batch) with as many axes as an array."""
    return mask.reshape(*mask.shape, *(1,) * (array.ndim - 2))


def energy_early(
    record: Record, taken: Array, on: Chip, placement: Placement | None = None, **how: Any
) -> EnergyReport:
    """The energy of a run whose inferences end early, as that of its samples.

    Args:
        record: of whole inferences.
        taken: (batch,) steps that each of them takes, from 1.
        on: the chip.
        placement, how: as for :func:`aspen_hardware.energy_model`.
    """
    ended = ended_early(record, taken)
    report = energy_model(ended, on, placement, **how)
    sleeps = asleep(ended, report, record.steps * record.batch)
    mean = float(np.mean(taken))
    told = [line for line in report.assumed if "clock cycles an inference" not in line]
    if report.cycles is not None:
        each = report.cycles.typical / record.batch
        told.append(
            f"{each:,.0f} clock cycles an inference, by the model, which does not know what deciding to end takes"
        )
    return replace(
        report,
        samples=record.batch,
        steps=max(round(mean), 1),
        static=None if report.static is None else report.static.times(sleeps),
        assumed=(*told, f"inferences end early, after {mean:.1f} of {record.steps} steps on average"),
    )


def asleep(record: Record, energy: EnergyReport | None, steps: int) -> float:
    """By how much the static energy of a run is more where a microcontroller sleeps until its next window: ``steps``
    of whole inferences over those taken."""
    if energy is None or energy.cycles is None or energy.timing == "work":
        return 1.0
    return steps / (record.steps * record.batch)
