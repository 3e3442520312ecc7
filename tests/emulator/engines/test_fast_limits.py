"""The fast engine at the limits of its number types: the reference's answers just below and just beyond each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aspen.errors import NetworkError
from aspen.network.graded import GradedInput
from aspen.network.network import MAX_CURRENT, Conv, Dense, FixedLif, Lif, Network, Population, Sparse
from aspen.network.neurons import RESETS, largest_threshold
from aspen_emulator import run, session
from aspen_emulator.engines.fast import chunk, parts, run_dials
from aspen_emulator.engines.fast.core.arrays import Tables
from aspen_emulator.engines.fast.plan import plan_of
from aspen_emulator.engines.inputs import thresholds_for
from aspen_hardware import compile
from tests.emulator.engines.fast_networks import Array
from tests.emulator.engines.test_fast import assert_same, compare
from tests.networks import seeds

LINGERING = {"threshold": 131071, "voltage_decay": 0, "current_decay": 0}


def one_layer(weight: Any, bits: int | None = None, exponent: int = 0, **neuron: Any) -> Network:
    """A dense layer in integers: on spikes, or on graded spikes of so many bits."""
    graded = None if bits is None else GradedInput(1.0, bits)
    given = Population("in", (np.shape(weight)[1],), current=graded is not None, graded=graded)
    chosen = {"threshold": 1000, "voltage_decay": 0, **neuron}
    populations = (given, Population("out", (len(weight),), FixedLif(**chosen)))
    return Network(populations, (Dense("in", "out", weight, exponent=exponent),))


def on_all_ways(network: Network, values: Array) -> None:
    """A run, several dials in one go, and a session give what the reference gives."""
    steps, batch = values.shape[:2]
    compare(network, values, thresholds_for(network, 1.0, steps, batch))
    dials = [thresholds_for(network, {"out": scale}, steps, batch) for scale in (0.5, 0.75)]
    wanted = [run(network, values, {"out": scale}, engine="reference") for scale in (0.5, 0.75)]
    for found, expected in zip(run_dials(network, values, dials), wanted, strict=True):
        assert_same(found, expected)
    with session(network, {"out": 0.5}, batch=batch) as live:
        np.testing.assert_array_equal([live.step(step) for step in values], wanted[0].output)


def types(network: Network) -> tuple[type, type]:
    """Of states and of sums."""
    plan = plan_of(network)
    return plan.state_type, plan.sum_type


def constant(network: Network, steps: int, value: int = 1) -> Array:
    """The same value at every input, in two samples of opposite sign where the input is analog."""
    kind = np.int64 if network.input.current else np.uint8
    values = np.full((steps, 2, *network.input.shape), value, kind)
    if network.input.current:
        values[:, 1] *= -1
    return values


@pytest.mark.parametrize(
    ("network", "value"),
    [
        (one_layer([[255]], 16, 3), 32767),
        (one_layer([[255] * 4], 8, 7, current_decay=0), 127),
        (one_layer([[255] * 4, [-255] * 4], 16, 7, current_decay=0), 32767),
        (one_layer([[255] * 40], 16, -8, current_decay=4000, threshold=131071), 32767),
    ],
)
def test_graded_input_beyond_24_bits(network: Network, value: int) -> None:
    """The current wraps around once, and what is left of it beyond 24 bits decays from there."""
    on_all_ways(network, constant(network, 12, value))


def test_graded_sums_beyond_float32_are_exact() -> None:
    """2^24 + 255, which float32 would round up to where, shifted right by 8 bits, it counts one more."""
    network = one_layer([[255, 255, 255, 1]], 16, -8, current_decay=4095, voltage_decay=4095, threshold=131071)
    values = np.array([[32767, 32767, 260, 1]])
    assert network.connections[0].accumulate(values.astype(np.float64)) == 2**24 + 255
    compare(network, values[None], thresholds_for(network, 1.0, 1, 1))
    with session(network) as live:
        live.step(values)
        assert live.membranes.tolist() == [[2**16 << FixedLif.SHIFT]]


@given(seeds, st.integers(2, 16))
@settings(max_examples=60)
def test_networks_compiled_with_graded_input(seed: int, bits: int) -> None:
    rng = np.random.default_rng(seed)
    n, m = int(rng.integers(2, 90)), int(rng.integers(2, 20))
    alpha, reset = float(rng.choice([0, 0.5, 0.95])), str(rng.choice(["zero", "subtract"]))
    populations = (
        Population("in", (n,), current=True),
        Population("a", (m,), Lif(10 ** rng.uniform(-3, 0.3), rng.uniform(0, 1), alpha, reset=reset)),
        Population("out", (4,), Lif(1.0, 0.9)),
    )
    weight = rng.normal(0, 0.3, (m, n))
    weight[0, 0] = 1.0  # thresholds are not too large beside the largest weight, or they would be refused
    first = Dense("in", "a", weight)
    network = Network(populations, (first, Dense("a", "out", rng.normal(0.1, 0.3, (4, m)))))
    compiled = compile(network.with_input_peak(3.0, bits), "loihi2").network
    values = rng.normal(0, 1, (12, 3, n))
    values[:, 0] = 4 * np.sign(first.weight[rng.integers(m)])
    on_all_ways(compiled, compiled.input.graded.encode(values).astype(np.int64))


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("sources", [128, 129, 200])
def test_sums_at_the_edge_of_16_bits(sources: int, sign: int) -> None:
    """128 synapses of 255, and one of 127, stay within 16 bits; one of 128 does not, nor do 200 of 254; where all are
    even, half of their sum is what counts."""
    for last in (127, 128):
        weight = np.full((sources + 1, 1), 255 if sources < 200 else 254)
        weight[-1] = last
        for weights in (weight.T, Sparse.from_matrix("in", "out", sign * weight.T)):
            network = one_layer(sign * weight.T, threshold=100_000)
            if isinstance(weights, Sparse):
                network = Network(network.populations, (weights,))
            spikes = constant(network, 3)
            compare(network, spikes, thresholds_for(network, 1.0, 3, 2))
            total = int(weight.sum()) // (2 if (weight % 2 == 0).all() else 1)
            assert types(network)[1] is (np.int16 if total < 2**15 else np.int32)


@pytest.mark.parametrize(("first", "kind"), [(127, np.int16), (128, np.int32)])
def test_weights_of_both_signs_add_up_in_16_bits_as_one_sign_allows(first: int, kind: type) -> None:
    """Sums of 32,767 and of -32,640, alone and together: on the way they wrap around, at the end they are right."""
    network = one_layer([[first] + [255] * 128 + [-255] * 128] * 2, threshold=100_000)
    spikes = constant(network, 3)
    spikes[0, :, :129] = spikes[1, :, 129:] = 0
    compare(network, spikes, thresholds_for(network, 1.0, *spikes.shape[:2]))
    assert types(network)[1] is kind


@pytest.mark.parametrize("connection", ["conv", "depthwise"])
def test_convolutions_add_up_beyond_16_bits(connection: str) -> None:
    groups = 4 if connection == "depthwise" else 1
    conv = Conv("in", "out", np.full((4, 4 // groups, 12, 12), 255), (4, 12, 12), groups=groups)
    populations = (Population("in", (4, 12, 12)), Population("out", (4, 1, 1), FixedLif(131071, 0)))
    network = Network(populations, (conv,))
    compare(network, constant(network, 3), thresholds_for(network, 1.0, 3, 2))
    assert types(network)[1] is np.int32


def test_a_current_that_lingers_adds_up_beyond_32_bits() -> None:
    """16 inputs of 254 at exponent 7 drive by nearly twice 24 bits; what wrapping once leaves grows for 600 steps."""
    network = one_layer(np.full((1, 16), 254), exponent=7, **LINGERING)
    spikes = constant(network, 600)
    compare(network, spikes, thresholds_for(network, 1.0, 600, 2))
    assert types(network)[0] is np.int64


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("sign", [-1, 1])
def test_at_the_edges_of_24_bits(reset: str, sign: int) -> None:
    """Sums that wrap the current around and clip the membrane, in 32 and in 64 bits: 1024 * 256 << 6 is 2^24."""
    for n, weight, exponent, kind in ((1024, 256, 0, np.int32), (1025, 256, 0, np.int64), (1024, 256, 1, np.int64)):
        bias = {"bias_mantissa": sign * 4095, "bias_exponent": 7}
        neuron = {**LINGERING, **bias, "threshold": largest_threshold(reset)}
        network = one_layer(np.full((3, n), sign * weight), exponent=exponent, reset=reset, **neuron)
        spikes = np.zeros((12, 4, n), np.uint8)
        for sample, count in enumerate((n // 4, n // 2, n // 2 + 1, n)):
            spikes[::2, sample, :count] = 1
        compare(network, spikes, thresholds_for(network, 1.0, 12, 4))
        assert types(network)[0] is kind


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize(("more", "kind"), [(0, np.int32), (1, np.int64)])
def test_currents_at_the_edge_of_32_bits(sign: int, more: int, kind: type) -> None:
    """What is forgotten at once may drive by 2^30: with bias, direct current and membrane it still fits 32 bits."""
    neuron = FixedLif(131071, 0, bias_mantissa=4095 * sign, bias_exponent=7, reset="subtract-delayed")
    populations = (Population("in", (4,), neuron, current=True), Population("out", (2,), neuron))
    weight = sign * np.array([[2**24 - 2**17 + more, 2**17, 0, 0], [2**24 - 1, 0, 0, 1]])
    loop = Dense("in", "in", sign * np.eye(4, dtype=int), delay=1)
    network = Network(populations, (Dense("in", "out", weight), loop))
    assert types(network)[0] is kind
    compare(network, np.full((9, 2, 4), sign * 4096), thresholds_for(network, 1.0, 9, 2))


@pytest.mark.parametrize(("more", "kind"), [(-1, np.int32), (0, np.int64)])
def test_sums_that_are_shifted_right_at_the_edge_of_32_bits(more: int, kind: type) -> None:
    network = one_layer([[2**31 - 1, 1 + more]], exponent=-8)
    compare(network, constant(network, 3), thresholds_for(network, 1.0, 3, 2))
    assert types(network)[0] is kind
    network = one_layer([[65538, 2, 2 + more]], 16, exponent=-8)  # 32767 * 65542 is 2^31 + 2^17 - 6
    compare(network, constant(network, 3, 32767), thresholds_for(network, 1.0, 3, 2))
    assert types(network)[0] is np.int64


def test_graded_values_decide_the_type_of_the_state() -> None:
    """8 inputs of 7 and weights of 255 drive by at most 2^20, of 32767 by 2^32; of 511 by 2^26, which adds up."""
    assert types(one_layer([[255] * 8], 4)) == (np.int32, np.int16)
    assert types(one_layer([[255] * 8], 16)) == (np.int64, np.int64)
    assert types(one_layer([[255] * 8], 10, current_decay=4000)) == (np.int32, np.int16)
    assert types(one_layer([[255] * 8], 10, current_decay=40)) == (np.int64, np.int64)


def test_spikes_and_graded_values_share_their_machine_code() -> None:
    """One for each type of states and of sums: another takes as long to compile as many tests take to run."""
    networks = [one_layer([[3, 5], [7, 9]], bits) for bits in (None, 4)]
    assert types(networks[0]) == types(networks[1]) == (np.int32, np.int16)
    for network in networks:
        on_all_ways(network, constant(network, 3))
    made = [
        (state.types[0].dtype, tables.types[Tables._fields.index("weights")].dtype)
        for tables, state, *_ in chunk.core.advance.signatures
    ]
    assert len(made) == len({*made}) > 0


@pytest.mark.parametrize("bias", range(253, 258))
def test_matrix_products_beyond_float32_are_exact(bias: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """65793 weights of 255 add up to 2^24 - 1; with a few more, float32 would round the sum up to where, shifted right
    by 8 bits, it counts one more."""
    monkeypatch.setattr(parts, "ROW_NS", 1e9)
    weight = np.full((1, 65_795), 255)
    weight[0, -2:] = bias - 128, 128
    network = one_layer(weight, exponent=-8, current_decay=4095, voltage_decay=4095, threshold=131071)
    found = run(network, constant(network, 1), record="membranes").membranes["out"]
    assert found.ravel().tolist() == [((2**24 - 1 + bias) >> 8) << 6] * 2


def test_what_64_bits_do_not_hold_is_refused() -> None:
    populations = (Population("in", (1,), current=True), Population("out", (1,), FixedLif(1, 0, current_decay=0)))
    largest = MAX_CURRENT // (4096 * 2**13 * 4096)
    network = Network(populations, (Dense("in", "out", [[largest - 1]], exponent=7),))
    on_all_ways(network, constant(network, 40, 4096))
    with pytest.raises(
        NetworkError, match=r"^out: found weights that add up to currents of 2.25e\+15 .* below 2.25e\+15"
    ):
        Network(populations, (Dense("in", "out", [[largest]], exponent=7),))
    faster = (populations[0], Population("out", (1,), FixedLif(1, 0, current_decay=1)))
    Network(faster, (Dense("in", "out", [[largest]], exponent=7),))
