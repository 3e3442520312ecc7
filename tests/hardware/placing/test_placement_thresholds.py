"""Cores store few different thresholds: neurons with the same one share a core."""

from __future__ import annotations

import json

import numpy as np
import pytest

from aspen.errors import ChipError
from aspen.network.network import Dense, Lif, Network, Population
from aspen_hardware.chips.description import chip
from aspen_hardware.placing.placement import place
from aspen_hardware.placing.rules import check, enforce
from tests.hardware.placing.networks import APART, with_figures


def random_thresholds(n: int, different: int, seed: int = 0) -> Network:
    rng = np.random.default_rng(seed)
    values = rng.permutation(np.arange(n) % different) + 1.0
    populations = (Population("input", (20,)), Population("hidden", (n,), Lif(values, 0.9)))
    weight = rng.normal(size=(n, 20)) * (rng.random((n, 20)) < 0.3)
    output = Population("output", (3,), Lif(1.0, 0.9))
    back = rng.normal(size=(3, n)) * (rng.random((3, n)) < 0.2)
    return Network((*populations, output), (Dense("input", "hidden", weight), Dense("hidden", "output", back)))


@pytest.mark.parametrize(("different", "cores"), [(8, 1), (9, 2), (24, 3), (40, 5)])
def test_neurons_with_the_same_threshold_share_a_core(different: int, cores: int) -> None:
    network = random_thresholds(40, different)
    placement = place(network, APART)
    placed = placement.of("hidden")
    assert len(placed) == cores
    assert all(core.thresholds <= 8 for core in placed)
    assert sum(core.thresholds for core in placed) == different
    assert sum(core.synapses for core in placed) == np.count_nonzero(network.connections[0].weight)
    assert ("hidden" in placement.orders) == (different > 8)
    assert place(network, chip("loihi2")).of("hidden")[0].neurons == 40


def test_sorted_neurons_are_counted_where_they_are() -> None:
    """Each core's axons and synapses are those of the neurons that the order puts on it."""
    network = random_thresholds(40, 24, seed=2)
    placement = place(network, with_figures(APART, output_axons_per_core=15))
    order, (first, second) = placement.orders["hidden"], network.connections
    assert sorted(order) == list(range(40))
    for core in placement.of("hidden"):
        neurons = order[core.start : core.stop]
        assert core.thresholds == len(np.unique(network["hidden"].neuron.threshold[neurons])) <= 8
        assert core.synapses == np.count_nonzero(first.weight[neurons])
        assert core.input_axons == np.count_nonzero(first.weight[neurons].any(axis=0))
        assert core.output_axons == np.count_nonzero(second.weight[:, neurons].any(axis=0)) <= 15
    inputs = sum(first.weight[order[c.start : c.stop]].any(axis=0).astype(int) for c in placement.of("hidden"))
    np.testing.assert_array_equal(placement.destinations(network, "input"), inputs)
    np.testing.assert_array_equal(placement.destinations(network, "hidden"), second.weight.any(axis=0))
    assert json.loads(json.dumps(placement.to_dict()))["orders"]["hidden"] == order.tolist()


def test_thresholds_that_fit_beside_the_other_limits_are_no_news() -> None:
    """24 thresholds on the four cores that the neurons need anyway."""
    tight = with_figures(APART, neurons_per_core=12)
    assert not [f for f in check(random_thresholds(40, 24), tight) if "different thresholds" in f.message]


def test_too_many_thresholds_for_the_whole_chip_are_refused() -> None:
    with pytest.raises(
        ChipError, match=r"^network: found 6 cores needed, loihi1 has 5; .* compile with threshold_groups=8$"
    ):
        enforce(random_thresholds(40, 40), with_figures(APART, cores=5))


@pytest.mark.parametrize(("different", "cores"), [(31, 1), (32, 2)])
def test_a_second_compartment_needs_a_decay_of_its_own(different: int, cores: int) -> None:
    """Of neurons whose own decay is there already, beside as many others as the core stores."""
    betas = np.arange(1, different + 1) / 40
    populations = (
        Population("input", (4,)),
        Population("hidden", (different,), Lif(1.0, betas)),
        Population("output", (2,), Lif(1.0, betas[0], reset="none")),
    )
    weights = np.ones((different, 4)), np.ones((2, different))
    network = Network(populations, (Dense("input", "hidden", weights[0]), Dense("hidden", "output", weights[1])))
    placement = place(network, chip("loihi1"))
    assert len(placement.cores) == cores
    assert max(core.decays for core in placement.cores) == 32
