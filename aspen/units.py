"""Quantities as people write them: ``2uJ/window``, ``10mJ/h``, ``100mAh@3.7V``, ``72h``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aspen._base.checks import LARGEST, as_quantity, shown
from aspen._base.names import did_you_mean
from aspen.errors import InputError

JOULES = {"pJ": 1e-12, "nJ": 1e-9, "uJ": 1e-6, "µJ": 1e-6, "μJ": 1e-6, "mJ": 1e-3, "J": 1.0, "kJ": 1e3, "Wh": 3600.0}
SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
AMPERE_HOURS = {"mAh": 1e-3, "Ah": 1.0}
PERIODS = ("window", "h")
NUMBER = r"([+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|[+-]?\.\d+(?:[eE][+-]?\d+)?)"


@dataclass(frozen=True)
class Rate:
    """Energy that may be spent again and again.

    >>> Rate(2e-6, per="window").watts(window_seconds=0.5)
    4e-06

    Args:
        joules: how much.
        per: ``window`` (an inference) or ``h`` (an hour).

    Raises:
        InputError: the energy is no number above 0, or ``per`` is neither.
    """

    joules: float
    per: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "joules", as_quantity("budget", self.joules, 0.0, above=True))
        if self.per not in PERIODS:
            raise InputError(f"per: found {shown(self.per)}, allowed are {' and '.join(PERIODS)}; choose one of these")

    def watts(self, window_seconds: float) -> float:
        """The mean power that this allows where a window comes every ``window_seconds``.

        Raises:
            InputError: the time is no number above 0.
        """
        if self.per == "h":
            return self.joules / 3600.0
        return self.joules / as_quantity("window_seconds", window_seconds, 0.0, above=True)


def parse_rate(text: str) -> Rate:
    """``2uJ/window`` or ``10mJ/h``.

    >>> parse_rate("2uJ/window")
    Rate(joules=2e-06, per='window')

    Args:
        text: an energy, a slash, and ``window`` or ``h``.

    Raises:
        InputError: it is not of this form, or not above 0.
    """
    energy, slash, per = _text("budget", text, "2uJ/window").partition("/")
    if not slash or per.strip() not in PERIODS:
        raise InputError(
            f"budget: found {text!r}, allowed is an energy per window or hour, such as 2uJ/window or 10mJ/h; "
            f"{did_you_mean(per.strip(), PERIODS, 'say what it is for')}"
        )
    return Rate(_quantity("budget", energy, JOULES, "2uJ/window"), per.strip())


def parse_energy(text: str) -> float:
    """``5uJ`` in joules.

    >>> parse_energy("2uJ")
    2e-06

    Args:
        text: a number and one of :data:`JOULES`.

    Raises:
        InputError: the unit is missing or unknown, or it is not above 0.
    """
    return _quantity("energy", text, JOULES, "5uJ")


def parse_duration(text: str, name: str = "duration") -> float:
    """``72h`` in seconds.

    >>> parse_duration("72h")
    259200.0

    Args:
        text: a number and one of :data:`SECONDS`.
        name: what an error calls it, such as an option.

    Raises:
        InputError: the unit is missing or unknown, or it is not above 0.
    """
    return _quantity(name, text, SECONDS, "72h")


def parse_battery(text: str) -> float:
    """``100mAh@3.7V`` or ``5kJ`` in joules.

    >>> parse_battery("100mAh@3.7V")
    1332.0

    Args:
        text: a charge in Ah or mAh at a voltage, or an energy.

    Raises:
        InputError: it is neither, or not above 0.
    """
    charge, at, voltage = _text("battery", text, "100mAh@3.7V").partition("@")
    if at:
        volts = _quantity("battery", voltage, {"V": 1.0, "mV": 1e-3}, "100mAh@3.7V")
        joules = _quantity("battery", charge, AMPERE_HOURS, "100mAh@3.7V") * 3600 * volts
        return _in_range("battery", joules, text, "100mAh@3.7V")
    if re.fullmatch(rf"\s*{NUMBER}\s*m?Ah\s*", text):
        raise InputError(f"battery: found {text!r}, allowed is a charge at a voltage; write e.g. {text.strip()}@3.7V")
    return _quantity("battery", text, JOULES, "100mAh@3.7V or 5kJ")


def format_power(watts: float) -> str:
    """A power with three digits and the unit that suits it, from pW to W."""
    for unit, factor in (("W", 1.0), ("mW", 1e-3), ("uW", 1e-6), ("nW", 1e-9)):
        if abs(watts) >= factor:
            return f"{watts / factor:.3g} {unit}"
    return f"{watts / 1e-12:.3g} pW"


def format_energy(joules: float) -> str:
    """An energy with three digits and the unit that suits it, from pJ to J."""
    return format_power(joules)[:-1] + "J"


def format_duration(seconds: float) -> str:
    """A duration with three digits, in hours, minutes, seconds, milliseconds or microseconds."""
    for unit, factor in (("h", 3600.0), ("min", 60.0), ("s", 1.0), ("ms", 1e-3)):
        if seconds >= factor:
            return f"{seconds / factor:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} us"


def _quantity(what: str, text: str, units: dict[str, float], example: str) -> float:
    match = re.fullmatch(rf"\s*{NUMBER}\s*([^\d\s.]*)\s*", _text(what, text, example))
    if match is None:
        raise InputError(f"{what}: found {text!r}, allowed is a number with its unit; write e.g. {example}")
    number, unit = float(match[1]), match[2]
    if unit not in units:
        found = f"no unit in {text!r}" if not unit else f"the unit {unit!r}"
        remedy = did_you_mean(unit, units, f"write e.g. {example}")
        raise InputError(f"{what}: found {found}, allowed are {', '.join(units)}; {remedy}")
    return _in_range(what, number * units[unit], text, example)


def _text(what: str, text: str, example: str) -> str:
    if not isinstance(text, str):
        raise InputError(f"{what}: found {shown(text)}, allowed is a text with a unit; write e.g. {example!r}")
    return text


def _in_range(what: str, value: float, text: str, example: str) -> float:
    if not 0 < value <= LARGEST:
        raise InputError(f"{what}: found {text!r}, allowed is more than 0, and up to {LARGEST:g}; write e.g. {example}")
    return value
