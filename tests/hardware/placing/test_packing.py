"""How near the fewest cores packing comes: a bound for large networks, every way there is for small ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from aspen._base.arrays import Array
from aspen.network.network import Dense, Lif, Network, Population, Sparse
from aspen_hardware.chips.description import Chip
from aspen_hardware.placing.needs import Needs
from aspen_hardware.placing.packing import least_cores, pack, pack_in_order
from aspen_hardware.placing.placement import place
from tests.hardware.placing.networks import LOIHI1, floats, with_figures

SMALL = with_figures(
    LOIHI1,
    neurons_per_core=4,
    synaptic_memory_bits_per_core=8 * 8,
    input_axons_per_core=6,
    threshold_configurations_per_core=2,
    decay_configurations_per_core=2,
)


def small_network(seed: int) -> Network:
    """Three populations of seven neurons in all, with few thresholds and decays."""
    rng = np.random.default_rng(seed)
    sizes = [3, *(np.bincount(rng.integers(0, 3, 4), minlength=3) + 1).tolist()]
    names = ["input", "a", "b", "c"]
    populations = [Population("input", (3,))]
    for name, size in zip(names[1:], sizes[1:], strict=True):
        lif = Lif(rng.integers(1, 4, size).astype(float), rng.choice([0.5, 0.8, 0.9], size))
        populations.append(Population(name, (size,), lif))
    pairs = [(0, 1), (1, 2), (2, 3), (0, 3)]
    shapes = [(names[i], names[j], (sizes[j], sizes[i])) for i, j in pairs]
    connections = [Dense(a, b, rng.random(shape) * (rng.random(shape) < 0.6)) for a, b, shape in shapes]
    return Network(tuple(populations), tuple(connections))


def neurons_of(network: Network) -> list[tuple[int, set[tuple[str, int]], float, float]]:
    """Of each neuron: its synapses, who drives it, its threshold and its decay."""
    found = []
    for name in network.order:
        lif = network[name].neuron
        assert isinstance(lif, Lif)
        for index in range(network[name].size):
            rows = [(c.source, c.weight[index]) for c in network.incoming(name)]
            drive = {(source, int(i)) for source, row in rows for i in np.flatnonzero(row)}
            values = (np.broadcast_to(part, network[name].shape)[index] for part in (lif.threshold, lif.beta))
            found.append((sum(np.count_nonzero(row) for _, row in rows), drive, *map(float, values)))
    return found


def fewest(network: Network, chip: Chip) -> int:
    """The fewest cores by trying all ways to share out the neurons."""
    neurons, limits = neurons_of(network), chip.limits

    def fits(core: list[int]) -> bool:
        synapses, drives, thresholds, decays = zip(*(neurons[i] for i in core), strict=True)
        used = (len(core), 8 * sum(synapses), len(set().union(*drives)), len(set(thresholds)), len(set(decays)))
        allowed = (
            limits.neurons_per_core,
            limits.synaptic_memory_bits_per_core,
            limits.input_axons_per_core,
            limits.threshold_configurations_per_core,
            limits.decay_configurations_per_core,
        )
        return all(most is not None and n <= most for n, most in zip(used, allowed, strict=True))

    def ways(cores: list[list[int]], index: int) -> Iterator[int]:
        if index == len(neurons):
            yield len(cores)
            return
        for place_ in range(len(cores) + 1):
            chosen = [*cores, []] if place_ == len(cores) else cores
            more = [[*core, index] if i == place_ else core for i, core in enumerate(chosen)]
            if fits(more[place_]):
                yield from ways(more, index + 1)

    return min(ways([], 0))


def test_small_networks_take_the_fewest_cores_or_one_more() -> None:
    more = []
    for seed in range(20):
        network = small_network(seed)
        more.append(place(network, SMALL).cores_used - fewest(network, SMALL))
    assert set(more) <= {0, 1}
    assert more.count(0) >= 12


def sparse(rng: np.random.Generator, target: int, source: int, fan_in: int) -> tuple[Array, Array, Array]:
    """Weights, rows and columns of so many synapses for each neuron."""
    columns = np.concatenate([rng.choice(source, fan_in, replace=False) for _ in range(target)])
    return rng.random(target * fan_in) + 0.1, np.repeat(np.arange(target), fan_in), columns


def chain(sizes: list[int], fan_in: list[int]) -> Network:
    rng = np.random.default_rng(0)
    names = ["input", *(f"p{i}" for i in range(1, len(sizes)))]
    populations = [
        Population("input", (sizes[0],)),
        *(Population(n, (s,), Lif(1.0, 0.9)) for n, s in zip(names[1:], sizes[1:], strict=True)),
    ]
    connections = [
        Sparse(names[i - 1], names[i], *sparse(rng, sizes[i], sizes[i - 1], fan_in[i]), (sizes[i], sizes[i - 1]))
        for i in range(1, len(sizes))
    ]
    return Network(tuple(populations), tuple(connections))


def test_262_neurons_and_37_595_synapses_take_one_core() -> None:
    placement = place(floats([168, 128, 128, 6]), LOIHI1)
    assert (placement.cores_used, sum(core.neurons for core in placement.cores)) == (1, 262)


def test_many_small_populations_are_brought_together() -> None:
    network = chain([20, *([30] * 60)], [0, *([10] * 60)])
    needs = Needs.of(network, LOIHI1, None)
    placement = place(network, LOIHI1)
    assert placement.cores_used == least_cores(needs) == 2
    assert (
        sum(int(placement.destinations(network, name).sum()) for name in network.names) <= pack_in_order(needs).traffic
    )


def test_what_takes_all_neurons_sits_beside_what_takes_all_memory() -> None:
    """1,000 neurons of 9 synapses, ten cores with room for more, and 100 of 100 synapses, five cores with room for
    more neurons."""
    tight = with_figures(LOIHI1, synaptic_memory_bits_per_core=8 * 2000, neurons_per_core=100)
    needs = Needs.of(chain([20, 1000, 100], [0, 9, 100]), tight, None)
    assert (least_cores(needs), len(pack(needs).cores), len(pack_in_order(needs).cores)) == (11, 11, 15)


def test_packing_is_the_same_every_time() -> None:
    network = chain([20, *([30, 50, 70] * 8)], [0, *([10] * 24)])
    few = with_figures(LOIHI1, neurons_per_core=110)
    assert place(network, few) == place(network, few)
