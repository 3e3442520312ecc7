"""Placement on cores, and the design rules that say whether a network suits a chip."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aspen.errors import ChipError
from aspen.network.network import Dense, FixedLif, Lif, Network, Population
from aspen_hardware.chips.description import Chip, chip
from aspen_hardware.placing.placement import MEASURES, place
from aspen_hardware.placing.rules import RULES, check, enforce

LOIHI1 = chip("loihi1")


def with_figures(base: Chip, **values: int) -> Chip:
    """A chip with some limits or widths changed."""
    figures = dict(base.figures)
    for name, value in values.items():
        key = next(key for key in figures if key.split(".")[0] in ("limits", "formats") and key.endswith(f".{name}"))
        figures[key] = replace(figures[key], value=value, low=value, high=value)
    return replace(base, figures=figures)


def floats(sizes: list[int], density: float = 1.0, seed: int = 0, **neuron: Any) -> Network:
    """A chain of dense layers in floating point."""
    rng = np.random.default_rng(seed)
    names = ["input", *(f"hidden{i}" for i in range(1, len(sizes) - 1)), "output"]
    options = {"threshold": 1.0, "beta": 0.9, **neuron}
    populations = [Population(names[0], (sizes[0],))]
    populations += [Population(name, (n,), Lif(**options)) for name, n in zip(names[1:], sizes[1:], strict=True)]
    connections = []
    for i in range(len(sizes) - 1):
        weight = rng.normal(size=(sizes[i + 1], sizes[i])) * (rng.random((sizes[i + 1], sizes[i])) < density)
        connections.append(Dense(names[i], names[i + 1], weight))
    return Network(tuple(populations), tuple(connections))


def analog(bits: int) -> Network:
    """Two values into one neuron, as graded spikes of so many bits."""
    populations = (Population("input", (2,), current=True), Population("output", (1,), Lif(1.0, 0.9)))
    return Network(populations, (Dense("input", "output", np.ones((1, 2))),)).with_input_peak(2.0, bits)


def integers(weight: Any = 2, **neuron: Any) -> Network:
    """One neuron in integers, driven by two inputs."""
    options = {"threshold": 100, "voltage_decay": 400, **neuron}
    weights = np.broadcast_to(np.asarray(weight, dtype=np.int32), (1, 2))
    populations = (Population("input", (2,)), Population("output", (1,), FixedLif(**options)))
    return Network(populations, (Dense("input", "output", weights),))


# ---------------------------------------------------------------- placement


def test_a_small_network_takes_one_core_per_population() -> None:
    placement = place(floats([20, 30, 5]), LOIHI1)
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
    (core,) = place(network, LOIHI1).cores
    assert (core.synapses, core.memory_bits, core.input_axons) == (1, 8, 1)


def test_overhead_of_the_chip_file_counts_as_memory() -> None:
    placement = place(floats([20, 30, 5]), with_figures(LOIHI1, synapse_overhead_bits=7))
    assert placement.cores[0].memory_bits == 600 * 15


def test_populations_split_by_neurons_memory_and_axons() -> None:
    network = floats([10, 100, 7])
    by_neurons = place(network, with_figures(LOIHI1, neurons_per_core=40)).of("hidden1")
    assert [(core.start, core.stop) for core in by_neurons] == [(0, 40), (40, 80), (80, 100)]
    by_memory = place(network, with_figures(LOIHI1, synaptic_memory_bits_per_core=1000 * 8)).of("hidden1")
    assert [core.neurons for core in by_memory] == [100]
    by_memory = place(network, with_figures(LOIHI1, synaptic_memory_bits_per_core=999 * 8)).of("hidden1")
    assert [core.neurons for core in by_memory] == [99, 1]
    by_outputs = place(network, with_figures(LOIHI1, output_axons_per_core=30)).of("hidden1")
    assert [core.neurons for core in by_outputs] == [30, 30, 30, 10]
    assert [core.output_axons for core in by_outputs] == [30, 30, 30, 10]


def test_splitting_the_target_costs_output_axons() -> None:
    # 7 outputs on cores of 2 neurons: 4 cores, so each hidden neuron needs 4 output axons and a core holds 5 of them
    tight = with_figures(LOIHI1, output_axons_per_core=20)
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
    cores = place(network, with_figures(LOIHI1, input_axons_per_core=4)).cores
    assert [(core.start, core.stop, core.input_axons) for core in cores] == [(0, 4, 4), (4, 6, 2)]


def test_recurrent_connections_reach_the_own_cores() -> None:
    network = Network(
        (Population("input", (1,)), Population("output", (4,), Lif(1.0, 0.9))),
        (Dense("input", "output", np.ones((4, 1))), Dense("output", "output", np.ones((4, 4)), delay=1)),
    )
    placement = place(network, with_figures(LOIHI1, neurons_per_core=3))
    assert [(core.neurons, core.input_axons, core.output_axons) for core in placement.cores] == [(3, 5, 6), (1, 5, 2)]


def test_a_recurrent_population_that_cannot_settle_is_refused() -> None:
    network = Network(
        (Population("input", (1,)), Population("output", (9,), Lif(1.0, 0.9))),
        (Dense("input", "output", np.ones((9, 1))), Dense("output", "output", np.ones((9, 9)), delay=1)),
    )
    with pytest.raises(ChipError, match="output: a single neuron needs 9 output axons, loihi1 allows 8 per core"):
        place(network, with_figures(LOIHI1, neurons_per_core=4, output_axons_per_core=8))


TOO_LARGE = [
    ("input_axons_per_core", 19, r"hidden1: a single neuron needs 20 input axons, loihi1 allows 19 per core; make the"),
    ("synaptic_memory_bits_per_core", 159, r"hidden1: a single neuron needs 160 bits of synaptic memory, .* 159 per"),
    ("output_axons_per_core", 0, r"hidden1: a single neuron needs 1 output axons, loihi1 allows 0 per core; make the"),
    ("neurons_per_core", 0, r"hidden1: a single neuron needs 1 neuron, loihi1 allows 0 per core; correct the chip"),
]


@pytest.mark.parametrize(("limit", "value", "message"), TOO_LARGE)
def test_what_cannot_be_split_is_refused_by_name(limit: str, value: int, message: str) -> None:
    with pytest.raises(ChipError, match=message):
        place(floats([20, 30, 5]), with_figures(LOIHI1, **{limit: value}))


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
        LOIHI1,
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
            assert getattr(core, measure) <= getattr(tiny.limits, limit)
    assert all(fraction <= 1 for limit, fraction in placement.use.items() if limit not in ("cores",))


def test_without_limits_every_population_takes_one_core() -> None:
    placement = place(floats([50, 3000, 10]), chip("generic-45nm"))
    assert (placement.cores_used, placement.chips_used) == (2, 1)
    assert placement.use == {}
    assert "No limits known" in str(placement)


def test_a_large_network_may_need_several_chips() -> None:
    placement = place(floats([2, 9, 1]), with_figures(LOIHI1, cores=4, neurons_per_core=1))
    assert (placement.cores_used, placement.chips_used) == (10, 3)
    assert placement.use["cores"] == 2.5


def test_placement_as_text_and_json() -> None:
    placement = place(floats([20, 30, 5]), LOIHI1)
    text = str(placement)
    assert "Placement on loihi1: 2 cores of 128" in text
    assert "hidden1" in text
    assert "0 to 29" in text
    assert "neurons per core 3%" in text
    plain = json.loads(json.dumps(placement.to_dict()))
    assert plain["cores_used"] == 2
    assert plain["cores"][0]["population"] == "hidden1"


# ---------------------------------------------------------------- design rules


def test_a_network_that_fits_has_no_findings() -> None:
    assert check(floats([20, 30, 5]), LOIHI1) == []
    assert check(integers(), LOIHI1) == []
    enforce(floats([20, 30, 5]), LOIHI1)


def delayed(steps: int) -> Network:
    network = floats([4, 3])
    return replace(network, connections=(replace(network.connections[0], delay=steps),))


def spread_thresholds(n: int) -> Network:
    return Network(
        (Population("input", (2,)), Population("output", (n,), Lif(np.arange(1.0, n + 1), 0.9))),
        (Dense("input", "output", np.ones((n, 2))),),
    )


BROKEN: list[tuple[str, Callable[[], Network], Chip, str, str]] = [
    (
        "reset_supported",
        lambda: floats([4, 3], reset="subtract"),
        LOIHI1,
        "error",
        r"^output: found reset 'subtract', loihi1 allows zero, none; train with the reset that you deploy$",
    ),
    (
        "delay_supported",
        lambda: delayed(63),
        LOIHI1,
        "error",
        r"^input->output: found a delay of 63 steps, loihi1 allows 62; shorten it$",
    ),
    (
        "delay_supported",
        lambda: delayed(9),
        LOIHI1,
        "warning",
        r"^input->output: found a delay of 9 steps, loihi1 always has 8 and up to 62 only",
    ),
    (
        "spikes_carry_the_input",
        lambda: analog(9),
        with_figures(LOIHI1, spike_bits=8),
        "error",
        r"^input: found an analog input, graded spikes of 9 bits, loihi1 allows spikes of 8; encode the data as spikes",
    ),
    (
        "threshold_in_range",
        lambda: integers(threshold=256),
        with_figures(LOIHI1, threshold_bits=8),
        "error",
        r"^output: found thresholds from 256 to 256, loihi1 allows 1 to 255; compile",
    ),
    (
        "decay_in_range",
        lambda: integers(voltage_decay=256, current_decay=0),
        with_figures(LOIHI1, decay_bits=8),
        "error",
        r"^output: found voltage decays from 256 to 256, loihi1 allows 0 to 255; compile",
    ),
    (
        "bias_in_range",
        lambda: integers(bias_mantissa=-129),
        with_figures(LOIHI1, bias_mantissa_bits=8),
        "error",
        r"^output: found bias mantissas from -129 to -129, loihi1 allows -128 to 127; compile",
    ),
    (
        "bias_in_range",
        lambda: integers(bias_exponent=4),
        with_figures(LOIHI1, bias_exponent_bits=2),
        "error",
        r"^output: found bias exponents from 4 to 4, loihi1 allows 0 to 3; compile",
    ),
    (
        "weight_in_range",
        lambda: integers(weight=256),
        LOIHI1,
        "error",
        r"^input->output: found weights from 256 to 256, loihi1 allows -255 to 255; compile",
    ),
    (
        "weight_in_range",
        lambda: integers(weight=[-2, 256]),
        LOIHI1,
        "error",
        r"^input->output: found weights of both signs from -2 to 256, loihi1 allows -256 to 254; compile",
    ),
    (
        "weight_in_range",
        lambda: integers(weight=[-2, 3]),
        LOIHI1,
        "error",
        r"^input->output: found odd weights in a matrix with both signs, loihi1 allows even ones; compile",
    ),
    (
        "cores_available",
        lambda: floats([2, 9, 1]),
        with_figures(LOIHI1, cores=9, neurons_per_core=1),
        "error",
        r"^network: found 10 cores needed, loihi1 has 9; use smaller populations$",
    ),
    (
        "close_to_limit",
        lambda: floats([2, 9, 1]),
        with_figures(LOIHI1, cores=12, neurons_per_core=1),
        "warning",
        r"^network: uses 83% of the cores of loihi1",
    ),
    (
        "close_to_limit",
        lambda: floats([2, 1000, 1]),
        LOIHI1,
        "warning",
        r"^hidden1: uses 98% of loihi1's neurons per core; little room is left$",
    ),
    (
        "close_to_limit",
        lambda: floats([9, 4, 1]),
        with_figures(LOIHI1, input_axons_per_core=10, neurons_per_core=2),
        "warning",
        r"^hidden1: uses 90% of loihi1's input axons per core",
    ),
    (
        "threshold_configurations",
        lambda: spread_thresholds(9),
        LOIHI1,
        "warning",
        r"^output: found 9 different thresholds, loihi1 stores 8 per core; they take 2 cores where 1 would do: train "
        r"one threshold per population, or compile with threshold_groups=8$",
    ),
]


@pytest.mark.parametrize(("rule", "build", "target", "level", "message"), BROKEN)
def test_each_rule_is_tripped(rule: str, build: Callable[[], Network], target: Chip, level: str, message: str) -> None:
    network = build()
    function = next(function for function in RULES if function.__name__ == rule)
    findings = list(function(network, target, place(network, target)))
    (finding,) = [finding for finding in findings if re.search(message, finding.message)]
    assert finding.level == level
    assert finding.message.startswith(finding.where)
    assert finding in check(network, target)


def test_every_rule_has_such_a_case() -> None:
    assert {case[0] for case in BROKEN} == {rule.__name__ for rule in RULES}


def test_number_ranges_at_their_edges() -> None:
    for network in (integers(weight=255), integers(weight=-255), integers(weight=[-256, 254]), integers(weight=0)):
        assert check(network, LOIHI1) == []
    edges = integers(threshold=2**17 - 1, voltage_decay=4095, current_decay=4095, bias_mantissa=-4096, bias_exponent=7)
    assert check(edges, LOIHI1) == []


def test_delays_that_the_chip_always_has() -> None:
    assert check(delayed(8), LOIHI1) == []
    assert check(delayed(63), chip("generic-45nm")) == []


def test_full_cores_of_a_split_population_are_no_news() -> None:
    assert check(floats([2, 2048, 1]), with_figures(LOIHI1, input_axons_per_core=10000)) == []


def test_all_errors_are_collected_and_come_first() -> None:
    network = floats([20, 30, 5], reset="subtract", threshold=1.0)
    findings = check(network, with_figures(LOIHI1, input_axons_per_core=25))
    assert [(finding.level, finding.where) for finding in findings] == [
        ("error", "output"),
        ("error", "hidden1"),
        ("error", "output"),
    ]
    assert "a single neuron needs 30 input axons" in findings[0].message
    with pytest.raises(ChipError, match=r"^output: a single neuron .*\(and 2 more: see `aspen check`\)$"):
        enforce(network, with_figures(LOIHI1, input_axons_per_core=25))


def test_warnings_do_not_refuse() -> None:
    network = spread_thresholds(9)
    assert [finding.level for finding in check(network, LOIHI1)] == ["warning"]
    enforce(network, LOIHI1)


def test_all_resets_on_programmable_chips() -> None:
    for reset in ("zero", "subtract", "subtract-delayed", "subtract-guarded", "none"):
        for name in ("loihi2", "generic-45nm"):
            assert check(floats([4, 3], reset=reset), chip(name)) == []
