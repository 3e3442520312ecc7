"""What the compiled core is given, as tuples of arrays; :mod:`aspen_emulator.engines.fast.kernels` names their
columns."""

from __future__ import annotations

from typing import NamedTuple

from aspen._base.arrays import Array


class Tables(NamedTuple):
    """A network as flat arrays; never changed. Column names above.

    ``outs``: connections by source; ``groups``: (first sum, shift right, factor) of each group of sums, and last (room
    for all sums, largest population, 0); ``places``: what the connections' tables say; ``keep_u``, ``keep_v``,
    ``bias``: for each neuron; ``drive_bias``: the connections' biases, for each neuron; ``biased``: a bit for each
    neuron, in words of 64, set where either is not zero.
    """

    pops: Array
    conns: Array
    groups: Array
    outs: Array
    weights: Array
    places: Array
    fan: Array
    keep_u: Array
    keep_v: Array
    bias: Array
    drive_bias: Array
    biased: Array


class State(NamedTuple):
    """State of the samples: current, membrane, reset owed (rows, neurons); spikes (rows, list) and their numbers."""

    u: Array
    v: Array
    owed: Array
    lists: Array
    lens: Array


class Job(NamedTuple):
    """What one call computes, and with what.

    ``todo``: populations to step; ``loads``: (population, counted) whose spikes are read from an array; ``given``:
    (steps, batch, n) spikes of the input; ``current``: the same of a current; ``outside``: sums computed beforehand,
    with (first or -1, by sample rather than by row, places per step, shift right, factor) for each connection in
    ``outside_at``; ``thresholds`` with (first, stride over dials, steps, samples, neurons) for each population in
    ``thresholds_at``, and last what is never reached; ``rasters`` and ``membranes`` kept, with the first place or -1
    for each population in ``rasters_at`` and ``membranes_at``.
    """

    todo: Array
    loads: Array
    given: Array
    current: Array
    outside: Array
    outside_at: Array
    thresholds: Array
    thresholds_at: Array
    rasters: Array
    rasters_at: Array
    membranes: Array
    membranes_at: Array


class Counts(NamedTuple):
    """Counts of a run: (dials, populations or connections, steps, batch) int64."""

    spikes: Array
    active: Array
    awake: Array
    operations: Array
