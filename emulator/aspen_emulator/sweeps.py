"""Turn the knob over a range and measure what each setting costs and gives."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from math import sqrt
from pathlib import Path

import numpy as np

from aspen._arrays import Array
from aspen.calibration import OperatingPoint as OperatingPoint
from aspen.errors import InputError
from aspen.files import write_atomically
from aspen.knob import ThresholdScale
from aspen.network import Network
from aspen.profiles import DialProfile
from aspen.record import Record
from aspen_emulator.engines import network_of, run
from aspen_emulator.fast import run_dials
from aspen_emulator.inputs import check_input, thresholds_for
from aspen_hardware.chips import Chip, chip
from aspen_hardware.deployment import Deployment
from aspen_hardware.energy import energy_model

SCALES = (0.5, 0.6, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0, 2.5, 3.0)
GROUP_BYTES = 2**28
"""Memory for the counts of the settings that are run together."""
_Z95 = 1.959964


def wilson(correct: int, samples: int) -> tuple[float, float]:
    """Wilson's 95 % interval for ``correct`` successes among ``samples`` (Wilson, JASA 22, 1927)."""
    rate, z2 = correct / samples, _Z95**2
    middle = (rate + z2 / (2 * samples)) / (1 + z2 / samples)
    half = _Z95 * sqrt(rate * (1 - rate) / samples + z2 / (4 * samples**2)) / (1 + z2 / samples)
    return (middle - half if correct else 0.0), (middle + half if correct < samples else 1.0)


def sweep(
    target: Network | Deployment,
    spikes: Array,
    labels: Array,
    scales: Sequence[float] = SCALES,
    *,
    on: Chip | str | None = None,
    engine: str = "fast",
    profile: DialProfile | None = None,
    progress: Callable[[OperatingPoint], None] | None = None,
) -> list[OperatingPoint]:
    """Run ``target`` at each knob setting.

    Args:
        target: a deployment, or a network in floating point.
        spikes: (time, samples, *input_shape), 0 and 1.
        labels: (samples,) classes.
        scales: knob settings: factors for all hidden populations, or knobs of the ``profile``.
        on: chip for the energies; default: the chip of a deployment, none for a plain network.
        engine: as in :func:`aspen_emulator.run`.
        profile: what a knob setting does to the thresholds; default: it multiplies those of all hidden populations.
        progress: called with each point as soon as it is measured.

    Raises:
        InputError: the labels do not fit the spikes, or a setting is not allowed.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.shape[0] != np.asarray(spikes).shape[1] or labels.dtype.kind not in "iu":
        raise InputError(
            f"labels: found {labels.dtype} of shape {labels.shape}, allowed are "
            f"{np.asarray(spikes).shape[1]} integers, one for each sample"
        )
    description = _chip_of(target, on)
    settings = [float(scale) for scale in scales]
    points = []
    knobs: list[ThresholdScale] = [scale if profile is None else profile.scale(scale) for scale in settings]
    for scale, record in zip(settings, _records(target, spikes, knobs, engine), strict=True):
        points.append(_measure(record, labels, scale, description))
        if progress is not None:
            progress(points[-1])
    return points


def _chip_of(target: Network | Deployment, on: Chip | str | None) -> Chip | None:
    if isinstance(on, Chip):
        return on
    name = on or (target.chip if isinstance(target, Deployment) else None)
    return None if name is None else chip(name)


def _records(
    target: Network | Deployment, spikes: Array, settings: Sequence[ThresholdScale], engine: str
) -> Iterator[Record]:
    """A run at each setting; on the fast engine several at a time, which share what does not depend on the dial."""
    if engine != "fast":
        yield from (run(target, spikes, scale, engine=engine) for scale in settings)
        return
    network = network_of(target)
    checked = check_input(network, spikes)
    steps, batch = checked.shape[:2]
    counts = 8 * steps * batch * (2 * len(network.populations) + len(network.connections))
    together = max(1, GROUP_BYTES // counts)
    for start in range(0, len(settings), together):
        group = [thresholds_for(network, scale, steps, batch) for scale in settings[start : start + together]]
        yield from run_dials(network, checked, group)


def _measure(record: Record, labels: Array, scale: float, description: Chip | None) -> OperatingPoint:
    network = record.network
    correct = int((record.predictions == labels).sum())
    low, high = wilson(correct, len(labels))
    first = [c.name for c in network.connections if c.source == network.input.name]
    hidden = sum(int(n.sum()) for name, n in record.synaptic_operations.items() if name not in first)
    energy = None if description is None else energy_model(record, description)
    dynamic = None if energy is None else energy.dynamic
    static = None if energy is None else energy.static
    return OperatingPoint(
        threshold_scale=scale,
        accuracy=correct / len(labels),
        accuracy_low=low,
        accuracy_high=high,
        hidden_spikes=float(record.hidden_spikes.mean()),
        synaptic_operations=float(record.total_synaptic_operations.mean()),
        hidden_synaptic_operations=hidden / len(labels),
        dynamic_nj=None if dynamic is None else dynamic.typical / len(labels) * 1e9,
        static_nj=None if static is None else static.typical / len(labels) * 1e9,
        samples=len(labels),
    )


def write_csv(path: str | Path, rows: Sequence[dict[str, object]]) -> None:
    """Write rows with the same keys as a CSV file, atomically."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, buffer.getvalue().encode())


def points_to_rows(points: Sequence[OperatingPoint], **extra: object) -> list[dict[str, object]]:
    """Plain rows for a table or a file, with ``extra`` columns in front."""
    return [{**extra, **asdict(point)} for point in points]


def table(points: Sequence[OperatingPoint]) -> str:
    """The points as a readable table."""
    lines = ["  scale   accuracy (95 % interval)   hidden spikes   synaptic ops   dynamic nJ   static nJ"]
    for p in points:
        energy = "".join(f"{'-' if e is None else f'{e:.1f}':>12}" for e in (p.dynamic_nj, p.static_nj))
        lines.append(
            f"{p.threshold_scale:7.2f}   {p.accuracy:7.1%} ({p.accuracy_low:.1%} to {p.accuracy_high:.1%})"
            f"{p.hidden_spikes:16.1f}{p.synaptic_operations:15.0f} {energy}"
        )
    return "\n".join(lines)
