"""What a run costs when its inferences end early."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from aspen._base.arrays import Array
from aspen.network.record import Record


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

    return replace(
        record,
        output=kept({"output": record.output})["output"],
        spikes=kept(record.spikes),
        synaptic_operations=kept(record.synaptic_operations),
        active_updates=kept(record.active_updates),
        awake_updates=kept(record.awake_updates),
        multiply_accumulates=kept(record.multiply_accumulates),
        rasters=kept(record.rasters),
        membranes={},
    )
