"""Numbers on the command line: in a range, finite, one or several, refused by what was found and what is allowed."""

from __future__ import annotations

from math import isfinite
from typing import Any

import click


class Whole(click.IntRange):
    """A whole number in a range."""

    name = "n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            return self.fail(f"found {value!r}, allowed is a whole number{_range(self)}", param, ctx)


class Number(click.FloatRange):
    """A finite number in a range; NaN is none."""

    name = "x"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            number = super().convert(value, param, ctx)
        except click.BadParameter:
            number = None
        if number is None or not isfinite(number):
            self.fail(f"found {value!r}, allowed is a finite number{_range(self)}", param, ctx)
        return number


class Several(click.ParamType):
    """A finite number, or several with commas between them: a tuple."""

    name = "x[,x...]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | tuple[float, ...]:
        if not isinstance(value, str):
            return value
        try:
            numbers = tuple(float(part) for part in value.split(","))
        except ValueError:
            numbers = ()
        if not numbers or not all(map(isfinite, numbers)):
            self.fail(f"found {value!r}, allowed is a number, or several with commas between them", param, ctx)
        return numbers if len(numbers) > 1 else numbers[0]


class Wholes(click.ParamType):
    """Whole numbers in a range, with commas between them: a tuple."""

    name = "n[,n...]"

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if not isinstance(value, str):
            return tuple(value)
        try:
            numbers = tuple(int(part) for part in value.split(","))
        except ValueError:
            numbers = ()
        if not numbers or not all(self.low <= number <= self.high for number in numbers):
            self.fail(
                f"found {value!r}, allowed are whole numbers from {self.low} to {self.high}, such as 2,4", param, ctx
            )
        return numbers


def _range(kind: click.IntRange | click.FloatRange) -> str:
    low = "" if kind.min is None else f" {'above' if kind.min_open else 'from'} {kind.min:g}"
    high = "" if kind.max is None else f" {'to below' if kind.max_open else 'to'} {kind.max:g}"
    return low + high
