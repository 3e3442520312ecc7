"""Fewer thresholds: neurons are rescaled without changing a spike, and what is lost elsewhere is reported."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aspen.errors import InputError
from aspen.network.connections import Connection
from aspen.network.network import Conv, Dense, Lif, Network, Population, Sparse
from aspen_emulator import observe, run
from aspen_hardware import check, chip, compile
from aspen_hardware.compiling import grouping as grouping_module
from aspen_hardware.compiling.grouping import LARGEST_FACTOR, balance, divide, group_thresholds
from tests.networks import Array, random_spikes, seeds


def drive(kind: str, rng: np.random.Generator) -> Connection:
    """Something that drives a population of shape (3, 4): weights of very different sizes."""
    if kind == "conv":
        return Conv("input", "a", rng.normal(0.6, 0.3, (3, 1, 2)) * [[[1.0]], [[0.1]], [[3.0]]], (1, 5))
    weight = rng.normal(0.2, 0.5, (12, 5)) * np.exp(rng.normal(0, 1, (12, 1)))
    if kind == "sparse":
        return Sparse.from_matrix("input", "a", weight * (rng.random((12, 5)) < 0.7))
    return Dense("input", "a", weight)


def network(kind: str, seed: int, threshold: object) -> Network:
    rng = np.random.default_rng(seed)
    lif = Lif(threshold, 0.8, bias=rng.normal(0, 0.05, (3, 4)))
    populations = (Population("input", (1, 5)), Population("a", (3, 4), lif), Population("out", (2,), Lif(1.0, 0.9)))
    return Network(populations, (drive(kind, rng), Dense("a", "out", rng.normal(0.1, 0.3, (2, 12)))))


def rasters(target: Network, seed: int) -> Array:
    spikes = random_spikes(seed, 30, 20, 5).reshape(30, 20, 1, 5)
    return run(target, spikes, record="spikes").rasters["a"]


@pytest.mark.parametrize("kind", ["dense", "sparse", "conv"])
@pytest.mark.parametrize("how", ["balance", "group"])
@pytest.mark.parametrize("seed", range(4))
def test_rescaled_neurons_spike_as_before(kind: str, how: str, seed: int) -> None:
    by_channel = np.random.default_rng(seed).uniform(0.3, 2, (3, 1))
    full = by_channel if kind == "conv" else np.random.default_rng(seed).uniform(0.3, 2, (3, 4))
    before = network(kind, seed, np.broadcast_to(full, (3, 4)))
    lif, connection = before["a"].neuron, before.connections[0]
    arguments = ([connection], lif.bias, lif.threshold, 2)
    made = balance(*arguments) if how == "balance" else group_thresholds(*arguments, rescale=True)
    assert len(np.unique(made.threshold)) == 2
    np.testing.assert_allclose(made.exact, made.threshold)
    neuron = replace(lif, threshold=made.threshold, bias=made.bias)
    populations = tuple(replace(p, neuron=neuron) if p.name == "a" else p for p in before.populations)
    after = replace(before, populations=populations, connections=(made.connections[0], before.connections[1]))
    assert rasters(before, seed).any()
    np.testing.assert_array_equal(rasters(before, seed), rasters(after, seed))


def test_balanced_neurons_fill_the_range_and_no_more() -> None:
    weight = np.array([[1.0, -0.5], [0.25, 0.1], [0.01, 0.0], [0.0, 0.0], [0.3, 0.2]])
    made = balance([Dense("input", "a", weight)], np.zeros(5), np.asarray(2.0), 5)
    np.testing.assert_allclose(made.factor, [1, 4, LARGEST_FACTOR, 1, 1 / 0.3])
    np.testing.assert_allclose(made.threshold, 2 * made.factor)
    few = balance([Dense("input", "a", weight)], np.zeros(5), np.asarray(2.0), 3)
    np.testing.assert_allclose(few.factor, [1, 1 / 0.3, LARGEST_FACTOR, 1, 1 / 0.3])
    assert np.abs(few.connections[0].weight).max() == 1


def test_neurons_of_a_class_are_scaled_alike_and_stay_within_the_range() -> None:
    weight = np.array([[1.0, -0.5], [0.25, 0.1], [0.01, 0.0], [0.5, 0.5]])
    threshold = np.array([2.0, 3.0, 3.0, 2.0])
    made = balance([Dense("input", "a", weight)], np.ones(4), threshold, 0, np.array([0, 1, 1, 0]))
    np.testing.assert_allclose(made.factor, [1, 4, 4, 1])  # what the largest weight of the class leaves room for
    np.testing.assert_allclose(made.threshold, threshold * made.factor)
    np.testing.assert_allclose(made.bias, made.factor)
    np.testing.assert_allclose(made.connections[0].weight, weight * made.factor[:, None])
    mixed = balance([drive("conv", np.random.default_rng(0))], np.zeros((3, 4)), np.asarray(1.0), 0, np.arange(12))
    np.testing.assert_array_equal(mixed.factor, 1)  # a channel's neurons share their weights


def test_what_cannot_be_balanced_is_left_alone() -> None:
    rng = np.random.default_rng(0)
    within = rng.uniform(0.5, 1, (3, 4))
    conv = drive("conv", rng)
    assert balance([conv], np.zeros((3, 4)), within, 8).connections == [conv]
    silent = Dense("input", "a", np.zeros((12, 5)))
    assert balance([silent], np.zeros((3, 4)), np.asarray(1.0), 8).connections == [silent]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=1, max_size=8), st.integers(1, 4))
def test_slices_are_the_best_there_are(values: list[float], groups: int) -> None:
    ordered = np.sort(np.array(values))
    for cost in (grouping_module._spread(ordered), grouping_module._shortfall(ordered)):
        found = divide(ordered, groups, cost)
        assert [start for start, _ in found] == [0, *(stop for _, stop in found[:-1])]
        assert found[-1][1] == len(ordered)
        assert len(found) <= groups

        def total(cuts: tuple[int, ...], cost: grouping_module.Cost = cost, n: int = len(ordered)) -> float:
            ends = [0, *cuts, n]
            return sum(float(cost(np.array([a]), b)[0]) for a, b in pairwise(ends))

        every = [
            total(cuts)
            for k in range(min(groups, len(ordered)))
            for cuts in combinations(range(1, len(ordered)), k)
        ]  # fmt: skip
        assert total(tuple(start for start, _ in found[1:])) == pytest.approx(min(every), abs=1e-9)


def test_thousands_of_thresholds_are_divided_too() -> None:
    values = np.sort(np.random.default_rng(0).normal(size=5000))
    slices = divide(values, 8, grouping_module._spread(values))
    assert len(slices) == 8
    assert max(values[stop - 1] - values[start] for start, stop in slices[1:-1]) < 1


@settings(max_examples=20, deadline=None)
@given(seeds, st.integers(1, 8))
def test_compile_stores_no_more_thresholds_than_asked_for(seed: int, groups: int) -> None:
    rng = np.random.default_rng(seed)
    before = network("dense", seed, rng.uniform(0.3, 2, (3, 4)))
    deployment = compile(before, "loihi1", threshold_groups=groups)
    entry = deployment.rounding["a"]
    stored = np.unique(deployment.network["a"].neuron.threshold)
    assert entry.thresholds == len(stored) <= groups
    assert entry.threshold_error < 0.05  # moved into the weights: only the rounding of the mantissa is left


def test_grouping_costs_no_more_than_rounding_does() -> None:
    rng = np.random.default_rng(5)
    before = network("dense", 5, rng.uniform(0.3, 2, (3, 4)))
    wanted = rasters(before, 0)
    lost = {
        groups: int((rasters(compile(before, "loihi1", threshold_groups=groups).network, 0) != wanted).sum())
        for groups in (1, 12)
    }
    assert wanted.sum() > 500
    assert lost[1] <= max(2 * lost[12], 0.02 * wanted.sum())


def test_what_is_lost_is_reported() -> None:
    """The output keeps the unit of its membranes, and neurons of a channel share their weights."""
    rng = np.random.default_rng(6)
    spread = rng.uniform(0.5, 2, (3, 4))
    conv = compile(network("conv", 6, spread), "loihi1", threshold_groups=1)
    output = Network(
        (Population("input", (5,)), Population("out", (4,), Lif(spread[0], 0.9))),
        (Dense("input", "out", rng.normal(0.2, 0.5, (4, 5))),),
    )
    rounded = compile(output, "loihi1", threshold_groups=1).rounding["out"]
    middle = np.exp(np.log(spread[0]).mean())
    assert rounded.threshold_error == pytest.approx(np.abs(middle / spread[0] - 1).max(), rel=0.01)
    assert (rounded.thresholds, rounded.largest_factor) == (1, 1.0)
    assert conv.rounding["a"].thresholds == 1
    assert conv.rounding["a"].threshold_error > 0.1


def test_leaky_integrators_have_no_threshold_to_group() -> None:
    populations = (Population("input", (2,)), Population("out", (2,), Lif(np.inf, 0.9, reset="none")))
    integrator = Network(populations, (Dense("input", "out", np.eye(2)),))
    assert compile(integrator, "loihi1", threshold_groups=1).rounding["out"].thresholds == 1


def test_calibration_keeps_to_the_groups() -> None:
    before = network("dense", 2, np.random.default_rng(2).uniform(0.3, 2, (3, 4)))
    spikes = random_spikes(2, 20, 20, 5).reshape(20, 20, 1, 5)
    deployment = compile(before, "loihi1", threshold_groups=2, calibration=observe(before, spikes))
    assert deployment.rounding["a"].thresholds <= 2


def test_the_remedy_of_the_warning_works() -> None:
    rng = np.random.default_rng(3)
    before = network("dense", 3, rng.uniform(0.3, 2, (3, 4)))
    assert any("threshold_groups" in finding.message for finding in check(before, chip("loihi1")))
    assert compile(before, "loihi1", threshold_groups=8).warnings == ()


def test_groups_are_at_least_one() -> None:
    with pytest.raises(InputError, match="threshold_groups: found 0, allowed is an integer from 1"):
        compile(network("dense", 0, 1.0), "loihi1", threshold_groups=0)
