"""Parity: does the same input give the same spikes before and after export, before and after rounding, and on Lava?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aspen._base.arrays import Array
from aspen._base.labels import as_labels
from aspen._base.tables import Table, Tabled
from aspen.network.given import as_network
from aspen.network.network import Network
from aspen.network.record import Record
from aspen.storage.file import AspenFile, Section
from aspen_emulator.engines.inputs import check_input, thresholds_for
from aspen_emulator.engines.reference import Stepper
from aspen_emulator.engines.run import network_of, run
from aspen_emulator.measuring.torch_record import standing_scale, torch_record
from aspen_hardware.compiling.deployment import Deployment

if TYPE_CHECKING:
    from torch import nn

PARITY = Section[Mapping[str, Any]](
    "parity", decode=lambda file: file.parts("parity")[0], encode=lambda report, file: (report, {})
)
"""What :meth:`ParityReport.to_dict` gives, kept beside the network."""


@dataclass(frozen=True)
class Difference:
    """How one population's spikes compare between two stages.

    Args:
        population: which.
        before, after: the stages, among ``snntorch``, ``float``, ``integers`` and ``lava``.
        places: neurons x steps x samples.
        spikes_before, spikes_after: spikes in each.
        different: places that hold a spike in only one of them.
        first: (step, sample, neuron) of the earliest difference, or None.
    """

    population: str
    before: str
    after: str
    places: int
    spikes_before: int
    spikes_after: int
    different: int
    first: tuple[int, int, int] | None

    @property
    def agreement(self) -> float:
        """Of the places with a spike in either stage, the fraction with a spike in both; 1 where there is none."""
        both = (self.spikes_before + self.spikes_after - self.different) / 2
        either = both + self.different
        return 1.0 if either == 0 else both / either


@dataclass(frozen=True)
class Health:
    """Neurons of one population that say nothing, at the last stage before Lava, and what left 24 bits there.

    Args:
        population: which.
        neurons: how many there are.
        dead: never spike on this input.
        saturated: spike at every step of every sample.
        wrapped: currents that wrapped around (integers only): each is a wrong sign.
        clipped: membranes that were clipped to 24 bits.
    """

    population: str
    neurons: int
    dead: int
    saturated: int
    wrapped: int
    clipped: int


@dataclass(frozen=True)
class ParityReport(Tabled):
    """What :func:`parity` found.

    >>> import numpy as np
    >>> from aspen import Dense, Lif, Network, Population
    >>> populations = Population("input", (2,)), Population("output", (2,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", [[1.2, 0.1], [0.1, 1.2]]),))
    >>> parity(None, network, None, np.ones((10, 1, 2), np.uint8)).health[0].saturated  # spike at every step
    2

    Args:
        differences: for each pair of stages that follow each other, and each population.
        health: of each population at the last stage.
        accuracy: stage -> fraction of right answers, where labels were given.
        steps: of a sample.
        samples: how many were run.
        unanswered: stage -> fraction of the samples without an answer, where labels were given.
    """

    differences: tuple[Difference, ...]
    health: tuple[Health, ...]
    accuracy: Mapping[str, float]
    steps: int
    samples: int
    unanswered: Mapping[str, float]

    def between(self, before: str, after: str) -> list[Difference]:
        """The comparison of two stages, one entry for each population."""
        return [d for d in self.differences if (d.before, d.after) == (before, after)]

    def _shown(self) -> Iterator[str | Table]:
        yield f"Parity on {self.samples} samples of {self.steps} steps"
        yield Table(
            ("population", "from", "to", "spikes", "spikes", "agree", "first difference"),
            [_row(difference) for difference in self.differences],
            left=(0, 1, 2, 6),
        )
        yield from (_warn(h) for h in self.health if h.dead or h.saturated or h.wrapped)
        yield from (f"accuracy, {stage}: {value:.1%}" for stage, value in self.accuracy.items())
        silent = {stage: value for stage, value in self.unanswered.items() if value}
        yield from (f"no answer, {stage}: {value:.1%} of the samples" for stage, value in silent.items())

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        return asdict(self)


def _row(d: Difference) -> tuple[str, ...]:
    where = "-" if d.first is None else "step {}, sample {}, neuron {}".format(*d.first)
    return d.population, d.before, d.after, f"{d.spikes_before:,}", f"{d.spikes_after:,}", f"{d.agreement:.2%}", where


def _warn(health: Health) -> str:
    parts = []
    if health.dead:
        parts.append(f"{health.dead} of {health.neurons} neurons never spike on this input")
    if health.saturated:
        parts.append(f"{health.saturated} spike at every step")
    if health.wrapped:
        parts.append(
            f"{health.wrapped} currents wrapped around 24 bits; compile with more head room or smaller weights"
        )
    return f"{health.population}: {'; '.join(parts)}"


def parity(
    model: nn.Module | None,
    network: Network,
    deployment: Deployment | None,
    spikes: Array,
    labels: Array | None = None,
    *,
    lava: bool = False,
    arguments: Mapping[str, Any] | None = None,
) -> ParityReport:
    """Run the same input through every stage given and compare the spikes of each population, stage by stage.

    >>> import numpy as np
    >>> from aspen import Dense, Lif, Network, Population
    >>> from aspen_hardware import compile
    >>> populations = Population("input", (2,)), Population("output", (2,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", [[1.2, 0.1], [0.1, 1.2]]),))
    >>> spikes = np.random.default_rng(0).integers(0, 2, (20, 4, 2), dtype=np.uint8)
    >>> report = parity(None, network, compile(network, "loihi1"), spikes)
    >>> [(d.spikes_before, d.spikes_after, d.different) for d in report.between("float", "integers")]
    [(83, 83, 0)]

    Args:
        model: the snnTorch model that ``network`` was exported from, or None. It runs as it stands; where its threshold
            scale or an attached dial is turned, all stages are. The network of a learned dial (``fit(...).export()``)
            has the dial's offsets, and the model runs with them, as it was trained.
        network: the network in floating point.
        deployment: the same in a chip's integers, or None.
        spikes: (time, samples, *input_shape), or the current, where the input takes one.
        labels: (samples,) classes, for the accuracy.
        lava: run the last stage on the real Lava runtime too.
        arguments: what the model's ``forward`` is given beside its input, where the network's ``provenance`` could not
            hold it (tensors, for example).

    Raises:
        InputError: the spikes do not fit the network, or the labels the spikes or its outputs.
        ModelError: the model has other spiking layers than the network has populations.
    """
    values = check_input(as_network(network), spikes)
    if labels is not None:
        labels = as_labels("labels", labels, values.shape[1], network[network.output].size, steps=len(values))
    stages: dict[str, Record] = {}
    scale: Mapping[str, Array] = {}
    if model is not None:
        stages["snntorch"] = torch_record(model, network, values, arguments)
        scale = standing_scale(model, network)
    stages["float"] = run(network, values, scale, record="spikes")
    if deployment is not None:
        stages["integers"] = run(deployment, values, scale, record="spikes")
    last = deployment or network
    health = _health(network_of(last), values, scale, stages[list(stages)[-1]].rasters)
    if lava:
        stages["lava"] = run(last, values, scale, engine="lava", record="spikes")
    names = list(stages)
    differences = [
        _compare(population, before, after, stages[before].rasters[population], stages[after].rasters[population])
        for before, after in pairwise(names)
        for population in network.order
    ]
    accuracy = {} if labels is None else {stage: _accuracy(record, labels) for stage, record in stages.items()}
    unanswered = {stage: record.unanswered for stage, record in stages.items()}
    return ParityReport(tuple(differences), health, accuracy, values.shape[0], values.shape[1], unanswered)


def _compare(population: str, before: str, after: str, a: Array, b: Array) -> Difference:
    wrong = (a != b).reshape(*a.shape[:2], -1)
    first = tuple(int(i) for i in np.argwhere(wrong)[0]) if wrong.any() else None
    return Difference(
        population, before, after, wrong.size, int(a.sum()), int(b.sum()), int(wrong.sum()), first  # type: ignore[arg-type]
    )  # fmt: skip


def _health(
    network: Network, values: Array, scale: Mapping[str, Array], rasters: Mapping[str, Array]
) -> tuple[Health, ...]:
    overflow = _overflows(network, values, scale) if network.is_integer else {}
    found = []
    for name in network.order:
        raster = rasters[name].reshape(-1, network[name].size)
        wrapped, clipped = overflow.get(name, (0, 0))
        silent = 0 if _is_read_by_membranes(network, name) else int((~raster.any(axis=0)).sum())
        saturated = int(raster.all(axis=0).sum())
        found.append(Health(name, network[name].size, silent, saturated, wrapped, clipped))
    return tuple(found)


def _overflows(network: Network, values: Array, scale: Mapping[str, Array]) -> dict[str, tuple[int, int]]:
    given = check_input(network, values)  # in integers, as a host or an encoder of the chip makes them
    stepper = Stepper(network, given.shape[1], watch=True)
    thresholds = {name: array[0] for name, array in thresholds_for(network, scale, *given.shape[:2]).items()}
    for step in given:
        stepper.step(step, thresholds)
    return stepper.overflows


def _is_read_by_membranes(network: Network, name: str) -> bool:
    return name == network.output and network.reads_membranes


def _accuracy(record: Record, labels: Array) -> float:
    return float((record.predictions == labels).mean())


def store_parity(report: ParityReport, path: str | Path) -> None:
    """Keep the report in the ``.aspen`` file at ``path``, beside the network."""
    AspenFile.update(path, lambda file: file.put(PARITY, report.to_dict()))
