"""What was measured for a page, and the JSON that it becomes; ``docs/explore.md`` tells every field."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from aspen._version import __version__
from aspen.calibration.points import OperatingPoint

FORMAT = "aspen-explore"
VERSION = 2
"""Of the JSON: counted up where a field goes, or comes to mean something else."""


@dataclass(frozen=True)
class Group:
    """A population as a page tells it.

    Args:
        name: of the population.
        neurons: in it.
        part: ``input``, ``hidden`` or ``output``.
    """

    name: str
    neurons: int
    part: str


@dataclass(frozen=True)
class Event:
    """One kind of event in one place, per inference.

    Args:
        where: population or connection.
        event: key of :data:`aspen_hardware.energy.costs.WORDS`.
        count: events.
        joules: low, typical and high; None where no scenario has a figure.
    """

    where: str
    event: str
    count: float
    joules: Mapping[str, float] | None


@dataclass(frozen=True)
class Cost:
    """What an inference costs on one chip: joules, low, typical and high; None where unknown.

    Args:
        total, dynamic, static: what a battery sees, and its parts.
        events: of the dynamic energy.
        headline: what a battery sees, in words.
        told: on what it rests at this setting alone.
    """

    total: Mapping[str, float] | None
    dynamic: Mapping[str, float] | None
    static: Mapping[str, float] | None
    events: Sequence[Event]
    headline: str
    told: Sequence[str]


@dataclass(frozen=True)
class Rounded:
    """Integers beside floating point at one setting, whole inferences both.

    Args:
        accuracy_float, accuracy_integers: fractions of the inferences.
        hidden_spikes_float, hidden_spikes_integers: per inference.
        alike: fraction of the inferences with the same answer.
    """

    accuracy_float: float
    accuracy_integers: float
    hidden_spikes_float: float
    hidden_spikes_integers: float
    alike: float


@dataclass(frozen=True)
class Setting:
    """One place of the knob, measured.

    Args:
        knob: where it stands.
        points: chip (``none`` without one) -> the operating point, as `aspen sweep` has it.
        steps: time steps taken per inference.
        every: every how many-th time step of the input runs; the others are left out.
        spikes: population -> spikes per inference in each time step that runs, or in several that follow one another.
        off: population -> neurons that the knob has switched off, where there are any.
        operations: connection -> synaptic operations per inference.
        confusion: inferences by true class (a row for each of the exploration's ``confused``, and, where it has not
            all classes, one for all others) and answer (columns as the rows, the last one: no answer).
        costs: chip -> what an inference costs.
        rounded: beside floating point; None where the network runs in it.
    """

    knob: float
    points: Mapping[str, OperatingPoint]
    steps: float
    every: int
    spikes: Mapping[str, Sequence[float]]
    off: Mapping[str, float]
    operations: Mapping[str, float]
    confusion: Sequence[Sequence[int]]
    costs: Mapping[str, Cost]
    rounded: Rounded | None = None


@dataclass(frozen=True)
class Raster:
    """The spikes of a few samples at one setting.

    Args:
        setting: which of the settings.
        samples: for each sample, population -> its spikes, each as ``step * neurons shown + place among these``.
        answers: the answer to each sample, -1 for none.
        steps: time steps that each inference takes; later spikes are not there.
    """

    setting: int
    samples: Sequence[Mapping[str, Sequence[int]]]
    answers: Sequence[int]
    steps: Sequence[int]


@dataclass(frozen=True)
class Rasters:
    """What was recorded.

    Args:
        samples: numbers of the samples.
        labels: their classes.
        neurons: population -> the neurons that are shown, evenly spread where it has more than are shown.
        recorded: at a few of the settings.
    """

    samples: Sequence[int]
    labels: Sequence[int]
    neurons: Mapping[str, Sequence[int]]
    recorded: Sequence[Raster]


@dataclass(frozen=True)
class Exploration:
    """All that a page shows.

    Args:
        name: of the network.
        arithmetic: what it runs in, in words.
        groups: its populations.
        synapses: weights other than zero.
        data: what it was measured on, in words.
        samples, steps, encodings: how many, how long each, and how often each was encoded.
        classes: their names.
        confused: the classes that the tables of answers tell apart; with many classes those that are mixed up most.
        together: how many time steps that follow one another have one value in ``spikes`` of a setting.
        knob: what is turned: ``threshold scale``, ``learned dial`` or ``calibrated knob``.
        settings: places of the knob, ascending.
        rasters: spikes of a few samples at a few settings.
        chips: name -> what is to be said of it at every setting (:mod:`aspen_emulator.exploring.described`).
        fronts: chip -> cost -> the settings that no cheaper one matches in accuracy.
        rounding: what compiling did to the numbers; None in floating point.
        stream: a recording with its knob in a closed loop (:mod:`aspen_emulator.exploring.streams`), or None.
    """

    name: str
    arithmetic: str
    groups: Sequence[Group]
    synapses: int
    data: str
    samples: int
    steps: int
    encodings: int
    classes: Sequence[str]
    confused: Sequence[int]
    together: int
    knob: str
    settings: Sequence[Setting]
    rasters: Rasters
    chips: Mapping[str, Mapping[str, Any]]
    fronts: Mapping[str, Mapping[str, Sequence[int]]]
    rounding: Mapping[str, Any] | None = None
    stream: Mapping[str, Any] | None = None
    made_by: Mapping[str, Any] = field(
        default_factory=lambda: {"format": FORMAT, "version": VERSION, "aspen": __version__}
    )

    def to_dict(self) -> dict[str, Any]:
        """As plain values that JSON can hold, format and version first."""
        found = asdict(self)
        return {**found.pop("made_by"), **found}

    def to_json(self) -> str:
        """As JSON in one line, without NaN or infinity."""
        return json.dumps(self.to_dict(), allow_nan=False, separators=(",", ":"))
