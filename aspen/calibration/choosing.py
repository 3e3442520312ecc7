"""Which point of a calibration table to take for a demand, and what would be possible where none will do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10

from aspen._base.checks import as_quantity
from aspen._base.closed import Closed
from aspen.calibration.points import EarlyPoint, OperatingPoint
from aspen.calibration.statistics import stretched
from aspen.calibration.table import CalibrationTable
from aspen.errors import InputError
from aspen.units import format_duration, format_energy, format_power

SURE = 0.95
"""How sure the expected interval is."""
ROUNDING = 1e-12
"""How far below a cost a budget may lie and still cover it: no more than arithmetic rounds."""


@dataclass(frozen=True)
class BatteryLife:
    """What a battery must last for: how long, and at how many inferences per second.

    Args:
        joules: its charge.
        seconds: how long it must last.
        rate: inferences per second.
        gated: the chip is off between inferences; otherwise its static power flows all the time.
    """

    joules: float
    seconds: float
    rate: float
    gated: bool = False


@dataclass(frozen=True)
class Choice:
    """The point that was chosen.

    Args:
        point: its spikes and energies are those of the steps taken.
        steps: time steps per inference.
        dynamic_nj: dynamic energy per inference; None where unknown.
        static_nj: static energy per inference, in a battery that of the time until the next one too; None: unknown.
        low, high: interval of the accuracy on unseen samples drawn like the measured ones: 95 % sure for all settings
            at once, as the choice was made on the samples that were measured.
        settings: how many settings the interval allows for.
        lasts: seconds that the battery lasts; None where there is no battery.
    """

    point: OperatingPoint
    steps: float
    dynamic_nj: float | None
    static_nj: float | None
    low: float
    high: float
    settings: int
    lasts: float | None = None

    @property
    def total_nj(self) -> float | None:
        """Dynamic and static energy; None unless both are known."""
        return None if self.dynamic_nj is None or self.static_nj is None else self.dynamic_nj + self.static_nj


class Chooser(Closed):
    """Chooses from the points of a table.

    Args:
        table: what was measured.
        early: take the points whose inferences end early.
        dynamic: reckon with the dynamic energy alone.
        settings: how many settings were measured; default: as many as the table has points.

    Raises:
        InputError: the table has no early stop.
    """

    def __init__(
        self, table: CalibrationTable, *, early: bool = False, dynamic: bool = False, settings: int | None = None
    ) -> None:
        if early and table.early is None:
            raise InputError(
                f"early: found no early stop in the table {table.key}, allowed is one with it; calibrate with --early"
            )
        self.table, self.dynamic = table, dynamic
        self.settings = settings or len(table.points)
        whole = [EarlyPoint(point, table.steps) for point in table.points]
        self.offers = list(table.early_points) if early else whole

    def within_energy(self, joules: float) -> Choice:
        """The most accurate point that takes at most so many joules per inference.

        Raises:
            InputError: there is none, or the energies are unknown; says what would be possible. Or ``joules`` is no
                number above 0.
        """
        joules = as_quantity("max-energy", joules, 0.0, above=True)
        cheapest = min(self.offers, key=self._cost)
        if not self._affords(joules, cheapest):
            static = 1e-9 * (self._static(cheapest) or 0.0)
            alone = f"; static alone takes {format_energy(static)}" if not self.dynamic and joules < static else ""
            raise InputError(
                f"max-energy: found {format_energy(joules)} per inference, possible is "
                f"{_energy(1e-9 * self._cost(cheapest))} ({self._parts(cheapest)}){alone}; allow as much, or train a "
                f"sparser network"
            )
        return self._choice(self._best([o for o in self.offers if self._affords(joules, o)]))

    def with_accuracy(self, minimum: float, *, sure: bool = False) -> Choice:
        """The cheapest point that is accurate enough.

        Args:
            minimum: fraction of right answers.
            sure: the lower end of the interval must reach it, not only the measured accuracy.

        Raises:
            InputError: there is none; says what would be possible.
        """

        def reached(offer: EarlyPoint) -> float:
            return self._interval(offer)[0] if sure else offer.point.accuracy

        best = max(self.offers, key=reached)
        if not 0 < minimum <= 1 or reached(best) < minimum:
            what = "surely" if sure else "as measured"
            raise InputError(
                f"min-accuracy: found {minimum:g}, possible is up to {_digits(reached(best), floor):g} {what}, at knob "
                f"{best.point.knob:g}; ask for that or less, or train a better network"
            )
        enough = [offer for offer in self.offers if reached(offer) >= minimum]
        return self._choice(min(enough, key=self._cost_or_spikes))

    def on_battery(self, battery: BatteryLife) -> Choice:
        """The most accurate point with which a battery lasts long enough.

        Raises:
            InputError: there is none, or the chip is too slow or its energies unknown; says what would be possible.
        """
        self._check_rate(battery)
        cheapest = min(self.offers, key=lambda offer: self._watts(offer, battery))
        allowed = battery.joules / battery.seconds
        if self._watts(cheapest, battery) > allowed:
            raise InputError(self._too_small(battery, cheapest))
        affordable = [offer for offer in self.offers if self._watts(offer, battery) <= allowed]
        best = self._best(affordable)
        static = None if self.dynamic else 1e9 * (self._always(best, battery) / battery.rate)
        return self._choice(best, static, battery.joules / self._watts(best, battery))

    def _choice(self, offer: EarlyPoint, static_nj: float | None = None, lasts: float | None = None) -> Choice:
        low, high = self._interval(offer)
        point = offer.point
        static = point.static_nj if static_nj is None else static_nj
        return Choice(point, offer.steps, point.dynamic_nj, static, low, high, self.settings, lasts)

    def _interval(self, offer: EarlyPoint) -> tuple[float, float]:
        return stretched(offer.point, 1 - (1 - SURE) / self.settings)

    def _best(self, offers: Sequence[EarlyPoint]) -> EarlyPoint:
        return max(offers, key=lambda offer: (offer.point.accuracy, -self._cost_or_spikes(offer)))

    def _cost_or_spikes(self, offer: EarlyPoint) -> float:
        known = offer.point.dynamic_nj
        if known is None:
            return offer.point.hidden_spikes
        return known + (0.0 if self.dynamic else offer.point.static_nj or 0.0)

    def _cost(self, offer: EarlyPoint) -> float:
        """nJ per inference, static included unless only the dynamic part was asked for."""
        if offer.point.dynamic_nj is None:
            raise InputError(
                f"energy: found no published figures for {self.table.chip or 'a run on no chip'}, allowed is a chip "
                f"that has them, e.g. loihi1; ask for an accuracy instead, or name another --chip"
            )
        return offer.point.dynamic_nj + (self._static(offer) or 0.0)

    def _affords(self, joules: float, offer: EarlyPoint) -> bool:
        """Whether a point takes at most ``joules``, which may be a decimal that was rounded to the double below."""
        return 1e-9 * self._cost(offer) <= joules * (1 + ROUNDING)

    def _static(self, offer: EarlyPoint) -> float | None:
        if self.dynamic:
            return None
        if offer.point.static_nj is None:
            raise InputError(
                f"energy: found no static energy of {self.table.chip}, allowed is a table with it; ask with --dynamic "
                f"for the dynamic energy alone, name another --chip, or calibrate again if the table is of an older "
                f"release"
            )
        return offer.point.static_nj

    def _parts(self, offer: EarlyPoint) -> str:
        static = "" if self.dynamic else f" and {format_energy(1e-9 * (self._static(offer) or 0.0))} static"
        dynamic = format_energy(1e-9 * (offer.point.dynamic_nj or 0.0))
        return f"{dynamic} dynamic{static}, {offer.point.accuracy:.1%} correct, at knob {offer.point.knob:g}"

    def _check_rate(self, battery: BatteryLife) -> None:
        for what, value in (("joules", battery.joules), ("seconds", battery.seconds), ("rate", battery.rate)):
            if not (value > 0 and isfinite(value)):
                raise InputError(f"battery {what}: found {value}, allowed is more than 0; give e.g. 100mAh@3.7V")
        if self.table.step_time is None:
            return
        longest = self.table.steps * self.table.step_time
        if battery.rate * longest > 1 + 1e-9:
            raise InputError(
                f"rate: found {battery.rate:g} inferences per second, possible are {_digits(1 / longest, floor):g}, as "
                f"one takes {format_duration(longest)} ({self.table.steps} steps); ask for fewer"
            )

    def _always(self, offer: EarlyPoint, battery: BatteryLife) -> float:
        """Watts of static power."""
        static = self._static(offer)
        if static is None or battery.gated:
            return 1e-9 * (static or 0.0) * battery.rate
        if self.table.step_time is None:
            raise InputError(
                f"battery: found a table of {self.table.chip} without the time of a step, allowed is one with it, as "
                f"it says what is drawn between inferences; calibrate with --window-time, or ask with --gated"
            )
        return 1e-9 * self.table.static_nj / (self.table.steps * self.table.step_time)

    def _watts(self, offer: EarlyPoint, battery: BatteryLife) -> float:
        self._cost(offer)
        return 1e-9 * (offer.point.dynamic_nj or 0.0) * battery.rate + self._always(offer, battery)

    def _too_small(self, battery: BatteryLife, cheapest: EarlyPoint) -> str:
        watts, always = self._watts(cheapest, battery), self._always(cheapest, battery)
        static = "" if self.dynamic else f", {format_power(always)} of it static"
        lasts = battery.joules / watts
        remedy = "allow as much" if battery.gated or self.dynamic else "allow as much, or switch the chip off (--gated)"
        return (
            f"battery: found {format_energy(battery.joules)} for {battery.seconds / 3600:g} h at {battery.rate:g} "
            f"inferences per second, possible are {_digits(lasts / 3600, floor):g} h, or this time with "
            f"{_energy(watts * battery.seconds)}, as the cheapest point takes {format_power(watts)}{static}; {remedy}"
        )


def _digits(value: float, towards: Callable[[float], int]) -> float:
    """Four digits of a value, rounded so that what is offered is there."""
    if value <= 0:
        return 0.0
    unit = 10.0 ** (floor(log10(value)) - 3)
    return float(f"{towards(value / unit) * unit:.4g}")


def _energy(joules: float) -> str:
    """An energy rounded up to four digits."""
    unit, factor = next(((u, f) for u, f in (("J", 1.0), ("mJ", 1e-3), ("uJ", 1e-6)) if joules >= f), ("nJ", 1e-9))
    return f"{_digits(joules / factor, ceil):g} {unit}"


Demand = Callable[[Chooser], Choice]
"""What was asked for."""
