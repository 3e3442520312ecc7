"""The calibration table: operating points worth having, and what lies between them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import pairwise
from math import exp, log
from typing import Any

from aspen._base.checks import as_integer, as_name, as_number, as_numbers, shown
from aspen._base.tables import Table, Tabled
from aspen.calibration.early import EarlyStop
from aspen.calibration.points import EarlyPoint, OperatingPoint, cost_of
from aspen.calibration.sheet import front_table, table
from aspen.dial.path import KnobPath, as_every, steps_seen
from aspen.dial.profile import DialProfile
from aspen.errors import InputError
from aspen.network.network import Network

LEVERS = ("scale", "profile")
FRONT = "front"
"""The dial of a table whose knob runs along a front of several levers."""
DIALS = (*LEVERS, FRONT)
NO_CHIP = "none"
"""What stands for the chip in the key of a table without one."""


@dataclass(frozen=True)
class CalibrationTable(Tabled):
    """Operating points worth having, cheapest first: cost and accuracy rise, the knob goes one way throughout.

    Between two points the logarithm of the dynamic energy is taken as linear in the logarithm of the thresholds: in
    the knob itself where it is the learned dial's, in its logarithm where it is a factor.

    >>> from aspen.calibration.points import OperatingPoint
    >>> rows = (2.0, 0.94, 50, 400), (1.0, 0.95, 90, 900)  # knob, accuracy, hidden spikes, nJ: as a sweep measures them
    >>> points = tuple(OperatingPoint(k, a, a - 0.02, a + 0.02, n, 2e3, 500, nj, 8e5, 900) for k, a, n, nj in rows)
    >>> table = CalibrationTable("loihi1", "scale", 25, 1e-5, "digits validation", 1, points)
    >>> round(table.knob_for(600.0), 3), round(table.accuracy(1.5), 3)  # between the two
    (1.414, 0.944)

    Args:
        chip: whose joules; None: no joules.
        dial: ``scale``: the knob is a factor on the thresholds of all hidden populations; ``profile``: the knob of
            the learned dial in the same file; ``front``: a knob from 0 (most accurate) to 1 (cheapest) that turns one
            of these and ends inferences early, along what was found worth its energy.
        steps: time steps of an inference.
        step_time: their length in seconds; None where the chip's file has none, or there is no chip.
        data: what it was measured on, e.g. ``har validation``.
        seeds: encodings that were measured and averaged.
        points: the operating points.
        chosen: knob of the point that was chosen, if any.
        early: when an inference may end early, if that was calibrated.
        early_points: the same points with inferences ended early, in the same order; empty where ``early`` is None.
            Of a front they are its points themselves.
        turns: of a front: what it turns, ``scale`` or ``profile``.
        places: of a front: where that stands at each of the points.
        every: of a front that skips time steps: every how many-th of them runs at each of the points; else empty.
    """

    chip: str | None
    dial: str
    steps: int
    step_time: float | None
    data: str
    seeds: int
    points: tuple[OperatingPoint, ...]
    chosen: float | None = None
    early: EarlyStop | None = None
    early_points: tuple[EarlyPoint, ...] = ()
    turns: str | None = None
    places: tuple[float, ...] = ()
    every: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name, value in _plain(self).items():
            object.__setattr__(self, name, value)
        _check_table(self)

    def _shown(self) -> Iterator[str | Table]:
        where, dial = "on no chip" if self.chip is None else f"on {self.chip}", self.dial == "profile"
        yield f"{self.data}, {self.best.samples} samples, {self.steps} steps, {where}: knobs kept"
        if self.is_front:
            yield front_table(self.points, self.places, self.early, self.early_points, self.every)
            return
        yield table(self.points, dial=dial)
        if self.early_points:
            yield "the same with inferences that end early:"
            yield table([e.point for e in self.early_points], [e.steps for e in self.early_points], dial=dial)
        if self.chosen is not None:
            yield f"chosen: {self.chosen:g}"

    @property
    def key(self) -> str:
        """Name of the table in a file: ``dial@chip``."""
        return f"{self.dial}@{self.chip or NO_CHIP}"

    @property
    def is_front(self) -> bool:
        """Whether the knob runs along a front of several levers."""
        return self.dial == FRONT

    def along(self, network: Network, profile: DialProfile | None = None) -> KnobPath:
        """What the knob of a front turns, as everything takes it that takes a :class:`aspen.DialProfile`.

        Args:
            network: whose thresholds are turned.
            profile: the learned dial, where the front turns one.

        Raises:
            InputError: the table is of a single lever, or the profile is missing or of no use.
        """
        if not self.is_front:
            raise InputError(f"table {self.key}: found no front, allowed is one; load it with dial='front'")
        if (self.turns == "profile") != (profile is not None):
            raise InputError(
                f"profile: found {'none' if profile is None else 'one'} for the table {self.key}, which turns a "
                f"{'learned dial' if self.turns == 'profile' else 'threshold scale'}, allowed is one for a learned "
                f"dial alone; pass aspen.load_profile(...), or leave it out"
            )
        knobs, places = [point.knob for point in self.points[::-1]], self.places[::-1]
        if profile is not None:
            return KnobPath(profile, knobs, places, self.every[::-1])
        low, high = places[0], max(places[-1], 2 * places[0])
        dial = DialProfile.uniform(network, low, high)
        return KnobPath(dial, knobs, [log(place / low) / log(high / low) for place in places], self.every[::-1])

    @property
    def whole_steps(self) -> tuple[int, ...]:
        """Time steps that run at each of the points, where inferences do not end early."""
        return tuple(steps_seen(self.steps, every) for every in self.every or (1,) * len(self.points))

    @property
    def cheapest(self) -> OperatingPoint:
        """The point that costs least."""
        return self.points[0]

    @property
    def best(self) -> OperatingPoint:
        """The point that costs most, and is the most accurate."""
        return self.points[-1]

    @property
    def low(self) -> float:
        """The lowest knob of the table."""
        return min(self.cheapest.knob, self.best.knob)

    @property
    def high(self) -> float:
        """The highest knob of the table."""
        return max(self.cheapest.knob, self.best.knob)

    @property
    def static_nj(self) -> float:
        """Static energy per inference, nJ: the same at every knob.

        Raises:
            InputError: it is unknown.
        """
        known = self.best.static_nj
        if known is None:
            raise InputError(f"table {self.key}: found no static energy, allowed is a chip whose file has one")
        return known

    @property
    def has_energy(self) -> bool:
        """Whether the dynamic energy of the points is known."""
        return self.best.dynamic_nj is not None

    def point(self, knob: float) -> OperatingPoint:
        """The point measured at ``knob``.

        Raises:
            InputError: none was measured there, or it was not worth keeping.
        """
        for point in self.points:
            if point.knob == knob:
                return point
        listed = ", ".join(f"{point.knob:g}" for point in self.points)
        raise InputError(f"knob: found {knob!r}, the table {self.key} has points at {listed}; take one of these")

    def dynamic_nj(self, knob: float) -> float:
        """Expected dynamic energy per inference in nJ at ``knob``, which is clipped to the table's range.

        Raises:
            InputError: the knob is not a number, or no energies are known.
        """
        knobs, energies = self._curve
        place = self._position(as_number("knob", min(max(knob, self.low), self.high)))
        return exp(_interpolated(place, knobs, energies))

    def knob_for(self, dynamic_nj: float) -> float:
        """The knob whose expected dynamic energy per inference is ``dynamic_nj``, clipped to the table's range.

        Raises:
            InputError: the energy is not a number, or no energies are known.
        """
        knobs, energies = self._curve
        if as_number("dynamic_nj", dynamic_nj) <= exp(energies[0]):
            return self.cheapest.knob
        if dynamic_nj >= exp(energies[-1]):
            return self.best.knob
        place = _interpolated(log(dynamic_nj), energies, knobs)
        knob = exp(place) if self.dial == "scale" else place
        return min(max(knob, self.low), self.high)

    def accuracy(self, knob: float) -> float:
        """Expected accuracy at ``knob``, which is clipped to the table's range; linear like the dynamic energy."""
        place = self._position(as_number("knob", min(max(knob, self.low), self.high)))
        return _interpolated(place, self._places, [point.accuracy for point in self.points])

    def _position(self, knob: float) -> float:
        return log(knob) if self.dial == "scale" else knob

    @cached_property
    def _places(self) -> list[float]:
        return [self._position(point.knob) for point in self.points]

    @cached_property
    def _curve(self) -> tuple[list[float], list[float]]:
        """Positions of the knob, and logarithms of the dynamic energy, cheapest first."""
        if not self.has_energy:
            raise InputError(
                f"table {self.key}: found no dynamic energy, allowed is a chip with published energies; calibrate "
                f"for such a chip, e.g. loihi1"
            )
        return self._places, [log(point.dynamic_nj) for point in self.points if point.dynamic_nj is not None]


def _interpolated(x: float, xs: Sequence[float], ys: Sequence[float]) -> float:
    """Linear between the points; ``xs`` strictly rising or falling, ``x`` within them."""
    if len(xs) == 1:
        return ys[0]
    if xs[-1] < xs[0]:
        xs, ys = xs[::-1], ys[::-1]
    right = min(max(bisect_left(xs, x), 1), len(xs) - 1)
    share = (x - xs[right - 1]) / (xs[right] - xs[right - 1])
    return ys[right - 1] + share * (ys[right] - ys[right - 1])


def _plain(table: CalibrationTable) -> dict[str, Any]:
    """The arguments as plain values, or an InputError."""
    again, seconds = "measure again", table.step_time
    found: dict[str, Any] = {
        "dial": as_name("dial", table.dial, DIALS),
        "chip": None if table.chip is None else as_name("chip", table.chip),
        "data": as_name("data", table.data),
        "steps": as_integer("steps", table.steps, 1, remedy=again),
        "seeds": as_integer("seeds", table.seeds, 1, remedy=again),
        "step_time": None if seconds is None else as_number("step_time", seconds, 0, above=True, unit=" s"),
        "chosen": None if table.chosen is None else as_number("chosen", table.chosen),
        "turns": None if table.turns is None else as_name("turns", table.turns, LEVERS),
        "places": as_numbers("places", table.places),
        "every": as_every(table.every, len(table.every)),
    }
    for field, kind in (("points", OperatingPoint), ("early_points", EarlyPoint)):
        found[field] = tuple(getattr(table, field))
        for part in found[field]:
            if not isinstance(part, kind):
                raise InputError(f"{field}: found {shown(part)}, allowed are of {kind.__name__}; {again}")
    if table.early is not None and not isinstance(table.early, EarlyStop):
        raise InputError(f"early: found {shown(table.early)}, allowed is an EarlyStop or None; calibrate again")
    return found


def _check_table(table: CalibrationTable) -> None:
    if not table.points:
        raise InputError("points: found none, allowed is one and more; measure some settings first")
    for point in table.points:
        _check_point(point, table)
    costs, gains = [cost_of(p) for p in table.points], [p.accuracy for p in table.points]
    knobs = [p.knob for p in table.points]
    for what, values in (("costs", costs), ("accuracies", gains)):
        if not _rising(values):
            raise InputError(f"points: found {what} {_listed(values)}, allowed are rising ones; see thin()")
    if not (_rising(knobs) or _rising(knobs[::-1])):
        raise InputError(f"points: found knobs {_listed(knobs)}, allowed are rising or falling ones; see thin()")
    if table.chosen is not None:
        table.point(table.chosen)
    _check_early(table)
    _check_front(table)


def _check_front(table: CalibrationTable) -> None:
    wanted = len(table.points) if table.is_front else 0
    if len(table.places) != wanted or (table.turns is not None) != table.is_front:
        raise InputError(
            f"places: found {len(table.places)} for {len(table.points)} points of the dial {table.dial}, allowed is "
            f"one for each point of a front, and none elsewhere; calibrate again"
        )
    if len(table.every) not in (0, wanted) or any(a < b for a, b in pairwise(table.every)):
        raise InputError(
            f"every: found {_listed(table.every)} for {len(table.points)} points of the dial {table.dial}, allowed is "
            f"none, or one for each point of a front, which never rises; calibrate again"
        )
    longest = max(table.every, default=1)
    if longest > table.steps:
        raise InputError(f"every: found {longest}, allowed is up to the {table.steps} time steps; calibrate again")
    if not table.is_front:
        return
    if table.best.knob != 0 or table.cheapest.knob != (0 if len(table.points) == 1 else 1):
        raise InputError(
            f"points: found a front from {table.best.knob:g} to {table.cheapest.knob:g}, allowed is one from 0 to 1; "
            f"calibrate again"
        )
    if any(a < b for a, b in pairwise(table.places)) or (table.turns == "scale" and table.places[-1] <= 0):
        raise InputError(f"places: found {_listed(table.places)}, allowed are falling ones; calibrate again")


def _check_early(table: CalibrationTable) -> None:
    if table.early is None and not table.early_points:
        return
    knobs = [p.knob for p in table.points]
    found = [p.point.knob for p in table.early_points]
    if table.early is None or table.early.steps != table.steps or found != knobs:
        raise InputError(
            f"early_points: found knobs {_listed(found)}, allowed is an early stop of {table.steps} steps with points "
            f"at {_listed(knobs)}; calibrate again"
        )
    for early in table.early_points:
        _check_point(early.point, table)
        as_number("steps", early.steps, 0, table.steps, above=True)


def _check_point(point: OperatingPoint, table: CalibrationTable) -> None:
    for name in _POINT_FIELDS:
        if getattr(point, name) is not None and name != "knob":
            as_number(name, getattr(point, name), 0, remedy="measure again")
    as_integer("samples", point.samples, 1, remedy="measure again")
    if not point.accuracy_low <= point.accuracy <= point.accuracy_high <= 1:
        raise InputError(
            f"accuracy: found {point.accuracy} in {point.accuracy_low} to {point.accuracy_high}, allowed are "
            f"fractions within their interval; measure again"
        )
    if point.accuracy + point.unanswered > 1 + 1e-9:
        raise InputError(
            f"unanswered: found {point.unanswered} beside {point.accuracy} correct, allowed are shares of the samples "
            f"that add up to 1 at most; measure again"
        )
    if table.dial == "scale" and point.knob <= 0:
        raise InputError(f"knob: found {point.knob}, allowed are factors on the thresholds above 0; measure again")
    first = table.points[0]
    for name in ("dynamic_nj", "static_nj"):
        known = getattr(point, name)
        if (known is None) != (getattr(first, name) is None) or (known is not None and table.chip is None):
            raise InputError(f"{name}: found {known}, allowed is an energy of all points or none, and only of a chip")
    if point.dynamic_nj == 0:
        raise InputError("dynamic_nj: found 0, allowed are energies above 0; measure again")


_POINT_FIELDS = tuple(field.name for field in fields(OperatingPoint))


def _rising(values: Sequence[float]) -> bool:
    return all(a < b for a, b in pairwise(values))


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values[:20])
