"""Runs the study's networks on a part of the data and keeps what was counted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from aspen._base.checks import as_flag, as_number, as_numbers
from aspen.calibration.points import OperatingPoint, point_of, thin
from aspen.data import load_dataset
from aspen.dial.profile import load_profile
from aspen.errors import FileFormatError, one_line
from aspen.network.network import load_network
from aspen.storage.container import MALFORMED
from aspen.storage.file import AspenFile
from aspen.storage.json import parse_json
from aspen.storage.writing import write_atomically
from aspen_emulator.engines.inputs import check_input
from aspen_emulator.engines.run import run
from aspen_emulator.measuring.bench import SCALES, Bench, measure
from aspen_emulator.study.cells import stem
from aspen_emulator.study.problems import DIAL, WARM, Problem
from aspen_hardware import chip, compile

KNOBS = tuple(float(k) for k in np.round(np.linspace(0, 1, 21), 2))
ARITHMETICS = ("integers", "float")
Kept = TypeVar("Kept")
Points = Mapping[str, Sequence[OperatingPoint]]
"""``cell-seed/arithmetic`` -> operating points, one for each knob."""


def measure_networks(
    problem: Problem, path: str | None, folder: Path, seeds: int, part: str, report: Callable[[str], None]
) -> dict[str, list[OperatingPoint]]:
    """Operating points of all networks on a part of the data, in the chip's integers and in floating point.

    Of a dial on validation data also those that a calibration keeps, under :func:`kept_key`.
    """
    data = load_dataset(problem.name, path)
    spikes, labels = data.spikes(part), data.part(part).labels
    points: dict[str, list[OperatingPoint]] = {}
    for cell in problem.cells:
        if cell == WARM:
            continue
        for seed in range(seeds):
            file = AspenFile.open(folder / f"{stem(cell, seed)}.aspen")
            network, profile = load_network(file), load_profile(file) if cell == DIAL else None
            settings = KNOBS if cell == DIAL else SCALES if cell in ("plain", "perturbed") else (1.0,)
            for arithmetic in ARITHMETICS:
                on_chip = arithmetic == "integers"
                program = compile(network, problem.chip, profile=profile) if on_chip else network
                bench = Bench(program, [spikes], labels, [chip(problem.chip)], profile=profile)
                found = measure(bench, settings)
                key = f"{stem(cell, seed)}/{arithmetic}"
                points[key] = found.points[problem.chip]
                if cell == DIAL and part == "validation":
                    points[kept_key(key)] = thin(points[key], found.correct)
            report(stem(cell, seed))
    return points


def kept_key(key: str) -> str:
    """Where the settings are that a calibration keeps."""
    return f"{key}/kept"


@dataclass(frozen=True)
class Spent:
    """Where the spikes of a dialled network are, in integers; means over samples and seeds.

    Args:
        input_events: input spikes, or values other than zero, per inference.
        first_layer: synaptic operations, or multiply-accumulates of values, that they cause.
        analog: whether they are values.
        populations: hidden population -> spikes per inference, one for each of :data:`KNOBS`.
    """

    input_events: float
    first_layer: float
    analog: bool
    populations: dict[str, list[float]]

    def __post_init__(self) -> None:
        as_number("input_events", self.input_events, 0)
        as_number("first_layer", self.first_layer, 0)
        as_flag("analog", self.analog)
        for name, spikes in self.populations.items():
            as_numbers(name, spikes, 0)


def measure_spent(problem: Problem, path: str | None, folder: Path, seeds: int, part: str) -> Spent:
    """Run the dialled networks of all seeds at each knob, and count."""
    data = load_dataset(problem.name, path)
    spikes = data.spikes(part)
    events, first, analog = 0.0, 0.0, False
    populations: dict[str, list[float]] = {}
    for seed in range(seeds):
        file = AspenFile.open(folder / f"{stem(DIAL, seed)}.aspen")
        network, profile = load_network(file), load_profile(file)
        deployment = compile(network, problem.chip, profile=profile)
        given = check_input(deployment.network, spikes)
        for number, knob in enumerate(KNOBS):
            record = run(deployment, spikes, profile.scale(knob))
            for name in network.hidden:
                mean_spikes = populations.setdefault(name, [0.0] * len(KNOBS))
                mean_spikes[number] += float(record.spikes[name].sum()) / record.batch / seeds
        analog = bool(record.multiply_accumulates)
        counts = record.multiply_accumulates or record.synaptic_operations
        first_layer = [c.name for c in network.input_connections]
        first += sum(int(counts[name].sum()) for name in first_layer) / record.batch / seeds
        events += np.count_nonzero(given) / record.batch / seeds
    return Spent(events, first, analog, populations)


def write_points(points: Points, path: Path) -> None:
    """Keep operating points as JSON."""
    plain = {name: [asdict(point) for point in found] for name, found in points.items()}
    write_atomically(path, json.dumps(plain, indent=1).encode())


def read_points(path: Path) -> dict[str, list[OperatingPoint]]:
    """What :func:`write_points` wrote."""
    return _read(path, lambda kept: {name: [point_of(p) for p in found] for name, found in kept.items()})


def write_spent(spent: Spent, path: Path) -> None:
    """Keep what was spent as JSON."""
    write_atomically(path, json.dumps(asdict(spent), indent=1).encode())


def read_spent(path: Path) -> Spent:
    """What :func:`write_spent` wrote."""
    return _read(path, lambda kept: Spent(**kept))


def _read(path: Path, build: Callable[[Any], Kept]) -> Kept:
    try:
        return build(parse_json(path.read_text(encoding="utf-8")))
    except (OSError, *MALFORMED) as error:
        raise FileFormatError(f"{path}: not readable ({one_line(error)}); remove it and measure again") from error
