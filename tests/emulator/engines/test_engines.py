"""All engines give the same answers, and so does snnTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aspen.errors import InputError
from aspen.exporting import export
from aspen.models.ready import DenseNet
from aspen.network.network import Dense, Lif, Network, Population
from aspen.network.neurons import RESETS
from aspen.thresholds.knob import set_threshold_scale
from aspen_emulator import run, session, sweep
from aspen_emulator.engines.fast import engine as fast_engine
from tests.emulator.engines.fast_networks import INPUTS, input_for, network_for
from tests.networks import fixed_network, float_network, random_spikes, resets, seeds


def assert_same(network: Network, spikes: np.ndarray, scale: object) -> None:
    reference = run(network, spikes, scale, engine="reference", record="spikes")
    batched = run(network, spikes, scale, engine="fast", record="spikes")
    for name in network.names:
        np.testing.assert_array_equal(reference.rasters[name], batched.rasters[name])


@settings(max_examples=60, deadline=None)
@given(seeds, resets)
def test_fast_equals_reference_in_integers(seed: int, reset: str) -> None:
    network = fixed_network(seed, reset=reset, extreme=seed % 2 == 0)
    assert_same(network, random_spikes(seed, 12, 5, 6), 1.0)


@settings(max_examples=30, deadline=None)
@given(seeds, resets)
def test_fast_equals_reference_in_floating_point(seed: int, reset: str) -> None:
    assert_same(float_network(seed, reset=reset), random_spikes(seed, 12, 5, 6), 1.0)


@settings(max_examples=30, deadline=None)
@given(seeds, resets)
def test_fast_equals_reference_while_the_knob_moves_by_step_sample_and_population(seed: int, reset: str) -> None:
    rng = np.random.default_rng(seed)
    knob = {"layer1": rng.uniform(0.5, 2, (12, 5)), "layer2": rng.uniform(0.5, 2, 12)}
    assert_same(fixed_network(seed, reset=reset), random_spikes(seed, 12, 5, 6), knob)


@settings(max_examples=40, deadline=None)
@given(seeds, st.sampled_from(INPUTS), st.booleans())
def test_runs_sessions_and_sweeps_agree_on_any_input(seed: int, kind: str, integer: bool) -> None:
    """Graded spikes and direct currents up to their limits among them; all that is public, on both engines."""
    network = network_for(seed, integer, seed % 2 == 0, kind)
    values = input_for(seed, network, 7, 4)
    assert_same(network, values, 1.0)
    expected = run(network, values, engine="reference")
    labels = np.maximum(expected.predictions, 0)  # no answer is no class
    points = [sweep(network, values, labels, (0.8, 1.0), engine=engine) for engine in ("fast", "reference")]
    assert points[0] == points[1]
    for engine in ("fast", "reference"):
        with session(network, engine=engine, batch=4) as live:
            outputs = [live.step(step) for step in values]
            np.testing.assert_array_equal(outputs, expected.output)
            assert live.spikes == {name: counts.sum() for name, counts in expected.spikes.items()}


def test_batches_run_in_parts_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    network, spikes = fixed_network(3), random_spikes(3, 12, 17, 6)
    whole = run(network, spikes, np.linspace(0.5, 2, 17)[None]).output
    monkeypatch.setattr(fast_engine, "CHUNK_BYTES", 5000)
    np.testing.assert_array_equal(run(network, spikes, np.linspace(0.5, 2, 17)[None]).output, whole)


def test_delays_recurrence_and_skips_agree() -> None:
    rng = np.random.default_rng(0)
    populations = (
        Population("input", (5,)),
        Population("a", (6,), Lif(0.7, 0.8)),
        Population("b", (4,), Lif(0.7, 0.8)),
    )
    skip = [
        Dense("input", "a", rng.normal(size=(6, 5)), delay=2),
        Dense("a", "b", rng.normal(size=(4, 6))),
        Dense("input", "b", rng.normal(size=(4, 5)), delay=1),
    ]
    loop = Dense("a", "a", rng.normal(size=(6, 6)), delay=1)
    for connections in (skip, [*skip, loop]):
        assert_same(Network(populations, tuple(connections)), random_spikes(1, 15, 3, 5), 1.0)


def test_a_delay_of_two_steps_arrives_two_steps_later() -> None:
    populations = (Population("input", (1,)), Population("out", (1,), Lif(0.5, 0.0)))
    network = Network(populations, (Dense("input", "out", [[1.0]], delay=2),))
    spikes = np.array([1, 0, 1, 1, 0, 0], np.uint8).reshape(6, 1, 1)
    for engine in ("reference", "fast"):
        assert run(network, spikes, engine=engine).output.ravel().tolist() == [0, 0, 1, 0, 1, 1]


@pytest.mark.parametrize("engine", ["reference", "fast"])
@pytest.mark.parametrize("steps", [1, 3, 4, 5, 6])
def test_what_a_delay_brings_after_the_end_is_not_counted(engine: str, steps: int) -> None:
    """An input that arrives five steps later, at one of three neurons, beside one that arrives at once at another."""
    populations = (Population("in", (2,)), Population("out", (3,), Lif(1.0, 0.5)))
    late, prompt = [[1.5, 0.0], [0.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 1.5], [0.0, 0.0]]
    network = Network((*populations, Population("more", (3,), Lif(1.0, 0.5))), (
        Dense("in", "out", late, delay=5), Dense("in", "more", prompt), Dense("out", "more", np.eye(3)),
    ), output="more")  # fmt: skip
    record = run(network, np.ones((steps, 1, 2), np.uint8), engine=engine)
    arrives = (np.arange(steps) >= 5).astype(int)
    assert record.active_updates["out"].ravel().tolist() == arrives.tolist()
    assert record.active_updates["more"].ravel().tolist() == (1 + arrives).tolist()
    assert record.spikes["out"].sum() == max(steps - 5, 0)
    assert record.synaptic_operations["in->out"].sum() == steps  # counted where the spike is emitted


@pytest.mark.parametrize("reset", ["zero", "subtract", "none"])
@pytest.mark.parametrize("delay", [True, False])
@pytest.mark.parametrize("scale", [0.7, 1.0, 1.6])
def test_snntorch_gives_the_same_spikes(reset: str, delay: bool, scale: float) -> None:
    torch.manual_seed(1)
    model = DenseNet((12, 20, 6), reset_mechanism=reset, bias=True).double().eval()
    model.lif1.reset_delay = model.lif2.reset_delay = delay
    spikes = random_spikes(5, 30, 16, 12)
    network = export(model, torch.from_numpy(spikes).double())
    set_threshold_scale(model, scale)
    with torch.no_grad():
        expected = model(torch.from_numpy(spikes).double()).numpy()
    record = run(network, spikes, scale)
    np.testing.assert_array_equal(record.output, expected)
    assert expected.sum() > 50


@pytest.mark.parametrize("engine", ["reference", "fast"])
def test_a_session_gives_the_spikes_of_a_run_with_the_knob_turned_on_the_way(engine: str) -> None:
    network, spikes = fixed_network(11), random_spikes(11, 20, 3, 6)
    knob = np.where(np.arange(20) < 8, 1.0, 0.6)
    expected = run(network, spikes, knob).output
    with session(network, engine=engine, batch=3) as live:
        for _ in range(2):  # the second time after a reset
            live.reset()
            outputs = []
            for t in range(20):
                live.threshold_scale = float(knob[t])
                outputs.append(live.step(spikes[t]))
            np.testing.assert_array_equal(np.stack(outputs), expected)
    assert live.spikes["layer2"] == expected.sum()


def test_turning_the_knob_up_costs_spikes() -> None:
    network, spikes = float_network(2), random_spikes(2, 30, 10, 6)
    totals = [int(run(network, spikes, s).hidden_spikes.sum()) for s in (0.5, 1.0, 2.0, 50.0)]
    assert totals[0] > totals[1] > totals[2] > totals[3]


def test_a_number_dials_hidden_populations_only_and_a_name_just_one() -> None:
    network, spikes = float_network(2, (6, 8, 7, 4)), random_spikes(2, 30, 10, 6)
    base = run(network, spikes, record="spikes").rasters
    first = run(network, spikes, {"layer1": 1e6}, record="spikes").rasters
    assert first["layer1"].sum() == 0 < base["layer1"].sum()
    number = run(network, spikes, 3.0, record="spikes").rasters
    names = run(network, spikes, {"layer1": 3.0, "layer2": 3.0}, record="spikes").rasters
    np.testing.assert_array_equal(number["layer3"], names["layer3"])
    last = run(network, spikes, {"layer3": 3.0}, record="spikes").rasters
    np.testing.assert_array_equal(last["layer2"], base["layer2"])
    assert last["layer3"].sum() < base["layer3"].sum()


def test_counts_equal_a_count_by_hand() -> None:
    network, spikes = fixed_network(4), random_spikes(4, 9, 3, 6)
    record = run(network, spikes, record="spikes")
    first, second = network.connections
    operations = np.zeros((9, 3), int)
    active = np.zeros((9, 3), int)
    for t in range(9):
        for b in range(3):
            fired = record.rasters["layer1"][t, b].astype(bool)
            operations[t, b] = np.count_nonzero(second.weight[:, fired])
            arriving = second.weight[:, fired].sum(axis=1)
            shifted = arriving << second.exponent if second.exponent >= 0 else arriving >> -second.exponent
            active[t, b] = np.count_nonzero(shifted)
    np.testing.assert_array_equal(record.synaptic_operations[second.name], operations)
    np.testing.assert_array_equal(record.active_updates["layer2"], active)
    np.testing.assert_array_equal(record.spikes["input"], spikes.sum(axis=2))
    assert record.updates("layer2") == 4 * 9 * 3
    np.testing.assert_array_equal(record.hidden_spikes, record.rasters["layer1"].sum(axis=(0, 2)))
    assert first.name in record.synaptic_operations


def test_predictions_take_the_most_active_output_and_the_lowest_index_on_a_tie() -> None:
    populations = (Population("input", (3,)), Population("out", (3,), Lif(0.5, 0.0)))
    network = Network(populations, (Dense("input", "out", np.eye(3)),))
    spikes = np.array([[[0, 1, 1], [0, 0, 1]], [[0, 1, 1], [1, 0, 1]]], np.uint8)
    assert run(network, spikes).predictions.tolist() == [1, 2]


@pytest.mark.parametrize("reset", RESETS)
def test_samples_of_a_batch_do_not_touch_each_other(reset: str) -> None:
    network, spikes = fixed_network(9, reset=reset), random_spikes(9, 10, 4, 6)
    together = run(network, spikes).output
    for sample in range(4):
        np.testing.assert_array_equal(
            run(network, spikes[:, sample : sample + 1]).output, together[:, sample : sample + 1]
        )


GOOD = random_spikes(0, 5, 2, 6)


@pytest.mark.parametrize(
    ("spikes", "scale", "options", "message"),
    [
        (GOOD[:, :, :5], 1.0, {}, r"spikes: found shape \(5, 2, 5\), allowed is \(time, batch, 6\)"),
        (GOOD[0], 1.0, {}, r"found shape \(2, 6\)"),
        (GOOD[:0], 1.0, {}, r"found shape \(0, 2, 6\)"),
        (GOOD * 0.5, 1.0, {}, "spikes: found 0.5, allowed are 0 and 1; encode the values first"),
        (np.full((5, 2, 6), np.nan), 1.0, {}, "found nan, allowed are 0 and 1"),
        (GOOD + 1, 1.0, {}, "found values from 1 to 2, allowed are 0 and 1"),
        (GOOD.astype(str), 1.0, {}, "spikes: found values of type <U"),
        (GOOD, 0.0, {}, "threshold_scale of layer1: found 0.0, allowed are finite numbers above 0"),
        (GOOD, -1.0, {}, "found -1"),
        (GOOD, np.nan, {}, "found nan"),
        (GOOD, np.inf, {}, "found inf"),
        (GOOD, "high", {}, "found 'high', allowed are numbers above 0"),
        (GOOD, {"layer9": 1.0}, {}, r"found population 'layer9', allowed are layer1, layer2"),
        (GOOD, np.ones(4), {}, r"found shape \(4,\), allowed is a number, \(5,\) for each step"),
        (GOOD, 1000.0, {}, "17-bit thresholds allow about"),
        (GOOD, 1e-6, {}, "17-bit thresholds allow about"),
        (GOOD, 1.0, {"engine": "slow"}, "engine: found 'slow', allowed are reference, fast, c, "),
        (GOOD, 1.0, {"record": "all"}, "record: found 'all', allowed are counts, spikes"),
    ],
)
def test_bad_input_is_refused_in_one_clear_line(spikes: np.ndarray, scale: object, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        run(fixed_network(1), spikes, scale, **options)
    assert "\n" not in str(error.value)


def test_a_session_refuses_another_batch_and_keeps_its_state() -> None:
    live = session(fixed_network(1), batch=2)
    with pytest.raises(InputError, match=r"found shape \(1, 6\), allowed is \(2, 6\), .* open a session with batch=1"):
        live.step(GOOD[0, :1])
    with pytest.raises(InputError, match="allowed are finite numbers above 0"):
        live.threshold_scale = -1.0
    assert live.threshold_scale == 1.0
    np.testing.assert_array_equal(live.step(GOOD[0]), run(fixed_network(1), GOOD[:1]).output[0])
