"""Calibration tables of what a bench measured, and when its inferences may end early."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from aspen._base.arrays import Array
from aspen.calibration.early import EarlyStop, calibrate_early, check_enough, fit_doubt, scores_over_time
from aspen.calibration.front import REACH, Tried, find_front, front_of
from aspen.calibration.points import OperatingPoint
from aspen.calibration.storage import CalibrationTable, EarlyPoint, thin
from aspen.dial.path import as_every
from aspen.dial.profile import DialProfile
from aspen.errors import InputError
from aspen.network.network import Network
from aspen_emulator.engines.run import chip_of, network_of
from aspen_emulator.measuring.bench import Bench, Measured, knobs_of, measure, reporting
from aspen_emulator.measuring.front import measure_tried
from aspen_hardware.chips.description import Chip
from aspen_hardware.compiling.deployment import Deployment


def calibrate(
    program: Network | Deployment,
    spikes: Array,
    labels: Array,
    knobs: Sequence[float] | None = None,
    *,
    on: Chip | str | None = None,
    engine: str = "fast",
    profile: DialProfile | None = None,
    max_loss: float | None = None,
    encodings: Sequence[Array] = (),
    subjects: Array | None = None,
    step_time: float | None = None,
    data: str = "samples",
    front: bool = False,
    dynamic: bool = False,
    every: Sequence[int] = (1,),
    progress: Callable[[OperatingPoint], None] | None = None,
) -> CalibrationTable:
    """Sweep ``program``, and keep the knobs worth having: what :func:`aspen_emulator.stream` holds a budget by.

    With ``front`` each knob is measured with many early ends, and the table's knob runs from 0 (most accurate) to 1
    (cheapest) along the front of both.

    >>> import numpy as np
    >>> from aspen.network import Dense, Lif, Network, Population
    >>> lif = Lif(threshold=1.0, beta=0.9)
    >>> layers = Population("input", (2,)), Population("hidden", (3,), lif), Population("output", (2,), lif)
    >>> weights = [[0.9, 0.2], [0.2, 0.9], [0.5, 0.5]], [[1.0, 0.0, 0.4], [0.0, 1.0, 0.4]]
    >>> network = Network(layers, (Dense("input", "hidden", weights[0]), Dense("hidden", "output", weights[1])))
    >>> spikes = np.zeros((8, 2, 2), np.uint8)  # 8 steps, 2 samples, 2 inputs
    >>> spikes[:, 0, 0] = spikes[:, 1, 1] = 1
    >>> table = calibrate(network, spikes, np.array([0, 1]), (0.5, 1.0, 2.0), on="loihi1")
    >>> [(point.knob, point.accuracy) for point in table.points]  # as accurate as the others, and the cheapest
    [(2.0, 1.0)]

    Args:
        program: a deployment, or a network in floating point.
        spikes: (time, samples, *input_shape), 0 and 1: of validation data, never of test data.
        labels: (samples,) classes.
        knobs, on, engine, profile: as in :func:`aspen_emulator.sweep`.
        max_loss: accuracy that ending inferences early may cost, as a fraction; default: they are not ended early.
        encodings: the same samples, encoded anew by other seeds, where the encoder is random: all are averaged.
        subjects: (samples,) who each sample is from, where that is known: intervals are then for subjects not seen.
        step_time: seconds of a step, instead of the chip's; a microcontroller sleeps between its steps.
        data: what to call the samples.
        front: whether the knob is that of the front of dial and early end; ``max_loss`` is not needed for it.
        dynamic: with ``front``: whether it is the front of dynamic energy; otherwise of total energy.
        every: with ``front``: numbers n, from 1; all is measured with every n-th time step alone too, and the knob may
            leave out the others.
        progress: called with each point as soon as it is measured.

    Returns:
        The table, for ``on``, or the chip of a deployment; :func:`aspen.save_table` keeps it in a file.

    Raises:
        InputError: the labels do not fit the spikes, or a setting is not allowed.
    """
    bench = Bench(program, [spikes, *encodings], labels, [chip_of(program, on)], engine, profile, subjects, step_time)
    if max_loss is not None:
        check_samples(bench, max_loss)
        if front:
            raise InputError("max_loss: found it beside front, allowed is one, as a front has many; leave one out")
    if dynamic and not front:
        raise InputError("dynamic: found True without front, allowed is with it; leave it out")
    every = checked_every(every, bench.steps)
    if every != (1,) and not front:
        raise InputError(f"every: found {every} without front, allowed is with it; leave it out")
    measured = measure(bench, knobs_of(knobs, profile), progress=reporting(bench, progress))
    (table,) = make_tables(bench, measured, data, max_loss=max_loss)
    return make_front(bench, measured, table, dynamic=dynamic, every=every)[0] if front else table


def checked_every(every: Sequence[int], steps: int) -> tuple[int, ...]:
    """Numbers n, of which every n-th of so many time steps is to run alone, with 1 among them.

    Raises:
        InputError: they are no such numbers, or there are not as many steps.
    """
    found = sorted({1, *as_every(every, len(every))})
    if found[-1] > steps:
        raise InputError(
            f"every: found {found[-1]}, allowed is up to the {steps} time steps of these samples; take a smaller one"
        )
    return tuple(found)


def make_tables(
    bench: Bench, measured: Measured, data: str, *, max_loss: float | None = None
) -> list[CalibrationTable]:
    """Calibration tables, one for each chip: the points that :func:`aspen.calibration.storage.thin` keeps.

    Args:
        bench: what was measured.
        measured: on validation data, never on test data.
        data: what to call the data.
        max_loss: accuracy that ending inferences early may cost, as a fraction; default: they are not ended early.
    """
    tables = []
    for each in bench.chips:
        name = None if each is None else each.name
        table = CalibrationTable(
            chip=name,
            dial="scale" if bench.profile is None else "profile",
            steps=bench.steps,
            step_time=None if each is None else each.usual_step if bench.step_time is None else bench.step_time,
            data=data,
            seeds=len(bench.encodings),
            points=tuple(thin(measured.points[name], measured.correct)),
        )
        tables.append(table if max_loss is None else _with_early(table, bench, max_loss))
    return tables


def _with_early(table: CalibrationTable, bench: Bench, max_loss: float) -> CalibrationTable:
    knobs = [point.knob for point in table.points]
    early = calibrate_stop(bench, knobs, max_loss)
    ended = measure(bench, knobs, early=early)
    return replace(table, early=early, early_points=tuple(map(EarlyPoint, ended.points[table.chip], ended.taken)))


def calibrate_stop(bench: Bench, knobs: Sequence[float], max_loss: float) -> EarlyStop:
    """When inferences may end at these settings, found on these samples; see :func:`aspen.calibrate_early`."""
    check_samples(bench, max_loss)
    readout = network_of(bench.program).readout
    return calibrate_early(*_scored(bench, knobs), readout=readout, max_loss=max_loss, guard=_guard(bench))


def check_samples(bench: Bench, max_loss: float) -> None:
    """Raise InputError where there are too few samples for :func:`calibrate_stop`, before anything is measured."""
    check_enough(len(bench.labels) * len(bench.encodings), max_loss, _guard(bench))


def _guard(bench: Bench) -> float:
    """One standard error, were all encodings of a sample right or wrong together."""
    return float(len(bench.encodings) ** 0.5)


def _scored(bench: Bench, knobs: Sequence[float]) -> tuple[dict[float, Array], Array]:
    """Knob -> (steps, samples of all encodings, n) scores over time, and the labels of these samples."""
    found: dict[float, list[Array]] = {knob: [] for knob in knobs}
    for encoding in range(len(bench.encodings)):
        for knob, record in zip(knobs, bench.records(knobs, encoding), strict=True):
            scores = scores_over_time(record)
            found[knob].append(scores.astype(np.int32) if scores.dtype.kind == "i" and scores.max() < 2**31 else scores)
    return {k: np.concatenate(each, axis=1) for k, each in found.items()}, np.tile(bench.labels, len(bench.encodings))


def make_front(
    bench: Bench,
    measured: Measured,
    table: CalibrationTable,
    *,
    early: bool = True,
    dynamic: bool = False,
    reach: float = REACH,
    every: Sequence[int] = (1,),
    progress: Callable[[int, int], None] | None = None,
) -> tuple[CalibrationTable, Tried]:
    """The table of a knob along the front of dial, early end and fewer steps, and all that was measured for it.

    Args:
        bench: what was measured; the front is that of its first chip.
        measured: whole inferences at each knob, on validation data, never on test data.
        table: of that chip, of whole inferences.
        early: whether inferences may end early; otherwise the dial is the only lever.
        dynamic: whether the front is that of dynamic energy; otherwise of total energy.
        reach: fraction of accuracy between the two ends of the knob at most.
        every: numbers n, with 1 among them: inferences that take every n-th time step alone are measured too.
        progress: called after each run with how many there were, and will be.
    """
    points = measured.points[table.chip]
    floor = max(point.accuracy for point in points) - reach
    near = [k for k, point in enumerate(points) if point.accuracy >= floor]
    knobs, stop = [points[k].knob for k in near], None
    if early:
        stop = fit_doubt(*_scored(bench, knobs), readout=network_of(bench.program).readout, max_loss=reach)
    if early or len(every) > 1:
        only = replace(bench, chips=bench.chips[:1])
        tried = measure_tried(only, knobs, stop, progress, every=every)[table.chip]
    else:
        kept, taken = [points[k] for k in near], [measured.taken[k] for k in near]
        tried = Tried(kept, [0.0] * len(near), taken, measured.correct[near])
    return front_of(tried, find_front(tried, dynamic, reach), table, stop, dynamic), tried
