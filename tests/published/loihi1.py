"""Loihi 1: keyword spotting, its scaling, and a nearest-neighbour search, beside what ``energy_model`` says.

Nobody published how often the neurons of the first two fired. So networks of their shapes are priced with random spikes
at several rates, the input's at the same rate as the others'.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from zlib import crc32

import numpy as np

from aspen.network.network import Dense, Lif, Network, Population
from aspen.network.record import Record
from aspen_emulator.engines.replay import record_from_rasters
from aspen_hardware import place
from aspen_hardware.chips.ranges import ByScenario, Range
from aspen_hardware.energy.costs import energy_of_counts, static_power, work_seconds
from aspen_hardware.energy.model import energy_model
from aspen_hardware.placing.placement import Placement
from tests.hardware.placing.networks import APART, with_figures
from tests.published import logs
from tests.published.table import Case

LOIHI1 = APART
"""With cores of one population: the networks that were measured had a core or more for each layer."""
RATES = (0.01, 0.05, 0.1, 0.2)
"""Probabilities of a spike in a step."""
USUAL = 0.05
"""The one that counts as typical, for want of a published one."""
STEPS = 10
"""Time steps of an inference."""
MANY = 4
"""Branches of the larger network that is priced."""

PATTERNS, QUERY_STEPS, QUERY_SPIKES, SEARCH_CORES = 76_800, 60, (667, 750), 32 * 128
"""Of the nearest-neighbour search: each spike of the query reaches all patterns, which 32 chips hold."""


def layered(sizes: dict[str, int], connected: list[tuple[str, str]]) -> Network:
    """Populations of so many neurons, densely connected; the first is the input, the last the output."""
    rng = np.random.default_rng(0)
    names = list(sizes)
    neurons = [None, *(Lif(1, 0.9) for _ in names[1:])]
    populations = tuple(Population(name, (sizes[name],), lif) for name, lif in zip(names, neurons, strict=True))
    return Network(populations, tuple(Dense(s, t, rng.normal(size=(sizes[t], sizes[s]))) for s, t in connected))


@cache
def keyword_network(branches: int = 0) -> Network:
    """390-256-256-29 and, between the layers of 256, so many branches of ten more."""
    layers = [[f"branch{b}-{i}" for i in range(10)] for b in range(branches)]
    inner = ["first", *(name for names in layers for name in names), "second"]
    sizes = {"input": 390, **dict.fromkeys(inner, 256), "output": 29}
    chains = [["first", *names, "second"] for names in layers] or [["first", "second"]]
    connected = [pair for names in chains for pair in pairwise(names)]
    return layered(sizes, [("input", "first"), *connected, ("second", "output")])


def random_run(network: Network, rate: float, steps: int = STEPS, batch: int = 2) -> Record:
    """A record of random spikes, the same for populations of one name and size in every network."""
    rasters = {}
    for population in network.populations:
        rng = np.random.default_rng([crc32(population.name.encode()), int(1e6 * rate)])
        rasters[population.name] = (rng.random((steps, batch, population.size)) < rate).astype(np.uint8)
    return record_from_rasters(network, rasters, "random", "spikes")


@cache
def inference(branches: int, rate: float) -> ByScenario:
    """Joules of the events of one inference."""
    record, placement = _run(branches, rate)
    report = energy_model(record, LOIHI1, placement, time="step")
    assert report.dynamic is not None
    return report.dynamic.times(1 / record.batch)


def step(branches: int, cores: int, rate: float) -> Range:
    """Microseconds of a step by the times of its operations, with the layers of 256 on so many cores."""
    record, placement = _run(branches, rate)
    spread = with_figures(LOIHI1, neurons_per_core=256 // cores)
    return step_of(record, placement if cores == 1 else place(record.network, spread))


@cache
def _run(branches: int, rate: float) -> tuple[Record, Placement]:
    return random_run(keyword_network(branches), rate), _placed(branches)


@cache
def _placed(branches: int) -> Placement:
    return place(keyword_network(branches), LOIHI1)


def step_of(record: Record, placement: Placement) -> Range:
    """Microseconds of a step by the times of its operations."""
    work = work_seconds(record, LOIHI1, placement)
    assert work is not None
    return work.range.times(1e6 / record.batch / record.steps)


@cache
def branch(rate: float) -> Range:
    """mW of the events in one more branch, at the rate of inferences that was measured."""
    many, one = inference(MANY, rate).of, inference(1, rate).of
    each = {name: (many[name].typical - one[name].typical) / (MANY - 1) for name in one}
    power = ByScenario({name: Range(x, x, x) for name, x in each.items()}, LOIHI1.usual)
    return power.range.times(1e3 * logs.BRANCHES_RATE[MANY])


def equal_rate(end: str) -> float:
    """Rate of spikes at which a branch draws what was measured, by the model's ``typical`` or ``high``."""
    measured, _ = logs.per_branch()
    return float(np.interp(measured, [getattr(branch(rate), end) for rate in RATES], RATES))


def query(spikes: int, active: bool) -> Range:
    """mJ of a query of the nearest-neighbour search: with no update active and no packets, or all as ASPEN counts."""
    counts = {"synaptic_operation": spikes * PATTERNS, "neuron_update_inactive": PATTERNS * QUERY_STEPS}
    if active:
        counts["neuron_update_active"] = counts.pop("neuron_update_inactive")
        counts["spike_packet"] = spikes * SEARCH_CORES
    events = energy_of_counts(counts, LOIHI1).dynamic
    assert events is not None
    return events.range.times(1e3)


def search(active: bool) -> Range:
    """mJ of a query, with the spikes that it may have in the range."""
    few, many = (query(spikes, active) for spikes in QUERY_SPIKES)
    return Range(few.low, (few.typical + many.typical) / 2, many.high)


@cache
def search_step() -> Range:
    """Microseconds of a step of the search: one of its chips, whose patterns are spread over all of its cores."""
    patterns, few = PATTERNS // 32, max(QUERY_SPIKES)
    network = layered({"input": 300, "patterns": patterns}, [("input", "patterns")])
    record = random_run(network, few / QUERY_STEPS / 300, QUERY_STEPS, 1)
    return step_of(record, place(network, with_figures(LOIHI1, neurons_per_core=-(-patterns // 128))))


def cases() -> Iterator[Case]:
    """Of keyword spotting, its scaling, the search, and the length of a step."""
    yield from _keywords()
    yield from _scaling()
    yield from _steps()
    name = "Loihi 1, nearest of 76,800 patterns, a query of 60 steps"
    yield Case(f"{name}, no update active", 1.33, "mJ", search(active=False), "no", "frady2020")
    yield Case(f"{name}, as ASPEN counts", 1.33, "mJ", search(active=True), "no", "frady2020")


def _keywords() -> Iterator[Case]:
    power, rate, name = logs.mean(logs.KEYWORDS), logs.KEYWORDS_RATE, "Loihi 1, keyword spotting"
    events = [inference(0, r).range.times(1e6) for r in RATES]
    at_once = _over_rates(events)
    static = static_power(LOIHI1)
    assert static is not None
    whole = static.times(1e3) + at_once.times(rate * 1e-3)
    idle = Range(*(max(w - logs.IDLE, 0.0) / rate * 1e3 for w in (whole.low, whole.typical, whole.high)))
    yield Case(f"{name}, whole chip at {rate:.0f} inferences a second", power, "mW", whole, "partly", "abr")
    yield Case(f"{name}, an inference above idle", (power - logs.IDLE) / rate * 1e3, "µJ", idle, "partly", "abr")
    above = (power - logs.IDLE_WITH_CPUS) / rate * 1e3
    for spiking, energy in zip(RATES, events, strict=True):
        where = f"{name}, an inference above idle with CPUs on, {100 * spiking:g} % spikes"
        yield Case(where, above, "µJ", energy, "no", "abr")
    marginal = f"{name}, one inference more (126 to 297 a second)"
    yield Case(marginal, logs.marginal_inference(), "µJ", at_once, "no", "abr")


def _scaling() -> Iterator[Case]:
    slope, _ = logs.per_branch()
    for rate in RATES:
        name = f"Loihi 1, ten layers of 256 more, {100 * rate:g} % spikes"
        yield Case(name, slope, "mW", branch(rate), "no", "abr")


def _steps() -> Iterator[Case]:
    name = "Loihi 1, operations of a step"
    for branches, cores, rate, what in (
        (0, 1, logs.KEYWORDS_RATE, "keyword spotting"),
        (0, 8, logs.BRANCHES_RATE[0], "the same network on 17 cores"),
        (MANY, 1, logs.BRANCHES_RATE[MANY], f"with {10 * MANY} layers of 256 more"),
    ):
        predicted = _over_rates([step(branches, cores, r) for r in RATES])
        yield Case(f"{name}, {what}", 1e6 / rate / STEPS, "µs", predicted, "no", "abr")
    yield Case(f"{name}, nearest of 76,800 patterns", 5.8, "µs", search_step(), "no", "frady2020")


def _over_rates(at: list[Range]) -> Range:
    """Typical at the usual rate; low at the lowest, high at the highest rate."""
    return Range(at[0].low, at[RATES.index(USUAL)].typical, at[-1].high)
