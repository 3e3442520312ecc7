"""The knob that runs along places of a dial."""

from __future__ import annotations

import numpy as np
import pytest

from aspen.dial.path import SETTINGS, KnobPath
from aspen.dial.profile import DialProfile
from aspen.errors import InputError

DIAL = DialProfile({"hidden": 2.0}, low=-1.0, high=3.0)


def test_between_stops_the_dial_is_linear_in_whole_settings() -> None:
    path = KnobPath(DIAL, (0.0, 0.25, 1.0), (-1.0, 1.0, 1.5))
    assert [path.dial_knob(knob) for knob in (0.0, 1.0)] == [-1.0, pytest.approx(1.5, abs=4 / SETTINGS)]
    assert path.dial_knob(0.125) == pytest.approx(0.0, abs=4 / SETTINGS)
    settings = np.arange(SETTINGS)
    turned = path.dial_settings(settings)
    assert (np.diff(turned) >= 0).all()
    for setting in (0, 1, 777, 16384, 16385, 40000, 65535):  # as C has it: whole numbers, halves rounded up
        (start, place), (end, other) = next(
            pair for pair in zip(path.stops, path.stops[1:], strict=False) if setting <= pair[1][0]
        )
        exact = place + (other - place) * (setting - start) / (end - start)
        assert path.dial_setting(setting) == turned[setting] == int(np.floor(exact + 0.5))
    low, high = (-1.0 + 4.0 * int(path.dial_setting(32768)) / 65535 for _ in range(2))
    assert path.dial_knob(0.5) == low == high
    np.testing.assert_array_equal(path.scale(0.5)["hidden"], DIAL.scale(low)["hidden"])
    assert path.scale(0.5).profile is DIAL


def test_a_stop_where_neurons_are_on_for_the_last_time_has_them_on() -> None:
    nested = DialProfile({"hidden": np.zeros(3)}, on_until={"hidden": [0.1, 0.3, np.inf]})  # 0.1 is setting 6553.5

    def off(path: KnobPath, knob: float) -> int:
        return int(np.isinf(path.scale(knob)["hidden"]).sum())

    path = KnobPath(nested, (0.0, 0.5, 1.0), (0.1, 0.3, 0.4))
    assert [off(path, knob) for knob in (0.0, 0.0001, 0.5, 0.501, 1.0)] == [0, 1, 1, 2, 2]
    after = KnobPath(nested, (0.0, 1.0), (6554 / 65535, 19661 / 65535))  # the settings behind these
    assert [off(after, knob) for knob in (0.0, 1.0)] == [1, 2]


def test_a_single_stop_turns_nothing() -> None:
    path = KnobPath(DIAL, (0.0,), (0.5,))
    assert len({path.dial_knob(knob) for knob in (0.0, 0.3, 1.0)}) == 1
    assert path.dial_knob(0.3) == pytest.approx(0.5, abs=4 / SETTINGS)


@pytest.mark.parametrize(
    ("knobs", "places", "message"),
    [
        ((), (), "found 0 stops"),
        ((0.0, 0.5), (0.0, 1.0), "from 0 to 1"),
        ((0.0, 1.0), (0.0,), "found 2 stops and 1 places"),
        ((0.0, 0.5, 0.5, 1.0), (0.0, 0.1, 0.2, 1.0), "that do not rise"),
        ((0.0, 1.0), (1.0, 0.5), "never fall"),
        ((0.0, 1.0), (0.0, 3.5), "allowed is a number from -1 to 3"),
        ((0.0, 1.5), (0.0, 1.0), "allowed is a number from 0 to 1"),
    ],
)
def test_stops_that_are_none_are_refused(knobs: tuple[float, ...], places: tuple[float, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        KnobPath(DIAL, knobs, places)


def test_knobs_out_of_range_are_refused() -> None:
    path = KnobPath(DIAL, (0.0, 1.0), (0.0, 1.0))
    for knob in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match="knob"):
            path.scale(knob)
    with pytest.raises(InputError, match="found 'dial'"):
        KnobPath("dial", (0.0, 1.0), (0.0, 1.0))  # type: ignore[arg-type]
