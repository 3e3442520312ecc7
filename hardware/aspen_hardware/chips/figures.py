"""What a single entry of a chip file must be: a figure with unit, source and trust mark; a text; a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from aspen._base.checks import as_number, shown
from aspen.errors import ChipError
from aspen.network.neurons import RESETS

LARGEST = 1e18
"""The largest figure: a chip's counts then fit 64 bits."""
WIDEST = 64
"""Bits of the widest number format."""

TRUST = {
    "P": "seen in the paper's own abstract or table, or in a repository file",
    "Q": "quoted with page numbers by a third party; the primary source was not seen",
    "S": "a secondary statement only",
    "D": "derived by arithmetic from other figures",
}

_FIGURE_NEEDED = ("value", "unit", "source", "trust")
_FIGURE_EXTRA = ("low", "high", "low_source", "high_source", "low_trust", "high_trust", "note")


def check_figure(figure: Any, file: str, key: str, units: Collection[str], sources: Mapping[str, str]) -> None:
    """Raise unless ``figure`` is one, in one of ``units``.

    Raises:
        ChipError: with file, key, what was found, what is allowed and how to mend it.
    """
    check_table(figure, file, key)
    check_keys(figure, file, key, _FIGURE_NEEDED, _FIGURE_EXTRA)
    whole = key.startswith(("limits.", "formats.", "crossbar."))
    for field in ("value", "low", "high"):
        if field in figure:
            _check_number(figure[field], file, f"{key}.{field}", whole)
    unit = figure["unit"]
    expect(unit in list(units), file, f"{key}.unit", shown(unit), ", ".join(units), "convert the figure")
    low, value, high = figure.get("low", figure["value"]), figure["value"], figure.get("high", figure["value"])
    expect(low <= high, file, key, f"low {low:g} above high {high:g}", "low <= high", "swap them")
    between = low <= value <= high
    expect(between, file, f"{key}.value", f"{value:g}", f"{low:g} to {high:g}", "widen low and high")
    _check_bounds(figure, file, key)
    for field in ("source", "low_source", "high_source"):
        if field in figure:
            check_source(figure[field], file, f"{key}.{field}", sources)
    for field in ("trust", "low_trust", "high_trust"):
        if field in figure:
            check_trust(figure[field], file, f"{key}.{field}")
    if "note" in figure:
        check_text(figure["note"], file, f"{key}.note")


def _check_bounds(figure: Mapping[str, Any], file: str, key: str) -> None:
    for bound in ("low", "high"):
        if bound in figure and figure[bound] != figure["value"]:
            given = f"{bound}_source" in figure
            expect(given, file, f"{key}.{bound}_source", "nothing", "a source", f"say who published {figure[bound]:g}")
            expect("note" in figure, file, f"{key}.note", "nothing", "a text", "say why `value` is the one taken")


def _check_number(value: Any, file: str, key: str, whole: bool) -> None:
    most = WIDEST if key.startswith("formats.") else LARGEST
    as_number(f"{file}: {key}", value, 0, most, error=ChipError, remedy="correct the figure")
    if whole:
        expect(value == int(value), file, key, shown(value), "a whole number", "round it down")


def check_choice(entry: Any, file: str, key: str, field: str, allowed: Collection[str], sources: Any) -> None:
    """Raise unless ``entry`` names one of ``allowed`` under ``field``, with source and trust mark.

    Raises:
        ChipError: as :func:`check_figure`.
    """
    expect(field in entry, file, f"{key}.{field}", "nothing", ", ".join(allowed), "say which")
    value = entry[field]
    known = isinstance(value, str) and value in allowed
    expect(known, file, f"{key}.{field}", shown(value), ", ".join(allowed), "correct it")
    for needed, check in (("source", check_source), ("trust", check_trust)):
        expect(needed in entry, file, f"{key}.{needed}", "nothing", "a value", "add the key")
        check(entry[needed], file, f"{key}.{needed}", *([sources] if needed == "source" else []))
    if "note" in entry:
        check_text(entry["note"], file, f"{key}.note")


def check_resets(entry: Any, file: str, key: str, sources: Mapping[str, str]) -> None:
    """Raise unless ``entry`` lists reset modes as its ``value``, with source and trust mark.

    Raises:
        ChipError: as :func:`check_figure`.
    """
    check_table(entry, file, key)
    allowed = f"a list from {', '.join(RESETS)}"
    expect("value" in entry, file, f"{key}.value", "nothing", allowed, "add it, with source and trust")
    check_keys(entry, file, key, ("value", "source", "trust"), ("note",))
    names = entry["value"]
    known = isinstance(names, list) and bool(names) and all(name in RESETS for name in names)
    expect(known, file, f"{key}.value", shown(names), allowed, "correct the names")
    check_source(entry["source"], file, f"{key}.source", sources)
    check_trust(entry["trust"], file, f"{key}.trust")
    if "note" in entry:
        check_text(entry["note"], file, f"{key}.note")


def check_source(source: Any, file: str, key: str, sources: Mapping[str, str]) -> None:
    """Raise a :class:`ChipError` unless ``source`` begins with a key of ``sources``."""
    known = isinstance(source, str) and source.split(":")[0] in sources
    allowed = f"{', '.join(sources) or 'a key of [sources]'}, then ': place'"
    expect(known, file, key, shown(source), allowed, "add the citation to [sources]")


def check_trust(mark: Any, file: str, key: str) -> None:
    """Raise a :class:`ChipError` unless ``mark`` is one of :data:`TRUST`."""
    known = isinstance(mark, str) and mark in TRUST
    expect(known, file, key, shown(mark), ", ".join(TRUST), "say how far the figure can be trusted")


def check_text(text: Any, file: str, key: str) -> None:
    """Raise a :class:`ChipError` unless ``text`` is one that says something."""
    expect(isinstance(text, str) and bool(text.strip()), file, key, shown(text), "a text", "write one in quotes")
    whole = all(line.isprintable() for line in text.splitlines())
    expect(whole, file, key, shown(text), "text without control characters", "take them out")


def check_table(entry: Any, file: str, key: str) -> None:
    """Raise a :class:`ChipError` unless ``entry`` is a table."""
    expect(isinstance(entry, Mapping), file, key, shown(entry), "a table", f"write [{key}]")


def check_keys(
    table: Mapping[str, Any], file: str, place: str, needed: Collection[str], extra: Collection[str]
) -> None:
    """Raise a :class:`ChipError` unless ``table`` has all ``needed`` keys and no others than these and ``extra``."""
    allowed, prefix = [*needed, *extra], f"{place}." if place else ""
    for key in table:
        expect(key in allowed, file, prefix + key, "an unknown key", ", ".join(allowed), "remove or rename it")
    for key in needed:
        expect(key in table, file, prefix + key, "nothing", "a value", "add the key")


def check_present(
    given: Mapping[str, Any], absent: Mapping[str, Any], needed: Collection[str], file: str, prefix: str, missing: str
) -> None:
    """Raise a :class:`ChipError` unless each of ``needed`` is either ``given`` or said to be ``absent``, and why."""
    for key in [*given, *absent]:
        expect(key in needed, file, prefix + key, "an unknown key", ", ".join(needed), "remove or rename it")
    for key in needed:
        if (key in given) == (key in absent):
            found = "both a figure and a reason for its absence" if key in given else "nothing"
            others = [other for other in needed if other != key and other not in given and other not in absent]
            too = f"; {', '.join(others)} too" if others and key not in given else ""
            raise ChipError(
                f"{file}: {prefix}{key}: found {found}, allowed is a figure or a reason why there is none; "
                f"give the figure under {prefix}{key}, or say under {missing}{key} why there is none{too}"
            )
        if key in absent:
            check_text(absent[key], file, f"{missing}{key}")


def expect(condition: bool, file: str, key: str, found: str, allowed: str, remedy: str) -> None:
    """Raise a :class:`ChipError` that names file, key, what was found, what is allowed and a remedy."""
    if not condition:
        raise ChipError(f"{file}: {key}: found {found}, allowed is {allowed}; {remedy}")
