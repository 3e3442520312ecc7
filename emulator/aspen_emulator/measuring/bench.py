"""Turn the knob over a range and measure what each setting costs and gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import groupby
from math import floor
from statistics import mean
from types import MappingProxyType

import numpy as np

from aspen._base.arrays import Array
from aspen._base.brief import Brief
from aspen._base.labels import as_labels
from aspen.calibration.early import EarlyStop, scores_over_time
from aspen.calibration.points import OperatingPoint as OperatingPoint
from aspen.calibration.statistics import effective_samples, wilson
from aspen.dial.path import SETTINGS, AnyDial, dial_of, every_of, seen, steps_seen
from aspen.dial.profile import DialProfile
from aspen.dial.scale import ThresholdScale
from aspen.errors import InputError
from aspen.network.network import Network
from aspen.network.readout import NO_ANSWER, answers
from aspen.network.record import Record
from aspen_emulator.engines.inputs import check_input, check_shape, thresholds_for
from aspen_emulator.engines.run import chip_of, network_of, run
from aspen_emulator.measuring.cluster import spread
from aspen_emulator.measuring.early import asleep, ended_early
from aspen_emulator.measuring.sweeps import Sweep
from aspen_hardware.chips.description import Chip
from aspen_hardware.compiling.deployment import Deployment
from aspen_hardware.energy.hops import Ways, ways_on
from aspen_hardware.energy.model import energy_model
from aspen_hardware.energy.report import EnergyReport
from aspen_hardware.placing.placement import Placement, place

SCALES = (0.5, 0.6, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0, 2.5, 3.0)
KNOBS = tuple(k / 10 for k in range(11))
"""Of a learned dial, where no others are asked for; :data:`SCALES` without one."""
GROUPS = 10
"""Groups of neurons that go off together: with more of them the knobs that are measured anyway tell as much."""
GROUP_BYTES = 2**28
"""Memory for the counts of the settings that are run together."""
_MEANS = ("hidden_spikes", "synaptic_operations", "hidden_synaptic_operations", "dynamic_nj", "static_nj", "unanswered")


@dataclass(frozen=True, eq=False)
class Bench(Brief):
    """What is measured, on what: a network, samples in one or more encodings, and a dial.

    Args:
        program: a deployment, or a network in floating point.
        encodings: each (time, samples, *input_shape), 0 and 1, or currents: the same samples, encoded by other seeds.
        labels: (samples,) classes.
        chips: for the energies, which are all reckoned from the same counts; None: no energies.
        engine: as in :func:`aspen_emulator.run`.
        profile: what a knob does to the thresholds; default: it multiplies those of all hidden populations.
        subjects: (samples,) who each sample is from, where that is known: intervals are then for subjects not seen.
        step_time: seconds of a step, instead of the chips'.
    """

    program: Network | Deployment
    encodings: Sequence[Array]
    labels: Array
    chips: Sequence[Chip | None] = (None,)
    engine: str = "fast"
    profile: AnyDial | None = None
    subjects: Array | None = None
    step_time: float | None = None

    def __post_init__(self) -> None:
        network = network_of(self.program)
        for spikes in self.encodings:
            steps, samples = check_shape(network, np.asarray(spikes))
            labels = as_labels("labels", self.labels, samples, network[network.output].size, steps=steps)
            object.__setattr__(self, "labels", labels)
            if self.subjects is not None and np.shape(self.subjects) != (samples,):
                raise InputError(
                    f"subjects: found shape {np.shape(self.subjects)} for {samples} samples, allowed is one for each; "
                    f"pass as many, or none"
                )

    @property
    def steps(self) -> int:
        """Time steps of an inference."""
        return int(np.asarray(self.encodings[0]).shape[0])

    @cached_property
    def placements(self) -> Mapping[str, Placement]:
        """Name of each chip -> the network's cores on it, which no knob changes."""
        return MappingProxyType({each.name: self._placed(each) for each in self.chips if each is not None})

    def _placed(self, on: Chip) -> Placement:
        """As compile placed a deployment, where that was on this chip."""
        known = self.program.placement if isinstance(self.program, Deployment) else None
        if known is not None and (known.chip, known.limits) == (on.name, on.limits):
            return known
        return place(network_of(self.program), on, dial_of(self.profile))

    @cached_property
    def ways(self) -> Mapping[str, Ways]:
        """Name of each chip -> how far spikes go on it, which no knob changes."""
        network, placed = network_of(self.program), self.placements
        return MappingProxyType({c.name: ways_on(c, network, placed[c.name]) for c in self.chips if c is not None})

    def energy(self, record: Record, on: Chip, every: int = 1) -> EnergyReport:
        """What a run costs on one of the chips in which every ``every``-th time step ran: those take as long as all."""
        placed, ways = self.placements[on.name], self.ways[on.name]
        return energy_model(record, on, placed, step_time=self.seconds(every), ways=ways)

    def seconds(self, every: int) -> float | None:
        """From one step that runs to the next, where every ``every``-th does; None: the chip's time of a step."""
        return None if self.step_time is None else self.step_time * self.steps / steps_seen(self.steps, every)

    def every(self, knob: float) -> int:
        """Every how many-th time step runs at a knob."""
        return every_of(self.profile, knob)

    def records(self, knobs: Sequence[float], encoding: int, every: int | None = None) -> Iterator[Record]:
        """A run at each knob; of every ``every``-th time step, by default as the knob says."""
        for skipping, group in groupby(knobs, key=self.every if every is None else lambda _: every):
            scales: list[ThresholdScale] = [k if self.profile is None else self.profile.scale(k) for k in group]
            yield from _records(self.program, seen(self.encodings[encoding], skipping), scales, self.engine)


@dataclass(frozen=True, eq=False)
class Measured(Brief):
    """What a sweep found.

    Args:
        points: name of the chip (None: no chip) -> its operating points, in the order of the settings.
        correct: (settings, samples): share of the encodings in which the sample was classified correctly.
        taken: time steps per inference at each setting.
    """

    points: Mapping[str | None, list[OperatingPoint]]
    correct: Array
    taken: list[float]


def measure(
    bench: Bench,
    knobs: Sequence[float],
    *,
    early: EarlyStop | None = None,
    progress: Callable[[Mapping[str | None, OperatingPoint]], None] | None = None,
    scheduler: str | None = None,
) -> Measured:
    """Run at each knob, count, and reckon the energies.

    Args:
        bench: what is measured.
        knobs: where the knob stands in turn.
        early: ends inferences early; spikes and energies are then those of the steps taken.
        progress: called with the points of each run as soon as it is measured.
        scheduler: address of a Dask scheduler whose workers run it, a knob of an encoding at a time; the same to the
            bit as here.

    Raises:
        InputError: no scheduler answers there.
        MissingDependencyError: Dask's scheduler was asked for, and it is not installed.
    """
    labels = bench.labels
    runs: list[list[Mapping[str | None, OperatingPoint]]] = [[] for _ in knobs]
    correct, taken = np.zeros((len(knobs), len(labels))), np.zeros(len(knobs))
    jobs = [(encoding, knob, early) for encoding in range(len(bench.encodings)) for knob in knobs]
    done = _here(bench, knobs, early) if scheduler is None else spread(scheduler, _at, bench, jobs)
    for number, (found, right, steps) in enumerate(done):
        k = number % len(knobs)
        correct[k] += right / len(bench.encodings)
        taken[k] += steps / len(bench.encodings)
        runs[k].append(found)
        if progress is not None:
            progress(found)
    return Measured(averaged(bench, runs, correct), correct, taken.tolist())


_Run = tuple[Mapping[str | None, OperatingPoint], Array, float]
"""The points of a run, which answers are right, and the time steps of an inference."""


def _here(bench: Bench, knobs: Sequence[float], early: EarlyStop | None) -> Iterator[_Run]:
    """Each encoding at each knob, in this process."""
    for encoding in range(len(bench.encodings)):
        records = bench.records(knobs, encoding)
        yield from (_run(bench, record, knob, early) for record, knob in zip(records, knobs, strict=True))


def _at(bench: Bench, encoding: int, knob: float, early: EarlyStop | None) -> _Run:
    """One encoding at one knob."""
    (record,) = bench.records([knob], encoding)
    return _run(bench, record, knob, early)


def _run(bench: Bench, record: Record, knob: float, early: EarlyStop | None) -> _Run:
    scores = None if early is None else scores_over_time(record)
    steps = None if early is None or scores is None else early.stops(scores, knob, bench.every(knob))
    found, right = observed(bench, record, knob, scores, steps)
    return found, right, float(record.steps if steps is None else steps.mean())


def observed(
    bench: Bench,
    record: Record,
    knob: float,
    scores: Array | None = None,
    taken: Array | None = None,
    every: int | None = None,
) -> tuple[Mapping[str | None, OperatingPoint], Array]:
    """One run as points by the names of the chips, and (samples,) which answers are right.

    Args:
        bench: what is measured.
        record: of whole inferences.
        knob: where it stood.
        scores: (steps, samples, n) over time; only where inferences end early.
        taken: (samples,) steps that each takes; default: all.
        every: every how many-th time step ran; default: as the knob says.
    """
    every = bench.every(knob) if every is None else every
    labels, found = bench.labels, record.predictions
    if scores is not None and taken is not None:
        found, record = answers(scores[taken - 1, np.arange(len(labels))]), ended_early(record, taken)
    energies = {_name(c): None if c is None else bench.energy(record, c, every) for c in bench.chips}
    steps = steps_seen(bench.steps, every)
    points = {name: _point(record, found, labels, knob, e, steps) for name, e in energies.items()}
    return points, found == labels


def averaged(
    bench: Bench, runs: Sequence[Sequence[Mapping[str | None, OperatingPoint]]], correct: Array
) -> dict[str | None, list[OperatingPoint]]:
    """Name of each chip -> a point for each setting: the mean over its encodings.

    Args:
        bench: what was measured.
        runs: for each setting, the points of each encoding; see :func:`observed`.
        correct: (settings, samples): share of the encodings in which the sample was classified correctly.
    """
    return {
        name: [_mean([r[name] for r in each], correct[k], bench.subjects) for k, each in enumerate(runs)]
        for name in map(_name, bench.chips)
    }


def sweep(
    program: Network | Deployment,
    spikes: Array,
    labels: Array,
    knobs: Sequence[float] | None = None,
    *,
    on: Chip | str | None = None,
    engine: str = "fast",
    profile: AnyDial | None = None,
    step_time: float | None = None,
    progress: Callable[[OperatingPoint], None] | None = None,
    scheduler: str | None = None,
) -> Sweep:
    """Run ``program`` at each knob; :func:`measure` for one encoding and one chip.

    >>> import numpy as np
    >>> from aspen.network import Dense, Lif, Network, Population
    >>> lif = Lif(threshold=1.0, beta=0.9)
    >>> layers = Population("input", (2,)), Population("hidden", (3,), lif), Population("output", (2,), lif)
    >>> weights = [[0.9, 0.2], [0.2, 0.9], [0.5, 0.5]], [[1.0, 0.0, 0.4], [0.0, 1.0, 0.4]]
    >>> network = Network(layers, (Dense("input", "hidden", weights[0]), Dense("hidden", "output", weights[1])))
    >>> spikes = np.zeros((8, 2, 2), np.uint8)  # 8 steps, 2 samples, 2 inputs
    >>> spikes[:, 0, 0] = spikes[:, 1, 1] = 1
    >>> for point in sweep(network, spikes, np.array([0, 1]), (0.5, 1.0, 2.0)):
    ...     print(point.knob, point.accuracy, point.hidden_spikes)
    0.5 1.0 14.0
    1.0 1.0 7.0
    2.0 1.0 3.0

    Args:
        program: a deployment, or a network in floating point.
        spikes: (time, samples, *input_shape), 0 and 1.
        labels: (samples,) classes.
        knobs: threshold scales for all hidden populations, or knobs of the ``profile``; default: a range of these.
        on: chip for the energies; default: the chip of a deployment, none for a plain network.
        engine: as in :func:`aspen_emulator.run`.
        profile: what a knob does to the thresholds; default: it multiplies those of all hidden populations.
        step_time: seconds of a step, instead of the chip's.
        progress: called with each point as soon as it is measured.
        scheduler: address of a Dask scheduler whose workers run it, a knob at a time.

    Returns:
        A list of one operating point for each knob, which prints as a table and has a ``plot()``.

    Raises:
        InputError: the labels do not fit the spikes, a setting is not allowed, or no scheduler answers.
        MissingDependencyError: Dask's scheduler was asked for, and it is not installed.
    """
    description = chip_of(program, on)
    bench = Bench(program, [spikes], labels, [description], engine, profile, step_time=step_time)
    measured = measure(bench, knobs_of(knobs, profile), progress=reporting(bench, progress), scheduler=scheduler)
    name = "network" if description is None else f"network on {description.name}"
    return Sweep(measured.points[_name(description)], dial=profile is not None, name=name)


def _name(description: Chip | None) -> str | None:
    return None if description is None else description.name


def knobs_of(knobs: Sequence[float] | None, profile: AnyDial | None) -> list[float]:
    """The knobs that were asked for; default: a range that suits what is turned."""
    known = SCALES if profile is None else dial_knobs(profile if isinstance(profile, DialProfile) else None)
    return [float(knob) for knob in (known if knobs is None else knobs)]


def dial_knobs(profile: DialProfile | None) -> list[float]:
    """Knobs of a dial, evenly, and those right after a group of its neurons goes off, where it has a few groups."""
    if profile is None:
        return list(KNOBS)
    ends = {float(until) for each in profile.on_until.values() for until in each.reshape(-1) if until < profile.high}
    if len(ends) > GROUPS:
        return list(KNOBS)
    low, span = profile.low, profile.high - profile.low
    after = {low + span * (floor((end - low) / span * (SETTINGS - 1)) + 1) / (SETTINGS - 1) for end in ends}
    return sorted({*KNOBS, *(knob for knob in after if knob <= profile.high)})


def reporting(
    bench: Bench, progress: Callable[[OperatingPoint], None] | None
) -> Callable[[Mapping[str | None, OperatingPoint]], None] | None:
    """``progress`` for :func:`measure`, of the first chip alone."""
    return None if progress is None else lambda found: progress(found[_name(bench.chips[0])])


def _records(
    program: Network | Deployment, spikes: Array, settings: Sequence[ThresholdScale], engine: str
) -> Iterator[Record]:
    """A run at each setting; on the fast engine several at a time, which share what does not depend on the dial."""
    if engine != "fast":
        yield from (run(program, spikes, scale, engine=engine) for scale in settings)
        return
    from aspen_emulator.engines.fast import run_dials

    network = network_of(program)
    checked = check_input(network, spikes)
    steps, batch = checked.shape[:2]
    counts = 8 * steps * batch * (2 * len(network.populations) + len(network.connections))
    together = max(1, GROUP_BYTES // counts)
    for start in range(0, len(settings), together):
        group = [thresholds_for(network, scale, steps, batch) for scale in settings[start : start + together]]
        yield from run_dials(network, checked, group)


def _point(
    record: Record, found: Array, labels: Array, knob: float, energy: EnergyReport | None, steps: int
) -> OperatingPoint:
    """One run as a point; the answers ``found`` and ``labels`` (samples,) say how many inferences there were, ``steps``
    how many an inference has that does not end early."""
    network, samples, correct = record.network, len(labels), found == labels
    low, high = wilson(int(correct.sum()), samples)
    first = [c.name for c in network.input_connections]
    operations = {name: int(n.sum()) for name, n in record.synaptic_operations.items()}
    dynamic = None if energy is None else energy.dynamic
    static = None if energy is None else energy.static
    return OperatingPoint(
        knob=knob,
        accuracy=float(correct.mean()),
        accuracy_low=low,
        accuracy_high=high,
        hidden_spikes=float(record.hidden_spikes.sum()) / samples,
        synaptic_operations=sum(operations.values()) / samples,
        hidden_synaptic_operations=sum(n for name, n in operations.items() if name not in first) / samples,
        dynamic_nj=None if dynamic is None else dynamic.typical / samples * 1e9,
        static_nj=None if static is None else static.typical * asleep(record, energy, samples * steps) / samples * 1e9,
        samples=samples,
        unanswered=float((found == NO_ANSWER).mean()),
    )


def _mean(runs: Sequence[OperatingPoint], correct: Array, subjects: Array | None) -> OperatingPoint:
    """The mean over encodings; the interval counts each sample once, as its encodings are not independent."""
    if len(runs) == 1 and subjects is None:
        return runs[0]
    size = len(correct) if subjects is None else effective_samples(correct, subjects)
    low, high = wilson(float(correct.mean()) * size, size)
    values = {field.name: getattr(runs[0], field.name) for field in fields(OperatingPoint)}
    for name in _MEANS:
        known = [getattr(run, name) for run in runs]
        values[name] = None if None in known else mean(known)
    found = {"accuracy": min(max(float(correct.mean()), low), high), "accuracy_low": low, "accuracy_high": high}
    return OperatingPoint(**{**values, **found})
