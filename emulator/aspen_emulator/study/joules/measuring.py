"""What the networks of the study in joules take on each chip, counted in that chip's integers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from aspen.calibration.points import OperatingPoint, thin
from aspen.data import Dataset
from aspen.dial.profile import DialProfile, load_profile
from aspen.network.network import load_network
from aspen.storage.file import AspenFile
from aspen_emulator.engines.run import network_of
from aspen_emulator.measuring.bench import Bench, measure
from aspen_emulator.measuring.tables import calibrate
from aspen_emulator.study.cells import stem
from aspen_emulator.study.joules.problems import NESTED, JoulesProblem
from aspen_emulator.study.measuring import KNOBS, kept_key
from aspen_hardware import Chip, Deployment, chip, compile
from aspen_hardware.chips.parts import runs_programs

FRONT_KNOBS = KNOBS[::4]
"""At which early ends are measured beside the dial, for the front of both."""
STAND_IN = "loihi1"
"""Whose integers a network has on a chip that ASPEN knows no number formats of."""


def key(cell: str, seed: int, on: str) -> str:
    """Under which the points of a network on a chip are kept."""
    return f"{stem(cell, seed)}/{on}"


def front_key(name: str) -> str:
    """Where the settings along the front of all levers are."""
    return f"{name}/front"


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

    Of the dial also those of one knob along the front of all levers, found on validation data, under
    :func:`front_key`; on validation data also those of the dial that a calibration keeps, under :func:`kept_key`.

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
        networks = {on: problem.dial_on(on) if cell == NESTED else cell for on in problem.chips}
        data = {network: problem.data(network, path) for network in set(networks.values())}
        for seed in range(seeds):
            for on in problem.chips:
                name = key(cell, seed, on)
                if name in points:
                    continue
                file, samples = folder / f"{stem(networks[on], seed)}.aspen", data[networks[on]]
                bench = _bench(file, cell == NESTED, samples, part, chip(on), problem)
                found = measure(bench, KNOBS if cell == NESTED else (1.0,))
                points[name] = found.points[on]
                if cell == NESTED and chip(on).energies:
                    points[front_key(name)] = _along_front(bench, samples, problem.every)
                if cell == NESTED and part == "validation":
                    points[kept_key(name)] = thin(points[name], found.correct)
            report(stem(cell, seed))
    return points


def _bench(path: Path, dialled: bool, data: Dataset, part: str, on: Chip, problem: JoulesProblem) -> Bench:
    """A saved network in the integers of a chip, whose steps fill the window where it sleeps between them."""
    file, spikes = AspenFile.open(path), data.spikes(part)
    profile = load_profile(file) if dialled else None
    step_time = problem.window / len(spikes) if runs_programs(on) or on.energy_only else None
    program: Deployment = compile(load_network(file), STAND_IN if on.energy_only else on, profile=profile)
    return Bench(program, [spikes], data.part(part).labels, [on], profile=profile, step_time=step_time)


def _along_front(bench: Bench, data: Dataset, every: tuple[int, ...]) -> list[OperatingPoint]:
    """What a bench's network takes along one knob over all levers, calibrated on validation data: total energy on a
    chip that sleeps, else dynamic."""
    (on,), profile = bench.chips, bench.profile
    assert on is not None
    assert isinstance(profile, DialProfile)
    table = calibrate(
        bench.program, data.spikes("validation"), data.validation.labels, FRONT_KNOBS, on=on, profile=profile,
        step_time=bench.step_time, front=True, dynamic=not runs_programs(on),
        every=every,
    )  # fmt: skip
    path = table.along(network_of(bench.program), profile)
    return measure(replace(bench, profile=path), KNOBS, early=table.early).points[on.name]


def neurons_on(folder: Path, cell: str, seeds: int) -> list[float]:
    """Hidden neurons of dialled networks that are on at each of :data:`KNOBS`, means over seeds."""
    totals = np.zeros(len(KNOBS))
    for seed in range(seeds):
        file = AspenFile.open(folder / f"{stem(cell, seed)}.aspen")
        network, profile = load_network(file), load_profile(file)
        for name in network.hidden:
            size = network[name].size
            scales = [np.broadcast_to(profile.scale(knob).get(name, 1.0), (1, 1, size)) for knob in KNOBS]
            totals += [np.isfinite(scale).sum() for scale in scales]
    return (totals / seeds).tolist()
