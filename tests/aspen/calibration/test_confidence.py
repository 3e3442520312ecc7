"""Early termination: the same offline and step by step, calibrated, and never worse than was asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aspen._base.arrays import Array
from aspen.calibration.early import EarlyStop, calibrate_early, scores_over_time
from aspen.errors import InputError
from aspen.network.network import READOUTS
from aspen_emulator import run, session
from tests.networks import float_network, random_spikes


def stop(**changes: Any) -> EarlyStop:
    return replace(EarlyStop(0.8, -0.2, (0.5, 1.0, 2.0), (0.02, 0.1, 0.05), "spikes", 12, 0.005), **changes)


def noisy_scores(seed: int, samples: int = 400, steps: int = 40, drift: float = 0.15) -> tuple[Array, Array]:
    """(steps, samples, 3) counts in which the right output fires more often, and the labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=samples)
    rates = np.where(np.arange(3) == labels[:, None], 0.3 + drift, 0.3)
    return (rng.random((steps, samples, 3)) < rates).astype(np.int64).cumsum(axis=0), labels


def totals_of(readout: str, each: Array) -> Array:
    if readout == "membrane-last":
        return each
    return np.asarray(np.maximum.accumulate(each) if readout == "membrane-max" else each.cumsum(axis=0))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(READOUTS), st.sampled_from([None, 0.5, 0.7, 2.0, 9.0]))
def test_step_by_step_is_the_same_as_all_at_once(seed: int, readout: str, knob: float | None) -> None:
    rng = np.random.default_rng(seed)
    each = rng.integers(0, 3, (12, 5, 4)) if readout == "spikes" else rng.normal(0, 2, (12, 5, 4))
    one = stop(readout=readout)
    taken = one.stops(totals_of(readout, each), knob)
    for sample in range(5):
        running = one.start(knob)
        ends = [running.update(step) for step in each[: taken[sample], sample]]
        assert ends == [False] * (taken[sample] - 1) + [True]
        assert running.taken == taken[sample]
        assert running.prediction == totals_of(readout, each)[taken[sample] - 1, sample].argmax()


def test_it_goes_on_from_its_state_exactly() -> None:
    rng = np.random.default_rng(0)
    each = rng.integers(0, 2, (12, 4))
    for cut in range(12):
        first = stop(doubts=(1e-3,) * 3).start(1.0)
        for step in each[:cut]:
            first.update(step)
        second = stop(doubts=(1e-3,) * 3).start()
        second.load_state_dict(json.loads(json.dumps(first.state_dict())))
        for step in each[cut:]:
            assert first.update(step) == second.update(step)
            assert first.confidence == second.confidence


def test_the_stricter_neighbour_counts_between_knobs() -> None:
    assert [stop().level(k) for k in (0.1, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0)] == [0.02, 0.02, 0.02, 0.1, 0.05, 0.05, 0.05]
    assert stop().level() == 0.02


def test_inferences_of_one_early_stop_have_nothing_to_do_with_each_other() -> None:
    each, one = np.random.default_rng(3).integers(0, 2, (2, 12, 4)), stop()
    alone = [[(running.update(step), running.confidence) for step in steps] for steps in each
             for running in [one.start(1.0)]]  # fmt: skip
    first, second = one.start(1.0), one.start(1.0)
    together = [[], []]  # type: list[list[tuple[bool, float]]]
    for a, b in zip(*each, strict=True):
        together[0].append((first.update(a), first.confidence))
        together[1].append((second.update(b), second.confidence))
    assert together == alone
    assert one == stop()
    assert one.start().taken == 0
    assert not hasattr(one, "update")


def test_the_doubt_is_how_often_the_answer_is_wrong() -> None:
    scores, labels = noisy_scores(1, 1500)
    one = calibrate_early({1.0: scores}, labels)
    fresh, truth = noisy_scores(2, 5000)
    doubts, wrong = one.doubts_over_time(fresh), fresh.argmax(axis=2) != truth
    for low, high in ((0.02, 0.1), (0.1, 0.2), (0.2, 0.35), (0.35, 0.5)):
        chosen = (doubts > low) & (doubts < high)
        assert wrong[chosen].mean() == pytest.approx(doubts[chosen].mean(), abs=0.02)


def test_the_loss_is_held_on_new_samples() -> None:
    runs, labels = {}, np.zeros(0)
    for knob in (0.5, 1.0):
        runs[knob], labels = noisy_scores(1, 1500, drift=0.1 + 0.1 / knob)
    one = calibrate_early(runs, labels, max_loss=0.01)
    for knob in (0.5, 1.0):
        fresh, truth = noisy_scores(2, 5000, drift=0.1 + 0.1 / knob)
        taken = one.stops(fresh, knob)
        right = fresh[taken - 1, np.arange(5000)].argmax(axis=1) == truth
        assert (fresh[-1].argmax(axis=1) == truth).mean() - right.mean() < 0.01
        assert taken.mean() < 0.8 * 40
    stricter = calibrate_early(runs, labels, max_loss=0.01, guard=3)
    assert all(a <= b for a, b in zip(stricter.doubts, one.doubts, strict=True))


@pytest.mark.parametrize(("max_loss", "ends"), [(0.024, 3), (0.0245, 1)])
def test_one_loss_is_counted_as_one_and_the_error_of_two(max_loss: float, ends: int) -> None:
    """Of 100 samples half are sure, and right, at once; one is less sure, and wrong until the last step.

    To end it early costs 0.01, with a standard error of sqrt(1 + 1) / 100: 0.0241 together.
    """
    labels = np.zeros(100, np.int64)
    scores = np.zeros((3, 100, 2))
    scores[:, :50, 0] = 20.0
    scores[:2, 50, 1], scores[2, 50, 0] = 12.0, 12.0
    scores[:, 51:, 0] = np.array([0.0, 0.0, 20.0])[:, None]
    taken = calibrate_early({1.0: scores}, labels, readout="membrane-last", max_loss=max_loss).stops(scores, 1.0)
    assert (taken[:50] == 1).all()
    assert taken[50] == ends


def test_where_every_step_counts_it_never_stops() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=300)
    scores = rng.integers(0, 2, (10, 300, 3)).cumsum(axis=0)
    scores[-1] = 100 * (np.arange(3) == labels[:, None])  # only the last step tells
    one = calibrate_early({1.0: scores}, labels)
    assert (one.stops(scores, 1.0) == 10).all()


def test_the_scale_of_the_scores_does_not_matter() -> None:
    scores, labels = noisy_scores(3)
    one, two = (calibrate_early({1.0: f * scores.astype(float)}, labels, readout="membrane") for f in (1.0, 1e6))
    np.testing.assert_array_equal(one.stops(scores, 1.0), two.stops(1e6 * scores, 1.0))


@pytest.mark.parametrize("readout", READOUTS)
def test_scores_over_time_end_in_the_scores_of_the_record(readout: str) -> None:
    network = replace(float_network(3, bias=False), readout=readout)
    spikes = random_spikes(0, 15, 6, *network.input.shape)
    record = run(network, spikes)
    scores = scores_over_time(record)
    np.testing.assert_array_equal(scores[-1], record.scores)
    one = EarlyStop(1.0, 0.0, (1.0,), (0.3,), readout, 15, 0.005)
    taken = one.stops(scores, 1.0)
    with session(network) as live:
        running = one.start()
        for step in spikes[:, 0:1]:
            output = live.step(step)
            if running.update(output if readout == "spikes" else live.membranes):
                break
    assert running.taken == taken[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gain": 0.0}, "gain: found 0.0, allowed is a finite number above 0"),
        ({"gain": float("nan")}, "gain: found nan"),
        ({"power": 99.0}, "power: found 99.0, allowed is a number from -16 to 16"),
        ({"knobs": ()}, "found 0 knobs and 3 doubts"),
        ({"knobs": (1.0, 0.5, 2.0)}, "allowed are as many, rising"),
        ({"doubts": (0.1, 0.2, 1.5)}, "doubts: found 1.5, allowed is a number from 0 to 1"),
        ({"doubts": (0.1, 0.2, "x")}, "doubts: found 'x'"),
        ({"readout": "votes"}, "readout: found 'votes'"),
        ({"steps": 0}, "steps: found 0"),
        ({"max_loss": 1.0}, "max_loss: found 1, allowed is a fraction"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        stop(**changes)
    assert message in str(caught.value)


def test_misuse_is_refused() -> None:
    one = stop(steps=1).start()
    with pytest.raises(InputError, match="found no step since start"):
        _ = one.prediction
    assert one.update(np.zeros(3))
    with pytest.raises(InputError, match="1 steps taken"):
        one.update(np.zeros(3))
    one = stop().start()
    one.update(np.zeros(3))
    with pytest.raises(InputError, match="found 4 outputs, allowed are 3"):
        one.update(np.zeros(4))
    with pytest.raises(InputError, match="found 5 steps, allowed are 12"):
        stop().stops(np.zeros((5, 2, 3)))


def test_calibration_refuses_what_does_not_fit() -> None:
    scores, labels = noisy_scores(0, 100)
    with pytest.raises(InputError, match=r"found 100 samples, allowed are 200 to show a loss of at most 0\.5 points"):
        calibrate_early({1.0: scores}, labels)
    with pytest.raises(InputError, match="allowed is one shape"):
        calibrate_early({1.0: scores, 2.0: scores[:-1]}, labels, max_loss=0.1)
    with pytest.raises(InputError, match="allowed is one shape"):
        calibrate_early({}, labels, max_loss=0.1)
    with pytest.raises(InputError, match="labels: found labels 0 to 5"):
        calibrate_early({1.0: scores}, labels + 5 * (labels == 2) - 2 * (labels == 2), max_loss=0.1)
    with pytest.raises(InputError, match="max_loss, guard: found 0"):
        calibrate_early({1.0: scores}, labels, max_loss=0)
