"""What compiling reports of its rounding is what it did, and the room that it leaves is enough for the worst input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from aspen.network.network import Dense, FixedLif, Lif, Network, Population, Sparse
from aspen_emulator.engines.inputs import thresholds_for
from aspen_emulator.engines.reference import Stepper
from aspen_hardware import compile
from aspen_hardware.compiling.deployment import Deployment
from tests.networks import Array, seeds


def network(rng: np.random.Generator, biased: bool = True) -> Network:
    """A population that two connections drive, whose weights are of very different sizes, some of them zero."""
    alpha = 0.0 if biased else rng.uniform(0, 0.8)
    lif = Lif(rng.uniform(0.3, 2, 6), rng.uniform(0, 0.95, 6), alpha, bias=rng.normal(0, 0.1, 6) * biased, reset="none")
    populations = (Population("in", (5,)), Population("a", (4,), Lif(0.7, 0.5)), Population("b", (6,), lif))
    wide = rng.normal(0.1, 0.5, (6, 5)) * np.exp(rng.normal(0, 2, (6, 5))) * (rng.random((6, 5)) < 0.8)
    skip = Dense("in", "b", wide, rng.normal(0, 0.1, 6) if biased else None)
    narrow = Sparse.from_matrix("a", "b", rng.normal(0, 0.3, (6, 4)) * (rng.random((6, 4)) < 0.7))
    return Network(populations, (Dense("in", "a", rng.normal(0, 0.5, (4, 5))), skip, narrow))


def matrices(deployment: Deployment, before: Network) -> list[tuple[Array, Array]]:
    """Of both connections to "b": the weights as they were, and the integers."""
    return [
        (one.synapses().toarray(), other.synapses().toarray())
        for one, other in zip(before.connections, deployment.network.connections, strict=True)
        if one.target == "b"
    ]


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_the_report_is_what_the_integers_say(seed: int) -> None:
    rng = np.random.default_rng(seed)
    before = network(rng, biased=seed % 2 == 0)
    deployment = compile(before, "loihi1")
    entry, lif, neuron = deployment.rounding["b"], before["b"].neuron, deployment.network["b"].neuron
    assert isinstance(lif, Lif)
    assert isinstance(neuron, FixedLif)
    pairs, state = matrices(deployment, before), entry.state_per_unit
    (exponent,) = {c.exponent for c in deployment.network.incoming("b")}
    unit = 2.0 ** (6 + exponent) / state  # of a weight's mantissa
    largest = max(np.abs(weight).max() for weight, _ in pairs)
    stored = sum(np.count_nonzero(weight) for weight, _ in pairs)
    bias = lif.bias + sum(c.bias_currents() for c in before.incoming("b") if c.bias is not None)
    assert entry.weight_exponent == exponent
    assert entry.weight_error == pytest.approx(max(np.abs(i * unit - w).max() for w, i in pairs) / largest)
    assert entry.weights_lost == pytest.approx(1 - sum(np.count_nonzero(i) for _, i in pairs) / stored)
    assert entry.threshold_error == pytest.approx(np.abs(64 * neuron.threshold / state / lif.threshold - 1).max())
    assert entry.beta_error == pytest.approx(np.abs((4096 - neuron.voltage_decay) / 4096 - lif.beta).max())
    assert entry.alpha_error == pytest.approx(np.abs((4095 - neuron.current_decay) / 4096 - lif.alpha).max())
    chips_bias = np.broadcast_to(neuron.bias_mantissa, (6,)) * 2.0**neuron.bias_exponent / state
    assert entry.bias_error == pytest.approx((np.abs(chips_bias - bias) / lif.threshold).max(), abs=1e-12)
    assert entry.largest_scale == pytest.approx(131071 / neuron.threshold.max())
    assert entry.thresholds == len(np.unique(neuron.threshold))
    both = np.hstack([integers for _, integers in pairs]) * 2.0 ** (6 + exponent) * 4096 / (1 + neuron.current_decay)
    sides = np.maximum(both.clip(min=0).sum(axis=1), (-both).clip(min=0).sum(axis=1))
    assert entry.worst_case_current == pytest.approx(sides.max() / 2**23)
    assert (entry.weights_clipped, entry.largest_factor, entry.compensated) == (0, 1, False)


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_currents_and_membranes_of_the_worst_input_stay_within_24_bits_where_the_exponent_is_above_0(seed: int) -> None:
    """Sample k spikes wherever that drives neuron k up, sample 6 + k wherever that drives it down, at every step."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(0.2, 1, (6, 12)) * np.exp(rng.normal(0, 1, (6, 12)))
    lif = Lif(
        threshold=10.0 ** rng.uniform(-2, 0),
        beta=rng.uniform(0.5, 0.99, 6) if seed % 4 < 2 else 0.0,
        alpha=0.0 if seed % 2 else rng.uniform(0, 0.9),
        bias=rng.normal(0, 1, 6) * (seed % 2) * 10.0 ** rng.uniform(0, 3),
        reset="none",
    )
    made = Network((Population("in", (12,)), Population("out", (6,), lif)), (Dense("in", "out", weight),))
    deployment = compile(made, "loihi1")
    entry = deployment.rounding["out"]
    stepper = Stepper(deployment.network, 12, watch=True)
    thresholds = {name: values[0] for name, values in thresholds_for(deployment.network, 1.0, 1, 1).items()}
    for _ in range(300):
        stepper.step(np.concatenate([weight > 0, weight < 0]).astype(np.uint8), thresholds)
    wrapped, clipped = stepper.overflows["out"]
    if entry.weight_exponent > 0:
        assert (wrapped, clipped) == (0, 0)
    assert wrapped == 0 or entry.worst_case_current > 1
    assert ("would reach" in "".join(deployment.warnings)) == (entry.worst_case_current > 1)


def test_the_worst_membrane_is_that_of_the_decay_as_it_is_stored() -> None:
    """1 - beta is 159.45 / 4096, of which a chip keeps 159: with exponent 1 that makes the difference at 24 bits."""
    lif = Lif(threshold=0.01, beta=1 - 159.45 / 4096, reset="none")
    made = Network((Population("in", (10,)), Population("out", (1,), lif)), (Dense("in", "out", np.ones((1, 10))),))
    integers = compile(made, "loihi1").network
    stepper = Stepper(integers, 1, watch=True)
    for _ in range(400):
        stepper.step(np.ones((1, 10), np.uint8), {"out": np.ones((1, 1))})
    assert stepper.overflows["out"] == (0, 0)
    assert stepper.membranes["out"][0, 0] > 2**21
