"""Sweeps: means over encodings, several chips from the same counts, inferences that end early, tables."""

from __future__ import annotations

import numpy as np
import pytest

from aspen._base.arrays import Array
from aspen.calibration.early import EarlyStop, calibrate_early, scores_over_time
from aspen.calibration.statistics import effective_samples, wilson
from aspen.dial.profile import DialProfile
from aspen.errors import InputError
from aspen.network.network import Network
from aspen.network.readout import answers
from aspen_emulator import calibrate, run, sweep
from aspen_emulator.measuring.bench import KNOBS, SCALES, Bench, measure
from aspen_emulator.measuring.early import ended_early
from aspen_emulator.measuring.tables import calibrate_stop, make_tables
from aspen_hardware import chip, compile, energy_model
from tests.networks import float_network, random_spikes

STEPS, SAMPLES = 12, 30
CHIPS = (chip("loihi1"), chip("generic-45nm"))


@pytest.fixture(scope="module")
def network() -> Network:
    return float_network(1, bias=False)


def spikes_of(network: Network, seed: int, samples: int = SAMPLES) -> Array:
    return random_spikes(seed, STEPS, samples, *network.input.shape)


def labels_of(network: Network, samples: int = SAMPLES) -> Array:
    """What the network itself says, but for every fifth sample."""
    answers = run(network, spikes_of(network, 0, samples)).predictions
    return np.where(np.arange(samples) % 5 == 0, (answers + 1) % network[network.output].size, answers)


def test_what_remains_of_a_run_is_what_shorter_runs_count(network: Network) -> None:
    spikes = spikes_of(network, 0)
    taken = np.random.default_rng(0).integers(1, STEPS + 1, SAMPLES)
    found = ended_early(run(network, spikes, record="spikes"), taken)
    each = [run(network, spikes[:steps, k : k + 1], record="spikes") for k, steps in enumerate(taken)]
    assert (found.steps, found.batch) == (taken.sum(), 1)
    for part in ("spikes", "synaptic_operations", "active_updates", "awake_updates", "rasters"):
        for name, counts in getattr(found, part).items():
            np.testing.assert_array_equal(counts, np.concatenate([getattr(one, part)[name] for one in each]))
    np.testing.assert_array_equal(found.output, np.concatenate([one.output for one in each]))
    report, parts = energy_model(found, CHIPS[0]), [energy_model(one, CHIPS[0]) for one in each]
    for kind in ("dynamic", "static"):
        assert getattr(report, kind).typical == pytest.approx(sum(getattr(part, kind).typical for part in parts))


def test_ending_early_costs_and_answers_what_was_read_until_then(network: Network) -> None:
    spikes, labels = spikes_of(network, 0), labels_of(network)
    stop = EarlyStop(1.5, 0.0, (1.0,), (0.3,), "spikes", STEPS, 0.005)
    found = measure(Bench(network, [spikes], labels, CHIPS), [1.0, 1.5], early=stop)
    record = run(network, spikes, 1.5)
    scores = scores_over_time(record)
    taken = stop.stops(scores, 1.5)
    assert 1 < taken.mean() < STEPS
    assert found.taken[1] == taken.mean()
    right = answers(scores[taken - 1, np.arange(SAMPLES)]) == labels
    np.testing.assert_array_equal(found.correct[1], right)
    for description in CHIPS:
        point = found.points[description.name][1]
        energy = energy_model(ended_early(record, taken), description)
        assert energy.dynamic is not None
        assert point.dynamic_nj == pytest.approx(1e9 * energy.dynamic.typical / SAMPLES)
        assert point.accuracy == right.mean()
        assert point.hidden_spikes == ended_early(record, taken).hidden_spikes.sum() / SAMPLES
    never = EarlyStop(1.5, 0.0, (1.0,), (0.0,), "spikes", STEPS, 0.005)
    whole = measure(Bench(network, [spikes], labels, CHIPS), [1.5])
    assert whole.taken == [STEPS]
    ended = measure(Bench(network, [spikes], labels, CHIPS), [1.5], early=never)
    assert ended.points["loihi1"][0].dynamic_nj == pytest.approx(whole.points["loihi1"][0].dynamic_nj)
    assert ended.points["loihi1"][0].static_nj == pytest.approx(whole.points["loihi1"][0].static_nj)


def test_several_chips_are_priced_from_the_same_counts(network: Network) -> None:
    deployment, spikes, labels = compile(network, "loihi1"), spikes_of(network, 0), labels_of(network)
    found = measure(Bench(deployment, [spikes], labels, (*CHIPS, None)), [0.8, 1.5])
    for description in CHIPS:
        assert found.points[description.name] == sweep(deployment, spikes, labels, [0.8, 1.5], on=description)
    assert [p.dynamic_nj for p in found.points[None]] == [None, None]


def test_encodings_are_averaged_and_a_sample_counts_once(network: Network) -> None:
    labels, encodings = labels_of(network), [spikes_of(network, seed) for seed in range(3)]
    found = measure(Bench(network, encodings, labels, CHIPS), [1.0, 2.0])
    single = [sweep(network, spikes, labels, [1.0, 2.0], on="loihi1") for spikes in encodings]
    for k, point in enumerate(found.points["loihi1"]):
        for name in ("accuracy", "hidden_spikes", "synaptic_operations", "dynamic_nj", "static_nj"):
            assert getattr(point, name) == pytest.approx(np.mean([getattr(one[k], name) for one in single]))
        assert (point.accuracy_low, point.accuracy_high) == wilson(found.correct[k].sum(), SAMPLES)
        assert point.samples == SAMPLES
    wrong = Bench, (network, [encodings[0], encodings[1][:, :-1]], labels)
    with pytest.raises(InputError, match="labels: found 30 for 29 samples"):
        wrong[0](*wrong[1])


def test_tables_hold_thinned_points_with_and_without_an_early_end(network: Network) -> None:
    labels = labels_of(network, 300)
    profile = DialProfile.uniform(network)
    bench = Bench(network, [spikes_of(network, 0, 300)], labels, CHIPS, profile=profile)
    knobs = [0.0, 0.25, 0.5, 0.75, 1.0]
    measured = measure(bench, knobs)
    one, two = make_tables(bench, measured, "random", max_loss=0.02)
    assert (one.key, two.key, one.steps) == ("profile@loihi1", "profile@generic-45nm", STEPS)
    assert (one.step_time, two.step_time) == (pytest.approx(337e-6), None)
    points = measured.points["loihi1"]
    assert min(points, key=lambda p: p.dynamic_nj or 0.0) == one.cheapest
    assert one.best.accuracy == max(p.accuracy for p in points)
    kept = [point.knob for point in one.points]
    assert one.early == calibrate_stop(bench, kept, 0.02)
    again = measure(bench, kept, early=one.early)
    assert [early.point for early in one.early_points] == again.points["loihi1"]
    assert [early.steps for early in one.early_points] == again.taken
    assert make_tables(bench, measured, "random")[0].early is None


def test_calibrate_keeps_what_a_sweep_finds_worth_having(network: Network) -> None:
    labels, encodings = labels_of(network), [spikes_of(network, seed) for seed in range(2)]
    profile, subjects, seen = DialProfile.uniform(network), np.arange(SAMPLES) % 5 == 0, list[float]()
    found = calibrate(
        network, encodings[0], labels, [0.0, 1.0], on="loihi1", profile=profile, encodings=encodings[1:],
        subjects=subjects, data="random", progress=lambda point: seen.append(point.knob),
    )  # fmt: skip
    bench = Bench(network, encodings, labels, CHIPS[:1], profile=profile, subjects=subjects)
    assert [found] == make_tables(bench, measure(bench, [0.0, 1.0]), "random")
    assert seen == 2 * [0.0, 1.0]


def test_a_deployment_is_calibrated_for_its_chip_and_a_network_for_none(network: Network) -> None:
    spikes, labels = spikes_of(network, 0), labels_of(network)
    assert calibrate(compile(network, "loihi1"), spikes, labels, [1.0]).key == "scale@loihi1"
    assert calibrate(network, spikes, labels, [1.0]).key == "scale@none"


def test_the_usual_knobs_suit_what_is_turned(network: Network) -> None:
    spikes, labels = spikes_of(network, 0), labels_of(network)
    assert [point.knob for point in sweep(network, spikes, labels)] == [*SCALES]
    assert [point.knob for point in sweep(network, spikes, labels, profile=DialProfile.uniform(network))] == [*KNOBS]


def test_an_early_stop_from_several_encodings_allows_for_samples_that_go_together() -> None:
    """Each sample counts once: the standard error of the loss is that of all encodings together, times their root."""
    network = float_network(1, bias=False)
    encodings, labels = [spikes_of(network, seed, 300) for seed in range(4)], labels_of(network, 300)
    found = calibrate_stop(Bench(network, encodings, labels), [1.0, 1.5], 0.05)
    scores = {
        knob: np.concatenate([scores_over_time(run(network, spikes, knob)) for spikes in encodings], axis=1)
        for knob in (1.0, 1.5)
    }
    wanted, laxer = (calibrate_early(scores, np.tile(labels, 4), max_loss=0.05, guard=guard) for guard in (2.0, 1.0))
    assert found == wanted
    assert sum(wanted.doubts) < sum(laxer.doubts)


def test_samples_of_a_few_subjects_count_as_few() -> None:
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(20), 50)
    alike = (rng.random(1000) < 0.8).astype(float)
    assert effective_samples(alike, subjects) > 400
    each = np.repeat(rng.random(20) < 0.8, 50).astype(float)  # all of a subject's samples are right, or all wrong
    assert 10 < effective_samples(each, subjects) < 20
    assert effective_samples(np.ones(1000), subjects) == 1000
    with pytest.raises(InputError, match="subjects: found 1"):
        effective_samples(alike, np.zeros(1000))


def test_the_interval_for_unseen_subjects_holds_their_accuracy() -> None:
    """400 draws of 6 subjects whose accuracies differ: 95 % of the intervals hold the mean of all subjects."""
    rng = np.random.default_rng(1)
    held = []
    for _ in range(400):
        rates = rng.beta(16, 4, 6)  # mean 0.8
        correct = (rng.random((6, 60)) < rates[:, None]).astype(float).ravel()
        size = effective_samples(correct, np.repeat(np.arange(6), 60))
        low, high = wilson(correct.mean() * size, size)
        held.append(low <= 0.8 <= high)
    assert 0.92 <= np.mean(held) <= 0.995


def test_a_sweep_widens_its_intervals_for_subjects(network: Network) -> None:
    labels, spikes = labels_of(network), spikes_of(network, 0)
    subjects = np.arange(SAMPLES) % 5  # every fifth sample is wrong at a knob of 1: all of one subject
    (wide,) = measure(Bench(network, [spikes], labels, subjects=subjects), [1.0]).points[None]
    (narrow,) = measure(Bench(network, [spikes], labels), [1.0]).points[None]
    assert wide.accuracy == narrow.accuracy == 0.8
    assert wide.accuracy_low < narrow.accuracy_low - 0.05
    assert wide.accuracy_high > narrow.accuracy_high
