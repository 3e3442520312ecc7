"""Cores that hold several populations, where the chip's file sets no limit or one above 1."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aspen._base.arrays import Array
from aspen.errors import ChipError
from aspen.network.network import Dense, Lif, Network, Population
from aspen_emulator.engines.replay import record_from_rasters
from aspen_emulator.streaming.counting import Events
from aspen_hardware.chips.description import Chip, chip
from aspen_hardware.energy.costs import work_seconds
from aspen_hardware.energy.hops import hops
from aspen_hardware.placing.cores import MEASURES
from aspen_hardware.placing.placement import Placement, least_cores, place
from aspen_hardware.placing.rules import check
from tests.hardware.placing.networks import APART, LOIHI1, floats, with_figures


def shown(placement: Placement) -> list[list[tuple[str, int, int]]]:
    return [[(part.population, part.start, part.stop) for part in core.slices] for core in placement.cores]


def test_populations_share_a_core_in_the_networks_order() -> None:
    network = floats([20, 30, 5])
    placement = place(network, LOIHI1)
    (core,) = placement.cores
    assert shown(placement) == [[("hidden1", 0, 30), ("output", 0, 5)]]
    assert (core.neurons, core.populations, core.synapses, core.memory_bits) == (35, 2, 750, 750 * 8)
    # 20 inputs and 30 hidden neurons reach the core; each hidden neuron reaches one core, its own; one threshold
    assert (core.input_axons, core.output_axons, core.thresholds) == (50, 30, 1)
    assert placement.of("hidden1") == placement.of("output") == (core,)
    assert placement.use["neurons_per_core"] == pytest.approx(35 / 1024)
    assert least_cores(network, LOIHI1) == 1 < least_cores(network, APART)


def test_a_population_is_split_only_where_that_saves_a_core() -> None:
    whole = place(floats([4, 7, 5, 3]), with_figures(LOIHI1, neurons_per_core=5))
    assert shown(whole) == [[("hidden1", 0, 5)], [("hidden1", 5, 7), ("output", 0, 3)], [("hidden2", 0, 5)]]
    halved = place(floats([4, 4, 4, 4, 3]), with_figures(LOIHI1, neurons_per_core=5))
    assert [core.neurons for core in halved.cores] == [5, 5, 5]


def test_a_number_of_populations_may_be_the_limit() -> None:
    two = with_figures(APART, populations_per_core=2)
    placement = place(floats([4, 3, 3, 3, 3]), two)
    assert [[name for name, _, _ in core] for core in shown(placement)] == [
        ["hidden1", "hidden2"],
        ["hidden3", "output"],
    ]
    assert "populations" not in str(placement.use)
    with pytest.raises(
        ChipError, match=r"hidden1: a single neuron needs 1 population, loihi1 allows 0 per core; corre"
    ):
        place(floats([4, 3, 3]), with_figures(APART, populations_per_core=0))


def test_a_spike_sends_one_packet_to_a_core_whatever_it_drives_there() -> None:
    """Input 0 drives both populations, input 1 only the second, input 2 none; both are on one core."""
    populations = (Population("input", (3,)), *(Population(name, (2,), Lif(1.0, 0.9)) for name in "ab"))
    to_a, to_b = np.zeros((2, 3)), np.zeros((2, 3))
    to_a[:, 0], to_b[:, :2] = 1.0, 1.0
    network = Network(populations, (Dense("input", "a", to_a), Dense("input", "b", to_b)))
    together, apart = place(network, LOIHI1), place(network, APART)
    assert together.destinations(network, "input").tolist() == [1, 1, 0]
    assert [(index, packets.tolist()) for index, packets in together.reached_by(network, "input")] == [(0, [1, 1, 0])]
    assert together.cores[0].input_axons == 2
    assert apart.destinations(network, "input").tolist() == [2, 1, 0]


def test_packets_hop_from_the_core_that_a_neuron_shares() -> None:
    network = floats([2, 12, 4])
    placement = place(network, with_figures(LOIHI1, neurons_per_core=14, output_axons_per_core=10**6))
    assert shown(placement) == [[("hidden1", 0, 12)], [("output", 0, 4)]]
    east_west, north_south = hops(network, "hidden1", placement)
    assert (east_west.any(), north_south.any()) == (False, False)  # one tile holds four cores
    spread = place(floats([2, 16, 2]), with_figures(LOIHI1, neurons_per_core=3))
    assert spread.cores_used == 6
    east_west, _ = hops(floats([2, 16, 2]), "hidden1", spread)
    assert (
        east_west.tolist() == [1] * 12 + [0] * 4
    )  # the output is on core 5, in the second tile, with neurons 12 to 15


def test_thresholds_of_all_populations_on_a_core_are_counted_together() -> None:
    populations = (
        Population("input", (2,)),
        Population("a", (5,), Lif(np.arange(1.0, 6.0), 0.9)),
        Population("b", (6,), Lif(np.arange(3.0, 9.0), 0.9)),
    )
    network = Network(populations, (Dense("input", "a", np.ones((5, 2))), Dense("a", "b", np.ones((6, 5)))))
    (core,) = place(network, LOIHI1).cores
    assert core.thresholds == 8
    tight = place(network, with_figures(LOIHI1, threshold_configurations_per_core=6))
    assert shown(tight) == [[("a", 0, 5)], [("b", 0, 6)]]


def test_membranes_with_a_floor_share_no_core_with_others() -> None:
    """Loihi has one lower limit for all membranes of a core."""
    populations = [Population("input", (2,))]
    populations += [Population(n, (3,), Lif(1.0, 0.9, reset=reset)) for n, reset in zip("abc", FLOORED, strict=True)]
    connections = [Dense(a, b, np.ones((3, n))) for a, b, n in (("input", "a", 2), ("a", "b", 3), ("b", "c", 3))]
    network = Network(tuple(populations), tuple(connections))
    assert shown(place(network, LOIHI1)) == [[("a", 0, 3), ("c", 0, 3)], [("b", 0, 3)]]
    assert place(network, chip("spinnaker2")).cores_used == 1


FLOORED = ("zero", "none-rectified", "zero")


def test_shared_cores_as_text_and_json() -> None:
    placement = place(floats([20, 30, 5]), LOIHI1)
    assert str(placement).startswith("Placement on loihi1: 1 core of 128\n")
    assert re.search(r"hidden1 +0 to 29 +750 +6,000 +50 +30\n\+ output +0 to 4\n", str(placement))
    (core,) = json.loads(json.dumps(placement.to_dict()))["cores"]
    assert core["slices"][1] == {"population": "output", "start": 0, "stop": 5}
    with pytest.raises(
        ChipError, match=r"core: found slices of hidden1, output, allowed here is a core of one populat"
    ):
        placement.cores[0].start  # noqa: B018 - raises


def test_what_does_not_fit_on_the_cores_is_refused_by_population_and_limit() -> None:
    one = with_figures(LOIHI1, cores=1, input_axons_per_core=45)
    (finding,) = [found for found in check(floats([20, 30, 5]), one) if found.level == "error"]
    assert finding.message == (
        "output: found 2 cores needed, loihi1 has 1: one neuron more on the last one, and it needs 50 input axons, "
        "loihi1 allows 45 per core; use smaller populations"
    )
    assert not [found for found in check(floats([20, 25, 5]), one) if found.level == "error"]
    few = with_figures(LOIHI1, cores=1, neurons_per_core=33)  # three of the outputs still fit
    (finding,) = [found for found in check(floats([20, 30, 5]), few) if found.level == "error"]
    assert "one neuron more on the last one, and it needs 34 neurons, loihi1 allows 33 per core" in finding.message


def test_too_many_of_several_cores_are_refused_without_a_place() -> None:
    """Populations may be put otherwise: none is the one that has no room."""
    tight = with_figures(LOIHI1, cores=3, output_axons_per_core=2, neurons_per_core=5)
    (finding,) = [found for found in check(floats([8, 6, 3, 4], 0.3, 3), tight) if found.level == "error"]
    assert finding.message == "network: found 4 cores needed, loihi1 has 3; use smaller populations"


def test_one_core_that_is_close_to_its_limits_is_named_once() -> None:
    one = with_figures(LOIHI1, cores=1, neurons_per_core=36)
    (finding,) = check(floats([20, 30, 5]), one)
    assert finding.message == "hidden1, output: uses 97% of loihi1's neurons per core; little room is left"


def test_a_core_does_the_work_of_its_populations_one_after_the_other() -> None:
    """Hidden: 24 operations of 4 inputs on 6 neurons. Output: 12. With Davies et al.'s times and one tile's barrier."""
    network, davies = floats([4, 6, 2], seed=3), LOIHI1.only("davies2018")
    spikes = {"input": np.ones((2, 1, 4), np.uint8), "hidden1": np.ones((2, 1, 6), np.uint8)}
    spikes["output"] = np.zeros((2, 1, 2), np.uint8)
    record = record_from_rasters(network, spikes, "by hand", "spikes")
    hidden, output = 24 * 3.5 + 6 * 8.4, 12 * 3.5 + 2 * 8.4
    for target, work in ((davies, hidden + output), (APART.only("davies2018"), max(hidden, output))):
        seconds = work_seconds(record, target, place(network, target))
        assert seconds is not None
        assert seconds.typical == pytest.approx(2 * (work + 113) * 1e-9)
    updates, operations = {"hidden1": 12, "output": 4}, {"input->hidden1": 48, "hidden1->output": 24}
    together = Events(2, {"input": 8, "hidden1": 12, "output": 0}, updates, dict(updates), operations)
    seconds = work_seconds(together.record(network), davies, place(network, davies))
    assert seconds is not None
    assert seconds.typical == pytest.approx(2 * (hidden + output + 113) * 1e-9)


def needs_by_hand(network: Network, placement: Placement, index: int) -> dict[str, int]:
    """What a core needs, from the weights alone."""
    on = {part.population: placement.members(part) for part in placement.cores[index].slices}
    reach: dict[str, set[int]] = {}
    synapses = 0
    for connection in network.connections:
        rows = connection.weight[on.get(connection.target, [])]
        synapses += np.count_nonzero(rows)
        reach.setdefault(connection.source, set()).update(np.flatnonzero(rows.any(axis=0)).tolist())
    values = [np.broadcast_to(network[name].neuron.threshold, network[name].shape)[ids] for name, ids in on.items()]
    decays = [np.broadcast_to(network[name].neuron.beta, network[name].shape)[ids] for name, ids in on.items()]
    return {
        "populations": len(on),
        "compartments": sum(map(len, on.values())),
        "memory_bits": synapses * 8,
        "input_axons": sum(map(len, reach.values())),
        "output_axons": sum(int(reached(network, placement, name)[ids].sum()) for name, ids in on.items()),
        "thresholds": len(set(np.concatenate(values).tolist())),
        "decays": len(set(np.concatenate(decays).tolist())),
        "floors": 1,
    }


def reached(network: Network, placement: Placement, name: str) -> Array:
    """(n,): cores that each neuron reaches, from the weights alone."""
    count = np.zeros(network[name].size, np.int64)
    for core in placement.cores:
        on = [c.weight[placement.members(p)] for p in core.slices for c in network.incoming(p.population)
              if c.source == name]  # fmt: skip
        count += np.any([rows.any(axis=0) for rows in on], axis=0) if on else 0
    return count


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Chains with a skipping and a recurrent connection, some with many thresholds."""
    sizes = draw(st.lists(st.integers(1, 20), min_size=3, max_size=4))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    names = ["input", *(f"p{i}" for i in range(1, len(sizes)))]
    thresholds = [rng.integers(1, 12, n).astype(float) if rng.random() < 0.5 else 1.0 for n in sizes]
    populations = [Population("input", (sizes[0],))]
    parts = zip(names, sizes, thresholds, strict=True)
    populations += [Population(name, (n,), Lif(t, 0.9)) for name, n, t in list(parts)[1:]]
    pairs = [*pairwise(names), ("input", names[-1]), (names[1], names[1])]
    size = dict(zip(names, sizes, strict=True))
    connections = [
        Dense(a, b, rng.random((size[b], size[a])) * (rng.random((size[b], size[a])) < 0.6), delay=int(a == b))
        for a, b in dict.fromkeys(pairs)
    ]
    return Network(tuple(populations), tuple(connections))


def limited(draw: st.DrawFn) -> Chip:
    """A chip with small cores."""
    limits = {
        "neurons_per_core": draw(st.integers(3, 30)),
        "synaptic_memory_bits_per_core": draw(st.integers(60, 300)) * 8,
        "input_axons_per_core": draw(st.integers(20, 60)),
        "output_axons_per_core": draw(st.integers(5, 90)),
    }
    share = draw(st.sampled_from([2, 3, None]))
    base = LOIHI1 if share is None else with_figures(APART, populations_per_core=share)
    return with_figures(base, **limits)


@settings(max_examples=40, deadline=None)
@given(network=networks(), target=st.composite(limited)())
def test_shared_cores_hold_every_neuron_once_and_keep_every_limit(network: Network, target: Chip) -> None:
    try:
        placement = place(network, target)
    except ChipError as error:
        assert "a single neuron needs" in str(error)  # noqa: PT017
        return
    for name in network.order:
        held = [placement.members(part) for _, part in placement.slices(name)]
        assert sorted(np.concatenate(held).tolist()) == list(range(network[name].size))
        np.testing.assert_array_equal(placement.destinations(network, name), reached(network, placement, name))
    for index, core in enumerate(placement.cores):
        by_hand = needs_by_hand(network, placement, index)
        assert {measure: getattr(core, measure) for measure in MEASURES.values()} == by_hand
        for limit, measure in MEASURES.items():
            allowed = getattr(target.limits, limit)
            assert allowed is None or by_hand[measure] <= allowed
    assert least_cores(network, target) <= placement.cores_used


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 25), min_size=2, max_size=4),
    seed=st.integers(0, 99),
    neurons=st.integers(1, 12),
    memory=st.integers(25, 90),
)
def test_cores_of_one_population_are_filled_as_ever(sizes: list[int], seed: int, neurons: int, memory: int) -> None:
    """On Loihi: each population alone, neuron by neuron until the next one would exceed a limit."""
    network = floats(sizes, 0.7, seed)
    tiny = with_figures(APART, neurons_per_core=neurons, synaptic_memory_bits_per_core=memory * 8)
    expected = []
    for connection in network.connections:  # one for each population of a chain
        fan_in, start = np.count_nonzero(connection.weight, axis=1), 0
        for stop in range(1, len(fan_in) + 1):
            if stop == len(fan_in) or stop - start == neurons or fan_in[start : stop + 1].sum() > memory:
                reach = np.count_nonzero(connection.weight[start:stop].any(axis=0))
                expected.append((connection.target, start, stop, fan_in[start:stop].sum(), reach))
                start = stop
    plain = place(network, tiny).to_dict()["cores"]
    keys = ("population", "start", "stop", "synapses", "input_axons")
    more = ("output_axons", "thresholds", "compartments", "decays", "floors")
    assert [tuple(core[key] for key in keys) for core in plain] == expected
    assert all(list(core) == [*keys[:4], "memory_bits", *keys[4:], *more] for core in plain)
