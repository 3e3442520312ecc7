"""What the networks of the study in joules take on each chip, counted in that chip's integers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from aspen.calibration.points import OperatingPoint, thin
from aspen.dial.profile import load_profile
from aspen.network.network import load_network
from aspen.storage.file import AspenFile
from aspen_emulator.measuring.bench import Bench, measure
from aspen_emulator.study.cells import stem
from aspen_emulator.study.joules.problems import NESTED, JoulesProblem
from aspen_emulator.study.measuring import KNOBS, kept_key
from aspen_hardware import Chip, Deployment, chip, compile
from aspen_hardware.chips.parts import runs_programs

STAND_IN = "loihi1"
"""Whose integers a network has on a chip that ASPEN knows no number formats of."""


def key(cell: str, seed: int, on: str) -> str:
    """Under which the points of a network on a chip are kept."""
    return f"{stem(cell, seed)}/{on}"


def measure_joules(
    problem: JoulesProblem,
    path: str | None,
    folder: Path,
    seeds: int,
    part: str,
    report: Callable[[str], None],
    known: Mapping[str, Sequence[OperatingPoint]] | None = None,
) -> dict[str, list[OperatingPoint]]:
    """Operating points of all networks on each chip: the dial's at each knob, and one of each rival.

    Of the dial on validation data also those that a calibration keeps, under :func:`kept_key`.

    Args:
        problem: data, networks and chips.
        path: where the data lie.
        folder: with the networks.
        seeds: networks of each kind.
        part: of the data.
        report: called with the name of each network that is measured.
        known: what was measured before, and is not measured again.
    """
    points = {name: list(found) for name, found in (known or {}).items()}
    for cell in problem.measured:
        data = problem.data(cell, path)
        spikes, labels = data.spikes(part), data.part(part).labels
        for seed in range(seeds):
            for on in problem.chips:
                name = key(cell, seed, on)
                if name in points:
                    continue
                description = chip(on)
                bench = _bench(folder / f"{stem(cell, seed)}.aspen", cell == NESTED, spikes, labels, description,
                               problem.window)  # fmt: skip
                found = measure(bench, KNOBS if cell == NESTED else (1.0,))
                points[name] = found.points[on]
                if cell == NESTED and part == "validation":
                    points[kept_key(name)] = thin(points[name], found.correct)
            report(stem(cell, seed))
    return points


def _bench(path: Path, dialled: bool, spikes: np.ndarray, labels: np.ndarray, on: Chip, window: float) -> Bench:
    """A saved network in the integers of a chip, whose steps fill the window where it sleeps between them."""
    file = AspenFile.open(path)
    profile = load_profile(file) if dialled else None
    waits = runs_programs(on) or bool(on.energy_only)
    step_time = window / len(spikes) if waits else None
    program: Deployment = compile(load_network(file), STAND_IN if on.energy_only else on, profile=profile)
    return Bench(program, [spikes], labels, [on], profile=profile, step_time=step_time)


def neurons_on(folder: Path, seeds: int) -> list[float]:
    """Hidden neurons of the dialled networks that are on at each of :data:`KNOBS`, means over seeds."""
    totals = np.zeros(len(KNOBS))
    for seed in range(seeds):
        file = AspenFile.open(folder / f"{stem(NESTED, seed)}.aspen")
        network, profile = load_network(file), load_profile(file)
        for name in network.hidden:
            size = network[name].size
            scales = [np.broadcast_to(profile.scale(knob).get(name, 1.0), (1, 1, size)) for knob in KNOBS]
            totals += [np.isfinite(scale).sum() for scale in scales]
    return (totals / seeds).tolist()
