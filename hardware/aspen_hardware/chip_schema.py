"""What a chip file may say. A mistake in a file is a :class:`~aspen.errors.ChipError` naming file, key and remedy.

A chip file is TOML::

    format = 1
    name = "mychip"
    title = "My chip"
    not_covered = ["what the energies leave out"]       # optional

    [sources]                                           # key -> full citation
    doe2020 = "J. Doe: A chip. Journal 1(2), 2020"

    [step_time]                                         # a figure, as in all sections below
    value = 1.0
    unit = "ms"
    source = "doe2020: Table 2"                         # a key of [sources], and the place in it
    trust = "P"

    [limits.cores]
    ...

A chip whose power rises with its clock gives ``[statics.per_megahertz]`` beside ``[statics.chip]``, and its usual
``[clock]`` in MHz. ``energy_only = "why"`` marks a chip that prices counts but that networks are not compiled to.
``[energies.multiply_accumulate]`` is that of a synapse that weighs an analog input.

A figure may also have ``low`` and ``high`` where published values disagree (with ``low_source``, ``low_trust``,
``high_source``, ``high_trust`` for the other publications) and a ``note``, which then says why ``value`` is the one
taken. ``step_time`` and each key of :data:`KEYS` is either given, or explained under ``[missing]`` or
``[missing.<section>]``; nothing is filled in silently. ``[formats.resets]`` lists the reset modes as its ``value``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from aspen._checks import as_number, shown
from aspen.errors import ChipError
from aspen.neurons import RESETS

FORMAT = 1

ENERGY = {"J": 1.0, "mJ": 1e-3, "uJ": 1e-6, "nJ": 1e-9, "pJ": 1e-12, "fJ": 1e-15}
POWER = {"W": 1.0, "mW": 1e-3, "uW": 1e-6, "nW": 1e-9, "pW": 1e-12}
TIME = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
POWER_PER_CLOCK = {"mW/MHz": 1e-3, "uW/MHz": 1e-6, "nW/MHz": 1e-9}
FACTORS = {**ENERGY, **POWER, **TIME, **POWER_PER_CLOCK}
"""Unit -> what one of it is in joules, watts or seconds, or watts per MHz. Other units count things."""

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

KEYS: dict[str, dict[str, Collection[str]]] = {
    "limits": {
        "cores": ["cores"],
        "neurons_per_core": ["neurons"],
        "synaptic_memory_bits_per_core": ["bits"],
        "input_axons_per_core": ["axons"],
        "output_axons_per_core": ["axons"],
        "threshold_configurations_per_core": ["configurations"],
        "max_delay": ["steps"],
    },
    "formats": {
        "weight_bits": ["bits"],
        "synapse_overhead_bits": ["bits"],
        "threshold_bits": ["bits"],
        "state_bits": ["bits"],
        "decay_bits": ["bits"],
        "bias_mantissa_bits": ["bits"],
        "bias_exponent_bits": ["bits"],
    },
    "energies": {
        "synaptic_operation": ENERGY,
        "neuron_update_active": ENERGY,
        "neuron_update_inactive": ENERGY,
        "spike": ENERGY,
        "spike_packet": ENERGY,
        "hop_east_west": ENERGY,
        "hop_north_south": ENERGY,
        "learning_update": ENERGY,
    },
    "statics": {"core": POWER, "chip": POWER},
}
"""Section -> key -> units allowed. In ``limits`` and ``formats`` all values are whole numbers."""

OPTIONAL: dict[str, dict[str, Collection[str]]] = {
    "energies": {"multiply_accumulate": ENERGY},
    "statics": {"per_megahertz": POWER_PER_CLOCK},
    "formats": {"spike_bits": ["bits"]},
}
"""As :data:`KEYS`, but may be left out: a synapse weighing an analog input, power that rises with the clock, and the
width of what a spike carries."""

RESETS_KEY = "formats.resets"
"""The one entry that is no figure: its ``value`` is a list of reset modes. It cannot be missing."""

OPEN_SECTIONS: dict[str, Collection[str]] = {"speeds": [*TIME, "x"], "measurements": [*POWER, *ENERGY]}
"""Sections whose keys are free: times of operations (``x``: relative to another chip), and published measurements."""

_FIGURE_NEEDED = ("value", "unit", "source", "trust")
_FIGURE_EXTRA = ("low", "high", "low_source", "high_source", "low_trust", "high_trust", "note")
_TOP_NEEDED = ("format", "name", "title", "sources", *KEYS)
_TOP_EXTRA = ("not_covered", "energy_only", "step_time", "clock", "missing", *OPEN_SECTIONS)
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


def check_chip_table(table: Mapping[str, Any], file: str) -> None:
    """Raise unless ``table``, read from ``file``, is a complete and consistent chip description.

    Raises:
        ChipError: the first mistake, with file, key, what was found, what is allowed and how to mend it.
    """
    _check_keys(table, file, "", _TOP_NEEDED, _TOP_EXTRA)
    ours = type(table["format"]) is int and table["format"] == FORMAT
    _expect(ours, file, "format", shown(table["format"]), str(FORMAT), "use a matching ASPEN release")
    name = table["name"]
    named = isinstance(name, str) and _NAME.fullmatch(name) is not None
    _expect(named, file, "name", shown(name), "lower-case letters, digits, '.', '_' and '-'", "rename the chip")
    _check_text(table["title"], file, "title")
    for key in ("sources", "missing", *KEYS, *OPEN_SECTIONS):
        _check_table(table.get(key, {}), file, key)
    for key, citation in table["sources"].items():
        _check_text(citation, file, f"sources.{key}")
    lines = table.get("not_covered", [])
    _expect(isinstance(lines, list), file, "not_covered", shown(lines), "a list of texts", 'write ["...", "..."]')
    for line in lines:
        _check_text(line, file, "not_covered")
    if "energy_only" in table:
        _check_text(table["energy_only"], file, "energy_only")
    clocked = "per_megahertz" not in table["statics"] or "clock" in table
    _expect(clocked, file, "clock", "nothing beside statics.per_megahertz", "a figure in MHz", "add the usual clock")
    _check_sections(table, file)


def _check_sections(table: Mapping[str, Any], file: str) -> None:
    missing = table.get("missing", {})
    _check_keys(missing, file, "missing", (), ("step_time", *KEYS))
    given = {"step_time": table["step_time"]} if "step_time" in table else {}
    absent = {"step_time": missing["step_time"]} if "step_time" in missing else {}
    _check_present(given, absent, ["step_time"], file, "")
    for section, allowed in KEYS.items():
        _check_table(missing.get(section, {}), file, f"missing.{section}")
        others = (*OPTIONAL.get(section, ()), *(["resets"] if section == "formats" else []))
        given = {key: figure for key, figure in table[section].items() if key not in others}
        absent = {key: reason for key, reason in missing.get(section, {}).items() if key not in others}
        _check_present(given, absent, list(allowed), file, f"{section}.")
        for key in set(missing.get(section, {})) & set(others):
            _check_text(missing[section][key], file, f"missing.{section}.{key}")
    for key, figure, units in iter_figures(table):
        _check_figure(figure, file, key, units, table["sources"])
    _check_resets(table["formats"].get("resets", {}), file, table["sources"])


def iter_figures(table: Mapping[str, Any]) -> Iterator[tuple[str, Any, Collection[str]]]:
    """Every figure of the file: dotted key, table, units allowed."""
    if "step_time" in table:
        yield "step_time", table["step_time"], TIME
    if "clock" in table:
        yield "clock", table["clock"], ["MHz"]
    for section, keys in KEYS.items():
        allowed = {**keys, **OPTIONAL.get(section, {})}
        yield from ((f"{section}.{key}", table[section][key], u) for key, u in allowed.items() if key in table[section])
    for section, units in OPEN_SECTIONS.items():
        yield from ((f"{section}.{key}", figure, units) for key, figure in table.get(section, {}).items())


def _check_present(
    given: Mapping[str, Any], absent: Mapping[str, Any], needed: list[str], file: str, prefix: str
) -> None:
    for key in [*given, *absent]:
        _expect(key in needed, file, prefix + key, "an unknown key", ", ".join(needed), "remove or rename it")
    for key in needed:
        place = prefix + key
        if (key in given) == (key in absent):
            found = "both a figure and a reason for its absence" if key in given else "nothing"
            raise ChipError(
                f"{file}: {place}: found {found}, allowed is either of the two; "
                f"give the figure under {place}, or say under missing.{place} why there is none"
            )
        if key in absent:
            _check_text(absent[key], file, f"missing.{place}")


def _check_figure(figure: Any, file: str, key: str, units: Collection[str], sources: Mapping[str, str]) -> None:
    _check_table(figure, file, key)
    _check_keys(figure, file, key, _FIGURE_NEEDED, _FIGURE_EXTRA)
    whole = key.startswith(("limits.", "formats."))
    for field in ("value", "low", "high"):
        if field in figure:
            _check_number(figure[field], file, f"{key}.{field}", whole)
    unit = figure["unit"]
    _expect(unit in list(units), file, f"{key}.unit", shown(unit), ", ".join(units), "convert the figure")
    low, value, high = figure.get("low", figure["value"]), figure["value"], figure.get("high", figure["value"])
    _expect(low <= high, file, key, f"low {low:g} above high {high:g}", "low <= high", "swap them")
    between = low <= value <= high
    _expect(between, file, f"{key}.value", f"{value:g}", f"{low:g} to {high:g}", "widen low and high")
    _check_bounds(figure, file, key)
    for field in ("source", "low_source", "high_source"):
        if field in figure:
            _check_source(figure[field], file, f"{key}.{field}", sources)
    for field in ("trust", "low_trust", "high_trust"):
        if field in figure:
            _check_trust(figure[field], file, f"{key}.{field}")
    if "note" in figure:
        _check_text(figure["note"], file, f"{key}.note")


def _check_bounds(figure: Mapping[str, Any], file: str, key: str) -> None:
    for bound in ("low", "high"):
        if bound in figure and figure[bound] != figure["value"]:
            given = f"{bound}_source" in figure
            _expect(given, file, f"{key}.{bound}_source", "nothing", "a source", f"say who published {figure[bound]:g}")
            _expect("note" in figure, file, f"{key}.note", "nothing", "a text", "say why `value` is the one taken")


def _check_resets(entry: Any, file: str, sources: Mapping[str, str]) -> None:
    key = RESETS_KEY
    _check_table(entry, file, key)
    _check_keys(entry, file, key, ("value", "source", "trust"), ("note",))
    names = entry["value"]
    known = isinstance(names, list) and bool(names) and all(name in RESETS for name in names)
    _expect(known, file, f"{key}.value", shown(names), f"a list from {', '.join(RESETS)}", "correct the names")
    _check_source(entry["source"], file, f"{key}.source", sources)
    _check_trust(entry["trust"], file, f"{key}.trust")
    if "note" in entry:
        _check_text(entry["note"], file, f"{key}.note")


def _check_source(source: Any, file: str, key: str, sources: Mapping[str, str]) -> None:
    known = isinstance(source, str) and source.split(":")[0] in sources
    allowed = f"{', '.join(sources) or 'a key of [sources]'}, then ': place'"
    _expect(known, file, key, shown(source), allowed, "add the citation to [sources]")


def _check_trust(mark: Any, file: str, key: str) -> None:
    known = isinstance(mark, str) and mark in TRUST
    _expect(known, file, key, shown(mark), ", ".join(TRUST), "say how far the figure can be trusted")


def _check_number(value: Any, file: str, key: str, whole: bool) -> None:
    most = WIDEST if key.startswith("formats.") else LARGEST
    as_number(f"{file}: {key}", value, 0, most, error=ChipError, remedy="correct the figure")
    if whole:
        _expect(value == int(value), file, key, shown(value), "a whole number", "round it down")


def _check_text(text: Any, file: str, key: str) -> None:
    _expect(isinstance(text, str) and bool(text.strip()), file, key, shown(text), "a text", "write one in quotes")


def _check_table(entry: Any, file: str, key: str) -> None:
    _expect(isinstance(entry, Mapping), file, key, shown(entry), "a table", f"write [{key}]")


def _check_keys(
    table: Mapping[str, Any], file: str, place: str, needed: Collection[str], extra: Collection[str]
) -> None:
    allowed, prefix = [*needed, *extra], f"{place}." if place else ""
    for key in table:
        _expect(key in allowed, file, prefix + key, "an unknown key", ", ".join(allowed), "remove or rename it")
    for key in needed:
        _expect(key in table, file, prefix + key, "nothing", "a value", "add the key")


def _expect(condition: bool, file: str, key: str, found: str, allowed: str, remedy: str) -> None:
    if not condition:
        raise ChipError(f"{file}: {key}: found {found}, allowed is {allowed}; {remedy}")
