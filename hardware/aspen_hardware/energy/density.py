"""How much of an input is not zero in what an ANN sees at once."""

from __future__ import annotations

import numpy as np

from aspen._base.checks import as_integer
from aspen.errors import InputError
from aspen.network.record import Record


def input_density(record: Record, frames: int = 1) -> float:
    """The share of the input's neurons that are not zero in a frame, mean over frames and samples.

    A frame is what the ANN sees at once: all that the input sent in ``steps / frames`` steps one after the other. An
    input that did not spike in them is zero there.

    Args:
        record: of the spiking run, with rasters.
        frames: as in :func:`ann_baseline`, at most the number of steps.

    Raises:
        InputError: the run kept no rasters, or has fewer steps.
    """
    frames = as_integer("frames", frames, 1, record.steps, remedy="give 1, or the number of steps")
    name = record.network.input.name
    if name not in record.rasters:
        raise InputError("record: found no rasters, allowed is a run that kept them; run with record='spikes'")
    busy = record.rasters[name].reshape(record.steps, -1) != 0
    return float(np.mean([part.any(axis=0).mean() for part in np.array_split(busy, frames)]))
