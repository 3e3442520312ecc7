"""What a chip file says of microcontrollers, which run the C program of :func:`aspen_hardware.to_c`.

``[program]`` has the clock cycles that the program takes for what it does (:data:`PROGRAM`), the same on all parts with
that core. Each scenario is a part: ``[scenarios.NAME.energies.clock_cycle]`` is the energy of a cycle while the core
runs, ``[scenarios.NAME.part]`` what else is known of it (:data:`PART_NEEDED`, :data:`PART_MAY_LACK`). Such a chip's
rule of power is ``sleep``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from aspen.errors import ChipError
from aspen_hardware.chips.figures import check_keys, check_present, check_table, check_text, expect

PROGRAM: dict[str, Collection[str]] = {
    "step": ["cycles"],
    "input": ["cycles"],
    "input_spike": ["cycles"],
    "analog_input": ["cycles"],
    "input_value": ["cycles"],
    "population": ["cycles"],
    "turn": ["cycles"],
    "neuron": ["cycles"],
    "own": ["cycles"],
    "active_neuron": ["cycles"],
    "current": ["cycles"],
    "owed": ["cycles"],
    "cleared": ["cycles"],
    "wrapped": ["cycles"],
    "clipped": ["cycles"],
    "output": ["cycles"],
    "spike": ["cycles"],
    "past": ["cycles"],
    "analog_source": ["cycles"],
    "packed_sums": ["cycles"],
    "packed_row": ["cycles"],
    "packed_word": ["cycles"],
    "row": ["cycles"],
    "loose_weight": ["cycles"],
    "sparse_weight": ["cycles"],
    "paired_weight": ["cycles"],
    "convolution_place": ["cycles"],
    "convolution_weight": ["cycles"],
    "value_weight": ["cycles"],
    "spread": ["x"],
}
"""What ``[program]`` must say; see :mod:`aspen_hardware.energy.program`."""
CYCLE = "clock_cycle"
"""The one energy of a part."""
_POWERED_BY_PART = "sleep"
PART_NEEDED = ("sleep", "clock")
PART_MAY_LACK = ("wake_up", "ram", "flash")
"""Either given, or explained in the scenario's ``missing``."""
PART_IN_SECTIONS = ("section", "kept")
"""Of a part whose RAM is kept or switched off section by section; both or none."""


def completed(table: Mapping[str, Any], file: str, known: Callable[[str], Mapping[str, Any] | None]) -> dict[str, Any]:
    """A chip file with the limits and number formats of the chip that it is ``like``, where it is like one, and what
    can be gated and the cycles of its program, where it says neither itself.

    Args:
        table: as read.
        file: its name, for messages.
        known: name -> the file of a chip that comes with ASPEN; None where there is none of that name.

    Raises:
        ChipError: there is no such chip, or the file has limits or formats of its own too.
    """
    if "like" not in table:
        return dict(table)
    check_text(table["like"], file, "like")
    base = known(table["like"])
    if base is None:
        raise ChipError(f"{file}: like: found {table['like']!r}, allowed is the name of a chip that comes with ASPEN")
    for key in ("limits", "formats"):
        expect(key not in table, file, key, f"a table beside like = {table['like']!r}", "one of both", "remove one")
    check_table(table.get("sources", {}), file, "sources")
    check_table(table.get("missing", {}), file, "missing")
    base = completed(base, f"{table['like']}.toml", known)
    missing = table.get("missing", {})
    taken = ["limits", "formats"] if "gating" in table or "gating" in missing else ["limits", "formats", "gating"]
    absent = {key: base.get("missing", {})[key] for key in taken if key in base.get("missing", {})}
    own = {key: base[key] for key in ("program", *taken[2:]) if key in base}
    return {
        **own,
        **table,
        "limits": base["limits"],
        "formats": base["formats"],
        "missing": {**missing, **absent},
        "sources": {**base["sources"], **table.get("sources", {})},
    }


def check_program(table: Mapping[str, Any], file: str) -> None:
    """Raise unless a file with ``[program]`` has all its figures, and parts as scenarios; one without has no parts.

    Raises:
        ChipError: with file, key, what was found, what is allowed and how to mend it.
    """
    runs = "program" in table
    if runs:
        check_keys(table["program"], file, "program", list(PROGRAM), ())
    asleep = table.get("power", {}).get("rule") == _POWERED_BY_PART
    found, needed = "another" if runs else _POWERED_BY_PART, _POWERED_BY_PART if runs else "another without [program]"
    expect(asleep == runs, file, "power.rule", found, needed, "correct it")
    for name, scenario in table.get("scenarios", {}).items():
        place = f"scenarios.{name}"
        if not runs:
            expect("part" not in scenario, file, f"{place}.part", "a table", "none without [program]", "remove it")
            continue
        check_keys(scenario["energies"], file, f"{place}.energies", (CYCLE,), ())
        _check_part(scenario, file, place)


def _check_part(scenario: Mapping[str, Any], file: str, place: str) -> None:
    part, missing = scenario.get("part", {}), scenario.get("missing", {})
    check_table(part, file, f"{place}.part")
    check_keys(part, file, f"{place}.part", PART_NEEDED, (*PART_MAY_LACK, *PART_IN_SECTIONS))
    _check_sections(part, file, place)
    given = {key: figure for key, figure in part.items() if key in PART_MAY_LACK}
    check_present(given, missing, PART_MAY_LACK, file, f"{place}.part.", f"{place}.missing.")
    expect("contained" not in scenario, file, f"{place}.contained", "a table", "none of a part", "remove it")


def _check_sections(part: Mapping[str, Any], file: str, place: str) -> None:
    """Its RAM is known where it is kept by section, and each section has some."""
    if not any(key in part for key in PART_IN_SECTIONS):
        return
    for key in (*PART_IN_SECTIONS, "ram"):
        expect(key in part, file, f"{place}.part.{key}", "nothing", "a figure, as RAM is kept by section", "add it")
    size = part["section"].get("value") if isinstance(part["section"], Mapping) else part["section"]
    expect(size != 0, file, f"{place}.part.section", "0", "bytes above 0", "correct it")
