"""The spikes of a few samples at a few settings: as recorded, none made up in between."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from aspen._base.arrays import Array
from aspen.calibration.early import EarlyStop, scores_over_time
from aspen.dial.path import seen
from aspen.dial.scale import ThresholdScale
from aspen.network.network import Network
from aspen.network.readout import answers
from aspen.network.record import Record
from aspen_emulator.engines.run import network_of, run
from aspen_emulator.exploring.explored import Raster, Rasters
from aspen_emulator.measuring.bench import Bench

MOST_SETTINGS = 5
MOST_SAMPLES = 6
MOST_NEURONS = 128
"""Of a population."""
MOST_SPIKES = 100_000
"""In all that is recorded: about half a megabyte."""


def rasters_of(bench: Bench, knobs: Sequence[float], early: EarlyStop | None = None) -> Rasters:
    """Record the first sample of each of a few classes at settings that are spread evenly over ``knobs``.

    Args:
        bench: what is run.
        knobs: the settings.
        early: ends inferences early.
    """
    network, labels = network_of(bench.program), bench.labels
    samples = first_of_each(labels)[:MOST_SAMPLES]
    neurons = {name: spread(network[name].size, MOST_NEURONS) for name in _shown(network)}
    recorded, spent = [], 0
    for setting in spread(len(knobs), MOST_SETTINGS):
        scale: ThresholdScale = knobs[setting] if bench.profile is None else bench.profile.scale(knobs[setting])
        given = np.ascontiguousarray(np.asarray(bench.encodings[0])[:, samples])
        every = bench.every(knobs[setting])
        record = run(bench.program, seen(given, every), scale, engine=bench.engine, record="spikes")
        raster = _raster(
            record, setting, neurons, None if early is None else partial(early.stops, knob=knobs[setting], every=every)
        )
        recorded.append(raster)
        spent = max(spent, *(sum(map(len, sample.values())) for sample in raster.samples))
    kept = max(1, min(len(samples), MOST_SPIKES // max(spent * len(recorded), 1)))
    return Rasters(
        samples=samples[:kept],
        labels=labels[samples[:kept]].tolist(),
        neurons=neurons,
        recorded=[
            Raster(each.setting, each.samples[:kept], each.answers[:kept], each.steps[:kept]) for each in recorded
        ],
    )


def _shown(network: Network) -> list[str]:
    """Populations that spike: an input of currents or values does not."""
    return [name for name in network.names if name in network.order or not network[name].current]


def first_of_each(labels: Array) -> list[int]:
    """The first sample of each class, in the order of the classes.

    >>> first_of_each(np.array([2, 0, 2, 1]))
    [1, 3, 0]
    """
    return [int(np.flatnonzero(labels == label)[0]) for label in np.unique(labels)]


def spread(count: int, most: int) -> list[int]:
    """Of ``count`` numbers from 0 as many as ``most``, evenly, the first and the last among them.

    >>> spread(3, 5), spread(11, 5)
    ([0, 1, 2], [0, 2, 5, 8, 10])
    """
    return list(range(count)) if count <= most else np.linspace(0, count - 1, most).round().astype(int).tolist()


def _raster(
    record: Record, setting: int, neurons: Mapping[str, Sequence[int]], stops: Callable[[Array], Array] | None
) -> Raster:
    """What is recorded at a setting; ``stops`` says of scores over time how many steps each inference takes."""
    taken, given = np.full(record.batch, record.steps), record.predictions
    if stops is not None:
        scores = scores_over_time(record)
        taken = stops(scores)
        given = answers_at(scores, taken)
    samples = [
        {name: _places(record.rasters[name], sample, int(taken[sample]), shown) for name, shown in neurons.items()}
        for sample in range(record.batch)
    ]
    return Raster(setting, samples, given.tolist(), taken.tolist())


def _places(raster: Array, sample: int, taken: int, shown: Sequence[int]) -> list[int]:
    """Spikes of one sample as ``step * neurons shown + place``."""
    spikes = raster[:taken, sample].reshape(taken, -1)[:, list(shown)]
    return np.flatnonzero(spikes).tolist()


def answers_at(scores: Array, taken: Array) -> Array:
    """(batch,): the answers of inferences that take so many steps, from scores over time (steps, batch, n)."""
    return answers(scores[taken - 1, np.arange(len(taken))])
