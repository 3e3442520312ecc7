"""Measure what a page shows: at every place of the knob accuracy, energies, answers and spikes, from one run each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import mean
from typing import Any

import numpy as np

from aspen._base.arrays import Array
from aspen.calibration.early import EarlyStop, scores_over_time
from aspen.calibration.points import OperatingPoint, pareto_front
from aspen.network.network import Network
from aspen.network.record import Record
from aspen_emulator.engines.run import network_of
from aspen_emulator.exploring.described import chips_of, groups_of, rounding_of, told_here
from aspen_emulator.exploring.explored import Cost, Event, Exploration, Rounded, Setting
from aspen_emulator.exploring.rasters import answers_at, rasters_of
from aspen_emulator.exploring.thinning import in_bins, merged, most_confused, together
from aspen_emulator.measuring.bench import Bench, averaged, observed
from aspen_emulator.measuring.early import energy_early
from aspen_hardware.chips.description import Chip
from aspen_hardware.chips.ranges import ByScenario, Range
from aspen_hardware.compiling.deployment import Deployment
from aspen_hardware.energy.report import EnergyReport
from aspen_hardware.energy.text import headline

NO_CHIP = "none"
"""What stands for the chip where there is none."""
COSTS: dict[str, Callable[[OperatingPoint], float | None]] = {
    "total": lambda point: point.total_nj,
    "dynamic": lambda point: point.dynamic_nj,
    "hidden_spikes": lambda point: point.hidden_spikes,
}
"""What accuracy is bought with."""


@dataclass(frozen=True)
class Told:
    """How a page calls what was measured.

    Args:
        name: of the network.
        arithmetic: what it runs in.
        data: what it is measured on.
        knob: what is turned.
        classes: names of the classes; default: their numbers.
    """

    name: str
    arithmetic: str
    data: str
    knob: str
    classes: Sequence[str] = ()


@dataclass
class _Seen:
    """What the runs at one setting gave, one for each encoding."""

    points: list[Mapping[str | None, OperatingPoint]] = field(default_factory=list)
    reports: list[Mapping[str, EnergyReport]] = field(default_factory=list)
    answers: list[Array] = field(default_factory=list)
    whole: list[Array] = field(default_factory=list)
    whole_spikes: list[float] = field(default_factory=list)
    right: list[Array] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)
    spikes: list[dict[str, Array]] = field(default_factory=list)
    operations: list[dict[str, float]] = field(default_factory=list)
    off: dict[str, float] = field(default_factory=dict)


def explore(
    bench: Bench,
    knobs: Sequence[float],
    told: Told,
    *,
    early: EarlyStop | None = None,
    original: Network | None = None,
    progress: Callable[[], None] | None = None,
) -> Exploration:
    """Measure at each knob all that a page shows.

    Args:
        bench: what is measured, on which chips.
        knobs: where the knob stands; the settings of the page are these in ascending order.
        told: how things are called.
        early: ends inferences early; spikes and energies are then those of the steps taken.
        original: the network in floating point, where the bench runs its integers: both are compared.
        progress: called after each run: (2 where ``original`` is given, else 1) x knobs x encodings times.
    """
    knobs, network = sorted(knobs), network_of(bench.program)
    seen = [_Seen() for _ in knobs]
    for encoding in range(len(bench.encodings)):
        for k, record in enumerate(bench.records(knobs, encoding)):
            _look(seen[k], bench, record, knobs[k], early)
            if progress is not None:
                progress()
    exact = None if original is None else _exactly(replace(bench, program=original, chips=(None,)), knobs, progress)
    points = averaged(bench, [each.points for each in seen], np.array([np.mean(each.right, axis=0) for each in seen]))
    chips = chips_of(bench, [each.reports[0] for each in seen])
    called = {name or NO_CHIP: found for name, found in points.items()}
    size = network[network.output].size
    answered = [_confusion(bench.labels, each.answers, size) for each in seen]
    confused, joined = most_confused(answered), together(bench.steps, len(knobs) * len(network.names))
    return Exploration(
        name=told.name,
        arithmetic=told.arithmetic,
        groups=groups_of(network),
        synapses=network.n_synapses,
        data=told.data,
        samples=len(bench.labels),
        steps=bench.steps,
        encodings=len(bench.encodings),
        classes=tuple(told.classes) or tuple(map(str, range(size))),
        confused=confused,
        together=joined,
        knob=told.knob,
        settings=[
            Setting(
                knob=knob,
                points={name: found[k] for name, found in called.items()},
                steps=mean(each.steps),
                every=bench.every(knob),
                spikes=_mean_of([{name: in_bins(s, joined) for name, s in run.items()} for run in each.spikes]),
                off=each.off,
                operations={name: mean(run[name] for run in each.operations) for name in each.operations[0]},
                confusion=merged(answered[k], confused).tolist(),
                costs={name: _cost([run[name] for run in each.reports], of) for name, of in chips.items()},
                rounded=None if exact is None else _rounded(bench.labels, each, exact[k]),
            )
            for k, (knob, each) in enumerate(zip(knobs, seen, strict=True))
        ],
        rasters=rasters_of(bench, knobs, early),
        chips=chips,
        fronts={name: _fronts(found) for name, found in called.items()},
        rounding=rounding_of(bench.program) if isinstance(bench.program, Deployment) else None,
    )


def _look(seen: _Seen, bench: Bench, record: Record, knob: float, early: EarlyStop | None) -> None:
    """Add what one run shows."""
    scores = None if early is None else scores_over_time(record)
    taken = None if early is None or scores is None else early.stops(scores, knob, bench.every(knob))
    points, right = observed(bench, record, knob, scores, taken)
    seen.points.append(points)
    seen.right.append(right)
    seen.reports.append({c.name: _energy(bench, record, c, knob, taken) for c in bench.chips if c is not None})
    seen.whole.append(record.predictions)
    seen.whole_spikes.append(float(record.hidden_spikes.mean()))
    seen.answers.append(record.predictions if scores is None or taken is None else answers_at(scores, taken))
    steps = np.full(record.batch, record.steps) if taken is None else taken
    seen.steps.append(float(steps.mean()))
    runs = np.arange(record.steps)[:, None] < steps
    seen.spikes.append({name: (counts * runs).mean(axis=1) for name, counts in record.spikes.items()})
    seen.operations.append(
        {name: float((counts * runs).sum() / record.batch) for name, counts in record.synaptic_operations.items()}
    )
    seen.off = {name: float(counts.mean()) for name, counts in record.off.neurons.items()}


def _energy(bench: Bench, record: Record, on: Chip, knob: float, taken: Array | None) -> EnergyReport:
    if taken is None:
        return bench.energy(record, on, bench.every(knob))
    placed, ways = bench.placements[on.name], bench.ways[on.name]
    return energy_early(record, taken, on, placed, step_time=bench.seconds(bench.every(knob)), ways=ways)


def _exactly(
    bench: Bench, knobs: Sequence[float], progress: Callable[[], None] | None
) -> list[tuple[list[Array], float]]:
    """For each knob the answers in floating point, one array for each encoding, and the hidden spikes per inference."""
    found: list[list[tuple[Array, float]]] = [[] for _ in knobs]
    for encoding in range(len(bench.encodings)):
        for k, record in enumerate(bench.records(knobs, encoding)):
            found[k].append((record.predictions, float(record.hidden_spikes.mean())))
            if progress is not None:
                progress()
    return [([given for given, _ in each], mean(spikes for _, spikes in each)) for each in found]


def _rounded(labels: Array, seen: _Seen, exact: tuple[list[Array], float]) -> Rounded:
    given, spikes = exact
    return Rounded(
        accuracy_float=float(np.mean([each == labels for each in given])),
        accuracy_integers=float(np.mean([each == labels for each in seen.whole])),
        hidden_spikes_float=spikes,
        hidden_spikes_integers=mean(seen.whole_spikes),
        alike=float(np.mean([a == b for a, b in zip(given, seen.whole, strict=True)])),
    )


def _mean_of(runs: Sequence[Mapping[str, Array]]) -> dict[str, list[float]]:
    """The mean over encodings, to six digits, as there are many."""
    return {name: [float(f"{each:.6g}") for each in np.mean([r[name] for r in runs], axis=0)] for name in runs[0]}


def _confusion(labels: Array, given: Sequence[Array], classes: int) -> Array:
    """(classes, classes + 1) inferences by true class and answer; no answer, -1, falls in the last column."""
    found = np.zeros((classes, classes + 1), np.int64)
    for each in given:
        np.add.at(found, (labels, each), 1)
    return found


def _cost(reports: Sequence[EnergyReport], everywhere: Mapping[str, Any]) -> Cost:
    """The mean over encodings, per inference; in words, of the first."""
    parts = [report.per_inference for report in reports]
    return Cost(
        total=_mean_range([each.total for each in parts]),
        dynamic=_mean_range([each.dynamic for each in parts]),
        static=_mean_range([each.static for each in parts]),
        events=[
            Event(
                where=same[0].where,
                event=same[0].event,
                count=mean(entry.count / report.samples for entry, report in zip(same, reports, strict=True)),
                joules=_mean_range([
                    None if entry.joules is None else entry.joules.times(1 / report.samples)
                    for entry, report in zip(same, reports, strict=True)
                ]),
            )
            for same in zip(*(report.entries for report in reports), strict=True)
        ],
        headline=headline(reports[0]),
        told=told_here(reports[0], everywhere),
    )  # fmt: skip


def _mean_range(energies: Sequence[Range | ByScenario | None]) -> dict[str, float] | None:
    known = [each for each in energies if each is not None]
    if len(known) < len(energies):
        return None
    return {end: mean(getattr(each, end) for each in known) for end in ("low", "typical", "high")}


def _fronts(points: Sequence[OperatingPoint]) -> dict[str, list[int]]:
    """Cost -> the settings on the front, cheapest first; costs that are not known are left out."""
    place = {id(point): k for k, point in enumerate(points)}
    return {
        name: [place[id(point)] for point in pareto_front(points, partial(_known, cost))]
        for name, cost in COSTS.items()
        if all(cost(point) is not None for point in points)
    }


def _known(cost: Callable[[OperatingPoint], float | None], point: OperatingPoint) -> float:
    found = cost(point)
    assert found is not None  # as it was looked at
    return found
