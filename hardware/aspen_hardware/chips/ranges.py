"""Quantities that sources do not agree on: a range, and a quantity of which each scenario says its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Range:
    """A quantity with its lowest, typical and highest value; same unit in all three."""

    low: float
    typical: float
    high: float

    @classmethod
    def exactly(cls, value: float) -> Range:
        """A quantity of which one value is known."""
        return cls(value, value, value)

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.typical + other.typical, self.high + other.high)

    def times(self, factor: float | Range) -> Range:
        """This range scaled by ``factor`` (>= 0), or by a range that moves independently."""
        if isinstance(factor, Range):
            return Range(self.low * factor.low, self.typical * factor.typical, self.high * factor.high)
        return Range(self.low * factor, self.typical * factor, self.high * factor)


NOTHING = Range.exactly(0.0)


@dataclass(frozen=True)
class ByScenario:
    """A quantity as each scenario of a chip has it. Sums are made scenario by scenario: none is a mixture of two.

    Args:
        of: scenario -> the quantity; a range where the scenario's own source gives one.
        usual: the scenario that counts as typical.
    """

    of: Mapping[str, Range]
    usual: str

    @property
    def low(self) -> float:
        """The lowest value of any scenario."""
        return min(value.low for value in self.of.values())

    @property
    def typical(self) -> float:
        """The value of the usual scenario."""
        return self.of[self.usual].typical

    @property
    def high(self) -> float:
        """The highest value of any scenario."""
        return max(value.high for value in self.of.values())

    @property
    def range(self) -> Range:
        """Without the scenarios."""
        return Range(self.low, self.typical, self.high)

    def __add__(self, other: ByScenario | Range) -> ByScenario:
        return ByScenario({name: value + within(other, name) for name, value in self.of.items()}, self.usual)

    def times(self, factor: float | Range) -> ByScenario:
        """This quantity scaled by ``factor`` (>= 0), or by a range that moves independently and has no scenarios."""
        return ByScenario({name: value.times(factor) for name, value in self.of.items()}, self.usual)


def within(quantity: Range | ByScenario, scenario: str) -> Range:
    """A quantity as one scenario has it; one without scenarios is the same in all."""
    return quantity.of[scenario] if isinstance(quantity, ByScenario) else quantity


def in_each(function: Callable[..., Range], *quantities: Range | ByScenario) -> Range | ByScenario:
    """A function of what quantities are in one scenario, for each scenario that any of them has."""
    divided = next((quantity for quantity in quantities if isinstance(quantity, ByScenario)), None)
    if divided is None:
        return function(*quantities)
    found = {name: function(*(within(quantity, name) for quantity in quantities)) for name in divided.of}
    return ByScenario(found, divided.usual)
