"""A network whose outputs repeat its inputs, and samples of which some say nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from aspen.network.network import Dense, Lif, Network, Population

Array = np.ndarray[Any, np.dtype[Any]]
STEPS, CLASSES = 6, 3


def echo(readout: str = "spikes") -> Network:
    """Three inputs into three hidden neurons into three outputs; each spike is passed on within the step."""
    populations = [Population("in", (CLASSES,))]
    populations += [Population(name, (CLASSES,), Lif(threshold=1.0, beta=0.0)) for name in ("hidden", "out")]
    weight = 1.5 * np.eye(CLASSES)
    return Network(populations, [Dense("in", "hidden", weight), Dense("hidden", "out", weight)], readout=readout)


def spikes_for(labels: Array) -> Array:
    """(STEPS, samples, CLASSES): the input of the label's number spikes at every step; none for -1."""
    each = (np.arange(CLASSES) == np.asarray(labels)[:, None]).astype(np.uint8)
    return np.broadcast_to(each, (STEPS, *each.shape)).copy()
