"""Calibration tables of what a bench measured, and when its inferences may end early."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from aspen._base.arrays import Array
from aspen.calibration.early import EarlyStop, calibrate_early, scores_over_time
from aspen.calibration.storage import CalibrationTable, EarlyPoint, thin
from aspen_emulator.engines.run import network_of
from aspen_emulator.measuring.bench import Bench, Measured, measure


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
            step_time=None if each is None else each.usual_step,
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
    found: dict[float, list[Array]] = {knob: [] for knob in knobs}
    for encoding in range(len(bench.encodings)):
        for knob, record in zip(knobs, bench.records(knobs, encoding), strict=True):
            scores = scores_over_time(record)
            found[knob].append(scores.astype(np.int32) if scores.dtype.kind == "i" and scores.max() < 2**31 else scores)
    scores_by_knob = {knob: np.concatenate(each, axis=1) for knob, each in found.items()}
    labels, readout = np.tile(bench.labels, len(bench.encodings)), network_of(bench.program).readout
    guard = len(bench.encodings) ** 0.5  # one standard error, were all encodings of a sample right or wrong together
    return calibrate_early(scores_by_knob, labels, readout=readout, max_loss=max_loss, guard=guard)
