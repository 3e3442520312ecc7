"""What a stream refuses: parts that do not fit together, windows of another shape, damaged states."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from aspen.calibration.early import EarlyStop
from aspen.control import Manual
from aspen.errors import InputError
from aspen.network.network import Dense, Lif, Network, Population
from aspen_emulator.streaming import Meter, Stream
from aspen_hardware import chip
from tests.emulator.streaming.test_streaming import STEPS, bench, controllers, loihi, windows_of
from tests.networks import float_network


def one_output(use: Callable[[Network], object]) -> object:
    populations = Population("input", (6,)), Population("out", (1,), Lif(1.0, 0.9))
    return use(Network(populations, (Dense("input", "out", np.ones((1, 6))),)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda n: Meter.of(n, chip("loihi2"), STEPS, 1e-3), "loihi2: found no energies in joules"),
        (lambda n: Meter.of(n, loihi(), 0), "window: found 0"),
        (lambda n: Stream(float_network(2), Meter.of(n, loihi(), STEPS), Manual(1.0)), "meter: found that of another"),
        (
            lambda n: Stream(n, Meter.of(n, loihi(), STEPS), Manual(1.0),
                             early=EarlyStop(1.0, 0.0, (1.0,), (0.1,), "spikes", 5, 0.01)),
            "early: found one for 5 steps",
        ),
        (lambda n: one_output(lambda alone: Stream(alone, Meter.of(alone, loihi(), STEPS), Manual(1.0))),
         "program: found one output neuron (out), allowed for a stream are 2 and more"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(make: Callable[[Network], object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        make(float_network(1))
    assert message in str(caught.value)


def test_windows_and_states_that_do_not_fit_are_refused() -> None:
    network = float_network(1)
    with Stream(network, Meter.of(network, loihi(), STEPS), Manual(1.0)) as stream:
        with pytest.raises(InputError, match=r"window: found shape \(3, 6\) at step 0, allowed is \(8, 6\)"):
            stream.window(np.zeros((3, 6), np.uint8))
        state = stream.state_dict()
        assert stream.step(np.zeros(6, np.uint8)) is None
        with pytest.raises(InputError, match="found step 1 of a window"):
            stream.state_dict()
        with pytest.raises(InputError, match="found step 1 of a window"):
            stream.load_state_dict(state)
    for damage in (
        {"stream": {}}, {"controller": {"kind": "Budget"}}, {"windows": -1}, {"totals": {}}, {"prediction": "x"},
    ):  # fmt: skip
        with (
            Stream(network, Meter.of(network, loihi(), STEPS), Manual(1.0)) as stream,
            pytest.raises(InputError, match="state: found"),
        ):
            stream.load_state_dict({**state, **damage})


def test_a_refused_state_of_a_stream_leaves_nothing_behind() -> None:
    network = float_network(6)
    table, spikes = bench(network)
    meter = Meter.of(network, loihi(), STEPS)
    with Stream(network, meter, controllers(table, meter)["budget"], table=table) as stream:
        list(stream.run(windows_of(spikes)[:20]))
        state = stream.state_dict()
        list(stream.run(windows_of(spikes)[20:]))
        before = stream.state_dict()
        inner = state["controller"]["state"]
        for damage in (
            {"skipped": 21}, {"cut": -1}, {"alarms": 1.5}, {"prediction": 4}, {"usual": float("nan")}, {"usual": -1.0},
            {"usual": 4.0}, {"totals": None}, {"totals": {**state["totals"], "steps": -1}}, {"more": 1},
            {"controller": {"kind": "Budget", "state": {}}}, {"controller": {"kind": "Budget"}}, {"controller": None},
            {"controller": {"kind": "Budget", "state": {**inner, "run": 1}}},
            {"controller": {"kind": "Budget", "state": {**inner, "steering": {"knob": 99.0, "log_factor": 0.0}}}},
        ):  # fmt: skip
            with pytest.raises(InputError, match="state: found"):
                stream.load_state_dict({**state, **damage})
            assert stream.state_dict() == before, damage
        for name in state:
            with pytest.raises(InputError, match="state: found"):
                stream.load_state_dict({key: value for key, value in state.items() if key != name})
        with pytest.raises(InputError, match="state: found"):
            stream.load_state_dict([])  # type: ignore[arg-type]
        assert stream.state_dict() == before


def test_scores_that_are_no_finite_numbers_have_no_margin() -> None:
    network = float_network(1)
    with Stream(network, Meter.of(network, loihi(), STEPS), Manual(1.0)) as stream:
        assert stream._margin(np.array([3.0, 1.0]), STEPS) == 0.5
        for scores in ([np.inf, 1.0], [np.nan, 1.0], [-np.inf, -np.inf]):
            assert stream._margin(np.array(scores), STEPS) is None
