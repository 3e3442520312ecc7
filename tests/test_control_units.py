"""Budgets, batteries and durations as people write them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aspen.control import Rate, parse_battery, parse_duration, parse_energy, parse_rate
from aspen.control.units import format_duration, format_energy, format_power
from aspen.errors import InputError


def test_what_is_understood() -> None:
    assert parse_rate("2uJ/window") == Rate(pytest.approx(2e-6), "window")
    assert parse_rate("10 mJ / h") == Rate(pytest.approx(0.01), "h")
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
    ],
)
def test_what_is_refused(parse: Callable[[str], object], text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(text)
    assert message in str(caught.value)


def test_how_quantities_are_shown() -> None:
    assert [format_energy(joules) for joules in (2.0, 1.234e-3, 5e-7, 0.0)] == ["2 J", "1.23 mJ", "500 nJ", "0 pJ"]
    assert format_power(2.5e-3) == "2.5 mW"
    assert [format_duration(seconds) for seconds in (7200.0, 90.0, 2.56, 0.016)] == [
        "2 h",
        "1.5 min",
        "2.56 s",
        "16 ms",
    ]
