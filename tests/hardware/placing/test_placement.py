"""Placement on cores."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aspen.errors import ChipError
from aspen.network.network import Dense, Lif, Network, Population
from aspen_hardware.chips.description import chip
from aspen_hardware.placing.placement import MEASURES, place
from tests.hardware.placing.networks import APART, floats, with_figures


def test_a_small_network_takes_one_core_per_population() -> None:
    placement = place(floats([20, 30, 5]), APART)
    hidden, output = placement.cores
    assert (hidden.population, hidden.start, hidden.stop) == ("hidden1", 0, 30)
    assert (hidden.synapses, hidden.memory_bits) == (600, 600 * 8)
    assert (hidden.input_axons, hidden.output_axons, hidden.thresholds) == (20, 30, 1)
    assert (output.synapses, output.input_axons, output.output_axons) == (150, 30, 0)
    assert placement.use["neurons_per_core"] == pytest.approx(30 / 1024)
    assert placement.use["cores"] == pytest.approx(2 / 128)


def test_zero_weights_take_no_memory_and_no_axons() -> None:
    weight = np.zeros((3, 4))
    weight[1, 2] = 0.5
    network = Network((Population("input", (4,)), Population("output", (3,), Lif(1.0, 0.9))), (
        Dense("input", "output", weight),
    ))  # fmt: skip
    (core,) = place(network, APART).cores
    assert (core.synapses, core.memory_bits, core.input_axons) == (1, 8, 1)


def test_overhead_of_the_chip_file_counts_as_memory() -> None:
    placement = place(floats([20, 30, 5]), with_figures(APART, synapse_overhead_bits=7))
    assert placement.cores[0].memory_bits == 600 * 15


def test_populations_split_by_neurons_memory_and_axons() -> None:
    network = floats([10, 100, 7])
    by_neurons = place(network, with_figures(APART, neurons_per_core=40)).of("hidden1")
    assert [(core.start, core.stop) for core in by_neurons] == [(0, 40), (40, 80), (80, 100)]
    by_memory = place(network, with_figures(APART, synaptic_memory_bits_per_core=1000 * 8)).of("hidden1")
    assert [core.neurons for core in by_memory] == [100]
    by_memory = place(network, with_figures(APART, synaptic_memory_bits_per_core=999 * 8)).of("hidden1")
    assert [core.neurons for core in by_memory] == [99, 1]
    by_outputs = place(network, with_figures(APART, output_axons_per_core=30)).of("hidden1")
    assert [core.neurons for core in by_outputs] == [30, 30, 30, 10]
    assert [core.output_axons for core in by_outputs] == [30, 30, 30, 10]


def test_splitting_the_target_costs_output_axons() -> None:
    # 7 outputs on cores of 2 neurons: 4 cores, so each hidden neuron needs 4 output axons and a core holds 5 of them
    tight = with_figures(APART, output_axons_per_core=20)
    network = floats([2, 12, 7])
    placement = place(network, with_figures(tight, synaptic_memory_bits_per_core=12 * 2 * 8))
    assert [core.neurons for core in placement.of("output")] == [2, 2, 2, 1]
    assert [core.neurons for core in placement.of("hidden1")] == [5, 5, 2]
    assert [core.output_axons for core in placement.of("hidden1")] == [20, 20, 8]
    assert placement.destinations(network, "hidden1").tolist() == [4] * 12
    assert placement.destinations(network, "input").tolist() == [3, 3]


def test_sparse_input_axons_are_counted_per_core() -> None:
    network = Network(
        (Population("input", (6,)), Population("output", (6,), Lif(1.0, 0.9))),
        (Dense("input", "output", np.eye(6)),),
    )
    cores = place(network, with_figures(APART, input_axons_per_core=4)).cores
    assert [(core.start, core.stop, core.input_axons) for core in cores] == [(0, 4, 4), (4, 6, 2)]


def test_recurrent_connections_reach_the_own_cores() -> None:
    network = Network(
        (Population("input", (1,)), Population("output", (4,), Lif(1.0, 0.9))),
        (Dense("input", "output", np.ones((4, 1))), Dense("output", "output", np.ones((4, 4)), delay=1)),
    )
    placement = place(network, with_figures(APART, neurons_per_core=3))
    assert [(core.neurons, core.input_axons, core.output_axons) for core in placement.cores] == [(3, 5, 6), (1, 5, 2)]


def test_a_recurrent_population_that_cannot_settle_is_refused() -> None:
    network = Network(
        (Population("input", (1,)), Population("output", (9,), Lif(1.0, 0.9))),
        (Dense("input", "output", np.ones((9, 1))), Dense("output", "output", np.ones((9, 9)), delay=1)),
    )
    with pytest.raises(ChipError, match="output: a single neuron needs 9 output axons, loihi1 allows 8 per core"):
        place(network, with_figures(APART, neurons_per_core=4, output_axons_per_core=8))


TOO_LARGE = [
    ("input_axons_per_core", 19, r"hidden1: a single neuron needs 20 input axons, loihi1 allows 19 per core; make the"),
    ("synaptic_memory_bits_per_core", 159, r"hidden1: a single neuron needs 160 bits of synaptic memory, .* 159 per"),
    ("output_axons_per_core", 0, r"hidden1: a single neuron needs 1 output axons, loihi1 allows 0 per core; make the"),
    ("neurons_per_core", 0, r"hidden1: a single neuron needs 1 neuron, loihi1 allows 0 per core; correct the chip"),
]


@pytest.mark.parametrize(("limit", "value", "message"), TOO_LARGE)
def test_what_cannot_be_split_is_refused_by_name(limit: str, value: int, message: str) -> None:
    with pytest.raises(ChipError, match=message):
        place(floats([20, 30, 5]), with_figures(APART, **{limit: value}))


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 25), min_size=2, max_size=4),
    density=st.sampled_from([0.2, 0.7, 1.0]),
    seed=st.integers(0, 99),
    neurons=st.integers(1, 12),
    memory=st.integers(20, 90),
    inputs=st.integers(20, 30),
    outputs=st.integers(5, 60),
)
def test_placement_adds_up_and_keeps_every_limit(
    sizes: list[int], density: float, seed: int, neurons: int, memory: int, inputs: int, outputs: int
) -> None:
    network = floats(sizes, density, seed)
    tiny = with_figures(
        APART,
        neurons_per_core=neurons,
        synaptic_memory_bits_per_core=memory * 8,
        input_axons_per_core=inputs,
        output_axons_per_core=outputs,
    )
    try:
        placement = place(network, tiny)
    except ChipError as error:
        assert "a single neuron needs" in str(error)  # noqa: PT017
        return
    for name in network.order:
        cores = placement.of(name)
        assert [core.start for core in cores] == [0, *(core.stop for core in cores[:-1])]
        assert cores[-1].stop == network[name].size
        assert sum(core.output_axons for core in cores) == placement.destinations(network, name).sum()
    assert sum(core.synapses for core in placement.cores) == network.n_synapses
    for core in placement.cores:
        for limit, measure in MEASURES.items():
            allowed = getattr(tiny.limits, limit)
            assert allowed is None or getattr(core, measure) <= allowed
    assert all(fraction <= 1 for limit, fraction in placement.use.items() if limit not in ("cores",))


def test_without_limits_every_population_takes_one_core() -> None:
    placement = place(floats([50, 3000, 10]), chip("generic-45nm"))
    assert (placement.cores_used, placement.chips_used) == (2, 1)
    assert placement.use == {}
    assert "No limits known" in str(placement)


def test_a_large_network_may_need_several_chips() -> None:
    placement = place(floats([2, 9, 1]), with_figures(APART, cores=4, neurons_per_core=1))
    assert (placement.cores_used, placement.chips_used) == (10, 3)
    assert placement.use["cores"] == 2.5


def test_placement_as_text_and_json() -> None:
    placement = place(floats([20, 30, 5]), APART)
    text = str(placement)
    assert "Placement on loihi1: 2 cores of 128" in text
    assert "hidden1" in text
    assert "0 to 29" in text
    assert "neurons per core 3%" in text
    plain = json.loads(json.dumps(placement.to_dict()))
    assert plain["cores_used"] == 2
    assert plain["cores"][0]["population"] == "hidden1"


# ---------------------------------------------------------------- design rules
