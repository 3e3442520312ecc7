"""What the compiled core is given, as tuples of arrays; :mod:`aspen_emulator.engines.fast.core.columns` names their
columns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from aspen._base.arrays import Array


class Tables(NamedTuple):
    """A network as flat arrays; never changed. Column names above.

    ``outs``: connections by source; ``groups``: (first sum, shift right, factor) of each group of sums, and last (room
    for all sums, largest population, rows of windows at once); ``places``: what the connections' tables say;
    ``keep_u``, ``keep_v``, ``bias``: for each neuron; ``drive_bias``: the connections' biases, for each neuron;
    ``biased``: a bit for each neuron, in words of 64, set where either is not zero.
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
    """State of the samples: current, membrane, reset owed (rows, neurons); spikes (rows, list), their numbers, and the
    same as bits (rows, words)."""

    u: Array
    v: Array
    owed: Array
    lists: Array
    lens: Array
    bits: Array


class Job(NamedTuple):
    """What one call computes, and with what.

    ``todo``: populations to step; ``loads``: (population, counted) whose spikes are read from an array; ``given``:
    (steps, batch, n) spikes of the input; ``current``: the same of a current; ``outside``: sums computed beforehand,
    with (first or -1, by sample rather than by row, places per step, shift right, factor) for each connection in
    ``outside_at``; ``thresholds`` with (first, stride over dials, steps, samples, neurons) for each population in
    ``thresholds_at``, and last what is never reached; ``rasters`` and ``membranes`` kept, with the first place or -1
    for each population in ``rasters_at`` and ``membranes_at``.

    Neurons that are off: ``off`` says which pattern of neurons is, or -1 for none, with (first, stride over dials,
    steps, samples, first word of the patterns) for each population in ``off_at``, or -1; ``off_words``: the patterns, a
    bit for each neuron; ``off_fan``: for each pattern and source, how many synapses lead to neurons that are off, with
    (first, population of the targets) for each connection in ``off_fan_at``, or -1, and a row more: whether any is off.
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
    off: Array
    off_at: Array
    off_words: Array
    off_fan: Array
    off_fan_at: Array


class Counts(NamedTuple):
    """Counts of a run: (dials, populations or connections, steps, batch) int64; the last three are what of those before
    fell on neurons that are off, without entries where none ever is."""

    spikes: Array
    active: Array
    awake: Array
    operations: Array
    off_active: Array
    off_awake: Array
    off_operations: Array

    @classmethod
    def zeros(cls, dials: int, populations: int, connections: int, steps: int, batch: int, off: bool) -> Counts:
        """Nothing counted yet.

        Args:
            dials, populations, connections, steps, batch: how many.
            off: whether any neuron is ever off.
        """
        sizes = *[populations] * 3, connections
        counts = [np.zeros((dials, size, steps, batch), np.int64) for size in sizes]
        return cls(*counts, *(np.zeros((off * dials, size, steps, batch), np.int64) for size in sizes[1:]))
