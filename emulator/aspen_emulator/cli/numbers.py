"""Numbers on the command line: in a range, finite, and refused by what was found and what is allowed."""

from __future__ import annotations

from math import isfinite
from typing import Any

import click


class Whole(click.IntRange):
    """A whole number in a range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            return self.fail(f"found {value!r}, allowed is a whole number{_range(self)}", param, ctx)


class Number(click.FloatRange):
    """A finite number in a range; NaN is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            number = super().convert(value, param, ctx)
        except click.BadParameter:
            number = None
        if number is None or not isfinite(number):
            self.fail(f"found {value!r}, allowed is a finite number{_range(self)}", param, ctx)
        return number


def _range(kind: click.IntRange | click.FloatRange) -> str:
    low = "" if kind.min is None else f" {'above' if kind.min_open else 'from'} {kind.min:g}"
    high = "" if kind.max is None else f" {'to below' if kind.max_open else 'to'} {kind.max:g}"
    return low + high
