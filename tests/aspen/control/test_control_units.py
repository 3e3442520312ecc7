"""Budgets, batteries and durations as people write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aspen.control import Rate, parse_battery, parse_duration, parse_energy, parse_rate
from aspen.errors import InputError
from aspen.units import format_duration, format_energy, format_power


def test_what_is_understood() -> None:
    assert (parse_rate("2uJ/window").joules, parse_rate("2uJ/window").per) == (pytest.approx(2e-6), "window")
    assert (parse_rate("10 mJ / h").joules, parse_rate("10 mJ / h").per) == (pytest.approx(0.01), "h")
    assert parse_rate("7.2J/h").watts(5.0) == pytest.approx(2e-3)
    assert parse_rate("4uJ/window").watts(2.0) == pytest.approx(2e-6)
    assert parse_energy("1.5e-3 µJ") == pytest.approx(1.5e-9)
    assert parse_energy(".5Wh") == pytest.approx(1800.0)
    assert parse_duration("72h") == 259200.0
    assert parse_duration("1.28 s") == 1.28
    assert parse_battery("100mAh@3.7V") == pytest.approx(1332.0)
    assert parse_battery("5kJ") == 5000.0


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (parse_rate, "2uJ", "an energy per window or hour"),
        (parse_rate, "2uJ/day", "an energy per window or hour"),
        (parse_rate, "2/h", "found no unit in '2', allowed are pJ"),
        (parse_rate, "2uW/h", "found the unit 'uW'"),
        (parse_rate, "-2uJ/h", "allowed is more than 0"),
        (parse_rate, "uJ/h", "allowed is a number with its unit"),
        (parse_energy, "1e400J", "allowed is more than 0"),
        (parse_energy, "1 2J", "allowed is a number with its unit"),
        (parse_duration, "72", "found no unit in '72', allowed are us"),
        (parse_battery, "100mAh", "allowed is a charge at a voltage; write e.g. 100mAh@3.7V"),
        (parse_battery, "100@3.7V", "found no unit in '100', allowed are mAh"),
        (parse_battery, "100mAh@3.7", "found no unit in '3.7', allowed are V"),
        (parse_battery, "0J", "allowed is more than 0"),
        (parse_battery, "1e200Ah@1e200V", "allowed is more than 0, and up to 1e+18"),
        (parse_battery, "1e-200Ah@1e-200V", "allowed is more than 0"),
        (parse_energy, "nanJ", "allowed is a number with its unit"),
        (parse_duration, "infs", "allowed is a number with its unit"),
        (parse_energy, "1e-400J", "allowed is more than 0"),
        (parse_energy, "5uj", "found the unit 'uj', allowed are pJ, nJ, uJ, µJ, μJ, mJ, J, kJ, Wh; did you mean"),
        (parse_rate, "1.9uJ/windw", "such as 2uJ/window or 10mJ/h; did you mean 'window'?"),
        (parse_rate, 5.0, "budget: found 5.0, allowed is a text with a unit; write e.g. '2uJ/window'"),
        (parse_energy, 5, "energy: found 5, allowed is a text"),
        (parse_duration, None, "duration: found None, allowed is a text"),
        (parse_battery, b"5kJ", "battery: found b'5kJ', allowed is a text"),
    ],
)
def test_what_is_refused(parse: Callable[[str], object], text: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(text)
    assert message in str(caught.value)


@pytest.mark.parametrize("joules", [float("nan"), float("inf"), 0.0, -1.0, 1e19, "5", None])
def test_a_rate_is_a_number_above_0(joules: Any) -> None:
    with pytest.raises(InputError, match=r"budget: found .*, allowed is a number above 0 to 1e\+18"):
        Rate(joules, "h")


def test_a_rate_is_per_window_or_hour_of_a_window_that_takes_time() -> None:
    with pytest.raises(InputError, match="per: found 'day', allowed are window and h"):
        Rate(1.0, "day")
    for seconds in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="window_seconds: found"):
            Rate(1.0, "window").watts(seconds)


def test_how_quantities_are_shown() -> None:
    assert [format_energy(joules) for joules in (2.0, 1.234e-3, 5e-7, 0.0)] == ["2 J", "1.23 mJ", "500 nJ", "0 pJ"]
    assert format_power(2.5e-3) == "2.5 mW"
    assert [format_duration(seconds) for seconds in (7200.0, 90.0, 2.56, 0.016)] == [
        "2 h",
        "1.5 min",
        "2.56 s",
        "16 ms",
    ]
