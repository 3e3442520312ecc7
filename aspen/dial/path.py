"""The way that one knob takes through the knobs of a dial."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import floor
from typing import TypeAlias

import numpy as np

from aspen._base.arrays import Array
from aspen._base.brief import Brief
from aspen._base.checks import as_integer, as_number, as_numbers, shown
from aspen.dial.profile import DialProfile, DialScale
from aspen.errors import InputError
from aspen.network.network import Network

SETTINGS = 2**16
"""Of a knob, evenly from one end to the other, as a program in C has them."""
MOST_EVERY = 255
"""Of the time steps, the fewest that run: every so many-th."""
EXACT = 1e-6
"""Of a setting: how far a place may lie below it by rounding alone."""


@dataclass(frozen=True, eq=False)
class KnobPath(Brief):
    """A knob from 0 (most accurate) to 1 (cheapest) that turns a dial: what a calibration has found worth its energy.

    Between two stops the dial's knob is interpolated linearly. Both knobs stand at one of 65,536 settings, evenly from
    end to end, as they do in a program in C: so a knob means the same thresholds to the bit wherever it is turned.
    Everything that takes a :class:`DialProfile` to be turned while it runs takes a path too.

    A knob may skip time steps too: from a stop on, only every so many-th step of the input reaches the network, the
    others are left out (:func:`seen`).

    >>> path = KnobPath(DialProfile({"hidden": 0.7}), knobs=(0.0, 0.5, 1.0), places=(0.0, 0.2, 1.0))
    >>> round(path.dial_knob(0.75), 4)  # half way between the last two stops
    0.6
    >>> path.scale(0.75)["hidden"].round(3)  # what engines take there
    array([[[1.522]]])
    >>> longer = KnobPath(path.dial, path.knobs, path.places, every=(1, 1, 2))
    >>> longer.every_at(0.75), longer.every_at(1.0)  # half of the time steps only at the cheap end
    (1, 2)

    Args:
        dial: what is turned.
        knobs: the stops, rising, from 0 to 1; a single one where there is nothing to turn.
        places: for each, where the dial's knob stands; it never falls.
        every: for each, every how many-th time step runs from there on, to the next; it never falls. Empty: each one.

    Raises:
        InputError: the stops are no such numbers, or a place is out of the dial's range.
    """

    dial: DialProfile
    knobs: Sequence[float]
    places: Sequence[float]
    every: Sequence[int] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.dial, DialProfile):
            raise InputError(f"dial: found {shown(self.dial)}, allowed is a DialProfile; see aspen.load_profile")
        low, high = self.dial.low, self.dial.high
        knobs, places = as_numbers("knobs", self.knobs, 0, 1), as_numbers("places", self.places, low, high)
        if not knobs or len(places) != len(knobs) or knobs[0] != 0 or (len(knobs) > 1 and knobs[-1] != 1):
            raise InputError(
                f"knobs: found {len(knobs)} stops and {len(places)} places, allowed are as many, from 0 to 1; "
                f"calibrate again"
            )
        object.__setattr__(self, "knobs", knobs)
        object.__setattr__(self, "places", places)
        object.__setattr__(self, "every", as_every(self.every, len(knobs)))
        starts, ends = zip(*self.stops, strict=True)
        if any(a >= b for a, b in pairwise(starts)) or any(a > b for a, b in pairwise(ends)):
            raise InputError("knobs: found stops that do not rise, allowed are rising ones, at places that never fall")
        if any(a > b for a, b in pairwise(self.every)):
            raise InputError(f"every: found {list(self.every)}, allowed are numbers of steps that never fall")

    @property
    def low(self) -> float:
        """The accurate end of the knob."""
        return 0.0

    @property
    def high(self) -> float:
        """The cheap end of the knob."""
        return 1.0

    @property
    def is_nested(self) -> bool:
        """Whether any neuron of the dial is off anywhere in its range."""
        return self.dial.is_nested

    @property
    def stops(self) -> list[tuple[int, int]]:
        """Settings of the knob and of the dial at each stop: what a program in C has.

        The dial's is not beyond the place, at which neurons may be on for the last time.
        """
        low, span = self.dial.low, self.dial.high - self.dial.low
        places = [floor((place - low) / span * (SETTINGS - 1) + EXACT) for place in self.places]
        return [(round(knob * (SETTINGS - 1)), place) for knob, place in zip(self.knobs, places, strict=True)]

    def dial_setting(self, setting: int) -> int:
        """The dial's setting at one of the knob's, in the program's integers."""
        return int(self.dial_settings(np.array([setting]))[0])

    def dial_settings(self, settings: Array) -> Array:
        """As :meth:`dial_setting`, for int64 settings (n,)."""
        stops = np.array(self.stops, np.int64)
        if len(stops) == 1:
            return np.full(settings.shape, stops[0, 1])
        left = np.clip(np.searchsorted(stops[:, 0], settings, "right") - 1, 0, len(stops) - 2)
        (start, place), (end, other) = stops[left].T, stops[left + 1].T
        return np.asarray(place + ((other - place) * (settings - start) + (end - start) // 2) // (end - start))

    def dial_knob(self, knob: float) -> float:
        """Where the dial's own knob stands.

        Raises:
            InputError: ``knob`` is no number from 0 to 1.
        """
        place = as_number("knob", knob, 0, 1, remedy="turn it less")
        setting = self.dial_setting(round(place * (SETTINGS - 1)))
        low, high = self.dial.low, self.dial.high
        return min(low + (high - low) * setting / (SETTINGS - 1), high)

    @property
    def skips(self) -> bool:
        """Whether time steps are left out anywhere."""
        return self.every[-1] > 1

    def every_at(self, knob: float) -> int:
        """Every how many-th time step runs: as at the stop at the knob, or the one before it.

        Raises:
            InputError: ``knob`` is no number from 0 to 1.
        """
        setting = round(as_number("knob", knob, 0, 1, remedy="turn it less") * (SETTINGS - 1))
        return self.every[bisect_right([start for start, _ in self.stops], setting) - 1]

    def scale(self, knob: float) -> DialScale:
        """The ``threshold_scale`` that ``knob`` stands for; see :meth:`DialProfile.scale`."""
        return self.dial.scale(self.dial_knob(knob))

    def check(self, network: Network) -> None:
        """Raise InputError unless the dial fits the populations of ``network``."""
        self.dial.check(network)


def as_every(every: Sequence[int], stops: int) -> tuple[int, ...]:
    """Every how many-th time step runs at each of so many stops; 1 where nothing is said.

    Raises:
        InputError: they are no such numbers, or not as many.
    """
    found = tuple(as_integer("every", each, 1, MOST_EVERY) for each in every) or (1,) * stops
    if len(found) != stops:
        raise InputError(f"every: found {len(found)} for {stops} stops, allowed is one for each, or none; give as many")
    return found


def seen(inputs: Array, every: int) -> Array:
    """The time steps of inputs (time, ...) that run: the ``every``-th, twice that, and so on.

    >>> seen(np.arange(1, 8), 3)
    array([3, 6])

    Raises:
        InputError: there are not as many steps as one takes.
    """
    if every == 1:  # whatever there is: what runs it says whether that is enough
        return inputs
    if every > len(inputs):
        raise InputError(f"every: found {every} for inputs of {len(inputs)} time steps, allowed are as many at most")
    return np.ascontiguousarray(inputs[every - 1 :: every])


def steps_seen(steps: int, every: int) -> int:
    """How many of so many time steps these are."""
    return steps // every


AnyDial: TypeAlias = "DialProfile | KnobPath"
"""What a knob turns."""


def dial_of(turned: AnyDial | None) -> DialProfile | None:
    """The dial that is turned, directly or by a path."""
    return turned.dial if isinstance(turned, KnobPath) else turned


def dial_knob_of(turned: AnyDial | None, knob: float | None) -> float | None:
    """Where the dial's own knob stands, for a knob of a dial or of a path."""
    return turned.dial_knob(knob or 0.0) if isinstance(turned, KnobPath) else knob


def every_of(turned: object, knob: float | None) -> int:
    """Every how many-th time step runs at a knob; 1 but of a path."""
    return turned.every_at(knob or 0.0) if isinstance(turned, KnobPath) else 1
