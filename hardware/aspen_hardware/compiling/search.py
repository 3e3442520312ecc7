"""Choose how each population uses the range of the integers, by the spikes that survive on sample data.

This floor runs no networks: what a scheme does to the spikes is measured by a :class:`Sample` from above
(:func:`aspen_emulator.observe` makes one).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Protocol

from aspen._base.arrays import Array
from aspen._base.progress import followed
from aspen.errors import ChipError
from aspen.network.host import HostLayer
from aspen.network.network import Dense, Network
from aspen_hardware.compiling.formats import WEIGHT_EXPONENTS
from aspen_hardware.compiling.populations import Scheme

MARGIN = 0.5
"""Part of 24 bits that currents and membranes may use on the sample: other data may reach further."""
FILLS = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
HOPELESS = 2.0
"""Clipping more weights is not tried once it makes this many times as many spikes differ as clipping fewer."""


@dataclass(frozen=True)
class Fit:
    """How the spikes of one population in integers compare with those in floating point, on sample data.

    Args:
        spikes: in floating point.
        different: places (neuron, step, sample) with a spike in only one of the two.
        overflows: currents that wrapped around, and membranes that were clipped.
        peak: largest current or membrane, relative to 24 bits.
    """

    spikes: int
    different: int
    overflows: int
    peak: float

    @property
    def kept(self) -> float:
        """1 minus the differences per spike; 1 where all spikes are kept. May be negative."""
        return 1 - self.different / max(self.spikes, 1)


Measure = Callable[[Network], Mapping[str, Fit]]


class Sample(Protocol):
    """Sample data and what the network in floating point makes of it."""

    def compare(self, integers: Network) -> Mapping[str, Fit]:
        """Run the network in integers, and compare every population."""

    def largest_current(self, host: HostLayer) -> float:
        """Largest magnitude of what a host makes of the sample, in units of the membrane."""

    def moments(self, connection: Dense) -> Array:
        """What a :class:`~aspen_hardware.compiling.compensation.Compensator` needs, for a connection of the network."""


@dataclass(frozen=True)
class Searched:
    """The scheme for each population, and how the spikes compare without (``before``) and with it (``after``)."""

    schemes: Mapping[str, Scheme]
    before: Mapping[str, Fit]
    after: Mapping[str, Fit]


def search_schemes(
    start: Mapping[str, Scheme],
    build: Callable[[Mapping[str, Scheme]], Network],
    measure: Measure,
    thresholds: int,
) -> Searched:
    """Improve the schemes of one population after the other, as long as fewer spikes differ in the whole network.

    A scheme is taken only if it makes fewer currents and membranes overflow on the sample or, with as few of these,
    fewer spikes differ. So the result is never worse there than what it starts from.

    Args:
        start: population -> the scheme to begin with, in the order in which populations are computed.
        build: makes the network in integers; raises ChipError where a scheme does not fit.
        measure: compares it with the network in floating point.
        thresholds: different thresholds that a population may get.
    """
    search = _Search(build, measure, start)
    before = search.fits
    for name in followed(start, len(start), "search", "populations"):
        search.improve(name, thresholds)
    return Searched(search.best, before, search.fits)


class _Search:
    def __init__(
        self, build: Callable[[Mapping[str, Scheme]], Network], measure: Measure, start: Mapping[str, Scheme]
    ) -> None:
        self._build = build
        self._measure = measure
        self.best = start
        self.fits = measure(build(start))

    def improve(self, name: str, thresholds: int) -> None:
        """Try all schemes for one population."""
        for schemes in _candidates(thresholds):
            fewest = inf
            for scheme in schemes:
                fit = self._settle(name, scheme)
                if fit is None or fit.different > HOPELESS * fewest:
                    break
                fewest = min(fewest, fit.different)

    def _settle(self, name: str, scheme: Scheme) -> Fit | None:
        """Try ``scheme`` with the largest exponent that leaves room on the sample; None where it does not fit."""
        allowed = max(MARGIN, self.fits[name].peak)
        for lower in range(len(WEIGHT_EXPONENTS)):
            trial = {**self.best, name: replace(scheme, lower=lower)}
            try:
                fits = self._measure(self._build(trial))
            except ChipError:
                return None
            if fits[name].overflows == 0 and fits[name].peak <= allowed:
                if _badness(fits) < _badness(self.fits):
                    self.best, self.fits = trial, fits
                return fits[name]
        return None


def _badness(fits: Mapping[str, Fit]) -> tuple[int, int]:
    return sum(fit.overflows for fit in fits.values()), sum(fit.different for fit in fits.values())


def _candidates(thresholds: int) -> Iterator[Iterator[Scheme]]:
    """Series of schemes, each from little to much clipping."""
    yield iter([Scheme(worst_case=False)])
    for balanced in (0, thresholds) if thresholds else (0,):
        plain = Scheme(worst_case=False, thresholds=balanced, compensate=True)
        yield (replace(plain, fill=fill) for fill in (1.0, *FILLS))
