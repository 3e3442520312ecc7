"""Calibration: on its sample it never loses spikes or leaves 24 bits, and says what it changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from aspen.errors import InputError
from aspen.network.network import Conv, Dense, Lif, Network, Population, Sparse
from aspen_emulator import observe, run
from aspen_emulator.engines.inputs import thresholds_for
from aspen_emulator.engines.reference import Stepper
from aspen_emulator.measuring.observing import _compare_stepwise
from aspen_hardware import compile, load_deployment, store_deployment
from aspen_hardware.compiling.populations import Options, Scheme, quantize_population
from aspen_hardware.compiling.search import MARGIN, Fit, search_schemes
from tests.networks import Array, fixed_network, float_network, random_spikes, seeds


def different(network: Network, integers: Network, spikes: Array) -> int:
    before, after = run(network, spikes, record="spikes").rasters, run(integers, spikes, record="spikes").rasters
    return sum(int((before[name] != after[name]).sum()) for name in network.order)


def overflows(integers: Network, spikes: Array) -> int:
    stepper = Stepper(integers, spikes.shape[1], watch=True)
    thresholds = {name: array[0] for name, array in thresholds_for(integers, 1.0, 1, 1).items()}
    for step in spikes:
        stepper.step(step, thresholds)
    return sum(sum(counts) for counts in stepper.overflows.values())


def heavy_tailed(seed: int, reset: str = "zero") -> Network:
    """A few weights are ten times as large as all others, and so leave them hardly any resolution."""
    rng = np.random.default_rng(seed)

    def weight(*shape: int) -> Array:
        return rng.normal(0.02, 0.1, shape) * np.where(rng.random(shape) < 0.005, 10, 1)

    sizes = (30, 40, 20)
    populations = [Population("input", (30,))]
    populations += [Population(f"layer{i}", (n,), Lif(0.5, 0.9, reset=reset)) for i, n in enumerate(sizes[1:], 1)]
    names = [population.name for population in populations]
    connections = [Dense(a, b, weight(sizes[i + 1], sizes[i])) for i, (a, b) in enumerate(zip(names, names[1:]))]  # noqa: B905, RUF007
    return Network(tuple(populations), tuple(connections))


def crowded(seed: int) -> Network:
    """Many strong inputs and slow currents: for some seeds, 24 bits overflow at the worst-case exponent of 0."""
    rng = np.random.default_rng(seed)
    neurons = [
        Lif(rng.uniform(0.5, 50), rng.uniform(0, 1), rng.choice([0, 0.5, 0.9]), reset=str(rng.choice(["zero", "none"])))
        for _ in range(2)
    ]
    populations = [Population("input", (80,)), *(Population(f"layer{i}", (5,), n) for i, n in enumerate(neurons, 1))]
    first = Dense("input", "layer1", rng.normal(rng.choice([0, 1]), 0.5, (5, 80)))
    return Network(tuple(populations), (first, Dense("layer1", "layer2", rng.normal(0.2, 0.5, (5, 5)))))


@settings(max_examples=8, deadline=None)
@given(seeds)
def test_on_its_sample_it_never_overflows_and_never_loses_spikes(seed: int) -> None:
    network, spikes = crowded(seed), random_spikes(seed, 20, 3, 80, 0.9)
    plain = compile(network, "loihi1")
    calibrated = compile(network, "loihi1", calibration=observe(network, spikes))
    assert overflows(calibrated.network, spikes) == 0
    if overflows(plain.network, spikes) == 0:
        assert different(network, calibrated.network, spikes) <= different(network, plain.network, spikes)


def test_overflows_that_the_bounds_let_pass_are_mended() -> None:
    for seed in (4, 7, 33):  # of the first 40
        network, spikes = crowded(seed), random_spikes(seed, 20, 3, 80, 0.9)
        assert overflows(compile(network, "loihi1").network, spikes)
        assert overflows(compile(network, "loihi1", calibration=observe(network, spikes)).network, spikes) == 0


def test_weights_with_a_heavy_tail_keep_far_more_spikes_on_unseen_data_too() -> None:
    for seed in range(3):
        network = heavy_tailed(seed)
        plain = compile(network, "loihi1")
        calibrated = compile(network, "loihi1", calibration=observe(network, random_spikes(seed, 30, 40, 30, 0.2)))
        unseen = random_spikes(seed + 100, 30, 40, 30, 0.2)
        before, after = different(network, plain.network, unseen), different(network, calibrated.network, unseen)
        assert after < 0.6 * before, (seed, before, after)


def test_the_report_says_what_was_measured_and_changed(tmp_path: Path) -> None:
    network, spikes = heavy_tailed(0), random_spikes(0, 30, 40, 30, 0.2)
    deployment = compile(network, "loihi1", calibration=observe(network, spikes))
    wanted, got = (run(n, spikes, record="spikes").rasters for n in (network, deployment.network))
    for name, entry in deployment.rounding.items():
        kept = 1 - (wanted[name] != got[name]).sum() / wanted[name].sum()
        assert entry.kept_calibrated == pytest.approx(kept)
        assert entry.kept_uncalibrated is not None
        assert entry.kept_uncalibrated < kept
        assert entry.sample_peak is not None
        assert 0 < entry.sample_peak <= MARGIN
        assert f"{name}: {kept:.2%} of the sample's spikes kept" in str(deployment)
    hidden, output = deployment.rounding["layer1"], deployment.rounding["layer2"]
    assert 2 <= hidden.thresholds <= 8  # neurons scaled up: loihi1 stores 8 thresholds per core
    assert hidden.largest_factor > 1
    assert output.thresholds == output.largest_factor == 1  # its membranes may be read out
    assert hidden.compensated
    assert "errors compensated" in str(deployment)
    assert compile(network, "loihi1").rounding["layer1"].kept_calibrated is None
    path = tmp_path / "net.aspen"
    network.save(path)
    store_deployment(deployment, path)
    assert load_deployment(path, "loihi1").rounding == deployment.rounding


@pytest.mark.parametrize("fill", [1.0, 0.5, 0.1])
def test_clipped_weights_are_counted(fill: float) -> None:
    network = heavy_tailed(1)
    entry = quantize_population(network, network["layer2"], Options(4.0), Scheme(fill=fill)).rounding
    magnitude = np.abs(network.connections[1].weight)
    assert entry.weights_clipped == pytest.approx((magnitude > fill * magnitude.max() * 255 / 254).mean())
    assert (entry.weights_clipped > 0) == (fill < 1)


def test_room_is_left_for_the_sample_not_for_the_worst_case() -> None:
    """600 inputs of which few spike: the worst case asks for the exponent 0, the sample allows finer thresholds."""
    rng = np.random.default_rng(0)
    populations = (Population("input", (600,)), Population("out", (8,), Lif(rng.uniform(0.1, 0.3, 8), 0.9)))
    network = Network(populations, (Dense("input", "out", rng.normal(0, 0.1, (8, 600))),))
    spikes = random_spikes(0, 40, 20, 600, 0.013)
    plain = compile(network, "loihi1")
    calibrated = compile(network, "loihi1", calibration=observe(network, spikes))
    assert plain.rounding["out"].weight_exponent == 0
    assert calibrated.rounding["out"].weight_exponent > 0
    assert different(network, calibrated.network, spikes) < different(network, plain.network, spikes)
    assert not any("would reach" in text for text in calibrated.warnings)


def test_convolutions_sparse_and_recurrent_connections() -> None:
    rng = np.random.default_rng(3)
    conv = Conv("input", "a", rng.normal(0.1, 0.4, (3, 1, 3, 3)) * np.array([1, 0.2, 3]).reshape(3, 1, 1, 1), (1, 6, 6))
    sparse = Sparse.from_matrix("a", "b", rng.normal(0.1, 0.3, (9, 48)) * (rng.random((9, 48)) < 0.5))
    loop = Dense("b", "b", rng.normal(0, 0.2, (9, 9)), delay=1)
    populations = (
        Population("input", (1, 6, 6)),
        Population("a", (3, 4, 4), Lif(0.7, 0.8, bias=0.01)),
        Population("b", (9,), Lif(rng.uniform(0.5, 1, 9), 0.8, alpha=0.3)),
        Population("out", (4,), Lif(0.6, 0.9)),
    )
    network = Network(populations, (conv, sparse, loop, Dense("b", "out", rng.normal(0.1, 0.5, (4, 9)))))
    spikes = random_spikes(0, 25, 20, 36, 0.3).reshape(25, 20, 1, 6, 6)
    plain = compile(network, "loihi2")
    calibrated = compile(network, "loihi2", calibration=observe(network, spikes))
    assert different(network, calibrated.network, spikes) < different(network, plain.network, spikes)
    assert overflows(calibrated.network, spikes) == 0


def test_layers_compared_one_by_one_are_those_of_the_whole_network() -> None:
    """Also when only one of them changes: what is not run again must still be right."""
    network, spikes = heavy_tailed(4), random_spikes(4, 25, 6, 30, 0.2)
    delayed = replace(network, connections=(network.connections[0], replace(network.connections[1], delay=2)))
    sample = observe(delayed, spikes)
    first = compile(delayed, "loihi1").network
    other = compile(
        replace(delayed, connections=tuple(replace(c, weight=c.weight * 0.7) for c in delayed.connections)), "loihi1"
    ).network
    mixed = replace(first, connections=(first.connections[0], other.connections[1]))
    assert sum(different(delayed, n, spikes) > 0 for n in (first, other, mixed)) == 3
    for integers in (first, mixed, other, first):
        assert sample.compare(integers) == _compare_stepwise(integers, spikes, sample._rasters)
        assert sum(fit.different for fit in sample.compare(integers).values()) == different(delayed, integers, spikes)


def test_netx_keeps_one_exponent_and_the_thresholds_as_they_are() -> None:
    network, spikes = heavy_tailed(0), random_spikes(0, 20, 10, 30, 0.2)
    deployment = compile(network, "loihi1", netx=True, calibration=observe(network, spikes))
    assert all(connection.exponent == 0 for connection in deployment.network.connections)
    assert all(entry.thresholds == 1 for entry in deployment.rounding.values())
    small = np.geomspace(1, 0.1, 40)  # scaled up, these neurons would all have one threshold and finer weights
    hidden = replace(network["layer1"], neuron=Lif(0.5 * small, 0.9))
    first = replace(network.connections[0], weight=network.connections[0].weight * small[:, None])
    spread = Network((network.input, hidden, network["layer2"]), (first, network.connections[1]))
    kept = compile(spread, "loihi1", netx=True, calibration=observe(spread, spikes)).rounding["layer1"]
    assert (kept.thresholds, kept.largest_factor) == (40, 1.0)
    assert compile(spread, "loihi1", calibration=observe(spread, spikes)).rounding["layer1"].largest_factor > 2


def test_what_cannot_be_avoided_is_said() -> None:
    """A measurement that overflows whatever is tried, as with currents that never decay."""
    network = float_network(0, (6, 4), bias=False)
    sample = observe(network, random_spikes(0, 5, 2, 6))
    sample.compare = lambda integers: {"layer1": Fit(spikes=10, different=0, overflows=3, peak=2.0)}
    deployment = compile(network, "loihi1", calibration=sample)
    assert any("layer1: 3 currents and membranes leave 24 bits" in warning for warning in deployment.warnings)


def test_the_search_takes_only_what_is_better() -> None:
    """Each trial is worse than the start: nothing is changed."""
    start = compile(heavy_tailed(2), "loihi1").network
    fits = iter([Fit(100, 5, 0, 0.2), *[Fit(100, 6, 0, 0.2)] * 1000])
    found = search_schemes({"a": Scheme()}, lambda schemes: start, lambda network: {"a": next(fits)}, 8)
    assert found.before == found.after == {"a": Fit(100, 5, 0, 0.2)}
    assert found.schemes["a"].worst_case
    assert Fit(0, 0, 0, 0.0).kept == 1.0


@pytest.mark.parametrize(
    ("network", "spikes", "message"),
    [
        (fixed_network(0), random_spikes(0, 5, 2, 6), "calibration: found a network with integers"),
        (
            Network(
                (Population("input", (2,), current=True), Population("out", (1,), Lif(1.0, 0.9))),
                (Dense("input", "out", np.ones((1, 2))),),
            ),
            np.zeros((3, 1, 2)),
            "calibration: found a network with a current into input",
        ),
        (float_network(0), random_spikes(0, 5, 2, 7), "spikes: found shape"),
        (float_network(0), np.full((5, 2, 6), 0.5), "spikes: found 0.5, allowed are 0 and 1"),
    ],
)
def test_samples_that_do_not_fit_are_refused(network: Network, spikes: Array, message: str) -> None:
    with pytest.raises(InputError, match=message):
        observe(network, spikes)


def test_integers_are_not_calibrated_again() -> None:
    network = float_network(0, bias=False)
    measure = observe(network, random_spikes(0, 5, 2, 6))
    integers = compile(network, "loihi1").network
    for options in ({"calibration": measure}, {"threshold_groups": 4}):
        with pytest.raises(InputError, match="compile: found a network in integers"):
            compile(integers, "loihi1", **options)
