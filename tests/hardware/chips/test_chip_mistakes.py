"""Every mistake in a chip file is refused by name."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from aspen.errors import ChipError
from aspen_hardware.chips.description import chip
from tests.hardware.chips.small_chip import SMALL, small

MISTAKES = [
    ("format = 2", "format = 1", r"format: found 1, allowed is 2; describe \[power\] and \[scenarios\] as"),
    ("format = 2", "", r"format: found nothing, .*add the key"),
    ("format = 2", "format = 2\ncolour = 3", r"colour: found an unknown key, allowed is format, "),
    ('name = "small"', 'name = "Small chip"', r"name: found 'Small chip', allowed is lower-case"),
    ('title = "A small chip"', 'title = " "', r"title: found ' ', allowed is a text"),
    ('["everything else"]', '"everything"', r"not_covered: found 'everything', allowed is a list"),
    ('["everything else"]', "[1]", r"not_covered: found 1, allowed is a text"),
    ('roe = "R. Roe: That small chip again. 2021"', "roe = 1", r"sources\.roe: found 1, allowed is a text"),
    (
        '[gating]\nunit = "none"\n',
        "[gating]\n",
        r"gating\.unit: found nothing, allowed is none, core, neuron; say which",
    ),
    ('unit = "none"', 'unit = "chip"', r"gating\.unit: found 'chip', allowed is none, core, neuron; correct it"),
    ('unit = "none"', 'unit = "none"\nvalue = 3', r"gating\.value: found an unknown key, allowed is unit, source"),
    ('source = "doe: p. 5"\n', "", r"gating\.source: found nothing"),
    (
        '[gating]\nunit = "none"\nsource = "doe: p. 5"\ntrust = "P"\n',
        "",
        r"gating: found nothing, .* or say under missing\.gating why there is none",
    ),
    ('rule = "whole"\n', "", r"power\.rule: found nothing, allowed is whole, core, gated, sleep; say which"),
    ('rule = "whole"', 'rule = "half"', r"power\.rule: found 'half', allowed is whole, core, gated"),
    (
        'rule = "whole"',
        'rule = "core"',
        r"power\.core: found nothing, allowed is a figure, as the rule is core; add it",
    ),
    ('rule = "whole"', 'rule = "gated"', r"power\.off: found nothing, allowed is a figure, as the rule is gated"),
    ("[power.chip]", "[power.off]", r"power\.chip: found nothing, allowed is a figure, as the rule is whole"),
    (
        "[power.chip]",
        "[power.chips]",
        r"power\.chips: found an unknown key, allowed is rule, source, trust, note, chip",
    ),
    ("[power]", "[power]\nnote = 3", r"power\.note: found 3, allowed is a text"),
    ('source = "doe: p. 3"\ntrust', 'source = "poe"\ntrust', r"power\.source: found 'poe', allowed is doe, roe"),
    ('unit = "mW"', 'unit = "pJ"', r"power\.chip\.unit: found 'pJ', allowed is W, mW"),
    ('typical = "middle"\n', "", r"typical: found nothing, allowed is middle; name the scenario"),
    ('typical = "middle"', 'typical = "left"', r"typical: found 'left', allowed is middle; name the scenario"),
    ("[scenarios.middle.speeds.spike]", "[scenarios.middle.speeds.spike_]", r"speeds\.spike_: found an unknown key"),
    ('active = "input"\n', "", r"scenarios\.middle\.active: found nothing"),
    (
        'active = "input"',
        'active = "sometimes"',
        r"scenarios\.middle\.active: found 'sometimes', allowed is input, awake",
    ),
    ('title = "as measured by Doe"', "title = 3", r"scenarios\.middle\.title: found 3, allowed is a text"),
    (
        'spike = "unknown"\n',
        "",
        r"middle\.energies\.spike: found nothing, .*say under scenarios\.middle\.missing\.spike",
    ),
    ('spike = "unknown"\n', "spike = 1\n", r"scenarios\.middle\.missing\.spike: found 1, allowed is a text"),
    (
        "[scenarios.middle.missing]",
        '[scenarios.middle.contained]\nspike = "in the update"\n[scenarios.middle.missing]',
        r"middle\.contained\.spike: found a reason for its absence too, allowed is one of them; remove what is not so",
    ),
    (
        "[scenarios.middle.missing]",
        '[scenarios.middle.contained]\nsynaptic_operation = "in the update"\n[scenarios.middle.missing]',
        r"middle\.contained\.synaptic_operation: found a figure of its own too, allowed is one of them",
    ),
    (
        'spike = "unknown"\n',
        "[scenarios.middle.contained]\nspike = 3\n[scenarios.left]\n",
        r"scenarios\.middle\.contained\.spike: found 3, allowed is a text",
    ),
    ("[limits.cores]", "[limits.kores]", r"limits\.kores: found an unknown key, allowed is cores, "),
    ('max_delay = "unknown"', "", r"limits\.max_delay: found nothing, .*missing\.limits\.max_delay why"),
    ('max_delay = "unknown"', 'max_delay = ""', r"missing\.limits\.max_delay: found '', allowed is a text"),
    ('max_delay = "unknown"', 'cores = "x"\nmax_delay = "x"', r"limits\.cores: found both a figure and a reason"),
    ("[missing.limits]", "[missing.dynamics]", r"missing\.dynamics: found an unknown key"),
    ("[step_time]\n", "[missing]\nstep_time = 'x'\n[step_time]\n", r"step_time: found both"),
    ('unit = "cores"\n', "", r"limits\.cores\.unit: found nothing"),
    ('unit = "cores"', 'unit = "bits"', r"limits\.cores\.unit: found 'bits', allowed is cores; convert"),
    ('unit = "pJ"', 'unit = "pW"', r"energies\.synaptic_operation\.unit: found 'pW', allowed is J, mJ, "),
    ('unit = "ms"', 'unit = "mJ"', r"step_time\.unit: found 'mJ', allowed is s, ms, us, ns"),
    ("value = 4", "value = -4", r"limits\.cores\.value: found -4, allowed is a number from 0"),
    ("value = 4", f"value = {10**400}", r"limits\.cores\.value: found 1000.*\.\.\., allowed is a number"),
    ("value = 4", f"value = {'9' * 5000}", r"found no valid TOML"),
    (
        "[scenarios.middle.energies.synaptic_operation]",
        '[formats.spike_bits]\nvalue = 1e12\nunit = "bits"\nsource = "doe"\ntrust = "P"\n'
        "[scenarios.middle.energies.synaptic_operation]",
        r"formats\.spike_bits\.value: found 1000000000000\.0, allowed is a number from 0 to 64",
    ),
    ("value = 4", "value = 1979-05-27", r"limits\.cores\.value: found datetime\.date"),
    ("value = 4", f"value = {'[' * 5000}", r"found no valid TOML"),
    ('note = "in the middle"', "note = 1979-05-27", r"synaptic_operation\.note: found datetime\.date\(1979, 5, 27\)"),
    ('value = ["zero"]', 'value = ["zero"]\nnote = 1979-05-27', r"formats\.resets\.note: found datetime\.date"),
    (
        "[missing.formats]",
        "[missing.formats]\nspike_bits = 07:32:00",
        r"missing\.formats\.spike_bits: found datetime",
    ),
    ("value = 4", "value = 4.5", r"limits\.cores\.value: found 4\.5, allowed is a whole number"),
    ("value = 4", "value = true", r"limits\.cores\.value: found True, allowed is a number"),
    ("value = 4", 'value = "4"', r"limits\.cores\.value: found '4', allowed is a number"),
    ("value = 2.0", "value = nan", r"synaptic_operation\.value: found nan, allowed is a number"),
    ("low = 1.0", "low = -1.0", r"synaptic_operation\.low: found -1\.0, allowed is a number"),
    ("low = 1.0", "low = 4.0", r"synaptic_operation: found low 4 above high 3, allowed is low <= high; swap"),
    ("value = 2.0", "value = 3.5", r"synaptic_operation\.value: found 3\.5, allowed is 1 to 3; widen"),
    ('low_source = "roe: p. 1"\n', "", r"synaptic_operation\.low_source: found nothing, .*say who published 1"),
    ('note = "in the middle"\n', "", r"synaptic_operation\.note: found nothing, .*say why"),
    ('note = "in the middle"', "note = 1", r"synaptic_operation\.note: found 1, allowed is a text"),
    ('source = "doe: Table 1"', 'source = "poe: Table 1"', r"\.source: found 'poe: Table 1', allowed is doe, roe"),
    ('trust = "Q"', 'trust = "A"', r"synaptic_operation\.trust: found 'A', allowed is P, Q, S, D"),
    ('high_trust = "S"', 'high_trust = "?"', r"synaptic_operation\.high_trust: found '\?', allowed is P, Q"),
    ('value = ["zero"]', 'value = ["half"]', r"formats\.resets\.value: found \['half'\], allowed is a list from zero"),
    ('value = ["zero"]', "value = []", r"formats\.resets\.value: found \[\], allowed is a list"),
    (
        '[formats.resets]\nvalue = ["zero"]\nsource = "doe"\ntrust = "P"',
        "[formats]",
        r"formats\.resets\.value: found noth",
    ),
    ("[formats.resets]", "[formats.reset]", r"formats\.reset: found an unknown key"),
    (
        "[power.chip]",
        "[measurements]\nstep = 3\n[power.chip]",
        r"measurements\.step: found 3, allowed is a table; write",
    ),
]


MISTAKES += [
    (
        "[scenarios.middle.energies.synaptic_operation]",
        "[scenarios.middle.energies.synaptic_operation_sparse]",
        r"energies\.synaptic_operation: found nothing beside synaptic_operation_sparse, allowed is a figure; add that",
    ),
    ("value = 2\n", "value = 0\n", r"step_time: found 0, allowed is more than 0; correct the figure"),
    (
        "[power.chip]",
        '[measured_step]\nvalue = 1\nlow = 0\nunit = "ms"\nsource = "doe"\ntrust = "P"\nlow_source = "roe"\n'
        'note = "x"\n'
        "[power.chip]",
        r"measured_step: found 0, allowed is more than 0",
    ),
    (
        "[limits.cores]",
        '[clock]\nvalue = 0\nunit = "MHz"\nsource = "doe"\ntrust = "P"\n[limits.cores]',
        r"clock: found 0",
    ),
    (
        "[scenarios.middle]",
        '[scenarios."a.b"]',
        r"scenarios\.a\.b: found 'a\.b', allowed is lower-case letters, digits, '_' ",
    ),
]


def powered(rule: str, *figures: str) -> str:
    """The section on power of a chip file; each figure is a name and further lines."""
    head = f'[power]\nrule = "{rule}"\nsource = "doe"\ntrust = "P"\n'
    tail = 'unit = "mW"\nsource = "doe"\ntrust = "P"\nlow_source = "roe"\nnote = "x"\n'
    return head + "".join(f"[power.{name}]\n{lines}\n{tail}" for name, _, lines in (f.partition("\n") for f in figures))


@pytest.mark.parametrize(
    ("rule", "on", "off", "found"),
    [
        (
            "gated",
            "chip\nvalue = 5.0",
            "off\nvalue = 6.0",
            r"power\.off: found 0\.006 W \(low\), allowed is at most power\.chip",
        ),
        (
            "core",
            "core\nvalue = 5.0\nlow = 1.0",
            "off\nvalue = 4.0",
            r"power\.off: found 0\.004 W \(low\), .* power\.core, 0\.001 W",
        ),
    ],
)
def test_what_is_off_draws_no_more_than_what_is_on(rule: str, on: str, off: str, found: str, tmp_path: Path) -> None:
    power = SMALL[SMALL.index("[power]") : SMALL.index("[limits.cores]")]
    with pytest.raises(ChipError, match=found):
        chip(small(tmp_path, power, powered(rule, on, off)))
    right = chip(small(tmp_path, power, powered(rule, on, "off\nvalue = 0.5")))
    assert right.powered["rule"] == rule


def test_an_inactive_update_costs_no_more_than_an_active_one(tmp_path: Path) -> None:
    updates = "".join(
        f'[scenarios.middle.energies.neuron_update_{name}]\nvalue = {value}\nunit = "pJ"\nsource = "doe"\ntrust = "P"\n'
        for name, value in (("active", 5.0), ("inactive", 6.0))
    )
    said = 'neuron_update_active = "unknown"\nneuron_update_inactive = "unknown"\n'
    path = small(tmp_path, said)
    path.write_text(path.read_text() + updates)
    with pytest.raises(
        ChipError, match=r"energies\.neuron_update_inactive: found 6e-12 J \(low\), allowed is at most .*5e-12"
    ):
        chip(path)


def test_a_chip_powered_by_core_says_how_many_there_are(tmp_path: Path) -> None:
    power = SMALL[SMALL.index("[power]") : SMALL.index("[formats.resets]")]
    without = powered("core", "core\nvalue = 5.0", "off\nvalue = 0.5") + "[limits]\n"
    path = small(tmp_path, power, without)
    path.write_text(path.read_text().replace('max_delay = "unknown"', 'max_delay = "unknown"\ncores = "unknown"'))
    with pytest.raises(ChipError, match=r"limits\.cores: found nothing beside the rule core, allowed is a figure; say"):
        chip(path)


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES)
def test_mistakes_are_refused_by_name(old: str, new: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ChipError, match=r"^small\.toml: .*(" + message + ")"):
        chip(small(tmp_path, old, new))


def test_a_chip_of_ones_own_has_a_name_of_its_own(tmp_path: Path) -> None:
    """Its integers and calibrations would be taken for those of the other."""
    message = "small.toml: name: found 'loihi1', a chip that comes with ASPEN, .*name = \"my-loihi1\""
    with pytest.raises(ChipError, match=message):
        chip(small(tmp_path, 'name = "small"', 'name = "loihi1"'))
    copied = tmp_path / "loihi1.toml"
    copied.write_bytes(resources.files("aspen_hardware").joinpath("chips/loihi1.toml").read_bytes())
    assert chip(copied) == chip("loihi1")


def test_a_section_that_is_no_table(tmp_path: Path) -> None:
    path = small(tmp_path)
    found = path.read_text()
    power = found[found.index("[power]") : found.index("[limits.cores]")]
    path.write_text(found.replace(power, ""))
    with pytest.raises(ChipError, match=r"small\.toml: power: found nothing, .*or say under missing\.power why"):
        chip(path)
    path.write_text("power = 3\n" + path.read_text())
    with pytest.raises(ChipError, match=r"power: found 3, allowed is a table; write \[power\]"):
        chip(path)
