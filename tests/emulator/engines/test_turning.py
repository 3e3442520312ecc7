"""Sessions and streams are turned by the knob of a learned dial, or by threshold scales; each refuses the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from aspen.control import Budget, Manual
from aspen.dial.profile import DialProfile
from aspen.errors import InputError, UnknownAttributeError
from aspen_emulator import run, session
from aspen_emulator.engines.lava.shim import lava_available
from aspen_emulator.streaming import Meter, Stream
from aspen_hardware import chip, compile
from tests.control_tables import made_table
from tests.networks import float_network, random_spikes

NETWORK = float_network(1)
STEPS = 8
SLOPES = np.linspace(0.2, 2.0, NETWORK["layer1"].size)
DIAL = DialProfile({"layer1": SLOPES}, low=-0.5)
LAVA = pytest.param(
    "lava", marks=[pytest.mark.lava, pytest.mark.skipif(not lava_available(), reason="lava-nc is not installed")]
)


@pytest.mark.parametrize("engine", ["fast", "reference", LAVA])
@pytest.mark.timeout(120)
def test_a_session_is_turned_by_the_knob_of_its_dial(engine: str) -> None:
    spikes = random_spikes(0, STEPS, 1, 6)
    with session(NETWORK, engine=engine, profile=DIAL) as live:
        assert live.knob == DIAL.low
        live.knob = 0.4
        assert live.knob == 0.4
        np.testing.assert_array_equal(live.threshold_scale["layer1"], DIAL.scale(0.4)["layer1"])  # type: ignore[index,call-overload]
        shown = [live.step(step) for step in [*spikes, *[np.zeros_like(spikes[0])] * live.latency]]
    expected = run(NETWORK, spikes, DIAL.scale(0.4)).output
    np.testing.assert_array_equal(shown[live.latency :], expected)


def test_a_session_with_a_dial_refuses_threshold_scales_and_without_one_the_knob() -> None:
    dialled, plain = session(NETWORK, profile=DIAL, knob=0.1), session(NETWORK, 2.0)
    assert dialled.knob == 0.1
    with pytest.raises(UnknownAttributeError, match=r"found it set on a session with .*\.knob = -0\.5"):
        dialled.threshold_scale = 1.5
    with pytest.raises(UnknownAttributeError, match=r"knob = 0\.4: found a session without .*\.threshold_scale = 0\.4"):
        plain.knob = 0.4
    assert not hasattr(plain, "knob")
    with pytest.raises(InputError, match=r"knob: found 1\.5"):
        dialled.knob = 1.5
    assert (dialled.knob, plain.threshold_scale) == (0.1, 2.0)  # what was refused has changed nothing


@pytest.mark.parametrize("engine", ["fast", "reference", "c", LAVA])
@pytest.mark.timeout(120)
def test_a_session_is_over_at_the_end_of_its_block(engine: str) -> None:
    step = np.ones((1, 6), np.uint8)
    with session(compile(NETWORK, "loihi1"), engine=engine) as live:
        live.step(step)
    spikes = dict(live.spikes)
    acts: list[Callable[[], object]] = [
        lambda: live.step(step), live.reset, lambda: setattr(live, "threshold_scale", 2.0)
    ]  # fmt: skip
    for act in acts:
        with pytest.raises(InputError, match=r"^session: found it closed, allowed is one that runs; open another"):
            act()
    assert (live.spikes, live.threshold_scale) == (spikes, 1.0)
    live.close()


def test_a_stream_is_over_at_the_end_of_its_block() -> None:
    meter = Meter.of(NETWORK, chip("loihi1"), STEPS)
    window = random_spikes(0, STEPS, 1, 6)[:, 0]
    with Stream(NETWORK, meter, Manual(0.5, 0.5)) as stream:
        stream.window(window)
    for _ in range(2):  # also where the next window would have been skipped
        with pytest.raises(InputError, match=r"^stream: found it closed"):
            stream.window(window)
    assert stream.windows == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"knob": 0.5}, "knob: found one without a profile"),
        ({"profile": DIAL, "threshold_scale": 2.0}, "threshold_scale: found one beside a profile"),
        ({"profile": "net.aspen"}, r"profile: found 'net\.aspen', allowed is a DialProfile; .*load_profile"),
        ({"profile": DialProfile({"other": 1.0})}, "profile: found population 'other'"),
    ],
)
def test_a_session_is_opened_with_one_way_to_turn_it(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        session(NETWORK, **given)


@pytest.mark.parametrize("profile", [None, DIAL], ids=["scale", "dial"])
def test_a_stream_in_ones_own_hand_is_turned_from_window_to_window(profile: DialProfile | None) -> None:
    windows = random_spikes(0, STEPS, 3, 6).swapaxes(0, 1)
    meter = Meter.of(NETWORK, chip("loihi1"), STEPS)
    found, name = [], "threshold_scale" if profile is None else "knob"
    with Stream(NETWORK, meter, Manual(0.5), profile=profile) as stream:
        for window, place in zip(windows, (0.5, 0.9, 0.2), strict=True):
            setattr(stream, name, place)
            assert getattr(stream, name) == place
            found.append(stream.window(window))
    assert [window.knob for window in found] == [0.5, 0.9, 0.2]
    scales = [k if profile is None else profile.scale(k) for k in (0.5, 0.9, 0.2)]
    wanted = [run(NETWORK, w[:, None], s).hidden_spikes.item() for w, s in zip(windows, scales, strict=True)]
    assert [window.hidden_spikes for window in found] == wanted


def test_a_stream_that_a_controller_turns_lets_nobody_else() -> None:
    meter = Meter.of(NETWORK, chip("loihi1"), STEPS)
    controller = Budget(made_table("scale"), 1.0, meter.window_seconds, meter.worst_step)
    with Stream(NETWORK, meter, controller) as stream:
        with pytest.raises(InputError, match=r"knob: found it set on a stream whose controller turns it \(Budget\)"):
            stream.threshold_scale = 1.0
        with pytest.raises(UnknownAttributeError, match="knob: found a stream without a learned dial"):
            stream.knob  # noqa: B018 - raises
