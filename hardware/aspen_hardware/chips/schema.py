"""What a chip file may say. A mistake in a file is a :class:`~aspen.errors.ChipError` naming file, key and remedy.

A chip file is TOML::

    format = 2
    name = "mychip"
    title = "My chip"
    typical = "doe2020"                                 # the scenario that counts as typical
    not_covered = ["what the energies leave out"]       # optional

    [sources]                                           # key -> full citation
    doe2020 = "J. Doe: A chip. Journal 1(2), 2020"

    [gating]                                            # what a knob can switch off, beside silencing it
    unit = "none"                                       # one of GATING
    source = "doe2020: p. 5"
    trust = "P"

    [step_time]                                         # a figure, as in all sections below: the tick of real time
    value = 1.0
    unit = "ms"
    source = "doe2020: Table 2"                         # a key of [sources], and the place in it
    trust = "P"

    [power]                                             # what draws power whatever the network does
    rule = "whole"                                      # one of POWER_RULES
    source = "doe2020: p. 4"
    trust = "P"
    [power.chip]
    ...

    [limits.cores]
    ...

    [scenarios.doe2020]                                 # one coherent set of figures
    title = "simulated before silicon"
    active = "input"                                    # one of ACTIVE: which neuron updates it calls active
    [scenarios.doe2020.energies.synaptic_operation]
    ...
    [scenarios.doe2020.speeds.synaptic_operation]       # optional: times of operations
    ...

A figure may have ``low`` and ``high`` where the values that a source gives, or a quantity such as power, spread (with
``low_source``, ``low_trust``, ``high_source``, ``high_trust`` for other publications) and a ``note``, which then says
why ``value`` is the one taken. Where publications disagree on energies, each is a scenario of its own.

``gating``, ``step_time``, ``power``, ``scenarios`` and each key of :data:`KEYS` is either given or explained under
``[missing]`` or ``[missing.<section>]`` (what of gating is not known is taken not to be possible); an energy that a
scenario lacks is explained under ``[scenarios.<name>.missing]``, and one that the figure of another event has in it,
under ``[scenarios.<name>.contained]``. Nothing is filled in silently. ``[formats.resets]`` lists the reset modes as its
``value``. ``[measured_step]`` is the length of a step as measured somewhere. A chip whose power rises with its clock
gives ``[power.per_megahertz]``, and its usual ``[clock]`` in MHz; one whose cores are crossbars, ``[crossbar]``; one
that works a network off neuron by neuron, ``[cycles]`` and the largest ``[shape]``; a microcontroller ``[program]``,
with parts as its scenarios (:mod:`aspen_hardware.chips.programs`). ``energy_only = "why"`` marks a chip that prices
counts but that networks are not compiled to; ``like = "cortex-m"`` takes limits, number formats and gating from a chip
that comes with ASPEN.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from aspen._base.checks import shown
from aspen_hardware.chips.figures import (
    check_choice,
    check_figure,
    check_keys,
    check_present,
    check_resets,
    check_table,
    check_text,
    expect,
)
from aspen_hardware.chips.gating import check_gating
from aspen_hardware.chips.programs import PROGRAM, check_program

FORMAT = 2

ENERGY = {"J": 1.0, "mJ": 1e-3, "uJ": 1e-6, "nJ": 1e-9, "pJ": 1e-12, "fJ": 1e-15}
POWER = {"W": 1.0, "mW": 1e-3, "uW": 1e-6, "nW": 1e-9, "pW": 1e-12}
TIME = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
POWER_PER_CLOCK = {"mW/MHz": 1e-3, "uW/MHz": 1e-6, "nW/MHz": 1e-9}
FACTORS = {**ENERGY, **POWER, **TIME, **POWER_PER_CLOCK}
"""Unit -> what one of it is in joules, watts or seconds, or watts per MHz. Other units count things."""

POWER_RULES = {
    "whole": "the whole chip is powered while any of it is",
    "core": "cores in use are powered, and the others draw what a core that is off draws",
    "gated": "the chip is powered while it works, and draws what it draws when off while it waits",
    "sleep": "the core sleeps whenever it has no work, its program's memory kept, and wakes for the next",
}
"""How a chip is powered; each with the figures of ``[power]`` that it needs in :data:`_RULE_NEEDS`."""
_RULE_NEEDS = {"whole": ["chip"], "core": ["core", "off"], "gated": ["chip", "off"], "sleep": []}
_POWER_KEYS: dict[str, Collection[str]] = {
    "chip": POWER,
    "core": POWER,
    "off": POWER,
    "io": POWER,
    "per_megahertz": POWER_PER_CLOCK,
}

ACTIVE = {
    "input": "a neuron whose net synaptic input in the step is not zero",
    "awake": "a neuron whose net synaptic input, membrane or bias in the step is not zero",
}
"""Which neuron updates a scenario prices as active."""

KEYS: dict[str, dict[str, Collection[str]]] = {
    "limits": {
        "cores": ["cores"],
        "neurons_per_core": ["neurons"],
        "populations_per_core": ["populations"],
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
}
"""Section -> key -> units allowed. All values are whole numbers."""
OPTIONAL: dict[str, dict[str, Collection[str]]] = {
    "limits": {"decay_configurations_per_core": ["configurations"], "membrane_floors_per_core": ["floors"]},
    "formats": {"spike_bits": ["bits"], "reset_compartments": ["compartments"]},
}
"""As :data:`KEYS`, but may be left out: the different decays and floors of membranes that a core
stores, the width of what a spike carries, and
the compartments of a neuron that fires and is not set to zero."""

ENERGY_KEYS = (
    "synaptic_operation",
    "neuron_update_active",
    "neuron_update_inactive",
    "spike",
    "spike_packet",
    "hop_east_west",
    "hop_north_south",
    "learning_update",
)
"""What every scenario must give an energy for, or say why not."""
ENERGY_EXTRA = ("synaptic_operation_sparse", "synaptic_operation_convolution", "multiply_accumulate", "leak_operation")
"""What it may give beside: synapses of other kinds than a dense matrix, which cost the same where it does not, a
synapse that weighs an analog input, and a neuron that a crossbar lets leak."""
SPEED_KEYS = (
    "synaptic_operation",
    "synaptic_operation_sparse",
    "synaptic_operation_convolution",
    "neuron_update_active",
    "neuron_update_inactive",
    "spike",
    "packet_out",
    "packet_in",
    "spike_within_tile",
    "hop_east_west",
    "hop_north_south",
    "barrier_one_tile",
    "barrier_32_tiles",
)

RESETS_KEY = "formats.resets"
"""The one entry that is no figure: its ``value`` is a list of reset modes. It cannot be missing."""

OPEN_SECTIONS: dict[str, Collection[str]] = {"measurements": [*POWER, *ENERGY, *TIME, "Hz", "x"]}
"""Sections whose keys are free: published measurements (``x``: relative to another chip)."""
CROSSBAR: dict[str, Collection[str]] = {
    "operations_per_spike": ["operations"],
    "operations_per_step": ["operations"],
    "cycles_per_operation": ["cycles"],
}
"""What ``[crossbar]`` must say of a chip whose cores are crossbars; see
:class:`aspen_hardware.energy.crossbar.Crossbar`."""
CYCLES: dict[str, Collection[str]] = {
    "input_channel": ["cycles"],
    "input_synapse": ["cycles"],
    "hidden_visit": ["cycles"],
    "hidden_synapse": ["cycles"],
    "output_source": ["cycles"],
    "output_synapse": ["cycles"],
    "hidden_neuron": ["cycles"],
    "spike_check": ["cycles"],
    "spike": ["cycles"],
    "alias_target": ["cycles"],
    "alias_source": ["cycles"],
    "output_neuron": ["cycles"],
}
"""What ``[cycles]`` must say of a chip that works a network off neuron by neuron; see
:mod:`aspen_hardware.energy.cycles`."""
SHAPE: dict[str, Collection[str]] = {
    "inputs": ["channels"],
    "hidden": ["neurons"],
    "outputs": ["channels"],
    "input_targets": ["neurons"],
    "synapses": ["synapses"],
    "output_sources": ["neurons"],
}
"""What ``[shape]`` may say: the largest network of such a chip; see :class:`aspen_hardware.energy.cycles.Shape`."""

PART: dict[str, Collection[str]] = {
    "sleep": POWER,
    "section": ["bytes"],
    "kept": POWER,
    "clock": ["MHz"],
    "wake_up": TIME,
    "ram": ["bytes"],
    "flash": ["bytes"],
}
"""What ``[scenarios.NAME.part]`` says of a microcontroller: power asleep with its memory kept (where RAM is kept in
sections, with none of it: each ``section`` that is kept takes ``kept`` more), the clock at which the energy of a cycle
holds, the time to wake up, its memories."""

_TOP_NEEDED = ("format", "name", "title", "sources", *KEYS)
_SINGLE: dict[str, Collection[str]] = {"step_time": TIME, "measured_step": TIME, "clock": ["MHz"]}
_TABLES = ("gating", "power", "scenarios", "crossbar", "cycles", "shape", "program", "missing", *OPEN_SECTIONS)
_TOP_EXTRA = ("not_covered", "energy_only", "like", "typical", *_SINGLE, *_TABLES)
_EXPLAINED = ("gating", "step_time", "power", "scenarios")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_SCENARIO = re.compile(r"[a-z0-9][a-z0-9_-]*")


def check_chip_table(table: Mapping[str, Any], file: str) -> None:
    """Raise unless ``table``, read from ``file``, is a complete and consistent chip description.

    Raises:
        ChipError: the first mistake, with file, key, what was found, what is allowed and how to mend it.
    """
    ours = type(table.get("format")) is int and table["format"] == FORMAT
    told = "describe [power] and [scenarios] as aspen_hardware.chips.schema says, or use a matching ASPEN release"
    expect("format" in table, file, "format", "nothing", "a value", "add the key")
    expect(ours, file, "format", shown(table["format"]), str(FORMAT), told)
    for key in ("sources", *KEYS):
        expect(key in table, file, key, "nothing", "a table", f"write [{key}]")
    check_keys(table, file, "", _TOP_NEEDED, _TOP_EXTRA)
    _check_name(table["name"], file, "name")
    check_text(table["title"], file, "title")
    for key in ("sources", *KEYS, *_TABLES):
        check_table(table.get(key, {}), file, key)
    for key, citation in table["sources"].items():
        check_text(citation, file, f"sources.{key}")
    lines = table.get("not_covered", [])
    expect(isinstance(lines, list), file, "not_covered", shown(lines), "a list of texts", 'write ["...", "..."]')
    for line in lines:
        check_text(line, file, "not_covered")
    if "energy_only" in table:
        check_text(table["energy_only"], file, "energy_only")
    _check_sections(table, file)
    check_gating(table, file)
    if "power" in table:
        _check_power(table, file)
    _check_scenarios(table, file)
    check_program(table, file)
    if "crossbar" in table:
        check_keys(table["crossbar"], file, "crossbar", list(CROSSBAR), ())
    if "cycles" in table:
        check_keys(table["cycles"], file, "cycles", list(CYCLES), ())
        expect("clock" in table, file, "clock", "nothing beside cycles", "a figure in MHz", "add the usual clock")
    check_keys(table.get("shape", {}), file, "shape", (), list(SHAPE))
    for key, figure, units in iter_figures(table):
        check_figure(figure, file, key, units, table["sources"])
        if key in (*_SINGLE, "crossbar.cycles_per_operation"):
            least = figure.get("low", figure["value"])
            expect(least > 0, file, key, f"{least:g}", "more than 0", "correct the figure")
    _check_orders(table, file)
    check_resets(table["formats"].get("resets", {}), file, RESETS_KEY, table["sources"])


def _check_sections(table: Mapping[str, Any], file: str) -> None:
    missing = table.get("missing", {})
    check_keys(missing, file, "missing", (), (*_EXPLAINED, *KEYS))
    given = {key: table[key] for key in _EXPLAINED if key in table}
    absent = {key: missing[key] for key in _EXPLAINED if key in missing}
    check_present(given, absent, _EXPLAINED, file, "", "missing.")
    for section, allowed in KEYS.items():
        check_table(missing.get(section, {}), file, f"missing.{section}")
        others = (*OPTIONAL.get(section, ()), *(["resets"] if section == "formats" else []))
        given = {key: figure for key, figure in table[section].items() if key not in others}
        absent = {key: reason for key, reason in missing.get(section, {}).items() if key not in others}
        check_present(given, absent, list(allowed), file, f"{section}.", f"missing.{section}.")
        for key in set(missing.get(section, {})) & set(others):
            check_text(missing[section][key], file, f"missing.{section}.{key}")


def _check_power(table: Mapping[str, Any], file: str) -> None:
    power = table["power"]
    check_choice(power, file, "power", "rule", POWER_RULES, table["sources"])
    check_keys(power, file, "power", ("rule", "source", "trust"), ("note", *_POWER_KEYS))
    rule = power["rule"]
    for key in _RULE_NEEDS[rule]:
        expect(key in power, file, f"power.{key}", "nothing", f"a figure, as the rule is {rule}", "add it")
    for key in ("chip", "core", "off"):
        wanted = key not in power or key in _RULE_NEEDS[rule]
        expect(wanted, file, f"power.{key}", "a figure", f"none where the rule is {rule}", "remove it")
    counted = rule != "core" or "cores" in table["limits"]
    expect(counted, file, "limits.cores", "nothing beside the rule core", "a figure", "say how many cores there are")
    clocked = "per_megahertz" not in power or "clock" in table
    expect(clocked, file, "clock", "nothing beside power.per_megahertz", "a figure in MHz", "add the usual clock")


def _check_orders(table: Mapping[str, Any], file: str) -> None:
    """What is off draws no more than what is on, and an inactive update costs no more than an active one."""
    power = table.get("power", {})
    _check_order(power, "off", "core" if "core" in power else "chip", file, "power", "W")
    for name, scenario in table.get("scenarios", {}).items():
        pair = "neuron_update_inactive", "neuron_update_active"
        _check_order(scenario["energies"], *pair, file, f"scenarios.{name}.energies", "J")


def _check_order(figures: Mapping[str, Any], less: str, more: str, file: str, place: str, unit: str) -> None:
    """Where both figures are there, one is no more than the other, at the low and high ends too."""
    for bound in ("low", "value", "high") if less in figures and more in figures else ():
        pair = figures[less], figures[more]
        found, most = (figure.get(bound, figure["value"]) * FACTORS[figure["unit"]] for figure in pair)
        allowed = f"at most {place}.{more}, {most:g} {unit}"
        expect(found <= most, file, f"{place}.{less}", f"{found:g} {unit} ({bound})", allowed, "correct one of them")


def _check_scenarios(table: Mapping[str, Any], file: str) -> None:
    scenarios = table.get("scenarios", {})
    named = not scenarios or ("typical" in table and table["typical"] in list(scenarios))
    found = shown(table["typical"]) if "typical" in table else "nothing"
    expect(named, file, "typical", found, ", ".join(scenarios), "name the scenario that counts as typical")
    expect(bool(scenarios) or "typical" not in table, file, "typical", found, "nothing without scenarios", "remove it")
    expect("scenarios" not in table or bool(scenarios), file, "scenarios", "none", "at least one", "add one")
    for name, scenario in scenarios.items():
        place = f"scenarios.{name}"
        named = _SCENARIO.fullmatch(name) is not None  # a dot would make it a part of another one's keys
        expect(named, file, place, shown(name), "lower-case letters, digits, '_' and '-'", "rename it")
        check_table(scenario, file, place)
        check_keys(scenario, file, place, ("title", "active", "energies"), ("speeds", "missing", "contained", "part"))
        check_text(scenario["title"], file, f"{place}.title")
        active = scenario["active"]
        known = isinstance(active, str) and active in ACTIVE
        expect(known, file, f"{place}.active", shown(active), ", ".join(ACTIVE), "say which updates are active")
        for part in ("energies", "speeds", "missing", "contained"):
            check_table(scenario.get(part, {}), file, f"{place}.{part}")
        if "program" not in table:  # a part has one energy, of a clock cycle
            _check_energies(scenario, file, place)
        check_keys(scenario.get("speeds", {}), file, f"{place}.speeds", (), SPEED_KEYS)


def _check_energies(scenario: Mapping[str, Any], file: str, place: str) -> None:
    """Every kind of event has a figure, is contained in another one's, or it is said why it has none."""
    missing, contained = scenario.get("missing", {}), scenario.get("contained", {})
    for key, where in contained.items():
        found = "a reason for its absence too" if key in missing else "a figure of its own too"
        alone = key not in missing and key not in scenario["energies"]
        expect(alone, file, f"{place}.contained.{key}", found, "one of them", "remove what is not so")
        check_text(where, file, f"{place}.contained.{key}")
    for key in scenario["energies"]:
        base = "synaptic_operation" if key.startswith("synaptic_operation_") else key
        has = base in scenario["energies"]
        expect(has, file, f"{place}.energies.{base}", f"nothing beside {key}", "a figure", "add that of a dense matrix")
    given = {key: figure for key, figure in scenario["energies"].items() if key not in ENERGY_EXTRA}
    absent = {key: why for key, why in {**missing, **contained}.items() if key not in ENERGY_EXTRA}
    check_present(given, absent, ENERGY_KEYS, file, f"{place}.energies.", f"{place}.missing.")
    for key in set(missing) & set(ENERGY_EXTRA):
        check_text(missing[key], file, f"{place}.missing.{key}")


def is_chip_name(name: Any) -> bool:
    """Whether a chip may be called so: a name that is no path and no markup, wherever it is written."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def _check_name(name: Any, file: str, key: str) -> None:
    expect(is_chip_name(name), file, key, shown(name), "lower-case letters, digits, '.', '_' and '-'", "rename it")


def iter_figures(table: Mapping[str, Any]) -> Iterator[tuple[str, Any, Collection[str]]]:
    """Every figure of the file: dotted key, table, units allowed."""
    for key, units in _SINGLE.items():
        if key in table:
            yield key, table[key], units
    for key, units in _POWER_KEYS.items():
        if key in table.get("power", {}):
            yield f"power.{key}", table["power"][key], units
    for section, keys in KEYS.items():
        allowed = {**keys, **OPTIONAL.get(section, {})}
        yield from ((f"{section}.{key}", table[section][key], u) for key, u in allowed.items() if key in table[section])
    for name, scenario in table.get("scenarios", {}).items():
        for part, units in (("energies", ENERGY), ("speeds", TIME)):
            entries = scenario.get(part, {})
            yield from ((f"scenarios.{name}.{part}.{key}", figure, units) for key, figure in entries.items())
        for key, figure in scenario.get("part", {}).items():
            yield f"scenarios.{name}.part.{key}", figure, PART[key]
    for section, keys in (("crossbar", CROSSBAR), ("cycles", CYCLES), ("shape", SHAPE), ("program", PROGRAM)):
        for key, units in keys.items():
            if key in table.get(section, {}):
                yield f"{section}.{key}", table[section][key], units
    for section, units in OPEN_SECTIONS.items():
        yield from ((f"{section}.{key}", figure, units) for key, figure in table.get(section, {}).items())
