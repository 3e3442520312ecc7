"""Compiling: rounding is bounded and reported, what does not fit is refused, and spikes survive."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from aspen.errors import ChipError, FileFormatError, InputError
from aspen.network.network import Conv, Dense, FixedLif, Lif, Network, Population
from aspen_emulator import run
from aspen_hardware import chip, compile, load_deployment, store_deployment
from aspen_hardware.compiling import formats as quantize
from aspen_hardware.compiling.deployment import stored_chips
from aspen_hardware.placing.placement import least_cores, place
from aspen_hardware.placing.rules import check
from tests.networks import fixed_network, float_network, random_spikes, seeds


def one_layer(weight: object, bias: object = None, **lif: object) -> Network:
    lif = {"threshold": 1.0, "beta": 0.9, **lif}
    weight = np.asarray(weight, dtype=float)
    populations = (Population("input", (weight.shape[1],)), Population("out", (weight.shape[0],), Lif(**lif)))
    return Network(populations, (Dense("input", "out", weight, bias),))


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_integers_stay_within_half_a_step_of_what_was_trained(seed: int) -> None:
    network = float_network(seed, bias=False)
    deployment = compile(network, "loihi1")
    for before, after in zip(network.connections, deployment.network.connections, strict=True):
        entry = deployment.rounding[before.target]
        per_unit = entry.state_per_unit / 2.0 ** (after.exponent + FixedLif.SHIFT)
        mixed = (before.weight < 0).any() and (before.weight > 0).any()
        step = 2 if mixed else 1
        assert (after.weight % step == 0).all()
        assert np.abs(after.weight).max() <= 255
        assert np.abs(after.weight - before.weight * per_unit).max() <= step / 2 + 1e-9
        neuron, lif = deployment.network[before.target].neuron, network[before.target].neuron
        assert np.abs(neuron.threshold * 64 - lif.threshold * entry.state_per_unit).max() <= 32
        assert np.abs((4096 - neuron.voltage_decay) / 4096 - lif.beta).max() <= 1 / 4096
        assert (neuron.threshold * 4 <= FixedLif.MAX_THRESHOLD).all()


def test_most_spikes_survive_the_rounding() -> None:
    spikes = random_spikes(0, 40, 50, 6, 0.3)
    for seed in range(5):
        network = float_network(seed, bias=False)
        before, after = run(network, spikes, record="spikes"), run(compile(network, "loihi1"), spikes, record="spikes")
        for name in network.order:
            same = (before.rasters[name] == after.rasters[name]).mean()
            assert same > 0.98, (seed, name, same)


def test_a_bias_is_stored_as_mantissa_and_exponent() -> None:
    deployment = compile(one_layer([[0.5], [0.5]], bias=[0.1, -0.3]), "loihi1")
    neuron, entry = deployment.network["out"].neuron, deployment.rounding["out"]
    np.testing.assert_allclose(neuron.bias / entry.state_per_unit, [0.1, -0.3], rtol=1e-3)
    assert entry.bias_error < 1e-3
    assert np.abs(neuron.bias_mantissa).max() > 1024  # uses the mantissa's range


@pytest.mark.parametrize("signs", [1, -1])
def test_weights_of_one_sign_keep_eight_bits(signs: int) -> None:
    weight = signs * np.arange(1, 256, dtype=float)[None] / 255
    stored = compile(one_layer(weight), "loihi1").network.connections[0].weight
    np.testing.assert_array_equal(stored[0], signs * np.arange(1, 256))


def test_the_knob_reaches_the_promised_scale_and_says_where_it_ends() -> None:
    network = one_layer([[1.0]])
    for largest in (1.0, 4.0, 100.0):
        deployment = compile(network, "loihi1", max_threshold_scale=largest)
        run(deployment, np.ones((2, 1, 1), np.uint8), {"out": largest})
        assert deployment.rounding["out"].largest_scale >= largest
    with pytest.raises(InputError, match="17-bit thresholds allow about"):
        run(deployment, np.ones((2, 1, 1), np.uint8), {"out": 1e4})


def test_a_knob_of_4_is_possible_without_being_asked_for() -> None:
    for threshold in np.geomspace(0.1, 1, 9):
        network = one_layer([[1.0]], threshold=threshold, beta=0.0)
        found, asked = compile(network, "loihi1"), compile(network, "loihi1", max_threshold_scale=4.0)
        assert found.rounding == asked.rounding
        assert found.rounding["out"].largest_scale >= 4


def test_a_worst_case_that_could_wrap_is_said() -> None:
    deployment = compile(one_layer(np.ones((1, 4000))), "loihi1")
    assert deployment.rounding["out"].worst_case_current > 1
    assert any("of 24 bits and wrap" in warning for warning in deployment.warnings)
    assert deployment.network.connections[0].exponent == 0


@pytest.mark.parametrize(
    ("network", "options", "error", "message"),
    [
        (one_layer([[1.0]], reset="subtract"), {}, ChipError, "out: .*subtract.*zero"),
        (
            one_layer([[1e-5]], threshold=1e3),
            {},
            ChipError,
            "out: found a threshold of 1e\\+03 and a bias of 0 beside a largest weight of 1e-05",
        ),
        (
            one_layer([[1e-3]], bias=[100.0], threshold=1e-3),
            {},
            ChipError,
            "out: found a threshold of 0.001 and a bias of 100",
        ),
        (one_layer([[1.0]]), {"max_threshold_scale": 0.5}, InputError, "max_threshold_scale: found 0.5"),
        (one_layer([[1.0]]), {"max_threshold_scale": np.nan}, InputError, "max_threshold_scale: found nan"),
        (one_layer(np.ones((2, 5000))), {}, ChipError, "out: .*5000.*4096"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_remedy(network: Network, options: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        compile(network, "loihi1", **options)
    assert "\n" not in str(caught.value)


def test_a_bias_of_zero_is_none_before_a_synaptic_neuron() -> None:
    with_zero, without = (compile(one_layer([[1.0, 0.5]], bias=b, alpha=0.5), "loihi1") for b in ([0.0], None))
    assert with_zero.rounding == without.rounding


def test_loihi2_takes_the_resets_that_loihi1_lacks() -> None:
    deployment = compile(one_layer([[1.0, -1.0]], reset="subtract-delayed"), "loihi2")
    assert deployment.network["out"].neuron.reset == "subtract-delayed"


def test_an_integer_network_is_kept_as_it_is() -> None:
    network = fixed_network(0)
    assert compile(network, "loihi1").network is network


def test_deployments_live_beside_the_network_in_the_file(tmp_path: Path) -> None:
    path, network = tmp_path / "net.aspen", float_network(1, bias=False)
    network.save(path)
    for name in ("loihi1", "loihi2", "loihi1"):
        store_deployment(compile(network, name), path)
    assert stored_chips(path) == ["loihi1", "loihi2"]
    spikes = random_spikes(0, 10, 4, 6)
    loaded, fresh = load_deployment(path, "loihi1"), compile(network, "loihi1")
    np.testing.assert_array_equal(run(loaded, spikes).output, run(fresh, spikes).output)
    assert (loaded.rounding, loaded.warnings) == (fresh.rounding, fresh.warnings)
    assert str(loaded) == str(fresh)
    with pytest.raises(FileFormatError, match="found none called 'deployment/truenorth'"):
        load_deployment(path, "truenorth")


@pytest.mark.parametrize(("alpha", "du"), [(0.0, 4095), (0.5, 2047), (1.0, 0)])
def test_current_decays(alpha: float, du: int) -> None:
    assert quantize.quantize_current_decay(np.array(alpha)) == du


@pytest.mark.parametrize(("beta", "dv"), [(1.0, 0), (0.9, 410), (0.0, 4095)])
def test_voltage_decays(beta: float, dv: int) -> None:
    assert quantize.quantize_voltage_decay(np.array(beta)) == dv


@settings(max_examples=200, deadline=None)
@given(seeds)
def test_the_weight_exponent_is_the_largest_that_fits(seed: int) -> None:
    """A chip holds 17 bits of threshold, a bias of 4095 * 2^7 and states below 2^23; these ask for no less than 0."""
    rng = np.random.default_rng(seed)
    per_unit, threshold, bias, state = 10.0 ** rng.uniform([0, -2, -3, 0], [3, 3, 3, 8])
    headroom = rng.uniform(1, 10)

    def fits(exponent: int) -> bool:
        units = per_unit * 2.0**exponent
        return threshold * units * headroom <= 131071 and 64 * bias * units <= 4095 * 128

    found = quantize.choose_exponent(per_unit, threshold, bias, headroom, 0.0)
    assert -9 <= found <= 7
    assert found == -9 or fits(found)
    assert found == 7 or not fits(found + 1)
    held = quantize.choose_exponent(per_unit, threshold, bias, headroom, state)
    if found <= 0:
        assert held == found
    else:
        assert held == 0 or state * 2.0**held < 2**23
        assert held == found or state * 2.0 ** (held + 1) >= 2**23


@settings(max_examples=100, deadline=None)
@given(seeds)
def test_biases_use_all_bits_of_their_mantissas(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bias = rng.normal(size=5) * 10.0 ** rng.uniform(-3, 5)
    mantissas, exponent = quantize.quantize_bias(bias, 3.0)
    assert np.abs(mantissas).max() <= 4095
    assert exponent == 0 or np.abs(mantissas).max() >= 2047
    np.testing.assert_allclose(mantissas * 2.0**exponent, 3 * bias, atol=2.0**exponent / 2)
    fixed = quantize.quantize_bias(bias, 3.0, 6)
    assert fixed[1] == 6
    np.testing.assert_allclose(fixed[0] * 64.0, 3 * bias, atol=32)


@pytest.mark.parametrize(
    ("weight", "lowest", "highest", "step"),
    [([-1.0, 2.0], -254, 254, 2), ([0.0, 2.0], 0, 255, 1), ([-1.0, 0.0], -255, 0, 1), ([0.0, 0.0], 0, 0, 1)],
)
def test_weights_take_no_sign_that_their_matrix_has_not(
    weight: list[float], lowest: int, highest: int, step: int
) -> None:
    array = np.array(weight)
    assert quantize.weight_range(array) == (lowest, highest)
    assert quantize.weight_step(array) == step
    far = quantize.quantize_weight(array, 1e6)
    assert far.tolist() == [lowest if w < 0 else highest if w > 0 else 0 for w in weight]
    assert far.dtype == np.int32


def test_membranes_that_are_never_reset_get_head_room() -> None:
    """A clipped membrane comes back too soon; with head room the integers keep counting as the floats do."""
    network = one_layer([[1.0] * 8], reset="none", beta=0.96875)
    spikes = np.ones((250, 1, 8), np.uint8)
    spikes[30:] = 0  # from 157 thresholds it takes 160 steps to fall silent, from the 4 that would fit only 44
    float_spikes = int(run(network, spikes).output.sum())
    assert 180 < float_spikes < 200
    assert abs(int(run(compile(network, "loihi1"), spikes).output.sum()) - float_spikes) <= 1


def test_what_is_far_too_large_is_refused_without_writing_out_its_synapses() -> None:
    wide = Conv("input", "out", np.ones((1, 1, 40, 40)), (1, 1000, 1000), padding=(20, 20))
    populations = (Population("input", wide.input_shape), Population("out", wide.output_shape, Lif(1.0, 0.5)))
    network = Network(populations, (wide,))
    tracemalloc.start()
    with pytest.raises(ChipError, match=r"network: found at least [0-9]+ cores needed, loihi1 has 128; use smaller"):
        compile(network, "loihi1")
    assert [finding.where for finding in check(network, chip("loihi2")) if finding.level == "error"] == ["network"]
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()
    small = one_layer(np.ones((3, 4)))
    needed = least_cores(small, chip("loihi1"))
    assert needed == 1 <= place(small, chip("loihi1")).cores_used
