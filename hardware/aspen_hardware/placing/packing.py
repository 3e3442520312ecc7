"""Which slices of populations sit together on a core: few cores first, then few packets.

To pack divisible things that need several kinds of room into as few boxes as possible has no fast exact answer. So
several ways that are good in different cases are tried, and the best is taken: one population after the other;
populations first on cores of their own and then brought together, the largest first; split over whatever has room;
and balanced, so that a core's neurons and its memory run out together. All are deterministic.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from aspen._base.arrays import Array
from aspen.errors import ChipError
from aspen_hardware.placing.cores import Slice
from aspen_hardware.placing.needs import Demand, Needs, OpenCore, Reached

Cores = list[Sequence[Slice]]
Way = Callable[[Demand], Cores]


@dataclass(frozen=True)
class Packed:
    """Cores of one way to pack.

    Args:
        cores: what each holds.
        reached: population -> (n,): cores that a spike of each neuron reaches, the input's too.
        on: how long the cores are on while a knob is turned, see :meth:`aspen_hardware.placing.needs.Needs.groups_on`.
        traffic: packets if each neuron spikes once; on crossbars, the rows that are driven then.
    """

    cores: Cores
    reached: dict[str, Array]
    on: int
    traffic: int

    @property
    def cost(self) -> tuple[int, int, int]:
        """Cores first."""
        return len(self.cores), self.on, self.traffic


def pack(needs: Needs) -> Packed:
    """The fewest cores that any way finds, and of these the fewest packets.

    Raises:
        ChipError: a single neuron needs more than one core has.
    """
    first, alone = pack_in_order(needs), needs.chip.limits.populations_per_core == 1
    if len(first.cores) == 1 or (alone and needs.groups is None):
        return first
    ways: list[Way] = [] if needs.groups is None else [by_groups, groups_apart]
    ways += [] if alone else [brought_together, by_shared_spikes, split]
    found = [first, *_those_that_fit(ways, needs)]
    if not alone and min(packed.cost for packed in found)[0] > least_cores(needs):
        found += _those_that_fit([balanced], needs)
    best = min(found, key=lambda packed: packed.cost)
    return replace(best, cores=_in_order(best.cores, needs))


def pack_in_order(needs: Needs) -> Packed:
    """Populations in the network's order, one core after the other.

    Raises:
        ChipError: as :func:`pack`.
    """
    return _settled(apart if needs.chip.limits.populations_per_core == 1 else one_after_the_other, needs)


def least_cores(needs: Needs) -> int:
    """So many cores are needed at least: each limit alone, with all that the network has of it."""
    limits, names = needs.chip.limits, needs.network.order
    sums = Demand(needs, needs.in_order(needs.reached(_whole(needs)))).sums
    total = {limit: sum(int(by_name[name][-1]) for name in names) for limit, by_name in sums.items()}
    for limit, numbers in needs.stored.items():
        total[limit] = len(np.unique(np.concatenate(list(numbers.values()))))
    total["populations_per_core"] = len(names)
    total["input_axons_per_core"] = sum(int(np.count_nonzero(rows)) for rows in needs.rows(_whole(needs)[0]).values())
    return max(-(-n // allowed) for limit, n in total.items() if (allowed := getattr(limits, limit)) is not None)


def apart(demand: Demand) -> Cores:
    """Each population on cores of its own."""
    return [core for name in demand.needs.network.order for core in _filled(demand, [(name, demand.size(name))])]


def one_after_the_other(demand: Demand) -> Cores:
    """A core is filled before the next is begun, populations in the network's order."""
    return _filled(demand, [(name, demand.size(name)) for name in demand.needs.network.order])


def brought_together(demand: Demand) -> Cores:
    """Cores of one population each, the fullest first, every one on the first other where it has room."""
    return _joined(demand, by_spikes=False)


def by_shared_spikes(demand: Demand) -> Cores:
    """The same, but where most of the spikes that it needs arrive anyway."""
    return _joined(demand, by_spikes=True)


def by_groups(demand: Demand) -> Cores:
    """Neurons that a dial switches off together next to one another, over all populations."""
    if demand.needs.chip.limits.populations_per_core == 1:
        return apart(demand)
    return _filled(demand, [run for runs in _groups(demand) for run in runs])


def groups_apart(demand: Demand) -> Cores:
    """The same, each group on cores of its own."""
    alone = demand.needs.chip.limits.populations_per_core == 1
    cores, start = list[Sequence[Slice]](), dict.fromkeys(demand.needs.network.order, 0)
    for runs in _groups(demand):
        for together in ([run] for run in runs) if alone else [runs]:
            cores += _filled(demand, together, start)
            start.update(together)
    return cores


def _groups(demand: Demand) -> list[list[tuple[str, int]]]:
    """For each group, the populations that have neurons in it, and where these end."""
    groups = demand.needs.groups or {}
    numbers = np.unique(np.concatenate(list(groups.values())))
    ends = {name: np.searchsorted(each, numbers, side="right") for name, each in groups.items()}
    return [
        [(name, int(end[i])) for name, end in ends.items() if end[i] > (end[i - 1] if i else 0)]
        for i in range(len(numbers))
    ]


def split(demand: Demand) -> Cores:
    """Populations with the largest needs first, each split over whatever has room."""
    needs, cores = demand.needs, list[OpenCore]()
    share = {part.population: demand.share(part) for part in _whole(needs)[0]}
    for name in sorted(share, key=lambda each: -share[each]):
        start = 0
        for core in cores:
            start = start if core.is_full else _put(core, name, start)
        while start < needs.network[name].size:
            cores.append(OpenCore(demand))
            stop = _put(cores[-1], name, start)
            cores[-1].require(name, start, stop)
            start = stop
    return [tuple(core.slices.values()) for core in cores]


def balanced(demand: Demand) -> Cores:
    """Neurons that need little of one limit beside those that need much of it, so that two limits are reached at once:
    a convolution that takes all of a core's neurons, and a dense layer that takes all of its memory."""
    names, limits = list(demand.needs.network.order), demand.two_largest
    if len(limits) < 2:
        return one_after_the_other(demand)
    each = {name: np.array([demand.each(name, limit) for limit in limits]) for name in names}
    names.sort(key=lambda name: (each[name][1] - each[name][0]) / max(each[name].sum(), sys.float_info.min))
    start, cores = dict.fromkeys(names, 0), list[Sequence[Slice]]()
    while names:
        core, shares = OpenCore(demand), _halves(each[names[0]], each[names[-1]], names)
        while shares and not core.is_full:
            before = sum(start.values())
            for name, most in shares:
                start[name] = _put(core, name, start[name], min(demand.size(name), start[name] + most))
            names = [name for name in names if start[name] < demand.size(name)]
            again = names and sum(start.values()) > before
            shares = [(name, demand.size(name)) for name in dict.fromkeys((names[0], names[-1]))] if again else []
        if not core.slices:
            core.require(names[0], start[names[0]], start[names[0]])
        cores.append(tuple(core.slices.values()))
    return cores


def _halves(light: Array, heavy: Array, names: Sequence[str]) -> list[tuple[str, int]]:
    """The last and the first of some populations, and how many neurons of each use up two limits at once; any number
    where none do.

    Args:
        light, heavy: (2,) part of either limit that a neuron of the first and of the last needs.
        names: of the populations.
    """
    determinant = light[0] * heavy[1] - light[1] * heavy[0]
    first, last = heavy[1] - heavy[0], light[0] - light[1]
    if min(determinant, first, last) <= 0:
        return [(name, sys.maxsize) for name in dict.fromkeys((names[-1], names[0]))]
    return [(names[-1], max(1, int(last / determinant))), (names[0], max(1, int(first / determinant)))]


def _settled(way: Way, needs: Needs) -> Packed:
    """Cores whose neurons have output axons for all cores that they reach: a population that is split further has more
    cores to reach for those before it. The counts only grow, so this ends."""
    assumed = {name: np.zeros(needs.network[name].size, np.int64) for name in needs.network.order}
    while True:
        cores = way(Demand(needs, assumed))
        reached = needs.reached(cores)
        found = needs.in_order(reached)
        allowed = needs.chip.limits.output_axons_per_core
        if allowed is None or all(_sent(slices, found) <= allowed for slices in cores):
            return Packed(cores, reached, needs.groups_on(cores), needs.traffic(cores, reached))
        assumed = {name: np.maximum(numbers, found[name]) for name, numbers in assumed.items()}


def _those_that_fit(ways: Sequence[Way], needs: Needs) -> list[Packed]:
    """What these ways find; one that splits too much may not, as its neurons then reach too many cores."""
    found = []
    for way in ways:
        try:
            found.append(_settled(way, needs))
        except ChipError:
            continue
    return found


def _sent(slices: Sequence[Slice], reached: Reached) -> int:
    return sum(int(reached[part.population][part.start : part.stop].sum()) for part in slices)


def _filled(demand: Demand, runs: Sequence[tuple[str, int]], begun: Mapping[str, int] | None = None) -> Cores:
    """Populations, each up to a neuron, a core after the other; ``begun``: how much of them is placed already."""
    cores, core = list[Sequence[Slice]](), OpenCore(demand)
    start = {name: 0 if begun is None else begun[name] for name, _ in runs}
    for name, end in runs:
        while start[name] < end:
            stop = _put(core, name, start[name], end)
            core.require(name, start[name], stop)
            if stop < end:
                cores.append(tuple(core.slices.values()))
                core = OpenCore(demand)
            start[name] = stop
    return [*cores, tuple(core.slices.values())]


def _put(core: OpenCore, name: str, start: int, most: int | None = None) -> int:
    """Fill a core with neurons from ``start``; where it ends."""
    stop = core.fit(name, start, most)
    if stop > start:
        core.add(name, start, stop)
    return stop


def _joined(demand: Demand, by_spikes: bool) -> Cores:
    """Cores of one population each, every one on the first other with room; or where most of its spikes go anyway."""
    cores: list[OpenCore] = []
    rows: dict[int, dict[str, Array]] = {}
    for (piece,) in sorted(apart(demand), key=lambda slices: -demand.share(slices[0])):
        fits = [core for core in cores if not core.is_full and _has_room(core, piece)]
        if not fits:
            cores.append(OpenCore(demand))
            fits = cores[-1:]
        best = fits[0]
        if by_spikes:
            needed = demand.needs.wiring.sources([piece])
            best = max(fits, key=lambda core: _shared(rows.get(id(core), {}), needed))
            rows[id(best)] = _either(rows.get(id(best), {}), needed)
        best.add(piece.population, piece.start, piece.stop)
    return [tuple(core.slices.values()) for core in cores]


def _has_room(core: OpenCore, piece: Slice) -> bool:
    return core.fit(piece.population, piece.start, piece.stop) == piece.stop


def _shared(rows: Reached, others: Reached) -> int:
    """How many neurons are in both."""
    return sum(int(np.count_nonzero(rows[name] & there)) for name, there in others.items() if name in rows)


def _either(rows: Reached, others: Reached) -> dict[str, Array]:
    return {**rows, **{name: there | rows[name] if name in rows else there for name, there in others.items()}}


def _whole(needs: Needs) -> Cores:
    """All on one core, as if it had room."""
    return [tuple(Slice(name, 0, needs.network[name].size) for name in needs.network.order)]


def _in_order(cores: Cores, needs: Needs) -> Cores:
    """Populations in the network's order, on a core and over the cores, so that those that talk are near."""
    place = {name: index for index, name in enumerate(needs.network.order)}
    parts = [tuple(sorted(slices, key=lambda part: place[part.population])) for slices in cores]
    return sorted(parts, key=lambda slices: [(place[part.population], part.start) for part in slices])
